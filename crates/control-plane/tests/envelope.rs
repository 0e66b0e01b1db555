//! What is true of every route: the envelope, both prefixes, the OpenAPI document.

mod support;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use support::Api;

#[sqlx::test(migrations = "../../migrations")]
async fn every_refusal_is_in_the_envelope(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let large = format!(r#"{{"email":"{}"}}"#, "x".repeat(2 * 1024 * 1024));
    for (method, path, body, status, code) in [
        (Method::GET, "/client/v4/nothing", "", StatusCode::NOT_FOUND, 7002),
        (Method::GET, "/nothing", "", StatusCode::NOT_FOUND, 7002),
        (Method::PATCH, "/client/v4/accounts", "", StatusCode::METHOD_NOT_ALLOWED, 10405),
        (Method::DELETE, "/auth/login", "", StatusCode::METHOD_NOT_ALLOWED, 10405),
        (Method::POST, "/client/v4/auth/login", "{", StatusCode::BAD_REQUEST, 7001),
        (Method::POST, "/client/v4/auth/login", "[1]", StatusCode::BAD_REQUEST, 7001),
        (Method::POST, "/client/v4/auth/login", "\u{0}", StatusCode::BAD_REQUEST, 7001),
        (
            Method::POST,
            "/client/v4/auth/login",
            r#"{"email":"a\u0000@example.com","password":"x"}"#,
            StatusCode::BAD_REQUEST,
            7001,
        ),
        (Method::POST, "/client/v4/auth/login", &large, StatusCode::PAYLOAD_TOO_LARGE, 10413),
    ] {
        let answer = api.raw(method, path, &[], body.to_owned()).await;
        assert_eq!(answer.status(), status, "{path}");
        let failure: Value = serde_json::from_slice(answer.body()).unwrap();
        assert_eq!(
            (failure["success"].as_bool(), failure["errors"][0]["code"].as_u64()),
            (Some(false), Some(code))
        );
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn every_path_is_served_with_and_without_the_prefix(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    for prefix in ["", "/client/v4"] {
        let document = api.raw(Method::GET, &format!("{prefix}/openapi.json"), &[], "").await;
        let document: Value = serde_json::from_slice(document.body()).unwrap();
        assert!(document["paths"]["/accounts/{account_id}/tokens"]["post"].is_object());
        let page = api.raw(Method::GET, &format!("{prefix}/docs"), &[], "").await;
        assert_eq!(page.status(), StatusCode::OK);
        assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
        let answer = api.raw(Method::GET, &format!("{prefix}/accounts"), &[], "").await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    }
}

#[test]
fn the_document_describes_every_id_and_every_refusal() {
    let document = serde_json::to_value(control_plane::api::document()).unwrap();
    let methods = ["get", "put", "post", "patch", "delete"];
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(methods.contains(&method.as_str()));
            assert!(operation["summary"].is_string(), "{method} {path} has no summary");
            assert!(operation["responses"]["default"].is_object());
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            for id in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
                assert!(parameters.iter().any(|parameter| parameter["name"] == id), "{path} lacks {id}");
            }
        }
    }
    // Every schema that is referred to is there.
    let text = document.to_string();
    for reference in text.split(r##""$ref":"#/components/schemas/"##).skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(document["components"]["schemas"][name].is_object(), "{name} is missing");
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn every_example_of_what_is_sent_for_money_is_understood(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let api = Api::start(pool, address).await;
    let operator = api.operator().await;
    let body = json!({"name": "Acme"});
    let (_, account) = api.call(&operator, Method::POST, "/accounts", Some(body)).await;
    let account = account["result"]["id"].as_str().unwrap();
    let document = serde_json::to_value(control_plane::api::document()).unwrap();
    let mut tried = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let group = operation["tags"][0].as_str().unwrap();
            let content = &operation["requestBody"]["content"]["application/json"];
            if !["Billing", "Operator", "Prices"].contains(&group) || content.is_null() {
                continue;
            }
            assert!(content["example"].is_object(), "{method} {path} has no example");
            let path = path.replace("{account_id}", account);
            let method = method.to_uppercase().parse().unwrap();
            let key = [("idempotency-key", path.as_str())];
            let body = Some(content["example"].clone());
            let (status, answer) = api.call_with(&operator, method, &path, &key, body).await;
            // No voucher has the example's code, which is well-formed all the same.
            let is_understood = status != StatusCode::BAD_REQUEST || path.ends_with("/redeem");
            assert!(is_understood && !status.is_server_error(), "{path}: {answer}");
            tried += 1;
        }
    }
    assert!(tried > 15, "{tried}");
}
