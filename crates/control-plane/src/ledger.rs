//! The ledger: one desk per money shard carries usage and money between Redis and Postgres, each record
//! and each deposit once.
//!
//! All desks run in one control plane, the one that has the lock; the others stand by. Whatever goes
//! wrong, a desk starts over from what Postgres says, so there is one way to begin and it is well worn.
//! What it does to one shard's money it does one thing after the other: a batch of usage, an account
//! that is loaded, a deposit, a withdrawal. So whatever it reads of a balance, nothing is on its way.

mod arrivals;
pub mod check;
mod claims;
mod demands;
mod eras;
mod incarnations;
mod last_used;
mod loading;
mod metrics;
mod points;
mod posting;
mod reader;
#[cfg(test)]
mod tests;
mod withdrawals;

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use demands::{Demands, Verdict};
use eras::Opening;
use incarnations::Incarnations;
use last_used::LastUsed;
use meter::desk::{Desk, DeskError, Entry, Place, Server, Standing};
use metrics::Held;
use model::{AccountId, Secret, Shard};
use points::Points;
use reader::{ReadError, Reader};
use store::ledger::{self, LedgerListener};
use store::shards::{self, AdvanceError, DeskLock, Fence, MoneyShard};
use store::usage;
use store::{Store, StoreError};
use time::{Date, OffsetDateTime};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How often a desk that stands by asks for the lock.
const STAND_BY: Duration = Duration::from_millis(500);
/// How long a read waits for the first entry.
const READ: Duration = Duration::from_millis(500);
/// How closely batches that are not full follow each other. A batch costs Postgres nearly the same for
/// one record as for a hundred; the first after a pause is posted at once.
const GATHER: Duration = Duration::from_millis(25);
/// How long a read waits while proxies are waited for.
const SHORT_READ: Duration = Duration::from_millis(20);
/// How often the lock, the eras, the proxies and the outbox are looked at, whatever the traffic.
const CHECK: Duration = Duration::from_secs(1);
/// How often counts are forgotten that no limit looks at.
const PRUNE: Duration = Duration::from_secs(3600);
/// How long Postgres may take to say that the lock is still ours.
const LOCK_CHECK: Duration = Duration::from_secs(5);
/// Days whose partitions are made ahead.
const DAYS_AHEAD: i64 = 3;

/// Why a desk must start over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LedgerError {
    #[error(transparent)]
    Redis(DeskError),
    #[error(transparent)]
    Postgres(#[from] StoreError),
    #[error("another control plane runs the desks")]
    Succeeded,
    #[error("the reading task ended")]
    Reader(#[from] tokio::task::JoinError),
    #[error("Redis is no longer one that money can be trusted to")]
    Refused,
    #[cfg(test)]
    #[error("died at {0}, as the test wanted")]
    Died(&'static str),
}

impl From<DeskError> for LedgerError {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::Succeeded => Self::Succeeded,
            error => Self::Redis(error),
        }
    }
}

