//! Gateways that are addressed by their hosts: the model says who is asked, and who else if that fails.

mod support;

use http::HeaderMap;
use model::gateway::{ErrorShape, GatewaySettings, KeyPrecedence, StoredKeys};
use model::usage::{KeySource, Outcome};
use serde_json::Value;
use support::provider::{Asked, Provider, whole};
use support::{COMPLETION, Gateway, STORED_KEY, Setup, Told};

const HOST: &str = "gateway";
const MESSAGE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-opus-4-6","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn","usage":{"input_tokens":9,"output_tokens":3}}"#;

fn bound() -> Setup {
    Setup { host: Some(HOST), ..Setup::default() }
}

fn asking(model: &str) -> String {
    format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"Hi"}}]}}"#)
}

async fn chat(gateway: &Gateway, key: &str, body: &str) -> Told {
    let key = format!("Bearer {key}");
    let headers = [("authorization", key.as_str()), ("content-type", "application/json")];
    gateway.call("POST", "/v1/chat/completions", &headers, body).await
}

fn keys(headers: &HeaderMap) -> Vec<&str> {
    let names = ["authorization", "x-api-key", "api-key", "x-goog-api-key", "cf-aig-authorization"];
    names.iter().filter_map(|name| headers.get(*name)?.to_str().ok()).collect()
}

fn model(asked: &Asked) -> String {
    let body: Value = serde_json::from_slice(&asked.body).expect("a JSON body");
    body["model"].as_str().expect("a model").to_owned()
}

#[tokio::test]
async fn a_callers_own_key_goes_to_whoever_serves_the_model() {
    let provider = Provider::saying(COMPLETION).await;
    let mut gateway = Gateway::start(provider.address, 0x60, Setup { stores_key: false, ..bound() }).await;
    for (asked_for, sent) in [("gpt-4o", "gpt-4o"), ("openai:gpt-4o", "gpt-4o"), ("openai:new", "new")] {
        let told = chat(&gateway, "sk-proj-own", &asking(asked_for)).await;
        assert_eq!(told.status, 200, "{}", told.text());
        let asked = provider.asked();
        assert_eq!(
            (asked.path.as_str(), keys(&asked.headers)),
            ("/v1/chat/completions", vec!["Bearer sk-proj-own"])
        );
        assert_eq!(model(&asked), sent);
        let record = gateway.record().await;
        assert_eq!((record.model_asked.as_str(), record.provider.as_str()), (asked_for, "openai"));
        assert_eq!((record.dialect.as_str(), record.key_source), ("host", Some(KeySource::Request)));
        assert_eq!(record.tokens.output, 3);
    }
}

