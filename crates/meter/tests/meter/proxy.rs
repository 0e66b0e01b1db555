//! A proxy's meter, and a ledger desk in small: it posts what it reads, in memory.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use meter::desk::{Collect, Desk, Figures, Load, Place, PostedAccount, Posting};
use meter::{Claim, Meter, MeterConfig, OpenRecord, Position};
use model::limits::{Counter, Window};
use model::usage::{Measure, Outcome, UsageRecord};
use model::{AccountId, Nanos, Secret, Shard};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::redis_server::RedisServer;

pub(crate) const SHARD: Shard = Shard(9);
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The shard's desk and its Postgres.
pub(crate) struct Ledger {
    pub(crate) desk: Desk,
    pub(crate) place: Place,
    pub(crate) balances: BTreeMap<AccountId, i64>,
    /// What was charged for each record, and how it ended.
    pub(crate) records: BTreeMap<Uuid, (i64, Outcome)>,
    /// How many batches of records it has read.
    pub(crate) read: usize,
}

impl Ledger {
    pub(crate) async fn open(server: &RedisServer) -> Self {
        let desk = Desk::connect(&server.url()).await.unwrap();
        let place = Place { shard: SHARD, era: 1, position: Position::default() };
        let mut ledger = Self { desk, place, balances: BTreeMap::new(), records: BTreeMap::new(), read: 0 };
        ledger.desk.open(&[(SHARD, 1)]).await.unwrap();
        ledger
    }

    /// Another era, of which nothing is open yet.
    pub(crate) async fn begin_next(&mut self, server: &RedisServer) {
        self.desk = Desk::connect(&server.url()).await.unwrap();
        self.desk.end(&[(SHARD, self.place.era)]).await.unwrap();
        let mut ended = self.place;
        loop {
            let entries = self.desk.read(&[ended], Duration::ZERO).await.unwrap();
            let Some(last) = entries.last() else { break };
            ended.position = last.position;
            for record in entries.iter().flat_map(|entry| &entry.records) {
                if self.note(record) {
                    *self.balances.get_mut(&record.account).unwrap() -= record.paid.0;
                    self.records.get_mut(&record.id).unwrap().0 = record.paid.0;
                }
            }
        }
        self.place = Place { era: self.place.era + 1, position: Position::default(), ..self.place };
        self.desk.begin(&[(SHARD, self.place.era)]).await.unwrap();
    }

    pub(crate) async fn admit(&mut self) {
        self.desk.admit(&[(SHARD, self.place.era)]).await.unwrap();
    }

    pub(crate) async fn declared(&mut self) -> usize {
        self.desk.declared(&[(SHARD, self.place.era)]).await.unwrap()[0].len()
    }

    /// Loads what is wanted and posts what is in the stream. As the real desk does, it loads an account
    /// before it takes more from it than was paid.
    pub(crate) async fn work(&mut self) {
        let era = (SHARD, self.place.era);
        let wanted = self.desk.wanted(&[era]).await.unwrap().remove(0);
        self.load(&wanted).await;
        let entries = self.desk.read(&[self.place], Duration::ZERO).await.unwrap();
        for entry in entries {
            self.read += usize::from(entry.wanted.is_none());
            let mut posting = Posting::of(Place { position: entry.position, ..self.place });
            for record in &entry.records {
                let is_new = self.note(record);
                let (charge, paid) = (record.charge.0, record.paid.0);
                let mut taken = paid;
                if is_new && charge > paid {
                    self.load(&[record.account]).await;
                    let missing = Nanos(charge - paid);
                    let asked = Collect { id: record.id, account: record.account, missing };
                    taken += self.desk.collect(self.place, &[asked]).await.unwrap()[0].0;
                    posting.collected.push(record.id);
                }
                let kept = if is_new { taken } else { 0 };
                if is_new {
                    *self.balances.entry(record.account).or_default() -= kept;
                    self.records.get_mut(&record.id).unwrap().0 = kept;
                }
                posting.accounts.push(PostedAccount {
                    account: record.account,
                    unposted: Nanos(taken),
                    back: Nanos(taken - kept),
                });
            }
            self.desk.post(std::slice::from_ref(&posting)).await.unwrap();
            self.place = posting.place;
        }
    }

    async fn load(&mut self, accounts: &[AccountId]) {
        let load = |account: &AccountId| Load {
            account: *account,
            balance: Nanos(self.balances.get(account).copied().unwrap_or(0)),
            sequence: 0,
            counters: Vec::new(),
        };
        let loads: Vec<Load> = accounts.iter().map(load).collect();
        self.desk.load(self.place, &loads).await.unwrap();
    }

