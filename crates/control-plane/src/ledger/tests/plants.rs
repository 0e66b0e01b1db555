//! Errors that are planted, one after the other, each of which the check must tell by its name.

use model::usage::{Outcome, UsageRecord};
use model::{AccountId, Nanos};
use sqlx::{Executor as _, PgPool};
use store::ledger::{self as books, Cause, CauseKind, Destination, Missing};

use super::super::check::checked;
use super::office::Office;
use super::proxy::charged;
use super::*;

/// An account to which everything has happened, and a request under way.
async fn everything(office: &mut Office) -> AccountId {
    let account = office.account(1000).await;
    let mut proxy = office.proxy();
    let (plain, under_way) = (charged(account, 90, 100), charged(account, 70, 100));
    office.held(&mut proxy, &plain).await;
    office.held(&mut proxy, &under_way).await;
    let given_up = UsageRecord { outcome: Outcome::Abandoned, ..charged(account, 3, 0) };
    let real = UsageRecord { outcome: Outcome::Answered, charge: Nanos(8), ..given_up.clone() };
    proxy.settle(&[plain, given_up]).await.unwrap();
    office.catch_up().await;
    proxy.settle(&[real]).await.unwrap();
    let mut tx = office.system.store.pool.begin().await.unwrap();
    let cause = |kind| Cause::new(kind, Uuid::now_v7().to_string());
    let (to, missing, refund) = (Destination::Payment, Missing::Refuse, cause(CauseKind::Refund));
    books::request_withdrawal(&mut tx, account, Nanos(200), to, missing, &refund, "").await.unwrap();
    let expires_at = OffsetDateTime::now_utc() + time::Duration::hours(1);
    let promotion = cause(CauseKind::Promotion);
    books::grant_promotion(&mut tx, account, Nanos(50), expires_at, &promotion, "").await.unwrap();
    tx.commit().await.unwrap();
    office.catch_up().await;
    account
}

/// The rules that are said to be broken, each once.
async fn broken(office: &Office) -> BTreeSet<&'static str> {
    let check = checked(&office.system.store, &office.system.redis.url()).await.unwrap();
    check.findings.into_iter().map(|finding| finding.rule).collect()
}

/// Whoever owns the tables and looks away from what protects them.
async fn owner(address: &PgConnectOptions) -> PgPool {
    let owner = sqlx::PgPool::connect_with(address.clone()).await.unwrap();
    owner.execute("create table kept (what text, row jsonb)").await.unwrap();
    owner
}

async fn change(owner: &PgPool, statements: &str) {
    let mut tx = owner.begin().await.unwrap();
    tx.execute("set local session_replication_role = replica").await.unwrap();
    tx.execute(sqlx::AssertSqlSafe(statements.to_owned())).await.unwrap();
    tx.commit().await.unwrap();
}

