//! Endpoints, traffic policies, vaults, secrets and keys of tokens, as owner, viewer, operator and token
//! see them. What strangers see is walked elsewhere.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop where it fails")]

mod support;

use http::{Method, StatusCode};
use model::AccountId;
use model::account::Role;
use model::id::MemberId;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use store::{gateways, members, operators};
use support::{Actor, Api};
use uuid::Uuid;

/// An account's place in the API, and who calls there.
struct Place<'a> {
    api: &'a Api,
    account: AccountId,
    actor: Actor,
}

impl Place<'_> {
    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let path = format!("/accounts/{}/ai-gateway{path}", self.account);
        self.api.call(&self.actor, method, &path, body).await
    }

    async fn done(&self, method: Method, path: &str, body: Value) -> Value {
        let body = (!body.is_null()).then_some(body);
        let (status, answer) = self.call(method, path, body).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer["result"].clone()
    }

    async fn get(&self, path: &str) -> Value {
        self.done(Method::GET, path, Value::Null).await
    }

    async fn refused(&self, method: Method, path: &str, body: Value, status: u16, field: &str) {
        let (told, answer) = self.call(method, path, Some(body)).await;
        assert_eq!(told.as_u16(), status, "{path}: {answer}");
        let path: Vec<&str> = if field.is_empty() { Vec::new() } else { vec!["body", field] };
        let shown = answer["errors"][0]["path"].as_array().cloned().unwrap_or_default();
        assert_eq!(shown, path, "{answer}");
    }

    fn seen_by<'p>(&'p self, actor: &Actor) -> Place<'p> {
        Place { api: self.api, account: self.account, actor: actor.clone() }
    }
}

async fn owner(api: &Api) -> Place<'_> {
    let (account, actor) = api.owner().await;
    Place { api, account, actor }
}

