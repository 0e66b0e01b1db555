//! Strategies of traffic policies at work: which models a request goes to, in which order, and with which keys.

mod support;

use std::collections::BTreeSet;

use http::HeaderValue;
use model::gateway::{ErrorShape, GatewaySettings, KeyPrecedence, StoredKeys};
use serde_json::{Value, json};
use support::provider::{Provider, whole};
use support::{COMPLETION, Gateway, Setup, Told};

const FAILURE: &str = r#"{"error":{"message":"overloaded"}}"#;

/// As the control API of ngrok's clients sets gateways up.
fn under(policy: &'static str) -> Setup {
    let settings = GatewaySettings {
        key_precedence: KeyPrecedence::Stored,
        stored_keys: StoredKeys::Open,
        error_shape: ErrorShape::Ngrok,
        ..GatewaySettings::default()
    };
    Setup { settings, policy: Some(policy), stores_key: false, host: Some("gateway"), ..Setup::default() }
}

/// Asks for one of these models.
async fn ask(gateway: &Gateway, models: &[&str]) -> Told {
    let body = json!({"models": models, "messages": [{"role": "user", "content": "Hi"}]}).to_string();
    gateway.call("POST", "/v1/chat/completions", &[("content-type", "application/json")], &body).await
}

/// Who answered, after how many attempts.
fn answered(told: &Told) -> (&str, &str) {
    assert_eq!(told.status, 200, "{}", told.text());
    (told.header("ngrok-aig-model"), told.header("ngrok-aig-attempts"))
}

fn refused(told: &Told) -> (u16, &str) {
    (told.status, told.header("ngrok-error-code"))
}

fn key(provider: &Provider) -> String {
    provider.asked().headers["authorization"].to_str().expect("a text").replace("Bearer ", "")
}

async fn failing() -> Provider {
    Provider::answering(|_| Box::pin(async { whole(500, "application/json", FAILURE) })).await
}

const KEYS: &str = "api_keys: [{value: sk-a}]";

#[tokio::test]
async fn the_first_strategy_that_leaves_anything_counts_and_the_callers_order_holds() {
    let policy = r#"
on_http_request:
  - type: ai-gateway
    config:
      providers:
        - {id: openai, api_keys: [{value: sk-openai}]}
        - {id: mistral, api_keys: [{value: sk-mistral}], models: [{id: mistral-small, disabled: true}]}
      model_selection:
        strategy:
          - "ai.models.only(['nobody'])"
          - "ai.models.filter(m, m.metadata.price > 1)"
          - "ai.models.only(['mistral-small'])"
          - "ai.models.only(['gpt-4o', 'gpt-4o-mini', 'mistral-small-latest'])"
          - "ai.models"
"#;
    let (openai, mistral) = (Provider::saying(COMPLETION).await, failing().await);
    let setup = Setup { others: vec![("mistral", mistral.address)], ..under(policy) };
    let gateway = Gateway::start(openai.address, 0xa0, setup).await;
    let models = ["mistral-small", "gpt-4.1", "mistral-small-latest", "gpt-4o-mini", "gpt-4o"];
    assert_eq!(answered(&ask(&gateway, &models).await), ("openai:gpt-4o-mini", "2"));
    assert_eq!((mistral.times_asked(), openai.times_asked()), (1, 1));
    assert_eq!((key(&openai), key(&mistral)), ("sk-openai".to_owned(), "sk-mistral".to_owned()));
    // A path that names the provider does not go round it.
    let json = [("content-type", "application/json")];
    let path = gateway.path("openai/chat/completions");
    let named = |model: &str| json!({"model": model, "messages": []}).to_string();
    assert_eq!(gateway.call("POST", &path, &json, &named("gpt-4o")).await.status, 200);
}

#[tokio::test]
async fn whoever_names_no_model_gets_the_one_that_a_strategy_puts_first() {
    let policy = r#"
on_http_request:
  - type: ai-gateway
    config:
      providers: [{id: openai, api_keys: [{value: sk-a}]}]
      only_allow_configured_providers: true
      model_selection:
        strategy: ["ai.models.only(['gpt-4o', 'gpt-4o-mini', 'claude-opus-4-6']).sortBy('price')"]
"#;
    let provider = Provider::saying(COMPLETION).await;
    let gateway = Gateway::start(provider.address, 0xa1, under(policy)).await;
    for models in [&[][..], &["ngrok/auto"]] {
        assert_eq!(answered(&ask(&gateway, models).await), ("openai:gpt-4o-mini", "1"));
    }
    assert_eq!(answered(&ask(&gateway, &["gpt-4o"]).await), ("openai:gpt-4o", "1"));
    let asked: Value = serde_json::from_slice(&provider.asked().body).expect("JSON");
    assert_eq!(asked["model"], "gpt-4o");
}

#[tokio::test]
async fn strategies_that_come_to_nothing_are_told_apart_and_nobody_is_asked() {
    for (shard, strategy, code) in [
        (0xa2, "ai.models.only(['nobody'])", "ERR_NGROK_3805"),
        (0xa3, "ai.models.get('openai', 'nobody')", "ERR_NGROK_3803"),
        (0xa4, "req.method == 'GET' ? ai.models : 'gpt-4o'", "ERR_NGROK_3806"),
        (0xa5, "ai.models.filter(m, m.provider_id == 'anthropic')", "ERR_NGROK_3805"),
    ] {
        let policy = format!(
            "on_http_request: [{{type: ai-gateway, config: {{providers: [{{id: openai, {KEYS}}}], model_selection: {{strategy: [\"{strategy}\"]}}}}}}]"
        );
        let provider = Provider::saying(COMPLETION).await;
        let gateway = Gateway::start(provider.address, shard, under(policy.leak())).await;
        let told = ask(&gateway, &["gpt-4o"]).await;
        assert_eq!(refused(&told), (422, code), "{strategy}: {}", told.text());
        let path = gateway.path("openai/chat/completions");
        let body = r#"{"model":"gpt-4o","messages":[]}"#;
        let told = gateway.call("POST", &path, &[("content-type", "application/json")], body).await;
        assert_eq!(told.status, 422, "{strategy}: {}", told.text());
        assert_eq!(provider.times_asked(), 0);
    }
}

