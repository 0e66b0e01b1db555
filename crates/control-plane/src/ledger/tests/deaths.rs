//! What must hold whatever dies: each record is in Postgres once.

use super::super::{LedgerError, READ};
use super::*;
use meter::desk;

#[sqlx::test(migrations = "../../migrations")]
async fn a_redis_that_is_killed_and_wiped_loses_nothing(pool: PgPoolOptions, address: PgConnectOptions) {
    let mut system = System::start(pool, address).await;
    let (desk, meter) = (system.desk(), system.meter());
    let mut ids = serve_for(&meter, Duration::from_millis(300)).await;
    system.redis.kill();
    ids.append(&mut serve_for(&meter, Duration::from_millis(300)).await);
    system.redis.start_empty();
    let began = Instant::now();
    ids.append(&mut serve_for(&meter, Duration::from_millis(300)).await);
    assert!(meter.drain(PATIENCE).await);
    println!("all posted {:?} after Redis came back", began.elapsed());
    assert_eq!(system.ids().await, ids);
    desk.stop().await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_redis_that_is_restarted_with_its_data_loses_nothing(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let mut system = System::start(pool, address).await;
    let (desk, meter) = (system.desk(), system.meter());
    let mut ids = BTreeSet::new();
    for _ in 0..3 {
        ids.append(&mut serve_for(&meter, Duration::from_millis(200)).await);
        system.redis.kill();
        system.redis.start_again();
    }
    assert!(meter.drain(PATIENCE).await);
    assert_eq!(system.ids().await, ids);
    desk.stop().await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_append_only_file_cut_back_loses_nothing(pool: PgPoolOptions, address: PgConnectOptions) {
    let mut system = System::start(pool, address).await;
    let (desk, meter) = (system.desk(), system.meter());
    let mut ids = serve_for(&meter, Duration::from_millis(300)).await;
    while meter.status().kept > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let before = system.redis.written();
    while system.redis.written() <= before + 7 {
        ids.append(&mut serve_for(&meter, Duration::from_millis(300)).await);
    }
    system.redis.kill();
    // Not at the end of a command either: what is torn goes as well.
    system.redis.cut_back_to(before + 7);
    system.redis.start_again();
    ids.append(&mut serve_for(&meter, Duration::from_millis(300)).await);
    assert!(meter.drain(PATIENCE).await);
    assert_eq!(system.ids().await, ids);
    desk.stop().await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_living_redis_that_is_emptied_or_forgets_its_scripts_loses_nothing(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let system = System::start(pool, address).await;
    let (desk, meter) = (system.desk(), system.meter());
    let mut ids = BTreeSet::new();
    for command in ["FLUSHALL", "SCRIPT FLUSH", "FLUSHALL"] {
        ids.append(&mut serve_for(&meter, Duration::from_millis(200)).await);
        assert_eq!(system.redis.command(command), "+OK\r\n");
    }
    ids.append(&mut serve_for(&meter, Duration::from_millis(200)).await);
    assert!(meter.drain(PATIENCE).await);
    assert_eq!(system.ids().await, ids);
    desk.stop().await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_desk_that_dies_between_commit_and_its_word_to_redis_is_followed_by_one_that_repeats_it(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let system = System::start(pool, address).await;
    let mut dying = ledger(&system).await;
    let meter = system.meter();
    let ids = serve(&meter, 300);
    let mut entries = Vec::new();
    while entries.iter().map(|entry: &desk::Entry| entry.records.len()).sum::<usize>() < ids.len() {
        entries = dying.redis.read(&dying.places, READ).await.unwrap();
    }
    dying.points.deadly = Some("desk_committed");
    assert!(matches!(dying.post(entries).await, Err(LedgerError::Died(_))));
    assert_eq!(system.ids().await, ids);
    assert_eq!(meter.status().kept, ids.len());
    drop(dying);

    let desk = system.desk();
    assert!(meter.drain(PATIENCE).await, "{:?}", meter.status());
    assert_eq!(system.ids().await, ids);
    desk.stop().await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_desk_that_was_succeeded_can_write_nothing(pool: PgPoolOptions, address: PgConnectOptions) {
    let system = System::start(pool, address).await;
    let mut old = ledger(&system).await;
    let meter = system.meter();
    serve(&meter, 10);
    let entries = old.redis.read(&old.places, READ).await.unwrap();
    assert!(!entries.is_empty());
    store::shards::take_over(&system.store).await.unwrap();
    assert!(matches!(old.post(entries).await, Err(LedgerError::Succeeded)));
    assert!(system.ids().await.is_empty());
}

#[sqlx::test(migrations = "../../migrations")]
async fn of_two_control_planes_one_runs_the_desks_and_the_other_takes_over(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let system = System::start(pool, address).await;
    let desks = [system.desk(), system.desk()];
    let meter = system.meter();
    let mut ids = serve_for(&meter, Duration::from_millis(300)).await;
    // Postgres drops every connection, the lock's among them, three times.
    for _ in 0..3 {
        let _ = sqlx::query("select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and datname = current_database() and usename = current_user")
            .execute(&system.store.pool)
            .await;
        ids.append(&mut serve_for(&meter, Duration::from_millis(200)).await);
    }
    assert!(meter.drain(PATIENCE).await);
    assert_eq!(system.ids().await, ids);
    for desk in desks {
        desk.stop().await;
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_postgres_restored_to_an_older_state_reads_what_redis_still_has(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let system = System::start(pool, address.clone()).await;
    let (desk, meter) = (system.desk(), system.meter());
    serve(&meter, 100);
    while meter.status().kept > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // An era that the restored Postgres will not know.
    system.redis.command("SCRIPT FLUSH");
    let mut ids = serve(&meter, 100);
    assert!(meter.drain(PATIENCE).await);
    desk.stop().await;

    let owner = sqlx::PgPool::connect_with(address).await.unwrap();
    sqlx::raw_sql(
        "alter table usage_records disable trigger all; truncate usage_records;
         update money_shards set era = 1, position = '0-0'",
    )
    .execute(&owner)
    .await
    .unwrap_err();
    // Evidence cannot even be truncated by its owner; a restored server simply has other tables.
    sqlx::raw_sql(
        "do $$ declare name text; begin
           for name in select inhrelid::regclass from pg_inherits where inhparent = 'usage_records'::regclass
           loop execute 'drop table ' || name; end loop; end $$;
         update money_shards set era = 1, position = '0-0'",
    )
    .execute(&owner)
    .await
    .unwrap();
    assert!(system.ids().await.is_empty());

    let desk = system.desk();
    let meter = {
        drop(meter);
        system.meter()
    };
    ids.append(&mut serve(&meter, 10));
    assert!(meter.drain(PATIENCE).await);
    assert!(system.ids().await.is_superset(&ids));
    assert_eq!(system.ids().await.len(), 210);
    desk.stop().await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_redis_short_of_memory_leaves_records_in_the_spool(pool: PgPoolOptions, address: PgConnectOptions) {
    let system = System::start(pool, address).await;
    let (desk, meter) = (system.desk(), system.meter());
    let mut ids = serve(&meter, 10);
    while meter.status().kept > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(system.redis.command("CONFIG SET maxmemory 1"), "+OK\r\n");
    // What is sent before the meter has asked for the memory again still arrives.
    let began = Instant::now();
    while meter.status().kept < 10 {
        assert!(began.elapsed() < PATIENCE, "records do not stay in the spool");
        ids.append(&mut serve(&meter, 1));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    system.redis.command("CONFIG SET maxmemory 0");
    assert!(meter.drain(PATIENCE).await);
    assert_eq!(system.ids().await, ids);
    desk.stop().await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_redis_without_any_memory_left_still_hears_what_is_posted(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let system = System::start(pool, address).await;
    drop(ledger(&system).await);
    let meter = system.meter();
    let ids = serve(&meter, 10);
    let sent = || system.redis.command("INFO commandstats").contains("cmdstat_xadd");
    while !sent() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    system.redis.command("CONFIG SET maxmemory 1");
    let desk = system.desk();
    assert!(meter.drain(PATIENCE).await);
    assert_eq!(system.ids().await, ids);
    desk.stop().await;
}
