//! The desk of payments and notices: what is done again and again, by one control plane at a time.

use std::time::Duration;

use store::payments::events;
use store::payments::lock::PaymentsLock;
use store::{Store, StoreError};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Payments, Provider, auto_topups, looking, metrics, notices};

/// How soon a balance that fell is noticed.
const ROUND: Duration = Duration::from_secs(1);
/// How often a desk that stands by asks for the lock, and one that failed begins anew.
const STAND_BY: Duration = Duration::from_secs(2);
/// How long an event is remembered. Stripe repeats one for three days.
const REMEMBERED: Duration = Duration::from_secs(90 * 24 * 3600);
/// How often old events are forgotten.
const TIDY: Duration = Duration::from_secs(3600);

/// Works until told to stop. Neither Postgres nor Stripe being away ends it.
pub async fn run(store: Store, payments: Payments, shutdown: CancellationToken) -> anyhow::Result<()> {
    metrics::begin();
    while !shutdown.is_cancelled() {
        if let Err(error) = tenure(&store, &payments, &shutdown).await {
            warn!(%error, "The payments desk stopped and starts over: {error}");
        }
        tokio::select! {
            () = shutdown.cancelled() => (),
            () = tokio::time::sleep(STAND_BY) => (),
        }
    }
    Ok(())
}

/// From taking the lock to losing it.
async fn tenure(store: &Store, payments: &Payments, shutdown: &CancellationToken) -> Result<(), StoreError> {
    let Some(mut lock) = PaymentsLock::try_take(store).await? else { return Ok(()) };
    info!("The payments desk is open");
    tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        ended = hold(&mut lock) => ended,
        ended = buy(store, payments) => ended,
        ended = look(store, payments) => ended,
        ended = notice(store) => ended,
        ended = deliver(store, payments) => ended,
        ended = tidy(store) => ended,
    }
}

async fn hold(lock: &mut PaymentsLock) -> Result<(), StoreError> {
    loop {
        lock.check().await?;
        tokio::time::sleep(ROUND).await;
    }
}

async fn buy(store: &Store, payments: &Payments) -> Result<(), StoreError> {
    let Provider::Stripe(stripe) = &payments.provider else { return std::future::pending().await };
    loop {
        auto_topups::top_up(store, stripe, OffsetDateTime::now_utc()).await?;
        tokio::time::sleep(ROUND).await;
    }
}

async fn look(store: &Store, payments: &Payments) -> Result<(), StoreError> {
    let Provider::Stripe(stripe) = &payments.provider else { return std::future::pending().await };
    loop {
        looking::look(store, stripe, OffsetDateTime::now_utc()).await?;
        tokio::time::sleep(ROUND).await;
    }
}

async fn notice(store: &Store) -> Result<(), StoreError> {
    loop {
        notices::notice(store, OffsetDateTime::now_utc()).await?;
        tokio::time::sleep(ROUND).await;
    }
}

async fn deliver(store: &Store, payments: &Payments) -> Result<(), StoreError> {
    loop {
        notices::deliver(store, payments, OffsetDateTime::now_utc()).await?;
        tokio::time::sleep(ROUND).await;
    }
}

async fn tidy(store: &Store) -> Result<(), StoreError> {
    loop {
        events::prune(store, REMEMBERED).await?;
        tokio::time::sleep(TIDY).await;
    }
}
