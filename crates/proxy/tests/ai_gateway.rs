//! What the `ai-gateway` action of a traffic policy does besides choosing: sizes, members that are not
//! understood, and what follows when nobody answers.

mod support;

use http_body_util::Either;
use model::Nanos;
use model::gateway::{ErrorShape, GatewaySettings, KeyPrecedence, StoredKeys};
use model::usage::Outcome;
use serde_json::{Value, json};
use support::provider::{Provider, whole};
use support::{COMPLETION, Gateway, Setup, Told};

const QUESTION: &str = r#"{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hi"}]}"#;
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

async fn ask_at(gateway: &Gateway, path: &str, body: &str) -> Told {
    let headers = [("authorization", "Bearer sk-own"), ("content-type", "application/json")];
    gateway.call("POST", path, &headers, body).await
}

async fn ask(gateway: &Gateway, body: &str) -> Told {
    ask_at(gateway, "/v1/chat/completions", body).await
}

fn sent(provider: &Provider) -> Value {
    serde_json::from_slice(&provider.asked().body).expect("JSON")
}

async fn failing(status: u16) -> Provider {
    Provider::answering(move |_| Box::pin(async move { whole(status, "application/json", FAILURE) })).await
}

#[tokio::test]
async fn a_prompt_that_is_too_long_is_refused_before_anybody_is_asked() {
    let policy = "on_http_request: [{type: ai-gateway, config: {max_input_tokens: 30}}]";
    let provider = Provider::saying(COMPLETION).await;
    let mut gateway = Gateway::start(provider.address, 0xc0, under(policy)).await;
    assert_eq!(ask(&gateway, QUESTION).await.status, 200);
    gateway.record().await;
    let long = QUESTION.replace("Hi", &"hello ".repeat(100));
    let told = ask(&gateway, &long).await;
    assert_eq!((told.status, told.header("ngrok-error-code")), (413, "ERR_NGROK_3811"), "{}", told.text());
    assert!(told.text().contains("tokens, and this gateway takes 30"), "{}", told.text());
    assert_eq!(told.header("ngrok-aig-rejected-models"), "openai:gpt-4o-mini");
    assert!(told.header("ngrok-aig-request-id").starts_with("rq_"));
    assert_eq!((told.header("ngrok-aig-attempts"), told.header("ngrok-aig-model")), ("", ""));
    let record = gateway.record().await;
    assert_eq!(
        (record.status, record.outcome, record.cause.as_str()),
        (413, Outcome::Refused, "input_too_large")
    );
    // The path goes no other way, and Anthropic's clients read it as theirs do.
    let path = gateway.path("openai/chat/completions");
    assert_eq!(ask_at(&gateway, &path, &long).await.status, 413);
    let messages = long.replace("gpt-4o-mini", "claude-haiku-4-5");
    let told = ask_at(&gateway, "/v1/messages", &messages).await;
    assert_eq!((told.status, &told.json()["type"]), (413, &json!("error")), "{}", told.text());
    // What cannot be read names no model that may be asked for.
    let headers = [("authorization", "Bearer sk-own"), ("content-encoding", "br")];
    assert_eq!(gateway.call("POST", &path, &headers, "?").await.status, 422);
    assert_eq!(provider.times_asked(), 1);
}

