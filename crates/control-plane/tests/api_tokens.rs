//! `/accounts/{account}/tokens`, over real HTTP, one test per actor.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop where it fails")]

mod support;

use http::{Method, StatusCode};
use model::AccountId;
use model::account::Role;
use model::permission::PERMISSION_GROUPS;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use support::{Actor, Api};

fn group(name: &str) -> &'static str {
    PERMISSION_GROUPS.iter().find(|group| group.name == name).unwrap().id
}

fn terms(account: AccountId, groups: &[&str]) -> Value {
    let groups: Vec<Value> = groups.iter().map(|name| json!({"id": group(name)})).collect();
    json!({"name": "token", "policies": [{
        "effect": "allow",
        "permission_groups": groups,
        "resources": {format!("com.cloudflare.api.account.{account}"): "*"},
    }]})
}

fn with(mut terms: Value, field: &str, value: Value) -> Value {
    terms[field] = value;
    terms
}

async fn created(api: &Api, actor: &Actor, account: AccountId, terms: Value) -> Value {
    let (status, body) =
        api.call(actor, Method::POST, &format!("/accounts/{account}/tokens"), Some(terms)).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    body["result"].clone()
}

fn bearer(value: &Value) -> Actor {
    Actor { bearer: value.as_str().unwrap().to_owned(), user: None }
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_owner_creates_lists_replaces_rolls_and_deletes_a_token(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let api = Api::start(pool, address).await;
    let (account, owner) = api.owner().await;
    let tokens = format!("/accounts/{account}/tokens");
    let token = created(&api, &owner, account, terms(account, &["AI Gateway Run", "AI Gateway Read"])).await;
    assert_eq!(token["status"], "active");
    let first = bearer(&token["value"]);
    let path = format!("{tokens}/{}", token["id"].as_str().unwrap());

    let (_, verified) = api.call(&first, Method::GET, "/user/tokens/verify", None).await;
    assert_eq!(verified["result"], json!({"id": token["id"], "status": "active"}));
    let valid = json!([{"code": 10000, "message": "This API Token is valid and active"}]);
    assert_eq!(verified["messages"], valid);
    let (status, _) = api.call(&first, Method::GET, &format!("{tokens}/verify"), None).await;
    assert_eq!(status, StatusCode::OK);

    let (_, listed) = api.call(&owner, Method::GET, &tokens, None).await;
    assert_eq!(listed["result"][0]["id"], token["id"]);
    let (_, shown) = api.call(&owner, Method::GET, &path, None).await;
    assert!(shown["result"].get("value").is_none() && listed["result"][0].get("value").is_none());
    assert_eq!(shown["result"]["policies"][0]["permission_groups"][0]["name"], "AI Gateway Run");

    let off = with(terms(account, &["AI Gateway Read"]), "status", json!("disabled"));
    let (status, replaced) = api.call(&owner, Method::PUT, &path, Some(off)).await;
    assert_eq!((status, &replaced["result"]["status"]), (StatusCode::OK, &json!("disabled")));
    let (_, verified) = api.call(&first, Method::GET, "/user/tokens/verify", None).await;
    assert_eq!((&verified["result"]["status"], &verified["messages"]), (&json!("disabled"), &json!([])));
    let gateways = format!("/accounts/{account}/ai-gateway/gateways");
    assert_eq!(api.call(&first, Method::GET, &gateways, None).await.0, StatusCode::UNAUTHORIZED);
    let on = with(terms(account, &["AI Gateway Read"]), "status", json!("active"));
    api.call(&owner, Method::PUT, &path, Some(on)).await;
    assert_eq!(api.call(&first, Method::GET, &gateways, None).await.0, StatusCode::OK);

    let (status, rolled) = api.call(&owner, Method::PUT, &format!("{path}/value"), Some(json!({}))).await;
    assert_eq!(status, StatusCode::OK, "{rolled}");
    assert_eq!(api.call(&first, Method::GET, &gateways, None).await.0, StatusCode::UNAUTHORIZED);
    let second = bearer(&rolled["result"]);
    assert_eq!(api.call(&second, Method::GET, &gateways, None).await.0, StatusCode::OK);

    let (_, deleted) = api.call(&owner, Method::DELETE, &path, Some(json!({}))).await;
    assert_eq!(deleted["result"], json!({"id": token["id"]}));
    assert_eq!(api.call(&second, Method::GET, &gateways, None).await.0, StatusCode::UNAUTHORIZED);
    let revisions: i64 = sqlx::query_scalar("select count(*) from config_outbox where kind = 'api_token'")
        .fetch_one(&api.store.pool)
        .await
        .unwrap();
    assert_eq!(revisions, 5, "proxies are told of every change");
}

#[sqlx::test(migrations = "../../migrations")]
async fn terms_that_make_no_sense_are_refused_with_the_path_to_them(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let api = Api::start(pool, address).await;
    let (account, owner) = api.owner().await;
    let good = || terms(account, &["AI Gateway Run"]);
    let policy = |field: &str, value: Value| {
        let mut terms = good();
        terms["policies"][0][field] = value;
        terms
    };
    let elsewhere = json!({"com.cloudflare.api.account.0123456789abcdef0123456789abcdef": "*"});
    for (body, path) in [
        (with(good(), "name", json!(" ")), vec!["body", "name"]),
        (with(good(), "name", Value::Null), vec!["body", "name"]),
        (json!({"name": "x"}), vec!["body", "policies"]),
        (with(good(), "policies", json!([])), vec!["body", "policies"]),
        (policy("effect", json!("maybe")), vec!["body", "policies", "0", "effect"]),
        (
            policy("permission_groups", json!([{"id": "x"}])),
            vec!["body", "policies", "0", "permission_groups"],
        ),
        (policy("resources", elsewhere), vec!["body", "policies", "0", "resources"]),
        (policy("resources", json!({})), vec!["body", "policies", "0", "resources"]),
        (with(good(), "expires_on", json!("2020-01-01T00:00:00Z")), vec!["body", "expires_on"]),
        (with(good(), "expires_on", json!("tomorrow")), vec!["body", "expires_on"]),
        (with(good(), "condition", json!({"request_ip": {"in": ["10.0.0.0/8"]}})), vec!["body", "condition"]),
        (
            with(
                terms(account, &["AI Gateway Read"]),
                "condition",
                json!({"request_ip": {"in": ["10/8/8"]}}),
            ),
            vec!["body", "condition"],
        ),
    ] {
        let path_of_tokens = format!("/accounts/{account}/tokens");
        let (status, answer) = api.call(&owner, Method::POST, &path_of_tokens, Some(body.clone())).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(
            (&answer["errors"][0]["code"], &answer["errors"][0]["path"]),
            (&json!(7001), &json!(path)),
            "{body}"
        );
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_token_is_good_only_in_its_time_and_from_its_place(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let (account, owner) = api.owner().await;
    let gateways = format!("/accounts/{account}/ai-gateway/gateways");
    let reads = || terms(account, &["AI Gateway Read"]);
    for (body, expected) in [
        (with(reads(), "not_before", json!("2999-01-01T00:00:00Z")), StatusCode::UNAUTHORIZED),
        (with(reads(), "expires_on", json!("2999-01-01T00:00:00Z")), StatusCode::OK),
        (with(reads(), "condition", json!({"request_ip": {"in": ["127.0.0.0/8"]}})), StatusCode::OK),
        (with(reads(), "condition", json!({"request_ip": {"in": ["192.0.2.7"]}})), StatusCode::UNAUTHORIZED),
        (
            with(reads(), "condition", json!({"request_ip": {"not_in": ["127.0.0.1"]}})),
            StatusCode::UNAUTHORIZED,
        ),
    ] {
        let token = created(&api, &owner, account, body.clone()).await;
        let (status, _) = api.call(&bearer(&token["value"]), Method::GET, &gateways, None).await;
        assert_eq!(status, expected, "{body}");
    }
    let token = created(&api, &owner, account, reads()).await;
    sqlx::query("update api_tokens set expires_on = now() - interval '1 second'")
        .execute(&api.store.pool)
        .await
        .unwrap();
    let token = bearer(&token["value"]);
    assert_eq!(api.call(&token, Method::GET, &gateways, None).await.0, StatusCode::UNAUTHORIZED);
    let (_, verified) = api.call(&token, Method::GET, "/user/tokens/verify", None).await;
    assert_eq!(verified["result"]["status"], "expired");
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_denying_policy_takes_away_what_another_allows(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let (account, owner) = api.owner().await;
    let mut body = terms(account, &["AI Gateway Read", "Account Settings Read"]);
    let mut deny = terms(account, &["AI Gateway Read"])["policies"][0].clone();
    deny["effect"] = json!("deny");
    body["policies"].as_array_mut().unwrap().push(deny);
    let token = bearer(&created(&api, &owner, account, body).await["value"]);
    let gateways = format!("/accounts/{account}/ai-gateway/gateways");
    assert_eq!(api.call(&token, Method::GET, &gateways, None).await.0, StatusCode::NOT_FOUND);
    let (status, _) = api.call(&token, Method::GET, &format!("/accounts/{account}"), None).await;
    assert_eq!(status, StatusCode::OK);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_token_grants_and_shows_no_more_than_its_maker_may_do(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let api = Api::start(pool, address).await;
    let (account, owner) = api.owner().await;
    let tokens = format!("/accounts/{account}/tokens");
    let maker = api.token(account, &owner, &["Account API Tokens Write", "AI Gateway Read"]).await;
    let (status, body) =
        api.call(&maker, Method::POST, &tokens, Some(terms(account, &["AI Gateway Run"]))).await;
    assert_eq!((status, &body["errors"][0]["path"][1]), (StatusCode::BAD_REQUEST, &json!("policies")));
    created(&api, &maker, account, terms(account, &["AI Gateway Read"])).await;

    let strong = created(&api, &owner, account, terms(account, &["AI Gateway Run"])).await;
    let path = format!("{tokens}/{}", strong["id"].as_str().unwrap());
    let (status, _) = api.call(&maker, Method::PUT, &format!("{path}/value"), Some(json!({}))).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let (status, _) = api.call(&maker, Method::PUT, &path, Some(terms(account, &["AI Gateway Run"]))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_viewer_sees_tokens_and_makes_none(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let (account, owner) = api.owner().await;
    let tokens = format!("/accounts/{account}/tokens");
    let token = created(&api, &owner, account, terms(account, &["AI Gateway Run"])).await;
    let path = format!("{tokens}/{}", token["id"].as_str().unwrap());
    for role in [Role::Viewer, Role::Editor] {
        let actor = api.member_called(account, role, &format!("{}@example.com", role.as_str())).await;
        assert_eq!(api.call(&actor, Method::GET, &path, None).await.0, StatusCode::OK);
        let body = terms(account, &["AI Gateway Read"]);
        assert_eq!(api.call(&actor, Method::POST, &tokens, Some(body)).await.0, StatusCode::NOT_FOUND);
        assert_eq!(api.call(&actor, Method::DELETE, &path, None).await.0, StatusCode::NOT_FOUND);
        let value = format!("{path}/value");
        assert_eq!(api.call(&actor, Method::PUT, &value, None).await.0, StatusCode::NOT_FOUND);
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn bad_credentials_are_all_refused_alike(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let (account, owner) = api.owner().await;
    let good = api.token(account, &owner, &["AI Gateway Read"]).await.bearer;
    let altered = format!("{}{}", &good[..good.len() - 1], if good.ends_with('0') { '1' } else { '0' });
    let another_kind = good.replace("tg_api_", "tg_gw_");
    let path = format!("/client/v4/accounts/{account}");
    let expected = json!({
        "success": false,
        "errors": [{"code": 10000, "message": "Authentication error"}],
        "messages": [],
        "result": null,
    });
    for value in [
        "",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "Bearer x",
        &format!("Bearer {altered}"),
        &format!("Bearer {another_kind}"),
        "Bearer tg_api_",
        "Bearer eyJhbGciOiJub25lIn0.e30.",
    ] {
        let answer = api.raw(Method::GET, &path, &[("authorization", value)], "").await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{value}");
        assert_eq!(serde_json::from_slice::<Value>(answer.body()).unwrap(), expected, "{value}");
    }
    let global_key = [("x-auth-email", "me@example.com"), ("x-auth-key", "0123456789")];
    let answer = api.raw(Method::GET, &path, &global_key, "").await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert!(std::str::from_utf8(answer.body()).unwrap().contains("Global API keys do not exist here"));
}
