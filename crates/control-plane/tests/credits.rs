//! Credits that the operator gives and takes by hand.

mod support;

use http::{Method, StatusCode};
use model::account::Role;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use store::ledger;
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
    let auth = format!("Bearer {}", owner.bearer);
    let csv = api.raw(Method::GET, &format!("{ledger}.csv?limit=1"), &[("authorization", &auth)], "").await;
    let csv = String::from_utf8(csv.into_body().to_vec()).unwrap();
    assert_eq!(csv.lines().count(), 2, "a heading and the one line that was asked for: {csv}");
    assert!(csv.lines().nth(1).unwrap().contains(",promotion,\"three\",\"\",0.25,10.750000001,"), "{csv}");
    assert_eq!(rest["result"]["lines"][0]["cause"], "one", "the key as it was said");
    let (_, found) = api.call(&owner, Method::GET, &format!("{ledger}?cause=two"), None).await;
    assert_eq!(found["result"]["lines"].as_array().unwrap().len(), 1, "{found}");
    let (_, found) = api.call(&owner, Method::GET, &format!("{ledger}?kind=usage,payment"), None).await;
    assert_eq!(found["result"]["lines"], json!([]));
    let id = rest["result"]["lines"][0]["transaction_id"].as_str().unwrap();
    let (_, transfers) = api.call(&owner, Method::GET, &format!("{ledger}/{id}"), None).await;
    assert_eq!(transfers["result"], json!([{"from": "adjustments", "to": "credits", "amount_usd": "10.5"}]));
    let (_, balance) = api.call(&operator, Method::GET, "/operator/ledger/trial-balance", None).await;
    assert_eq!(balance["result"]["total_usd"], "0");
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_key_that_has_given_something_gives_nothing_else(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let operator = api.operator().await;
    let (account, _) = api.owner().await;
    let path = format!("/accounts/{account}/ai-gateway/billing/credits");
    let bodies = [
        json!({"amount": 100, "description": "a"}),
        json!({"amount": 100, "description": "b"}),
        json!({"amount": 101, "description": "a"}),
        json!({"amount": 100, "description": "a", "expires_at": "2099-01-01T00:00:00Z"}),
        json!({"amount": 100, "description": "a", "expires_at": "2099-01-01T00:00:00.123456789Z"}),
    ];
    for first in &bodies {
        let key = first.to_string();
        for body in &bodies {
            // The first of all settles what the key means.
            let (status, _) = give(&api, &operator, &path, &key, first.clone()).await;
            assert_eq!(status, StatusCode::OK, "{first}");
            let (status, answer) = give(&api, &operator, &path, &key, body.clone()).await;
            if body == first {
                assert_eq!((status, &answer["result"]["repeated"]), (StatusCode::OK, &json!(true)), "{body}");
            } else {
                assert_eq!(status, StatusCode::CONFLICT, "{body} after {first}");
            }
        }
    }
    let (_, owned) = give(&api, &operator, &path, "last", json!({"amount_nanos": 1})).await;
    assert_eq!(owned["result"]["balance_usd"], "5.010000001", "each of the five once, and the last");
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_debit_says_what_came_of_it_and_its_key_takes_nothing_else(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let api = Api::start(pool, address).await;
    let operator = api.operator().await;
    let (account, owner) = api.owner().await;
    let (other, _) = api.owner().await;
    let billing = format!("/accounts/{account}/ai-gateway/billing");
    let (credits, debits) = (format!("{billing}/credits"), format!("{billing}/debits"));
    give(&api, &operator, &credits, "one", json!({"amount": 100})).await;
    let mut shown = Vec::new();
    for (key, body) in [
        ("a", json!({"amount": 30})),
        ("b", json!({"amount": 80, "missing": "refuse"})),
        ("c", json!({"amount": 80, "missing": "owe"})),
        ("d", json!({"amount": 5, "missing": "leave"})),
    ] {
        for _ in 0..2 {
            let (status, asked) = give(&api, &operator, &debits, key, body.clone()).await;
            assert_eq!((status, &asked["result"]["state"]), (StatusCode::OK, &json!("requested")), "{asked}");
            assert_eq!(asked["result"]["taken_usd"], Value::Null);
            shown.push(format!("{debits}/{}", asked["result"]["id"].as_str().unwrap()));
        }
        for change in [json!({"amount": 31}), json!({"description": "x"}), json!({"missing": "leave"})] {
            let mut another = body.clone();
            another.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            if another != body {
                let (status, answer) = give(&api, &operator, &debits, key, another).await;
                assert_eq!(status, StatusCode::CONFLICT, "{answer}");
            }
        }
    }
    shown.dedup();
    assert_eq!(shown.len(), 4, "the same key is the same debit");
    // The part of the ledger's desk.
    for withdrawal in ledger::open_withdrawals(&api.store, 10).await.unwrap() {
        let mut tx = api.store.pool.begin().await.unwrap();
        let decision = ledger::Decision { collected: withdrawal.wanted(), era: 1 };
        ledger::decide_withdrawal(&mut tx, &withdrawal, decision).await.unwrap();
        tx.commit().await.unwrap();
    }
    let mut outcomes = Vec::new();
    for path in &shown {
        let (status, debit) = api.call(&operator, Method::GET, path, None).await;
        assert_eq!(status, StatusCode::OK, "{debit}");
        let member = |name: &str| debit["result"][name].as_str().unwrap_or_default().to_owned();
        assert_eq!(debit["result"]["transaction_id"] == Value::Null, member("taken_usd") == "0");
        outcomes.push((member("state"), member("taken_usd"), member("owed_usd")));
        let elsewhere = path.replace(&account.to_string(), &other.to_string());
        for (actor, path) in [(&owner, path), (&operator, &elsewhere)] {
            assert_eq!(api.call(actor, Method::GET, path, None).await.0, StatusCode::NOT_FOUND);
        }
    }
    let expected =
        [("taken", "0.3", "0"), ("refused", "0", "0"), ("taken", "0.7", "0.1"), ("taken", "0", "0")];
    assert_eq!(outcomes, expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned())));
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
        (json!({"amount": 1, "expires_at": "tomorrow"}), "expires_at"),
        (json!({"amount_usd": "-1"}), "amount_usd"),
        (json!({"amount_nanos": 0}), "amount_nanos"),
        (json!({"amount": 1, "description": "x".repeat(501)}), "description"),
        (json!({"amount": 1, "description": "\0"}), "description"),
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
    let (account, owner) = api.owner().await;
    for query in ["kind=x", "since=yesterday", "direction=up", "limit=0", "limit=x", "before=1.5"] {
        for ledger in ["ledger", "ledger.csv"] {
            let path = format!("/accounts/{account}/ai-gateway/billing/{ledger}?{query}");
            let (status, answer) = api.call(&owner, Method::GET, &path, None).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{query}: {answer}");
            let name = query.split('=').next().unwrap();
            assert_eq!(answer["errors"][0]["path"], json!(["query", name]), "{query}");
        }
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
