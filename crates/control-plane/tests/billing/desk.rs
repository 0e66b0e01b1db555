//! The desk of payments and notices at work by itself.

use control_plane::payments::{PaymentsConfig, run};
use egress::EgressConfig;
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio_util::sync::CancellationToken;

use crate::localstripe::{GOOD, LocalStripe};
use crate::receiver::Receiver;
use crate::support::Api;
use crate::{Shop, billing, take};

#[sqlx::test(migrations = "../../migrations")]
async fn two_desks_top_up_once_and_tell_once_and_leave_when_they_are_told(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let (mut stripe, mut hook) = (LocalStripe::start().await, Receiver::start().await);
    let here = EgressConfig { allow: vec!["127.0.0.0/8".parse().unwrap()] };
    let config = PaymentsConfig { egress: here, ..stripe.config() };
    let api = Api::start_paid(pool, address, &config).await;
    let (account, owner) = api.owner().await;
    stripe.tell(&format!("http://{}/stripe/webhook", api.address)).await;
    let shop = Shop { api, stripe, account, owner };
    let card = shop.stripe.card(GOOD).await;
    shop.buy(1000, &card).await;
    shop.post("topup/config", json!({"amount": 2000, "threshold": 500})).await;
    let notices = json!({"threshold": 5000, "webhook_url": hook.url()});
    shop.api.call(&shop.owner, http::Method::PUT, &billing(account, "notices"), Some(notices)).await;

    let leave = CancellationToken::new();
    let desk = || tokio::spawn(run(shop.api.store.clone(), shop.api.payments.clone(), leave.clone()));
    let desks = [desk(), desk()];
    take(&shop.api, account, 6).await;
    let call = hook.next().await;
    assert!(String::from_utf8_lossy(&call.body).contains("low_balance"));
    stripe = shop.stripe;
    // Of the purchase, and of the top-up.
    stripe.delivered("payment_intent.succeeded").await;
    stripe.delivered("payment_intent.succeeded").await;
    leave.cancel();
    for desk in desks {
        desk.await.unwrap().unwrap();
    }
    assert_eq!(stripe.charged().await, [1000, 2000]);
    assert!(hook.received().is_empty());
}
