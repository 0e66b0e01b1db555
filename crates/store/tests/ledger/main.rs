//! The ledger as its callers see it: money arrives once, leaves once, and all of it adds up.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop where it fails")]

mod books;
mod charges;
mod statements;
mod withdrawals;

use std::collections::BTreeMap;

use model::account::SealedKeys;
use model::money::Nanos;
use model::{AccountId, Shard};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use store::ledger::{self, Balance, Cause, CauseKind, Claim, LedgerError, Posting, Source};
use store::{Store, accounts};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// A database as the runtime role, with one account.
struct Ledger {
    store: Store,
    account: AccountId,
}

impl Ledger {
    async fn start(pool: PgPoolOptions, address: PgConnectOptions) -> Self {
        let store = Store::open(pool, address).await.unwrap();
        let account = account(&store).await;
        Self { store, account }
    }

    async fn deposit(&self, dollars: i64, payment: &str) -> Result<Posting, LedgerError> {
        let mut tx = self.store.pool.begin().await.unwrap();
        let from = Source::Payment { fee: Nanos::ZERO };
        let cause = Cause::new(CauseKind::Payment, payment);
        let posting =
            ledger::deposit(&mut tx, self.account, dollars_of(dollars), from, &cause, "A payment").await;
        tx.commit().await.unwrap();
        posting
    }

    async fn promote(&self, dollars: i64, name: &str, expires_in: Duration) -> Posting {
        let mut tx = self.store.pool.begin().await.unwrap();
        let cause = Cause::new(CauseKind::Promotion, name);
        let expires_at = OffsetDateTime::now_utc() + expires_in;
        let amount = dollars_of(dollars);
        let granted = ledger::grant_promotion(&mut tx, self.account, amount, expires_at, &cause, "Welcome");
        let posting = granted.await.unwrap();
        tx.commit().await.unwrap();
        posting
    }

    async fn balance(&self) -> Balance {
        let mut connection = self.store.pool.acquire().await.unwrap();
        ledger::balance(&mut connection, self.account).await.unwrap()
    }

    /// What is due for a new record of which Redis has set aside so much.
    fn claim(&self, charge: i64, set_aside: Option<i64>) -> Claim {
        Claim {
            record: Uuid::now_v7(),
            account: self.account,
            charge: Nanos(charge),
            cost: Nanos(charge / 2),
            set_aside: set_aside.map(Nanos),
            before: None,
        }
    }

    async fn charge(&self, batch: &str, claims: &[Claim]) -> Vec<ledger::Charged> {
        let mut tx = self.store.pool.begin().await.unwrap();
        let charged = ledger::charge(&mut tx, &batches(batch), claims).await.unwrap();
        tx.commit().await.unwrap();
        charged
    }

    /// By kind of ledger account, of what all of them have.
    async fn kinds(&self) -> Vec<(String, i64)> {
        let mut connection = self.store.pool.acquire().await.unwrap();
        let trial = ledger::trial_balance(&mut connection).await.unwrap();
        assert_eq!(trial.total, Nanos::ZERO, "{trial:?}");
        let all = trial.kinds.into_iter().map(|total| (total.kind, total.balance.0));
        all.filter(|(_, balance)| *balance != 0).collect()
    }

    /// Fails on everything but rules about records, which these tests do not write.
    async fn check(&self) {
        let check = ledger::check(&self.store).await.unwrap();
        let records =
            ["transaction_is_not_the_sum_of_its_records", "deposits_are_not_balance_and_charges_and_debits"];
        let found: Vec<_> =
            check.findings.iter().filter(|finding| !records.contains(&finding.rule)).collect();
        assert!(found.is_empty(), "{found:#?}");
    }
}

/// The same name in all shards.
fn batches(name: &str) -> BTreeMap<Shard, String> {
    Shard::all().map(|shard| (shard, name.to_owned())).collect()
}

async fn account(store: &Store) -> AccountId {
    let id = AccountId(Uuid::now_v7());
    let keys = SealedKeys { credentials: vec![1], contents: vec![2] };
    let mut tx = store.config_tx().await.unwrap();
    accounts::create(&mut tx, id, "Acme", &keys).await.unwrap();
    tx.commit().await.unwrap();
    id
}

fn dollars_of(dollars: i64) -> Nanos {
    Nanos(dollars * 1_000_000_000)
}
