//! Endpoints, vaults, secrets and keys of tokens, on real Postgres and as the runtime role.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop where it fails")]

use std::collections::BTreeSet;

use model::AccountId;
use model::gateway::GatewaySettings;
use model::id::{BoundKeyId, EndpointId, GatewayInternalId, GatewayTokenId, VaultId, VaultSecretId};
use model::resource::{Body, ResourceId};
use model::token::TokenDigest;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use store::accounts::{self, SealedKeys};
use store::bound_keys::{self, Added, MOST_PER_PROVIDER, NewKey};
use store::endpoints::{self, HOST_TAKEN, Terms, WILDCARD_TAKEN};
use store::provider_keys::SealedSecret;
use store::resources::Everything;
use store::{Store, StoreError, Window, gateway_tokens, gateways, vault_secrets, vaults};
use uuid::Uuid;

const ACME: AccountId = AccountId(Uuid::from_u128(1));
const OTHER: AccountId = AccountId(Uuid::from_u128(2));
const TOKEN: GatewayTokenId = GatewayTokenId(Uuid::from_u128(5));
const VAULT: VaultId = VaultId(Uuid::from_u128(6));

fn gateway(account: AccountId) -> GatewayInternalId {
    GatewayInternalId(Uuid::from_u128(100 + account.0.as_u128()))
}

/// Two accounts with a gateway each; one of them has a token and a vault too.
async fn store_with_gateways(pool: PgPoolOptions, address: PgConnectOptions) -> Store {
    let store = Store::open(pool, address).await.unwrap();
    let mut tx = store.config_tx().await.unwrap();
    let keys = SealedKeys { credentials: b"old".to_vec(), contents: b"old".to_vec() };
    for account in [ACME, OTHER] {
        accounts::create(&mut tx, account, "Acme", &keys).await.unwrap();
        let (slug, settings) = ("demo".parse().unwrap(), GatewaySettings::default());
        gateways::create(&mut tx, account, gateway(account), &slug, &settings).await.unwrap();
    }
    let terms = gateway_tokens::Terms { name: "app".to_owned(), budget: None };
    let digest = TokenDigest::of("token");
    gateway_tokens::create(&mut tx, ACME, gateway(ACME), TOKEN, &digest, &terms, None).await.unwrap();
    vaults::create(&mut tx, ACME, VAULT, &named("openai"), "ada@example.com").await.unwrap().unwrap();
    tx.commit().await.unwrap();
    store
}

fn named(name: &str) -> vaults::Terms {
    vaults::Terms { name: name.to_owned(), ..vaults::Terms::default() }
}

async fn bind(store: &Store, account: AccountId, id: u128, host: &str) -> Result<EndpointId, StoreError> {
    let id = EndpointId(Uuid::from_u128(id));
    let mut tx = store.config_tx().await?;
    let terms = Terms { bindings: vec!["public".to_owned()], ..Terms::default() };
    let url = host.parse().unwrap();
    endpoints::create(&mut tx, account, gateway(account), id, &url, &terms).await?.unwrap();
    tx.commit().await?;
    Ok(id)
}

async fn refusal(store: &Store, account: AccountId, id: u128, host: &str) -> String {
    bind(store, account, id, host).await.unwrap_err().constraint().unwrap().to_owned()
}

async fn add_secret(store: &Store, id: u128, name: &str) -> Result<VaultSecretId, StoreError> {
    let id = VaultSecretId(Uuid::from_u128(id));
    let mut tx = store.config_tx().await?;
    vault_secrets::create(&mut tx, ACME, VAULT, id, &named(name), b"sealed", "ada").await?.unwrap();
    tx.commit().await?;
    Ok(id)
}

async fn add_bound_key(store: &Store, id: u128, provider: &str) -> Added {
    let mut tx = store.config_tx().await.unwrap();
    let secret = SealedSecret { sealed: b"sealed".to_vec(), preview: "****".to_owned() };
    let (id, terms) = (BoundKeyId(Uuid::from_u128(id)), bound_keys::Terms::default());
    let new = NewKey { id, provider, terms: &terms, secret: &secret, by: "ada" };
    let added = bound_keys::create(&mut tx, ACME, TOKEN, new).await.unwrap();
    tx.commit().await.unwrap();
    added
}

