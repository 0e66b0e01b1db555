//! Prices of the operator's and of accounts, over real HTTP: `/operator/price_rules`,
//! `…/custom-providers/costs` and `…/costs`.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop where it fails")]

mod support;

use http::{Method, StatusCode};
use model::AccountId;
use model::account::Role;
use model::resource::{Body, ResourceKey};
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use store::resources::Everything;
use support::{Actor, Api};

const RULES: &str = "/operator/price_rules";

async fn ok(api: &Api, actor: &Actor, method: Method, path: &str, body: Option<Value>) -> Value {
    let (status, answer) = api.call(actor, method, path, body).await;
    assert_eq!(status, StatusCode::OK, "{path}: {answer}");
    answer
}

/// Whose price rules proxies are told of.
async fn owners_told(api: &Api) -> Vec<AccountId> {
    let mut everything = Everything::begin(&api.store).await.unwrap();
    let mut owners = Vec::new();
    while let Some(part) = everything.next_part(100).await.unwrap() {
        assert!(part.unreadable.is_empty());
        owners.extend(
            part.resources.iter().filter(|resource| matches!(resource.body, Body::PriceRule(_))).map(
                |resource| {
                    let ResourceKey { account, kind: _ } = resource.key();
                    account
                },
            ),
        );
    }
    owners
}

fn pricing(row: &Value) -> Value {
    serde_json::from_str(row["token_pricing"].as_str().unwrap()).unwrap()
}

fn fields(answer: &Value) -> Vec<&str> {
    let errors = answer["errors"].as_array().unwrap();
    errors.iter().map(|error| error["path"][1].as_str().unwrap()).collect()
}

