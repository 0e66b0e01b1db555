//! Receipts, and prices that are corrected from a date on.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop where it fails")]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use http::{Method, StatusCode};
use model::id::GatewayInternalId;
use model::usage::{Hold, KeySource, Tokens, UsageRecord};
use model::{AccountId, Nanos, samples};
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use store::ledger::{self, Cause, CauseKind, Claim, Source};
use store::usage::{self, Posted};
use support::{Actor, Api};
use uuid::Uuid;

/// An account with ten dollars that has spent some of them on one request.
struct Spent {
    api: Api,
    operator: Actor,
    account: AccountId,
    owner: Actor,
    record: UsageRecord,
}

impl Spent {
    async fn start(pool: PgPoolOptions, address: PgConnectOptions) -> Self {
        let api = Api::start(pool, address).await;
        let operator = api.operator().await;
        let (account, owner) = api.owner().await;
        let path = format!("/accounts/{account}/ai-gateway/gateways");
        let gateway = json!({
            "id": "demo", "cache_invalidate_on_update": false, "cache_ttl": 0, "collect_logs": true,
            "rate_limiting_interval": 0, "rate_limiting_limit": 0,
        });
        let (status, body) = api.call(&owner, Method::POST, &path, Some(gateway)).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let gateway = GatewayInternalId(body["result"]["internal_id"].as_str().unwrap().parse().unwrap());
        // gpt-4o-mini: $0.15 and $0.60 for a million, so 1,000 and 1,000 cost $0.00075; 10 % more is charged.
        let id = Uuid::now_v7();
        let record = UsageRecord {
            gateway,
            tokens: Tokens { input: 1_000, output: 1_000, ..Tokens::default() },
            key_source: Some(KeySource::Credits),
            cost: Some(Nanos(750_000)),
            markup_ppm: 100_000,
            charge: Nanos(825_000),
            paid: Nanos(825_000),
            hold: Some(Hold {
                incarnation: Uuid::nil(),
                id,
                amount: Nanos(1_000_000),
                floor: Nanos(165_000),
                reserved: Vec::new(),
            }),
            ..samples::usage_record(id, account)
        };
        let spent = Self { api, operator, account, owner, record };
        spent.post().await;
        spent
    }

