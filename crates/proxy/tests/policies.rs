//! Traffic policies at work: what they let through, what they answer, and which keys they bring.

mod support;

use model::gateway::{ErrorShape, GatewaySettings, KeyPrecedence, StoredKeys};
use model::usage::{KeySource, Outcome};
use process::{ForwardingHeader, TrustedProxies};
use serde_json::Value;
use support::provider::Provider;
use support::{COMPLETION, Gateway, Setup, Told};

const QUESTION: &str = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"Hi"}]}"#;

/// As the control API of ngrok's clients sets gateways up.
fn under(policy: &'static str) -> Setup {
    let settings = GatewaySettings {
        key_precedence: KeyPrecedence::Stored,
        stored_keys: StoredKeys::Open,
        error_shape: ErrorShape::Ngrok,
        ..GatewaySettings::default()
    };
    let secrets = vec![
        ("openai", "api-key", "sk-proj-kept"),
        ("gateway-auth", "access-token", "let-me-in"),
        ("spare", "key", "sk-proj-spare"),
    ];
    let stores_key = false;
    Setup { settings, policy: Some(policy), secrets, stores_key, host: Some("gateway"), ..Setup::default() }
}

async fn ask(gateway: &Gateway, headers: &[(&str, &str)], body: &str) -> Told {
    let json = ("content-type", "application/json");
    let headers: Vec<_> = headers.iter().copied().chain([json]).collect();
    gateway.call("POST", "/v1/chat/completions", &headers, body).await
}

fn key(provider: &Provider) -> String {
    provider.asked().headers["authorization"].to_str().expect("a text").to_owned()
}

#[tokio::test]
async fn a_kept_key_takes_the_place_of_whatever_the_caller_sends() {
    let policy = r#"
on_http_request:
  - type: ai-gateway
    config:
      providers:
        - id: "openai"
          api_keys:
            - value: ${secrets.get('openai', 'api-key')}
"#;
    let provider = Provider::saying(COMPLETION).await;
    let mut gateway = Gateway::start(provider.address, 0x70, under(policy)).await;
    let told = ask(&gateway, &[("authorization", "Bearer unused")], QUESTION).await;
    assert_eq!((told.status, key(&provider).as_str()), (200, "Bearer sk-proj-kept"), "{}", told.text());
    assert_eq!(gateway.record().await.key_source, Some(KeySource::StoredKey));
    // A path that names the same gateway does not go round its policy.
    let path = gateway.path("openai/chat/completions");
    let headers = [("authorization", "Bearer unused"), ("content-type", "application/json")];
    assert_eq!(gateway.call("POST", &path, &headers, QUESTION).await.status, 200);
    assert_eq!(key(&provider), "Bearer sk-proj-kept");
}

#[tokio::test]
async fn whoever_does_not_say_the_word_is_told_so_and_nobody_else_is_asked() {
    let policy = r#"
on_http_request:
  - expressions:
      - req.headers['authorization'][0] != 'Bearer ' + secrets.get('gateway-auth', 'access-token')
    actions:
      - type: custom-response
        config:
          status_code: 401
          headers: { content-type: application/json }
          body: '{"error":{"message":"Invalid or missing authorization token","type":"authentication_error"}}'
  - actions:
      - type: ai-gateway
        config:
          providers:
            - id: openai
              api_keys: [{ value: "${secrets.get('openai', 'api-key')}" }]
"#;
    let provider = Provider::saying(COMPLETION).await;
    let mut gateway = Gateway::start(provider.address, 0x71, under(policy)).await;
    for headers in [&[][..], &[("authorization", "Bearer wrong")], &[("authorization", "let-me-in")]] {
        let told = ask(&gateway, headers, QUESTION).await;
        assert_eq!((told.status, told.header("content-type")), (401, "application/json"));
        assert_eq!(told.json()["error"]["type"], "authentication_error");
        let record = gateway.record().await;
        assert_eq!((record.status, record.outcome, record.cause.as_str()), (401, Outcome::Refused, "policy"));
    }
    assert_eq!(provider.times_asked(), 0);
    let told = ask(&gateway, &[("authorization", "Bearer let-me-in")], QUESTION).await;
    assert_eq!((told.status, key(&provider).as_str()), (200, "Bearer sk-proj-kept"));
}

