//! Buying credits, over real HTTP: the management API in front, localstripe, a mail server and a receiver
//! of webhooks behind.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop where it fails")]

mod auto_topups;
mod desk;
mod localstripe;
mod notices;
mod receiver;
mod reports;
mod smtp_sink;
#[path = "../support/mod.rs"]
mod support;
mod topups;
mod vouchers;
mod webhooks;

use control_plane::payments::stripe::Stripe;
use http::{Method, StatusCode};
use localstripe::LocalStripe;
use model::{AccountId, Nanos};
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use store::ledger::{self, Balance, Cause, CauseKind, Decision, Destination, Missing, Source};
use store::operator_settings;
use support::{Actor, Api};

const DOLLAR: i64 = 1_000_000_000;

/// An API with Stripe behind it, an account and its owner.
struct Shop {
    api: Api,
    stripe: LocalStripe,
    account: AccountId,
    owner: Actor,
}

impl Shop {
    async fn open(pool: PgPoolOptions, address: PgConnectOptions) -> Self {
        let stripe = LocalStripe::start().await;
        let api = Api::start_paid(pool, address, &stripe.config()).await;
        let (account, owner) = api.owner().await;
        Self { api, stripe, account, owner }
    }

    /// The same, where the buyer pays so many millionths on top.
    async fn with_fee(self, ppm: i64) -> Self {
        let mut tx = self.api.store.config_tx().await.unwrap();
        let mut settings = operator_settings::lock(&mut tx).await.unwrap();
        settings.purchase_fee_ppm = ppm;
        operator_settings::set(&mut tx, &settings).await.unwrap();
        tx.commit().await.unwrap();
        self
    }

    /// Tollgate's own view of Stripe.
    fn tollgates(&self) -> &Stripe {
        self.api.payments.provider.stripe().unwrap()
    }

    async fn listens(&self) {
        self.stripe.tell(&format!("http://{}/stripe/webhook", self.api.address)).await;
    }

    fn path(&self, rest: &str) -> String {
        billing(self.account, rest)
    }

    async fn get(&self, rest: &str) -> Value {
        let (status, body) = self.api.call(&self.owner, Method::GET, &self.path(rest), None).await;
        assert_eq!(status, StatusCode::OK, "{rest}: {body}");
        body["result"].clone()
    }

    async fn post(&self, rest: &str, body: Value) -> (StatusCode, Value) {
        self.api.call(&self.owner, Method::POST, &self.path(rest), Some(body)).await
    }

    /// Buys credits with a card, which must go well.
    async fn buy(&self, cents: i64, card: &str) -> Value {
        let (status, body) = self.post("topup", json!({"amount": cents, "payment_method_id": card})).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body["result"].clone()
    }

    async fn balance(&self) -> Balance {
        balance(&self.api, self.account).await
    }
}

fn billing(account: AccountId, rest: &str) -> String {
    format!("/accounts/{account}/ai-gateway/billing/{rest}")
}

async fn balance(api: &Api, account: AccountId) -> Balance {
    ledger::balance(&mut api.store.pool.acquire().await.unwrap(), account).await.unwrap()
}

/// Gives credits, for a reason of their own each.
async fn give(api: &Api, account: AccountId, dollars: i64) {
    let mut tx = api.store.pool.begin().await.unwrap();
    let cause = Cause::new(CauseKind::Grant, uuid::Uuid::now_v7().to_string());
    let amount = Nanos(dollars * DOLLAR);
    ledger::deposit(&mut tx, account, amount, Source::Adjustment, &cause, "").await.unwrap();
    tx.commit().await.unwrap();
}

/// Takes credits as the ledger's desk would.
async fn take(api: &Api, account: AccountId, dollars: i64) {
    let mut tx = api.store.pool.begin().await.unwrap();
    let cause = Cause::new(CauseKind::Debit, uuid::Uuid::now_v7().to_string());
    let (amount, to) = (Nanos(dollars * DOLLAR), Destination::Adjustment);
    ledger::request_withdrawal(&mut tx, account, amount, to, Missing::Refuse, &cause, "").await.unwrap();
    tx.commit().await.unwrap();
    let taken = work_off_withdrawals(api).await;
    assert_eq!(taken, [(amount, Nanos::ZERO)]);
}

/// Does the part of the ledger's desk: whatever is asked for is set aside as far as it is there. Answers
/// with what was taken and what is owed for each.
async fn work_off_withdrawals(api: &Api) -> Vec<(Nanos, Nanos)> {
    let mut outcomes = Vec::new();
    for withdrawal in ledger::open_withdrawals(&api.store, 100).await.unwrap() {
        let mut tx = api.store.pool.begin().await.unwrap();
        let decision = Decision { collected: withdrawal.wanted(), era: 1 };
        let outcome = ledger::decide_withdrawal(&mut tx, &withdrawal, decision).await.unwrap();
        ledger::finish_withdrawal(&mut tx, withdrawal.id).await.unwrap();
        tx.commit().await.unwrap();
        outcomes.push((outcome.taken, outcome.owed));
    }
    outcomes
}

/// What the operator's purses of a kind have come to, in nano-dollars.
async fn purse(api: &Api, kind: &str) -> Nanos {
    let sum =
        sqlx::query_scalar("select coalesce(sum(balance), 0)::bigint from ledger_accounts where kind = $1");
    Nanos(sum.bind(kind).fetch_one(&api.store.pool).await.unwrap())
}

/// Money is neither made nor lost.
async fn assert_balanced(api: &Api) {
    let sum: i64 = sqlx::query_scalar("select coalesce(sum(balance), 0)::bigint from ledger_accounts")
        .fetch_one(&api.store.pool)
        .await
        .unwrap();
    assert_eq!(sum, 0);
}
