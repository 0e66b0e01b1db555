//! Logs as their gateway's owner sees them, through the API.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop where it fails")]

mod support;

use http::{Method, StatusCode};
use model::usage::{KeySource, Provenance, Timings, Tokens, UsageRecord};
use model::{AccountId, Nanos, id::GatewayInternalId};
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use store::usage;
use support::{Actor, Api};
use uuid::Uuid;

/// A gateway with five logs, the later the dearer, and one request whose log was not wanted.
struct Logs {
    api: Api,
    account: AccountId,
    owner: Actor,
    ids: Vec<Uuid>,
}

impl Logs {
    async fn start(pool: PgPoolOptions, address: PgConnectOptions) -> Self {
        let api = Api::start(pool, address).await;
        let (account, owner) = api.owner().await;
        let path = format!("/accounts/{account}/ai-gateway/gateways");
        let (status, body) = api.call(&owner, Method::POST, &path, Some(new_gateway("demo"))).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let gateway = body["result"]["internal_id"].as_str().unwrap().parse().unwrap();
        let record = |number| record(account, GatewayInternalId(gateway), number);
        let records = [
            record(1),
            UsageRecord {
                provider: "anthropic".to_owned(),
                metadata: r#"{"team":"blue"}"#.to_owned(),
                policy_logs: r#"[{"team":"red"},{"a":[1]}]"#.to_owned(),
                ..record(2)
            },
            UsageRecord { status: 429, model_asked: "gpt-5".to_owned(), ..record(3) },
            UsageRecord { cost: None, provenance: Provenance::None, tokens: Tokens::default(), ..record(4) },
            UsageRecord {
                endpoint: "embeddings".to_owned(),
                token: "gwt_1".to_owned(),
                metadata: String::new(),
                ..record(5)
            },
            UsageRecord { collect_log: false, ..record(6) },
        ];
        for record in &records {
            usage::ensure_day(&api.store, usage::day(record.id).unwrap()).await.unwrap();
        }
        usage::insert(&mut api.store.pool.acquire().await.unwrap(), &records).await.unwrap();
        Self { ids: records[..5].iter().map(|record| record.id).collect(), api, account, owner }
    }

    fn path(&self, rest: &str) -> String {
        format!("/accounts/{}/ai-gateway/gateways/demo/logs{rest}", self.account)
    }

    async fn call(&self, method: Method, rest: &str, body: Option<Value>) -> (StatusCode, Value) {
        self.api.call(&self.owner, method, &self.path(rest), body).await
    }

    /// Which logs a query finds, by their numbers, in order.
    async fn found(&self, query: &str) -> Vec<usize> {
        let (status, body) = self.call(Method::GET, &format!("?{query}"), None).await;
        assert_eq!(status, StatusCode::OK, "{query}: {body}");
        let ids =
            body["result"].as_array().unwrap().iter().map(|log| log["id"].as_str().unwrap().parse().unwrap());
        ids.map(|id: Uuid| self.ids.iter().position(|known| *known == id).unwrap() + 1).collect()
    }
}

fn new_gateway(id: &str) -> Value {
    json!({
        "id": id, "cache_invalidate_on_update": false, "cache_ttl": 0, "collect_logs": true,
        "rate_limiting_interval": 0, "rate_limiting_limit": 0, "rate_limiting_technique": "fixed",
    })
}

