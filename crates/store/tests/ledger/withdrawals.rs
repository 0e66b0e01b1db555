//! Money that leaves outside of usage.

use store::ledger::{Decision, Destination, Missing, State, Withdrawal, Withdrawn};

use super::*;

impl Ledger {
    async fn withdraw(&self, dollars: i64, missing: Missing, kind: CauseKind, id: &str) -> Uuid {
        let mut tx = self.store.pool.begin().await.unwrap();
        let (amount, cause) = (dollars_of(dollars), Cause::new(kind, id));
        let requested = ledger::request_withdrawal(
            &mut tx,
            self.account,
            amount,
            Destination::Payment,
            missing,
            &cause,
            "It left",
        );
        let id = requested.await.unwrap();
        tx.commit().await.unwrap();
        id
    }

    /// What the desk does when it can set aside so much.
    async fn decide(&self, withdrawal: &Withdrawal, collected: Nanos) -> Withdrawn {
        let mut tx = self.store.pool.begin().await.unwrap();
        let decision = Decision { collected, era: 3 };
        let withdrawn = ledger::decide_withdrawal(&mut tx, withdrawal, decision).await.unwrap();
        ledger::finish_withdrawal(&mut tx, withdrawal.id).await.unwrap();
        tx.commit().await.unwrap();
        withdrawn
    }

    async fn open(&self) -> Vec<Withdrawal> {
        ledger::open_withdrawals(&self.store, 10).await.unwrap()
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_refund_is_given_once_and_in_whole_or_not_at_all(pool: PgPoolOptions, address: PgConnectOptions) {
    let ledger = Ledger::start(pool, address).await;
    ledger.deposit(10, "pi_1").await.unwrap();
    let id = ledger.withdraw(4, Missing::Refuse, CauseKind::Refund, "re_1").await;
    assert_eq!(ledger.withdraw(4, Missing::Refuse, CauseKind::Refund, "re_1").await, id);
    let open = ledger.open().await;
    assert_eq!((open.len(), open[0].id, open[0].wanted()), (1, id, dollars_of(4)));
    let withdrawn = ledger.decide(&open[0], dollars_of(4)).await;
    assert_eq!((withdrawn.taken, withdrawn.given_back), (dollars_of(4), Nanos::ZERO));
    assert_eq!(ledger.balance().await.credits, dollars_of(6));

    ledger.withdraw(6, Missing::Refuse, CauseKind::Refund, "re_2").await;
    let open = ledger.open().await;
    let withdrawn = ledger.decide(&open[0], dollars_of(5)).await;
    assert_eq!((withdrawn.taken, withdrawn.given_back), (Nanos::ZERO, dollars_of(5)));
    assert_eq!(withdrawn.transaction, None);
    assert_eq!(ledger.balance().await.credits, dollars_of(6));
    let done = ledger::withdrawal(&ledger.store, open[0].id).await.unwrap().unwrap();
    assert_eq!((done.state, done.outcome), (State::Finished, Some(withdrawn)));
    assert!(ledger.open().await.is_empty());
    ledger.check().await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn of_a_reversed_payment_what_was_spent_is_owed_until_it_is_settled(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let ledger = Ledger::start(pool, address).await;
    ledger.deposit(10, "pi_1").await.unwrap();
    ledger.promote(1, "welcome", Duration::days(1)).await;
    ledger.charge("1/5-0", &[ledger.claim(8_000_000_000, Some(8_000_000_000))]).await;
    ledger.withdraw(10, Missing::Owe, CauseKind::Reversal, "dp_1").await;
    let open = ledger.open().await;
    assert_eq!(open[0].wanted(), dollars_of(3));
    let withdrawn = ledger.decide(&open[0], dollars_of(3)).await;
    assert_eq!((withdrawn.taken, withdrawn.owed), (dollars_of(3), dollars_of(7)));
    let balance = ledger.balance().await;
    assert_eq!((balance.total(), balance.owed), (Nanos::ZERO, dollars_of(7)));

    let mut tx = ledger.store.pool.begin().await.unwrap();
    let cause = Cause::new(CauseKind::WriteOff, "dp_1");
    let amount = dollars_of(100);
    ledger::settle_owed(&mut tx, ledger.account, amount, Source::WriteOff, &cause, "").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(ledger.balance().await, Balance::default());
    assert!(ledger.kinds().await.contains(&("write_offs".to_owned(), -7_000_000_000)));
    ledger.check().await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_promotion_expires_with_what_nobody_holds_of_it(pool: PgPoolOptions, address: PgConnectOptions) {
    let ledger = Ledger::start(pool, address).await;
    ledger.deposit(10, "pi_1").await.unwrap();
    ledger.promote(5, "later", Duration::days(1)).await;
    ledger.promote(5, "past", Duration::seconds(-1)).await;
    assert_eq!(ledger.balance().await.promotions, dollars_of(5));
    let open = ledger.open().await;
    assert_eq!((open.len(), open[0].wanted(), open[0].cause.kind), (1, dollars_of(5), CauseKind::Expiry));
    // Requests under way hold two dollars.
    let withdrawn = ledger.decide(&open[0], dollars_of(3)).await;
    assert_eq!((withdrawn.taken, withdrawn.owed), (dollars_of(3), Nanos::ZERO));
    ledger.charge("1/5-0", &[ledger.claim(1_500_000_000, Some(1_500_000_000))]).await;
    // The desk looks again, a little later.
    assert!(ledger.open().await.is_empty());
    let due =
        "update ledger_withdrawals set not_before = now() where state = 'requested' and cause_id like '%/2'";
    let owner = sqlx::query(due).execute(&ledger.store.pool).await;
    assert!(owner.is_err(), "the runtime role does not hasten anything");
    let next: (i64, i64) = sqlx::query_as(
        "select w.amount, a.balance from ledger_withdrawals w join ledger_accounts a on a.id = w.from_account
         where w.cause_id like '%/2'",
    )
    .fetch_one(&ledger.store.pool)
    .await
    .unwrap();
    assert_eq!(next, (2_000_000_000, 500_000_000));
    assert!(ledger.kinds().await.contains(&("adjustments".to_owned(), -7_000_000_000)));
    ledger.check().await;
}
