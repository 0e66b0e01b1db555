//! `/accounts/{account}/ai-gateway/gateways` and what lies below, over real HTTP.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop where it fails")]

mod support;

use http::{Method, StatusCode};
use model::AccountId;
use model::account::Role;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use support::{Actor, Api};

fn gateways(account: AccountId) -> String {
    format!("/accounts/{account}/ai-gateway/gateways")
}

fn least(id: &str) -> Value {
    json!({
        "id": id,
        "cache_invalidate_on_update": false,
        "cache_ttl": 0,
        "collect_logs": true,
        "rate_limiting_interval": 0,
        "rate_limiting_limit": 0,
    })
}

async fn create(api: &Api, actor: &Actor, account: AccountId, id: &str) -> Value {
    let (status, body) = api.call(actor, Method::POST, &gateways(account), Some(least(id))).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    body["result"].clone()
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_owner_creates_shows_replaces_and_deletes_a_gateway(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let api = Api::start(pool, address).await;
    let (account, owner) = api.owner().await;
    let mut body = least("demo");
    body["authentication"] = json!(true);
    body["otel"] = json!([{"url": "https://otel.example/v1/traces", "headers": {"x": "y"}}]);
    body["spend_limits"] =
        json!({"enabled": true, "rules": [{"limitType": "cost", "limit": 5, "window": 86400}]});
    let (status, created) = api.call(&owner, Method::POST, &gateways(account), Some(body)).await;
    assert_eq!((status, &created["success"]), (StatusCode::OK, &json!(true)), "{created}");
    let created = &created["result"];
    assert_eq!(created["account_id"], json!(account));
    assert_eq!((&created["is_default"], &created["wholesale"]), (&json!(false), &json!(true)));
    assert_eq!(created["spend_limits"]["rules"][0]["id"].as_str().unwrap().len(), 8);
    assert!(created["created_at"].as_str().unwrap().ends_with('Z'));

    let demo = format!("{}/demo", gateways(account));
    let (_, shown) = api.call(&owner, Method::GET, &demo, None).await;
    assert_eq!(&shown["result"], created);

    // An answer can be sent back as it came.
    let (status, same) = api.call(&owner, Method::PUT, &demo, Some(created.clone())).await;
    assert_eq!((status, &same["result"]["otel"]), (StatusCode::OK, &created["otel"]), "{same}");

    let (_, replaced) = api.call(&owner, Method::PUT, &demo, Some(least("demo"))).await;
    assert_eq!(replaced["result"]["authentication"], json!(false), "what is left out gets its default");
    assert_eq!(replaced["result"]["otel"], Value::Null);
    assert_eq!(replaced["result"]["internal_id"], created["internal_id"]);

    let (status, deleted) = api.call(&owner, Method::DELETE, &demo, None).await;
    assert_eq!((status, &deleted["result"]["id"]), (StatusCode::OK, &json!("demo")));
    let (status, gone) = api.call(&owner, Method::GET, &demo, None).await;
    assert_eq!((status, &gone["errors"][0]["code"]), (StatusCode::NOT_FOUND, &json!(7002)));

    let again = create(&api, &owner, account, "demo").await;
    assert_ne!(again["internal_id"], created["internal_id"]);
}

#[sqlx::test(migrations = "../../migrations")]
async fn all_mistakes_are_answered_together(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let (account, owner) = api.owner().await;
    let body = json!({"id": "A B", "collect_logs": 1, "invented": true});
    let (status, answer) = api.call(&owner, Method::POST, &gateways(account), Some(body)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let paths: Vec<&Value> =
        answer["errors"].as_array().unwrap().iter().map(|error| &error["path"][1]).collect();
    assert_eq!(
        paths,
        [
            "id",
            "cache_invalidate_on_update",
            "cache_ttl",
            "collect_logs",
            "rate_limiting_interval",
            "rate_limiting_limit",
            "invented"
        ]
    );
    assert_eq!(answer["errors"][0]["code"], json!(7001));
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_taken_id_is_a_conflict(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let (account, owner) = api.owner().await;
    create(&api, &owner, account, "demo").await;
    let (status, _) = api.call(&owner, Method::POST, &gateways(account), Some(least("demo"))).await;
    assert_eq!(status, StatusCode::CONFLICT);
    // Another account is another namespace.
    let (other, stranger) = api.owner().await;
    create(&api, &stranger, other, "demo").await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_list_is_searched_and_paged(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let (account, owner) = api.owner().await;
    for id in ["alpha", "beta", "alphabet"] {
        create(&api, &owner, account, id).await;
    }
    let path = format!("{}?search=alpha&per_page=1&page=2", gateways(account));
    let (_, page) = api.call(&owner, Method::GET, &path, None).await;
    assert_eq!(page["result"][0]["id"], json!("alphabet"));
    assert_eq!(page["result_info"]["total_count"], json!(2));
    let (_, past) = api.call(&owner, Method::GET, &format!("{}?page=9", gateways(account)), None).await;
    assert_eq!(past["result"], json!([]));
    let (status, _) =
        api.call(&owner, Method::GET, &format!("{}?per_page=101", gateways(account)), None).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_account_has_its_default_gateway_and_gets_it_again(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let api = Api::start(pool, address).await;
    let (account, owner) = api.owner().await;
    let default = format!("{}/default", gateways(account));
    let (_, shown) = api.call(&owner, Method::GET, &default, None).await;
    assert_eq!(shown["result"]["is_default"], json!(true));
    assert_eq!(shown["result"]["authentication"], json!(true));
    let (status, _) = api.call(&owner, Method::DELETE, &default, None).await;
    assert_eq!(status, StatusCode::OK);
    let (_, again) = api.call(&owner, Method::GET, &default, None).await;
    assert_ne!(again["result"]["internal_id"], shown["result"]["internal_id"]);
}

/// A gateway `demo` with a token and a provider key: every route below an account's gateways, each
/// with a body that would be accepted.
async fn every_route(api: &Api, owner: &Actor, account: AccountId) -> Vec<(Method, String, Option<Value>)> {
    create(api, owner, account, "demo").await;
    let demo = format!("{}/demo", gateways(account));
    let token = json!({"name": "app"});
    let (_, made) = api.call(owner, Method::POST, &format!("{demo}/tokens"), Some(token.clone())).await;
    let token_path = format!("{demo}/tokens/{}", made["result"]["id"].as_str().unwrap());
    let key = |alias: &str| json!({"alias": alias, "default_config": true, "provider_slug": "openai", "secret": "sk-0123456789abcdef"});
    let keys = format!("{demo}/provider_configs");
    let (_, made) = api.call(owner, Method::POST, &keys, Some(key("default"))).await;
    let key_path = format!("{keys}/{}", made["result"]["id"].as_str().unwrap());
    vec![
        (Method::GET, gateways(account), None),
        (Method::GET, demo.clone(), None),
        (Method::GET, format!("{demo}/url/openai"), None),
        (Method::GET, format!("{demo}/tokens"), None),
        (Method::GET, token_path.clone(), None),
        (Method::GET, keys.clone(), None),
        (Method::GET, key_path.clone(), None),
        (Method::POST, gateways(account), Some(least("another"))),
        (Method::PUT, demo.clone(), Some(least("demo"))),
        (Method::POST, format!("{demo}/tokens"), Some(token)),
        (Method::POST, keys, Some(key("second"))),
        (Method::PUT, key_path.clone(), Some(json!({"secret": "sk-1"}))),
        (Method::DELETE, token_path, None),
        (Method::DELETE, key_path, None),
        (Method::DELETE, demo, None),
    ]
}

/// Calls every route and says which answered 200.
async fn allowed(api: &Api, actor: &Actor, routes: &[(Method, String, Option<Value>)]) -> Vec<bool> {
    let mut allowed = Vec::new();
    for (method, path, body) in routes {
        let (status, answer) = api.call(actor, method.clone(), path, body.clone()).await;
        assert!(matches!(status.as_u16(), 200 | 404), "{method} {path}: {status} {answer}");
        allowed.push(status == StatusCode::OK);
    }
    allowed
}

const READS: usize = 7;

fn reads_alone() -> Vec<bool> {
    (0..15).map(|index| index < READS).collect()
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_owner_and_an_editor_may_do_everything(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    for role in [None, Some(Role::Editor)] {
        let (account, owner) = api.owner().await;
        let routes = every_route(&api, &owner, account).await;
        let actor = match role {
            Some(role) => api.member(account, role).await,
            None => owner,
        };
        assert_eq!(allowed(&api, &actor, &routes).await, vec![true; 15]);
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_viewer_and_a_token_with_read_only_see_and_change_nothing(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let api = Api::start(pool, address).await;
    let (account, owner) = api.owner().await;
    let routes = every_route(&api, &owner, account).await;
    let viewer = api.member(account, Role::Viewer).await;
    let reader = api.token(account, &owner, &["AI Gateway Read"]).await;
    assert_eq!(allowed(&api, &viewer, &routes).await, reads_alone());
    assert_eq!(allowed(&api, &reader, &routes).await, reads_alone());
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_stranger_and_a_token_of_another_account_find_nothing(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let api = Api::start(pool, address).await;
    let (account, owner) = api.owner().await;
    let routes = every_route(&api, &owner, account).await;
    let (other, stranger) = api.owner().await;
    let groups = ["AI Gateway Read", "AI Gateway Write"];
    let token = api.token(other, &stranger, &groups).await;
    let runner = api.token(account, &owner, &["AI Gateway Run"]).await;
    for actor in [stranger.clone(), token, runner] {
        assert_eq!(allowed(&api, &actor, &routes).await, vec![false; 15]);
    }
    // The same ids below an account of one's own lead nowhere either.
    create(&api, &stranger, other, "demo").await;
    for (method, path, body) in routes {
        let path = path.replace(&account.to_string(), &other.to_string());
        if path.contains("/tokens/") || path.contains("/provider_configs/") {
            let (status, _) = api.call(&stranger, method, &path, body).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        }
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn nobody_without_credentials_gets_anywhere(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let (account, owner) = api.owner().await;
    let routes = every_route(&api, &owner, account).await;
    for (method, path, body) in routes {
        let nobody = Actor { bearer: "nonsense".to_owned(), user: None };
        let (status, answer) = api.call(&nobody, method, &path, body).await;
        assert_eq!((status, &answer["errors"][0]["code"]), (StatusCode::UNAUTHORIZED, &json!(10000)));
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_gateway_token_shows_its_value_once(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let (account, owner) = api.owner().await;
    create(&api, &owner, account, "demo").await;
    let tokens = format!("{}/demo/tokens", gateways(account));
    let new = json!({"name": "app", "expires_on": "2999-01-01T00:00:00Z"});
    let (_, made) = api.call(&owner, Method::POST, &tokens, Some(new)).await;
    let made = &made["result"];
    assert!(made["value"].as_str().unwrap().starts_with("tg_gw_"));
    assert_eq!((&made["status"], &made["expires_on"]), (&json!("active"), &json!("2999-01-01T00:00:00Z")));
    let (_, list) = api.call(&owner, Method::GET, &tokens, None).await;
    let mut expected = made.clone();
    expected.as_object_mut().unwrap().remove("value");
    assert_eq!(list["result"], json!([expected]));

    let past = json!({"name": "", "expires_on": "2001-01-01T00:00:00Z"});
    let (status, refused) = api.call(&owner, Method::POST, &tokens, Some(past)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(refused["errors"].as_array().unwrap().len(), 2);

    let token = format!("{tokens}/{}", made["id"].as_str().unwrap());
    let (status, revoked) = api.call(&owner, Method::DELETE, &token, None).await;
    assert_eq!((status, &revoked["result"]["id"]), (StatusCode::OK, &made["id"]));
    let (status, _) = api.call(&owner, Method::GET, &token, None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_provider_key_is_stored_changed_and_deleted(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let (account, owner) = api.owner().await;
    create(&api, &owner, account, "demo").await;
    let keys = format!("{}/demo/provider_configs", gateways(account));
    let new = |alias: &str| {
        json!({"alias": alias, "default_config": true, "provider_slug": "openai",
               "secret": " sk-0123456789abcdef\n", "rate_limit": 10.0})
    };
    let (status, made) = api.call(&owner, Method::POST, &keys, Some(new("default"))).await;
    assert_eq!(status, StatusCode::OK, "{made}");
    let made = &made["result"];
    assert_eq!((&made["secret_preview"], &made["gateway_id"]), (&json!("****cdef"), &json!("demo")));
    assert_eq!((&made["rate_limit"], &made["rate_limit_period"]), (&json!(10), &json!(60)));
    assert_eq!(made["secret_id"], made["id"]);

    let (status, _) = api.call(&owner, Method::POST, &keys, Some(new("default"))).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let (_, second) = api.call(&owner, Method::POST, &keys, Some(new("second"))).await;
    let second = format!("{keys}/{}", second["result"]["id"].as_str().unwrap());
    let defaults = async || {
        let (_, list) = api.call(&owner, Method::GET, &keys, None).await;
        let list = list["result"].as_array().unwrap().clone();
        list.iter().map(|key| key["default_config"] == json!(true)).collect::<Vec<_>>()
    };
    assert_eq!(defaults().await, [false, true]);

    let first = format!("{keys}/{}", made["id"].as_str().unwrap());
    let change = json!({"secret": "sk-fedcba9876543210", "default_config": true});
    let (_, changed) = api.call(&owner, Method::PUT, &first, Some(change)).await;
    assert_eq!(changed["result"]["secret_preview"], json!("****3210"));
    assert_eq!(changed["result"]["alias"], json!("default"), "what is absent stays");
    assert_eq!(defaults().await, [true, false]);

    let (status, deleted) = api.call(&owner, Method::DELETE, &second, None).await;
    assert_eq!((status, &deleted["result"]["alias"]), (StatusCode::OK, &json!("second")));
    assert_eq!(defaults().await, [true]);

    // A provider's other names lead to its keys as well.
    let xai =
        json!({"alias": "default", "default_config": true, "provider_slug": "xai", "secret": "xai-01234567"});
    let (_, made) = api.call(&owner, Method::POST, &keys, Some(xai)).await;
    assert_eq!(made["result"]["provider_slug"], json!("grok"));
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_provider_key_that_cannot_be_is_refused(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let (account, owner) = api.owner().await;
    create(&api, &owner, account, "demo").await;
    let keys = format!("{}/demo/provider_configs", gateways(account));
    let body = json!({"alias": "no spaces", "default_config": true, "provider_slug": "opena1",
                      "secret_id": "x", "rate_limit": 0.5, "rate_limit_period": 0});
    let (status, answer) = api.call(&owner, Method::POST, &keys, Some(body)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let paths: Vec<&Value> =
        answer["errors"].as_array().unwrap().iter().map(|error| &error["path"][1]).collect();
    assert_eq!(paths, ["provider_slug", "alias", "secret_id", "rate_limit", "rate_limit_period"]);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_url_leads_to_the_provider_at_the_gateway(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let (account, owner) = api.owner().await;
    create(&api, &owner, account, "demo").await;
    let url = |provider: &str| format!("{}/demo/url/{provider}", gateways(account));
    let (_, answer) = api.call(&owner, Method::GET, &url("openai"), None).await;
    assert_eq!(answer["result"], json!(format!("http://gateway.example/v1/{account}/demo/openai")));
    let (status, _) = api.call(&owner, Method::GET, &url("opena1"), None).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[test]
fn the_description_says_which_fields_nothing_obeys_yet() {
    let document = serde_json::to_value(control_plane::api::document()).unwrap();
    let schemas = &document["components"]["schemas"];
    let fields = &schemas["GatewaySettings"];
    for (field, obeyed) in [("cache_ttl", false), ("guardrails", false), ("authentication", true)] {
        let text = fields["properties"][field]["description"].as_str().unwrap();
        assert_eq!(!text.contains("not obeyed yet"), obeyed, "{field}: {text}");
    }
    let required: Vec<&str> =
        fields["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert_eq!(
        required,
        [
            "cache_invalidate_on_update",
            "cache_ttl",
            "collect_logs",
            "rate_limiting_interval",
            "rate_limiting_limit"
        ]
    );
    for schema in ["NewGateway", "Gateway"] {
        let text = schemas[schema].to_string();
        assert!(text.contains("GatewaySettings") || text.contains("not obeyed yet"), "{schema}: {text}");
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn limits_are_kept_to_the_nano_dollar_and_told_to_proxies(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let api = Api::start(pool, address).await;
    let (account, owner) = api.owner().await;
    let settings = r#""cache_invalidate_on_update":false,"cache_ttl":0,"collect_logs":true,
        "rate_limiting_interval":60,"rate_limiting_limit":100,
        "token_budget":{"limit":1000000,"period":"month","hard_stop":true},
        "max_output_tokens":4096,"time_zone":"+02:00","zdr":true,
        "spend_limits":{"enabled":true,"unpriced":"refuse","rules":[
            {"id":"aa","limitType":"cost","limit":1234567.123456789,"window":86400}]}"#;
    let body = format!("{{\"id\":\"demo\",{settings}}}");
    let authorization = format!("Bearer {}", owner.bearer);
    let path = format!("/client/v4{}", gateways(account));
    let headers = [("authorization", authorization.as_str())];
    let answer = api.raw(Method::POST, &path, &headers, body).await;
    let text = String::from_utf8(answer.body().to_vec()).unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{text}");
    // Sixteen digits, which a float would not keep.
    assert!(text.contains(r#""limit":1234567.123456789,"#), "{text}");
    let again = api.raw(Method::GET, &format!("{path}/demo"), &headers, "").await;
    assert_eq!(again.body(), answer.body());

    let mut everything = store::resources::Everything::begin(&api.store).await.unwrap();
    let mut told = Vec::new();
    while let Some(part) = everything.next_part(100).await.unwrap() {
        told.extend(part.resources.into_iter().filter_map(|resource| match resource.body {
            model::resource::Body::Gateway(gateway) if gateway.id.as_str() == "demo" => Some(gateway),
            _ => None,
        }));
    }
    let gateway = &told[0];
    assert_eq!(gateway.spend_rules[0].limit.0, 1_234_567_123_456_789);
    assert_eq!((gateway.max_output_tokens, gateway.time_zone.offset_seconds()), (4096, 7200));
    assert!(gateway.rate_limit.is_some() && gateway.token_budget.is_some() && gateway.zdr);
}

#[sqlx::test(migrations = "../../migrations")]
async fn mistakes_in_limits_are_told_together(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let (account, owner) = api.owner().await;
    let mut body = least("demo");
    body["spend_limits"] = json!({"unpriced": "perhaps", "rules": [
        {"id": "a", "limitType": "cost", "limit": 0.000_000_000_1, "window": 60},
        {"id": "a", "limitType": "tokens", "limit": 4_000_001, "window": 0, "model": {"mode": "filter"}},
    ]});
    body["token_budget"] = json!({"limit": 0, "period": "year"});
    body["max_output_tokens"] = json!(0);
    body["time_zone"] = json!("Atlantis");
    let (status, answer) = api.call(&owner, Method::POST, &gateways(account), Some(body)).await;
    let errors = answer["errors"].as_array().unwrap();
    let paths: Vec<String> = errors
        .iter()
        .map(|error| {
            let path = error["path"].as_array().unwrap()[1..].iter();
            path.map(|part| part.as_str().unwrap()).collect::<Vec<_>>().join(".")
        })
        .collect();
    let expected = [
        "spend_limits.rules.0.limit",
        "spend_limits.rules.1.id",
        "spend_limits.rules.1.limitType",
        "spend_limits.rules.1.limit",
        "spend_limits.rules.1.window",
        "spend_limits.rules.1.model",
        "spend_limits.unpriced",
        "token_budget.limit",
        "token_budget.period",
        "max_output_tokens",
        "time_zone",
    ];
    assert_eq!((status, paths), (StatusCode::BAD_REQUEST, expected.map(str::to_owned).to_vec()));
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_gateway_token_has_a_budget_that_editors_change(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let (account, owner) = api.owner().await;
    let editor = api.member_called(account, Role::Editor, "editor@example.com").await;
    let viewer = api.member_called(account, Role::Viewer, "viewer@example.com").await;
    let tokens = format!("{}/default/tokens", gateways(account));
    let body = json!({"name": "app", "budget": {"limit": 2.5, "period": "month"}});
    let (status, created) = api.call(&editor, Method::POST, &tokens, Some(body)).await;
    assert_eq!(status, StatusCode::OK, "{created}");
    let budget = json!({"limit": 2.5, "period": "month", "hard_stop": true});
    assert_eq!(created["result"]["budget"], budget);

    let path = format!("{tokens}/{}", created["result"]["id"].as_str().unwrap());
    let rename = json!({"name": "renamed"});
    let (_, renamed) = api.call(&editor, Method::PATCH, &path, Some(rename.clone())).await;
    assert_eq!((&renamed["result"]["name"], &renamed["result"]["budget"]), (&json!("renamed"), &budget));
    assert_eq!(renamed["result"]["value"], Value::Null);
    let (status, _) = api.call(&viewer, Method::PATCH, &path, Some(rename)).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let without = json!({"budget": null});
    let (_, without) = api.call(&owner, Method::PATCH, &path, Some(without)).await;
    assert_eq!((&without["result"]["name"], &without["result"]["budget"]), (&json!("renamed"), &Value::Null));

    let bad = json!({"budget": {"limit": 0, "period": "year", "hard_stop": 1}, "expires_on": null});
    let (status, answer) = api.call(&owner, Method::PATCH, &path, Some(bad)).await;
    let paths: Vec<&Value> =
        answer["errors"].as_array().unwrap().iter().map(|error| &error["path"]).collect();
    let expected = [
        json!(["body", "budget", "limit"]),
        json!(["body", "budget", "period"]),
        json!(["body", "budget", "hard_stop"]),
        json!(["body", "expires_on"]),
    ];
    assert_eq!((status, paths), (StatusCode::BAD_REQUEST, expected.iter().collect::<Vec<_>>()));
}

#[sqlx::test(migrations = "../../migrations")]
async fn whoever_leaves_keys_to_strangers_is_warned(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let (account, owner) = api.owner().await;
    let gateway = create(&api, &owner, account, "demo").await;
    assert_eq!(gateway["warnings"], json!([]));
    let path = format!("{}/demo", gateways(account));
    let warned = async |settings: Value| {
        let mut body = least("demo");
        body.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let (status, body) = api.call(&owner, Method::PUT, &path, Some(body)).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let codes = |body: &Value| {
            let warnings = body["warnings"].as_array().unwrap().clone();
            warnings
                .into_iter()
                .map(|warning| warning["code"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        let (_, shown) = api.call(&owner, Method::GET, &path, None).await;
        let (_, listed) = api.call(&owner, Method::GET, &gateways(account), None).await;
        let listed =
            listed["result"].as_array().unwrap().iter().find(|one| one["id"] == "demo").unwrap().clone();
        assert_eq!(codes(&shown["result"]), codes(&body["result"]));
        assert_eq!(codes(&listed), codes(&body["result"]));
        codes(&body["result"])
    };
    assert_eq!(warned(json!({"stored_keys": "open"})).await, [""; 0], "there are no keys");
    let key =
        json!({"alias": "default", "default_config": true, "provider_slug": "openai", "secret": "sk-0123"});
    let (status, _) = api.call(&owner, Method::POST, &format!("{path}/provider_configs"), Some(key)).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(warned(json!({"stored_keys": "open"})).await, ["keys_open"]);
    assert_eq!(warned(json!({"stored_keys": "open", "authentication": true})).await, [""; 0]);
    assert_eq!(warned(json!({})).await, [""; 0], "only who has a token uses them");

    let policy = format!("{path}/traffic_policy");
    let put = async |text: &str| {
        let bearer = format!("Bearer {}", owner.bearer);
        let headers = [("authorization", bearer.as_str()), ("content-type", "text/yaml")];
        let path = format!("/client/v4{policy}");
        let answer = api.raw(Method::PUT, &path, &headers, text.to_owned()).await;
        let body: Value = serde_json::from_slice(answer.body()).unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{body}");
        body["result"]["warnings"].clone()
    };
    assert_eq!(warned(json!({"stored_keys": "open"})).await, ["keys_open"]);
    assert_eq!(put("on_http_request: [{type: ai-gateway}]").await[0]["code"], "keys_open");
    let guarded =
        "on_http_request: [{type: restrict-ips, config: {allow: [10.0.0.0/8]}}, {type: ai-gateway}]";
    assert_eq!(put(guarded).await, json!([]));
    assert_eq!(warned(json!({"stored_keys": "open"})).await, [""; 0]);
    let (_, taken) = api.call(&owner, Method::DELETE, &policy, None).await;
    let message = taken["result"]["warnings"][0]["message"].as_str().unwrap();
    assert!(message.contains("`openai`") && message.contains("`authentication`"), "{message}");
}
