//! The proxy's hand on the meter. Opening and closing records touches memory alone; tasks in the
//! background carry closed records to Redis and ask it for holds.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::id::GatewayInternalId;
use model::usage::UsageRecord;
use model::{Secret, Shard};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::info;
use uuid::Uuid;

use crate::eras::Eras;
use crate::held::Holds;
use crate::holder::{self, Holder};
use crate::incarnations::Incarnations;
use crate::leases::Leases;
use crate::link::Link;
use crate::logged::Logged;
use crate::open_record::OpenRecord;
use crate::settlement::Closed;
use crate::spool::{Slot, Spool, SpoolError, SpoolFull};
use crate::{flush, settlement};

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
    /// Requests under way for which something is set aside.
    pub holds: usize,
    /// Leases that this process has.
    pub leases: usize,
    /// Former starts on this spool whose holds have not all been released.
    pub former: usize,
}

pub(crate) struct Shared {
    pub(crate) spool: Spool,
    pub(crate) incarnations: Incarnations,
    pub(crate) eras: Eras,
    pub(crate) holds: Holds,
    pub(crate) leases: Leases,
    pub(crate) holder: Holder,
    inbox: Mutex<Inbox>,
    pub(crate) wake: Notify,
    kept: AtomicUsize,
    pub(crate) redis_up: AtomicBool,
    redis_full: AtomicBool,
    /// Shards in which somebody looks whether this process lives.
    watched: Box<[AtomicBool]>,
    /// The number of each shard's next batch of records.
    numbers: Box<[AtomicU64]>,
    /// How often Redis has given something back in each shard.
    given_back: Box<[AtomicU64]>,
    missed: Mutex<HashMap<GatewayInternalId, u64>>,
    stop: CancellationToken,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// What has happened since the sending task looked last.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    pub(crate) closed: Vec<Closed>,
    /// Shards whose era may be another than is thought, or is not known.
    pub(crate) doubts: BTreeSet<Shard>,
    /// Shards in which there may be holds from now on.
    pub(crate) watched: BTreeSet<Shard>,
    /// Holds that nobody knows of: shard, incarnation, hold.
    pub(crate) releases: Vec<(Shard, Uuid, Uuid)>,
    /// Incarnations that hold nothing more.
    pub(crate) dead: Vec<Uuid>,
    /// Who wants to hear when Redis knows of all that has ended in a shard.
    pub(crate) waiters: Vec<(Shard, oneshot::Sender<bool>)>,
}

impl Inbox {
    fn is_empty(&self) -> bool {
        let Self { closed, doubts, watched, releases, dead, waiters } = self;
        closed.is_empty()
            && doubts.is_empty()
            && watched.is_empty()
            && releases.is_empty()
            && dead.is_empty()
            && waiters.is_empty()
    }
}

impl Meter {
    /// Starts on the spool in the given directory, which may hold what a former process left, and
    /// begins to send.
    pub fn start(config: MeterConfig) -> Result<Self, MeterError> {
        let MeterConfig { directory, spool_bytes, redis_url } = config;
        let link = || Link::to(&redis_url).map_err(|_| MeterError::RedisUrl);
        let (settlements, holds) = (link()?, link()?);
        let (spool, left) = Spool::start(&directory, spool_bytes)?;
        let incarnations = Incarnations::begin(&directory)
            .map_err(|source| SpoolError::File { path: directory.join("incarnations"), source })?;
        let abandoned = left.iter().filter(|kept| kept.abandoned).count();
        if !left.is_empty() {
            info!(
                records = left.len(),
                abandoned, "The spool holds records of a former process; they are sent now"
            );
        }
        let (holder, asks) = Holder::new();
        let closed: Vec<_> = left.into_iter().map(settlement::Closed::kept).collect();
        let shared = Arc::new(Shared {
            spool,
            incarnations,
            eras: Eras::new(),
            holds: Holds::new(),
            leases: Leases::new(),
            holder,
            kept: AtomicUsize::new(closed.len()),
            inbox: Mutex::new(Inbox { closed, ..Inbox::default() }),
            wake: Notify::new(),
            redis_up: AtomicBool::new(false),
            redis_full: AtomicBool::new(false),
            watched: Shard::all().map(|_| AtomicBool::new(false)).collect(),
            numbers: Shard::all().map(|_| AtomicU64::new(1)).collect(),
            given_back: Shard::all().map(|_| AtomicU64::new(0)).collect(),
            missed: Mutex::default(),
            stop: CancellationToken::new(),
            tasks: Mutex::default(),
        });
        let tasks = vec![
            tokio::spawn(flush::run(shared.clone(), settlements, shared.stop.clone())),
            tokio::spawn(holder::run(shared.clone(), holds, asks, shared.stop.clone())),
        ];
        *shared.tasks.lock().unwrap_or_else(PoisonError::into_inner) = tasks;
        Ok(Self(shared))
    }

    /// Writes an attempt down before its first byte leaves for a provider. When the spool is full,
    /// a request on own keys may go on without a record; the miss is counted here.
    pub fn open(&self, record: &UsageRecord) -> Result<OpenRecord, SpoolFull> {
        let slot = self.counted(record, self.0.spool.open(record))?;
        Ok(OpenRecord::new(self.clone(), record, slot))
    }

