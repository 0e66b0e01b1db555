//! Usage: what it takes, from where, and what it lacks.

use store::ledger::{Before, Charged};

use super::*;

#[sqlx::test(migrations = "../../migrations")]
async fn promotions_pay_first_and_the_soonest_to_expire_before_the_others(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let ledger = Ledger::start(pool, address).await;
    ledger.deposit(10, "pi_1").await.unwrap();
    ledger.promote(2, "late", Duration::days(20)).await;
    ledger.promote(1, "soon", Duration::days(1)).await;
    assert_eq!(
        ledger.balance().await,
        Balance { credits: dollars_of(10), promotions: dollars_of(3), owed: Nanos::ZERO }
    );
    let claim = ledger.claim(2_500_000_000, Some(2_500_000_000));
    let [charged] = ledger.charge("1/5-0", &[claim]).await[..] else { panic!() };
    assert_eq!((charged.paid, charged.shortfall), (Nanos(2_500_000_000), Nanos::ZERO));
    let mut connection = ledger.store.pool.acquire().await.unwrap();
    let left = ledger::promotions(&mut connection, ledger.account).await.unwrap();
    assert_eq!(left.iter().map(|promotion| promotion.left).collect::<Vec<_>>(), [Nanos(500_000_000)]);
    let claim = ledger.claim(1_000_000_000, Some(1_000_000_000));
    ledger.charge("1/6-0", &[claim]).await;
    assert_eq!(ledger.balance().await, Balance { credits: Nanos(9_500_000_000), ..Balance::default() });
    let transaction = charged.transaction.unwrap();
    let transfers = ledger::transfers(&ledger.store, ledger.account, transaction).await.unwrap();
    let told: Vec<_> = transfers.iter().map(|t| (t.from.as_str(), t.to.as_str(), t.amount.0)).collect();
    assert_eq!(
        told,
        [
            ("promotion", "revenue", 1_000_000_000),
            ("promotion", "revenue", 1_500_000_000),
            ("revenue", "provider_cost", 1_250_000_000),
        ]
    );
    ledger.check().await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_is_not_there_is_the_operators_expense(pool: PgPoolOptions, address: PgConnectOptions) {
    let ledger = Ledger::start(pool, address).await;
    ledger.deposit(1, "pi_1").await.unwrap();
    let claims = [
        // Redis could set aside only a part.
        ledger.claim(600_000_000, Some(500_000_000)),
        // Redis does not know the account: whatever there is.
        ledger.claim(400_000_000, None),
        ledger.claim(400_000_000, None),
        // A discount of everything.
        Claim { cost: Nanos(7), ..ledger.claim(0, Some(0)) },
    ];
    let charged = ledger.charge("1/5-0", &claims).await;
    let amounts: Vec<_> = charged.iter().map(|one| (one.paid.0, one.shortfall.0)).collect();
    assert_eq!(amounts, [(500_000_000, 100_000_000), (400_000_000, 0), (100_000_000, 300_000_000), (0, 0)]);
    let expected = [
        ("payments_clearing", -1_000_000_000),
        ("provider_cost", 700_000_007),
        ("revenue", 1_400_000_000 - 700_000_007),
        ("shortfall", -400_000_000),
    ];
    assert_eq!(ledger.kinds().await, expected.map(|(kind, balance)| (kind.to_owned(), balance)));
    ledger.check().await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_account_that_never_had_anything_is_charged_nothing(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let ledger = Ledger::start(pool, address).await;
    let stranger = Claim { account: AccountId(Uuid::now_v7()), ..ledger.claim(300, Some(300)) };
    let charged = ledger.charge("1/5-0", &[stranger]).await;
    assert_eq!((charged[0].paid, charged[0].shortfall), (Nanos::ZERO, Nanos(300)));
    assert!(charged[0].transaction.is_some());
    ledger.check().await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_batch_of_many_accounts_is_one_transaction_for_each(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let ledger = Ledger::start(pool, address).await;
    let mut claims = Vec::new();
    for number in 0..20 {
        let account = account(&ledger.store).await;
        let of = Ledger { store: ledger.store.clone(), account };
        of.deposit(1, &format!("pi_{number}")).await.unwrap();
        claims.extend((0..3).map(|_| of.claim(1000, Some(1000))));
    }
    let charged = ledger.charge("1/5-0", &claims).await;
    assert!(
        charged.chunks(3).all(|of_one| of_one.iter().all(|one| one.transaction == of_one[0].transaction))
    );
    let transactions: i64 =
        sqlx::query_scalar("select count(*) from ledger_transactions where cause_kind = 'usage'")
            .fetch_one(&ledger.store.pool)
            .await
            .unwrap();
    assert_eq!(transactions, 20);
    // The same batch cannot be posted again.
    let mut tx = ledger.store.pool.begin().await.unwrap();
    let again = ledger::charge(&mut tx, &batches("1/5-0"), &claims).await.unwrap_err();
    assert_eq!(again.constraint(), Some("ledger_transactions_cause_key"));
    drop(tx);
    ledger.check().await;
}

/// A record that was posted as abandoned with this much paid of this much due.
fn given_up(claim: &Claim, charged: Charged) -> Claim {
    let before = Before {
        charge: claim.charge,
        paid: charged.paid,
        cost: claim.cost,
        transaction: charged.transaction,
    };
    Claim { before: Some(before), ..claim.clone() }
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_correction_takes_or_gives_back_the_difference(pool: PgPoolOptions, address: PgConnectOptions) {
    let ledger = Ledger::start(pool, address).await;
    ledger.deposit(1, "pi_1").await.unwrap();
    let claims = [ledger.claim(100, Some(100)), ledger.claim(100, Some(100)), ledger.claim(100, Some(40))];
    let charged = ledger.charge("1/5-0", &claims).await;
    let more = Claim { charge: Nanos(250), set_aside: Some(Nanos(150)), ..given_up(&claims[0], charged[0]) };
    let less = Claim { charge: Nanos(30), set_aside: Some(Nanos(0)), ..given_up(&claims[1], charged[1]) };
    // It had lacked 60; it costs less than thought and lacks nothing any more.
    let paid_now =
        Claim { charge: Nanos(90), set_aside: Some(Nanos(50)), ..given_up(&claims[2], charged[2]) };
    let corrected = ledger.charge("1/6-0", &[more.clone(), less, paid_now]).await;
    let paid: Vec<_> = corrected.iter().map(|one| (one.paid.0, one.shortfall.0)).collect();
    assert_eq!(paid, [(250, 0), (30, 0), (90, 0)]);
    assert_eq!(ledger.balance().await.credits, Nanos(1_000_000_000 - 250 - 30 - 90));
    let kinds = ledger.kinds().await;
    assert!(
        kinds.contains(&("revenue".to_owned(), 370 - 150)) && !kinds.iter().any(|(k, _)| k == "shortfall")
    );
    let mut tx = ledger.store.pool.begin().await.unwrap();
    let again = ledger::charge(&mut tx, &batches("1/7-0"), &[more]).await.unwrap_err();
    assert_eq!(again.constraint(), Some("ledger_transactions_cause_key"));
    drop(tx);
    ledger.check().await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_a_promotion_paid_too_much_does_not_become_credits(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let ledger = Ledger::start(pool, address).await;
    ledger.promote(1, "welcome", Duration::days(1)).await;
    let claim = ledger.claim(1_000_000_000, Some(1_000_000_000));
    let charged = ledger.charge("1/5-0", std::slice::from_ref(&claim)).await;
    assert_eq!(ledger.balance().await.total(), Nanos::ZERO);
    let real = Claim { charge: Nanos(0), cost: Nanos(0), ..given_up(&claim, charged[0]) };
    ledger.charge("1/6-0", &[real]).await;
    assert_eq!(ledger.balance().await, Balance { promotions: dollars_of(1), ..Balance::default() });
    assert!(ledger.kinds().await.iter().all(|(kind, _)| kind == "promotion" || kind == "adjustments"));
    ledger.check().await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_promotion_that_is_given_meanwhile_is_in_the_running_balance(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let owner = sqlx::PgPool::connect_with(address.clone()).await.unwrap();
    let ledger = Ledger::start(pool.max_connections(4), address).await;
    ledger.deposit(10, "pi_1").await.unwrap();
    ledger.charge("1/0-1", &[ledger.claim(1_000_000_000, Some(1_000_000_000))]).await;
    // Given, but not committed: whoever charges now waits for it.
    let mut giving = ledger.store.pool.begin().await.unwrap();
    let cause = Cause::new(CauseKind::Promotion, "welcome");
    let expires_at = OffsetDateTime::now_utc() + Duration::hours(1);
    ledger::grant_promotion(&mut giving, ledger.account, dollars_of(5), expires_at, &cause, "")
        .await
        .unwrap();
    let claims = [ledger.claim(3_000_000_000, Some(3_000_000_000))];
    let charging = async {
        let charged = ledger.charge("1/1-0", &claims).await;
        assert_eq!(charged[0].paid, dollars_of(3));
    };
    let waited_for = async {
        let mut waiting: i64 = 0;
        while waiting == 0 {
            let locked = "select count(*) from pg_stat_activity
                where datname = current_database() and wait_event_type = 'Lock'";
            waiting = sqlx::query_scalar(locked).fetch_one(&owner).await.unwrap();
        }
        giving.commit().await.unwrap();
    };
    tokio::join!(charging, waited_for);
    // The promotion pays first, and the balance after it has both.
    let expected = Balance { credits: dollars_of(9), promotions: dollars_of(2), owed: Nanos::ZERO };
    assert_eq!(ledger.balance().await, expected);
    ledger.check().await;
}
