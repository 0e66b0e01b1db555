//! `/stripe/webhook`: who is believed, and that whatever Stripe says, in whatever order and however often,
//! money is credited once and taken back once.

use control_plane::payments::stripe::{Event, News};
use control_plane::payments::{settling, signature};
use http::{Method, StatusCode};
use model::id::PaymentId;
use model::{Nanos, Secret};
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use store::payments::reversals::DisputeState;
use store::payments::{self, Origin, Payment, PaymentState};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::localstripe::{GOOD, WEBHOOK_SECRET};
use crate::support::Api;
use crate::{DOLLAR, Shop, assert_balanced, balance, purse, take, work_off_withdrawals};

/// An event as Stripe would send it.
fn event(id: &str, kind: &str, object: &Value) -> String {
    json!({"id": id, "object": "event", "type": kind, "data": {"object": object}}).to_string()
}

async fn send(api: &Api, signature: &str, body: &str) -> StatusCode {
    let headers = [("stripe-signature", signature), ("content-type", "application/json")];
    api.raw(Method::POST, "/stripe/webhook", &headers, body.to_owned()).await.status()
}

/// Sends an event signed as it should be.
async fn tell(api: &Api, body: &str) {
    let signature = signature::sign(&Secret::new(WEBHOOK_SECRET), OffsetDateTime::now_utc(), body.as_bytes());
    assert_eq!(send(api, &signature, body).await, StatusCode::OK, "{body}");
}

fn refunded(intent: &str, cents: i64) -> Value {
    json!({"id": "ch_1", "object": "charge", "payment_intent": intent, "amount": 2100, "amount_refunded": cents})
}

fn dispute(intent: &str, cents: i64, status: &str) -> Value {
    json!({"id": "dp_1", "object": "dispute", "payment_intent": intent, "amount": cents, "status": status})
}

/// Twenty dollars of credits, a dollar of fee, and the payment's intent.
async fn paid(shop: &Shop) -> String {
    let card = shop.stripe.card(GOOD).await;
    shop.buy(2000, &card).await["payment_intent_id"].as_str().unwrap().to_owned()
}

/// An intent that its buyer has not paid yet: its name, and how it will look once he has.
async fn unpaid(shop: &Shop) -> (String, Value) {
    let (_, begun) = shop.post("topup", json!({"amount": 2000})).await;
    let intent = begun["result"]["payment_intent_id"].as_str().unwrap().to_owned();
    let mut object = shop.stripe.get(&format!("/v1/payment_intents/{intent}")).await;
    object["status"] = json!("succeeded");
    object["amount_received"] = object["amount"].clone();
    (intent, object)
}

