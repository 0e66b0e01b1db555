//! What news of a payment does to our books. News comes from Stripe's answers and from its events, in any
//! order and any number of times: what is known of the payment is written down, and the ledger follows
//! that, in one transaction under the lock of the payment's row.

use model::id::PaymentId;
use model::{AccountId, Nanos};
use sqlx::PgConnection;
use store::ledger::{self, Cause, CauseKind, Destination, LedgerError, Missing, Source};
use store::payments::reversals::{self, DisputeState, Followed, Reason};
use store::payments::{self, Origin, Payment, PaymentState, auto_topups, events};
use store::{Store, StoreError};
use time::OffsetDateTime;
use tracing::{error, info, warn};

use super::auto_topups::after_failure;
use super::metrics;
use super::stripe::{Event, Intent, IntentState, News};

/// What a payment came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Came {
    /// The money is in the ledger, by this news or by earlier.
    Credited,
    /// The money came and could not be credited.
    Stranded,
    /// Nothing yet; the buyer or his bank may still do something.
    Open,
    /// No money will come.
    Failed(String),
}

/// Hears an event, once, and says whose money came by it. Events about payments that are not ours change
/// nothing: others may use the same account at Stripe.
pub async fn hear(
    store: &Store,
    event: &Event,
    now: OffsetDateTime,
) -> Result<Option<AccountId>, LedgerError> {
    let mut tx = store.pool.begin().await?;
    let mut paid = None;
    if !events::note(&mut tx, &event.id, &event.kind).await? {
        return Ok(None);
    }
    match &event.news {
        News::Nothing => {}
        News::Intent(intent) => {
            if let Some(payment) = payment_of(&mut tx, intent).await? {
                let account = payment.account;
                paid = (apply(&mut tx, payment, intent, now).await? == Came::Credited).then_some(account);
            }
        }
        News::Refunded { intent, cents } => {
            if let Some(payment) = locked_by_intent(&mut tx, intent).await? {
                reversals::note_refund(&mut tx, payment.id, *cents).await?;
                follow_reversals(&mut tx, payment.id).await?;
            }
        }
        News::Dispute { id, intent, cents, state } => {
            if let Some(payment) = locked_by_intent(&mut tx, intent).await? {
                note_dispute(&mut tx, &payment, id, *cents, *state).await?;
            }
        }
    }
    tx.commit().await?;
    Ok(paid)
}

async fn note_dispute(
    tx: &mut PgConnection,
    payment: &Payment,
    id: &str,
    cents: i64,
    state: DisputeState,
) -> Result<(), LedgerError> {
    if state == DisputeState::Open {
        warn!(payment = %payment.id, "A buyer's bank disputes payment {}", payment.id);
    }
    reversals::note_dispute(tx, id, payment.id, cents, state).await?;
    follow_reversals(tx, payment.id).await
}

/// Learns how an intent stands, whoever said so.
pub async fn learn(
    store: &Store,
    payment: PaymentId,
    intent: &Intent,
    now: OffsetDateTime,
) -> Result<Came, LedgerError> {
    let mut tx = store.pool.begin().await?;
    let payment = payments::locked(&mut tx, payment).await?.ok_or(StoreError::Unreadable("payment"))?;
    let came = apply(&mut tx, payment, intent, now).await?;
    tx.commit().await?;
    Ok(came)
}

/// Notes that no money will come of a payment, for a reason that no intent tells. Money that has come
/// stays.
pub async fn give_up(
    store: &Store,
    payment: PaymentId,
    state: PaymentState,
    code: &str,
    reason: &str,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let mut tx = store.pool.begin().await?;
    if let Some(payment) = payments::locked(&mut tx, payment).await?
        && payment.state == PaymentState::Pending
    {
        fail(&mut tx, &payment, state, code, reason, now).await?;
    }
    Ok(tx.commit().await?)
}

/// The payment that an intent was made for. Its name is taken down if an event is faster than the answer
/// that should have told it.
async fn payment_of(tx: &mut PgConnection, intent: &Intent) -> Result<Option<Payment>, StoreError> {
    if let Some(payment) = locked_by_intent(tx, &intent.id).await? {
        return Ok(Some(payment));
    }
    let Some(id) = intent.payment() else { return Ok(None) };
    Ok(payments::locked(tx, id).await?.filter(|payment| payment.intent.is_none()))
}

async fn locked_by_intent(tx: &mut PgConnection, intent: &str) -> Result<Option<Payment>, StoreError> {
    match payments::id_of_intent(tx, intent).await? {
        Some(id) => payments::locked(tx, id).await,
        None => Ok(None),
    }
}

