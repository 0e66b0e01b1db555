//! Root keys change while everything serves.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop where it fails")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use control_plane::api::session_keys::SessionKeys;
use control_plane::rotation::{Rotation, rotate};
use http::{Method, StatusCode};
use model::resource::{Body, ProviderKey, Resource};
use model::{AccountId, Secret};
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use store::Store;
use store::resources::Everything;
use support::Api;
use vault::{ContentsBox, Opener, RootRing, Sealer};

const ACCOUNTS: usize = 8;

fn ring(keys: &[&Secret]) -> RootRing {
    let keys: Vec<&str> = keys.iter().map(|key| key.expose()).collect();
    RootRing::parse("KEYS", &keys.join(",")).unwrap()
}

/// What a proxy would be told at this moment.
async fn told(store: &Store) -> Vec<Resource> {
    let mut everything = Everything::begin(store).await.unwrap();
    let mut resources = Vec::new();
    while let Some(part) = everything.next_part(100).await.unwrap() {
        assert!(part.unreadable.is_empty());
        resources.extend(part.resources);
    }
    resources
}

/// How many provider keys a proxy with these root keys opens.
fn opened(resources: &[Resource], credentials: &RootRing) -> usize {
    let opener = Opener::new(credentials.clone());
    let data_key = |account: AccountId| {
        resources.iter().find_map(|resource| match &resource.body {
            Body::Account { credentials_key, .. } if resource.account == account => {
                opener.credentials_key(account, credentials_key).ok()
            }
            _ => None,
        })
    };
    let keys = resources.iter().filter_map(|resource| match &resource.body {
        Body::ProviderKey(key) => Some((resource.account, key)),
        _ => None,
    });
    keys.filter(|(account, key)| {
        let ProviderKey { id, provider, sealed, .. } = key;
        let secret = data_key(*account).map(|data_key| data_key.open_provider_key(*id, provider, sealed));
        matches!(secret, Some(Ok(secret)) if secret.expose() == "sk-0123456789abcdef")
    })
    .count()
}

#[sqlx::test(migrations = "../../migrations")]
async fn keys_open_before_during_and_after_a_rotation_and_without_the_old_root_key(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let api = Api::start(pool, address).await;
    for _ in 0..ACCOUNTS {
        let (account, owner) = api.owner().await;
        let key = json!({"alias": "default", "default_config": true, "provider_slug": "openai",
                         "secret": "sk-0123456789abcdef"});
        let path = format!("/accounts/{account}/ai-gateway/gateways/default/provider_configs");
        let (status, answer) = api.call(&owner, Method::POST, &path, Some(key)).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
    let (old, old_contents) = (&api.credentials, &api.contents);
    let (new, new_contents) = (RootRing::generate("two").unwrap(), RootRing::generate("two").unwrap());
    let both = ring(&[&new, old]);
    let contents_box = ContentsBox::new(ring(&[&new_contents, old_contents]));
    let sealer = Sealer::new(both.clone(), ring(&[&new_contents, old_contents]));
    assert_eq!(opened(&told(&api.store).await, &both), ACCOUNTS);

    let (running, reads) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU64::new(0)));
    let reader = {
        let (store, both) = (api.store.clone(), both.clone());
        let (running, reads) = (running.clone(), reads.clone());
        tokio::spawn(async move {
            while running.load(Ordering::Relaxed) {
                assert_eq!(opened(&told(&store).await, &both), ACCOUNTS);
                reads.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    while reads.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    let rotation = rotate(&api.store, &sealer, &contents_box).await.unwrap();
    assert_eq!(rotation, Rotation { accounts: ACCOUNTS as u64, already: 0 });
    let seen = reads.load(Ordering::Relaxed);
    while reads.load(Ordering::Relaxed) == seen && !reader.is_finished() {
        tokio::task::yield_now().await;
    }
    running.store(false, Ordering::Relaxed);
    reader.await.unwrap();

    let again = rotate(&api.store, &sealer, &contents_box).await.unwrap();
    assert_eq!(again, Rotation { accounts: 0, already: ACCOUNTS as u64 });

    let resources = told(&api.store).await;
    assert_eq!(opened(&resources, &ring(&[&new])), ACCOUNTS);
    assert_eq!(opened(&resources, &ring(&[old])), 0);
    SessionKeys::load(&api.store, &ContentsBox::new(ring(&[&new_contents]))).await.unwrap();
    assert!(SessionKeys::load(&api.store, &ContentsBox::new(ring(&[old_contents]))).await.is_err());
}
