//! The customer's OpenAI page, through OpenAI's own clients.

use e2e::script;
use e2e::system::{Record, System};
use e2e::tenant::Tenant;
use serde_json::json;

struct Setting {
    gateway: &'static str,
    api_key: String,
    authorization: String,
}

/// The ways in which the page lets a caller in: its own key with and without a token, and a stored
/// key with the token where the SDK expects a key.
async fn settings(tenant: &Tenant) -> anyhow::Result<[Setting; 3]> {
    tenant.create_gateway("open", &json!({"authentication": false})).await?;
    tenant.create_gateway("stored", &json!({"authentication": true})).await?;
    tenant.store_key("stored", "sk-stored-0123456789abcdef", "default").await?;
    let (_, token) = tenant.api_token(&["AI Gateway Run"]).await?;
    Ok([
        Setting {
            gateway: "demo",
            api_key: "sk-caller-0123456789abcdef".into(),
            authorization: token.clone(),
        },
        Setting {
            gateway: "open",
            api_key: "sk-caller-0123456789abcdef".into(),
            authorization: String::new(),
        },
        Setting { gateway: "stored", api_key: token, authorization: String::new() },
    ])
}

async fn every_setting_works_with(script: &str) -> anyhow::Result<()> {
    let system = System::start().await?;
    let tenant = system.tenant("clients").await?;
    let settings = settings(&tenant).await?;
    for Setting { gateway, api_key, authorization } in &settings {
        let models = || {
            let models = e2e::http::call(
                "GET",
                format!("{}/models", tenant.provider_url(system.url(), gateway, "openai")),
            );
            let models = models.bearer(api_key);
            if authorization.is_empty() {
                models
            } else {
                models.header("cf-aig-authorization", authorization)
            }
        };
        tenant.until(200, models).await?;
        let base_url = tenant.provider_url(system.url(), gateway, "openai");
        let environment = [
            ("GATEWAY_BASE_URL", &*base_url),
            ("GATEWAY_API_KEY", api_key),
            ("GATEWAY_AUTHORIZATION", authorization),
        ];
        script::run(script, &environment).await?;
    }

    // Everything that reached the provider left one record, and the aborted streams say so. Refusals
    // come from before the proxy knew the token.
    let went_on = |records: &[Record]| records.iter().filter(|record| record.outcome != "refused").count();
    let reached = system.reached_the_provider().await?.len();
    let enough = |records: &[Record]| went_on(records) >= reached;
    let records = system.records_when("a record for each request", enough).await?;
    assert_eq!(went_on(&records), reached, "{records:#?}");
    let aborted = records.iter().filter(|record| record.event_id.starts_with("abort-"));
    assert_eq!(aborted.clone().count(), settings.len());
    assert!(aborted.clone().all(|record| record.outcome == "hung_up"), "{:#?}", aborted.collect::<Vec<_>>());
    Ok(())
}

#[tokio::test]
async fn the_python_client_works_with_every_way_of_bringing_a_key() -> anyhow::Result<()> {
    every_setting_works_with("openai_client.py").await
}

#[tokio::test]
async fn the_javascript_client_works_with_every_way_of_bringing_a_key() -> anyhow::Result<()> {
    every_setting_works_with("openai_client.mjs").await
}

/// A balance pays for the page's examples where no key is stored, and the balance is then less by
/// what they cost.
async fn unified_billing_works_with(script: &str) -> anyhow::Result<()> {
    let system = System::start().await?;
    let tenant = system.tenant("clients").await?;
    system.store_operator_key().await?;
    system.grant(&tenant, 10_000_000_000).await?;
    let (_, token) = tenant.api_token(&["AI Gateway Run"]).await?;
    let base_url = tenant.provider_url(system.url(), "demo", "openai");
    let chat = || {
        let chat = e2e::http::call("POST", format!("{base_url}/chat/completions")).bearer(&token);
        chat.json(&e2e::tenant::greeting())
    };
    tenant.until(200, chat).await?;
    script::run(script, &[("GATEWAY_BASE_URL", &*base_url), ("GATEWAY_API_KEY", &token)]).await?;

    // The page's cURL examples: the token stands in its own header, and no key anywhere.
    let story = "Write a one-sentence bedtime story about a unicorn.";
    for (path, body) in [
        ("responses", json!({"model": "gpt-5.1", "input": [{"role": "user", "content": story}]})),
        (
            "chat/completions",
            json!({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "What is Cloudflare?"}]}),
        ),
    ] {
        let call = e2e::http::call("POST", format!("{base_url}/{path}")).json(&body);
        let answer = call.header("cf-aig-authorization", format!("Bearer {token}")).send().await?;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }

    let reached = system.reached_the_provider().await?.len();
    let paid = |records: &[Record]| records.iter().filter(|record| record.paid > 0).count();
    let records = system.records_when("a charge for each answer", |records| paid(records) == reached).await?;
    let spent: i64 = records.iter().map(|record| record.paid).sum();
    assert_eq!(system.balance(&tenant).await?, 10_000_000_000 - spent);
    Ok(())
}

#[tokio::test]
async fn the_python_client_is_paid_for_from_credits() -> anyhow::Result<()> {
    unified_billing_works_with("unified_billing.py").await
}

#[tokio::test]
async fn the_javascript_client_is_paid_for_from_credits() -> anyhow::Result<()> {
    unified_billing_works_with("unified_billing.mjs").await
}