#[tokio::test]
async fn metrics_lead_away_from_a_provider_that_fails() {
    let policy = r#"
on_http_request:
  - type: ai-gateway
    config:
      providers:
        - {id: openai, api_keys: [{value: sk-openai}]}
        - {id: mistral, api_keys: [{value: sk-mistral}]}
      model_selection:
        strategy:
          - "ai.models.filter(m, m.metrics.endpoint.error_rate.server < 0.5)"
"#;
    let (openai, mistral) = (Provider::saying(COMPLETION).await, failing().await);
    let setup = Setup { others: vec![("mistral", mistral.address)], ..under(policy) };
    let gateway = Gateway::start(openai.address, 0xa6, setup).await;
    let models = ["mistral-small-latest", "gpt-4o-mini"];
    assert_eq!(answered(&ask(&gateway, &models).await), ("openai:gpt-4o-mini", "2"));
    for _ in 0..3 {
        assert_eq!(answered(&ask(&gateway, &models).await), ("openai:gpt-4o-mini", "1"));
    }
    assert_eq!(mistral.times_asked(), 1);
    assert_eq!(refused(&ask(&gateway, &models[..1]).await), (422, "ERR_NGROK_3805"));
}

#[tokio::test]
async fn a_key_that_has_nothing_left_is_not_asked() {
    let policy = r#"
on_http_request:
  - type: ai-gateway
    config:
      providers: [{id: openai, api_keys: [{value: sk-a}, {value: sk-b}]}]
      api_key_selection:
        strategy:
          - "ai.keys.filter(k, k.quota.remaining_requests == null || k.quota.remaining_requests > 0)"
"#;
    let provider = Provider::answering(|_| {
        Box::pin(async {
            let mut answer = whole(200, "application/json", COMPLETION);
            answer.headers_mut().insert("x-ratelimit-remaining-requests", HeaderValue::from_static("0"));
            answer
        })
    })
    .await;
    let gateway = Gateway::start(provider.address, 0xa7, under(policy)).await;
    for expected in ["sk-a", "sk-b"] {
        assert_eq!(answered(&ask(&gateway, &["gpt-4o"]).await).1, "1");
        assert_eq!(key(&provider), expected);
    }
    let told = ask(&gateway, &["gpt-4o"]).await;
    assert_eq!(refused(&told), (422, "ERR_NGROK_3808"), "{}", told.text());
    assert!(!told.text().contains("sk-"), "{}", told.text());
    // Quotas are counted by model.
    assert_eq!(answered(&ask(&gateway, &["gpt-4o-mini"]).await).1, "1");
    assert_eq!(provider.times_asked(), 3);
}

#[tokio::test]
async fn chance_chooses_among_keys() {
    let policy = r#"
on_http_request:
  - type: ai-gateway
    config:
      providers: [{id: openai, api_keys: [{value: sk-a}, {value: sk-b}]}]
      api_key_selection: {strategy: ["ai.keys.random()"]}
"#;
    let provider = Provider::saying(COMPLETION).await;
    let gateway = Gateway::start(provider.address, 0xa8, under(policy)).await;
    let mut seen = BTreeSet::new();
    // That one of two is never drawn happens once in a billion times a billion.
    for _ in 0..60 {
        assert_eq!(answered(&ask(&gateway, &["gpt-4o"]).await).1, "1");
        seen.insert(key(&provider));
        if seen.len() == 2 {
            return;
        }
    }
    panic!("only {seen:?} were used");
}

#[tokio::test]
async fn a_later_action_is_told_what_strategies_did() {
    let policy = r#"
on_http_request:
  - actions:
      - type: ai-gateway
        config:
          on_error: continue
          providers: [{id: openai, api_keys: [{value: sk-secret-a}, {value: sk-secret-b}]}]
          model_selection: {strategy: ["ai.models.only(['nobody'])", "ai.models.onlyProviders(['openai'])"]}
          api_key_selection: {strategy: ["ai.keys[1]"]}
      - type: custom-response
        config: {status_code: 503, body: "${actions.ngrok.ai_gateway}"}
"#;
    let provider = failing().await;
    let gateway = Gateway::start(provider.address, 0xa9, under(policy)).await;
    let told = ask(&gateway, &["gpt-4o", "gpt-4o-mini"]).await;
    assert_eq!((told.status, key(&provider).as_str()), (503, "sk-secret-b"), "{}", told.text());
    let result = told.json();
    let selections = result["model_selection"].as_array().expect("a list");
    assert_eq!(selections.len(), 2, "{result}");
    assert_eq!(selections[0]["strategy"], "ai.models.only(['nobody'])");
    assert_eq!(selections[0]["candidates_returned"], json!([]));
    assert_eq!(selections[1]["models_to_try"], json!(["openai:gpt-4o", "openai:gpt-4o-mini"]));
    let keys = &result["models_tried"][0]["api_key_selection"][0];
    assert_eq!(keys["strategy"], "ai.keys[1]", "{result}");
    assert!(keys["keys_to_try"][0].as_str().is_some_and(|id| id.starts_with("key_")), "{result}");
    assert!(!told.text().contains("sk-secret-a"), "{}", told.text());
}
