//! One tenant's things through every route, in another tenant's hands. The routes are read from the
//! OpenAPI document, so a new one is walked as soon as it exists.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop where it fails")]

mod support;

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use model::AccountId;
use model::usage::UsageRecord;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use store::{gateways, usage};
use support::{Actor, Api};
use uuid::Uuid;

/// A route of the document.
struct Route {
    method: Method,
    path: String,
    open: bool,
}

fn routes() -> Vec<Route> {
    let document = serde_json::to_value(control_plane::api::document()).unwrap();
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method = method.to_uppercase().parse().unwrap();
            let open = operation["security"] == json!([{}]);
            routes.push(Route { method, path: path.clone(), open });
        }
    }
    assert!(routes.len() > 25, "the document has lost its routes");
    routes
}

/// A tenant with one of everything.
struct Tenant {
    account: AccountId,
    owner: Actor,
    /// What stands at a placeholder. One name means different things below different nouns, so the
    /// segment before it is part of the key.
    ids: BTreeMap<&'static str, String>,
}

const GATEWAY: &str = "victims-own";

impl Tenant {
    async fn with_everything(api: &Api) -> Self {
        let (account, owner) = api.owner().await;
        let made = async |path: &str, body: Value| {
            let path = format!("/accounts/{account}{path}");
            let (status, answer) = api.call(&owner, Method::POST, &path, Some(body)).await;
            assert_eq!(status, StatusCode::OK, "{answer}");
            answer["result"]["id"].as_str().unwrap().to_owned()
        };
        let gateway = made(
            "/ai-gateway/gateways",
            json!({
                "id": GATEWAY, "cache_invalidate_on_update": false, "cache_ttl": 0, "collect_logs": true,
                "rate_limiting_interval": 0, "rate_limiting_limit": 0,
            }),
        )
        .await;
        let below = format!("/ai-gateway/gateways/{gateway}");
        let key =
            json!({"provider_slug": "openai", "alias": "default", "default_config": true, "secret": "sk-0"});
        let group = model::permission::PERMISSION_GROUPS[0].id;
        let resources = json!({format!("com.cloudflare.api.account.{account}"): "*"});
        let grant = json!({"effect": "allow", "permission_groups": [{"id": group}], "resources": resources});
        let friend = json!({"email": "friend@example.com", "roles": ["viewer"]});
        let cost = json!({"provider": "openai", "model": "m", "cost_in": 0.001});
        let token = made(&format!("{below}/tokens"), json!({"name": "token"})).await;
        let bound = json!({"provider": "openai", "value": "sk-0"});
        // A host has one owner.
        let host = format!("{}.example.com", account);
        let endpoint = made("/ai-gateway/endpoints", json!({"gateway_id": gateway, "url": host})).await;
        let vault = made("/ai-gateway/vaults", json!({"name": "openai"})).await;
        let secret = json!({"name": "api-key", "value": "sk-0"});
        let policy = format!("/accounts/{account}{below}/traffic_policy");
        let written = api.call(&owner, Method::PUT, &policy, Some(json!({"on_http_request": []}))).await;
        assert_eq!(written.0, StatusCode::OK, "{}", written.1);
        let ids = BTreeMap::from([
            ("endpoints/endpoint_id", endpoint),
            ("secrets/secret_id", made(&format!("/ai-gateway/vaults/{vault}/secrets"), secret).await),
            ("vaults/vault_id", vault),
            ("provider_keys/key_id", made(&format!("{below}/tokens/{token}/provider_keys"), bound).await),
            ("gateways/gateway_id", gateway.clone()),
            ("provider_configs/provider_config_id", made(&format!("{below}/provider_configs"), key).await),
            ("tokens/token_id", made("/tokens", json!({"name": "token", "policies": [grant]})).await),
            ("members/member_id", made("/members", friend).await),
            ("gateway/token_id", token),
            ("logs/log_id", log(api, account).await),
            ("ledger/transaction_id", moved(api, account, "credits", "transaction_id").await),
            ("debits/debit_id", moved(api, account, "debits", "id").await),
            ("costs/cost_id", made("/ai-gateway/custom-providers/costs", cost).await),
            // Words that are the same for everybody.
            ("roles/role_id", "owner".to_owned()),
            ("url/provider", "openai".to_owned()),
            // The operator's: no tenant has any.
            ("proxies/proxy_id", format!("prx_{}", Uuid::now_v7().simple())),
            ("provider_keys/provider_key_id", format!("opk_{}", Uuid::now_v7().simple())),
            ("price_rules/price_rule_id", format!("prr_{}", Uuid::now_v7().simple())),
            ("vouchers/voucher_id", format!("vch_{}", Uuid::now_v7().simple())),
            ("reratings/rerating_id", Uuid::now_v7().to_string()),
            ("join-tokens/join_token_id", format!("jtk_{}", Uuid::now_v7().simple())),
        ]);
        Self { account, owner, ids }
    }

