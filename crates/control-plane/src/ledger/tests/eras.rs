//! New eras with money on its way: nothing is overspent, lost or charged twice.

use model::Nanos;

use super::office::Office;
use super::proxy::charged;
use super::*;

#[sqlx::test(migrations = "../../migrations")]
async fn living_proxies_keep_their_holds_through_a_wiped_redis(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let mut office = Office::start(pool, address).await;
    let account = office.account(30).await;
    let mut proxy = office.proxy();
    let (unposted, held) = (charged(account, 8, 10), charged(account, 9, 10));
    for record in [&unposted, &held] {
        office.held(&mut proxy, record).await;
    }
    office.round().await;
    // It is in the stream when that is wiped, and its proxy has not been told that it is posted.
    proxy.settle(std::slice::from_ref(&unposted)).await.unwrap();
    office.system.redis.command("FLUSHALL");
    office.system.redis.command("SCRIPT FLUSH");
    office.round().await;
    // Who held money is waited for.
    for _ in 0..3 {
        office.round().await;
        assert!(!office.desk().await.openings.is_empty());
    }
    proxy.settle(std::slice::from_ref(&unposted)).await.unwrap();
    assert!(proxy.declare(account.shard(), &[&held]).await);
    office.catch_up().await;
    assert!(office.desk().await.openings.is_empty());
    let next = charged(account, 12, 12);
    office.held(&mut proxy, &next).await;
    // 30 less 8 that were posted, 10 that are held and 12 that are held now: the balance affords all of it.
    assert_eq!(office.money(account).await, (0, 22, 0, 22));
    proxy.settle(&[held, next]).await.unwrap();
    office.catch_up().await;
    assert_eq!(office.money(account).await, (1, 0, 0, 1));
    assert_eq!(office.shortfall().await, 0);
    office.check().await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_a_record_lacks_is_not_taken_from_what_others_hold(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let mut office = Office::start(pool, address).await;
    let account = office.account(16).await;
    let (mut one, mut other) = (office.proxy(), office.proxy());
    let (dear, held) = (charged(account, 9, 8), charged(account, 8, 8));
    office.held(&mut one, &dear).await;
    office.held(&mut other, &held).await;
    office.round().await;
    one.settle(std::slice::from_ref(&dear)).await.unwrap();
    // The stream is there after the restart, but the scripts are not.
    office.system.redis.command("SCRIPT FLUSH");
    office.round().await;
    assert!(office.known(&dear).await.is_none(), "it waits until it can be seen what is free");
    one.declare(account.shard(), &[]).await;
    other.declare(account.shard(), &[&held]).await;
    office.catch_up().await;
    assert_eq!(office.known(&dear).await.unwrap().1, 8);
    assert_eq!(office.money(account).await, (0, 8, 0, 8));
    other.settle(&[held]).await.unwrap();
    office.catch_up().await;
    assert_eq!(office.money(account).await, (0, 0, 0, 0));
    assert_eq!(office.shortfall().await, 1);
    office.check().await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_proxy_that_died_with_its_era_is_charged_its_input(pool: PgPoolOptions, address: PgConnectOptions) {
    let mut office = Office::start(pool, address).await;
    let account = office.account(30).await;
    let (mut dead, mut living) = (office.proxy(), office.proxy());
    let (lost, held) = (charged(account, 9, 10), charged(account, 5, 10));
    office.held(&mut dead, &lost).await;
    office.held(&mut living, &held).await;
    office.round().await;
    office.system.redis.command("SCRIPT FLUSH");
    office.round().await;
    living.declare(account.shard(), &[&held]).await;
    office.round().await;
    assert!(!office.desk().await.openings.is_empty());
    // The desk waits no longer; the other one lives by then, and is told so.
    office.times.silence = Duration::ZERO;
    let desk = office.desk().await;
    desk.open_eras().await.unwrap();
    office.times.silence = Duration::from_secs(30);
    assert_eq!(office.known(&lost).await, Some((1, 1, "abandoned".to_owned())));
    living.settle(&[held]).await.unwrap();
    office.catch_up().await;
    assert_eq!(office.balance(account).await, 24);
    // It comes back after all, late, with its hold and then with its record.
    dead.declare(account.shard(), &[&lost]).await;
    dead.settle(std::slice::from_ref(&lost)).await.unwrap();
    office.catch_up().await;
    assert_eq!(office.known(&lost).await, Some((9, 9, "answered".to_owned())));
    office.desk().await.ensure_loaded(&[account]).await.unwrap();
    assert_eq!(office.money(account).await, (16, 0, 0, 16));
    office.check().await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_proxy_that_died_before_an_era_that_never_opened_is_charged_its_input(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let mut office = Office::start(pool, address).await;
    let account = office.account(30).await;
    let (mut dead, mut living) = (office.proxy(), office.proxy());
    let (lost, held) = (charged(account, 9, 10), charged(account, 5, 10));
    office.held(&mut dead, &lost).await;
    office.held(&mut living, &held).await;
    office.round().await;
    for _ in 0..2 {
        office.system.redis.command("SCRIPT FLUSH");
        office.round().await;
    }
    living.declare(account.shard(), &[&held]).await;
    office.times.silence = Duration::ZERO;
    office.desk().await.open_eras().await.unwrap();
    office.times.silence = Duration::from_secs(30);
    assert_eq!(office.known(&lost).await, Some((1, 1, "abandoned".to_owned())));
    living.settle(&[held]).await.unwrap();
    office.catch_up().await;
    assert_eq!(office.balance(account).await, 24);
    let holds = office.system.redis.command(&format!("KEYS {}:*:h:*", account.shard()));
    assert_eq!(holds, "*0\r\n", "of no era is anything left");
    office.check().await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn deposits_wait_for_an_era_to_open(pool: PgPoolOptions, address: PgConnectOptions) {
    let mut office = Office::start(pool, address).await;
    let account = office.account(5).await;
    let mut proxy = office.proxy();
    let held = charged(account, 5, 5);
    office.held(&mut proxy, &held).await;
    office.round().await;
    office.system.redis.command("SCRIPT FLUSH");
    office.round().await;
    office.deposit(account, 7).await;
    office.round().await;
    let waiting = store::ledger::unacknowledged_credits(&office.system.store, None, 10).await.unwrap();
    assert_eq!(waiting.iter().map(|credit| credit.amount).collect::<Vec<_>>(), [Nanos(7)]);
    proxy.declare(account.shard(), &[&held]).await;
    office.catch_up().await;
    assert!(store::ledger::unacknowledged_credits(&office.system.store, None, 10).await.unwrap().is_empty());
    office.held(&mut proxy, &charged(account, 7, 7)).await;
    assert_eq!(office.money(account).await, (0, 12, 0, 12));
    office.check().await;
}
