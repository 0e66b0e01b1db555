//! Credits are bought when the balance falls below a threshold. A failure is followed by an ever longer
//! pause, and the last of several by an end.

use futures_util::StreamExt as _;
use model::AccountId;
use model::id::PaymentId;
use store::payments::auto_topups::{self, AfterFailure, AutoTopup};
use store::payments::payers::{self, Card, Payer};
use store::payments::{self, Origin, Payment, PaymentState};
use store::{Store, StoreError, ledger, operator_settings};
use time::{Duration, OffsetDateTime};
use tracing::{info, warn};
use uuid::Uuid;

use super::looking::charge;
use super::purchase::FIRST_LOOK;
use super::purchase_fee;
use super::stripe::Stripe;

/// How many begin at a time.
const BATCH: i64 = 50;
const CONCURRENT: usize = 8;
/// After the first failure; each pause after that is four times the one before.
const FIRST_PAUSE: Duration = Duration::minutes(15);
const LONGEST_PAUSE: Duration = Duration::days(1);
/// With so many failures in a row it ends.
const MOST_FAILURES: i32 = 5;

/// Why automatic top-up ended, as the API says it.
pub mod disabled {
    /// It failed too often.
    pub const FAILURES: &str = "too_many_failures";
    /// The card's owner has to be asked, and is not there.
    pub const AUTHENTICATION: &str = "authentication_required";
    /// There is no card.
    pub const NO_CARD: &str = "no_payment_method";
}

/// What follows a failure for the reason `code`, of which there had been so many before it.
pub(super) fn after_failure(failures: i32, code: &str, now: OffsetDateTime) -> AfterFailure {
    if code == disabled::AUTHENTICATION || code == disabled::NO_CARD {
        let reason = if code == disabled::NO_CARD { disabled::NO_CARD } else { disabled::AUTHENTICATION };
        return AfterFailure::Disabled(reason);
    }
    if failures + 1 >= MOST_FAILURES {
        return AfterFailure::Disabled(disabled::FAILURES);
    }
    let factor = 4_i32.saturating_pow(failures.clamp(0, 10).unsigned_abs());
    AfterFailure::Again(now + (FIRST_PAUSE * factor).min(LONGEST_PAUSE))
}

/// Buys credits for every account whose balance has fallen.
pub async fn top_up(store: &Store, stripe: &Stripe, now: OffsetDateTime) -> Result<(), StoreError> {
    let due = auto_topups::due(store, now, BATCH).await?;
    let begun = futures_util::stream::iter(due).for_each_concurrent(CONCURRENT, |account| async move {
        let payment = match begin(store, account, now).await {
            Ok(payment) => payment,
            Err(error) => {
                warn!(%error, "An automatic top-up could not begin: {error}");
                return;
            }
        };
        if let Some(payment) = payment {
            info!(payment = %payment.id, "A balance fell, payment {} tops it up", payment.id);
            charge(store, stripe, &payment, now).await;
        }
    });
    begun.await;
    Ok(())
}

/// Writes a top-up down before anybody is asked for money. `None` if there is no reason for one any more,
/// or no way.
async fn begin(
    store: &Store,
    account: AccountId,
    now: OffsetDateTime,
) -> Result<Option<Payment>, StoreError> {
    let payer = payers::get(store, account).await?;
    let mut tx = store.pool.begin().await?;
    // Whoever else was about to do this has done it by now.
    let Some(AutoTopup { amount, threshold, .. }) = auto_topups::locked(&mut tx, account, now).await? else {
        return Ok(None);
    };
    if ledger::balance(&mut tx, account).await?.total() >= threshold {
        return Ok(None);
    }
    let Some(Payer { customer, card: Some(Card { payment_method, .. }) }) = payer else {
        let then = AfterFailure::Disabled(disabled::NO_CARD);
        auto_topups::failed(&mut tx, account, "there is no card to charge", now, then).await?;
        tx.commit().await?;
        return Ok(None);
    };
    let settings = operator_settings::get(&mut tx).await?;
    let payment = Payment {
        id: PaymentId(Uuid::now_v7()),
        account,
        origin: Origin::Auto,
        customer,
        payment_method: Some(payment_method),
        amount,
        fee: purchase_fee(amount, settings.purchase_fee_ppm),
        intent: None,
        state: PaymentState::Pending,
        error: String::new(),
        refunded: 0,
        created_by: None,
        created_at: now,
        settled_at: None,
    };
    payments::create(&mut tx, &payment, now + FIRST_LOOK).await?;
    auto_topups::begin(&mut tx, account, payment.id).await?;
    tx.commit().await?;
    Ok(Some(payment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_day_and_the_fifth_failure_is_the_last() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let pauses: Vec<AfterFailure> =
            (0..5).map(|failures| after_failure(failures, "card_declined", now)).collect();
        let minutes = |minutes| AfterFailure::Again(now + Duration::minutes(minutes));
        assert_eq!(pauses[..4], [minutes(15), minutes(60), minutes(240), minutes(960)]);
        assert_eq!(pauses[4], AfterFailure::Disabled(disabled::FAILURES));
        let asked = after_failure(0, "authentication_required", now);
        assert_eq!(asked, AfterFailure::Disabled(disabled::AUTHENTICATION));
    }
}
