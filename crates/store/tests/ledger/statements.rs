//! The statement, and what Redis is told of an account.

use store::ledger::{Sign, Standing, Statement, Used};

use super::*;

#[sqlx::test(migrations = "../../migrations")]
async fn a_statement_is_paged_and_filtered_and_its_amounts_are_exact(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let ledger = Ledger::start(pool, address).await;
    ledger.deposit(10, "pi_1").await.unwrap();
    for number in 1..=5 {
        ledger.charge(&format!("1/{number}-0"), &[ledger.claim(1, Some(1))]).await;
    }
    ledger.promote(1, "welcome", Duration::days(1)).await;
    let page = async |statement: &Statement, limit| {
        ledger::statement(&ledger.store, ledger.account, statement, limit).await.unwrap()
    };
    let all = page(&Statement::default(), 100).await;
    assert_eq!(all.iter().map(|line| line.sequence).collect::<Vec<_>>(), [7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(all[0].balance.to_string(), "10.999999995");
    assert_eq!((all[1].amount.to_string().as_str(), all[1].kind), ("-0.000000001", CauseKind::Usage));
    assert_eq!(all[6].cause, "pi_1");

    let first = page(&Statement::default(), 3).await;
    let before = first.last().map(|line| line.sequence);
    let second = page(&Statement { before, ..Statement::default() }, 4).await;
    assert_eq!([first, second].concat(), all);
    let count = async |statement: &Statement| page(statement, 100).await.len();
    let kinds = vec![CauseKind::Payment, CauseKind::Promotion];
    assert_eq!(count(&Statement { kinds, ..Statement::default() }).await, 2);
    assert_eq!(count(&Statement { causes: vec!["welcome".to_owned()], ..Statement::default() }).await, 1);
    assert_eq!(count(&Statement { sign: Some(Sign::In), ..Statement::default() }).await, 2);
    assert_eq!(count(&Statement { sign: Some(Sign::Out), ..Statement::default() }).await, 5);
    assert_eq!(count(&Statement { since: Some(all[2].at), ..Statement::default() }).await, 3);
    assert_eq!(count(&Statement { until: Some(all[2].at), ..Statement::default() }).await, 4);
    let other = account(&ledger.store).await;
    assert!(ledger::statement(&ledger.store, other, &Statement::default(), 10).await.unwrap().is_empty());
    assert!(ledger::transfers(&ledger.store, other, all[0].transaction).await.unwrap().is_empty());
}

#[sqlx::test(migrations = "../../migrations")]
async fn redis_is_told_all_that_is_there_and_how_often_money_came(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let ledger = Ledger::start(pool, address).await;
    ledger.deposit(10, "pi_1").await.unwrap();
    ledger.promote(1, "past", Duration::seconds(-1)).await;
    let nobody = AccountId(Uuid::now_v7());
    let mut connection = ledger.store.pool.acquire().await.unwrap();
    let mut standings = ledger::standings(&mut connection, &[ledger.account, nobody]).await.unwrap();
    standings.sort_by_key(|standing| standing.account);
    let expected = [
        Standing { account: ledger.account, balance: dollars_of(11), sequence: 2 },
        Standing { account: nobody, balance: Nanos::ZERO, sequence: 0 },
    ];
    assert_eq!(standings, expected);
}

#[sqlx::test(migrations = "../../migrations")]
async fn of_a_counter_the_newest_two_windows_are_remembered(pool: PgPoolOptions, address: PgConnectOptions) {
    let ledger = Ledger::start(pool, address).await;
    let mut connection = ledger.store.pool.acquire().await.unwrap();
    let used = |window, amount| Used {
        account: ledger.account,
        counter: "c1".to_owned(),
        measure: model::usage::Measure::Spend,
        window,
        amount,
    };
    ledger::add_used(&mut connection, &[used(5, 10), used(6, 20)]).await.unwrap();
    ledger::add_used(&mut connection, &[used(6, 5), used(7, 1)]).await.unwrap();
    let read = ledger::used(&mut connection, &[ledger.account]).await.unwrap();
    assert_eq!(read, [used(6, 25), used(7, 1)]);
    assert_eq!(ledger::prune_used(&ledger.store).await.unwrap(), 1);
    assert_eq!(ledger::used(&mut connection, &[ledger.account]).await.unwrap(), read);
}