#[tokio::test]
async fn the_body_passes_byte_for_byte_but_for_what_names_models() {
    let provider = Provider::saying(COMPLETION).await;
    let gateway = Gateway::start(provider.address, 0x61, bound()).await;
    let body = r#"{ "models" : ["openai:gpt-4o"], "x":1.50 , "messages":[] }"#;
    assert_eq!(chat(&gateway, "sk-own", body).await.status, 200);
    assert_eq!(provider.asked().body, r#"{ "model":"gpt-4o", "x":1.50 , "messages":[] }"#);
}

#[tokio::test]
async fn a_token_in_either_form_and_either_header_spends_the_stored_key_and_stays_here() {
    let (provider, anthropic) = (Provider::saying(COMPLETION).await, Provider::saying(MESSAGE).await);
    let setup = Setup { others: vec![("anthropic", anthropic.address)], ..bound() };
    let mut gateway = Gateway::start(provider.address, 0x62, setup).await;
    for token in [gateway.token.clone(), gateway.second_form.clone()] {
        for headers in [("authorization", format!("Bearer {token}")), ("x-api-key", token.clone())] {
            let headers = [(headers.0, headers.1.as_str()), ("content-type", "application/json")];
            let told = gateway.call("POST", "/v1/chat/completions", &headers, &asking("gpt-4o")).await;
            assert_eq!(told.status, 200, "{}", told.text());
            assert_eq!(keys(&provider.asked().headers), [format!("Bearer {STORED_KEY}")]);
            assert_eq!(gateway.record().await.key_source, Some(KeySource::StoredKey));
        }
    }
    for invalid in ["ng-2xAbC-g1-zzz", "ng-0-g1-0"] {
        let told = chat(&gateway, invalid, &asking("gpt-4o")).await;
        assert_eq!(told.status, 401);
        assert!(!told.text().contains(invalid));
    }
    assert_eq!((provider.times_asked(), anthropic.times_asked()), (4, 0));
}

#[tokio::test]
async fn messages_go_to_anthropic_with_the_key_where_it_is_read() {
    let (provider, anthropic) = (Provider::saying(COMPLETION).await, Provider::saying(MESSAGE).await);
    let setup = Setup { others: vec![("anthropic", anthropic.address)], ..bound() };
    let mut gateway = Gateway::start(provider.address, 0x63, setup).await;
    for key in [("x-api-key", "sk-ant-own"), ("authorization", "Bearer sk-ant-own")] {
        let headers = [key, ("anthropic-version", "2023-06-01"), ("content-type", "application/json")];
        let body =
            r#"{"model":"claude-opus-4-6","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}"#;
        let told = gateway.call("POST", "/v1/messages", &headers, body).await;
        assert_eq!(told.status, 200, "{}", told.text());
        let asked = anthropic.asked();
        assert_eq!((asked.path.as_str(), keys(&asked.headers)), ("/v1/messages", vec!["sk-ant-own"]));
        assert_eq!(asked.headers["anthropic-version"], "2023-06-01");
        assert_eq!(asked.body, body);
        assert_eq!(gateway.record().await.tokens.output, 3);
    }
    // Whoever speaks another format is not asked.
    let told = gateway.call("POST", "/v1/messages", &[("x-api-key", "k")], &asking("gpt-4o")).await;
    assert_eq!((told.status, told.json()["type"].as_str()), (422, Some("error")));
    assert_eq!(provider.times_asked(), 0);
}

#[tokio::test]
async fn keys_of_a_token_are_tried_from_the_newest_on_and_nothing_else() {
    let provider = Provider::answering(|asked| {
        Box::pin(async move {
            match asked.headers["authorization"].to_str().unwrap() {
                "Bearer sk-oldest" => whole(200, "application/json", COMPLETION),
                "Bearer sk-middle" => whole(429, "application/json", r#"{"error":{"message":"slow down"}}"#),
                _ => whole(401, "application/json", r#"{"error":{"message":"no such key"}}"#),
            }
        })
    })
    .await;
    let bound_keys = vec![("openai", "sk-oldest"), ("openai", "sk-middle"), ("openai", "sk-newest")];
    let mut gateway = Gateway::start(provider.address, 0x64, Setup { bound_keys, ..bound() }).await;
    let told = chat(&gateway, &gateway.token.clone(), &asking("gpt-4o")).await;
    assert_eq!((told.status, provider.times_asked()), (200, 3), "{}", told.text());
    assert_eq!((told.header("ngrok-aig-attempts"), told.header("ngrok-aig-model")), ("3", "openai:gpt-4o"));
    let mut records = Vec::new();
    for _ in 0..3 {
        records.push(gateway.record().await);
    }
    records.sort_by_key(|record| record.attempt);
    let seen = |at: usize| (records[at].status, records[at].outcome, records[at].tokens.output);
    assert_eq!(seen(0), (401, Outcome::Failed, 0));
    assert_eq!(seen(1), (429, Outcome::Failed, 0));
    assert_eq!(seen(2), (200, Outcome::Answered, 3));
    assert!(records.iter().all(|record| record.request_id == records[0].id));
    assert!(records[0].id != records[1].id && records[1].id != records[2].id);
}

#[tokio::test]
async fn a_callers_own_key_is_shown_to_nobody_but_the_first_who_is_asked() {
    let broken = Provider::answering(|_| {
        Box::pin(async { whole(500, "application/json", r#"{"error":{"message":"broken"}}"#) })
    })
    .await;
    let groq = Provider::saying(COMPLETION).await;
    let setup = Setup { others: vec![("groq", groq.address)], stores_key: false, ..bound() };
    let gateway = Gateway::start(broken.address, 0x65, setup).await;
    let body = r#"{"models":["openai:gpt-4o","groq:llama-3.3-70b-versatile"],"messages":[]}"#;
    let told = chat(&gateway, "sk-own", body).await;
    // What the one who was asked says is passed on as it came.
    assert_eq!((told.status, told.text()), (500, r#"{"error":{"message":"broken"}}"#));
    assert_eq!((broken.times_asked(), groq.times_asked()), (1, 0));
}

#[tokio::test]
async fn the_next_model_is_asked_with_a_key_of_its_own() {
    let slow = Provider::answering(|_| {
        Box::pin(async { whole(503, "application/json", r#"{"error":{"message":"overloaded"}}"#) })
    })
    .await;
    let anthropic = Provider::saying(COMPLETION).await;
    let bound_keys = vec![("openai", "sk-openai"), ("anthropic", "sk-ant")];
    let setup = Setup { others: vec![("anthropic", anthropic.address)], bound_keys, ..bound() };
    let gateway = Gateway::start(slow.address, 0x66, setup).await;
    let body =
        r#"{"model":"gpt-4o","models":["claude-opus-4-6"],"messages":[{"role":"user","content":"Hi"}]}"#;
    let told = chat(&gateway, &gateway.token.clone(), body).await;
    assert_eq!(told.status, 200, "{}", told.text());
    let (first, second) = (slow.asked(), anthropic.asked());
    assert_eq!((keys(&first.headers), model(&first)), (vec!["Bearer sk-openai"], "gpt-4o".to_owned()));
    assert_eq!(second.path, "/v1/chat/completions");
    assert_eq!(
        (keys(&second.headers), model(&second)),
        (vec!["Bearer sk-ant"], "claude-opus-4-6".to_owned())
    );
    assert_eq!(told.header("ngrok-aig-model"), "anthropic:claude-opus-4-6");
}

#[tokio::test]
async fn a_wrong_request_is_tried_once_and_different_failures_are_told_together() {
    let wrong = Provider::answering(|asked| {
        Box::pin(async move {
            let status = if asked.body.starts_with(br#"{"model":"o3""#) { 400 } else { 500 };
            whole(status, "application/json", r#"{"error":{"message":"no"}}"#)
        })
    })
    .await;
    let busy =
        Provider::answering(|_| Box::pin(async { whole(429, "application/json", r#"{"error":{}}"#) })).await;
    let bound_keys = vec![("openai", "sk-1"), ("openai", "sk-2"), ("anthropic", "sk-ant")];
    let setup = Setup { others: vec![("anthropic", busy.address)], bound_keys, ..bound() };
    let gateway = Gateway::start(wrong.address, 0x67, setup).await;
    let told = chat(&gateway, &gateway.token.clone(), &asking("o3")).await;
    assert_eq!((told.status, wrong.times_asked()), (400, 1));
    let body = r#"{"model":"gpt-4o","models":["claude-opus-4-6"],"messages":[]}"#;
    let told = chat(&gateway, &gateway.token.clone(), body).await;
    assert_eq!((told.status, told.json()["error"]["cause"].as_str()), (503, Some("all_failed")));
    assert!(told.text().contains("500") && told.text().contains("429"), "{}", told.text());
    assert_eq!((wrong.times_asked(), busy.times_asked()), (3, 1));
}

#[tokio::test]
async fn stored_keys_go_first_where_the_gateway_says_so() {
    let provider = Provider::saying(COMPLETION).await;
    let settings = GatewaySettings {
        key_precedence: KeyPrecedence::Stored,
        stored_keys: StoredKeys::Open,
        ..GatewaySettings::default()
    };
    let gateway = Gateway::start(provider.address, 0x68, Setup { settings, ..bound() }).await;
    assert_eq!(chat(&gateway, "unused", &asking("gpt-4o")).await.status, 200);
    assert_eq!(keys(&provider.asked().headers), [format!("Bearer {STORED_KEY}")]);
}

#[tokio::test]
async fn refusals_bear_the_codes_that_ngroks_clients_look_for() {
    let provider = Provider::saying(COMPLETION).await;
    let settings = GatewaySettings { error_shape: ErrorShape::Ngrok, ..GatewaySettings::default() };
    let setup = Setup { settings, stores_key: false, ..bound() };
    let gateway = Gateway::start(provider.address, 0x69, setup).await;
    let told = chat(&gateway, "sk-own", &asking("gpt-4oo")).await;
    assert_eq!((told.status, told.header("ngrok-error-code")), (422, "ERR_NGROK_3804"));
    let error = &told.json()["error"];
    assert_eq!(error["code"], "ERR_NGROK_3804");
    let message = error["message"].as_str().unwrap();
    assert!(message.starts_with("[ERR_NGROK_3804] ") && message.contains("`gpt-4o`"), "{message}");
    let others = gateway.other_gateways_token.clone();
    for (key, body, status, code) in [
        ("ng-2x-g1-y", asking("gpt-4o"), 401, "ERR_NGROK_27007"),
        (others.as_str(), asking("gpt-4o"), 403, "ERR_NGROK_27008"),
        ("", asking("gpt-4o"), 400, "ERR_NGROK_3802"),
        ("sk-own", r#"{"model":7}"#.to_owned(), 400, "ERR_NGROK_3801"),
        ("sk-own", r#"{"models":"gpt-4o"}"#.to_owned(), 400, "ERR_NGROK_3801"),
        ("sk-own", "{".to_owned(), 400, "ERR_NGROK_3801"),
    ] {
        let told = chat(&gateway, key, &body).await;
        assert_eq!((told.status, told.header("ngrok-error-code")), (status, code), "{}", told.text());
    }
    assert_eq!(provider.times_asked(), 0);
}

#[tokio::test]
async fn the_list_of_models_has_what_the_caller_can_ask_for() {
    let provider = Provider::saying(COMPLETION).await;
    let gateway = Gateway::start(provider.address, 0x6a, bound()).await;
    let token = format!("Bearer {}", gateway.token);
    let told = gateway.call("GET", "/v1/models", &[("authorization", &token)], "").await;
    assert_eq!((told.status, told.json()["object"].as_str()), (200, Some("list")));
    let ids: Vec<String> = told.json()["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["id"].as_str().unwrap().to_owned())
        .collect();
    assert!(ids.iter().any(|id| id == "gpt-4o") && !ids.iter().any(|id| id.starts_with("claude")));
    let one = gateway.call("GET", "/v1/models/gpt-4o", &[("authorization", &token)], "").await;
    assert_eq!((one.status, one.json()["id"].as_str()), (200, Some("gpt-4o")));
    let none = gateway.call("GET", "/v1/models/claude-opus-4-6", &[("authorization", &token)], "").await;
    assert_eq!(none.status, 404);
    assert_eq!(provider.times_asked(), 0);
}

#[tokio::test]
async fn a_host_without_a_gateway_is_told_what_to_do() {
    let provider = Provider::saying(COMPLETION).await;
    let gateway =
        Gateway::start(provider.address, 0x6b, Setup { host: Some("other.example.com"), ..bound() }).await;
    let told = chat(&gateway, "sk-own", &asking("gpt-4o")).await;
    assert_eq!((told.status, told.json()["error"]["cause"].as_str()), (404, Some("unbound_host")));
    // A path that names a gateway means that one, whatever the host.
    assert_eq!(gateway.chat(&asking("gpt-4o")).await.status, 200);
    // The host counts however it is written.
    let body = asking("gpt-4o");
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: OTHER.example.com.:8080\r\nauthorization: Bearer sk-own\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let told = gateway.raw_until_closed(request.as_bytes()).await;
    assert!(told.starts_with("HTTP/1.1 200"), "{told}");
}

#[tokio::test]
async fn nothing_that_names_nobody_is_sent_anywhere() {
    let provider = Provider::saying(COMPLETION).await;
    let mut gateway = Gateway::start(provider.address, 0x6c, bound()).await;
    let key = ("authorization", "Bearer sk-own");
    let told = gateway.call("GET", "/v1/files", &[key], "").await;
    assert_eq!((told.status, told.json()["error"]["cause"].as_str()), (404, Some("nobody_named")));
    let told = gateway.call("GET", "/v1/files", &[key, ("ngrok-aig-provider", "openai")], "").await;
    assert_eq!((told.status, provider.asked().path.as_str()), (200, "/v1/files"));
    assert!(!provider.asked().headers.contains_key("ngrok-aig-provider"));
    for path in ["/v1/../admin", "/v1/chat/%2e%2e/completions", "/chat/completions", "/v1/"] {
        let told =
            gateway.call("POST", path, &[key, ("ngrok-aig-provider", "openai")], &asking("gpt-4o")).await;
        assert!([400, 404].contains(&told.status), "{path}: {}", told.text());
    }
    assert_eq!(provider.times_asked(), 1);
    assert_eq!(gateway.record().await.status, 404);
}

#[tokio::test]
async fn on_credits_what_failed_costs_nothing_and_what_answered_is_paid() {
    let provider = Provider::answering(|asked| {
        Box::pin(async move {
            let fails = model(&asked) == "gpt-4o";
            let (status, body) = if fails { (500, r#"{"error":{}}"#) } else { (200, COMPLETION) };
            whole(status, "application/json", body)
        })
    })
    .await;
    let setup = Setup { host: Some(HOST), ..Setup::on_credits(1_000_000_000) };
    let mut gateway = Gateway::start(provider.address, 0x6d, setup).await;
    let body = r#"{"model":"gpt-4o","models":["gpt-4o-mini"],"max_tokens":50,"messages":[{"role":"user","content":"Hi"}]}"#;
    let token = gateway.token.clone();
    let told = chat(&gateway, &token, body).await;
    assert_eq!((told.status, provider.times_asked()), (200, 2), "{}", told.text());
    let mut records = [gateway.record().await, gateway.record().await];
    records.sort_by_key(|record| record.attempt);
    assert_eq!((records[0].charge.0, records[0].outcome), (0, Outcome::Failed));
    // 9 tokens in at $0.15 and 3 out at $0.60 a million.
    assert_eq!((records[1].charge.0, records[1].outcome), (9 * 150 + 3 * 600, Outcome::Answered));
    assert!(records.iter().all(|record| record.hold.is_some()));
    assert_eq!(gateway.paid().await.0, 9 * 150 + 3 * 600);
}

#[tokio::test]
async fn one_request_is_one_call_however_often_it_is_tried() {
    let provider = Provider::answering(|asked| {
        Box::pin(async move {
            let status = if model(&asked) == "gpt-4o" { 429 } else { 200 };
            whole(status, "application/json", COMPLETION)
        })
    })
    .await;
    let settings = GatewaySettings {
        rate_limiting_limit: Some(2),
        rate_limiting_interval: Some(3600),
        ..GatewaySettings::default()
    };
    let gateway = Gateway::start(provider.address, 0x6e, Setup { settings, ..bound() }).await;
    let token = gateway.token.clone();
    let body = r#"{"model":"gpt-4o","models":["gpt-4o-mini"],"messages":[]}"#;
    let mut told = Vec::new();
    for _ in 0..3 {
        told.push(chat(&gateway, &token, body).await.status);
    }
    assert_eq!((told, provider.times_asked()), (vec![200, 200, 429], 4));
}

#[tokio::test]
async fn on_credits_each_attempt_that_we_gave_up_pays_for_its_input() {
    let provider = Provider::answering(|asked| {
        Box::pin(async move {
            if model(&asked) != "gpt-4.1" {
                std::future::pending::<()>().await;
            }
            whole(401, "application/json", "{}")
        })
    })
    .await;
    let setup = Setup { host: Some(HOST), ..Setup::on_credits(1_000_000_000) };
    let mut gateway = Gateway::start(provider.address, 0x6f, setup).await;
    let body = r#"{"model":"gpt-4o-mini","models":["gpt-4.1-mini","gpt-4.1"],"max_tokens":50,"messages":[{"role":"user","content":"Hi"}]}"#;
    let token = format!("Bearer {}", gateway.token);
    let headers = [
        ("authorization", token.as_str()),
        ("content-type", "application/json"),
        ("cf-aig-request-timeout", "100"),
    ];
    let told = gateway.call("POST", "/v1/chat/completions", &headers, body).await;
    assert_eq!(told.json()["cause"], "all_failed", "{}", told.text());
    let mut charges = Vec::new();
    for _ in 0..3 {
        let record = gateway.record().await;
        charges.push((record.attempt, record.charge.0 > 0, record.tokens.output));
    }
    charges.sort_unstable();
    assert_eq!(charges, [(0, true, 0), (1, true, 0), (2, false, 0)]);
}

#[tokio::test]
async fn what_is_told_of_all_attempts_does_not_make_the_last_one_free() {
    let provider = Provider::answering(|asked| {
        Box::pin(async move {
            if model(&asked) == "gpt-4.1" {
                std::future::pending::<()>().await;
            }
            whole(429, "application/json", "{}")
        })
    })
    .await;
    let setup = Setup { host: Some(HOST), ..Setup::on_credits(1_000_000_000) };
    let mut gateway = Gateway::start(provider.address, 0x5f, setup).await;
    let body = r#"{"model":"gpt-4o-mini","models":["gpt-4.1"],"max_tokens":50,"messages":[{"role":"user","content":"Hi"}]}"#;
    let token = format!("Bearer {}", gateway.token);
    let headers = [
        ("authorization", token.as_str()),
        ("content-type", "application/json"),
        ("cf-aig-request-timeout", "100"),
    ];
    gateway.call("POST", "/v1/chat/completions", &headers, body).await;
    let mut charges =
        [gateway.record().await, gateway.record().await].map(|one| (one.attempt, one.charge.0 > 0));
    charges.sort_unstable();
    assert_eq!(charges, [(0, false), (1, true)]);
}
