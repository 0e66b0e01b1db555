//! What arrives, and what nobody can change.

use super::*;

#[sqlx::test(migrations = "../../migrations")]
async fn a_deposit_is_posted_once_and_noted_for_the_desk(pool: PgPoolOptions, address: PgConnectOptions) {
    let ledger = Ledger::start(pool, address).await;
    let first = ledger.deposit(10, "pi_1").await.unwrap();
    let again = ledger.deposit(10, "pi_1").await.unwrap();
    assert_eq!(again, Posting { repeated: true, ..first });
    assert!(!first.repeated);
    ledger.deposit(5, "pi_2").await.unwrap();
    assert_eq!(ledger.balance().await, Balance { credits: dollars_of(15), ..Balance::default() });
    let expected =
        [("credits".to_owned(), 15_000_000_000), ("payments_clearing".to_owned(), -15_000_000_000)];
    assert_eq!(ledger.kinds().await, expected);
    let waiting = ledger::unacknowledged_credits(&ledger.store, None, 10).await.unwrap();
    let told: Vec<_> = waiting.iter().map(|credit| (credit.sequence, credit.amount)).collect();
    assert_eq!(told, [(1, dollars_of(10)), (2, dollars_of(5))]);
    let next = ledger::unacknowledged_credits(&ledger.store, Some((ledger.account, 1)), 10).await.unwrap();
    assert_eq!(next, waiting[1..]);
    ledger::acknowledge_credits(&ledger.store, &waiting[..1]).await.unwrap();
    assert_eq!(ledger::unacknowledged_credits(&ledger.store, None, 10).await.unwrap(), waiting[1..]);
    ledger.check().await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn many_deposits_at_once_each_count_once(pool: PgPoolOptions, address: PgConnectOptions) {
    let ledger = Ledger::start(pool.max_connections(10), address).await;
    let deposits = (0..40).map(|number| {
        let (store, account) = (ledger.store.clone(), ledger.account);
        tokio::spawn(async move {
            // Every payment is told twice.
            let payment = format!("pi_{}", number / 2);
            Ledger { store, account }.deposit(1, &payment).await.unwrap()
        })
    });
    let mut repeated = 0;
    for deposit in deposits.collect::<Vec<_>>() {
        repeated += usize::from(deposit.await.unwrap().repeated);
    }
    assert_eq!(repeated, 20);
    assert_eq!(ledger.balance().await.credits, dollars_of(20));
    ledger.check().await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_fee_is_kept_apart_and_nothing_is_made_of_nothing(pool: PgPoolOptions, address: PgConnectOptions) {
    let ledger = Ledger::start(pool, address).await;
    let other = account(&ledger.store).await;
    let cause = Cause::new(CauseKind::Payment, "pi_1");
    let from = Source::Payment { fee: Nanos(550) };
    let mut tx = ledger.store.pool.begin().await.unwrap();
    ledger::deposit(&mut tx, ledger.account, Nanos(10_000), from, &cause, "").await.unwrap();
    tx.commit().await.unwrap();
    let kinds = ledger.kinds().await;
    assert_eq!(kinds[1..], [("fees".to_owned(), 550), ("payments_clearing".to_owned(), -10_550)]);

    let refused = [
        (ledger.account, Nanos(0), cause.clone()),
        (ledger.account, Nanos(-1), cause.clone()),
        (other, Nanos(1), cause.clone()),
        (AccountId(Uuid::now_v7()), Nanos(1), Cause::new(CauseKind::Payment, "pi_2")),
        (ledger.account, ledger::MAXIMUM, Cause::new(CauseKind::Payment, "pi_3")),
    ];
    let mut told = Vec::new();
    for (account, amount, cause) in refused {
        let mut tx = ledger.store.pool.begin().await.unwrap();
        let error = ledger::deposit(&mut tx, account, amount, from, &cause, "").await.unwrap_err();
        told.push(error.to_string());
    }
    assert!(told[0] == told[1] && told[0].contains("above zero"));
    assert!(told[2].contains("another account") && told[3].contains("no such account"));
    assert_eq!(told[4], "an account holds at most 4000000 dollars");
    ledger.check().await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn neither_the_runtime_role_nor_the_owner_changes_the_ledger(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let owner = sqlx::PgPool::connect_with(address.clone()).await.unwrap();
    let ledger = Ledger::start(pool, address).await;
    ledger.deposit(10, "pi_1").await.unwrap();
    let record = model::samples::usage_record(Uuid::now_v7(), ledger.account);
    store::usage::ensure_day(&ledger.store, store::usage::day(record.id).unwrap()).await.unwrap();
    let mut connection = ledger.store.pool.acquire().await.unwrap();
    store::usage::insert(&mut connection, &[record]).await.unwrap();
    let partition: String = sqlx::query_scalar("select tableoid::regclass::text from usage_records")
        .fetch_one(&mut *connection)
        .await
        .unwrap();
    let records =
        ["update usage_records set paid = 0", "delete from usage_records", "truncate usage_records"];
    let records =
        records.iter().flat_map(|change| [(*change).to_owned(), change.replace("usage_records", &partition)]);
    let others = [
        "update ledger_transactions set description = ''",
        "delete from ledger_transactions",
        "truncate ledger_transactions cascade",
        "update ledger_transfers set amount = 1",
        "delete from ledger_transfers",
        "truncate ledger_transfers",
        "update ledger_accounts set kind = 'fees'",
        "delete from ledger_accounts",
        "truncate ledger_accounts cascade",
        "truncate usage_corrections",
        "truncate rerated_records",
        "truncate price_rule_versions",
    ];
    let changes: Vec<String> = records.chain(others.map(str::to_owned)).collect();
    for (pool, code) in [(&ledger.store.pool, "42501"), (&owner, "23001")] {
        for change in &changes {
            let error = sqlx::query(sqlx::AssertSqlSafe(change.clone())).execute(pool).await.unwrap_err();
            let found = error.as_database_error().unwrap().code().unwrap().into_owned();
            assert_eq!(found, code, "{change}");
        }
    }
    // What the role may change, constraints bound.
    let overdrawn = sqlx::query("update ledger_accounts set balance = -1 where kind = 'credits'");
    let error = overdrawn.execute(&ledger.store.pool).await.unwrap_err();
    assert_eq!(error.as_database_error().unwrap().constraint(), Some("ledger_accounts_never_below_zero"));
}

#[sqlx::test(migrations = "../../migrations")]
async fn the_check_finds_a_balance_that_transfers_do_not_explain(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let ledger = Ledger::start(pool, address).await;
    ledger.deposit(10, "pi_1").await.unwrap();
    ledger.check().await;
    sqlx::query("update ledger_accounts set balance = balance + 1 where kind = 'credits'")
        .execute(&ledger.store.pool)
        .await
        .unwrap();
    let check = ledger::check(&ledger.store).await.unwrap();
    let found: Vec<_> = check.findings.iter().map(|finding| finding.rule).collect();
    assert_eq!(
        found,
        [
            "balance_is_not_the_sum_of_transfers",
            "trial_balance_is_not_zero",
            "last_balance_is_not_what_is_there",
            "deposits_are_not_balance_and_charges_and_debits",
        ]
    );
    assert_eq!(check.findings[1].detail, "their balances come to 1");
}