/// A rule, how it is broken in Postgres, and how that is mended.
const PLANTS: &[(&str, &str, &str)] = &[
    (
        "balance_is_not_the_sum_of_transfers",
        "update ledger_accounts set balance = balance + 1 where kind = 'credits'",
        "update ledger_accounts set balance = balance - 1 where kind = 'credits'",
    ),
    // The trial balance is zero all the same.
    (
        "balance_is_not_the_sum_of_transfers",
        "update ledger_accounts set balance = balance - 1 where kind = 'revenue';
         update ledger_accounts set balance = balance + 1 where kind = 'provider_cost'",
        "update ledger_accounts set balance = balance + 1 where kind = 'revenue';
         update ledger_accounts set balance = balance - 1 where kind = 'provider_cost'",
    ),
    (
        "trial_balance_is_not_zero",
        "update ledger_accounts set balance = balance + 1 where kind = 'adjustments'",
        "update ledger_accounts set balance = balance - 1 where kind = 'adjustments'",
    ),
    // A transfer is missing.
    (
        "amount_is_not_the_sum_of_transfers",
        "insert into kept select 'transfer', to_jsonb(l) from ledger_transfers l
             join ledger_transactions x on x.id = l.transaction_id where x.cause_kind = 'refund';
         delete from ledger_transfers l using ledger_transactions x
             where x.id = l.transaction_id and x.cause_kind = 'refund'",
        "insert into ledger_transfers select (jsonb_populate_record(null::ledger_transfers, row)).* from kept
             where what = 'transfer'",
    ),
    (
        "running_balance_is_broken",
        "update ledger_transactions set balance = balance + 1 where cause_kind = 'refund'",
        "update ledger_transactions set balance = balance - 1 where cause_kind = 'refund'",
    ),
    (
        "record_was_charged_without_a_transaction",
        "insert into kept select 'record', to_jsonb(r) from usage_records r where charge = 90;
         update usage_records set transaction_id = null where charge = 90",
        "update usage_records set transaction_id = (row ->> 'transaction_id')::uuid from kept
             where what = 'record' and charge = 90",
    ),
    // A record is missing.
    (
        "transaction_is_not_the_sum_of_its_records",
        "delete from usage_records where charge = 90",
        "insert into usage_records select (jsonb_populate_record(null::usage_records, row)).* from kept
             where what = 'record'",
    ),
    // A record is charged twice, and the books add up.
    (
        "transaction_is_not_the_sum_of_its_records",
        "insert into ledger_transactions (id, account_id, sequence, cause_kind, cause_id, amount, balance)
             select '00000000-0000-7000-8000-000000000000', account_id, transaction_sequence + 1, 'usage', 'twice', -90,
                    (select sum(balance) from ledger_accounts where kind in ('credits', 'promotion')) - 90
             from ledger_accounts where kind = 'credits';
         insert into ledger_transfers select '00000000-0000-7000-8000-000000000000', 1, c.id, r.id, 90
             from ledger_accounts c, ledger_accounts r where c.kind = 'credits' and r.kind = 'revenue';
         update ledger_accounts set balance = balance - 90, transaction_sequence = transaction_sequence + 1
             where kind = 'credits';
         update ledger_accounts set balance = balance + 90 where kind = 'revenue'",
        "delete from ledger_transfers where transaction_id = '00000000-0000-7000-8000-000000000000';
         delete from ledger_transactions where cause_id = 'twice';
         update ledger_accounts set balance = balance + 90, transaction_sequence = transaction_sequence - 1
             where kind = 'credits';
         update ledger_accounts set balance = balance - 90 where kind = 'revenue'",
    ),
    (
        "record_pays_what_is_not_due",
        "update usage_records set charge = 89 where charge = 90",
        "update usage_records set charge = 90 where charge = 89",
    ),
    // What a correction lacked is nobody's.
    (
        "correction_is_not_the_difference",
        "update usage_corrections set charge = charge + 1",
        "update usage_corrections set charge = charge - 1",
    ),
    (
        "withdrawal_is_not_its_transaction",
        "update ledger_withdrawals set taken = taken - 1 where cause_kind = 'refund'",
        "update ledger_withdrawals set taken = taken + 1 where cause_kind = 'refund'",
    ),
    (
        "promotion_never_expires",
        "update ledger_withdrawals set state = 'finished', taken = 0, owed = 0, collected = 0, given_back = 0
             where cause_kind = 'expiry'",
        "update ledger_withdrawals set state = 'requested', taken = null, owed = null, collected = null, given_back = null
             where cause_kind = 'expiry'",
    ),
    (
        "credit_is_not_its_transaction",
        "insert into ledger_credits select account_id, 2, 49, id from ledger_transactions
             where cause_kind = 'promotion'",
        "delete from ledger_credits",
    ),
    (
        "credit_is_not_passed_on",
        "insert into ledger_credits select account_id, 2, 50, id, now() - interval '2 minutes'
             from ledger_transactions where cause_kind = 'promotion'",
        "delete from ledger_credits",
    ),
];

