//! Gateways and what belongs to them, on real Postgres and as the runtime role.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop where it fails")]

use std::collections::BTreeSet;

use model::gateway::GatewaySettings;
use model::id::{GatewayInternalId, GatewayTokenId, ProviderKeyId};
use model::token::TokenDigest;
use model::{AccountId, GatewayId};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use store::accounts::{self, SealedKeys};
use store::provider_keys::{self, SealedSecret, Terms};
use store::{Store, data_keys, gateway_tokens, gateways};
use uuid::Uuid;

fn account() -> AccountId {
    AccountId(Uuid::from_u128(1))
}

fn gateway() -> GatewayInternalId {
    GatewayInternalId(Uuid::from_u128(2))
}

fn slug(text: &str) -> GatewayId {
    text.parse().unwrap()
}

/// An account with the gateway `demo`.
async fn store_with_gateway(pool: PgPoolOptions, address: PgConnectOptions) -> Store {
    let store = Store::open(pool, address).await.unwrap();
    let mut tx = store.config_tx().await.unwrap();
    let keys = SealedKeys { credentials: b"old".to_vec(), contents: b"old".to_vec() };
    accounts::create(&mut tx, account(), "Acme", &keys).await.unwrap();
    gateways::create(&mut tx, account(), gateway(), &slug("demo"), &GatewaySettings::default())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    store
}

fn terms(alias: &str, is_default: bool) -> Terms {
    Terms { alias: alias.to_owned(), is_default, rate_limit: None, rate_limit_period: Some(60) }
}

async fn add_key(store: &Store, id: u128, terms: &Terms) -> Result<ProviderKeyId, store::StoreError> {
    let id = ProviderKeyId(Uuid::from_u128(id));
    let secret = SealedSecret { sealed: b"sealed".to_vec(), preview: "****".to_owned() };
    let mut tx = store.config_tx().await?;
    provider_keys::create(&mut tx, account(), gateway(), id, "openai", terms, &secret).await?;
    tx.commit().await?;
    Ok(id)
}

async fn add_token(store: &Store, id: u128) -> GatewayTokenId {
    let id = GatewayTokenId(Uuid::from_u128(id));
    let mut tx = store.config_tx().await.unwrap();
    let digest = TokenDigest::of("token");
    let terms = gateway_tokens::Terms { name: "app".to_owned(), budget: None };
    gateway_tokens::create(&mut tx, account(), gateway(), id, &digest, &terms, None).await.unwrap();
    tx.commit().await.unwrap();
    id
}

/// What the newest revision touched: kinds and ids.
async fn last_touched(store: &Store) -> BTreeSet<(String, Uuid)> {
    let rows: Vec<(String, Uuid)> = sqlx::query_as(
        "select kind, resource_id from config_outbox
         where revision = (select max(revision) from config_outbox)",
    )
    .fetch_all(&store.pool)
    .await
    .unwrap();
    rows.into_iter().collect()
}

