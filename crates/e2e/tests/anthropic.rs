//! Anthropic's own clients through the gateway: with every way of bringing a key, and paid from credits.

use e2e::script;
use e2e::system::System;
use e2e::tenant::Tenant;
use serde_json::{Value, json};

const OWN: &str = "sk-ant-api03-caller-0123456789";
const STORED: &str = "sk-ant-api03-stored-0123456789";

/// A way of bringing a key: through which gateway, which key, in which header, and the token in its own.
struct Way {
    gateway: &'static str,
    key: String,
    header: &'static str,
    authorization: String,
    /// The key that must reach the provider.
    reaches: &'static str,
}

async fn ways(tenant: &Tenant) -> anyhow::Result<Vec<Way>> {
    tenant.create_gateway("open", &json!({"authentication": false})).await?;
    tenant.create_gateway("stored", &json!({"authentication": true})).await?;
    tenant.store_key_of("stored", "anthropic", STORED, "default").await?;
    let (_, token) = tenant.gateway_token("stored").await?;
    let (_, demo) = tenant.gateway_token("demo").await?;
    let way = |gateway, key: &str, header, authorization: &str, reaches| {
        let (key, authorization) = (key.to_owned(), authorization.to_owned());
        Way { gateway, key, header, authorization, reaches }
    };
    Ok(vec![
        way("open", OWN, "bearer", "", OWN),
        way("open", OWN, "x-api-key", "", OWN),
        way("demo", OWN, "bearer", &demo, OWN),
        way("stored", &token, "bearer", "", STORED),
        way("stored", &token, "x-api-key", "", STORED),
    ])
}

async fn every_way_works_with(client: &str) -> anyhow::Result<()> {
    let system = System::start().await?;
    let tenant = system.tenant("anthropic").await?;
    for Way { gateway, key, header, authorization, reaches } in ways(&tenant).await? {
        let base_url = tenant.provider_url(system.url(), gateway, "anthropic");
        let models = || {
            let models = e2e::http::call("GET", format!("{base_url}/v1/models"));
            let models = models.header("anthropic-version", "2023-06-01").header("x-api-key", &key);
            if authorization.is_empty() {
                models
            } else {
                models.header("cf-aig-authorization", &authorization)
            }
        };
        tenant.until(200, models).await?;
        system.forget_arrivals().await?;
        let environment = [
            ("GATEWAY_BASE_URL", &*base_url),
            ("GATEWAY_API_KEY", &key),
            ("GATEWAY_KEY_HEADER", header),
            ("GATEWAY_AUTHORIZATION", &authorization),
        ];
        script::run(client, &environment).await?;
        for request in system.reached_the_provider().await? {
            assert_eq!(request["x_api_key"], reaches[..18], "{request}");
            assert_eq!(
                (&request["authorization"], &request["leaks"]),
                (&Value::Null, &json!([])),
                "{request}"
            );
        }
    }
    let aborted = |event: &str| event == "abort-anthropic";
    let all_aborted = |records: &[e2e::system::Record]| {
        records.iter().filter(|record| aborted(&record.event_id)).count() == 5
    };
    let records = system.records_when("a record of each stream that was left", all_aborted).await?;
    let left = records.iter().filter(|record| aborted(&record.event_id));
    // What was read the provider had said by then; what it had written is an estimate.
    let is_told = |record: &e2e::system::Record| {
        record.outcome == "hung_up" && record.provenance == "estimated" && record.cost.is_some()
    };
    assert!(left.clone().all(is_told), "{:#?}", left.collect::<Vec<_>>());
    Ok(())
}

#[tokio::test]
async fn the_python_client_works_with_every_way_of_bringing_a_key() -> anyhow::Result<()> {
    every_way_works_with("anthropic_client.py").await
}

#[tokio::test]
async fn the_javascript_client_works_with_every_way_of_bringing_a_key() -> anyhow::Result<()> {
    every_way_works_with("anthropic_client.mjs").await
}

/// A host that is bound to a gateway takes the client's paths as they are.
#[tokio::test]
async fn the_client_finds_a_gateway_by_its_host() -> anyhow::Result<()> {
    let system = System::start().await?;
    let tenant = system.tenant("anthropic").await?;
    tenant.store_key_of("demo", "anthropic", STORED, "default").await?;
    let (_, token) = tenant.gateway_token("demo").await?;
    let host = "models.anthropic.example";
    let bound = json!({"gateway_id": "demo", "url": format!("https://{host}")});
    tenant.ask("POST", "/ai-gateway/endpoints", Some(&bound)).await?;
    let url = format!("{}/v1/messages/count_tokens", system.url());
    let count = json!({"model": "claude-haiku-4-5", "messages": [{"role": "user", "content": "Hello"}]});
    let counted = || {
        let call = e2e::http::call("POST", url.clone()).json(&count).header("host", host);
        call.header("x-api-key", &token).header("anthropic-version", "2023-06-01")
    };
    tenant.until(200, counted).await?;
    let environment = [
        ("GATEWAY_BASE_URL", system.url()),
        ("GATEWAY_HOST", host),
        ("GATEWAY_API_KEY", &token),
        ("GATEWAY_KEY_HEADER", "bearer"),
    ];
    script::run("anthropic_client.py", &environment).await?;
    for request in system.reached_the_provider().await? {
        assert_eq!(
            (&request["x_api_key"], &request["leaks"]),
            (&json!(STORED[..18]), &json!([])),
            "{request}"
        );
    }
    Ok(())
}