impl From<ReadError> for LedgerError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Redis(error) => error.into(),
            ReadError::Ended(error) => Self::Reader(error),
        }
    }
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
    let mut demands = Demands::default();
    let mut pause = FIRST_PAUSE;
    while !shutdown.is_cancelled() {
        let began = Instant::now();
        if let Err(error) = tenure(&store, &redis_url, &mut demands, &shutdown).await {
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

/// From taking the lock to losing it, or Redis, or Postgres. Nothing is opened on a Redis that may not be
/// trusted; it is looked at again with the next tenure.
async fn tenure(
    store: &Store,
    redis_url: &Secret,
    demands: &mut Demands,
    shutdown: &CancellationToken,
) -> Result<(), LedgerError> {
    let mut redis = Desk::connect(redis_url).await?;
    let reader = Reader::of(Desk::connect(redis_url).await?);
    let mut server = Server::connect(redis_url).await?;
    let Some(lock) = lock(store, shutdown).await? else { return Ok(()) };
    if demands.verdict(&mut server).await? == Verdict::Refused {
        return demands.suspend(store, &mut redis).await;
    }
    let _held = Held::new();
    let mut ledger = Ledger::begin(store.clone(), redis, reader, lock).await?;
    info!("The ledger desks are open");
    tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        ended = ledger.work() => ended,
        refused = demands.watch(&mut server) => refused,
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

/// How long a desk waits for others.
#[derive(Debug, Clone, Copy)]
struct Times {
    /// For anybody to declare, in a new era.
    declaring: Duration,
    /// For a beat: who is silent for so long is dead.
    silence: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self { declaring: Duration::from_millis(500), silence: Duration::from_secs(30) }
    }
}

/// The desks of all shards.
struct Ledger {
    store: Store,
    redis: Desk,
    reader: Reader,
    lock: DeskLock,
    fence: Fence,
    /// Where each shard stands, in Postgres and here.
    places: Vec<Place>,
    /// Eras that have begun and are not open yet.
    openings: BTreeMap<Shard, Opening>,
    incarnations: Incarnations,
    /// Accounts that this desk has loaded in the present era.
    loaded: HashSet<AccountId>,
    /// Days known to have a partition.
    days: HashSet<Date>,
    /// What was used last.
    last_used: LastUsed,
    times: Times,
    points: Points,
}

impl Ledger {
    /// Shuts out earlier desks, says again what they may not have said, and begins eras where Redis has
    /// forgotten them.
    async fn begin(
        store: Store,
        mut redis: Desk,
        reader: Reader,
        lock: DeskLock,
    ) -> Result<Self, LedgerError> {
        let (fence, rows) = shards::take_over(&store).await?;
        redis.set_fence(fence.number());
        let place = |row: &MoneyShard| {
            let position = row.position.parse().map_err(|_| StoreError::Unreadable("stream position"))?;
            Ok(Place { shard: row.shard, era: row.era, position })
        };
        let mut ledger = Self {
            places: rows.iter().map(place).collect::<Result<_, StoreError>>()?,
            incarnations: Incarnations::of(&rows),
            store,
            redis,
            reader,
            lock,
            fence,
            openings: BTreeMap::new(),
            loaded: HashSet::new(),
            days: HashSet::new(),
            last_used: LastUsed::default(),
            times: Times::default(),
            points: Points::default(),
        };
        ledger.prepare_days().await?;
        let lost = ledger.repeat(&rows).await?;
        ledger.forget_former(&lost).await?;
        ledger.begin_eras(&lost).await?;
        Ok(ledger)
    }

    /// Repeats the last word of the desk before us, which may have died after its commit; and says which
    /// eras are lost. One in which Redis is ahead of a Postgres that was restored is lost as well.
    async fn repeat(&mut self, rows: &[MoneyShard]) -> Result<Vec<Shard>, LedgerError> {
        let standing = self.redis.standing(&self.places).await?;
        let mut lost = self.lost(&standing);
        let open: Vec<Place> =
            self.places.iter().filter(|place| !lost.contains(&place.shard)).copied().collect();
        let pending: BTreeMap<Shard, _> =
            rows.iter().filter_map(|row| Some((row.shard, row.pending.as_ref()?))).collect();
        let postings: Vec<_> =
            open.iter().map(|place| posting::posting(*place, pending.get(&place.shard).copied())).collect();
        let answers = self.redis.post(&postings).await?;
        for (place, answer) in open.iter().zip(answers) {
            let agrees = match self.redis.load(*place, &[]).await {
                Ok(_) => true,
                Err(DeskError::Moved | DeskError::EraIsOver) => false,
                Err(error) => return Err(error.into()),
            };
            if answer == Standing::Over || !agrees {
                lost.push(place.shard);
            }
        }
        self.repeat_withdrawals().await?;
        Ok(lost)
    }

    async fn work(&mut self) -> Result<(), LedgerError> {
        let mut news = LedgerListener::connect(&self.store).await?;
        let (mut checked, mut pruned) = (Instant::now(), Instant::now());
        let mut due = self.carry().await;
        loop {
            if matches!(due, Err(LedgerError::Redis(DeskError::EraIsOver))) && self.watch().await? {
                due = Ok(());
            }
            due?;
            if checked.elapsed() >= CHECK {
                checked = Instant::now();
                due = self.look_around().await;
                continue;
            }
            if pruned.elapsed() >= PRUNE {
                ledger::prune_used(&self.store).await?;
                pruned = Instant::now();
            }
            let patience = if self.openings.is_empty() { READ } else { SHORT_READ };
            let places = self.open_places();
            due = tokio::select! {
                heard = news.heard() => {
                    heard?;
                    self.carry().await
                }
                entries = self.reader.entries(&places, patience) => self.attend(entries?).await,
            };
        }
    }

    /// Posts entries, and what else they ask for.
    async fn attend(&mut self, entries: Vec<Entry>) -> Result<(), LedgerError> {
        metrics::read(&entries);
        let began = Instant::now();
        let records: usize = entries.iter().map(|entry| entry.records.len()).sum();
        let is_wanted = entries.iter().any(|entry| entry.wanted.is_some());
        self.post(entries).await?;
        if is_wanted {
            self.load_wanted().await?;
        }
        if !self.openings.is_empty() {
            return self.open_eras().await;
        }
        if (1..posting::BATCH).contains(&records) && !is_wanted {
            tokio::time::sleep(GATHER.saturating_sub(began.elapsed())).await;
        }
        Ok(())
    }

    /// What is done whatever the traffic.
    async fn look_around(&mut self) -> Result<(), LedgerError> {
        let held = tokio::time::timeout(LOCK_CHECK, self.lock.check());
        held.await.unwrap_or(Err(StoreError::Query(sqlx::Error::PoolTimedOut)))?;
        self.prepare_days().await?;
        self.watch().await?;
        self.carry().await?;
        self.load_wanted().await
    }

    /// Carries money to and fro that has nothing to do with usage.
    async fn carry(&mut self) -> Result<(), LedgerError> {
        self.pass_on_credits().await?;
        self.work_off_withdrawals().await
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