#[sqlx::test(migrations = "../../migrations")]
async fn the_operator_sets_changes_and_takes_back_a_price(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let operator = api.operator().await;
    let new = json!({"provider": "openai", "model": "gpt-4o", "model_rule": "starts-with",
                     "effective_from": "2026-01-01T00:00:00Z", "unit_pricing": {"input_per_second": "0.001"},
                     "token_pricing": {"input_tokens": 3.1, "output_tokens": 12}, "max_output_tokens": 100});
    let created = ok(&api, &operator, Method::POST, RULES, Some(new)).await["result"].clone();
    assert_eq!((&created["cost_in"], &created["changed_by"]), (&json!(3.1e-6), &json!("manual")));
    assert_eq!(pricing(&created), json!({"input_tokens": 3.1, "output_tokens": 12}));
    assert_eq!(owners_told(&api).await, [AccountId::INSTALLATION]);

    let path = format!("{RULES}/{}", created["id"].as_str().unwrap());
    let disabled = ok(&api, &operator, Method::PATCH, &path, Some(json!({"enable": false}))).await;
    assert_eq!(pricing(&disabled["result"]), pricing(&created));
    assert_eq!(disabled["result"]["effective_from"], "2026-01-01T00:00:00Z");
    let cheaper = ok(&api, &operator, Method::PATCH, &path, Some(json!({"cost_in": "0.000001"}))).await;
    assert_eq!(pricing(&cheaper["result"]), json!({"input_tokens": 1}), "prices are one thing");
    assert_eq!(cheaper["result"]["unit_pricing"], json!({}));
    assert_eq!(
        (&cheaper["result"]["enable"], &cheaper["result"]["max_output_tokens"]),
        (&json!(false), &json!(100))
    );
    let mut same = ok(&api, &operator, Method::PATCH, &path, Some(cheaper["result"].clone())).await;
    same["result"]["modified_at"] = cheaper["result"]["modified_at"].clone();
    assert_eq!(same, cheaper, "an answer can be sent back");

    for (query, count) in [
        ("", 1),
        ("?enable=false", 1),
        ("?enable=true", 0),
        ("?model_rule=starts-with&search=gpt", 1),
        ("?model_rule=equals", 0),
        ("?provider=groq", 0),
        ("?cost_type=images", 0),
    ] {
        let listed = ok(&api, &operator, Method::GET, &format!("{RULES}{query}"), None).await;
        assert_eq!(listed["result_info"]["total_count"], count, "{query}");
    }
    ok(&api, &operator, Method::DELETE, &path, None).await;
    assert_eq!(owners_told(&api).await, []);
    let (status, _) = api.call(&operator, Method::PATCH, &path, Some(json!({"enable": true}))).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_price_must_be_of_a_provider_and_an_account_that_there_are(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let api = Api::start(pool, address).await;
    let operator = api.operator().await;
    let (account, owner) = api.owner().await;
    let nobody = AccountId::INSTALLATION;
    let body = json!({"provider": "nobody", "model": "m", "cost_in": 1, "account_id": nobody});
    let (status, answer) = api.call(&operator, Method::POST, RULES, Some(body)).await;
    assert_eq!((status, fields(&answer)), (StatusCode::BAD_REQUEST, vec!["provider", "account_id"]));
    let body = json!({"provider": "openai", "model": "m", "cost_in": 1, "account_id": account});
    ok(&api, &operator, Method::POST, RULES, Some(body.clone())).await;
    let (status, _) = api.call(&owner, Method::POST, RULES, Some(body)).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_account_reports_prices_of_its_own(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let (account, owner) = api.owner().await;
    let editor = api.member_called(account, Role::Editor, "editor@example.com").await;
    let viewer = api.member_called(account, Role::Viewer, "viewer@example.com").await;
    let costs = format!("/accounts/{account}/ai-gateway/custom-providers/costs");
    let new = json!({"provider": "openai", "model": "gpt-4o", "cost_in": 0.000_001_5, "cost_out": 2e-6});
    for (actor, expected) in [
        (&owner, StatusCode::OK),
        (&editor, StatusCode::OK),
        (&viewer, StatusCode::NOT_FOUND),
        (&api.person().await, StatusCode::NOT_FOUND),
    ] {
        let (status, answer) = api.call(actor, Method::POST, &costs, Some(new.clone())).await;
        assert_eq!(status, expected, "{answer}");
    }
    assert_eq!(owners_told(&api).await, [account, account]);
    let listed = ok(&api, &viewer, Method::GET, &costs, None).await;
    let row = &listed["result"][0];
    assert_eq!((&listed["result_info"]["total_count"], &row["account_id"]), (&json!(2), &Value::Null));
    assert_eq!(
        (&row["cost_type"], pricing(row)),
        (&json!("tokens"), json!({"input_tokens": 1.5, "output_tokens": 2}))
    );
    let path = format!("{costs}/{}", row["id"].as_str().unwrap());
    let change = json!({"provider": "groq", "model_rule": "contains"});
    let changed = ok(&api, &editor, Method::PATCH, &path, Some(change)).await["result"].clone();
    assert_eq!((&changed["provider"], pricing(&changed)), (&json!("groq"), pricing(row)));
    ok(&api, &editor, Method::PATCH, &path, Some(changed)).await;
    for (actor, expected) in [(&viewer, StatusCode::NOT_FOUND), (&editor, StatusCode::OK)] {
        let (status, _) = api.call(actor, Method::DELETE, &path, None).await;
        assert_eq!(status, expected);
    }
    assert_eq!(owners_told(&api).await, [account]);

    let custom = json!({"account_provider_id": "d47f8a9c-0000-4000-8000-000000000000", "model": ""});
    let (status, answer) = api.call(&owner, Method::POST, &costs, Some(custom)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(fields(&answer)[..2], ["account_provider_id", "model"]);
    assert!(answer["errors"][0]["message"].as_str().unwrap().contains("custom provider"));
    let (status, answer) =
        api.call(&owner, Method::POST, &costs, Some(json!({"model": "m", "cost_in": 1}))).await;
    assert_eq!((status, fields(&answer)), (StatusCode::BAD_REQUEST, vec!["provider"]));
}

#[sqlx::test(migrations = "../../migrations")]
async fn everybody_reads_the_price_list_under_the_operators_prices(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let api = Api::start(pool, address).await;
    let operator = api.operator().await;
    let (account, owner) = api.owner().await;
    let (_, other) = api.owner().await;
    let viewer = api.member(account, Role::Viewer).await;
    let costs = format!("/accounts/{account}/ai-gateway/costs");
    let first =
        ok(&api, &viewer, Method::GET, &format!("{costs}?per_page=100&search=gpt-4o-mini"), None).await;
    let find = |answer: &Value, id: &str| {
        let rows = answer["result"].as_array().unwrap();
        rows.iter().find(|row| row["id"] == id).cloned()
    };
    let listed = find(&first, "openai/gpt-4o-mini").unwrap();
    assert_eq!(pricing(&listed)["input_tokens"], json!(0.15));
    assert_eq!(listed["changed_by"], "list");

    let dearer = json!({"provider": "openai", "model": "gpt-4o-mini", "token_pricing": {"input_tokens": 1},
                        "effective_from": "2026-01-01T00:00:00Z", "account_id": account});
    let house = json!({"provider": "openai", "model": "house-model", "cost_in": 1e-6,
                       "effective_from": "2026-01-01T00:00:00Z"});
    for rule in [dearer, house] {
        ok(&api, &operator, Method::POST, RULES, Some(rule)).await;
    }
    let second =
        ok(&api, &owner, Method::GET, &format!("{costs}?per_page=100&search=gpt-4o-mini"), None).await;
    let overridden = find(&second, "openai/gpt-4o-mini").unwrap();
    assert_eq!(
        (pricing(&overridden), &overridden["changed_by"]),
        (json!({"input_tokens": 1}), &json!("manual"))
    );
    assert!(overridden["version"].as_str().unwrap().starts_with("prr_"));
    let house = ok(&api, &owner, Method::GET, &format!("{costs}?search=house"), None).await;
    assert_eq!(
        (&house["result"][0]["model"], &house["result_info"]["total_count"]),
        (&json!("house-model"), &json!(1))
    );

    // The last page holds what is beyond the list, and each row stands on one page alone.
    let total =
        ok(&api, &owner, Method::GET, &costs, None).await["result_info"]["total_count"].as_u64().unwrap();
    let last = format!("{costs}?per_page=100&page={}", total.div_ceil(100));
    let last = ok(&api, &owner, Method::GET, &last, None).await;
    let rows = last["result"].as_array().unwrap();
    assert_eq!(rows.len() as u64, total - (total.div_ceil(100) - 1) * 100);
    assert_eq!(rows.last().unwrap()["model"], "house-model");
    let beyond = ok(&api, &owner, Method::GET, &format!("{costs}?per_page=100&page=1000"), None).await;
    assert_eq!(beyond["result"], json!([]));

    let (status, _) = api.call(&other, Method::GET, &costs, None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, _) = api.call(&owner, Method::GET, &format!("{costs}?per_page=101"), None).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}
