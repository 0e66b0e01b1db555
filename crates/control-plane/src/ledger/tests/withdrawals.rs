//! Money that leaves while requests are under way.

use model::{AccountId, Nanos};
use store::ledger::{self as books, Cause, CauseKind, Destination, Missing, State, Withdrawn};

use super::office::Office;
use super::proxy::charged;
use super::*;

async fn ask(office: &Office, account: AccountId, nanos: i64, missing: Missing, kind: CauseKind) -> Uuid {
    let mut tx = office.system.store.pool.begin().await.unwrap();
    let cause = Cause::new(kind, Uuid::now_v7().to_string());
    let (amount, to) = (Nanos(nanos), Destination::Payment);
    let asked = books::request_withdrawal(&mut tx, account, amount, to, missing, &cause, "");
    let id = asked.await.unwrap();
    tx.commit().await.unwrap();
    id
}

async fn outcome(office: &Office, id: Uuid) -> (State, Option<(i64, i64)>) {
    let withdrawal = books::withdrawal(&office.system.store, id).await.unwrap().unwrap();
    let outcome = withdrawal.outcome.map(|Withdrawn { taken, owed, .. }| (taken.0, owed.0));
    (withdrawal.state, outcome)
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_refund_takes_nothing_that_is_held(pool: PgPoolOptions, address: PgConnectOptions) {
    let mut office = Office::start(pool, address).await;
    let account = office.account(100).await;
    let mut proxy = office.proxy();
    let record = charged(account, 40, 60);
    office.held(&mut proxy, &record).await;
    let too_much = ask(&office, account, 50, Missing::Refuse, CauseKind::Refund).await;
    let fitting = ask(&office, account, 40, Missing::Refuse, CauseKind::Refund).await;
    office.catch_up().await;
    assert_eq!(outcome(&office, too_much).await, (State::Finished, Some((0, 0))));
    assert_eq!(outcome(&office, fitting).await, (State::Finished, Some((40, 0))));
    assert_eq!(office.money(account).await, (0, 60, 0, 60));
    proxy.settle(&[record]).await.unwrap();
    office.catch_up().await;
    assert_eq!(office.money(account).await, (20, 0, 0, 20));
    office.check().await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn of_a_reversed_payment_what_is_not_free_is_owed(pool: PgPoolOptions, address: PgConnectOptions) {
    let mut office = Office::start(pool, address).await;
    let account = office.account(100).await;
    let mut proxy = office.proxy();
    let (record, other) = (charged(account, 30, 30), charged(account, 10, 10));
    office.held(&mut proxy, &record).await;
    proxy.settle(&[record]).await.unwrap();
    office.held(&mut proxy, &other).await;
    let reversal = ask(&office, account, 100, Missing::Owe, CauseKind::Reversal).await;
    office.catch_up().await;
    assert_eq!(outcome(&office, reversal).await, (State::Finished, Some((60, 40))));
    proxy.settle(&[other]).await.unwrap();
    office.catch_up().await;
    assert_eq!(office.money(account).await, (0, 0, 0, 0));
    let mut connection = office.system.store.pool.acquire().await.unwrap();
    assert_eq!(books::balance(&mut connection, account).await.unwrap().owed, Nanos(40));
    office.check().await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_withdrawal_from_an_account_that_nobody_uses_loads_it_first(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let mut office = Office::start(pool, address).await;
    let account = office.account(10).await;
    let id = ask(&office, account, 10, Missing::Refuse, CauseKind::Debit).await;
    office.catch_up().await;
    assert_eq!(outcome(&office, id).await, (State::Finished, Some((10, 0))));
    assert!(office.figures(account).await.is_loaded);
    assert_eq!(office.money(account).await, (0, 0, 0, 0));
    office.check().await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_desk_that_was_succeeded_finishes_nothing(pool: PgPoolOptions, address: PgConnectOptions) {
    let owner = sqlx::PgPool::connect_with(address.clone()).await.unwrap();
    let mut office = Office::start(pool, address).await;
    let account = office.account(100).await;
    let mut old = office.desk.take().unwrap();
    // It has lost its lock, and does not know.
    let lost = sqlx::query(
        "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'
         and database = (select oid from pg_database where datname = current_database())",
    );
    lost.execute(&owner).await.unwrap();
    // The next one moves on to another era, and dies when it has decided and not told.
    office.round().await;
    office.system.redis.command("SCRIPT FLUSH");
    office.catch_up().await;
    let id = ask(&office, account, 30, Missing::Refuse, CauseKind::Refund).await;
    office.deadly = Some("desk_withdrew");
    office.round().await;
    assert_eq!(outcome(&office, id).await, (State::Decided, Some((30, 0))));
    // To the old one the era looks over, and nothing to be left to tell.
    let finished = old.work_off_withdrawals().await;
    assert!(matches!(finished, Err(super::super::LedgerError::Succeeded)), "{finished:?}");
    assert_eq!(outcome(&office, id).await.0, State::Decided);
    office.catch_up().await;
    assert_eq!(outcome(&office, id).await.0, State::Finished);
    assert_eq!(office.money(account).await, (70, 0, 0, 70));
    office.check().await;
}
