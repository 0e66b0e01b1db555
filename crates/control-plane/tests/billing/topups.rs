//! `/billing/topup`, at localstripe.

use control_plane::payments::look;
use http::{Method, StatusCode};
use model::Nanos;
use model::account::Role;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use time::{Duration, OffsetDateTime};

use crate::localstripe::{ASKS_ITS_OWNER, DECLINED, GOOD};
use crate::support::Api;
use crate::{DOLLAR, Shop, assert_balanced, billing, purse};

#[sqlx::test(migrations = "../../migrations")]
async fn an_owner_buys_credits_once_and_the_fee_is_the_operators(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let mut shop = Shop::open(pool, address).await.with_fee(50_000).await;
    shop.listens().await;
    let card = shop.stripe.card(GOOD).await;
    let bought = shop.buy(2000, &card).await;
    assert_eq!((&bought["client_secret"], &bought["onboarding"]), (&Value::Null, &json!(false)));
    assert_eq!((&bought["brand"], &bought["last4"]), (&json!("visa"), &json!("4242")));
    assert_eq!((&bought["amount_usd"], &bought["fee_usd"]), (&json!("20"), &json!("1")));
    assert_eq!(shop.stripe.charged().await, [2100]);

    // The same is told again by the event.
    shop.stripe.delivered("payment_intent.succeeded").await;
    let balance = shop.get("credit-balance").await;
    assert_eq!((&balance["balance"], &balance["balance_usd"]), (&json!(2000), &json!("20")));
    assert_eq!(balance["payment_method"], json!({"brand": "visa", "last4": "4242"}));
    assert_eq!(
        (&balance["has_default_payment_method"], &balance["first_topup_success"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(purse(&shop.api, "fees").await, Nanos(DOLLAR));
    assert_eq!(purse(&shop.api, "payments_clearing").await, Nanos(-21 * DOLLAR));
    assert_balanced(&shop.api).await;

    let asked = json!({"payment_intent_id": bought["payment_intent_id"]});
    let (status, answer) = shop.post("topup/status", asked).await;
    assert_eq!((status, &answer["result"]["status"]), (StatusCode::OK, &json!("completed")));

    // The card is kept: the next top-up needs none.
    let (status, again) = shop.post("topup", json!({"amount": 1000})).await;
    assert_eq!((status, &again["result"]["onboarding"]), (StatusCode::OK, &json!(true)), "{again}");
    assert_eq!(shop.balance().await.credits, Nanos(30 * DOLLAR));

    let history = shop.get("invoice-history?type=manual&per_page=1").await;
    assert_eq!(history["pagination"], json!({"has_more": true, "page": 1, "per_page": 1, "total_count": 2}));
    let invoice = &history["invoices"][0];
    assert_eq!((&invoice["amount_paid"], &invoice["status"]), (&json!(1050), &json!("paid")));
    assert_eq!((&invoice["amount_paid_usd"], &invoice["fee_usd"]), (&json!("10.5"), &json!("0.5")));
    assert!(invoice["created_by"].as_str().unwrap().contains('@'));
    assert_eq!(shop.get("invoice-history?type=auto").await["invoices"], json!([]));
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_declined_card_is_told_with_402_and_costs_nothing(pool: PgPoolOptions, address: PgConnectOptions) {
    let shop = Shop::open(pool, address).await;
    let card = shop.stripe.card(DECLINED).await;
    let (status, body) = shop.post("topup", json!({"amount": 1000, "payment_method_id": card})).await;
    assert_eq!((status, &body["errors"][0]["code"]), (StatusCode::PAYMENT_REQUIRED, &json!(10402)), "{body}");
    assert_eq!(body["errors"][0]["message"], "Your card was declined.");
    assert_eq!(shop.balance().await.total(), Nanos::ZERO);
    let history = shop.get("invoice-history").await;
    assert_eq!(history["invoices"][0]["status"], "uncollectible");
    let intents = shop.stripe.get("/v1/payment_intents").await;
    assert_eq!(intents["data"][0]["status"], "canceled", "nobody can go on with it");
    let asked = json!({"payment_intent_id": intents["data"][0]["id"]});
    let (status, body) = shop.post("topup/status", asked).await;
    assert_eq!(status, StatusCode::PAYMENT_REQUIRED, "{body}");
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_buyer_without_a_card_goes_on_in_the_browser(pool: PgPoolOptions, address: PgConnectOptions) {
    let mut shop = Shop::open(pool, address).await;
    shop.listens().await;
    let (status, begun) = shop.post("topup", json!({"amount": 1000})).await;
    assert_eq!(status, StatusCode::OK, "{begun}");
    let intent = begun["result"]["payment_intent_id"].as_str().unwrap();
    assert!(begun["result"]["client_secret"].as_str().unwrap().starts_with(intent));
    let (_, answer) = shop.post("topup/status", json!({"payment_intent_id": intent})).await;
    assert_eq!(answer["result"]["status"], "pending");

    // What the browser does at Stripe.
    let card = shop.stripe.card(GOOD).await;
    shop.stripe.post(&format!("/v1/payment_intents/{intent}"), &[("payment_method", &card)]).await;
    shop.stripe.post(&format!("/v1/payment_intents/{intent}/confirm"), &[]).await;
    shop.stripe.delivered("payment_intent.succeeded").await;
    let balance = shop.get("credit-balance").await;
    assert_eq!((&balance["balance"], &balance["payment_method"]["last4"]), (&json!(1000), &json!("4242")));
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_card_that_asks_its_owner_pays_once_he_said_yes(pool: PgPoolOptions, address: PgConnectOptions) {
    let mut shop = Shop::open(pool, address).await;
    shop.listens().await;
    let card = shop.stripe.card(ASKS_ITS_OWNER).await;
    let begun = shop.buy(1000, &card).await;
    let (intent, secret) =
        (begun["payment_intent_id"].as_str().unwrap(), begun["client_secret"].as_str().unwrap());
    assert_eq!(shop.balance().await.total(), Nanos::ZERO);
    let form = [("client_secret", secret), ("success", "true")];
    shop.stripe.post(&format!("/v1/payment_intents/{intent}/_authenticate"), &form).await;
    shop.stripe.delivered("payment_intent.succeeded").await;
    assert_eq!(shop.balance().await.credits, Nanos(10 * DOLLAR));
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_lost_answer_loses_no_money_and_takes_none_twice(pool: PgPoolOptions, address: PgConnectOptions) {
    let shop = Shop::open(pool, address).await;
    let card = shop.stripe.card(GOOD).await;
    let topup = json!({"amount": 1000, "payment_method_id": card});

    // The intent was made, nobody heard of it, and nothing was charged.
    shop.stripe.lose("/v1/payment_intents").await;
    let (status, body) = shop.post("topup", topup.clone()).await;
    assert_eq!((status, &body["errors"][0]["code"]), (StatusCode::BAD_GATEWAY, &json!(10502)), "{body}");
    assert!(shop.stripe.charged().await.is_empty());

    // The card was charged, and nobody heard of it. The buyer is not told to try again.
    shop.stripe.lose("/confirm").await;
    let (status, begun) = shop.post("topup", topup).await;
    assert_eq!((status, &begun["result"]["client_secret"]), (StatusCode::OK, &Value::Null), "{begun}");
    assert_eq!(shop.stripe.charged().await, [1000]);
    assert_eq!(shop.balance().await.total(), Nanos::ZERO);

    let later = OffsetDateTime::now_utc() + Duration::minutes(1);
    for _ in 0..2 {
        look(&shop.api.store, shop.tollgates(), later).await.unwrap();
    }
    assert_eq!(shop.balance().await.credits, Nanos(10 * DOLLAR));
    assert_eq!(shop.stripe.charged().await, [1000]);
    let history = shop.get("invoice-history").await;
    let states: Vec<&Value> =
        history["invoices"].as_array().unwrap().iter().map(|invoice| &invoice["status"]).collect();
    assert_eq!(states, ["paid", "void"]);
    assert_eq!(shop.get("credit-balance").await["payment_method"]["last4"], "4242");
}

#[sqlx::test(migrations = "../../migrations")]
async fn who_asks_learns_of_a_payment_whose_event_was_lost(pool: PgPoolOptions, address: PgConnectOptions) {
    let shop = Shop::open(pool, address).await;
    let (_, begun) = shop.post("topup", json!({"amount": 1000})).await;
    let intent = begun["result"]["payment_intent_id"].as_str().unwrap();
    let card = shop.stripe.card(GOOD).await;
    shop.stripe.post(&format!("/v1/payment_intents/{intent}"), &[("payment_method", &card)]).await;
    shop.stripe.post(&format!("/v1/payment_intents/{intent}/confirm"), &[]).await;
    let asked = json!({"payment_intent_id": intent});
    let (one, another) =
        tokio::join!(shop.post("topup/status", asked.clone()), shop.post("topup/status", asked.clone()));
    for (status, body) in [one, another] {
        assert_eq!((status, &body["result"]["status"]), (StatusCode::OK, &json!("completed")));
    }
    assert_eq!(shop.balance().await.credits, Nanos(10 * DOLLAR));
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_purchase_that_nobody_goes_on_with_is_called_off_after_a_day(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let shop = Shop::open(pool, address).await;
    let (_, begun) = shop.post("topup", json!({"amount": 1000})).await;
    let intent = begun["result"]["payment_intent_id"].as_str().unwrap().to_owned();
    let status =
        || async { shop.stripe.get(&format!("/v1/payment_intents/{intent}")).await["status"].clone() };
    let now = OffsetDateTime::now_utc();
    look(&shop.api.store, shop.tollgates(), now + Duration::hours(22)).await.unwrap();
    assert_eq!(status().await, "requires_payment_method");
    look(&shop.api.store, shop.tollgates(), now + Duration::hours(24)).await.unwrap();
    assert_eq!(status().await, "canceled");
    assert_eq!(shop.get("invoice-history").await["invoices"][0]["status"], "void");
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_amount_or_a_card_that_cannot_be_is_told_with_its_path(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let shop = Shop::open(pool, address).await;
    for (body, field) in [
        (json!({"amount": 999}), "amount"),
        (json!({"amount": 1_000_001}), "amount"),
        (json!({"amount": "1000"}), "amount"),
        (json!({"amount": 1000.5}), "amount"),
        (json!({}), "amount"),
        (json!({"amount": 1000, "payment_method_id": "../customers"}), "payment_method_id"),
        (json!({"amount": 1000, "currency": "eur"}), "currency"),
    ] {
        let (status, answer) = shop.post("topup", body.clone()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(answer["errors"][0]["path"], json!(["body", field]), "{body}");
    }
    let (status, body) = shop.post("topup", json!({"amount": 1000, "payment_method_id": "pm_unknown"})).await;
    assert_eq!((status, &body["errors"][0]["code"]), (StatusCode::BAD_GATEWAY, &json!(10502)), "{body}");
    assert!(shop.stripe.charged().await.is_empty());
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_card_can_be_asked_about_before_it_is_charged(pool: PgPoolOptions, address: PgConnectOptions) {
    let shop = Shop::open(pool, address).await;
    let limits = shop.get("topup/limits").await;
    assert_eq!((&limits["enabled"], &limits["reason"]), (&json!(true), &Value::Null));
    assert_eq!((&limits["minimum"], &limits["maximum_usd"]), (&json!(1000), &json!("10000")));
    assert_eq!((&limits["fee_percent"], &limits["publishable_key"]), (&json!("0"), &json!("pk_test_12345")));
    let card = shop.stripe.card(GOOD).await;
    for (body, expected) in [
        (json!({}), json!({"eligible": false, "reason": "no_payment_method"})),
        (
            json!({"payment_method_id": "pm_no"}),
            json!({"eligible": false, "reason": "unknown_payment_method"}),
        ),
        (json!({"payment_method_id": card}), json!({"eligible": true, "reason": null})),
    ] {
        let (status, answer) = shop.post("topup/eligibility", body.clone()).await;
        assert_eq!((status, &answer["result"]), (StatusCode::OK, &expected), "{body}");
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn without_a_payment_provider_the_api_says_so(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let (account, owner) = api.owner().await;
    let limits = api.call(&owner, Method::GET, &billing(account, "topup/limits"), None).await.1;
    assert_eq!(limits["result"]["enabled"], false);
    assert!(limits["result"]["reason"].as_str().unwrap().starts_with("Card top-up is off"));
    for (path, body) in
        [("topup", json!({"amount": 1000})), ("topup/config", json!({"amount": 1000, "threshold": 500}))]
    {
        let (status, body) = api.call(&owner, Method::POST, &billing(account, path), Some(body)).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{body}");
        assert!(body["errors"][0]["message"].as_str().unwrap().starts_with("Card top-up is off"), "{body}");
    }
    let (_, body) =
        api.call(&owner, Method::POST, &billing(account, "topup/eligibility"), Some(json!({}))).await;
    assert_eq!(body["result"], json!({"eligible": false, "reason": "payments_off"}));
    assert_eq!(api.raw(Method::POST, "/stripe/webhook", &[], "{}").await.status(), StatusCode::NOT_FOUND);
}

#[sqlx::test(migrations = "../../migrations")]
async fn each_actor_sees_and_buys_what_is_his(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let (account, owner) = api.owner().await;
    let (_, stranger) = api.owner().await;
    let viewer = api.member(account, Role::Viewer).await;
    let editor = api.member_called(account, Role::Editor, "editor@example.com").await;
    let admin = api.member_called(account, Role::Admin, "admin@example.com").await;
    let reader = api.token(account, &owner, &["Billing Read"]).await;
    let writer = api.token(account, &owner, &["Billing Write"]).await;
    let other = api.token(account, &owner, &["AI Gateway Write"]).await;

    let ok = StatusCode::OK;
    let (not_found, forbidden) = (StatusCode::NOT_FOUND, StatusCode::FORBIDDEN);
    let reads =
        ["credit-balance", "invoice-history", "invoice-preview", "topup/limits", "topup/config", "notices"];
    for path in reads.into_iter().chain(["usage-history?value_grouping_window=day"]) {
        for (actor, expected) in [
            (&owner, ok),
            (&admin, ok),
            (&editor, ok),
            (&viewer, ok),
            (&reader, ok),
            (&writer, ok),
            (&stranger, not_found),
            (&other, not_found),
            (&api.nobody(), StatusCode::UNAUTHORIZED),
        ] {
            let (status, body) = api.call(actor, Method::GET, &billing(account, path), None).await;
            assert_eq!(status, expected, "{path}: {body}");
        }
    }
    let missing_config = (Method::DELETE, "topup/config", Value::Null);
    for (method, path, body, of_token) in [
        (Method::POST, "topup", json!({"amount": 1000}), forbidden),
        (Method::POST, "topup/config", json!({"amount": 1000, "threshold": 500}), forbidden),
        (missing_config.0, missing_config.1, missing_config.2, forbidden),
        (Method::POST, "vouchers/redeem", json!({"code": "no"}), StatusCode::BAD_REQUEST),
        (Method::PUT, "notices", json!({"threshold": 100}), ok),
    ] {
        // No card can be charged here, there is no such voucher, and nothing to delete.
        let of_person = match (&method, path) {
            (&Method::DELETE, _) => not_found,
            (_, "topup" | "topup/config") => forbidden,
            _ => of_token,
        };
        for (actor, expected) in [
            (&owner, of_person),
            (&admin, of_person),
            (&editor, not_found),
            (&viewer, not_found),
            (&reader, not_found),
            (&writer, of_token),
            (&stranger, not_found),
            (&other, not_found),
            (&api.nobody(), StatusCode::UNAUTHORIZED),
        ] {
            let body = (!body.is_null()).then(|| body.clone());
            let (status, answer) = api.call(actor, method.clone(), &billing(account, path), body).await;
            assert_eq!(status, expected, "{method} {path}: {answer}");
        }
    }
    let (_, answer) =
        api.call(&writer, Method::POST, &billing(account, "topup"), Some(json!({"amount": 1000}))).await;
    assert_eq!(answer["errors"][0]["message"], "Only a person can do this, not an API token");
}
