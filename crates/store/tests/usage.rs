//! Usage records as evidence: written once, found by their gateway, changed by nobody.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop where it fails")]

mod records;

use model::id::GatewayInternalId;
use model::money::Nanos;
use model::usage::{Outcome, UsageRecord};
use model::{AccountId, Shard};
use records::{ensure, record};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use store::shards::{self, AdvanceError, MoneyShard, Pending, PendingAccount};
use store::usage::{self, Inserted};
use store::{Store, logs};
use time::macros::date;
use uuid::Uuid;

#[sqlx::test(migrations = "../../migrations")]
async fn a_record_that_comes_again_is_the_same_row(pool: PgPoolOptions, address: PgConnectOptions) {
    let store = Store::open(pool, address).await.unwrap();
    let batch = [record(1), record(2), record(1)];
    ensure(&store, &batch).await;
    let mut connection = store.pool.acquire().await.unwrap();
    let first = usage::insert(&mut connection, &batch).await.unwrap();
    assert_eq!(first, Inserted { new: 2, corrected: 0 });
    let again = usage::insert(&mut connection, &batch).await.unwrap();
    assert_eq!(again, Inserted::default());
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_real_record_corrects_an_abandoned_one_once(pool: PgPoolOptions, address: PgConnectOptions) {
    let store = Store::open(pool, address).await.unwrap();
    let real = record(1);
    let abandoned = UsageRecord { outcome: Outcome::Abandoned, status: 0, ..real.clone() };
    ensure(&store, std::slice::from_ref(&real)).await;
    let mut connection = store.pool.acquire().await.unwrap();
    // In one batch, in the worse order; and then again.
    let batch = [abandoned, real.clone()];
    let inserted = usage::insert(&mut connection, &batch).await.unwrap();
    assert_eq!(inserted, Inserted { new: 1, corrected: 1 });
    let late = UsageRecord { status: 500, ..real.clone() };
    assert_eq!(usage::insert(&mut connection, &[late]).await.unwrap(), Inserted::default());
    let log = logs::get(&store, real.gateway, real.id).await.unwrap().unwrap();
    assert_eq!((log.outcome.as_str(), log.status_code), ("answered", 200));
}

#[sqlx::test(migrations = "../../migrations")]
async fn neither_the_runtime_role_nor_the_owner_changes_a_record(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let owner = sqlx::PgPool::connect_with(address.clone()).await.unwrap();
    let store = Store::open(pool, address).await.unwrap();
    let record = record(1);
    ensure(&store, std::slice::from_ref(&record)).await;
    usage::insert(&mut store.pool.acquire().await.unwrap(), &[record]).await.unwrap();
    let partition: String = sqlx::query_scalar("select tableoid::regclass::text from usage_records")
        .fetch_one(&owner)
        .await
        .unwrap();
    for (pool, code) in [(&store.pool, "42501"), (&owner, "23001")] {
        for table in ["usage_records", &partition] {
            for change in [
                format!("update {table} set cost = 0"),
                format!("delete from {table}"),
                format!("truncate {table}"),
            ] {
                let error = sqlx::query(sqlx::AssertSqlSafe(change.clone())).execute(pool).await.unwrap_err();
                let found = error.as_database_error().unwrap().code().unwrap().into_owned();
                assert_eq!(found, code, "{change}");
            }
        }
    }
    for theft in ["alter table usage_records disable trigger all", "drop table usage_records"] {
        assert!(sqlx::query(theft).execute(&store.pool).await.is_err(), "{theft}");
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn days_are_utc_and_made_once_by_whoever_comes_first(pool: PgPoolOptions, address: PgConnectOptions) {
    let store = Store::open(pool, address).await.unwrap();
    assert_eq!(usage::day(Uuid::from_u128(1)), None);
    let last = "01941f297bff7000800000000000ffff".parse().unwrap();
    let next = "01941f297c007000800000000000ffff".parse().unwrap();
    assert_eq!(
        (usage::day(last), usage::day(next)),
        (Some(date!(2024 - 12 - 31)), Some(date!(2025 - 01 - 01)))
    );
    let day = date!(2024 - 12 - 31);
    let (one, other) = tokio::join!(usage::ensure_day(&store, day), usage::ensure_day(&store, day));
    one.and(other).unwrap();
    let batch = [last, next].map(|id| UsageRecord { id, ..record(1) });
    let mut connection = store.pool.acquire().await.unwrap();
    assert!(usage::insert(&mut connection, &batch).await.is_err());
    assert_eq!(usage::insert(&mut connection, &batch[..1]).await.unwrap().new, 1);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_desk_moves_on_until_another_takes_over(pool: PgPoolOptions, address: PgConnectOptions) {
    let store = Store::open(pool, address).await.unwrap();
    let (old, places) = shards::take_over(&store).await.unwrap();
    assert_eq!(places.len(), 256);
    let place = |era, position: &str| MoneyShard {
        shard: Shard(7),
        era,
        position: position.to_owned(),
        pending: None,
        incarnations: Vec::new(),
    };
    let mut connection = store.pool.acquire().await.unwrap();
    shards::raise(&store, old, &[place(1, "0-0")]).await.unwrap();
    shards::advance(&mut connection, old, &[place(1, "5-0")]).await.unwrap();
    // Of another era, and of an era that is past.
    let wrong = shards::advance(&mut connection, old, &[place(2, "6-0")]).await;
    assert!(matches!(wrong, Err(AdvanceError::Succeeded)));
    assert!(matches!(shards::raise(&store, old, &[place(1, "0-0")]).await, Err(AdvanceError::Succeeded)));

    let account = AccountId(Uuid::from_u128(7));
    let told = PendingAccount { account, unposted: Nanos(5), back: Nanos(1) };
    let pending = Some(Pending { accounts: vec![told], ..Pending::default() });
    let with_pending = MoneyShard { pending, ..place(1, "5-1") };
    shards::advance(&mut connection, old, std::slice::from_ref(&with_pending)).await.unwrap();
    let seen = vec![Uuid::from_u128(9)];
    shards::note_incarnations(&store, old, &[(Shard(7), seen.clone())]).await.unwrap();

    let (new, places) = shards::take_over(&store).await.unwrap();
    assert!(places.contains(&MoneyShard { incarnations: seen.clone(), ..with_pending }));
    let noted = shards::note_incarnations(&store, old, &[(Shard(7), Vec::new())]).await;
    assert!(matches!(noted, Err(AdvanceError::Succeeded)));
    assert!(matches!(shards::keep(&mut connection, old, Shard(7)).await, Err(AdvanceError::Succeeded)));
    shards::keep(&mut connection, new, Shard(7)).await.unwrap();
    let late = shards::advance(&mut connection, old, &[place(1, "6-0")]).await;
    assert!(matches!(late, Err(AdvanceError::Succeeded)));
    shards::advance(&mut connection, new, &[place(1, "6-0")]).await.unwrap();
    // What is said of an era ends with it; who must declare in the next does not.
    shards::raise(&store, new, &[place(2, "0-0")]).await.unwrap();
    let standing = shards::standing(&mut connection).await.unwrap();
    assert_eq!(standing[7], MoneyShard { incarnations: seen, ..place(2, "0-0") });
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_page_of_logs_is_read_from_the_gateways_index(pool: PgPoolOptions, address: PgConnectOptions) {
    let owner = sqlx::PgPool::connect_with(address.clone()).await.unwrap();
    let store = Store::open(pool, address).await.unwrap();
    let of_some_gateway = |number: u64| UsageRecord {
        gateway: GatewayInternalId(Uuid::from_u128(u128::from(number % 50))),
        ..record(number)
    };
    let batch: Vec<_> = (0..5000).map(of_some_gateway).collect();
    ensure(&store, &batch).await;
    let mut connection = store.pool.acquire().await.unwrap();
    usage::insert(&mut connection, &batch).await.unwrap();
    sqlx::query("analyze").execute(&owner).await.unwrap();
    let plan: Vec<String> = sqlx::query_scalar(
        "explain select * from logs where gateway_id = '00000000-0000-0000-0000-000000000007'
         order by id desc limit 20",
    )
    .fetch_all(&mut *connection)
    .await
    .unwrap();
    let plan = plan.join("\n");
    assert!(
        plan.contains("gateway_id_id_idx")
            && !plan.contains("Sort")
            && !plan.contains("Seq Scan on usage_records"),
        "{plan}"
    );
}
