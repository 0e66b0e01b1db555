//! The ledger: one desk per money shard carries usage from Redis to Postgres, each record once.
//!
//! All desks run in one control plane, the one that has the lock; the others stand by. Whatever goes
//! wrong, a desk starts over from what Postgres says, so there is one way to begin and it is well worn.

mod eras;
mod metrics;
mod posting;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use meter::desk::{Desk, DeskError, Place};
use metrics::Held;
use model::Secret;
use store::shards::{self, AdvanceError, DeskLock, Fence};
use store::usage;
use store::{Store, StoreError};
use time::{Date, OffsetDateTime};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How often a desk that stands by asks for the lock.
const STAND_BY: Duration = Duration::from_millis(500);
/// How long a read waits for the first entry.
const READ: Duration = Duration::from_millis(500);
/// How closely batches that are not full follow each other. A batch costs Postgres nearly the same for
/// one record as for a hundred; the first after a pause is posted at once.
const GATHER: Duration = Duration::from_millis(25);
/// How often the lock and the eras are looked at, whatever the traffic.
const CHECK: Duration = Duration::from_secs(1);
/// How long Postgres may take to say that the lock is still ours.
const LOCK_CHECK: Duration = Duration::from_secs(5);
/// Days whose partitions are made ahead.
const DAYS_AHEAD: i64 = 3;

/// Why a desk must start over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LedgerError {
    #[error(transparent)]
    Redis(#[from] DeskError),
    #[error(transparent)]
    Postgres(#[from] StoreError),
    #[error("another control plane runs the desks")]
    Succeeded,
}

impl From<AdvanceError> for LedgerError {
    fn from(error: AdvanceError) -> Self {
        match error {
            AdvanceError::Succeeded => Self::Succeeded,
            AdvanceError::Store(error) => Self::Postgres(error),
        }
    }
}

/// Runs the desks until told to stop. Neither Redis nor Postgres being away ends it.
pub async fn run(store: Store, redis_url: Secret, shutdown: CancellationToken) -> anyhow::Result<()> {
    metrics::begin();
    let mut pause = FIRST_PAUSE;
    while !shutdown.is_cancelled() {
        let began = Instant::now();
        if let Err(error) = tenure(&store, &redis_url, &shutdown).await {
            let error = anyhow::Error::from(error);
            warn!(error = format!("{error:#}"), "The ledger desks stopped and start over");
        }
        pause = if began.elapsed() > CHECK { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
        tokio::select! {
            () = shutdown.cancelled() => (),
            () = tokio::time::sleep(pause) => (),
        }
    }
    Ok(())
}

/// From taking the lock to losing it, or Redis, or Postgres.
async fn tenure(store: &Store, redis_url: &Secret, shutdown: &CancellationToken) -> Result<(), LedgerError> {
    let mut redis = Desk::connect(redis_url).await?;
    let Some(lock) = lock(store, shutdown).await? else { return Ok(()) };
    let _held = Held::new();
    let policy = redis.eviction_policy().await?;
    if policy != "noeviction" {
        error!(
            policy,
            "Redis may evict usage that is not in Postgres yet; its maxmemory-policy must be noeviction"
        );
    }
    let mut ledger = Ledger::begin(store.clone(), redis, lock).await?;
    info!("The ledger desks are open");
    tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        ended = ledger.work() => ended,
    }
}

async fn lock(store: &Store, shutdown: &CancellationToken) -> Result<Option<DeskLock>, LedgerError> {
    loop {
        if let Some(lock) = DeskLock::try_take(store).await? {
            return Ok(Some(lock));
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(None),
            () = tokio::time::sleep(STAND_BY) => (),
        }
    }
}

/// The desks of all shards.
struct Ledger {
    store: Store,
    redis: Desk,
    lock: DeskLock,
    fence: Fence,
    /// Where each shard stands, in Postgres and here.
    places: Vec<Place>,
    /// Days known to have a partition.
    days: HashSet<Date>,
}

impl Ledger {
    /// Shuts out earlier desks, and opens eras where Redis has forgotten them.
    async fn begin(store: Store, redis: Desk, lock: DeskLock) -> Result<Self, LedgerError> {
        let (fence, rows) = shards::take_over(&store).await?;
        let place = |row: shards::MoneyShard| {
            let position = row.position.parse().map_err(|_| StoreError::Unreadable("stream position"))?;
            Ok(Place { shard: row.shard, era: row.era, position })
        };
        let places = rows.into_iter().map(place).collect::<Result<_, StoreError>>()?;
        let mut ledger = Self { store, redis, lock, fence, places, days: HashSet::new() };
        ledger.prepare_days().await?;
        ledger.open_lost_eras().await?;
        // The desk before us may have died after its commit and before its word to Redis.
        ledger.redis.posted(&ledger.places).await?;
        Ok(ledger)
    }

    async fn work(&mut self) -> Result<(), LedgerError> {
        let mut checked = Instant::now();
        loop {
            let entries = self.redis.read(&self.places, READ).await?;
            metrics::read(&entries);
            let began = Instant::now();
            let records: usize = entries.iter().map(|entry| entry.records.len()).sum();
            let all_open = self.post(entries).await?;
            if (1..posting::BATCH).contains(&records) {
                tokio::time::sleep(GATHER.saturating_sub(began.elapsed())).await;
            }
            if !all_open || checked.elapsed() >= CHECK {
                let held = tokio::time::timeout(LOCK_CHECK, self.lock.check());
                held.await.unwrap_or(Err(StoreError::Query(sqlx::Error::PoolTimedOut)))?;
                self.prepare_days().await?;
                self.open_lost_eras().await?;
                checked = Instant::now();
            }
        }
    }

    /// Makes partitions for today and the days to come.
    async fn prepare_days(&mut self) -> Result<(), LedgerError> {
        let today = OffsetDateTime::now_utc().date();
        for ahead in 0..=DAYS_AHEAD {
            self.ensure_day(today.saturating_add(time::Duration::days(ahead))).await?;
        }
        Ok(())
    }

    async fn ensure_day(&mut self, day: Date) -> Result<(), LedgerError> {
        if self.days.contains(&day) {
            return Ok(());
        }
        usage::ensure_day(&self.store, day).await?;
        self.days.insert(day);
        Ok(())
    }
}