fn id(document: &Value) -> &str {
    document["id"].as_str().unwrap()
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_owner_binds_hosts_and_a_viewer_only_sees_them(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let (place, other) = (owner(&api).await, owner(&api).await);
    let new = json!({"gateway_id": "default", "url": "https://AI.example.com", "description": "ours"});
    let made = place.done(Method::POST, "/endpoints", new.clone()).await;
    assert_eq!((&made["host"], &made["url"]), (&json!("ai.example.com"), &json!("https://ai.example.com")));
    assert_eq!((&made["gateway_id"], &made["bindings"]), (&json!("default"), &json!(["public"])));
    let path = format!("/endpoints/{}", id(&made));
    other.refused(Method::POST, "/endpoints", new, 409, "").await;
    for (field, value) in [
        ("url", json!("https://10.0.0.1")),
        ("url", json!("https://api.example")),
        ("url", json!("*")),
        ("gateway_id", json!("nobodys")),
        ("bindings", json!(["internal"])),
        ("description", json!("x".repeat(256))),
        ("metadata", json!("x".repeat(4097))),
        ("invented", json!(1)),
    ] {
        let mut body = json!({"gateway_id": "default", "url": "https://b.example.com"});
        body[field] = value;
        place.refused(Method::POST, "/endpoints", body, 400, field).await;
    }
    let changed = place.done(Method::PATCH, &path, json!({"url": "b.example.com", "metadata": "m"})).await;
    assert_eq!(
        (&changed["host"], &changed["description"], &changed["metadata"]),
        (&json!("b.example.com"), &json!("ours"), &json!("m"))
    );
    let viewer = place.seen_by(&api.member(place.account, Role::Viewer).await);
    assert_eq!(viewer.get(&path).await, changed);
    assert_eq!(viewer.get("/endpoints?gateway_id=default").await, json!([changed]));
    for (method, path) in [(Method::POST, "/endpoints"), (Method::PATCH, &path), (Method::DELETE, &path)] {
        let (status, _) = viewer.call(method, path, Some(json!({}))).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
    }
    place.done(Method::DELETE, &path, Value::Null).await;
    assert_eq!(place.get("/endpoints").await, json!([]));
    assert_eq!(place.get("/gateways/default").await["id"], "default");
}

#[sqlx::test(migrations = "../../migrations")]
async fn the_operator_alone_binds_the_default_endpoint(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let place = owner(&api).await;
    let body = json!({"gateway_id": "default", "url": "*"});
    place.refused(Method::POST, "/endpoints", body.clone(), 400, "url").await;
    let mut connection = api.store.pool.acquire().await.unwrap();
    operators::appoint(&mut connection, place.actor.user.unwrap()).await.unwrap();
    let made = place.done(Method::POST, "/endpoints", body.clone()).await;
    assert_eq!(made["host"], "*");
    // There is one, whoever has it.
    let second = owner(&api).await;
    let user = place.actor.user.unwrap();
    let (member, email) = (MemberId(Uuid::now_v7()), "operator@example.com");
    members::create(&mut connection, member, second.account, user, email, Role::Owner).await.unwrap();
    second.seen_by(&place.actor).refused(Method::POST, "/endpoints", body, 409, "").await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_traffic_policy_is_checked_and_kept_as_it_stands(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let place = owner(&api).await;
    let path = format!("/client/v4/accounts/{}/ai-gateway/gateways/default/traffic_policy", place.account);
    let bearer = format!("Bearer {}", place.actor.bearer);
    let put = async |text: String| {
        let headers = [("authorization", bearer.as_str()), ("content-type", "text/yaml")];
        let answer = api.raw(Method::PUT, &path, &headers, text).await;
        (answer.status(), serde_json::from_slice::<Value>(answer.body()).unwrap())
    };
    let short = "/gateways/default/traffic_policy";
    assert_eq!(place.call(Method::GET, short, None).await.0, StatusCode::NOT_FOUND);

    let policy = "# ours\non_http_request:\n  - type: ai-gateway\n    config: {}\n";
    let (status, answer) = put(policy.to_owned()).await;
    assert_eq!((status, &answer["result"]["traffic_policy"]), (StatusCode::OK, &json!(policy)));
    assert_eq!(place.get(short).await["traffic_policy"], policy);

    let wrong = "on_http_request:\n  - actions:\n      - type: rate-limt\n      - type: deny\n        config:\n          status: 1\n";
    let (status, answer) = put(wrong.to_owned()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let errors = answer["errors"].as_array().unwrap();
    assert!(errors.len() >= 2, "all problems at once: {answer}");
    assert!(errors[0]["message"].as_str().unwrap().contains("line 3"), "{answer}");
    assert!(errors[0]["path"][1].as_str().unwrap().starts_with("on_http_request[0]"), "{answer}");
    assert_eq!(put("x".repeat(200_000)).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(place.get(short).await["traffic_policy"], policy, "the last good one stays");

    // Other settings can be replaced without losing it, and it can be taken away.
    let settings = json!({"cache_invalidate_on_update": false, "cache_ttl": 0, "collect_logs": true,
        "rate_limiting_interval": 0, "rate_limiting_limit": 0});
    place.done(Method::PUT, "/gateways/default", settings).await;
    assert_eq!(place.get(short).await["traffic_policy"], policy);
    place.done(Method::DELETE, short, Value::Null).await;
    assert_eq!(place.call(Method::GET, short, None).await.0, StatusCode::NOT_FOUND);
    let gateway =
        gateways::get(&api.store, place.account, &"default".parse().unwrap()).await.unwrap().unwrap();
    let kept = gateways::traffic_policy(&api.store, place.account, gateway.internal_id).await.unwrap();
    assert_eq!(kept, None);
}

#[sqlx::test(migrations = "../../migrations")]
async fn vaults_keep_secrets_that_nobody_reads_again(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let place = owner(&api).await;
    let vault = place.done(Method::POST, "/vaults", json!({"name": "openai"})).await;
    assert!(vault["created_by"].as_str().unwrap().ends_with("@example.com"));
    place.refused(Method::POST, "/vaults", json!({"name": "openai"}), 409, "").await;
    place.refused(Method::POST, "/vaults", json!({"name": "a b"}), 400, "name").await;
    place.refused(Method::POST, "/vaults", json!({}), 400, "name").await;
    let of_vault = format!("/vaults/{}", id(&vault));
    let secrets = format!("{of_vault}/secrets");
    let new = json!({"name": "api-key", "value": "sk-canary"});
    let secret = place.done(Method::POST, &secrets, new.clone()).await;
    place.refused(Method::POST, &secrets, new, 409, "").await;
    place.refused(Method::POST, &secrets, json!({"name": "b", "value": ""}), 400, "value").await;
    let own = format!("{secrets}/{}", id(&secret));
    let changed = place.done(Method::PATCH, &own, json!({"value": "sk-canary-2"})).await;
    assert_eq!(changed["name"], "api-key");
    let renamed = place.done(Method::PATCH, &of_vault, json!({"name": "renamed"})).await;
    assert_eq!(
        (&renamed["name"], &place.get(&own).await["vault_name"]),
        (&json!("renamed"), &json!("renamed"))
    );
    assert!(!format!("{secret}{changed}{}", place.get(&secrets).await).contains("canary"));

    let viewer = place.seen_by(&api.member(place.account, Role::Viewer).await);
    assert_eq!(viewer.get(&own).await["id"], secret["id"]);
    for (method, path) in [
        (Method::POST, "/vaults"),
        (Method::PATCH, &of_vault),
        (Method::DELETE, &of_vault),
        (Method::POST, &secrets),
        (Method::PATCH, &own),
        (Method::DELETE, &own),
    ] {
        assert_eq!(viewer.call(method, path, Some(json!({}))).await.0, StatusCode::NOT_FOUND);
    }
    // A secret is found in its own vault alone.
    let other = place.done(Method::POST, "/vaults", json!({"name": "other"})).await;
    let astray = format!("/vaults/{}/secrets/{}", id(&other), id(&secret));
    assert_eq!(place.call(Method::GET, &astray, None).await.0, StatusCode::NOT_FOUND);

    assert_eq!(place.call(Method::DELETE, &of_vault, None).await.0, StatusCode::CONFLICT);
    place.done(Method::DELETE, &own, Value::Null).await;
    place.done(Method::DELETE, &of_vault, Value::Null).await;
    assert_eq!(place.get("/vaults").await.as_array().unwrap().len(), 1);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_gateway_token_has_provider_keys_of_its_own(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let place = owner(&api).await;
    let tokens = "/gateways/default/tokens";
    let token = place.done(Method::POST, tokens, json!({"name": "app"})).await;
    let keys = format!("{tokens}/{}/provider_keys", id(&token));
    let secret = "sk-proj-0123456789abcdef0123456789abcdef";
    let key = place.done(Method::POST, &keys, json!({"provider": "openai", "value": secret})).await;
    assert_eq!(key["preview"], "sk-proj-01***cdef");
    place.refused(Method::POST, &keys, json!({"provider": "nobody", "value": "x"}), 400, "provider").await;
    place.refused(Method::POST, &keys, json!({"provider": "openai", "value": ""}), 400, "value").await;
    let short = place.done(Method::POST, &keys, json!({"provider": "openai", "value": "sk-short"})).await;
    assert_eq!(short["preview"], "***");
    for _ in 0..13 {
        place.done(Method::POST, &keys, json!({"provider": "openai", "value": "x"})).await;
    }
    place.refused(Method::POST, &keys, json!({"provider": "openai", "value": "x"}), 409, "").await;
    let own = format!("{keys}/{}", id(&key));
    assert_eq!(place.done(Method::PATCH, &own, json!({"name": "red"})).await["name"], "red");

    let viewer = place.seen_by(&api.member(place.account, Role::Viewer).await);
    assert_eq!(viewer.get(&keys).await.as_array().unwrap().len(), 15);
    for (method, path) in [(Method::POST, &keys), (Method::PATCH, &own), (Method::DELETE, &own)] {
        assert_eq!(viewer.call(method, path, Some(json!({}))).await.0, StatusCode::NOT_FOUND);
    }
    place.done(Method::DELETE, &own, Value::Null).await;
    assert_eq!(place.call(Method::GET, &own, None).await.0, StatusCode::NOT_FOUND);
    place.done(Method::DELETE, &format!("{tokens}/{}", id(&token)), Value::Null).await;
    assert_eq!(place.call(Method::GET, &keys, None).await.0, StatusCode::NOT_FOUND);
}