#[tokio::test]
async fn what_a_policy_adds_is_what_the_provider_gets_and_what_is_counted() {
    let policy = r#"
on_http_request:
  - actions:
      - type: add-headers
        config: { headers: { x-team: "${req.method}-team" } }
      - type: remove-headers
        config: { headers: [x-private] }
      - type: ai-gateway
        config:
          headers: { x-extra: "1", authorization: "Bearer smuggled", tollgate-x: "1" }
          query_params: { api_version: "2 0" }
          body: { temperature: 0, model: "openai:gpt-4o-mini" }
          providers: [{ id: openai, api_keys: [{ value: sk-plain }] }]
on_http_response:
  - actions:
      - type: add-headers
        config: { headers: { x-seen: "${string(res.status_code)}" } }
      - type: remove-headers
        config: { headers: [content-language] }
"#;
    let provider = Provider::saying(COMPLETION).await;
    let mut gateway = Gateway::start(provider.address, 0x72, under(policy)).await;
    let body = r#"{"model":"gpt-4o","temperature":1.5,"messages":[] }"#;
    let told = ask(&gateway, &[("x-private", "1")], body).await;
    assert_eq!((told.status, told.header("x-seen")), (200, "200"), "{}", told.text());
    let asked = provider.asked();
    assert_eq!(asked.path, "/v1/chat/completions?api_version=2+0");
    assert_eq!(asked.body, r#"{"model":"gpt-4o-mini","temperature":0,"messages":[] }"#);
    assert_eq!(
        (asked.headers["x-team"].as_bytes(), asked.headers["x-extra"].as_bytes()),
        (&b"POST-team"[..], &b"1"[..])
    );
    assert!(!asked.headers.contains_key("x-private") && !asked.headers.contains_key("tollgate-x"));
    assert_eq!(asked.headers.get_all("authorization").iter().count(), 1);
    assert_eq!(key(&provider), "Bearer sk-plain");
    assert_eq!(gateway.record().await.model_asked, "openai:gpt-4o-mini");
}

#[tokio::test]
async fn only_what_a_gateway_names_can_be_asked_for_by_any_way() {
    let policy = r#"
on_http_request:
  - type: ai-gateway
    config:
      only_allow_configured_providers: true
      only_allow_configured_models: true
      providers:
        - id: openai
          api_keys: [{ value: "${secrets.get('openai', 'api-key')}" }, { value: "${secrets.get('spare', 'key')}" }]
          models: [{ id: gpt-4o }]
"#;
    let provider = Provider::answering(|asked| {
        Box::pin(async move {
            match asked.headers["authorization"].as_bytes() {
                b"Bearer sk-proj-spare" => support::provider::whole(200, "application/json", COMPLETION),
                _ => support::provider::whole(429, "application/json", "{}"),
            }
        })
    })
    .await;
    let gateway = Gateway::start(provider.address, 0x73, under(policy)).await;
    let told = ask(&gateway, &[], QUESTION).await;
    assert_eq!((told.status, told.header("ngrok-aig-attempts")), (200, "2"));
    for body in
        [QUESTION.replace("gpt-4o", "gpt-4.1"), QUESTION.replace("gpt-4o", "anthropic:claude-opus-4-6")]
    {
        let told = ask(&gateway, &[], &body).await;
        assert_eq!(
            (told.status, told.header("ngrok-error-code")),
            (422, "ERR_NGROK_3804"),
            "{}",
            told.text()
        );
    }
    let json = [("content-type", "application/json")];
    let path = gateway.path("openai/chat/completions");
    assert_eq!(gateway.call("POST", &path, &json, QUESTION).await.status, 200);
    assert_eq!(gateway.call("POST", &path, &json, &QUESTION.replace("gpt-4o", "o3")).await.status, 422);
    let files = gateway.call("GET", &gateway.path("anthropic/v1/files"), &[("x-api-key", "k")], "").await;
    assert_eq!(files.status, 422);
    assert_eq!(provider.times_asked(), 4);
}

#[tokio::test]
async fn a_policy_that_cannot_be_obeyed_lets_nothing_through() {
    let provider = Provider::saying(COMPLETION).await;
    let own = [("authorization", "Bearer sk-own")];
    for (shard, policy) in [
        (0x74, "on_http_request: [{type: no-such-action}]"),
        (0x75, "on_http_response: [{type: deny}]"),
        (0x76, "{"),
    ] {
        let gateway = Gateway::start(provider.address, shard, under(policy)).await;
        let told = ask(&gateway, &own, QUESTION).await;
        assert_eq!((told.status, told.header("ngrok-error-code")), (500, "ERR_NGROK_2254"), "{policy}");
        assert!(!told.text().contains("no-such-action"));
        let path = gateway.path("openai/chat/completions");
        assert_eq!(gateway.call("POST", &path, &own, QUESTION).await.status, 500);
    }
    let missing = r#"
on_http_request:
  - expressions: ["getReqHeader('x') != secrets.get('nobody', 'has-it')"]
    actions: [{ type: deny }]
  - type: ai-gateway
"#;
    let gateway = Gateway::start(provider.address, 0x77, under(missing)).await;
    assert_eq!(ask(&gateway, &own, QUESTION).await.status, 500);
    assert_eq!(provider.times_asked(), 0);
}

#[tokio::test]
async fn addresses_and_passwords_keep_callers_out() {
    let provider = Provider::saying(COMPLETION).await;
    let elsewhere = r#"
on_http_request:
  - type: restrict-ips
    config: { enforce: true, allow: ["10.0.0.0/8"] }
  - type: ai-gateway
"#;
    let gateway = Gateway::start(provider.address, 0x78, under(elsewhere)).await;
    let forwarded = [("authorization", "Bearer sk-own"), ("x-forwarded-for", "10.0.0.1")];
    assert_eq!(ask(&gateway, &forwarded, QUESTION).await.status, 403);
    let trusted =
        TrustedProxies { ranges: vec!["127.0.0.0/8".parse().unwrap()], header: ForwardingHeader::Forwarded };
    let gateway = Gateway::start(provider.address, 0x7e, Setup { trusted, ..under(elsewhere) }).await;
    let by_the_balancer = |said| [("authorization", "Bearer sk-own"), forwarded[1], ("forwarded", said)];
    let spoofed = by_the_balancer("for=10.0.0.1, for=203.0.113.5");
    assert_eq!(ask(&gateway, &spoofed, QUESTION).await.status, 403);
    assert_eq!(ask(&gateway, &forwarded, QUESTION).await.status, 403);
    assert_eq!(provider.times_asked(), 0);
    let within = by_the_balancer("for=203.0.113.5, for=10.0.0.1");
    assert_eq!(ask(&gateway, &within, QUESTION).await.status, 200);
    let provider = Provider::saying(COMPLETION).await;
    let password = r#"
on_http_request:
  - type: basic-auth
    config: { credentials: ["me:${secrets.get('gateway-auth', 'access-token')}"] }
  - type: ai-gateway
    config: { providers: [{ id: openai, api_keys: [{ value: sk-kept }] }] }
"#;
    let gateway = Gateway::start(provider.address, 0x79, under(password)).await;
    let told = ask(&gateway, &[("authorization", "Basic bWU6d3Jvbmctb25l")], QUESTION).await;
    assert_eq!((told.status, told.header("www-authenticate")), (401, "Basic realm=\"ngrok\""));
    assert_eq!(provider.times_asked(), 0);
    let told = ask(&gateway, &[("authorization", "Basic bWU6bGV0LW1lLWlu")], QUESTION).await;
    assert_eq!((told.status, key(&provider).as_str()), (200, "Bearer sk-kept"), "{}", told.text());
}

#[tokio::test]
async fn a_path_is_rewritten_within_the_gateway_and_a_body_is_redacted_before_it_is_read() {
    let policy = r#"
on_http_request:
  - type: url-rewrite
    config: { from: "/chat$", to: "/chat/completions" }
  - type: request-body-find-replace
    config: { replacements: [{ from: "[0-9]{3}-[0-9]{2}-[0-9]{4}", to: "[gone]" }, { from: "cheap", to: "gpt-4o" }] }
  - type: ai-gateway
"#;
    let provider = Provider::saying(COMPLETION).await;
    let gateway = Gateway::start(provider.address, 0x7a, under(policy)).await;
    let headers = [("authorization", "Bearer sk-own"), ("content-type", "application/json")];
    let body = r#"{"model":"cheap","messages":[{"role":"user","content":"I am 123-45-6789"}]}"#;
    let told = gateway.call("POST", "/v1/chat", &headers, body).await;
    assert_eq!(told.status, 200, "{}", told.text());
    let sent: Value = serde_json::from_slice(&provider.asked().body).expect("JSON");
    assert_eq!((&sent["model"], &sent["messages"][0]["content"]), (&"gpt-4o".into(), &"I am [gone]".into()));
    let away =
        "on_http_request: [{type: url-rewrite, config: {from: '/demo/', to: '/other/'}}, {type: ai-gateway}]";
    let gateway = Gateway::start(provider.address, 0x7b, under(away)).await;
    let told = gateway.call("POST", &gateway.path("openai/chat/completions"), &headers, QUESTION).await;
    assert_eq!(told.status, 500, "{}", told.text());
}

#[tokio::test]
async fn a_gateway_takes_so_many_requests_of_each_caller_and_no_more() {
    let policy = r#"
on_http_request:
  - type: rate-limit
    config:
      name: each-key
      algorithm: sliding_window
      capacity: 2
      rate: 100/min
      bucket_key:
        - req.headers['authorization']
  - type: ai-gateway
"#;
    let provider = Provider::saying(COMPLETION).await;
    let gateway = Gateway::start(provider.address, 0x7c, under(policy)).await;
    let ask = |key: &'static str| {
        let gateway = &gateway;
        async move { ask(gateway, &[("authorization", key)], QUESTION).await }
    };
    assert_eq!([ask("Bearer sk-1").await.status, ask("Bearer sk-1").await.status], [200, 200]);
    let told = ask("Bearer sk-1").await;
    assert_eq!(told.status, 429, "{}", told.text());
    assert!((1..=60).contains(&told.header("retry-after").parse::<u64>().expect("seconds")));
    assert_eq!(ask("Bearer sk-2").await.status, 200);
    assert_eq!(provider.times_asked(), 3);
}

#[tokio::test]
async fn a_provider_that_fails_gets_a_rest() {
    let policy = r#"
on_http_request:
  - type: circuit-breaker
    config: { error_threshold: 0.5, volume_threshold: 3, tripped_duration: 2m, window_duration: 2m }
  - type: ai-gateway
"#;
    let provider =
        Provider::answering(|_| Box::pin(async { support::provider::whole(500, "application/json", "{}") }))
            .await;
    let gateway = Gateway::start(provider.address, 0x7d, under(policy)).await;
    let own = [("authorization", "Bearer sk-own")];
    for _ in 0..3 {
        assert_eq!(ask(&gateway, &own, QUESTION).await.status, 500);
    }
    let told = ask(&gateway, &own, QUESTION).await;
    assert_eq!((told.status, told.header("ngrok-error-code")), (503, "ERR_NGROK_3202"), "{}", told.text());
    assert_eq!(provider.times_asked(), 3);
    // Whoever comes from a circle of policies goes no further.
    let circle = [own[0], ("tollgate-policy-calls", "3")];
    assert_eq!(ask(&gateway, &circle, QUESTION).await.status, 508);
}