    /// Ids of the same forms that belong to nobody.
    fn unknown() -> (AccountId, BTreeMap<&'static str, String>) {
        let id = |prefix: &str| format!("{prefix}{}", Uuid::now_v7().simple());
        let ids = BTreeMap::from([
            ("gateways/gateway_id", "nobodys".to_owned()),
            ("provider_configs/provider_config_id", id("key_")),
            ("tokens/token_id", id("tok_")),
            ("members/member_id", id("mem_")),
            ("gateway/token_id", id("gwt_")),
            ("endpoints/endpoint_id", id("ep_")),
            ("vaults/vault_id", id("vault_")),
            ("secrets/secret_id", id("secret_")),
            ("provider_keys/key_id", id("aigpk_")),
            ("logs/log_id", Uuid::now_v7().to_string()),
            ("ledger/transaction_id", Uuid::now_v7().to_string()),
            ("debits/debit_id", Uuid::now_v7().to_string()),
            ("costs/cost_id", id("prr_")),
            ("roles/role_id", "owner".to_owned()),
            ("url/provider", "openai".to_owned()),
        ]);
        (AccountId(Uuid::now_v7()), ids)
    }
}

/// Credits that the operator gave the tenant, or takes: the transaction, or the debit.
async fn moved(api: &Api, account: AccountId, what: &str, member: &str) -> String {
    let path = format!("/accounts/{account}/ai-gateway/billing/{what}");
    let (key, body) = (Uuid::now_v7().to_string(), json!({"amount": 1000}));
    let headers = [("idempotency-key", key.as_str())];
    let (status, answer) =
        api.call_with(&api.operator().await, Method::POST, &path, &headers, Some(body)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer["result"][member].as_str().unwrap().to_owned()
}

/// A request of the tenant's in its log.
async fn log(api: &Api, account: AccountId) -> String {
    let gateway = gateways::get(&api.store, account, &GATEWAY.parse().unwrap()).await.unwrap().unwrap();
    let id = Uuid::now_v7();
    let bytes = |id: Uuid| id.as_bytes().to_vec();
    let record = UsageRecord::from_wire(proto::UsageRecord {
        id: bytes(id),
        request_id: bytes(id),
        account_id: bytes(account.0),
        gateway_id: bytes(gateway.internal_id.0),
        gateway_slug: GATEWAY.to_owned(),
        provider: "openai".to_owned(),
        outcome: proto::Outcome::Answered.into(),
        status: 200,
        collect_log: true,
        ..proto::UsageRecord::default()
    });
    usage::ensure_day(&api.store, usage::day(id).unwrap()).await.unwrap();
    let mut connection = api.store.pool.acquire().await.unwrap();
    usage::insert(&mut connection, &[record.unwrap()]).await.unwrap();
    id.to_string()
}

/// What the victim's own gateway answers about itself and all below it.
async fn belongings(api: &Api, victim: &Tenant) -> Vec<Value> {
    let mut seen = Vec::new();
    for route in routes().into_iter().filter(|route| route.method == Method::GET && !route.open) {
        let path = filled(&route.path, victim.account, &victim.ids);
        let (status, mut answer) = api.call(&victim.owner, Method::GET, &path, None).await;
        if status == StatusCode::OK {
            forget_times(&mut answer);
            seen.push(answer);
        }
    }
    seen
}

fn forget_times(value: &mut Value) {
    match value {
        Value::Object(members) => {
            // A preview's period ends now.
            members.retain(|name, _| !matches!(name.as_str(), "last_used_on" | "period_end" | "period"));
            members.values_mut().for_each(forget_times);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_times),
        _ => {}
    }
}

fn filled(path: &str, account: AccountId, ids: &BTreeMap<&'static str, String>) -> String {
    let mut parts: Vec<String> = Vec::new();
    for part in path.split('/') {
        let filling = match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            None => part.to_owned(),
            Some("account_id") => account.to_string(),
            Some(name) => {
                let noun = match parts.last().map(String::as_str) {
                    Some("tokens") if path.contains("/gateways/") => "gateway",
                    Some(noun) => noun,
                    None => "",
                };
                let key = format!("{noun}/{name}");
                ids.get(key.as_str())
                    .unwrap_or_else(|| panic!("teach the walk what stands at `{key}` in {path}"))
                    .clone()
            }
        };
        parts.push(filling);
    }
    parts.join("/")
}

