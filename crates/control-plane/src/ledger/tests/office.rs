//! A desk that is worked by hand, one round after the other, and followed by another where it dies.

use std::time::Duration;

use meter::desk::{DeskError, Figures};
use meter::protocol::calls::Held;
use model::account::SealedKeys;
use model::usage::UsageRecord;
use model::{AccountId, Nanos};
use store::accounts;
use store::ledger::{self as books, Cause, CauseKind, Source};

use super::super::check::checked;
use super::super::{Ledger, LedgerError, Times};
use super::proxy::Proxy;
use super::*;

/// Rounds after which what is waited for will not happen any more.
const ROUNDS: usize = 200;

/// A system and the desk in it.
pub(super) struct Office {
    pub(super) system: System,
    pub(super) desk: Option<Ledger>,
    /// Where the present desk is to die.
    pub(super) deadly: Option<&'static str>,
    pub(super) times: Times,
}

impl Office {
    pub(super) async fn start(pool: PgPoolOptions, address: PgConnectOptions) -> Self {
        let system = System::start(pool, address).await;
        // Nobody is waited for but those who are known, so that nothing depends on the time.
        let times = Times { declaring: Duration::ZERO, ..Times::default() };
        let mut office = Self { system, desk: None, deadly: None, times };
        office.round().await;
        office
    }

    pub(super) fn proxy(&self) -> Proxy {
        Proxy::of(&self.system.redis.url())
    }

    /// The desk, a new one if there is none.
    pub(super) async fn desk(&mut self) -> &mut Ledger {
        if self.desk.is_none() {
            self.desk = Some(ledger(&self.system).await);
        }
        let desk = self.desk.as_mut().unwrap();
        desk.points.deadly = self.deadly;
        desk.times = self.times;
        desk
    }

    /// One round of the desk's work. Where it dies another follows, who does not.
    pub(super) async fn round(&mut self) {
        let worked = work(self.desk().await).await;
        match worked {
            Ok(()) => {}
            Err(LedgerError::Died(_)) => {
                self.deadly = None;
                self.desk = None;
            }
            Err(LedgerError::Redis(_)) => self.desk = None,
            Err(error) => panic!("{error:#}"),
        }
    }

    /// Works until everything that was sent is posted.
    pub(super) async fn catch_up(&mut self) {
        for _ in 0..4 {
            self.round().await;
        }
    }

    /// An account with so many nano-dollars.
    pub(super) async fn account(&mut self, nanos: i64) -> AccountId {
        let id = AccountId(Uuid::now_v7());
        let keys = SealedKeys { credentials: vec![1], contents: vec![2] };
        let mut tx = self.system.store.config_tx().await.unwrap();
        accounts::create(&mut tx, id, "Acme", &keys).await.unwrap();
        tx.commit().await.unwrap();
        if nanos > 0 {
            self.deposit(id, nanos).await;
        }
        id
    }

    pub(super) async fn deposit(&self, account: AccountId, nanos: i64) {
        let mut tx = self.system.store.pool.begin().await.unwrap();
        let cause = Cause::new(CauseKind::Payment, Uuid::now_v7().to_string());
        let from = Source::Payment { fee: Nanos::ZERO };
        books::deposit(&mut tx, account, Nanos(nanos), from, &cause, "").await.unwrap();
        tx.commit().await.unwrap();
    }

    /// A hold that must be granted, once the account is loaded.
    pub(super) async fn held(&mut self, proxy: &mut Proxy, record: &UsageRecord) {
        for _ in 0..ROUNDS {
            match proxy.hold(record).await {
                Held::Granted { .. } => return,
                Held::Cold => self.round().await,
                other => panic!("{other:?}"),
            }
        }
        panic!("the account is never loaded");
    }

    pub(super) async fn figures(&mut self, account: AccountId) -> Figures {
        let desk = self.desk().await;
        let era = desk.place(account.shard()).unwrap().era;
        desk.redis.figures(account.shard(), era, &[account]).await.unwrap()[0]
    }

    /// What is free, held and unposted in Redis, and what Postgres has.
    pub(super) async fn money(&mut self, account: AccountId) -> (i64, i64, i64, i64) {
        let Figures { free, held, unposted, .. } = self.figures(account).await;
        (free.0, held.0, unposted.0, self.balance(account).await)
    }

    pub(super) async fn balance(&self, account: AccountId) -> i64 {
        let mut connection = self.system.store.pool.acquire().await.unwrap();
        books::standings(&mut connection, &[account]).await.unwrap()[0].balance.0
    }

    /// What is known of a record: due and paid.
    pub(super) async fn known(&self, record: &UsageRecord) -> Option<(i64, i64, String)> {
        sqlx::query_as("select charge, paid, outcome from usage_known where id = $1")
            .bind(record.id)
            .fetch_optional(&self.system.store.pool)
            .await
            .unwrap()
    }

    /// What the operator lost because it was not there.
    pub(super) async fn shortfall(&self) -> i64 {
        let lost: Option<i64> =
            sqlx::query_scalar("select -sum(balance)::bigint from ledger_accounts where kind = 'shortfall'")
                .fetch_one(&self.system.store.pool)
                .await
                .unwrap();
        lost.unwrap_or_default()
    }

    /// Everything adds up, in Postgres and in Redis.
    pub(super) async fn check(&self) {
        let check = checked(&self.system.store, &self.system.redis.url()).await.unwrap();
        assert!(check.findings.is_empty(), "{:#?}", check.findings);
    }
}

async fn work(desk: &mut Ledger) -> Result<(), LedgerError> {
    let worked = async {
        let places = desk.open_places();
        let entries = desk.reader.entries(&places, Duration::ZERO).await?;
        desk.attend(entries).await?;
        desk.look_around().await
    };
    match worked.await {
        Err(LedgerError::Redis(DeskError::EraIsOver)) => desk.watch().await.map(drop),
        worked => worked,
    }
}