#[sqlx::test(migrations = "../../migrations")]
async fn only_what_stripe_signed_in_time_is_believed(pool: PgPoolOptions, address: PgConnectOptions) {
    let shop = Shop::open(pool, address).await;
    let (_, object) = unpaid(&shop).await;
    let body = event("evt_1", "payment_intent.succeeded", &object);
    let (secret, now) = (Secret::new(WEBHOOK_SECRET), OffsetDateTime::now_utc());
    let sign = |secret: &Secret, at, body: &str| signature::sign(secret, at, body.as_bytes());
    for (why, signature) in [
        ("none", String::new()),
        ("malformed", "t=1,v1=x".to_owned()),
        ("another secret", sign(&Secret::new("whsec_other"), now, &body)),
        ("another body", sign(&secret, now, "{}")),
        ("too old", sign(&secret, now - Duration::minutes(6), &body)),
        ("of the future", sign(&secret, now + Duration::minutes(6), &body)),
    ] {
        assert_eq!(send(&shop.api, &signature, &body).await, StatusCode::BAD_REQUEST, "{why}");
    }
    assert_eq!(shop.balance().await.total(), Nanos::ZERO);
    let versioned = shop.api.raw(Method::POST, "/client/v4/stripe/webhook", &[], body.clone()).await;
    assert_eq!(versioned.status(), StatusCode::NOT_FOUND);
    let nonsense = "{\"id\":1}";
    assert_eq!(send(&shop.api, &sign(&secret, now, nonsense), nonsense).await, StatusCode::BAD_REQUEST);

    // Either of the secrets will do while one follows the other.
    assert_eq!(
        send(&shop.api, &sign(&Secret::new("whsec_of_tomorrow"), now, &body), &body).await,
        StatusCode::OK
    );
    assert_eq!(shop.balance().await.credits, Nanos(20 * DOLLAR));
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_payment_that_is_told_of_again_and_again_is_credited_once(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let shop = Shop::open(pool, address).await.with_fee(50_000).await;
    let (intent, object) = unpaid(&shop).await;
    let failed = json!({"id": intent, "status": "requires_payment_method", "amount": 2100, "currency": "usd",
        "last_payment_error": {"code": "card_declined", "message": "Your card was declined."}});
    // The same event at the same time, others about the same, and an earlier state told later.
    let first = event("evt_1", "payment_intent.succeeded", &object);
    tokio::join!(tell(&shop.api, &first), tell(&shop.api, &first), tell(&shop.api, &first));
    tell(&shop.api, &event("evt_2", "payment_intent.succeeded", &object)).await;
    tell(&shop.api, &event("evt_3", "payment_intent.payment_failed", &failed)).await;
    let canceled = json!({"id": intent, "status": "canceled", "amount": 2100, "currency": "usd"});
    tell(&shop.api, &event("evt_4", "payment_intent.canceled", &canceled)).await;
    tell(&shop.api, &first).await;
    assert_eq!(shop.balance().await.credits, Nanos(20 * DOLLAR));
    assert_eq!(purse(&shop.api, "fees").await, Nanos(DOLLAR));
    assert_eq!(shop.get("invoice-history").await["invoices"][0]["status"], "paid");
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_buyer_whose_first_card_was_declined_may_pay_with_another(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let shop = Shop::open(pool, address).await;
    let (intent, object) = unpaid(&shop).await;
    let failed = json!({"id": intent, "status": "requires_payment_method", "amount": 2000, "currency": "usd",
        "last_payment_error": {"code": "card_declined", "message": "Your card was declined."}});
    tell(&shop.api, &event("evt_1", "payment_intent.payment_failed", &failed)).await;
    assert_eq!(shop.get("invoice-history").await["invoices"][0]["status"], "open");
    tell(&shop.api, &event("evt_2", "payment_intent.succeeded", &object)).await;
    assert_eq!(shop.balance().await.credits, Nanos(20 * DOLLAR));
}

#[sqlx::test(migrations = "../../migrations")]
async fn money_that_comes_after_all_is_credited_after_all(pool: PgPoolOptions, address: PgConnectOptions) {
    let shop = Shop::open(pool, address).await;
    let (intent, object) = unpaid(&shop).await;
    let canceled = json!({"id": intent, "status": "canceled", "amount": 2000, "currency": "usd"});
    tell(&shop.api, &event("evt_1", "payment_intent.canceled", &canceled)).await;
    assert_eq!(shop.get("invoice-history").await["invoices"][0]["status"], "void");
    tell(&shop.api, &event("evt_2", "payment_intent.succeeded", &object)).await;
    assert_eq!(shop.balance().await.credits, Nanos(20 * DOLLAR));
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_event_that_is_faster_than_the_answer_finds_its_payment(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let shop = Shop::open(pool, address).await;
    shop.stripe.lose("/v1/payment_intents").await;
    assert_eq!(shop.post("topup", json!({"amount": 2000})).await.0, StatusCode::BAD_GATEWAY);
    let mut object = shop.stripe.get("/v1/payment_intents").await["data"][0].clone();
    object["status"] = json!("succeeded");
    tell(&shop.api, &event("evt_1", "payment_intent.succeeded", &object)).await;
    assert_eq!(shop.balance().await.credits, Nanos(20 * DOLLAR));
    // What is known by its name cannot be claimed by another intent.
    object["id"] = json!("pi_of_somebody_else");
    tell(&shop.api, &event("evt_2", "payment_intent.succeeded", &object)).await;
    assert_eq!(shop.balance().await.credits, Nanos(20 * DOLLAR));
}

#[sqlx::test(migrations = "../../migrations")]
async fn events_that_are_not_about_us_change_nothing(pool: PgPoolOptions, address: PgConnectOptions) {
    let shop = Shop::open(pool, address).await;
    let stranger = json!({"id": "pi_x", "status": "succeeded", "amount": 5000, "currency": "usd",
        "metadata": {"payment_id": "pay_00000000000000000000000000000009", "order": "7"}});
    tell(&shop.api, &event("evt_1", "payment_intent.succeeded", &stranger)).await;
    tell(&shop.api, &event("evt_2", "charge.refunded", &refunded("pi_x", 5000))).await;
    tell(&shop.api, &event("evt_3", "charge.dispute.created", &dispute("pi_x", 5000, "needs_response")))
        .await;
    tell(&shop.api, &event("evt_4", "customer.created", &json!({"id": "cus_1"}))).await;
    assert_eq!(shop.balance().await.total(), Nanos::ZERO);
    assert_eq!(shop.get("invoice-history").await["invoices"], json!([]));
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_payment_of_another_amount_is_kept_for_a_person_to_look_at(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let shop = Shop::open(pool, address).await;
    let (intent, mut object) = unpaid(&shop).await;
    object["amount_received"] = json!(1);
    tell(&shop.api, &event("evt_1", "payment_intent.succeeded", &object)).await;
    assert_eq!(shop.balance().await.total(), Nanos::ZERO);
    let (status, body) = shop.post("topup/status", json!({"payment_intent_id": intent})).await;
    assert_eq!(status, StatusCode::CONFLICT, "{body}");
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_payment_for_an_account_that_is_gone_moves_no_money(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let shop = Shop::open(pool, address).await;
    let (intent, object) = unpaid(&shop).await;
    let account = format!("/accounts/{}", shop.account);
    assert_eq!(shop.api.call(&shop.owner, Method::DELETE, &account, None).await.0, StatusCode::OK);
    tell(&shop.api, &event("evt_1", "payment_intent.succeeded", &object)).await;
    let state: String = sqlx::query_scalar("select state from payments where intent = $1")
        .bind(intent)
        .fetch_one(&shop.api.store.pool)
        .await
        .unwrap();
    assert_eq!(state, "stranded");
    assert_eq!(purse(&shop.api, "payments_clearing").await, Nanos::ZERO);
}

#[sqlx::test(migrations = "../../migrations")]
async fn refunds_take_credits_and_fee_back_in_proportion_and_the_last_takes_the_rest(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let shop = Shop::open(pool, address).await.with_fee(50_000).await;
    let intent = paid(&shop).await;
    tell(&shop.api, &event("evt_1", "charge.refunded", &refunded(&intent, 700))).await;
    // A third, rounded down to a nano-dollar; the fee bears the rest.
    let third = Nanos(6_666_666_666);
    assert_eq!(work_off_withdrawals(&shop.api).await, [(third, Nanos::ZERO)]);
    assert_eq!(shop.balance().await.credits, Nanos(20 * DOLLAR) - third);
    assert_eq!(purse(&shop.api, "payments_clearing").await, Nanos(-14 * DOLLAR));

    // All of it, then the news of before, then all of it again under another name.
    tell(&shop.api, &event("evt_3", "charge.refunded", &refunded(&intent, 2100))).await;
    tell(&shop.api, &event("evt_2", "charge.refunded", &refunded(&intent, 700))).await;
    tell(&shop.api, &event("evt_4", "charge.refunded", &refunded(&intent, 2100))).await;
    assert_eq!(work_off_withdrawals(&shop.api).await, [(Nanos(20 * DOLLAR) - third, Nanos::ZERO)]);
    assert_eq!(shop.balance().await.total(), Nanos::ZERO);
    for kind in ["payments_clearing", "fees", "receivable"] {
        assert_eq!(purse(&shop.api, kind).await, Nanos::ZERO, "{kind}");
    }
    assert_balanced(&shop.api).await;
    assert_eq!(shop.get("invoice-history").await["invoices"][0]["amount_refunded"], 2100);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_refund_of_what_was_spent_is_owed(pool: PgPoolOptions, address: PgConnectOptions) {
    let shop = Shop::open(pool, address).await;
    let intent = paid(&shop).await;
    take(&shop.api, shop.account, 15).await;
    tell(&shop.api, &event("evt_1", "charge.refunded", &refunded(&intent, 2000))).await;
    assert_eq!(work_off_withdrawals(&shop.api).await, [(Nanos(5 * DOLLAR), Nanos(15 * DOLLAR))]);
    let balance = shop.balance().await;
    assert_eq!((balance.total(), balance.owed), (Nanos::ZERO, Nanos(15 * DOLLAR)));
    assert_eq!(shop.get("credit-balance").await["owed_usd"], "15");
    assert_balanced(&shop.api).await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_refund_that_is_heard_of_before_its_payment_waits_for_it(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let shop = Shop::open(pool, address).await;
    let (intent, object) = unpaid(&shop).await;
    tell(&shop.api, &event("evt_2", "charge.refunded", &refunded(&intent, 500))).await;
    assert!(work_off_withdrawals(&shop.api).await.is_empty());
    tell(&shop.api, &event("evt_1", "payment_intent.succeeded", &object)).await;
    assert_eq!(work_off_withdrawals(&shop.api).await, [(Nanos(5 * DOLLAR), Nanos::ZERO)]);
    assert_eq!(shop.balance().await.credits, Nanos(15 * DOLLAR));
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_dispute_that_is_won_gives_again_what_it_took_and_pays_what_is_owed_first(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let shop = Shop::open(pool, address).await.with_fee(50_000).await;
    let intent = paid(&shop).await;
    take(&shop.api, shop.account, 15).await;
    let told = |id: &'static str, kind: &'static str, status: &'static str| {
        event(id, kind, &dispute(&intent, 2100, status))
    };
    tell(&shop.api, &told("evt_0", "charge.dispute.created", "warning_needs_response")).await;
    assert!(work_off_withdrawals(&shop.api).await.is_empty(), "a question takes nothing");
    tell(&shop.api, &told("evt_1", "charge.dispute.created", "needs_response")).await;
    tell(&shop.api, &told("evt_2", "charge.dispute.updated", "under_review")).await;
    assert_eq!(work_off_withdrawals(&shop.api).await, [(Nanos(5 * DOLLAR), Nanos(15 * DOLLAR))]);
    assert_eq!(purse(&shop.api, "fees").await, Nanos::ZERO);
    assert_eq!(purse(&shop.api, "payments_clearing").await, Nanos::ZERO);

    tell(&shop.api, &told("evt_3", "charge.dispute.closed", "won")).await;
    // Told again, and an earlier state told later.
    tell(&shop.api, &told("evt_4", "charge.dispute.closed", "won")).await;
    tell(&shop.api, &told("evt_5", "charge.dispute.created", "needs_response")).await;
    let balance = shop.balance().await;
    assert_eq!((balance.credits, balance.owed), (Nanos(5 * DOLLAR), Nanos::ZERO));
    assert_eq!(purse(&shop.api, "fees").await, Nanos(DOLLAR));
    assert_eq!(purse(&shop.api, "payments_clearing").await, Nanos(-21 * DOLLAR));
    assert!(work_off_withdrawals(&shop.api).await.is_empty());
    assert_balanced(&shop.api).await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_dispute_whose_end_is_heard_of_first_takes_what_its_end_says(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let shop = Shop::open(pool, address).await;
    let (won, lost) = (paid(&shop).await, paid(&shop).await);
    let of = |intent: &str, id: &str, status: &str| {
        let mut object = dispute(intent, 2000, status);
        object["id"] = json!(id);
        object
    };
    tell(&shop.api, &event("evt_2", "charge.dispute.closed", &of(&won, "dp_1", "won"))).await;
    tell(&shop.api, &event("evt_1", "charge.dispute.created", &of(&won, "dp_1", "needs_response"))).await;
    assert!(work_off_withdrawals(&shop.api).await.is_empty());
    tell(&shop.api, &event("evt_4", "charge.dispute.closed", &of(&lost, "dp_2", "lost"))).await;
    tell(&shop.api, &event("evt_3", "charge.dispute.created", &of(&lost, "dp_2", "needs_response"))).await;
    assert_eq!(work_off_withdrawals(&shop.api).await, [(Nanos(20 * DOLLAR), Nanos::ZERO)]);
    // What was lost is not given back a second time.
    tell(&shop.api, &event("evt_5", "charge.refunded", &refunded(&lost, 2000))).await;
    work_off_withdrawals(&shop.api).await;
    let balance = shop.balance().await;
    assert_eq!((balance.credits, balance.owed), (Nanos(20 * DOLLAR), Nanos::ZERO));
    assert_balanced(&shop.api).await;
}

/// All orders of the numbers below `n`.
fn orders(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let shorter = orders(n - 1);
    let with = |order: &Vec<usize>, at: usize| {
        let mut longer = order.clone();
        longer.insert(at, n - 1);
        longer
    };
    shorter.iter().flat_map(|order| (0..n).map(move |at| with(order, at))).collect()
}

#[sqlx::test(migrations = "../../migrations")]
async fn every_order_of_the_same_news_ends_at_the_same_figures(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let api = Api::start(pool, address).await;
    let (account, _) = api.owner().await;
    let now = OffsetDateTime::now_utc();
    let orders = orders(5);
    for (number, order) in (1_i64..).zip(&orders) {
        let payment = Payment {
            id: PaymentId(Uuid::now_v7()),
            account,
            origin: Origin::Manual,
            customer: "cus_1".to_owned(),
            payment_method: None,
            amount: Nanos(20 * DOLLAR),
            fee: Nanos(DOLLAR),
            intent: None,
            state: PaymentState::Pending,
            error: String::new(),
            refunded: 0,
            created_by: None,
            created_at: now,
            settled_at: None,
        };
        let intent = format!("pi_{number}");
        let mut connection = api.store.pool.acquire().await.unwrap();
        payments::create(&mut connection, &payment, now).await.unwrap();
        payments::set_intent(&mut connection, payment.id, &intent).await.unwrap();
        drop(connection);
        let paid = json!({"id": intent, "status": "succeeded", "amount": 2100, "currency": "usd"});
        let dispute =
            |state| News::Dispute { id: format!("dp_{number}"), intent: intent.clone(), cents: 2100, state };
        let news = [
            News::Intent(Box::new(serde_json::from_value(paid).unwrap())),
            News::Refunded { intent: intent.clone(), cents: 500 },
            News::Refunded { intent: intent.clone(), cents: 1050 },
            dispute(DisputeState::Open),
            dispute(DisputeState::Won),
        ];
        for at in order {
            let (id, news) = (format!("evt_{number}_{at}"), news[*at].clone());
            settling::hear(&api.store, &Event { id, kind: "of the test".to_owned(), news }, now)
                .await
                .unwrap();
        }
        work_off_withdrawals(&api).await;
        let balance = balance(&api, account).await;
        assert_eq!(balance.total() - balance.owed, Nanos(number * 10 * DOLLAR), "{order:?}");
        assert_eq!(purse(&api, "fees").await, Nanos(number * DOLLAR / 2), "{order:?}");
        assert_eq!(purse(&api, "payments_clearing").await, Nanos(-number * 21 * DOLLAR / 2), "{order:?}");
    }
    assert_eq!(orders.len(), 120);
    assert_balanced(&api).await;
}
