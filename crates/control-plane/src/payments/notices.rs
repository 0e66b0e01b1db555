//! Notices that a balance fell below the threshold that its account set: once per crossing, by letter and
//! by webhook, tried again for a day when nobody answers.

pub mod letters;
pub mod webhooks;

use futures_util::StreamExt as _;
use model::id::NoticeId;
use store::notices::deliveries::{self, Channel, Delivery, Outcome};
use store::notices::{self, Crossing};
use store::{Store, StoreError};
use time::{Duration, OffsetDateTime};
use tracing::{info, warn};
use uuid::Uuid;

use super::{Payments, metrics};

/// How many crossings are taken down in one transaction, and deliveries made in one round and at a time.
const BATCH: i64 = 100;
const CONCURRENT: usize = 16;
/// A delivery that was begun is begun again after this, unless its end is known.
const UNDER_WAY: Duration = Duration::minutes(2);
const FIRST_PAUSE: Duration = Duration::minutes(1);
const LONGEST_PAUSE: Duration = Duration::hours(6);
/// Eleven pauses, which are a day and a half together.
const MOST_ATTEMPTS: i32 = 12;

/// Why a delivery failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// It may go better later.
    ForNow(String),
    /// It will not.
    ForGood(String),
}

/// Takes down which balances crossed their thresholds, and who is to be told.
pub async fn notice(store: &Store, now: OffsetDateTime) -> Result<(), StoreError> {
    let mut tx = store.pool.begin().await?;
    let crossings = notices::crossings(&mut tx, now, BATCH).await?;
    for crossing in &crossings {
        let id = NoticeId(Uuid::now_v7());
        notices::create(&mut tx, id, crossing, now).await?;
        let Crossing { emails, webhook_url, .. } = crossing;
        for email in emails {
            deliveries::create(&mut tx, id, Channel::Email, email, now).await?;
        }
        if let Some(url) = webhook_url {
            deliveries::create(&mut tx, id, Channel::Webhook, url, now).await?;
        }
    }
    tx.commit().await?;
    if !crossings.is_empty() {
        info!(notices = crossings.len(), "{} balances fell below their thresholds", crossings.len());
    }
    Ok(())
}

/// Makes every delivery whose time has come.
pub async fn deliver(store: &Store, payments: &Payments, now: OffsetDateTime) -> Result<(), StoreError> {
    let taken = deliveries::take(store, now, now + UNDER_WAY, BATCH).await?;
    let made = futures_util::stream::iter(taken).for_each_concurrent(CONCURRENT, |delivery| async move {
        if let Err(error) = make(store, payments, &delivery, now).await {
            warn!(%error, "What became of a notice could not be written down: {error}");
        }
    });
    made.await;
    Ok(())
}

async fn make(
    store: &Store,
    payments: &Payments,
    delivery: &Delivery,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let result = match (delivery.channel, &payments.letters) {
        (Channel::Email, Some(letters)) => letters.send(delivery).await,
        (Channel::Email, None) => Err(Failure::ForGood("no mail server is configured".to_owned())),
        (Channel::Webhook, _) => webhooks::call(store, payments, delivery, now).await,
    };
    let outcome = outcome(result, delivery.attempts, now);
    let word = match &outcome {
        Outcome::Delivered => "delivered",
        Outcome::Again(..) => "failed",
        Outcome::GivenUp(_) => "given_up",
    };
    metrics::notice(delivery.channel.as_str(), word);
    deliveries::finish(store, delivery.id, &outcome, now).await
}

/// What follows the attempt with this number.
fn outcome(result: Result<(), Failure>, attempts: i32, now: OffsetDateTime) -> Outcome {
    match result {
        Ok(()) => Outcome::Delivered,
        Err(Failure::ForGood(error)) => Outcome::GivenUp(error),
        Err(Failure::ForNow(error)) if attempts >= MOST_ATTEMPTS => Outcome::GivenUp(error),
        Err(Failure::ForNow(error)) => {
            let factor = 2_i32.saturating_pow((attempts - 1).clamp(0, 20).unsigned_abs());
            Outcome::Again(now + (FIRST_PAUSE * factor).min(LONGEST_PAUSE), error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_six_hours_and_the_twelfth_attempt_is_the_last() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let after = |attempts| outcome(Err(Failure::ForNow("busy".to_owned())), attempts, now);
        let again = |pause| Outcome::Again(now + pause, "busy".to_owned());
        assert_eq!(after(1), again(Duration::minutes(1)));
        assert_eq!(after(2), again(Duration::minutes(2)));
        assert_eq!(after(9), again(Duration::minutes(256)));
        assert_eq!(after(10), again(LONGEST_PAUSE));
        assert_eq!(after(12), Outcome::GivenUp("busy".to_owned()));
        let for_good = outcome(Err(Failure::ForGood("gone".to_owned())), 1, now);
        assert_eq!(for_good, Outcome::GivenUp("gone".to_owned()));
    }
}