#[tokio::test]
async fn an_answer_is_no_longer_than_the_policy_lets_it_be() {
    let policy = "on_http_request: [{type: ai-gateway, config: {max_output_tokens: 100}}]";
    let provider = Provider::saying(COMPLETION).await;
    let gateway = Gateway::start(provider.address, 0xc1, under(policy)).await;
    let native = gateway.path("openai/chat/completions");
    for path in ["/v1/chat/completions", &native] {
        for (said, name, limit) in [
            ("", "max_completion_tokens", 100),
            (r#""max_tokens":5000,"#, "max_tokens", 100),
            (r#""max_completion_tokens":50,"#, "max_completion_tokens", 50),
        ] {
            let told = ask_at(&gateway, path, &QUESTION.replacen('{', &format!("{{{said}"), 1)).await;
            assert_eq!(told.status, 200, "{}", told.text());
            assert_eq!(sent(&provider)[name], limit, "{said}");
            let ours = if limit == 100 { "100" } else { "" };
            assert_eq!(told.header("tollgate-output-limit"), ours);
        }
    }
    let told = ask_at(&gateway, &native, QUESTION).await;
    let marks = [told.header("ngrok-aig-model"), told.header("ngrok-aig-attempts")];
    assert_eq!(marks, ["openai:gpt-4o-mini", "1"]);
    let compat = QUESTION.replace("gpt-4o-mini", "openai/gpt-4o-mini");
    let told = ask_at(&gateway, &gateway.path("compat/chat/completions"), &compat).await;
    assert_eq!(told.status, 200, "{}", told.text());
    let asked = sent(&provider);
    assert_eq!((&asked["model"], &asked["max_completion_tokens"]), (&json!("gpt-4o-mini"), &json!(100)));
    let asked = r#"{"model":"gpt-4o-mini","input":"Hi"}"#;
    ask_at(&gateway, "/v1/responses", asked).await;
    assert_eq!(sent(&provider)["max_output_tokens"], 100);
    let times = provider.times_asked();
    let told = ask_at(&gateway, &gateway.path("openai/batches"), r#"{"input_file_id":"file-1"}"#).await;
    assert_eq!(told.status, 400, "{}", told.text());
    assert_eq!(told.json()["error"]["cause"], "nothing_bounds_it");
    let told = ask(&gateway, &QUESTION.replacen('{', r#"{"max_tokens":"5000","#, 1)).await;
    assert_eq!((told.status, told.header("ngrok-error-code")), (400, "ERR_NGROK_3801"));
    assert_eq!(told.json()["error"]["param"], "max_tokens");
    assert_eq!(provider.times_asked(), times);
}

#[tokio::test]
async fn credits_hold_no_more_than_what_the_provider_is_told() {
    let policy = "on_http_request: [{type: ai-gateway, config: {max_output_tokens: 100}}]";
    let provider = Provider::saying(COMPLETION).await;
    // Enough for a hundred tokens of output and for no answer of the usual length.
    let setup = Setup { balance: Some(Nanos(150_000)), ..Setup::on_credits(0) };
    let Setup { settings, policy, host, .. } = under(policy);
    let setup = Setup { settings, policy, host, ..setup };
    let mut gateway = Gateway::start(provider.address, 0xc2, setup).await;
    let token = format!("Bearer {}", gateway.token);
    let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
    let long = QUESTION.replacen('{', r#"{"max_tokens":5000,"#, 1);
    let told = gateway.call("POST", "/v1/chat/completions", &headers, &long).await;
    assert_eq!(told.status, 200, "{}", told.text());
    assert_eq!(sent(&provider)["max_tokens"], 100);
    let record = gateway.record().await;
    assert_eq!((record.cost, record.charge), (Some(Nanos(3150)), Nanos(3150)));
    assert_eq!(gateway.paid().await, Nanos(3150));
}

#[tokio::test]
async fn a_provider_is_not_sent_what_it_does_not_understand() {
    let policy = r#"
on_http_request:
  - type: ai-gateway
    config:
      providers:
        - id: openai
          supported_api_surfaces:
            - { format: openai, surface: chat-completions, supported_params: [{name: messages}, {name: seed}, {name: user}] }
            - { format: openai }
          models: [{ id: gpt-4o-mini, unsupported_params: [{ name: user }] }]
"#;
    let provider = Provider::saying(COMPLETION).await;
    let gateway = Gateway::start(provider.address, 0xc3, under(policy)).await;
    let asked =
        r#"{"model":"gpt-4o-mini", "user":"me","temperature":1.0, "seed" : 7,"messages":[ ],"we, ird":1}"#;
    let native = gateway.path("openai/chat/completions");
    for path in ["/v1/chat/completions", &native] {
        let told = ask_at(&gateway, path, asked).await;
        assert_eq!(told.status, 200, "{}", told.text());
        assert_eq!(provider.asked().body, r#"{"model":"gpt-4o-mini", "seed" : 7,"messages":[ ]}"#);
        assert_eq!(told.header("ngrok-aig-removed-params"), "user,temperature,we__ird");
    }
    // Only this surface has a list.
    ask_at(
        &gateway,
        "/v1/responses",
        r#"{"model":"gpt-4o-mini","input":"Hi","temperature":1.0,"user":"me"}"#,
    )
    .await;
    assert_eq!(provider.asked().body, r#"{"model":"gpt-4o-mini","input":"Hi","temperature":1.0}"#);
}

#[tokio::test]
async fn whoever_names_the_provider_in_the_path_is_not_looked_over_the_shoulder() {
    let provider = Provider::saying(COMPLETION).await;
    let setup = Setup { host: Some("gateway"), ..Setup::default() };
    let gateway = Gateway::start(provider.address, 0xc4, setup).await;
    let asked = r#"{"model":"o3","temperature":1.0,"messages":[ ]}"#;
    let told = gateway.chat(asked).await;
    assert_eq!((told.status, told.header("ngrok-aig-removed-params")), (200, ""));
    assert_eq!(provider.asked().body, asked);
    // Who leaves the choice to the gateway gets the benefit of what it knows.
    let told = ask(&gateway, asked).await;
    assert_eq!(
        (told.status, told.header("ngrok-aig-removed-params")),
        (200, "temperature"),
        "{}",
        told.text()
    );
    assert_eq!(provider.asked().body, r#"{"model":"o3","messages":[ ]}"#);
}

const GOES_ON: &str = r#"
on_http_request:
  - type: ai-gateway
    config:
      on_error: continue
      providers:
        - id: openai
          api_keys: [{ value: sk-proj-first-0123456789 }, { value: sk-proj-second-0123456789 }]
  - actions:
      - type: custom-response
        config:
          status_code: 503
          headers: { content-type: application/json }
          body: ${actions.ngrok.ai_gateway}
"#;

#[tokio::test]
async fn a_policy_goes_on_when_all_have_failed_and_is_told_why() {
    let provider = failing(500).await;
    let mut gateway = Gateway::start(provider.address, 0xc5, under(GOES_ON)).await;
    let told = ask(&gateway, QUESTION).await;
    assert_eq!((told.status, told.header("content-type")), (503, "application/json"), "{}", told.text());
    assert_eq!((told.header("ngrok-aig-attempts"), told.header("ngrok-error-code")), ("2", ""));
    let report = told.json();
    assert_eq!((&report["status"], &report["error"]["code"]), (&json!("error"), &json!("ERR_NGROK_3807")));
    assert_eq!(
        (&report["client"]["model"], &report["client"]["path"]),
        (&json!("gpt-4o-mini"), &json!("/v1/chat/completions"))
    );
    assert_eq!(report["client"]["request_headers"]["authorization"], json!(["Bearer ..."]));
    assert!(report["input_ngrok_tokens"].as_u64().is_some_and(|tokens| tokens > 0));
    let tried = &report["models_tried"];
    assert_eq!((tried.as_array().map(Vec::len), &tried[0]["author"]), (Some(1), &json!("openai")));
    let requests = tried[0]["requests_made"].as_array().expect("a list");
    let keys: Vec<&Value> = requests.iter().map(|request| &request["request"]["api_key"]).collect();
    assert_eq!(keys, ["sk-proj...6789", "sk-proj...6789"]);
    for request in requests {
        let url = request["request"]["url"].as_str().expect("a text");
        assert!(url.starts_with("http://127.0.0.1:") && url.ends_with("/v1/chat/completions"), "{url}");
        let response = &request["response"];
        assert_eq!((&response["status_code"], &response["body_on_error"]), (&json!(500), &json!(FAILURE)));
        assert_eq!(response["headers"]["content-type"], json!(["application/json"]));
    }
    let (first, last) = (gateway.record().await, gateway.record().await);
    assert_eq!((first.status, first.outcome, first.cause.as_str()), (500, Outcome::Failed, "failed_over"));
    assert_eq!((last.status, last.outcome, last.cause.as_str()), (503, Outcome::Failed, "failed_over"));
    assert_eq!((first.attempt, last.attempt, last.cost), (0, 1, None));
    assert!(gateway.no_record().await);
}

#[tokio::test]
async fn a_policy_goes_on_when_nobody_could_be_asked() {
    let provider = failing(400).await;
    let mut gateway = Gateway::start(provider.address, 0xc6, under(GOES_ON)).await;
    for (body, code, cause) in [
        (QUESTION.replace("gpt-4o-mini", "no-such-model"), "ERR_NGROK_3804", "no_model"),
        ("{".to_owned(), "ERR_NGROK_3801", "invalid_body"),
    ] {
        let told = ask(&gateway, &body).await;
        assert_eq!((told.status, &told.json()["error"]["code"]), (503, &json!(code)), "{}", told.text());
        assert_eq!((&told.json()["models_tried"], told.header("ngrok-aig-attempts")), (&json!([]), ""));
        let record = gateway.record().await;
        assert_eq!((record.status, record.outcome, record.cause.as_str()), (503, Outcome::Refused, cause));
    }
    assert_eq!(provider.times_asked(), 0);
    // Of several models, those that are not there are told by their names.
    let several = QUESTION.replacen('{', r#"{"models":["no-such-model"],"#, 1);
    let told = ask(&gateway, &several).await;
    assert_eq!(
        (told.status, told.header("ngrok-aig-rejected-models")),
        (503, "no-such-model"),
        "{}",
        told.text()
    );
    assert_eq!(told.json()["client"]["rejected_models"][0]["model"], "no-such-model");
    // What a provider finds wrong with the request nobody else is asked, and is told.
    let told = ask(&gateway, QUESTION).await;
    assert_eq!((told.status, provider.times_asked()), (503, 2));
    assert_eq!(told.json()["models_tried"][0]["requests_made"][0]["response"]["body_on_error"], FAILURE);
}

#[tokio::test]
async fn rules_behind_a_failure_do_all_that_rules_do() {
    let policy = r#"
on_http_request:
  - type: ai-gateway
    config: { on_error: continue }
  - type: rate-limit
    config: { name: fallback, algorithm: sliding_window, capacity: 1, rate: 60s, bucket_key: ["'all'"] }
  - type: log
    config: { metadata: { why: "${actions.ngrok.ai_gateway.error.code}" } }
  - type: custom-response
    config: { status_code: 503, body: sorry }
on_http_response:
  - type: add-headers
    config: { headers: { x-asked: "${string(size(actions.ngrok.ai_gateway.models_tried))}" } }
"#;
    let provider = failing(500).await;
    let mut gateway = Gateway::start(provider.address, 0xca, under(policy)).await;
    let told = ask(&gateway, QUESTION).await;
    assert_eq!((told.status, told.text(), told.header("x-asked")), (503, "sorry", "1"));
    let record = gateway.record().await;
    assert!(record.policy_logs.contains(r#""why":"ERR_NGROK_3807""#), "{}", record.policy_logs);
    assert_eq!((record.outcome, record.provider.as_str()), (Outcome::Failed, "openai"));
    let told = ask(&gateway, QUESTION).await;
    assert_eq!((told.status, provider.times_asked()), (429, 2), "{}", told.text());
    let record = gateway.record().await;
    assert_eq!((record.status, record.outcome), (429, Outcome::Failed));
}

#[tokio::test]
async fn on_credits_what_failed_is_free_and_nothing_stays_held() {
    let policy = "on_http_request: [{type: ai-gateway, config: {on_error: continue}}, {type: custom-response, config: {status_code: 418}}]";
    let provider = failing(500).await;
    let Setup { settings, policy, host, .. } = under(policy);
    let setup = Setup { settings, policy, host, ..Setup::on_credits(1_000_000_000) };
    let mut gateway = Gateway::start(provider.address, 0xc7, setup).await;
    let token = format!("Bearer {}", gateway.token);
    let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
    let told = gateway.call("POST", "/v1/chat/completions", &headers, QUESTION).await;
    assert_eq!(told.status, 418, "{}", told.text());
    let record = gateway.record().await;
    assert_eq!((record.status, record.outcome, record.charge), (418, Outcome::Failed, Nanos::ZERO));
    assert_eq!(gateway.paid().await, Nanos::ZERO);
    assert!(gateway.no_record().await);
}

#[tokio::test]
async fn rules_for_answers_know_who_answered() {
    let policy = r#"
on_http_request:
  - type: ai-gateway
    config:
      providers:
        - { id: openai, api_keys: [{ value: sk-proj-first-0123456789 }, { value: sk-proj-other-0123456789 }] }
on_http_response:
  - expressions: ["actions.ngrok.ai_gateway.status == 'success'"]
    actions:
      - type: add-headers
        config:
          headers:
            x-who: "${actions.ngrok.ai_gateway.success.provider}:${actions.ngrok.ai_gateway.success.model}"
            x-which: "${string(actions.ngrok.ai_gateway.success.request_index)}"
            x-before: "${actions.ngrok.ai_gateway.models_tried[0].requests_made[0].response.body_on_error}"
  - expressions: ["actions.ngrok.ai_gateway.status == 'error'"]
    actions:
      - type: add-headers
        config: { headers: { x-code: "${actions.ngrok.ai_gateway.error.code}" } }
"#;
    let provider = Provider::answering(|asked| {
        Box::pin(async move {
            match asked.headers["authorization"].as_bytes() {
                b"Bearer sk-proj-first-0123456789" => whole(429, "application/json", FAILURE),
                _ if asked.body.ends_with(b" ") => whole(400, "application/json", FAILURE),
                _ => whole(200, "application/json", COMPLETION),
            }
        })
    })
    .await;
    let gateway = Gateway::start(provider.address, 0xc8, under(policy)).await;
    let told = ask(&gateway, QUESTION).await;
    assert_eq!((told.status, told.text()), (200, COMPLETION));
    assert_eq!((told.header("x-who"), told.header("x-which")), ("openai:gpt-4o-mini", "1"));
    assert_eq!((told.header("x-before"), told.header("x-code")), (FAILURE, ""));
    let told = ask(&gateway, &format!("{QUESTION} ")).await;
    assert_eq!(
        (told.status, told.header("x-code"), told.header("x-who")),
        (400, "ERR_NGROK_3807", ""),
        "{}",
        told.text()
    );
}

#[tokio::test]
async fn when_the_time_for_all_is_over_that_is_told_whatever_else_went_wrong() {
    let policy = r#"
on_http_request:
  - type: ai-gateway
    config:
      total_timeout: 300ms
      providers: [{ id: openai, api_keys: [{ value: sk-proj-first-0123456789 }, { value: sk-proj-other-0123456789 }] }]
"#;
    let provider = Provider::answering(|asked| {
        Box::pin(async move {
            match asked.headers["authorization"].as_bytes() {
                b"Bearer sk-proj-first-0123456789" => whole(500, "application/json", FAILURE),
                _ => std::future::pending().await,
            }
        })
    })
    .await;
    let mut gateway = Gateway::start(provider.address, 0xcb, under(policy)).await;
    let told = ask(&gateway, QUESTION).await;
    assert_eq!((told.status, told.header("ngrok-error-code")), (504, "ERR_NGROK_3810"), "{}", told.text());
    assert!(told.text().contains("`openai` answered 500") && provider.times_asked() == 2, "{}", told.text());
    let (first, last) = (gateway.record().await, gateway.record().await);
    assert_eq!((first.cause.as_str(), last.cause.as_str()), ("failed_over", "out_of_time"));
}

#[tokio::test]
async fn a_stalled_failure_is_not_waited_for_without_end() {
    let provider = Provider::answering(|_| {
        Box::pin(async {
            let (sender, mut response) = support::provider::stream();
            // Its end never comes.
            std::mem::forget(sender);
            *response.status_mut() = http::StatusCode::BAD_GATEWAY;
            response.map(|body| match body {
                Either::Left(whole) => Either::Left(whole),
                Either::Right(stream) => Either::Right(stream),
            })
        })
    })
    .await;
    let gateway = Gateway::start(provider.address, 0xc9, under(GOES_ON)).await;
    let told = ask(&gateway, QUESTION).await;
    assert_eq!((told.status, provider.times_asked()), (503, 2));
    assert_eq!(told.json()["models_tried"][0]["requests_made"][1]["response"]["body_on_error"], "");
}
