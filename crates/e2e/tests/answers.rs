//! Answers as a gateway's traffic policy leaves them: read by OpenAI's own client, and told of in the log.

use e2e::script;
use e2e::system::System;
use serde_json::json;

/// The first rule says when the gateway knows its policy.
const POLICY: &str = r#"
on_http_request:
  - expressions: ["'x-ready' in req.headers"]
    actions: [{ type: custom-response, config: { status_code: 299 } }]
  - type: log
    config: { metadata: { path: "${req.url.path}", key: "${req.headers['authorization'][0]}" } }
on_http_response:
  - type: response-body-find-replace
    config: { replacements: [{ from: simulated, to: "[gone]" }] }
  - type: compress-response
  - type: log
    config: { metadata: { encoding: "${actions.ngrok.compress.negotiated_algorithm}" } }
on_event_stream_message:
  - type: sse-find-replace
    config: { replacements: [{ from: simulated, to: "[gone]" }] }
"#;

#[tokio::test]
async fn openais_client_reads_what_a_policy_compresses_and_redacts() -> anyhow::Result<()> {
    let system = System::start().await?;
    let tenant = system.tenant("answers").await?;
    tenant.create_gateway("shown", &json!({"authentication": false})).await?;
    let path = "/ai-gateway/gateways/shown/traffic_policy";
    let kept = tenant.call("PUT", path).body(POLICY).send().await?;
    assert_eq!(kept.status, 200, "{}", kept.text());
    let base_url = tenant.provider_url(system.url(), "shown", "openai");
    let models = || e2e::http::call("GET", format!("{base_url}/models")).header("x-ready", "1");
    tenant.until(299, models).await?;
    script::run("answers.py", &[("GATEWAY_BASE_URL", &*base_url)]).await?;

    let asked = |records: &[e2e::system::Record]| {
        records.iter().filter(|record| record.outcome == "answered").count() >= 4
    };
    system.records_when("a record for each answer", asked).await?;
    let logs = tenant.ask("GET", "/ai-gateway/gateways/shown/logs?order_by=created_at", None).await?;
    let logs = logs.as_array().expect("a list");
    let log = logs.iter().find(|log| log["success"] == true).expect("a log");
    let path = format!("/ai-gateway/gateways/shown/logs/{}", log["id"].as_str().expect("an id"));
    let log = tenant.ask("GET", &path, None).await?;
    let told = &log["traffic_policy"]["logs"];
    assert_eq!(told[0]["metadata"]["key"], "****");
    assert!(told[0]["metadata"]["path"].as_str().expect("a path").ends_with("/openai/chat/completions"));
    assert!(["", "gzip"].map(Some).contains(&told[1]["metadata"]["encoding"].as_str()), "{told}");
    Ok(())
}
