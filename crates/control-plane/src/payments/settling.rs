//! What news of a payment does to our books. News comes from Stripe's answers and from its events, in any
//! order and any number of times: what is known of the payment is written down, and the ledger follows
//! that, in one transaction under the lock of the payment's row.

use model::AccountId;
use model::id::PaymentId;
use sqlx::PgConnection;
use store::ledger::{self, Cause, CauseKind, LedgerError, Source};
use store::payments::reversals::{self, DisputeState};
use store::payments::{self, Origin, Payment, PaymentState, auto_topups, events};
use store::{Store, StoreError};
use time::OffsetDateTime;
use tracing::{error, info, warn};

use super::auto_topups::after_failure;
use super::metrics;
use super::reversing::follow_reversals;
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