    /// Writes down a request that reached no provider.
    pub fn record(&self, record: &UsageRecord) -> Result<(), SpoolFull> {
        let slot = self.counted(record, self.0.spool.record(record))?;
        let logged = Logged::of(record);
        self.0.send(Closed { shard: record.account.shard(), slot, settlement: None, logged });
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
            holds: Shard::all().map(|shard| self.0.holds.count(shard)).sum(),
            leases: Shard::all().map(|shard| self.0.leases.count(shard)).sum(),
            former: self.0.incarnations.former().len(),
        }
    }

    /// The control plane says in which eras shards are by what Postgres says. Earlier ones are over at
    /// once, whatever Redis says: nothing more is set aside in them, and their leases end. What is under
    /// way moves on when Redis shows these eras, or later ones.
    pub fn eras_are(&self, eras: &[(Shard, u64)]) {
        let mut closed = 0;
        for (shard, era) in eras {
            if self.0.eras.tell(*shard, *era) {
                self.0.leases.end_era(*shard, *era);
                closed += 1;
            }
        }
        if closed > 0 {
            info!(
                shards = closed,
                "New eras of {closed} shards have begun; nothing is spent in the old ones"
            );
        }
        // What has changed is seen there by itself.
        self.0.wake.notify_one();
    }

    /// Waits until Postgres has every record, at most for `patience`, gives back what is leased and stops
    /// sending. Says whether all were posted; what was not stays in the spool for the next start.
    pub async fn drain(&self, patience: Duration) -> bool {
        let emptied = async {
            while self.0.kept.load(Ordering::Acquire) > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let drained = tokio::time::timeout(patience, emptied).await.is_ok();
        self.0.stop.cancel();
        let tasks = std::mem::take(&mut *self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            let _ = task.await;
        }
        drained
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0
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
}

impl Shared {
    /// A request is over.
    pub(crate) fn send(&self, closed: Closed) {
        self.tell(|inbox| inbox.closed.push(closed));
    }

    /// The era of this shard is not known, or is not what was thought.
    pub(crate) fn doubt(&self, shard: Shard) {
        self.tell(|inbox| _ = inbox.doubts.insert(shard));
    }

    /// Something may be held in this shard from now on.
    pub(crate) fn watch(&self, shard: Shard) {
        if !self.watched[usize::from(shard.0)].swap(true, Ordering::AcqRel) {
            self.tell(|inbox| _ = inbox.watched.insert(shard));
        }
    }

    /// Nothing is held in this shard, unless `watch` says otherwise from now on.
    pub(crate) fn unwatch(&self, shard: Shard) {
        self.watched[usize::from(shard.0)].store(false, Ordering::Release);
    }

    /// Nobody knows of this hold.
    pub(crate) fn release(&self, shard: Shard, incarnation: Uuid, hold: Uuid) {
        self.tell(|inbox| inbox.releases.push((shard, incarnation, hold)));
    }

    /// Redis says that this incarnation holds nothing more in this shard.
    pub(crate) fn is_dead(&self, shard: Shard, incarnation: Uuid) {
        self.incarnations.is_dead(incarnation);
        self.leases.end_of(shard, incarnation);
        self.tell(|inbox| inbox.dead.push(incarnation));
    }

    /// The number of the shard's next batch of records.
    pub(crate) fn next_batch(&self, shard: Shard) -> u64 {
        self.numbers[usize::from(shard.0)].load(Ordering::Acquire)
    }

    pub(crate) fn set_next_batch(&self, shard: Shard, number: u64) {
        self.numbers[usize::from(shard.0)].store(number, Ordering::Release);
    }

    /// Redis knows how requests ended for which something was set aside.
    pub(crate) fn has_given_back(&self, shard: Shard) {
        self.given_back[usize::from(shard.0)].fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn given_back(&self, shard: Shard) -> u64 {
        self.given_back[usize::from(shard.0)].load(Ordering::Acquire)
    }

    /// Whether more may be free by now than when [`given_back`](Self::given_back) said `before`, because
    /// requests of this process are over. Waits until Redis knows of them.
    pub(crate) async fn gives_back(&self, shard: Shard, before: u64) -> bool {
        if self.given_back(shard) != before {
            return true;
        }
        let (waiter, heard) = oneshot::channel();
        self.tell(|inbox| inbox.waiters.push((shard, waiter)));
        // Nothing is on its way any more if all was heard of since it was looked.
        heard.await.unwrap_or(false) || self.given_back(shard) != before
    }

    /// Whether Redis has so little room left that credits are refused.
    pub(crate) fn is_redis_full(&self) -> bool {
        self.redis_full.load(Ordering::Relaxed)
    }

    pub(crate) fn redis_is_full(&self, is_full: bool) {
        self.redis_full.store(is_full, Ordering::Relaxed);
    }

    /// Takes what has happened since the last call.
    pub(crate) fn take_inbox(&self) -> Inbox {
        std::mem::take(&mut self.inbox())
    }

    /// Postgres has these records.
    pub(crate) fn posted(&self, records: Vec<Closed>) {
        self.kept.fetch_sub(records.len(), Ordering::Release);
        records.into_iter().for_each(|closed| self.spool.free(closed.slot));
    }

    fn tell(&self, what: impl FnOnce(&mut Inbox)) {
        let mut inbox = self.inbox();
        // A fuller inbox has woken the task already.
        let was_empty = inbox.is_empty();
        what(&mut inbox);
        drop(inbox);
        if was_empty {
            self.wake.notify_one();
        }
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
