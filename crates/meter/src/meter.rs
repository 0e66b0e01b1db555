//! The proxy's hand on the meter. Everything here is synchronous and touches memory alone; a task
//! in the background carries closed records to Redis.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::id::GatewayInternalId;
use model::usage::{Outcome, UsageRecord};
use model::{Secret, Shard};
use process::failpoint;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::flush;
use crate::link::Link;
use crate::spool::{Slot, Spool, SpoolError, SpoolFull};

/// What a meter is started with.
pub struct MeterConfig {
    /// Where the spool lies. One process at a time.
    pub directory: PathBuf,
    /// The most that the spool may take on disk.
    pub spool_bytes: u64,
    /// The Redis of money and limits; its URL may carry a password.
    pub redis_url: Secret,
}

/// A meter that cannot be started. Redis being away is no reason.
#[derive(Debug, thiserror::Error)]
pub enum MeterError {
    /// The spool cannot be used.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The address of Redis cannot be read.
    #[error("the Redis URL is not valid")]
    RedisUrl,
}

/// Opens and closes usage records. Clones share one spool.
#[derive(Clone)]
pub struct Meter(Arc<Shared>);

/// What the meter looks like from outside, for metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeterStatus {
    /// Records that the spool can hold.
    pub capacity: usize,
    /// Records in the spool: open, or closed and not yet in Postgres.
    pub kept: usize,
    /// Whether Redis answered last.
    pub redis_up: bool,
    /// Attempts that were not recorded because the spool was full, by gateway.
    pub missed: Vec<(GatewayInternalId, u64)>,
}

pub(crate) struct Shared {
    pub(crate) spool: Spool,
    closed: Mutex<Vec<(Shard, Slot)>>,
    pub(crate) wake: Notify,
    pub(crate) kept: AtomicUsize,
    pub(crate) redis_up: AtomicBool,
    missed: Mutex<HashMap<GatewayInternalId, u64>>,
    stop: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Meter {
    /// Starts on the spool in the given directory, which may hold what a former process left, and
    /// begins to send.
    pub fn start(config: MeterConfig) -> Result<Self, MeterError> {
        let MeterConfig { directory, spool_bytes, redis_url } = config;
        let link = Link::to(&redis_url).map_err(|_| MeterError::RedisUrl)?;
        let (spool, left) = Spool::start(&directory, spool_bytes)?;
        let abandoned = left.iter().filter(|kept| kept.abandoned).count();
        if !left.is_empty() {
            info!(
                records = left.len(),
                abandoned, "The spool holds records of a former process; they are sent now"
            );
        }
        let shared = Arc::new(Shared {
            spool,
            kept: AtomicUsize::new(left.len()),
            closed: Mutex::new(left.into_iter().map(|kept| (kept.shard, kept.slot)).collect()),
            wake: Notify::new(),
            redis_up: AtomicBool::new(false),
            missed: Mutex::default(),
            stop: CancellationToken::new(),
            task: Mutex::default(),
        });
        let task = tokio::spawn(flush::run(shared.clone(), link, shared.stop.clone()));
        *shared.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        Ok(Self(shared))
    }

    /// Writes an attempt down before its first byte leaves for a provider. When the spool is full,
    /// a request on own keys may go on without a record; the miss is counted here.
    pub fn open(&self, record: &UsageRecord) -> Result<OpenRecord, SpoolFull> {
        let slot = self.counted(record, self.0.spool.open(record))?;
        Ok(OpenRecord { meter: self.clone(), shard: record.account.shard(), slot: Some(slot) })
    }

    /// Writes down a request that reached no provider.
    pub fn record(&self, record: &UsageRecord) -> Result<(), SpoolFull> {
        let slot = self.counted(record, self.0.spool.record(record))?;
        self.send(record.account.shard(), slot);
        Ok(())
    }

    /// What metrics want to know.
    pub fn status(&self) -> MeterStatus {
        let missed = self.0.missed.lock().unwrap_or_else(PoisonError::into_inner);
        MeterStatus {
            capacity: self.0.spool.capacity(),
            kept: self.0.kept.load(Ordering::Relaxed),
            redis_up: self.0.redis_up.load(Ordering::Relaxed),
            missed: missed.iter().map(|(gateway, count)| (*gateway, *count)).collect(),
        }
    }

    /// Waits until Postgres has every record, at most for `patience`, and stops sending. Says
    /// whether all were posted; what was not stays in the spool for the next start.
    pub async fn drain(&self, patience: Duration) -> bool {
        let emptied = async {
            while self.0.kept.load(Ordering::Acquire) > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let drained = tokio::time::timeout(patience, emptied).await.is_ok();
        self.0.stop.cancel();
        let task = self.0.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            let _ = task.await;
        }
        drained
    }

    fn counted(&self, record: &UsageRecord, taken: Result<Slot, SpoolFull>) -> Result<Slot, SpoolFull> {
        match taken {
            Ok(_) => {
                self.0.kept.fetch_add(1, Ordering::Relaxed);
            }
            Err(SpoolFull) => {
                let mut missed = self.0.missed.lock().unwrap_or_else(PoisonError::into_inner);
                *missed.entry(record.gateway).or_default() += 1;
            }
        }
        taken
    }

    fn send(&self, shard: Shard, slot: Slot) {
        let mut closed = self.0.closed.lock().unwrap_or_else(PoisonError::into_inner);
        closed.push((shard, slot));
        // A longer queue has woken the task already.
        if closed.len() == 1 {
            self.0.wake.notify_one();
        }
    }
}

impl Shared {
    /// Takes what was closed since the last call.
    pub(crate) fn take_closed(&self) -> Vec<(Shard, Slot)> {
        std::mem::take(&mut self.closed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Postgres has these records.
    pub(crate) fn posted(&self, slots: Vec<Slot>) {
        self.kept.fetch_sub(slots.len(), Ordering::Release);
        slots.into_iter().for_each(|slot| self.spool.free(slot));
    }
}

/// A request under way, already in the spool.
#[must_use = "a record that is not closed ends as abandoned"]
pub struct OpenRecord {
    meter: Meter,
    shard: Shard,
    slot: Option<Slot>,
}

impl OpenRecord {
    /// Writes down how it ended, and sends it.
    pub fn close(mut self, record: &UsageRecord) {
        self.end(record);
    }

    fn end(&mut self, record: &UsageRecord) {
        let Some(mut slot) = self.slot.take() else { return };
        self.meter.0.spool.close(&mut slot, record);
        failpoint("closed");
        self.meter.send(self.shard, slot);
    }
}

/// A request that vanished, by a panic for instance, is still recorded.
impl Drop for OpenRecord {
    fn drop(&mut self) {
        let Some(opened) = self.slot.as_ref().and_then(|slot| self.meter.0.spool.opened(slot)) else {
            return;
        };
        self.end(&UsageRecord { outcome: Outcome::Abandoned, cause: "unfinished".to_owned(), ..opened });
    }
}