/// Its time is `number` minutes past midnight of the second of January 2025.
fn record(account: AccountId, gateway: GatewayInternalId, number: u64) -> UsageRecord {
    let milliseconds = 1_735_776_000_000 + u128::from(number) * 60_000;
    let id = Uuid::from_u128(milliseconds << 80 | 0x7000_8000_0000_0000_0000 | u128::from(number));
    let sample = model::samples::usage_record(id, account);
    UsageRecord {
        gateway,
        key_source: Some(KeySource::Request),
        tokens: Tokens { input: 10 * number, cached_input: 1, output: 2, reasoning: 3, ..Tokens::default() },
        cost: Some(Nanos(100_000_001 * number as i64)),
        timings: Timings { total: 1_000_499, ..sample.timings },
        event_id: format!("event-{number}"),
        metadata: r#"{"team":"red","seats":3}"#.to_owned(),
        ..sample
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn the_newest_come_first_and_pages_end(pool: PgPoolOptions, address: PgConnectOptions) {
    let logs = Logs::start(pool, address).await;
    assert_eq!(logs.found("").await, [5, 4, 3, 2, 1]);
    assert_eq!(logs.found("per_page=2&page=2").await, [3, 2]);
    assert!(logs.found("per_page=50&page=2").await.is_empty());
    let (_, body) = logs.call(Method::GET, "?per_page=2&meta_info=true", None).await;
    let figures = &body["result_info"];
    assert_eq!(
        (&figures["count"], &figures["total_count"], &figures["total_pages"]),
        (&json!(2), &json!(5), &json!(3))
    );
    assert_eq!((&figures["min_tokens_in"], &figures["max_tokens_in"]), (&json!(11), &json!(51)));
    assert_eq!(
        (&figures["min_cost"], &figures["max_timestamp"]),
        (&json!(0.100000001), &json!("2025-01-02T00:05:00Z"))
    );
    assert_eq!(logs.call(Method::GET, "?per_page=51", None).await.0, StatusCode::BAD_REQUEST);
}

#[sqlx::test(migrations = "../../migrations")]
async fn every_filter_and_order_is_obeyed(pool: PgPoolOptions, address: PgConnectOptions) {
    let logs = Logs::start(pool, address).await;
    let id = logs.ids[1];
    let simple = id.simple();
    for (filter, found) in [
        ("provider eq anthropic", vec![2]),
        ("provider neq anthropic", vec![5, 4, 3, 1]),
        ("provider contains THROP", vec![2]),
        ("model eq gpt-5", vec![3]),
        ("model_type eq embedding", vec![5]),
        ("request_type eq chat_completions", vec![4, 3, 2, 1]),
        ("success eq false", vec![3]),
        ("success neq false", vec![5, 4, 2, 1]),
        ("cached eq true", vec![]),
        ("cost gt 0.200000002", vec![5, 3]),
        ("cost lt 0.200000002", vec![1]),
        ("cost eq 0.200000002", vec![2]),
        ("cost eq null", vec![4]),
        ("tokens gt 40", vec![5]),
        ("tokens_in lt 30", vec![2, 1]),
        ("tokens_out eq 5", vec![5, 3, 2, 1]),
        ("duration gt 1000.4", vec![5, 4, 3, 2, 1]),
        ("duration gt 1000.5", vec![]),
        ("created_at gt 2025-01-02T00:03:00Z", vec![5, 4]),
        ("created_at lt 2025-01-02T01:02:00%2B01:00", vec![1]),
        ("created_at eq 2025-01-02T00:02:00.000Z", vec![2]),
        ("created_at neq 2025-01-02T00:02:00.000Z", vec![5, 4, 3, 1]),
        ("created_at lt 2025-01-02", vec![]),
        (&format!("id eq {id}"), vec![2]),
        (&format!("id eq {simple}"), vec![2]),
        ("event_id eq event-3", vec![3]),
        ("metadata.key eq seats", vec![4, 3, 1]),
        ("metadata.key neq team", vec![5]),
        ("metadata.value eq 3", vec![4, 3, 1]),
        ("metadata.value contains LU", vec![2]),
        ("authentication eq true", vec![5]),
        ("wholesale eq true", vec![]),
        ("compatibilityMode eq false", vec![5, 4, 3, 2, 1]),
        ("user_agent contains python", vec![5, 4, 3, 2, 1]),
        ("dlp_action eq BLOCK", vec![]),
        ("feedback gt 0", vec![]),
        ("request_content_type eq application/json", vec![5, 4, 3, 2, 1]),
    ] {
        let words: Vec<&str> = filter.split(' ').collect();
        let query =
            format!("filters.key={}&filters.operator={}&filters.value={}", words[0], words[1], words[2]);
        assert_eq!(logs.found(&query).await, found, "{filter}");
    }
    for (query, found) in [
        (
            "filters.key=provider&filters.operator=eq&filters.value=openai&filters.value=anthropic&filters.key=cost&filters.operator=gt&filters.value=0.3",
            vec![5, 3],
        ),
        (
            "filters.key=provider&filters.key=cost&filters.operator=eq&filters.operator=gt&filters.value=openai&filters.value=anthropic&filters.value=0.3",
            vec![5, 3],
        ),
        ("search=RED", vec![4, 3, 1]),
        ("order_by=cost&order_by_direction=asc", vec![1, 2, 3, 5, 4]),
        ("order_by=cost&direction=desc", vec![5, 3, 2, 1, 4]),
        ("order_by=provider&order_by_direction=asc", vec![2, 5, 4, 3, 1]),
        ("order_by=success&order_by_direction=asc&per_page=1", vec![3]),
        ("order_by=created_at&order_by_direction=asc", vec![1, 2, 3, 4, 5]),
        ("start_date=2025-01-02T00:02:00Z&end_date=2025-01-02T00:03:00Z", vec![3, 2]),
        ("min_cost=0.200000002&max_cost=0.300000003", vec![3, 2]),
        ("min_total_tokens=46", vec![5]),
        ("success=false&provider=openai&model=gpt-5&model_type=chat&cached=false", vec![3]),
    ] {
        assert_eq!(logs.found(query).await, found, "{query}");
    }
    for query in [
        "filters.key=colour&filters.operator=eq&filters.value=1",
        "order_by=colour",
        "direction=up",
        "min_cost=x",
    ] {
        let (status, body) = logs.call(Method::GET, &format!("?{query}"), None).await;
        assert_eq!((status, &body["errors"][0]["code"]), (StatusCode::BAD_REQUEST, &json!(7001)), "{query}");
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_log_shows_cloudflares_fields_and_ours(pool: PgPoolOptions, address: PgConnectOptions) {
    let logs = Logs::start(pool, address).await;
    let (status, body) = logs.call(Method::GET, &format!("/{}", logs.ids[0].simple()), None).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let log = &body["result"];
    for (field, value) in [
        ("id", json!(logs.ids[0])),
        ("created_at", json!("2025-01-02T00:01:00Z")),
        ("provider", json!("openai")),
        ("model", json!("gpt-4o-mini")),
        ("duration", json!(1000)),
        ("success", json!(true)),
        ("cached", json!(false)),
        ("tokens_in", json!(11)),
        ("tokens_out", json!(5)),
        ("cost", json!(0.100000001)),
        ("cost_usd", json!("0.100000001")),
        ("custom_cost", json!(false)),
        ("metadata", json!({"team": "red", "seats": 3})),
        ("status_code", json!(200)),
        ("step", json!(0)),
        ("request_size", json!(300)),
        ("byok", json!(true)),
        ("wholesale", json!(false)),
        ("authentication", json!(false)),
        ("compatibilityMode", json!(false)),
        ("event_id", json!("event-1")),
        ("outcome", json!("answered")),
        ("feedback", Value::Null),
        ("request_head", Value::Null),
        ("traffic_policy", json!({"logs": []})),
    ] {
        assert_eq!(log[field], value, "{field}");
    }
    assert_eq!(log["usage_metadata"]["reasoning"], json!(3));
    assert_eq!(log["timings"]["total"], json!(1000.499));
    let (_, logged) = logs.call(Method::GET, &format!("/{}", logs.ids[1]), None).await;
    let told = json!([{"metadata": {"team": "red"}}, {"metadata": {"a": [1]}}]);
    assert_eq!(logged["result"]["traffic_policy"]["logs"], told);

    for part in ["request", "response"] {
        let (status, body) = logs.call(Method::GET, &format!("/{}/{part}", logs.ids[0]), None).await;
        assert_eq!((status, &body["errors"][0]["code"]), (StatusCode::NOT_FOUND, &json!(7002)));
        assert!(body["errors"][0]["message"].as_str().unwrap().contains("not collected"));
    }
    for unknown in ["x", "01JH0000000000000000000000", &Uuid::now_v7().to_string()] {
        let (status, body) = logs.call(Method::GET, &format!("/{unknown}"), None).await;
        assert_eq!((status, &body["errors"][0]["code"]), (StatusCode::NOT_FOUND, &json!(7002)), "{unknown}");
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_annotation_changes_what_it_names_and_survives_another(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let logs = Logs::start(pool, address).await;
    let path = format!("/{}", logs.ids[2]);
    for (patch, feedback, score, metadata) in [
        (json!({"feedback": 1}), json!(1.0), Value::Null, json!({"team": "red", "seats": 3})),
        (json!({"score": 87.5}), json!(1.0), json!(87.5), json!({"team": "red", "seats": 3})),
        (
            json!({"metadata": {"kept": true}, "feedback": null}),
            Value::Null,
            json!(87.5),
            json!({"kept": true}),
        ),
        (json!({"metadata": null}), Value::Null, json!(87.5), Value::Null),
        (json!({"feedback": -1}), json!(-1.0), json!(87.5), Value::Null),
    ] {
        let (status, body) = logs.call(Method::PATCH, &path, Some(patch)).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let (_, body) = logs.call(Method::GET, &path, None).await;
        let log = &body["result"];
        assert_eq!((&log["feedback"], &log["score"], &log["metadata"]), (&feedback, &score, &metadata));
    }
    assert_eq!(logs.found("feedback=0").await, [3]);
    assert!(logs.found("feedback=1").await.is_empty());
    let (status, _) = logs.call(Method::PATCH, &path, Some(json!({"feedback": 3}))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, _) =
        logs.call(Method::PATCH, &format!("/{}", Uuid::now_v7()), Some(json!({"feedback": 1}))).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[sqlx::test(migrations = "../../migrations")]
async fn hidden_logs_are_gone_and_their_records_stay(pool: PgPoolOptions, address: PgConnectOptions) {
    let logs = Logs::start(pool, address).await;
    let filter = "filters.key=provider&filters.operator=eq&filters.value=openai";
    let (status, body) = logs
        .call(Method::DELETE, &format!("?{filter}&limit=2&order_by=cost&order_by_direction=asc"), None)
        .await;
    assert_eq!((status, body), (StatusCode::OK, json!({"success": true})));
    assert_eq!(logs.found("").await, [5, 4, 2]);
    let (status, _) = logs.call(Method::GET, &format!("/{}", logs.ids[0]), None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    logs.call(Method::DELETE, "", None).await;
    assert!(logs.found("").await.is_empty());
    let records: i64 = sqlx::query_scalar("select count(*) from usage_records")
        .fetch_one(&logs.api.store.pool)
        .await
        .unwrap();
    assert_eq!(records, 6);
}

#[sqlx::test(migrations = "../../migrations")]
async fn logs_are_their_accounts_own_and_go_with_their_gateway(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let logs = Logs::start(pool, address).await;
    let (other_account, stranger) = logs.api.owner().await;
    let reader = logs.api.token(logs.account, &logs.owner, &["AI Gateway Read"]).await;
    let one = format!("/{}", logs.ids[0]);
    for (method, rest, body) in [
        (Method::GET, "", None),
        (Method::DELETE, "", None),
        (Method::GET, one.as_str(), None),
        (Method::PATCH, one.as_str(), Some(json!({"feedback": 1}))),
    ] {
        let (status, _) = logs.api.call(&stranger, method.clone(), &logs.path(rest), body.clone()).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{method} {rest}");
        let expected = if method == Method::GET { StatusCode::OK } else { StatusCode::NOT_FOUND };
        let (status, _) = logs.api.call(&reader, method.clone(), &logs.path(rest), body).await;
        assert_eq!(status, expected, "{method} {rest}");
    }
    // A gateway of the same name in another account does not show them.
    let gateways = format!("/accounts/{other_account}/ai-gateway/gateways");
    logs.api.call(&stranger, Method::POST, &gateways, Some(new_gateway("demo"))).await;
    let (status, _) =
        logs.api.call(&stranger, Method::GET, &format!("{gateways}/demo/logs{one}"), None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);

    let gateway = format!("/accounts/{}/ai-gateway/gateways", logs.account);
    logs.api.call(&logs.owner, Method::DELETE, &format!("{gateway}/demo"), None).await;
    assert_eq!(logs.call(Method::GET, &one, None).await.0, StatusCode::NOT_FOUND);
    logs.api.call(&logs.owner, Method::POST, &gateway, Some(new_gateway("demo"))).await;
    assert!(logs.found("").await.is_empty());
}
