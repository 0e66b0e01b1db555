//! The way of a record from a proxy's spool to Postgres, on a Redis that is killed, wiped and set back.

mod deaths;
mod demands;
mod eras;
mod last_used;
mod money;
mod office;
mod plants;
mod points;
mod proxy;
mod redis_server;
mod withdrawals;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use meter::{Meter, MeterConfig, desk};
use model::AccountId;
use model::usage::{Outcome, Tokens, UsageRecord};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use store::Store;
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Ledger;
use super::reader::Reader;
use redis_server::RedisServer;
use store::shards::DeskLock;

const PATIENCE: Duration = Duration::from_secs(20);

/// A Postgres database, a Redis server and a spool of the test's own.
struct System {
    store: Store,
    redis: RedisServer,
    directory: TempDir,
}

impl System {
    async fn start(pool: PgPoolOptions, address: PgConnectOptions) -> Self {
        Self {
            store: Store::open(pool, address).await.unwrap(),
            redis: RedisServer::start(),
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn meter_config(&self) -> MeterConfig {
        MeterConfig {
            directory: self.directory.path().to_owned(),
            spool_bytes: 64 << 20,
            redis_url: self.redis.url(),
        }
    }

    fn meter(&self) -> Meter {
        Meter::start(self.meter_config()).unwrap()
    }

    fn desk(&self) -> Desk {
        let stop = CancellationToken::new();
        let task = tokio::spawn(super::run(self.store.clone(), self.redis.url(), stop.clone()));
        Desk { stop, task }
    }

    async fn ids(&self) -> BTreeSet<Uuid> {
        let ids: Vec<Uuid> =
            sqlx::query_scalar("select id from usage_records").fetch_all(&self.store.pool).await.unwrap();
        ids.into_iter().collect()
    }
}

/// The ledger, until it is stopped.
struct Desk {
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Desk {
    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}

/// The desks of all shards, to be worked by hand.
async fn ledger(system: &System) -> Ledger {
    let connect = async || desk::Desk::connect(&system.redis.url()).await.unwrap();
    let (redis, reader) = (connect().await, Reader::of(connect().await));
    // Postgres takes a moment to notice that a desk has died.
    let lock = loop {
        match DeskLock::try_take(&system.store).await.unwrap() {
            Some(lock) => break lock,
            None => tokio::task::yield_now().await,
        }
    };
    Ledger::begin(system.store.clone(), redis, reader, lock).await.unwrap()
}

fn record() -> UsageRecord {
    model::samples::usage_record(Uuid::now_v7(), AccountId(Uuid::now_v7()))
}

/// Opens and closes `count` requests of as many accounts.
fn serve(meter: &Meter, count: usize) -> BTreeSet<Uuid> {
    let records = std::iter::repeat_with(record).take(count);
    records
        .map(|record| {
            meter.open(&record).unwrap().close(&record);
            record.id
        })
        .collect()
}

/// Serves a little every few milliseconds.
async fn serve_for(meter: &Meter, time: Duration) -> BTreeSet<Uuid> {
    let began = Instant::now();
    let mut ids = BTreeSet::new();
    while began.elapsed() < time {
        ids.append(&mut serve(meter, 20));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    ids
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_record_is_in_postgres_and_out_of_the_spool_within_a_second(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let system = System::start(pool, address).await;
    let (desk, meter) = (system.desk(), system.meter());
    let mut ids = serve(&meter, 2000);
    assert!(meter.drain(PATIENCE).await);
    drop(meter);
    let meter = system.meter();
    let began = Instant::now();
    ids.append(&mut serve(&meter, 3));
    while system.ids().await.len() < ids.len() {
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert!(began.elapsed() < PATIENCE);
    }
    println!("readable after {:?}", began.elapsed());
    assert!(meter.drain(PATIENCE).await);
    println!("out of the spool after {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!(system.ids().await, ids);
    desk.stop().await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_was_closed_before_redis_and_the_desk_came_arrives_when_they_do(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let mut system = System::start(pool, address).await;
    system.redis.kill();
    let (meter, desk) = (system.meter(), system.desk());
    let ids = serve_for(&meter, Duration::from_millis(300)).await;
    assert_eq!(meter.status().kept, ids.len());
    system.redis.start_again();
    assert!(meter.drain(PATIENCE).await);
    assert_eq!(system.ids().await, ids);
    desk.stop().await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_dead_proxys_open_records_are_abandoned_and_corrected_once(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let system = System::start(pool, address).await;
    let desk = system.desk();
    let meter = system.meter();
    let (asked, answered) = (record(), record());
    // The process dies: nothing is dropped, nothing is closed.
    std::mem::forget(meter.open(&asked).unwrap());
    meter.open(&answered).unwrap().close(&answered);
    assert!(!meter.drain(Duration::ZERO).await);
    // A test cannot let go of the file otherwise: the forgotten record holds the meter.
    let copy = tempfile::tempdir().unwrap();
    std::fs::copy(system.directory.path().join("spool"), copy.path().join("spool")).unwrap();
    let config = MeterConfig { directory: copy.path().to_owned(), ..system.meter_config() };
    let replayed = meter::replay(config, PATIENCE).await.unwrap();
    assert_eq!((replayed.found, replayed.posted), (2, 2));
    assert_eq!(outcomes(&system, asked.id).await, ("abandoned".to_owned(), "proxy_died".to_owned()));
    assert_eq!(outcomes(&system, answered.id).await.0, "answered");

    // It was alive after all, and comes back, and says so twice.
    let other = tempfile::tempdir().unwrap();
    let config = MeterConfig { directory: other.path().to_owned(), ..system.meter_config() };
    let meter = Meter::start(config).unwrap();
    for status in [200, 500] {
        meter.record(&UsageRecord { status, ..asked.clone() }).unwrap();
        while meter.status().kept > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    assert!(meter.drain(PATIENCE).await);
    assert_eq!(outcomes(&system, asked.id).await.0, "answered");
    let status: i32 = sqlx::query_scalar("select status from usage_known where id = $1")
        .bind(asked.id)
        .fetch_one(&system.store.pool)
        .await
        .unwrap();
    assert_eq!(status, 200);
    desk.stop().await;
}

async fn outcomes(system: &System, id: Uuid) -> (String, String) {
    sqlx::query_as("select outcome, cause from usage_known where id = $1")
        .bind(id)
        .fetch_one(&system.store.pool)
        .await
        .unwrap()
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_postgres_cannot_keep_holds_up_nothing(pool: PgPoolOptions, address: PgConnectOptions) {
    let system = System::start(pool, address).await;
    let (desk, meter) = (system.desk(), system.meter());
    let odd = [
        UsageRecord { id: Uuid::from_u128(1), ..record() },
        UsageRecord { path: "/\0".to_owned(), metadata: r#"{"a":"\u0000"}"#.to_owned(), ..record() },
        UsageRecord { metadata: r#"{"a":1e999999}"#.to_owned(), ..record() },
        UsageRecord { metadata: "[1]".to_owned(), ..record() },
        UsageRecord { metadata: "{".to_owned(), ..record() },
        UsageRecord { tokens: Tokens { input: u64::MAX, ..Tokens::default() }, ..record() },
        // A hundred days ago, and in the year 2099.
        UsageRecord { id: v7(OffsetDateTime::now_utc() - time::Duration::days(100)), ..record() },
        UsageRecord { id: v7(time::macros::datetime!(2099-12-31 23:59:59.999 UTC)), ..record() },
    ];
    odd.iter().for_each(|record| meter.record(record).unwrap());
    let mut ids = serve(&meter, 10);
    assert!(meter.drain(PATIENCE).await);
    ids.extend(odd[1..].iter().map(|record| record.id));
    assert_eq!(system.ids().await, ids);
    let unreadable: i64 = sqlx::query_scalar("select count(*) from usage_unreadable")
        .fetch_one(&system.store.pool)
        .await
        .unwrap();
    assert_eq!(unreadable, 1);
    desk.stop().await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_the_ledger_does_is_counted(pool: PgPoolOptions, address: PgConnectOptions) {
    let system = System::start(pool, address).await;
    // Tests may share a process, and its counters.
    let names = ["new", "corrected", "duplicate", "unreadable"];
    let before = names.map(|outcome| metric("tollgate_ledger_records_total", outcome));
    let (desk, meter) = (system.desk(), system.meter());
    let (asked, twice) = (record(), record());
    let abandoned = UsageRecord { outcome: Outcome::Abandoned, ..asked.clone() };
    let odd = UsageRecord { id: Uuid::from_u128(1), ..record() };
    for record in [&abandoned, &twice, &odd] {
        meter.record(record).unwrap();
    }
    while meter.status().kept > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for record in [&asked, &twice] {
        meter.record(record).unwrap();
    }
    assert!(meter.drain(PATIENCE).await);
    let after = names.map(|outcome| metric("tollgate_ledger_records_total", outcome));
    for ((outcome, least), (before, after)) in
        names.into_iter().zip([2.0, 1.0, 1.0, 1.0]).zip(before.into_iter().zip(after))
    {
        assert!(after - before >= least, "{outcome}: {before} to {after}");
    }
    assert!(metric("tollgate_ledger_eras_opened_total", "") >= 256.0);
    assert!(metric("tollgate_ledger_batch_seconds", "") >= 2.0);
    assert!(metric("tollgate_ledger_held", "") >= 1.0);
    let lag = OffsetDateTime::now_utc().unix_timestamp() as f64
        - metric("tollgate_ledger_posted_until_seconds", "");
    assert!(lag.abs() < 10.0, "{lag}");
    desk.stop().await;
}

/// What `/metrics` says; of a histogram, how often it was told something.
fn metric(name: &str, label: &str) -> f64 {
    let families = prometheus::gather();
    let family = families.iter().find(|family| family.name() == name);
    let all = family.map(|family| family.get_metric()).unwrap_or_default();
    let labelled =
        all.iter().find(|one| label.is_empty() || one.get_label().iter().any(|l| l.value() == label));
    labelled.map_or(0.0, |one| {
        let counted = one.get_histogram().get_sample_count() as f64;
        one.get_counter().get_value() + one.get_gauge().get_value() + counted
    })
}

fn v7(at: OffsetDateTime) -> Uuid {
    let random = Uuid::now_v7().as_u128() & ((1 << 80) - 1);
    let milliseconds = u128::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap();
    Uuid::from_u128(milliseconds << 80 | random)
}
