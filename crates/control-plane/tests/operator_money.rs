//! What the operator and an account say about money, over real HTTP: `/operator/provider_keys`,
//! `/operator/settings`, `/operator/accounts/…/terms` and `…/billing/spending-limit`.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop where it fails")]

mod support;

use control_plane::installation_keys;
use control_plane::rotation::rotate;
use http::{Method, StatusCode};
use model::account::Role;
use model::resource::{Body, OperatorKey, Resource};
use model::{AccountId, Secret};
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use store::Store;
use store::resources::Everything;
use support::{Actor, Api};
use vault::{ContentsBox, Opener, RootRing, Sealer};

const SECRET: &str = "sk-operator-canary-0123456789";

/// What proxies are told at this moment.
async fn told(store: &Store) -> Vec<Resource> {
    let mut everything = Everything::begin(store).await.unwrap();
    let mut resources = Vec::new();
    while let Some(part) = everything.next_part(100).await.unwrap() {
        assert!(part.unreadable.is_empty());
        resources.extend(part.resources);
    }
    resources
}

/// The operator's keys as a proxy with this root key opens them.
fn opened(resources: &[Resource], credentials: &Secret) -> Vec<(OperatorKey, Option<Secret>)> {
    let opener = Opener::new(RootRing::parse("KEYS", credentials.expose()).unwrap());
    let data_key = resources.iter().find_map(|resource| match &resource.body {
        Body::Account { credentials_key, .. } if resource.account == AccountId::INSTALLATION => {
            opener.credentials_key(AccountId::INSTALLATION, credentials_key).ok()
        }
        _ => None,
    });
    let keys = resources.iter().filter_map(|resource| match &resource.body {
        Body::OperatorKey(key) => Some(key.clone()),
        _ => None,
    });
    let open =
        |key: &OperatorKey| data_key.as_ref()?.open_operator_key(key.id, &key.provider, &key.sealed).ok();
    keys.map(|key| (key.clone(), open(&key))).collect()
}

fn expect_one(resources: &[Resource], credentials: &Secret, secret: &str) -> OperatorKey {
    let mut keys = opened(resources, credentials);
    let (key, found) = keys.remove(0);
    assert!(keys.is_empty());
    assert_eq!(found.unwrap().expose(), secret);
    key
}

