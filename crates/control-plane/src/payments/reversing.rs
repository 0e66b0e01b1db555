//! Payments that are given back or taken back: the ledger follows what is known of refunds and disputes,
//! step by step, and back again if a dispute is won. Each step is the difference between what is known
//! and what was done, so that news in any order ends at the same figures.

use model::id::PaymentId;
use model::{AccountId, Nanos};
use sqlx::PgConnection;
use store::ledger::{self, Cause, CauseKind, Destination, LedgerError, Missing, Source};
use store::payments::reversals::{self, Followed, Reason};
use store::payments::{self, Payment, PaymentState};

use super::CENT;

/// Lets the ledger follow what is known of refunds and disputes of a payment whose row is locked. Before
/// the money has come there is nothing to follow.
pub(super) async fn follow_reversals(tx: &mut PgConnection, id: PaymentId) -> Result<(), LedgerError> {
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
        let cent = i128::from(CENT);
        let (cents, all) = (i128::from(cents), i128::from(payment.cents()));
        // Neither is larger than what it is a part of, which fits.
        let nanos = |nanos: i128| Nanos(i64::try_from(nanos).unwrap_or(i64::MAX));
        let amount = i128::from(payment.amount.0) * cents / all.max(1);
        Self { amount: nanos(amount), fee: nanos(cents * cent - amount) }
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
    use time::OffsetDateTime;
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