fn touched(rows: &[(&str, Uuid)]) -> BTreeSet<(String, Uuid)> {
    rows.iter().map(|(kind, id)| ((*kind).to_owned(), *id)).collect()
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_id_is_taken_once_per_account_and_free_after_deletion(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let store = store_with_gateway(pool, address).await;
    let again = GatewayInternalId(Uuid::from_u128(3));
    let settings = GatewaySettings::default();
    let mut tx = store.config_tx().await.unwrap();
    let taken = gateways::create(&mut tx, account(), again, &slug("demo"), &settings).await.unwrap_err();
    assert_eq!(taken.constraint(), Some(gateways::ID_TAKEN));
    drop(tx);

    let mut tx = store.config_tx().await.unwrap();
    assert!(gateways::delete(&mut tx, account(), gateway()).await.unwrap());
    gateways::create(&mut tx, account(), again, &slug("demo"), &settings).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(gateways::get(&store, account(), &slug("demo")).await.unwrap().unwrap().internal_id, again);
}

#[sqlx::test(migrations = "../../migrations")]
async fn deleting_a_gateway_tells_proxies_of_all_that_goes_with_it(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let store = store_with_gateway(pool, address).await;
    let token = add_token(&store, 10).await;
    let key = add_key(&store, 20, &terms("default", true)).await.unwrap();
    let mut tx = store.config_tx().await.unwrap();
    assert!(gateways::delete(&mut tx, account(), gateway()).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(
        last_touched(&store).await,
        touched(&[("gateway", gateway().0), ("gateway_token", token.0), ("provider_key", key.0)])
    );
    assert_eq!(gateway_tokens::get(&store, account(), gateway(), token).await.unwrap(), None);
    assert_eq!(provider_keys::get(&store, account(), gateway(), key).await.unwrap(), None);
}

#[sqlx::test(migrations = "../../migrations")]
async fn deleting_an_account_tells_proxies_of_all_that_goes_with_it(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let store = store_with_gateway(pool, address).await;
    let token = add_token(&store, 10).await;
    let key = add_key(&store, 20, &terms("default", true)).await.unwrap();
    let mut tx = store.config_tx().await.unwrap();
    assert!(accounts::delete(&mut tx, account()).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(
        last_touched(&store).await,
        touched(&[
            ("account", account().0),
            ("gateway", gateway().0),
            ("gateway_token", token.0),
            ("provider_key", key.0),
        ])
    );
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_new_default_takes_the_place_of_the_old_one(pool: PgPoolOptions, address: PgConnectOptions) {
    let store = store_with_gateway(pool, address).await;
    let first = add_key(&store, 20, &terms("first", true)).await.unwrap();
    let second = add_key(&store, 21, &terms("second", true)).await.unwrap();
    assert_eq!(last_touched(&store).await, touched(&[("provider_key", first.0), ("provider_key", second.0)]));

    let mut tx = store.config_tx().await.unwrap();
    provider_keys::update(&mut tx, account(), gateway(), first, &terms("renamed", true), None)
        .await
        .unwrap()
        .unwrap();
    tx.commit().await.unwrap();
    let (keys, total) = provider_keys::list(&store, account(), gateway(), 10, 0).await.unwrap();
    let defaults: Vec<(&str, bool)> =
        keys.iter().map(|key| (key.terms.alias.as_str(), key.terms.is_default)).collect();
    assert_eq!((defaults, total), (vec![("renamed", true), ("second", false)], 2));
}

#[sqlx::test(migrations = "../../migrations")]
async fn two_new_defaults_at_once_leave_one(pool: PgPoolOptions, address: PgConnectOptions) {
    let store = store_with_gateway(pool, address).await;
    let (first, second) = (terms("first", true), terms("second", true));
    let (first, second) = tokio::join!(add_key(&store, 20, &first), add_key(&store, 21, &second));
    first.unwrap();
    second.unwrap();
    let (keys, _) = provider_keys::list(&store, account(), gateway(), 10, 0).await.unwrap();
    assert_eq!(keys.iter().filter(|key| key.terms.is_default).count(), 1);
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_alias_is_taken_once(pool: PgPoolOptions, address: PgConnectOptions) {
    let store = store_with_gateway(pool, address).await;
    add_key(&store, 20, &terms("default", false)).await.unwrap();
    let taken = add_key(&store, 21, &terms("default", false)).await.unwrap_err();
    assert_eq!(taken.constraint(), Some(provider_keys::ALIAS_TAKEN));
}

#[sqlx::test(migrations = "../../migrations")]
async fn nothing_of_another_account_can_be_reached(pool: PgPoolOptions, address: PgConnectOptions) {
    let store = store_with_gateway(pool, address).await;
    let token = add_token(&store, 10).await;
    let key = add_key(&store, 20, &terms("default", true)).await.unwrap();
    let stranger = AccountId(Uuid::from_u128(99));
    let mut tx = store.config_tx().await.unwrap();
    assert!(!gateways::delete(&mut tx, stranger, gateway()).await.unwrap());
    assert!(!gateway_tokens::revoke(&mut tx, stranger, gateway(), token).await.unwrap());
    assert!(!provider_keys::delete(&mut tx, stranger, gateway(), key).await.unwrap());
    let settings = GatewaySettings::default();
    assert_eq!(gateways::set_settings(&mut tx, stranger, gateway(), &settings).await.unwrap(), None);
    let changed =
        provider_keys::update(&mut tx, stranger, gateway(), key, &terms("x", false), None).await.unwrap();
    assert_eq!(changed, None);
    assert_eq!(gateways::get(&store, stranger, &slug("demo")).await.unwrap(), None);
    assert_eq!(gateway_tokens::get(&store, stranger, gateway(), token).await.unwrap(), None);
    assert_eq!(provider_keys::get(&store, stranger, gateway(), key).await.unwrap(), None);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_list_is_searched_and_paged(pool: PgPoolOptions, address: PgConnectOptions) {
    let store = store_with_gateway(pool, address).await;
    let mut tx = store.config_tx().await.unwrap();
    for (id, name) in [(3, "staging"), (4, "demo_2")] {
        let id = GatewayInternalId(Uuid::from_u128(id));
        gateways::create(&mut tx, account(), id, &slug(name), &GatewaySettings::default()).await.unwrap();
    }
    tx.commit().await.unwrap();
    let ids = async |search, limit, offset| {
        let (found, total) = gateways::list(&store, account(), search, limit, offset).await.unwrap();
        (found.into_iter().map(|gateway| gateway.id.to_string()).collect::<Vec<_>>(), total)
    };
    assert_eq!(ids("", 2, 2).await, (vec!["demo_2".to_owned()], 3));
    assert_eq!(ids("demo", 10, 0).await, (vec!["demo".to_owned(), "demo_2".to_owned()], 2));
    assert_eq!(ids("d%o", 10, 0).await, (vec![], 0), "a search is no pattern");
}

#[sqlx::test(migrations = "../../migrations")]
async fn data_keys_are_walked_in_order_and_replaced(pool: PgPoolOptions, address: PgConnectOptions) {
    let store = store_with_gateway(pool, address).await;
    let mut tx = store.config_tx().await.unwrap();
    let found = data_keys::after(&mut tx, AccountId(Uuid::nil()), 10).await.unwrap();
    assert_eq!(found.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [account()]);
    let keys = SealedKeys { credentials: b"new".to_vec(), contents: b"new".to_vec() };
    data_keys::replace(&mut tx, account(), &keys).await.unwrap();
    assert!(data_keys::after(&mut tx, account(), 10).await.unwrap().is_empty());
    tx.commit().await.unwrap();
    assert_eq!(last_touched(&store).await, touched(&[("account", account().0)]));
    let mut connection = store.pool.acquire().await.unwrap();
    let kept = accounts::sealed_keys(&mut connection, account()).await.unwrap().unwrap();
    assert_eq!(kept.credentials, b"new");
}
