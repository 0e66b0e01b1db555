//! Automatic top-up, at localstripe. What time it is, the tests say.

use control_plane::payments::auto_topups::top_up;
use control_plane::payments::look;
use http::{Method, StatusCode};
use model::Nanos;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use store::payments::lock::PaymentsLock;
use time::{Duration, OffsetDateTime};

use crate::localstripe::{ASKS_ITS_OWNER, DECLINED, GOOD};
use crate::{DOLLAR, Shop, give, take};

/// A shop whose owner has paid ten dollars with a good card, and has them topped up with twenty below five.
async fn shop(pool: PgPoolOptions, address: PgConnectOptions) -> Shop {
    let shop = Shop::open(pool, address).await;
    let card = shop.stripe.card(GOOD).await;
    shop.buy(1000, &card).await;
    let (status, set) = shop.post("topup/config", json!({"amount": 2000, "threshold": 500})).await;
    assert_eq!((status, &set["result"]["amount"]), (StatusCode::OK, &json!(2000)), "{set}");
    shop
}

impl Shop {
    /// One round of the desk.
    async fn round(&self, now: OffsetDateTime) {
        top_up(&self.api.store, self.tollgates(), now).await.unwrap();
    }

    /// Lets another card be the one that is kept.
    async fn keeps(&self, number: &str) {
        let card = self.stripe.card(number).await;
        sqlx::query("update payers set payment_method = $2 where account_id = $1")
            .bind(self.account.0)
            .bind(card)
            .execute(&self.api.store.pool)
            .await
            .unwrap();
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_balance_that_falls_below_the_threshold_is_topped_up_once(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let shop = shop(pool, address).await.with_fee(50_000).await;
    let now = OffsetDateTime::now_utc();
    take(&shop.api, shop.account, 5).await;
    shop.round(now).await;
    assert_eq!(shop.stripe.charged().await, [1000], "five dollars are not below five dollars");

    take(&shop.api, shop.account, 1).await;
    // Two desks, of which one only believes that it has the lock.
    tokio::join!(shop.round(now), shop.round(now));
    shop.round(now).await;
    assert_eq!(shop.stripe.charged().await, [1000, 2100]);
    assert_eq!(shop.balance().await.credits, Nanos(24 * DOLLAR));
    let history = shop.get("invoice-history?type=auto").await;
    assert_eq!(history["invoices"][0]["invoice_origin"], "auto");
    assert_eq!(history["pagination"]["total_count"], 1);

    take(&shop.api, shop.account, 20).await;
    shop.round(now).await;
    assert_eq!(shop.balance().await.credits, Nanos(24 * DOLLAR));
    let config = shop.get("topup/config").await;
    assert_eq!((&config["threshold_usd"], &config["error"]), (&json!("5"), &Value::Null));
}

#[sqlx::test(migrations = "../../migrations")]
async fn failures_are_followed_by_longer_pauses_and_the_fifth_by_an_end(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let shop = shop(pool, address).await;
    shop.keeps(DECLINED).await;
    take(&shop.api, shop.account, 9).await;
    let attempts =
        || async { shop.get("invoice-history?type=auto").await["pagination"]["total_count"].clone() };
    let mut now = OffsetDateTime::now_utc();
    for (failures, pause) in [(1, 15), (2, 60), (3, 240), (4, 960)] {
        shop.round(now).await;
        assert_eq!(attempts().await, failures);
        let config = shop.get("topup/config").await;
        assert_eq!(config["error"], "Your card was declined.");
        assert_eq!(config["disabledReason"], Value::Null);
        assert_eq!(config["lastFailedAt"].as_i64().unwrap() / 1000, now.unix_timestamp());
        now += Duration::minutes(pause);
        shop.round(now - Duration::seconds(1)).await;
        assert_eq!(attempts().await, failures, "the pause is not over");
    }
    shop.round(now).await;
    let config = shop.get("credit-balance").await["topup_config"].clone();
    assert_eq!(config["disabledReason"], "too_many_failures");
    shop.round(now + Duration::days(30)).await;
    assert_eq!(attempts().await, 5);
    assert_eq!(shop.stripe.charged().await, [1000]);

    // Somebody brings another card and sets it anew.
    shop.keeps(GOOD).await;
    let (_, set) = shop.post("topup/config", json!({"amount": 3000, "threshold": 600})).await;
    assert_eq!((&set["result"]["disabledReason"], &set["result"]["error"]), (&Value::Null, &Value::Null));
    shop.round(now + Duration::days(30)).await;
    assert_eq!(shop.balance().await.credits, Nanos(31 * DOLLAR));
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_card_whose_owner_must_be_asked_is_not_asked_again(pool: PgPoolOptions, address: PgConnectOptions) {
    let shop = shop(pool, address).await;
    shop.keeps(ASKS_ITS_OWNER).await;
    take(&shop.api, shop.account, 9).await;
    shop.round(OffsetDateTime::now_utc()).await;
    assert_eq!(shop.get("topup/config").await["disabledReason"], "authentication_required");
    let intents = shop.stripe.get("/v1/payment_intents").await;
    let states: Vec<&Value> =
        intents["data"].as_array().unwrap().iter().map(|intent| &intent["status"]).collect();
    assert!(states.contains(&&json!("canceled")), "nobody can pay it later: {states:?}");
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_lost_answer_is_asked_for_again_under_the_same_key(pool: PgPoolOptions, address: PgConnectOptions) {
    let shop = shop(pool, address).await;
    take(&shop.api, shop.account, 9).await;
    let now = OffsetDateTime::now_utc();
    shop.stripe.lose("/v1/payment_intents").await;
    shop.round(now).await;
    assert_eq!(shop.stripe.charged().await, [1000, 2000], "it was charged");
    assert_eq!(shop.balance().await.credits, Nanos(DOLLAR), "and nobody knows");
    // No second payment begins while that is so.
    shop.round(now).await;
    look(&shop.api.store, shop.tollgates(), now + Duration::minutes(1)).await.unwrap();
    shop.round(now + Duration::minutes(1)).await;
    assert_eq!(shop.stripe.charged().await, [1000, 2000]);
    assert_eq!(shop.balance().await.credits, Nanos(21 * DOLLAR));
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_top_up_that_ended_while_it_was_under_way_still_counts(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let shop = shop(pool, address).await;
    take(&shop.api, shop.account, 9).await;
    let now = OffsetDateTime::now_utc();
    shop.stripe.lose("/v1/payment_intents").await;
    shop.round(now).await;
    let config = shop.path("topup/config");
    let (status, removed) = shop.api.call(&shop.owner, Method::DELETE, &config, None).await;
    assert_eq!((status, &removed["result"]["amount"]), (StatusCode::OK, &json!(2000)));
    let (status, _) = shop.api.call(&shop.owner, Method::DELETE, &config, None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(shop.get("topup/config").await["amount"], Value::Null);
    look(&shop.api.store, shop.tollgates(), now + Duration::minutes(1)).await.unwrap();
    assert_eq!(shop.balance().await.credits, Nanos(21 * DOLLAR));
    take(&shop.api, shop.account, 20).await;
    shop.round(now + Duration::minutes(2)).await;
    assert_eq!(shop.stripe.charged().await, [1000, 2000]);
}

#[sqlx::test(migrations = "../../migrations")]
async fn it_needs_a_card_and_an_amount_and_a_threshold_that_can_be(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let shop = Shop::open(pool, address).await;
    give(&shop.api, shop.account, 10).await;
    for (body, field) in [
        (json!({"amount": 999, "threshold": 500}), "amount"),
        (json!({"amount": 1000, "threshold": 499}), "threshold"),
        (json!({"amount": 1000}), "threshold"),
    ] {
        let (status, answer) = shop.post("topup/config", body.clone()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(answer["errors"][0]["path"], json!(["body", field]), "{body}");
    }
    let (status, answer) = shop.post("topup/config", json!({"amount": 1000, "threshold": 500})).await;
    assert_eq!(status, StatusCode::CONFLICT, "{answer}");
}

#[sqlx::test(migrations = "../../migrations")]
async fn one_desk_at_a_time_has_the_lock(pool: PgPoolOptions, address: PgConnectOptions) {
    let shop = Shop::open(pool, address).await;
    let mut first = PaymentsLock::try_take(&shop.api.store).await.unwrap().unwrap();
    assert!(PaymentsLock::try_take(&shop.api.store).await.unwrap().is_none());
    first.check().await.unwrap();
    first.release().await.unwrap();
    assert!(PaymentsLock::try_take(&shop.api.store).await.unwrap().is_some());
}