/// Anthropic's models can be asked in OpenAI's words as well, for which it wants its key as a bearer token.
#[tokio::test]
async fn openais_words_reach_anthropic_too() -> anyhow::Result<()> {
    let system = System::start().await?;
    let tenant = system.tenant("anthropic").await?;
    tenant.store_key_of("demo", "anthropic", STORED, "default").await?;
    let (_, token) = tenant.gateway_token("demo").await?;
    for (provider, path, model) in [
        ("anthropic", "v1/chat/completions", "claude-haiku-4-5"),
        ("compat", "chat/completions", "anthropic/claude-haiku-4-5"),
    ] {
        let url = format!("{}/{path}", tenant.provider_url(system.url(), "demo", provider));
        let body = json!({"model": model, "messages": [{"role": "user", "content": "Hello"}]});
        let answer =
            tenant.until(200, || e2e::http::call("POST", url.clone()).json(&body).bearer(&token)).await?;
        assert_eq!(answer.json()["object"], "chat.completion", "{}", answer.text());
    }
    for request in system.reached_the_provider().await? {
        assert_eq!(request["authorization"], "Bearer sk-ant-api0", "{request}");
        assert_eq!((&request["x_api_key"], &request["model"]), (&Value::Null, &json!("claude-haiku-4-5")));
    }
    Ok(())
}

/// An access token of somebody who signed in at Anthropic is no key, and goes on as what it is.
#[tokio::test]
async fn an_access_token_stays_one() -> anyhow::Result<()> {
    let system = System::start().await?;
    let tenant = system.tenant("anthropic").await?;
    tenant.create_gateway("open", &json!({"authentication": false})).await?;
    let url = format!("{}/v1/models", tenant.provider_url(system.url(), "open", "anthropic"));
    let models = || {
        let models = e2e::http::call("GET", url.clone()).header("anthropic-version", "2023-06-01");
        models.bearer("sk-ant-oat01-0123456789")
    };
    tenant.until(200, models).await?;
    let reached = system.reached_the_provider().await?;
    assert_eq!(reached[0]["authorization"], "Bearer sk-ant-oat0");
    assert_eq!(reached[0]["x_api_key"], Value::Null);
    Ok(())
}

#[tokio::test]
async fn messages_are_paid_from_credits_to_the_nano_dollar() -> anyhow::Result<()> {
    let system = System::start().await?;
    let tenant = system.tenant("anthropic").await?;
    system.store_operator_key_of("anthropic", "sk-ant-api03-operator-0123456789").await?;
    system.grant(&tenant, 10_000_000_000).await?;
    let (_, token) = tenant.gateway_token("demo").await?;
    let base_url = tenant.provider_url(system.url(), "demo", "anthropic");
    let hello = json!({
        "model": "claude-haiku-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}],
    });
    let message = |body: &Value| {
        let call = e2e::http::call("POST", format!("{base_url}/v1/messages")).json(body);
        call.header("x-api-key", &token).header("anthropic-version", "2023-06-01")
    };
    tenant.until(200, || message(&hello)).await?;
    let environment = [
        ("GATEWAY_BASE_URL", &*base_url),
        ("GATEWAY_API_KEY", &token),
        ("GATEWAY_KEY_HEADER", "bearer"),
        ("GATEWAY_PAID", "credits"),
    ];
    script::run("anthropic_client.py", &environment).await?;

    // At a dollar a million read, a tenth of it from the cache, a quarter and as much again more into it,
    // and five dollars produced.
    let reached = system.reached_the_provider().await?;
    let billed = |request: &Value| {
        let tokens = |name: &str| request["billed"][name].as_i64().unwrap_or_default();
        let [cached, short, long] =
            ["cached_tokens", "cache_write_tokens", "cache_write_long_tokens"].map(tokens);
        let plain = tokens("input_tokens") - cached - short - long;
        plain * 1_000 + cached * 100 + short * 1_250 + long * 2_000 + tokens("output_tokens") * 5_000
    };
    let due: i64 = reached.iter().map(billed).sum();
    let paid = |records: &[e2e::system::Record]| -> i64 { records.iter().map(|record| record.paid).sum() };
    system.records_when("what was billed to be paid", |records| paid(records) == due).await?;
    assert_eq!(system.balance(&tenant).await?, 10_000_000_000 - due);

    // That the operator has not paid Anthropic is no tenant's business, whose own credits are meant by a 402.
    let mut unpaid = hello.clone();
    unpaid["messages"][0]["content"] = json!("Hello [simulator: status=402]");
    let answer = message(&unpaid).send().await?;
    assert_eq!(
        (answer.status, &answer.json()["error"]["type"]),
        (502, &json!("api_error")),
        "{}",
        answer.text()
    );

    // Who has too little is told in words that the client knows.
    let poor = system.tenant("poor").await?;
    system.grant(&poor, 1_000).await?;
    let (_, token) = poor.gateway_token("demo").await?;
    let url = format!("{}/v1/messages", poor.provider_url(system.url(), "demo", "anthropic"));
    let message = || {
        let call = e2e::http::call("POST", url.clone()).json(&hello).header("x-api-key", &token);
        call.header("anthropic-version", "2023-06-01")
    };
    let answer = poor.until(402, message).await?;
    assert_eq!(
        (&answer.json()["type"], &answer.json()["error"]["type"]),
        (&json!("error"), &json!("billing_error"))
    );
    Ok(())
}