/// What the newest revision touched: account, kind and id.
async fn last_touched(store: &Store) -> BTreeSet<(Uuid, String, u128)> {
    let rows: Vec<(Uuid, String, Uuid)> = sqlx::query_as(
        "select account_id, kind, resource_id from config_outbox
         where revision = (select max(revision) from config_outbox)",
    )
    .fetch_all(&store.pool)
    .await
    .unwrap();
    rows.into_iter().map(|(account, kind, id)| (account, kind, id.as_u128())).collect()
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_host_belongs_to_one_account(pool: PgPoolOptions, address: PgConnectOptions) {
    let store = store_with_gateways(pool, address).await;
    bind(&store, ACME, 10, "https://a.example.com").await.unwrap();
    assert_eq!(refusal(&store, OTHER, 11, "http://A.example.com").await, HOST_TAKEN);
    assert_eq!(refusal(&store, ACME, 11, "a.example.com").await, HOST_TAKEN);
    bind(&store, OTHER, 11, "*").await.unwrap();
    assert_eq!(refusal(&store, ACME, 12, "*").await, HOST_TAKEN);
    assert!(endpoints::get(&store, OTHER, EndpointId(Uuid::from_u128(10))).await.unwrap().is_none());
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_a_wildcard_covers_belongs_to_one_account_too(pool: PgPoolOptions, address: PgConnectOptions) {
    let store = store_with_gateways(pool, address).await;
    bind(&store, ACME, 10, "*.example.com").await.unwrap();
    bind(&store, ACME, 11, "a.example.com").await.unwrap();
    assert_eq!(refusal(&store, OTHER, 12, "b.example.com").await, WILDCARD_TAKEN);
    bind(&store, OTHER, 12, "example.com").await.unwrap();
    bind(&store, OTHER, 13, "a.b.example.com").await.unwrap();
    bind(&store, OTHER, 14, "localhost").await.unwrap();
    assert_eq!(refusal(&store, ACME, 15, "*.b.example.com").await, WILDCARD_TAKEN);
    bind(&store, ACME, 15, "*.localhost").await.unwrap();
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_gateway_that_was_made_for_a_host_goes_with_it_and_others_stay(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let store = store_with_gateways(pool, address).await;
    let stays = bind(&store, ACME, 10, "a.example.com").await.unwrap();
    let mut tx = store.config_tx().await.unwrap();
    assert!(endpoints::delete(&mut tx, ACME, stays).await.unwrap());
    assert!(!endpoints::delete(&mut tx, ACME, stays).await.unwrap());
    tx.commit().await.unwrap();
    let slug = "demo".parse().unwrap();
    assert!(gateways::get(&store, ACME, &slug).await.unwrap().is_some());

    let goes = bind(&store, ACME, 11, "b.example.com").await.unwrap();
    let mut tx = store.config_tx().await.unwrap();
    gateways::set_of_endpoint(&mut tx, ACME, gateway(ACME)).await.unwrap();
    assert!(endpoints::delete(&mut tx, ACME, goes).await.unwrap());
    tx.commit().await.unwrap();
    assert!(gateways::get(&store, ACME, &slug).await.unwrap().is_none());
}

#[sqlx::test(migrations = "../../migrations")]
async fn of_two_who_give_back_a_gateways_last_hosts_at_once_one_takes_the_gateway_along(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let store = store_with_gateways(pool, address).await;
    let one = bind(&store, ACME, 10, "a.example.com").await.unwrap();
    let other = bind(&store, ACME, 11, "b.example.com").await.unwrap();
    let mut tx = store.config_tx().await.unwrap();
    gateways::set_of_endpoint(&mut tx, ACME, gateway(ACME)).await.unwrap();
    tx.commit().await.unwrap();
    let give_back = async |host| {
        let mut tx = store.config_tx().await.unwrap();
        assert!(endpoints::delete(&mut tx, ACME, host).await.unwrap());
        tx.commit().await.unwrap();
    };
    tokio::join!(give_back(one), give_back(other));
    assert!(gateways::get(&store, ACME, &"demo".parse().unwrap()).await.unwrap().is_none());
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_vault_with_secrets_stays_and_another_name_is_told_for_each_of_them(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let store = store_with_gateways(pool, address).await;
    let secret = add_secret(&store, 20, "api-key").await.unwrap();
    let taken = add_secret(&store, 21, "api-key").await.unwrap_err();
    assert_eq!(taken.constraint(), Some(vault_secrets::NAME_TAKEN));

    let mut tx = store.config_tx().await.unwrap();
    let renamed = vaults::update(&mut tx, ACME, VAULT, &named("renamed"), "bob").await.unwrap().unwrap();
    tx.commit().await.unwrap();
    assert_eq!((renamed.created_by.as_str(), renamed.last_updated_by.as_str()), ("ada@example.com", "bob"));
    assert_eq!(last_touched(&store).await, BTreeSet::from([(ACME.0, "vault_secret".to_owned(), 20)]));

    let mut tx = store.config_tx().await.unwrap();
    let refused = vaults::delete(&mut tx, ACME, VAULT).await.unwrap_err();
    assert_eq!(refused.constraint(), Some(vaults::NOT_EMPTY));
    drop(tx);
    let mut tx = store.config_tx().await.unwrap();
    assert!(!vault_secrets::delete(&mut tx, OTHER, secret).await.unwrap());
    assert!(vault_secrets::delete(&mut tx, ACME, secret).await.unwrap());
    assert!(vaults::delete(&mut tx, ACME, VAULT).await.unwrap());
    tx.commit().await.unwrap();
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_token_has_so_many_keys_of_a_provider_and_lists_are_read_from_both_ends(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let store = store_with_gateways(pool, address).await;
    for id in 0..15 {
        assert!(matches!(add_bound_key(&store, 30 + id, "openai").await, Added::Key(_)));
    }
    assert_eq!(add_bound_key(&store, 50, "openai").await, Added::TooMany);
    assert!(matches!(add_bound_key(&store, 51, "groq").await, Added::Key(_)));
    assert_eq!(bound_keys::count(&store, ACME, Some(TOKEN)).await.unwrap(), MOST_PER_PROVIDER + 1);

    let ids = async |window| -> Vec<u128> {
        let keys = bound_keys::list(&store, ACME, Some(TOKEN), window).await.unwrap();
        keys.iter().map(|key| key.id.0.as_u128()).collect()
    };
    assert_eq!(ids(Window::Page { limit: 2, offset: 1 }).await, [31, 32]);
    assert_eq!(ids(Window::Before { id: None, limit: 2 }).await, [51, 44]);
    assert_eq!(ids(Window::Before { id: Some(Uuid::from_u128(32)), limit: 9 }).await, [31, 30]);
    assert!(
        bound_keys::list(&store, OTHER, None, Window::Page { limit: 9, offset: 0 }).await.unwrap().is_empty()
    );
}

#[sqlx::test(migrations = "../../migrations")]
async fn proxies_are_told_of_all_that_goes_with_an_account_and_hosts_are_the_installations(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let store = store_with_gateways(pool, address).await;
    bind(&store, ACME, 10, "a.example.com").await.unwrap();
    add_secret(&store, 20, "api-key").await.unwrap();
    add_bound_key(&store, 30, "openai").await;

    let mut everything = Everything::begin(&store).await.unwrap();
    let mut told = Vec::new();
    while let Some(found) = everything.next_part(100).await.unwrap() {
        told.extend(found.resources);
    }
    let is = |kind| told.iter().any(|resource| resource.key().kind == kind);
    assert!(is(ResourceId::VaultSecret(VaultSecretId(Uuid::from_u128(20)))));
    assert!(is(ResourceId::BoundKey(BoundKeyId(Uuid::from_u128(30)))));
    let hosts: Vec<_> = told
        .iter()
        .filter_map(|resource| match &resource.body {
            Body::Endpoint(endpoint) => Some((resource.account, endpoint.account, endpoint.host.to_string())),
            _ => None,
        })
        .collect();
    assert_eq!(hosts, [(AccountId::INSTALLATION, ACME, "a.example.com".to_owned())]);

    // A proxy that knows of no account yet still knows whose the host is.
    let mut narrowed = Everything::begin_of(&store, vec![AccountId::INSTALLATION]).await.unwrap();
    let found = narrowed.next_part(100).await.unwrap().unwrap();
    let endpoint = ResourceId::Endpoint(EndpointId(Uuid::from_u128(10)));
    assert!(found.resources.iter().any(|resource| resource.key().kind == endpoint));
    assert!(found.resources.iter().all(|resource| resource.account == AccountId::INSTALLATION));

    let mut tx = store.config_tx().await.unwrap();
    assert!(accounts::delete(&mut tx, ACME).await.unwrap());
    tx.commit().await.unwrap();
    let touched = last_touched(&store).await;
    for (account, kind, id) in
        [(AccountId::INSTALLATION, "endpoint", 10), (ACME, "vault_secret", 20), (ACME, "bound_key", 30)]
    {
        assert!(touched.contains(&(account.0, kind.to_owned(), id)), "{kind}");
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_policy_is_pushed_with_its_gateway(pool: PgPoolOptions, address: PgConnectOptions) {
    let store = store_with_gateways(pool, address).await;
    let mut tx = store.config_tx().await.unwrap();
    let policy = Some("on_http_request: []");
    assert!(!gateways::set_traffic_policy(&mut tx, OTHER, gateway(ACME), policy).await.unwrap());
    assert!(gateways::set_traffic_policy(&mut tx, ACME, gateway(ACME), policy).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(gateways::traffic_policy(&store, ACME, gateway(ACME)).await.unwrap().as_deref(), policy);
    let mut everything = Everything::begin_of(&store, vec![ACME]).await.unwrap();
    let found = everything.next_part(100).await.unwrap().unwrap();
    let told = found.resources.iter().find_map(|resource| match &resource.body {
        Body::Gateway(gateway) => Some(gateway.traffic_policy.as_deref()),
        _ => None,
    });
    assert_eq!(told, Some(policy));
}