#[sqlx::test(migrations = "../../migrations")]
async fn another_tenants_account_answers_exactly_as_one_that_does_not_exist(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let api = Api::start(pool, address).await;
    let victim = Tenant::with_everything(&api).await;
    let (strangers_account, stranger) = api.owner().await;
    let every_group: Vec<&str> =
        model::permission::PERMISSION_GROUPS.iter().map(|group| group.name).collect();
    let strangers_token = api.token(strangers_account, &stranger, &every_group).await;
    let before = belongings(&api, &victim).await;
    assert!(before.len() > 10, "the victim sees its own things");

    let (nowhere, nothing) = Tenant::unknown();
    let mut walked = 0;
    for Route { method, path, .. } in routes().into_iter().filter(|route| route.path.contains("{account_id}"))
    {
        for actor in [&stranger, &strangers_token] {
            let body = (method != Method::GET).then(|| json!({}));
            let foreign = filled(&path, victim.account, &victim.ids);
            let unknown = filled(&path, nowhere, &nothing);
            let foreign = api.call(actor, method.clone(), &foreign, body.clone()).await;
            let unknown = api.call(actor, method.clone(), &unknown, body.clone()).await;
            assert_eq!(foreign, unknown, "{method} {path}");
            // A session is no API token, so there is nothing to verify, wherever it is tried.
            if path.ends_with("/tokens/verify") && actor.user.is_some() {
                assert_eq!(foreign.0, StatusCode::UNAUTHORIZED);
            } else {
                assert_eq!(foreign.0, StatusCode::NOT_FOUND, "{method} {path}");
                assert_eq!(foreign.1["errors"], json!([{"code": 7002, "message": "Not Found"}]));
            }
        }
        walked += 1;
    }
    assert!(walked > 20);
    assert_eq!(belongings(&api, &victim).await, before, "nothing of the victim's has changed");
}

#[sqlx::test(migrations = "../../migrations")]
async fn another_tenants_ids_are_unknown_in_ones_own_account(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let victim = Tenant::with_everything(&api).await;
    let stranger = Tenant::with_everything(&api).await;
    let before = belongings(&api, &victim).await;
    for Route { method, path, .. } in routes().into_iter().filter(|route| route.path.contains("{account_id}"))
    {
        // Each id in turn is the victim's, the others the stranger's own. Gateways have names, which
        // both tenants may use, and words are the same for everybody.
        for (key, id) in victim
            .ids
            .iter()
            .filter(|(key, _)| !matches!(**key, "gateways/gateway_id" | "roles/role_id" | "url/provider"))
        {
            let mut ids = stranger.ids.clone();
            ids.insert(key, id.clone());
            let mixed = filled(&path, stranger.account, &ids);
            if mixed == filled(&path, stranger.account, &stranger.ids) {
                continue;
            }
            let body = (method != Method::GET).then(|| json!({}));
            let (status, answer) = api.call(&stranger.owner, method.clone(), &mixed, body).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{method} {path}: {answer}");
            assert_eq!(answer["errors"][0]["code"], 7002, "{method} {path}");
        }
    }
    assert_eq!(belongings(&api, &victim).await, before, "nothing of the victim's has changed");
}

#[sqlx::test(migrations = "../../migrations")]
async fn without_credentials_every_route_but_the_entrances_says_only_that(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let api = Api::start(pool, address).await;
    let victim = Tenant::with_everything(&api).await;
    let expected = json!([{"code": 10000, "message": "Authentication error"}]);
    for Route { method, path, .. } in routes().into_iter().filter(|route| !route.open) {
        let path = filled(&path, victim.account, &victim.ids);
        let answer = api.raw(method.clone(), &format!("/client/v4{path}"), &[], "{}").await;
        let body: Value = serde_json::from_slice(answer.body()).unwrap();
        assert_eq!(
            (answer.status(), &body["errors"]),
            (StatusCode::UNAUTHORIZED, &expected),
            "{method} {path}"
        );
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_tenant_finds_nothing_of_the_operators(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let tenant = Tenant::with_everything(&api).await;
    for Route { method, path, .. } in routes().into_iter().filter(|route| route.path.starts_with("/operator"))
    {
        let path = filled(&path, tenant.account, &tenant.ids);
        let body = (method != Method::GET).then(|| json!({}));
        let (status, answer) = api.call(&tenant.owner, method.clone(), &path, body).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{method} {path}");
        assert_eq!(answer["errors"], json!([{"code": 7002, "message": "Not Found"}]));
    }
}
