//! The model catalogue over real HTTP: `…/models`.

mod support;

use http::{Method, StatusCode};
use model::account::Role;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use support::{Actor, Api};

async fn found(api: &Api, actor: &Actor, path: &str) -> Value {
    let (status, answer) = api.call(actor, Method::GET, path, None).await;
    assert_eq!(status, StatusCode::OK, "{path}: {answer}");
    answer
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_viewer_searches_the_catalogue(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let (account, _) = api.owner().await;
    let viewer = api.member(account, Role::Viewer).await;
    let models = format!("/accounts/{account}/ai-gateway/models");
    let answer = found(&api, &viewer, &format!("{models}?search=GPT-4-OMNI")).await;
    let [row] = answer["result"].as_array().unwrap().as_slice() else { panic!("{answer}") };
    assert_eq!(
        (&row["id"], &row["author"], &row["context_window"]),
        (&json!("gpt-4o"), &json!("openai"), &json!(128_000))
    );
    let home = &row["providers"][0];
    assert_eq!(
        (&home["slug"], &home["model"], &home["pricing"]["text.input"]),
        (&json!("openai"), &json!("gpt-4o"), &json!(2.5))
    );
    assert!(row["aliases"].as_array().unwrap().contains(&json!("gpt-4o-2024-08-06")));
    // A provider by any of its names, and pages.
    let query = "provider=xai&feature=tool-calling&modality=image&per_page=2";
    let first = found(&api, &viewer, &format!("{models}?{query}")).await;
    let second = found(&api, &viewer, &format!("{models}?{query}&page=2")).await;
    assert_eq!(first["result_info"]["total_count"], second["result_info"]["total_count"]);
    assert_eq!(
        (first["result"].as_array().unwrap().len(), second["result_info"]["page"].clone()),
        (2, json!(2))
    );
    assert_ne!(first["result"], second["result"]);
    let none = found(&api, &viewer, &format!("{models}?author=nobody")).await;
    assert_eq!((&none["result"], &none["result_info"]["total_count"]), (&json!([]), &json!(0)));
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_stranger_does_not(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let (account, _) = api.owner().await;
    let (_, stranger) = api.owner().await;
    let models = format!("/accounts/{account}/ai-gateway/models");
    let (status, _) = api.call(&stranger, Method::GET, &models, None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}