    /// As the desk posts it.
    async fn post(&self) {
        let Self { api, account, record, .. } = self;
        usage::ensure_day(&api.store, usage::day(record.id).unwrap()).await.unwrap();
        let mut tx = api.store.pool.begin().await.unwrap();
        let cause = Cause::new(CauseKind::Grant, format!("{account}:start"));
        let ten = Nanos(10_000_000_000);
        ledger::deposit(&mut tx, *account, ten, Source::Adjustment, &cause, "").await.unwrap();
        let claim = Claim {
            record: record.id,
            account: *account,
            charge: record.charge,
            cost: record.cost.unwrap(),
            set_aside: Some(record.charge),
            before: None,
        };
        let batches = BTreeMap::from([(account.shard(), format!("{account}/1"))]);
        let charged = ledger::charge(&mut tx, &batches, &[claim]).await.unwrap();
        let posted = Posted { record, transaction: charged[0].transaction };
        usage::insert_new(&mut tx, &[posted]).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn balance(&self) -> Nanos {
        let mut connection = self.api.store.pool.acquire().await.unwrap();
        ledger::balance(&mut connection, self.account).await.unwrap().total()
    }

    async fn rerated(&self, price: Value, charges: bool) -> Value {
        let body = json!({
            "rule": {"provider": "openai", "model": "gpt-4o-mini", "token_pricing": price},
            "since": "2020-01-01T00:00:00Z", "charges": charges, "description": "A price was wrong",
        });
        let (status, created) =
            self.api.call(&self.operator, Method::POST, "/operator/reratings", Some(body)).await;
        assert_eq!(status, StatusCode::OK, "{created}");
        let path = format!("/operator/reratings/{}", created["result"]["id"].as_str().unwrap());
        loop {
            let (_, shown) = self.api.call(&self.operator, Method::GET, &path, None).await;
            if shown["result"]["state"] != "computing" {
                return shown["result"].clone();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn post_rerating(&self, rerating: &Value) -> (StatusCode, Value) {
        let path = format!("/operator/reratings/{}/post", rerating["id"].as_str().unwrap());
        self.api.call(&self.operator, Method::POST, &path, None).await
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_receipt_says_what_was_charged_and_by_which_prices(pool: PgPoolOptions, address: PgConnectOptions) {
    let spent = Spent::start(pool, address).await;
    let (api, account, id) = (&spent.api, spent.account, spent.record.id);
    let path = format!("/accounts/{account}/ai-gateway/gateways/demo/logs/{id}/receipt");
    let (status, body) = api.call(&spent.owner, Method::GET, &path, None).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let receipt = &body["result"]["receipt"];
    assert_eq!(
        receipt["lines"],
        json!([
            {"class": "input", "quantity": 1000, "unit_price_usd": "0.15", "per_million": true, "amount_usd": "0.00015"},
            {"class": "output", "quantity": 1000, "unit_price_usd": "0.6", "per_million": true, "amount_usd": "0.0006"},
        ])
    );
    for (member, expected) in [
        ("cost_usd", "0.00075"),
        ("markup_percent", "10"),
        ("charge_usd", "0.000825"),
        ("paid_usd", "0.000825"),
        ("shortfall_usd", "0"),
        ("hold_usd", "0.001"),
        ("hold_floor_usd", "0.000165"),
        ("price_version", "2026-10-01"),
        ("provenance", "reported"),
    ] {
        assert_eq!(receipt[member], expected, "{member}");
    }
    let transaction = receipt["ledger_transaction_id"].as_str().unwrap();
    let path = format!("/accounts/{account}/ai-gateway/billing/ledger/{transaction}");
    let (_, transfers) = api.call(&spent.owner, Method::GET, &path, None).await;
    assert_eq!(transfers["result"][0]["amount_usd"], "0.000825");

    let signed = body["result"]["signed"].as_str().unwrap();
    let payload = BASE64.decode(signed.split('.').nth(1).unwrap()).unwrap();
    assert_eq!(&serde_json::from_slice::<Value>(&payload).unwrap(), receipt);
    let (status, keys) = api.call(&api.nobody(), Method::GET, "/receipts/keys", None).await;
    assert_eq!((status, &keys["keys"][0]), (StatusCode::OK, &body["result"]["key"]));

    let (_, stranger) = api.owner().await;
    let path = format!("/accounts/{account}/ai-gateway/gateways/demo/logs/{id}/receipt");
    let (status, _) = api.call(&stranger, Method::GET, &path, None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let other = path.replace(&id.to_string(), &Uuid::now_v7().to_string());
    let (status, _) = api.call(&spent.owner, Method::GET, &other, None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_price_that_was_too_high_is_given_back_once(pool: PgPoolOptions, address: PgConnectOptions) {
    let spent = Spent::start(pool, address).await;
    // Half of it: $0.000375, with the markup $0.0004125.
    let half = json!({"input_tokens": 0.075, "output_tokens": 0.3});
    let rerating = spent.rerated(half.clone(), false).await;
    let change = &rerating["changes"][0];
    assert_eq!(
        (&change["records"], &change["cost_usd"], &change["due_usd"]),
        (&json!(1), &json!("-0.000375"), &json!("-0.0004125"))
    );
    assert_eq!(spent.balance().await, Nanos(9_999_175_000));
    for _ in 0..2 {
        let (status, posted) = spent.post_rerating(&rerating).await;
        assert_eq!((status, &posted["result"]["state"]), (StatusCode::OK, &json!("posted")), "{posted}");
        assert_eq!(spent.balance().await, Nanos(9_999_587_500));
    }
    let path =
        format!("/accounts/{}/ai-gateway/gateways/demo/logs/{}/receipt", spent.account, spent.record.id);
    let (_, receipt) = spent.api.call(&spent.owner, Method::GET, &path, None).await;
    let receipt = &receipt["result"]["receipt"];
    let corrected = &receipt["reratings"][0];
    assert_eq!(
        (&receipt["charge_usd"], &corrected["due_usd"], &corrected["cost_usd"]),
        (&json!("0.000825"), &json!("-0.0004125"), &json!("0.000375"))
    );
    assert_eq!((&corrected["rerating_id"], &receipt["reratings"][1]), (&rerating["id"], &Value::Null));
    let transaction = corrected["ledger_transaction_id"].as_str().unwrap();
    let path = format!("/accounts/{}/ai-gateway/billing/ledger/{transaction}", spent.account);
    let (_, transfers) = spent.api.call(&spent.owner, Method::GET, &path, None).await;
    assert_eq!(
        transfers["result"],
        json!([{"from": "revenue", "to": "credits", "amount_usd": "0.0004125"}]),
        "{transaction}"
    );
    let again = spent.rerated(half, false).await;
    assert_eq!(again["changes"], json!([]), "what was corrected is correct");
    let (_, balance) =
        spent.api.call(&spent.operator, Method::GET, "/operator/ledger/trial-balance", None).await;
    let balance_of = |kind: &str| {
        let kinds = balance["result"]["kinds"].as_array().unwrap();
        kinds.iter().find(|total| total["kind"] == kind).map(|total| total["balance_usd"].clone()).unwrap()
    };
    assert_eq!(balance["result"]["total_usd"], "0");
    assert_eq!(balance_of("provider_cost"), "0.000375");
    assert_eq!(balance_of("revenue"), "0.0000375");
    let check = store::ledger::check(&spent.api.store).await.unwrap();
    assert_eq!(check.findings, []);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_price_that_was_too_low_is_taken_only_if_the_operator_says_so(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let spent = Spent::start(pool, address).await;
    let double = json!({"input_tokens": 0.3, "output_tokens": 1.2});
    let kind = spent.rerated(double.clone(), false).await;
    assert_eq!(kind["changes"][0]["due_usd"], "0");
    let strict = spent.rerated(double.clone(), true).await;
    assert_eq!(strict["changes"][0]["due_usd"], "0.000825");
    let (status, _) = spent.post_rerating(&strict).await;
    assert_eq!(status, StatusCode::OK);
    let withdrawals: i64 =
        sqlx::query_scalar("select amount from ledger_withdrawals where cause_kind = 'rerating'")
            .fetch_one(&spent.api.store.pool)
            .await
            .unwrap();
    assert_eq!(withdrawals, 825_000);
    let (status, body) = spent.post_rerating(&kind).await;
    assert_eq!(status, StatusCode::CONFLICT, "computed before the other was posted: {body}");
    let body =
        json!({"rule": {"provider": "openai", "model": "m", "cost_in": 1}, "since": "2999-01-01T00:00:00Z"});
    let (status, body) =
        spent.api.call(&spent.operator, Method::POST, "/operator/reratings", Some(body)).await;
    assert_eq!((status, &body["errors"][0]["path"][1]), (StatusCode::BAD_REQUEST, &json!("since")));
    let (status, _) = spent.api.call(&spent.owner, Method::GET, "/operator/reratings", None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_rerating_that_can_mean_nobody_is_refused_with_the_member_of_its_rule(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let spent = Spent::start(pool, address).await;
    let price = json!({"input_tokens": 0.123456});
    for (rule, member) in [
        (json!({"provider": "nobody", "model": "m", "token_pricing": price}), "provider"),
        (
            json!({"provider": "openai", "model": "m", "token_pricing": price, "account_id": "0".repeat(32)}),
            "account_id",
        ),
        (json!({"provider": "openai", "token_pricing": price}), "model"),
        (json!({"provider": "openai", "model": "m", "token_pricing": price, "smell": 1}), "smell"),
    ] {
        let body = json!({"rule": rule, "since": "2020-01-01T00:00:00Z"});
        let (status, answer) =
            spent.api.call(&spent.operator, Method::POST, "/operator/reratings", Some(body)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
        assert_eq!(answer["errors"][0]["path"], json!(["body", "rule", member]), "{answer}");
    }
    let shown = spent.rerated(price, false).await;
    assert_eq!(shown["rule"]["token_pricing"], r#"{"input_tokens":0.123456}"#, "the price is shown");
}