async fn patch(api: &Api, actor: &Actor, path: &str, body: Value) -> Value {
    let (status, answer) = api.call(actor, Method::PATCH, path, Some(body)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer["result"].clone()
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_operators_key_is_told_sealed_and_never_shown(pool: PgPoolOptions, address: PgConnectOptions) {
    const KEYS: &str = "/operator/provider_keys";
    let api = Api::start(pool, address).await;
    let operator = api.operator().await;
    let new = json!({"provider_slug": "openai", "secret": format!(" {SECRET}\n"), "alias": "main"});
    let (status, created) = api.call(&operator, Method::POST, KEYS, Some(new.clone())).await;
    assert_eq!(status, StatusCode::OK, "{created}");
    assert_eq!((&created["result"]["priority"], &created["result"]["cancel"]), (&json!(0), &Value::Null));
    assert_eq!(created["result"]["secret_preview"], "****6789");
    let key = expect_one(&told(&api.store).await, &api.credentials, SECRET);
    assert_eq!((key.provider.as_str(), key.alias.as_str()), ("openai", "main"));

    let (status, _) = api.call(&operator, Method::POST, KEYS, Some(new)).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let path = format!("{KEYS}/{}", created["result"]["id"].as_str().unwrap());
    let change = json!({"secret": "sk-another-0123456789", "priority": 3, "cancel": "stop"});
    let (status, changed) = api.call(&operator, Method::PUT, &path, Some(change)).await;
    assert_eq!((status, &changed["result"]["alias"]), (StatusCode::OK, &json!("main")), "{changed}");
    expect_one(&told(&api.store).await, &api.credentials, "sk-another-0123456789");
    let change = json!({"cancel": null});
    let (_, changed) = api.call(&operator, Method::PUT, &path, Some(change)).await;
    assert_eq!((&changed["result"]["priority"], &changed["result"]["cancel"]), (&json!(3), &Value::Null));

    let (_, shown) = api.call(&operator, Method::GET, &path, None).await;
    let (_, listed) = api.call(&operator, Method::GET, KEYS, None).await;
    assert_eq!((&listed["result"][0], &listed["result_info"]["total_count"]), (&shown["result"], &json!(1)));
    assert!(!format!("{created}{changed}{listed}").contains("canary"));

    let (status, _) = api.call(&operator, Method::DELETE, &path, None).await;
    assert_eq!(status, StatusCode::OK);
    assert!(opened(&told(&api.store).await, &api.credentials).is_empty());
    let (status, _) = api.call(&operator, Method::DELETE, &path, None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[sqlx::test(migrations = "../../migrations")]
async fn mistakes_in_an_operators_key_are_told_together(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let operator = api.operator().await;
    let body = json!({"provider_slug": "nobody", "secret": " ", "alias": "a b", "priority": 1_000_001});
    let (status, answer) = api.call(&operator, Method::POST, "/operator/provider_keys", Some(body)).await;
    let errors = answer["errors"].as_array().unwrap();
    let fields: Vec<&Value> = errors.iter().map(|error| &error["path"][1]).collect();
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(fields, ["provider_slug", "alias", "priority", "secret"]);
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_operators_key_opens_after_a_rotation_without_the_old_root_key(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let api = Api::start(pool, address).await;
    let operator = api.operator().await;
    let new = json!({"provider_slug": "openai", "secret": SECRET});
    api.call(&operator, Method::POST, "/operator/provider_keys", Some(new)).await;
    let next = [RootRing::generate("two").unwrap(), RootRing::generate("two").unwrap()];
    let both = |new: &Secret, old: &Secret| {
        RootRing::parse("KEYS", &format!("{},{}", new.expose(), old.expose())).unwrap()
    };
    let (credentials, contents) = (both(&next[0], &api.credentials), both(&next[1], &api.contents));
    let sealer = Sealer::new(credentials, contents.clone());
    rotate(&api.store, &sealer, &ContentsBox::new(contents)).await.unwrap();
    let resources = told(&api.store).await;
    expect_one(&resources, &next[0], SECRET);
    assert!(opened(&resources, &api.credentials)[0].1.is_none());
    // A later start finds the keys that are there.
    installation_keys::ensure(&api.store, &sealer).await.unwrap();
    expect_one(&told(&api.store).await, &next[0], SECRET);
}

#[sqlx::test(migrations = "../../migrations")]
async fn the_operators_settings_reach_proxies_as_terms(pool: PgPoolOptions, address: PgConnectOptions) {
    const SETTINGS: &str = "/operator/settings";
    let api = Api::start(pool, address).await;
    let operator = api.operator().await;
    let body = json!({"default_markup_percent": 5.25, "purchase_fee_percent": 5, "calls_a_minute": 200});
    let changed = patch(&api, &operator, SETTINGS, body).await;
    assert_eq!(
        (&changed["default_markup_ppm"], &changed["purchase_fee_ppm"]),
        (&json!(52_500), &json!(50_000))
    );
    assert_eq!((&changed["minimum_topup"], &changed["minimum_topup_usd"]), (&json!(1000), &json!("10")));
    let (_, shown) = api.call(&operator, Method::GET, SETTINGS, None).await;
    assert_eq!(shown["result"], changed);
    assert_eq!(
        patch(&api, &operator, SETTINGS, changed.clone()).await,
        changed,
        "an answer can be sent back"
    );

    let terms: Vec<_> = told(&api.store)
        .await
        .into_iter()
        .filter_map(|resource| match resource.body {
            Body::Terms(terms) => Some((terms.default_markup_ppm, terms.calls_a_minute)),
            _ => None,
        })
        .collect();
    assert_eq!(terms, [(52_500, Some(200))]);
    let (status, answer) =
        api.call(&operator, Method::PATCH, SETTINGS, Some(json!({"calls_a_minute": 0, "x": 1}))).await;
    assert_eq!((status, answer["errors"].as_array().unwrap().len()), (StatusCode::BAD_REQUEST, 2));
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_account_has_the_operators_markup_or_its_own(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let operator = api.operator().await;
    let (account, owner) = api.owner().await;
    patch(&api, &operator, "/operator/settings", json!({"default_markup_ppm": 50_000})).await;
    let path = format!("/operator/accounts/{account}/terms");
    let (_, shown) = api.call(&operator, Method::GET, &path, None).await;
    assert_eq!(
        (&shown["result"]["markup_ppm"], &shown["result"]["effective_markup_percent"]),
        (&Value::Null, &json!(5))
    );
    let changed = patch(&api, &operator, &path, json!({"markup_percent": -10})).await;
    assert_eq!(
        (&changed["markup_ppm"], &changed["effective_markup_ppm"]),
        (&json!(-100_000), &json!(-100_000))
    );
    let told_of_account = |resources: Vec<Resource>| {
        resources.into_iter().find_map(|resource| match resource.body {
            Body::Account { terms, .. } if resource.account == account => Some(terms),
            _ => None,
        })
    };
    assert_eq!(told_of_account(told(&api.store).await).unwrap().markup_ppm, Some(-100_000));
    assert_eq!(patch(&api, &operator, &path, changed.clone()).await, changed, "an answer can be sent back");
    let back = patch(&api, &operator, &path, json!({"markup_percent": null})).await;
    assert_eq!(back["effective_markup_ppm"], 50_000);

    let nowhere = format!("/operator/accounts/{}/terms", AccountId::INSTALLATION);
    for (actor, path) in [(&operator, &nowhere), (&owner, &path)] {
        let (status, _) = api.call(actor, Method::GET, path, None).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        let (status, _) = api.call(actor, Method::PATCH, path, Some(json!({"markup_percent": 1}))).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_spending_limit_is_set_by_admins_and_seen_by_members(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let api = Api::start(pool, address).await;
    let (account, owner) = api.owner().await;
    let path = format!("/accounts/{account}/ai-gateway/billing/spending-limit");
    let admin = api.member_called(account, Role::Admin, "admin@example.com").await;
    let editor = api.member_called(account, Role::Editor, "editor@example.com").await;
    let viewer = api.member_called(account, Role::Viewer, "viewer@example.com").await;
    let reader = api.token(account, &owner, &["Billing Read"]).await;
    let writer = api.token(account, &owner, &["Billing Write"]).await;
    let stranger = api.person().await;

    let (status, none) = api.call(&viewer, Method::GET, &path, None).await;
    assert_eq!((status, &none["result"]), (StatusCode::OK, &json!({"config": null, "enabled": false})));
    let (status, _) = api.call(&owner, Method::DELETE, &path, None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);

    let body = json!({"amount": 10_050, "duration": "monthly", "strategy": "sliding"});
    for (actor, expected) in [
        (&admin, StatusCode::CREATED),
        (&writer, StatusCode::CREATED),
        (&owner, StatusCode::CREATED),
        (&editor, StatusCode::NOT_FOUND),
        (&viewer, StatusCode::NOT_FOUND),
        (&reader, StatusCode::NOT_FOUND),
        (&stranger, StatusCode::NOT_FOUND),
        (&api.nobody(), StatusCode::UNAUTHORIZED),
    ] {
        let (status, answer) = api.call(actor, Method::POST, &path, Some(body.clone())).await;
        assert_eq!(status, expected, "{answer}");
    }
    let config =
        json!({"amount": 10_050, "amount_usd": "100.5", "duration": "monthly", "strategy": "sliding"});
    for actor in [&viewer, &reader, &editor] {
        let (_, shown) = api.call(actor, Method::GET, &path, None).await;
        assert_eq!(shown["result"], json!({"config": config, "enabled": true}));
    }
    let limit = told(&api.store).await.into_iter().find_map(|resource| match resource.body {
        Body::Account { terms, .. } if resource.account == account => terms.spending_limit,
        _ => None,
    });
    assert_eq!(limit.unwrap().amount.0, 100_500_000_000);

    let (status, _) = api.call(&viewer, Method::DELETE, &path, None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, gone) = api.call(&admin, Method::DELETE, &path, None).await;
    assert_eq!((status, &gone["result"]["config"]), (StatusCode::OK, &config));
    let (_, none) = api.call(&viewer, Method::GET, &path, None).await;
    assert_eq!(none["result"]["enabled"], false);
}

#[sqlx::test(migrations = "../../migrations")]
async fn to_everyone_else_the_operators_money_does_not_exist(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let (account, owner) = api.owner().await;
    let groups: Vec<&str> = model::permission::PERMISSION_GROUPS.iter().map(|group| group.name).collect();
    let token = api.token(account, &owner, &groups).await;
    let key = "/operator/provider_keys/opk_00000000000000000000000000000001";
    for (method, path) in [
        (Method::GET, "/operator/provider_keys"),
        (Method::POST, "/operator/provider_keys"),
        (Method::GET, key),
        (Method::PUT, key),
        (Method::DELETE, key),
        (Method::GET, "/operator/settings"),
        (Method::PATCH, "/operator/settings"),
    ] {
        for (actor, expected) in [
            (&owner, StatusCode::NOT_FOUND),
            (&token, StatusCode::NOT_FOUND),
            (&api.nobody(), StatusCode::UNAUTHORIZED),
        ] {
            let body = (method != Method::GET).then(|| json!({}));
            let (status, _) = api.call(actor, method.clone(), path, body).await;
            assert_eq!(status, expected, "{method} {path}");
        }
    }
}