    fn note(&mut self, record: &UsageRecord) -> bool {
        let is_new = !self.records.contains_key(&record.id);
        if let (Outcome::Abandoned, Some(hold)) = (record.outcome, &record.hold) {
            assert!(record.charge <= hold.amount, "charged more than was set aside: {record:?}");
        }
        self.records.entry(record.id).or_insert((0, record.outcome));
        is_new
    }

    pub(crate) async fn figures(&mut self, account: AccountId) -> Figures {
        self.desk.figures(SHARD, self.place.era, &[account]).await.unwrap().remove(0)
    }

    /// Works until all that is asked of the meter is so.
    pub(crate) async fn until(&mut self, mut is_so: impl FnMut() -> bool) {
        let waited = async {
            while !is_so() {
                self.work().await;
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waited).await.expect("it comes to that");
    }

    /// Works until the future is ready.
    pub(crate) async fn beside<T>(&mut self, future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        loop {
            tokio::select! {
                ready = &mut future => return ready,
                () = tokio::time::sleep(Duration::from_millis(2)) => self.work().await,
            }
        }
    }

    /// Works until Redis holds nothing and owes nothing; then its figures are those of the ledger.
    pub(crate) async fn settle_down(&mut self, account: AccountId) {
        let waited = async {
            loop {
                self.work().await;
                let figures = self.figures(account).await;
                if figures.held == Nanos::ZERO && figures.unposted == Nanos::ZERO {
                    return figures;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let figures = tokio::time::timeout(PATIENCE, waited).await.expect("nothing is held for ever");
        if figures.is_loaded {
            assert_eq!((figures.free.0, figures.leased), (self.balances[&account], Nanos::ZERO));
        }
    }

    /// The last beat of an incarnation.
    pub(crate) async fn beat(&mut self, incarnation: Uuid) -> u64 {
        self.desk.beats(&[(SHARD, self.place.era)]).await.unwrap()[0].get(&incarnation).copied().unwrap_or(0)
    }

    pub(crate) async fn count(&mut self, account: AccountId, counter: &str) -> i64 {
        let counts = self.desk.counts(SHARD, self.place.era, account, &[counter]).await.unwrap();
        counts[0].map_or(0, |count| count.count)
    }
}

/// A proxy as far as money is concerned, on threads of its own so that it can be killed.
pub(crate) struct Proxy {
    pub(crate) meter: Meter,
    runtime: Option<Runtime>,
    directory: TempDir,
}

impl Proxy {
    pub(crate) fn start(redis: &Secret) -> Self {
        Self::on(tempfile::tempdir().unwrap(), redis)
    }

    fn on(directory: TempDir, redis_url: &Secret) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        let config = MeterConfig {
            directory: directory.path().to_owned(),
            spool_bytes: 16 << 20,
            redis_url: redis_url.clone(),
        };
        let meter = {
            let _inside = runtime.enter();
            Meter::start(config).unwrap()
        };
        Self { meter, runtime: Some(runtime), directory }
    }

    /// Kills it: nothing more is sent. Then another process starts on what its spool shows.
    pub(crate) async fn die_and_start_again(mut self, redis: &Secret, open: Vec<OpenRecord>) -> Self {
        open.into_iter().for_each(std::mem::forget);
        let runtime = self.runtime.take();
        tokio::task::spawn_blocking(move || drop(runtime)).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        for name in ["spool", "incarnations"] {
            std::fs::copy(self.directory.path().join(name), directory.path().join(name)).unwrap();
        }
        Self::on(directory, redis)
    }

    pub(crate) fn open(&self, record: &UsageRecord) -> OpenRecord {
        self.meter.open(record).unwrap()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// An account of the shard.
pub(crate) fn account(number: u128) -> AccountId {
    AccountId(Uuid::from_u128(number << 8 | u128::from(SHARD.0)))
}

/// A record on credits as it is opened.
pub(crate) fn opened(account: AccountId) -> UsageRecord {
    let record = model::samples::usage_record(Uuid::now_v7(), account);
    UsageRecord { cost: Some(Nanos(1)), ..record }
}

pub(crate) fn claim(amount: i64, floor: i64) -> Claim {
    Claim { amount: Nanos(amount), on_credits: true, floor: Nanos(floor), counters: Vec::new() }
}

pub(crate) fn calls(limit: i64) -> Counter {
    let window = Window::Fixed { seconds: 86_400 };
    Counter { id: "calls".to_owned(), measure: Measure::Requests, limit, window }
}

/// How it ended, and what is due.
pub(crate) fn ended(record: &UsageRecord, charge: i64) -> UsageRecord {
    UsageRecord { charge: Nanos(charge), cost: Some(Nanos(charge)), ..record.clone() }
}