#[sqlx::test(migrations = "../../migrations")]
async fn the_check_tells_every_error_in_postgres_by_its_name(pool: PgPoolOptions, address: PgConnectOptions) {
    let owner = owner(&address).await;
    let mut office = Office::start(pool, address).await;
    everything(&mut office).await;
    office.check().await;
    for (rule, plant, mend) in PLANTS {
        change(&owner, plant).await;
        let check = books::check(&office.system.store).await.unwrap();
        let found: BTreeSet<_> = check.findings.iter().map(|finding| finding.rule).collect();
        assert!(found.contains(rule), "{plant}: {found:?}");
        change(&owner, mend).await;
        let check = books::check(&office.system.store).await.unwrap();
        assert!(check.findings.is_empty(), "{mend}: {:?}", check.findings);
    }
    office.check().await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn the_check_tells_every_error_in_redis_by_its_name(pool: PgPoolOptions, address: PgConnectOptions) {
    let mut office = Office::start(pool, address).await;
    let account = everything(&mut office).await;
    assert_eq!(office.money(account).await, (652, 100, 0, 752));
    office.check().await;
    let place = *office.desk().await.place(account.shard()).unwrap();
    let key = |name: &str| meter::protocol::key(place.shard, place.era, name);
    let figures = key(&format!("a:{account}"));
    let stranger = key(&format!("h:{}", Uuid::from_u128(5).simple()));
    let hold = Uuid::from_u128(6).simple();
    let add = |field: &str, by: i64| format!("HINCRBY {figures} {field} {by}");
    let posted = key("posted");
    let plants = [
        ("redis_is_not_the_balance", vec![add("free", 1)], vec![add("free", -1)]),
        (
            "held_is_not_the_sum_of_holds",
            vec![add("held", 1), add("free", -1)],
            vec![add("held", -1), add("free", 1)],
        ),
        // Taken for a record that the desk has posted, or never will.
        (
            "unposted_is_not_on_its_way",
            vec![add("unposted", 1), add("free", -1)],
            vec![add("unposted", -1), add("free", 1)],
        ),
        // The sums are right, and it will never be released.
        (
            "hold_of_nobody",
            vec![
                format!("HSET {stranger} {hold} \"o {account} 5 0 0 0 0\""),
                add("held", 5),
                add("free", -5),
            ],
            vec![format!("DEL {stranger}"), add("held", -5), add("free", 5)],
        ),
        (
            "redis_is_not_told_what_is_posted",
            vec![format!("SET {posted} 0-1")],
            vec![format!("SET {posted} {}", place.position)],
        ),
        // The desk's outbox has forgotten what Redis has not heard of.
        (
            "credit_is_not_passed_on",
            vec![format!("HSET {figures} applied 1"), add("free", -50)],
            vec![format!("HSET {figures} applied 2"), add("free", 50)],
        ),
    ];
    for (rule, plant, mend) in plants {
        let run = |commands: &[String]| {
            for command in commands {
                let answer = office.system.redis.command(command);
                assert!(!answer.contains("ERR"), "{command}: {answer}");
            }
        };
        run(&plant);
        assert_eq!(broken(&office).await, BTreeSet::from([rule]));
        run(&mend);
        office.check().await;
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn the_check_finds_nothing_while_money_moves(pool: PgPoolOptions, address: PgConnectOptions) {
    let mut office = Office::start(pool.max_connections(8), address).await;
    let account = office.account(1_000_000).await;
    let mut proxy = office.proxy();
    let first = charged(account, 9, 10);
    office.held(&mut proxy, &first).await;
    let (store, redis) = (office.system.store.clone(), office.system.redis.url());
    let is_over = std::cell::Cell::new(false);
    let traffic = async {
        let mut former = first;
        for _ in 0..20 {
            // Dearer than its hold, so that the desk collects.
            let next = charged(account, 12, 10);
            office.held(&mut proxy, &next).await;
            proxy.settle(&[std::mem::replace(&mut former, next)]).await.unwrap();
            office.deposit(account, 1).await;
            office.round().await;
        }
        is_over.set(true);
    };
    let checks = async {
        while !is_over.get() {
            let check = checked(&store, &redis).await.unwrap();
            assert!(check.findings.is_empty(), "{:#?}", check.findings);
        }
    };
    tokio::join!(traffic, checks);
    office.check().await;
}
