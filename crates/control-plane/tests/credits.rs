//! Credits that the operator gives and takes by hand.

mod support;

use http::{Method, StatusCode};
use model::account::Role;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use support::{Actor, Answer, Api};

async fn give(api: &Api, actor: &Actor, path: &str, key: &str, body: Value) -> Answer {
    api.call_with(actor, Method::POST, path, &[("idempotency-key", key)], Some(body)).await
}

#[sqlx::test(migrations = "../../migrations")]
async fn the_operator_gives_credits_once_however_often_he_says_so(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let api = Api::start(pool, address).await;
    let operator = api.operator().await;
    let (account, owner) = api.owner().await;
    let path = format!("/accounts/{account}/ai-gateway/billing/credits");
    let (status, body) = give(&api, &operator, &path, "one", json!({"amount": 1050})).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(
        (&body["result"]["balance_usd"], &body["result"]["repeated"]),
        (&json!("10.5"), &json!(false))
    );
    let (_, again) = give(&api, &operator, &path, "one", json!({"amount": 1050})).await;
    assert_eq!((&again["result"]["balance"], &again["result"]["repeated"]), (&json!(1050), &json!(true)));
    assert_eq!(again["result"]["transaction_id"], body["result"]["transaction_id"]);
    let (status, _) = give(&api, &operator, &path, "one", json!({"amount": 1051})).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let (_, more) = give(&api, &operator, &path, "two", json!({"amount_nanos": 1})).await;
    assert_eq!(more["result"]["balance_usd"], "10.500000001");
    let expires = json!({"amount_usd": "0.25", "expires_at": "2099-01-01T00:00:00Z"});
    let (_, more) = give(&api, &operator, &path, "three", expires).await;
    assert_eq!(more["result"]["balance_usd"], "10.750000001");

    let ledger = format!("/accounts/{account}/ai-gateway/billing/ledger");
    let (status, page) = api.call(&owner, Method::GET, &format!("{ledger}?limit=2"), None).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    let kinds: Vec<_> =
        page["result"]["lines"].as_array().unwrap().iter().map(|line| &line["kind"]).collect();
    assert_eq!(kinds, ["promotion", "grant"]);
    let next = page["result"]["next_before"].as_i64().unwrap();
    let (_, rest) = api.call(&owner, Method::GET, &format!("{ledger}?before={next}"), None).await;
    assert_eq!(rest["result"]["lines"][0]["amount_usd"], "10.5");
    assert_eq!(rest["result"]["next_before"], Value::Null);
    let (_, found) = api.call(&owner, Method::GET, &format!("{ledger}?kind=usage,payment"), None).await;
    assert_eq!(found["result"]["lines"], json!([]));
    let id = rest["result"]["lines"][0]["transaction_id"].as_str().unwrap();
    let (_, transfers) = api.call(&owner, Method::GET, &format!("{ledger}/{id}"), None).await;
    assert_eq!(transfers["result"], json!([{"from": "adjustments", "to": "credits", "amount_usd": "10.5"}]));
    let (_, balance) = api.call(&operator, Method::GET, "/operator/ledger/trial-balance", None).await;
    assert_eq!(balance["result"]["total_usd"], "0");
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_cannot_be_given_is_told_what_would_be_right(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let operator = api.operator().await;
    let (account, _) = api.owner().await;
    let path = format!("/accounts/{account}/ai-gateway/billing/credits");
    for (body, field) in [
        (json!({}), "amount"),
        (json!({"amount": 0}), "amount"),
        (json!({"amount": -5}), "amount"),
        (json!({"amount": 1, "amount_nanos": 1}), "amount"),
        (json!({"amount": 400_000_001}), "amount"),
        (json!({"amount_usd": "0.0000000001"}), "amount_usd"),
        (json!({"amount": 1, "expires_at": "2020-01-01T00:00:00Z"}), "expires_at"),
        (json!({"amount": 1, "smell": 1}), "smell"),
    ] {
        let (status, answer) = give(&api, &operator, &path, "key", body.clone()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}: {answer}");
        assert_eq!(answer["errors"][0]["path"][1], field, "{body}: {answer}");
    }
    let (status, answer) = api.call(&operator, Method::POST, &path, Some(json!({"amount": 1}))).await;
    assert_eq!(
        (status, &answer["errors"][0]["path"][1]),
        (StatusCode::BAD_REQUEST, &json!("Idempotency-Key"))
    );
    let nobody = format!("/accounts/{}/ai-gateway/billing/credits", "0".repeat(32));
    let (status, _) = give(&api, &operator, &nobody, "key", json!({"amount": 1})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    for query in ["kind=x", "since=yesterday", "direction=up", "limit=0"] {
        let (account, owner) = api.owner().await;
        let path = format!("/accounts/{account}/ai-gateway/billing/ledger?{query}");
        let (status, answer) = api.call(&owner, Method::GET, &path, None).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}: {answer}");
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn nobody_but_the_operator_gives_or_takes_and_strangers_read_nothing(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let api = Api::start(pool, address).await;
    let _operator = api.operator().await;
    let (account, owner) = api.owner().await;
    let viewer = api.member(account, Role::Viewer).await;
    let token = api.token(account, &owner, &["Billing Write"]).await;
    let (_, stranger) = api.owner().await;
    let billing = format!("/accounts/{account}/ai-gateway/billing");
    for actor in [&owner, &viewer, &token, &stranger] {
        for what in ["credits", "debits"] {
            let (status, _) =
                give(&api, actor, &format!("{billing}/{what}"), "k", json!({"amount": 5})).await;
            assert_eq!(status, StatusCode::NOT_FOUND);
        }
        let (status, _) = api.call(actor, Method::GET, "/operator/ledger/trial-balance", None).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
    }
    for (actor, expected) in [
        (&owner, StatusCode::OK),
        (&viewer, StatusCode::OK),
        (&token, StatusCode::OK),
        (&stranger, StatusCode::NOT_FOUND),
    ] {
        for path in ["ledger", "ledger.csv"] {
            let (status, _) = api.call(actor, Method::GET, &format!("{billing}/{path}"), None).await;
            assert_eq!(status, expected);
        }
    }
}
