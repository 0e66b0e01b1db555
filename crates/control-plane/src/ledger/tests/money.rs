//! Usage on credits: charged once, exactly, from what is there.

use model::usage::{KeySource, Measure, Outcome, Reserved, Tokens, UsageRecord};
use store::ledger::{self as books, Cause, CauseKind, Source, Used};

use super::office::Office;
use super::proxy::{charged, counting};
use super::*;
use model::Nanos;

#[sqlx::test(migrations = "../../migrations")]
async fn a_request_is_charged_once_however_often_it_is_sent(pool: PgPoolOptions, address: PgConnectOptions) {
    let mut office = Office::start(pool, address).await;
    let account = office.account(100).await;
    let (mut proxy, mut other) = (office.proxy(), office.proxy());
    let record = charged(account, 7, 10);
    office.held(&mut proxy, &record).await;
    assert_eq!(office.money(account).await, (90, 10, 0, 100));
    proxy.settle(std::slice::from_ref(&record)).await.unwrap();
    assert_eq!(office.money(account).await, (93, 0, 7, 100));
    office.catch_up().await;
    assert_eq!(office.money(account).await, (93, 0, 0, 93));
    // Again by the same proxy, by another, and in one batch with others.
    proxy.settle(std::slice::from_ref(&record)).await.unwrap();
    other.settle(&[record.clone(), charged(account, 0, 0)]).await.unwrap();
    // And once with a hold of its own, from which it takes what it had paid before.
    office.held(&mut other, &record).await;
    other.settle(std::slice::from_ref(&record)).await.unwrap();
    office.catch_up().await;
    assert_eq!(office.money(account).await, (93, 0, 0, 93));
    assert_eq!(office.known(&record).await, Some((7, 7, "answered".to_owned())));
    office.check().await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_a_hold_lacks_is_taken_from_what_is_free_and_the_rest_is_the_operators(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let mut office = Office::start(pool, address).await;
    let account = office.account(30).await;
    let mut proxy = office.proxy();
    let (dear, dearest, held) = (charged(account, 15, 10), charged(account, 40, 10), charged(account, 5, 5));
    for record in [&dear, &dearest, &held] {
        office.held(&mut proxy, record).await;
    }
    assert_eq!(office.money(account).await, (5, 25, 0, 30));
    proxy.settle(&[dear.clone(), dearest.clone()]).await.unwrap();
    office.catch_up().await;
    // Five were free; the other five are held for somebody.
    assert_eq!(office.known(&dear).await.unwrap().1, 15);
    assert_eq!(office.known(&dearest).await.unwrap().1, 10);
    assert_eq!(office.money(account).await, (0, 5, 0, 5));
    assert_eq!(office.shortfall().await, 30);
    office.check().await;

    // What comes without a hold takes what is free by then.
    office.deposit(account, 4).await;
    let late = charged(account, 6, 6);
    proxy.settle(std::slice::from_ref(&late)).await.unwrap();
    office.catch_up().await;
    assert_eq!(office.known(&late).await.unwrap().1, 4);
    proxy.settle(std::slice::from_ref(&held)).await.unwrap();
    office.catch_up().await;
    assert_eq!(office.money(account).await, (0, 0, 0, 0));
    assert_eq!(office.shortfall().await, 32);
    office.check().await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_silent_proxys_requests_are_abandoned_and_corrected_once(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let mut office = Office::start(pool, address).await;
    let account = office.account(100).await;
    let mut proxy = office.proxy();
    let (dearer, free) = (charged(account, 8, 10), charged(account, 0, 10));
    for record in [&dearer, &free] {
        office.held(&mut proxy, record).await;
    }
    office.round().await;
    office.times.silence = Duration::ZERO;
    office.round().await;
    office.round().await;
    // Each is charged its input.
    assert_eq!(office.known(&dearer).await, Some((1, 1, "abandoned".to_owned())));
    assert_eq!(office.money(account).await, (98, 0, 0, 98));
    office.check().await;
    assert_eq!(proxy.hold(&charged(account, 1, 1)).await, meter::protocol::calls::Held::Dead);

    // It was alive after all.
    proxy.settle(&[dearer.clone(), free.clone()]).await.unwrap();
    office.catch_up().await;
    assert_eq!(office.known(&dearer).await, Some((8, 8, "answered".to_owned())));
    assert_eq!(office.known(&free).await, Some((0, 0, "answered".to_owned())));
    assert_eq!(office.money(account).await, (92, 0, 0, 92));
    let dearest = UsageRecord { charge: Nanos(50), ..dearer.clone() };
    proxy.settle(&[dearest]).await.unwrap();
    let abandoned = UsageRecord { outcome: Outcome::Abandoned, charge: Nanos(1), ..dearer };
    proxy.settle(&[abandoned]).await.unwrap();
    office.catch_up().await;
    assert_eq!(office.money(account).await, (92, 0, 0, 92));
    office.check().await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn promotions_are_spent_first_and_expire_without_taking_what_is_held(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let mut office = Office::start(pool, address).await;
    let account = office.account(0).await;
    let promote = async |name: &str, amount, seconds| {
        let mut tx = office.system.store.pool.begin().await.unwrap();
        let at = OffsetDateTime::now_utc() + time::Duration::seconds(seconds);
        let cause = Cause::new(CauseKind::Promotion, name);
        books::grant_promotion(&mut tx, account, Nanos(amount), at, &cause, "").await.unwrap();
        tx.commit().await.unwrap();
    };
    // By the time the desk looks at withdrawals, the hold below is there.
    promote("past", 20, -1).await;
    let mut proxy = office.proxy();
    let record = charged(account, 5, 12);
    let desk = office.desk().await;
    desk.ensure_loaded(&[account]).await.unwrap();
    assert!(matches!(proxy.hold(&record).await, meter::protocol::calls::Held::Granted { .. }));
    office.catch_up().await;
    // Eight were free and have expired; what is held has not.
    assert_eq!(office.money(account).await, (0, 12, 0, 12));
    office.check().await;
    proxy.settle(std::slice::from_ref(&record)).await.unwrap();
    office.catch_up().await;
    assert_eq!(office.known(&record).await.unwrap().1, 5);
    assert_eq!(office.money(account).await, (7, 0, 0, 7));
    office.check().await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_arrives_can_be_spent_and_is_told_once(pool: PgPoolOptions, address: PgConnectOptions) {
    let mut office = Office::start(pool, address).await;
    let account = office.account(5).await;
    let mut proxy = office.proxy();
    let record = charged(account, 5, 5);
    office.held(&mut proxy, &record).await;
    for _ in 0..3 {
        office.deposit(account, 10).await;
    }
    office.catch_up().await;
    assert_eq!(office.money(account).await, (30, 5, 0, 35));
    assert!(books::unacknowledged_credits(&office.system.store, None, 10).await.unwrap().is_empty());
    office.check().await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn counts_are_kept_for_a_redis_that_loses_them(pool: PgPoolOptions, address: PgConnectOptions) {
    let mut office = Office::start(pool, address).await;
    let account = office.account(100).await;
    let reserved = |measure: Measure, window| Reserved {
        counter: format!("c-{}", measure.as_str()),
        measure,
        window,
        amount: 10,
    };
    let spend = vec![reserved(Measure::Spend, 41)];
    let next = vec![reserved(Measure::Spend, 42), reserved(Measure::Requests, 42)];
    let mut proxy = office.proxy();
    let records = [
        counting(charged(account, 7, 10), spend.clone()),
        counting(charged(account, 3, 10), spend),
        counting(charged(account, 4, 10), next),
    ];
    proxy.settle(&records).await.unwrap();
    proxy.settle(&records[..1]).await.unwrap();
    office.catch_up().await;
    let mut connection = office.system.store.pool.acquire().await.unwrap();
    let used = books::used(&mut connection, &[account]).await.unwrap();
    let used: Vec<_> = used.iter().map(|Used { window, amount, .. }| (*window, *amount)).collect();
    assert_eq!(used, [(41, 10), (42, 4)]);

    // Loaded or not, what was sent twice counts once.
    let counts = async |office: &mut Office| {
        let desk = office.desk().await;
        let era = desk.place(account.shard()).unwrap().era;
        let names = ["c-spend", "c-requests"];
        let counts = desk.redis.counts(account.shard(), era, account, &names).await.unwrap();
        counts
            .into_iter()
            .flatten()
            .map(|count| (count.window, count.count, count.former))
            .collect::<Vec<_>>()
    };
    office.desk().await.ensure_loaded(&[account]).await.unwrap();
    assert_eq!(counts(&mut office).await, [(42, 4, 10), (42, 1, 0)]);
    proxy.settle(&records[..1]).await.unwrap();
    office.catch_up().await;
    assert_eq!(counts(&mut office).await, [(42, 4, 10), (42, 1, 0)]);
    office.check().await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn usage_without_credits_leaves_the_ledger_alone(pool: PgPoolOptions, address: PgConnectOptions) {
    let mut office = Office::start(pool, address).await;
    let mut proxy = office.proxy();
    let own = record();
    proxy.settle(std::slice::from_ref(&own)).await.unwrap();
    office.catch_up().await;
    assert_eq!(office.system.ids().await, BTreeSet::from([own.id]));
    let touched: i64 = sqlx::query_scalar("select count(*) from ledger_accounts")
        .fetch_one(&office.system.store.pool)
        .await
        .unwrap();
    assert_eq!(touched, 0);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_desk_that_was_succeeded_moves_no_money(pool: PgPoolOptions, address: PgConnectOptions) {
    let owner = sqlx::PgPool::connect_with(address.clone()).await.unwrap();
    let mut office = Office::start(pool, address).await;
    let account = office.account(20).await;
    let mut proxy = office.proxy();
    let record = charged(account, 15, 10);
    office.held(&mut proxy, &record).await;
    proxy.settle(std::slice::from_ref(&record)).await.unwrap();
    let mut old = office.desk.take().unwrap();
    let entries = old.redis.read(&old.places, Duration::ZERO).await.unwrap();
    // It has lost its lock, and does not know.
    let lost = sqlx::query(
        "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'
         and database = (select oid from pg_database where datname = current_database())",
    );
    lost.execute(&owner).await.unwrap();
    office.round().await;
    office.catch_up().await;
    assert_eq!(office.money(account).await, (5, 0, 0, 5));
    let posted = old.post(entries).await;
    assert!(matches!(posted, Err(super::super::LedgerError::Succeeded)), "{posted:?}");
    old.loaded.clear();
    let loaded = old.ensure_loaded(&[account]).await;
    assert!(matches!(loaded, Err(super::super::LedgerError::Succeeded)), "{loaded:?}");
    assert_eq!(office.money(account).await, (5, 0, 0, 5));
    office.check().await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn figures_that_nobody_can_mean_hold_up_nothing(pool: PgPoolOptions, address: PgConnectOptions) {
    let mut office = Office::start(pool, address).await;
    let account = office.account(100).await;
    let mut proxy = office.proxy();
    let reserved = [Measure::Spend, Measure::Tokens].map(|measure| Reserved {
        counter: measure.as_str().to_owned(),
        measure,
        window: 41,
        amount: 10,
    });
    // As a provider of the tenant's own may report them.
    let absurd = || {
        let record = counting(charged(account, i64::MAX, 0), reserved.to_vec());
        UsageRecord { tokens: Tokens { input: u64::MAX, output: u64::MAX, ..Tokens::default() }, ..record }
    };
    for _ in 0..2 {
        let own = UsageRecord { key_source: Some(KeySource::Request), charge: Nanos::ZERO, ..absurd() };
        proxy
            .settle(&[absurd(), absurd(), own.clone(), UsageRecord { id: Uuid::now_v7(), ..own }])
            .await
            .unwrap();
        office.round().await;
    }
    let plain = charged(account, 0, 0);
    proxy.settle(std::slice::from_ref(&plain)).await.unwrap();
    office.catch_up().await;
    assert!(office.known(&plain).await.is_some());
    assert_eq!(office.system.ids().await.len(), 9);
    // All that there was is taken, and not a nano-dollar more.
    assert_eq!(office.money(account).await, (0, 0, 0, 0));
    office.desk().await.ensure_loaded(&[account]).await.unwrap();
    office.check().await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_cannot_be_read_gives_back_what_it_took(pool: PgPoolOptions, address: PgConnectOptions) {
    let mut office = Office::start(pool, address).await;
    let account = office.account(100).await;
    let mut proxy = office.proxy();
    let record = charged(account, 7, 10);
    office.held(&mut proxy, &record).await;
    // As a newer proxy may say it: its outcome means nothing here.
    proxy.settle_as(&[record], |wire| wire.outcome = 1000).await.unwrap();
    assert_eq!(office.money(account).await, (93, 0, 7, 100));
    office.catch_up().await;
    assert_eq!(office.money(account).await, (100, 0, 0, 100));
    let kept: i64 = sqlx::query_scalar("select count(*) from usage_unreadable")
        .fetch_one(&office.system.store.pool)
        .await
        .unwrap();
    assert_eq!(kept, 1);
    office.check().await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn very_many_deposits_and_counters_are_told_in_parts(pool: PgPoolOptions, address: PgConnectOptions) {
    let mut office = Office::start(pool, address).await;
    let account = office.account(5).await;
    let other = AccountId(Uuid::from_u128(account.0.as_u128() ^ 1 << 80));
    let mut tx = office.system.store.pool.begin().await.unwrap();
    let used = |account, number: i64| Used {
        account,
        counter: format!("c{number}"),
        measure: Measure::Spend,
        window: 41,
        amount: number,
    };
    let counters = (1..=700).map(|number| used(account, number)).chain([used(other, 9)]);
    books::add_used(&mut tx, &counters.collect::<Vec<_>>()).await.unwrap();
    tx.commit().await.unwrap();
    let desk = office.desk().await;
    desk.ensure_loaded(&[other, account]).await.unwrap();
    let era = desk.place(account.shard()).unwrap().era;
    let counts = async |desk: &mut Ledger, account: AccountId, counter: &str| {
        let counts = desk.redis.counts(account.shard(), era, account, &[counter]).await.unwrap();
        counts[0].map(|count| count.count)
    };
    assert_eq!(counts(desk, account, "c1").await, Some(1));
    assert_eq!(counts(desk, account, "c700").await, Some(700));
    assert_eq!(counts(desk, other, "c9").await, Some(9));

    let mut tx = office.system.store.pool.begin().await.unwrap();
    for number in 0..650 {
        let cause = Cause::new(CauseKind::Payment, number.to_string());
        let from = Source::Payment { fee: Nanos::ZERO };
        books::deposit(&mut tx, account, Nanos(1), from, &cause, "").await.unwrap();
    }
    tx.commit().await.unwrap();
    office.desk().await.pass_on_credits().await.unwrap();
    assert!(books::unacknowledged_credits(&office.system.store, None, 10).await.unwrap().is_empty());
    assert_eq!(office.money(account).await, (655, 0, 0, 655));
    office.check().await;
}