/// Brings a payment, whose row is locked, to where its intent is.
async fn apply(
    tx: &mut PgConnection,
    payment: Payment,
    intent: &Intent,
    now: OffsetDateTime,
) -> Result<Came, LedgerError> {
    if payment.intent.is_none() {
        payments::set_intent(tx, payment.id, &intent.id).await?;
    }
    match (payment.state, intent.state) {
        (PaymentState::Succeeded, _) => Ok(Came::Credited),
        (PaymentState::Stranded, _) => Ok(Came::Stranded),
        (_, IntentState::Succeeded) => arrived(tx, &payment, intent, now).await,
        (PaymentState::Failed | PaymentState::Canceled, _) => Ok(Came::Failed(payment.error)),
        (PaymentState::Pending, IntentState::Canceled) => {
            let called_off = || ("canceled".to_owned(), "the payment was called off".to_owned());
            let (code, reason) = intent.failure().unwrap_or_else(called_off);
            fail(tx, &payment, PaymentState::Canceled, &code, &reason, now).await?;
            Ok(Came::Failed(reason))
        }
        (PaymentState::Pending, IntentState::RequiresPaymentMethod) => {
            let Some((code, reason)) = intent.failure() else { return Ok(Came::Open) };
            if payment.origin == Origin::Auto {
                fail(tx, &payment, PaymentState::Failed, &code, &reason, now).await?;
                return Ok(Came::Failed(reason));
            }
            // The buyer may have another card.
            payments::set_state(tx, payment.id, PaymentState::Pending, &reason, now).await?;
            Ok(Came::Open)
        }
        (PaymentState::Pending, _) => Ok(Came::Open),
    }
}

/// The money is there. The ledger knows the intent as the cause, so that it is credited once whatever
/// else goes wrong.
async fn arrived(
    tx: &mut PgConnection,
    payment: &Payment,
    intent: &Intent,
    now: OffsetDateTime,
) -> Result<Came, LedgerError> {
    let Payment { id, account, amount, fee, .. } = *payment;
    if intent.currency != "usd" || intent.received() != payment.cents() {
        let problem = format!("{} {} came instead of what was asked for", intent.received(), intent.currency);
        return strand(tx, payment, &problem, now).await;
    }
    let cause = Cause::new(CauseKind::Payment, &intent.id);
    let description = match payment.origin {
        Origin::Manual => "Top-up",
        Origin::Auto => "Automatic top-up",
    };
    match ledger::deposit(tx, account, amount, Source::Payment { fee }, &cause, description).await {
        Ok(_) => {}
        Err(error @ (LedgerError::UnknownAccount | LedgerError::TooMuch)) => {
            return strand(tx, payment, &error.to_string(), now).await;
        }
        Err(error) => return Err(error),
    }
    payments::set_state(tx, id, PaymentState::Succeeded, "", now).await?;
    auto_topups::succeeded(tx, id, now).await?;
    follow_reversals(tx, id).await?;
    metrics::payment(payment.origin, "succeeded");
    info!(payment = %id, "Payment {id} came in: {amount} dollars of credits");
    Ok(Came::Credited)
}

/// Money that came and that nobody can be given. Somebody has to look at it, and likely to refund it.
async fn strand(
    tx: &mut PgConnection,
    payment: &Payment,
    problem: &str,
    now: OffsetDateTime,
) -> Result<Came, LedgerError> {
    payments::set_state(tx, payment.id, PaymentState::Stranded, problem, now).await?;
    auto_topups::succeeded(tx, payment.id, now).await?;
    metrics::payment(payment.origin, "stranded");
    error!(payment = %payment.id, "Payment {} came in and was not credited: {problem}", payment.id);
    Ok(Came::Stranded)
}

async fn fail(
    tx: &mut PgConnection,
    payment: &Payment,
    state: PaymentState,
    code: &str,
    reason: &str,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    payments::set_state(tx, payment.id, state, reason, now).await?;
    if let Some((account, failures)) = auto_topups::failures_before(tx, payment.id).await? {
        let then = after_failure(failures, code, now);
        auto_topups::failed(tx, account, reason, now, then).await?;
    }
    metrics::payment(payment.origin, state.as_str());
    Ok(())
}

/// Lets the ledger follow what is known of refunds and disputes of a payment whose row is locked. Before
/// the money has come there is nothing to follow.
async fn follow_reversals(tx: &mut PgConnection, id: PaymentId) -> Result<(), LedgerError> {
    let Some(payment) = payments::locked(tx, id).await? else { return Ok(()) };
    if payment.state != PaymentState::Succeeded {
        return Ok(());
    }
    let all = payment.cents();
    let disputed = reversals::disputed_cents(tx, id).await?;
    let refunded = Share::of(&payment, payment.refunded.min(all));
    let gone = Share::of(&payment, (payment.refunded + disputed).min(all));
    follow(tx, &payment, Reason::Refund, refunded).await?;
    follow(tx, &payment, Reason::Dispute, gone.less(refunded)).await
}

/// What cents of a payment are worth in credits and in fee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Share {
    amount: Nanos,
    fee: Nanos,
}

impl Share {
    /// In proportion, so that all of the payment is all of both.
    fn of(payment: &Payment, cents: i64) -> Self {
        const CENT: i128 = 10_000_000;
        let (cents, all) = (i128::from(cents), i128::from(payment.cents()));
        // Neither is larger than what it is a part of, which fits.
        let nanos = |nanos: i128| Nanos(i64::try_from(nanos).unwrap_or(i64::MAX));
        let amount = i128::from(payment.amount.0) * cents / all.max(1);
        Self { amount: nanos(amount), fee: nanos(cents * CENT - amount) }
    }

    fn less(self, other: Self) -> Self {
        Self { amount: self.amount - other.amount, fee: self.fee - other.fee }
    }
}

/// Takes from the account, or gives it again, what lies between the ledger and `wanted`.
async fn follow(
    tx: &mut PgConnection,
    payment: &Payment,
    reason: Reason,
    wanted: Share,
) -> Result<(), LedgerError> {
    let Followed { steps, amount, fee } = reversals::followed(tx, payment.id, reason).await?;
    let step = wanted.less(Share { amount, fee });
    if step.amount == Nanos::ZERO && step.fee == Nanos::ZERO {
        return Ok(());
    }
    let number = steps + 1;
    reversals::follow(tx, payment.id, reason, number, step.amount, step.fee).await?;
    let intent = payment.intent.as_deref().unwrap_or_default();
    let (kind, description) = match reason {
        Reason::Refund => (CauseKind::Refund, "Refund of a top-up"),
        Reason::Dispute => (CauseKind::Reversal, "Disputed top-up"),
    };
    let cause = |part: &str| Cause::new(kind, format!("{intent}/{number}{part}"));
    let account = payment.account;
    if step.amount < Nanos::ZERO {
        give_again(tx, account, -step.amount, cause, description).await?;
    }
    // What the operator kept of the payment goes and comes with it. The locks of the ledger are taken in
    // one order: those of the operator's purses, which this takes, before the customer's own.
    ledger::correct_fee(tx, account, -step.fee, &cause("/fee"), description).await?;
    if step.amount > Nanos::ZERO {
        let (to, missing) = (Destination::Payment, Missing::Owe);
        ledger::request_withdrawal(tx, account, step.amount, to, missing, &cause(""), description).await?;
    }
    Ok(())
}

/// Money that is back pays first what is owed since it was gone.
async fn give_again(
    tx: &mut PgConnection,
    account: AccountId,
    amount: Nanos,
    cause: impl Fn(&str) -> Cause,
    description: &str,
) -> Result<(), LedgerError> {
    let source = Source::Payment { fee: Nanos::ZERO };
    let settled = match ledger::settle_owed(tx, account, amount, source, &cause("/owed"), description).await {
        Ok(posting) => ledger::moved(tx, posting.transaction).await?,
        // Nothing is owed.
        Err(LedgerError::NotPositive) => Nanos::ZERO,
        Err(error) => return Err(error),
    };
    if settled < amount {
        ledger::deposit(tx, account, amount - settled, source, &cause(""), description).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use store::payments::Origin;
    use uuid::Uuid;

    use super::*;

    fn payment(amount: i64, fee: i64) -> Payment {
        Payment {
            id: PaymentId(Uuid::nil()),
            account: AccountId(Uuid::nil()),
            origin: Origin::Manual,
            customer: String::new(),
            payment_method: None,
            amount: Nanos(amount),
            fee: Nanos(fee),
            intent: None,
            state: PaymentState::Succeeded,
            error: String::new(),
            refunded: 0,
            created_by: None,
            created_at: OffsetDateTime::UNIX_EPOCH,
            settled_at: None,
        }
    }

    #[test]
    fn a_refund_is_divided_like_the_payment_and_all_of_it_is_all_of_both() {
        // 10 dollars of credits and 50 cents of fee.
        let payment = payment(10_000_000_000, 500_000_000);
        assert_eq!(payment.cents(), 1050);
        for cents in 0..=1050 {
            let Share { amount, fee } = Share::of(&payment, cents);
            assert_eq!((amount + fee).0, cents * 10_000_000, "not a nano-dollar more or less");
            assert!(amount <= payment.amount && fee <= payment.fee + Nanos(1));
        }
        let all = Share::of(&payment, 1050);
        assert_eq!(all, Share { amount: payment.amount, fee: payment.fee });
        // A cent of 10.50 is 10/10.50 of a cent of credits.
        assert_eq!(Share::of(&payment, 1).amount, Nanos(9_523_809));
    }
}
