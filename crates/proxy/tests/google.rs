//! Google's own API by path: metered, limited and logged by the model that the path names, with keys where its
//! callers put them, and refused in its words.

#![expect(clippy::unwrap_used, reason = "what tests share, which the lint does not take for tests")]

mod support;

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::Response;
use http_body_util::{Channel, Either};
use model::Nanos;
use model::gateway::GatewaySettings;
use model::usage::Outcome;
use serde_json::{Value, json};
use support::fed::{Caller, feed};
use support::provider::{Provider, Sender, whole};
use support::{Gateway, Setup};

const ASK: &str = r#"{"contents":[{"role":"user","parts":[{"text":"Where is the harbour?"}]}]}"#;
const ANSWER: &str = r#"{"candidates":[{"content":{"parts":[{"text":"North."}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":6,"candidatesTokenCount":2,"thoughtsTokenCount":10,"totalTokenCount":18},"modelVersion":"gemini-2.5-flash"}"#;
const FIRST: &str = r#"{"candidates":[{"content":{"parts":[{"text":"The harbour "}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":6,"candidatesTokenCount":2,"totalTokenCount":8},"modelVersion":"gemini-2.5-flash"}"#;
const LAST: &str = r#"{"candidates":[{"content":{"parts":[{"text":"lies north."}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":6,"candidatesTokenCount":5,"totalTokenCount":11},"modelVersion":"gemini-2.5-flash"}"#;
const GENERATE: &str = "google-ai-studio/v1beta/models/gemini-2.5-flash:generateContent";
const STREAM: &str = "google-ai-studio/v1beta/models/gemini-2.5-flash:streamGenerateContent";
const KEY: [(&str, &str); 1] = [("x-goog-api-key", "AIza-own")];

async fn gateway(provider: &Provider, shard: u8, setup: Setup) -> Gateway {
    let others = vec![("google-ai-studio", provider.address)];
    Gateway::start(provider.address, shard, Setup { others, ..setup }).await
}

fn spending(rule: Value, more: Value) -> Setup {
    let mut limits = json!({"enabled": true, "rules": [rule]});
    limits.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let settings: GatewaySettings = serde_json::from_value(json!({"spend_limits": limits})).unwrap();
    Setup { settings, balance: Some(Nanos::ZERO), ..Setup::default() }
}

/// A provider whose streams are lists, which the test feeds.
async fn listing() -> (Provider, Arc<Mutex<Vec<Sender>>>) {
    let senders: Arc<Mutex<Vec<Sender>>> = Arc::default();
    let kept = Arc::clone(&senders);
    let provider = Provider::answering(move |_| {
        let (sender, body) = Channel::new(16);
        kept.lock().unwrap().push(sender);
        let answer = Response::builder().header("content-type", "application/json; charset=UTF-8");
        let answer = answer.body(Either::Right(body)).unwrap();
        Box::pin(async { answer })
    })
    .await;
    (provider, senders)
}

#[tokio::test]
async fn an_answer_is_metered_by_the_model_of_its_path() {
    let provider = Provider::saying(ANSWER).await;
    let mut gateway = gateway(&provider, 0xca, Setup::default()).await;
    for (path, asked) in [
        (GENERATE, "gemini-2.5-flash"),
        ("google/v1/models/gemini-2.5-flash:generateContent", "gemini-2.5-flash"),
        ("gemini/v1beta/models/gemini-2%2E5-flash%3AgenerateContent", "gemini-2.5-flash"),
        ("google-ai-studio/v1beta/tunedModels/mine:generateContent", "tunedModels/mine"),
    ] {
        let told = gateway.call("POST", &gateway.path(path), &KEY, ASK).await;
        assert_eq!((told.status, &told.body), (200, &Bytes::from_static(ANSWER.as_bytes())), "{path}");
        let (_, rest) = path.split_once('/').unwrap();
        assert_eq!((provider.asked().path, provider.asked().body), (format!("/{rest}"), ASK.into()));
        let record = gateway.record().await;
        assert_eq!(
            (record.provider.as_str(), record.endpoint.as_str()),
            ("google-ai-studio", "generate_content")
        );
        assert_eq!((record.model_asked.as_str(), record.model_served.as_str()), (asked, "gemini-2.5-flash"));
        assert_eq!((record.tokens.input, record.tokens.output, record.tokens.reasoning), (6, 2, 10));
        // 6 at 0.30 and 12 at 2.50 dollars a million.
        assert_eq!((record.cost, record.provenance.as_str()), (Some(Nanos(31_800)), "reported"), "{path}");
        assert!(!record.streamed);
    }
}

#[tokio::test]
async fn the_tier_that_served_is_the_one_that_costs() {
    let provider = Provider::answering(|_| {
        let mut answer = whole(200, "application/json", ANSWER);
        answer.headers_mut().insert("x-gemini-service-tier", "standard".parse().unwrap());
        Box::pin(async { answer })
    })
    .await;
    let mut gateway = gateway(&provider, 0xcb, Setup::default()).await;
    let body = r#"{"contents":[],"serviceTier":"priority"}"#;
    assert_eq!(gateway.call("POST", &gateway.path(GENERATE), &KEY, body).await.status, 200);
    let record = gateway.record().await;
    assert_eq!((record.cost, record.tier.as_str()), (Some(Nanos(31_800)), ""));
    let provider = Provider::saying(ANSWER).await;
    let mut gateway = self::gateway(&provider, 0xcc, Setup::default()).await;
    assert_eq!(gateway.call("POST", &gateway.path(GENERATE), &KEY, body).await.status, 200);
    let record = gateway.record().await;
    // 6 at 0.54 and 12 at 4.50 dollars a million.
    assert_eq!((record.cost, record.tier.as_str()), (Some(Nanos(57_240)), "priority"));
}

#[tokio::test]
async fn streams_pass_as_they_are_and_are_metered_as_events_and_as_lists() {
    let events = format!("data: {FIRST}\r\n\r\ndata: {LAST}\r\n\r\n");
    let list = format!("[{FIRST}\n,\r\n{LAST}\n]\n");
    for (shard, path, content_type, stream) in [
        (0xcd, format!("{STREAM}?alt=sse"), "text/event-stream", events),
        (0xce, STREAM.to_owned(), "application/json; charset=UTF-8", list),
    ] {
        let said = stream.clone();
        let provider = Provider::answering(move |_| {
            let answer = whole(200, content_type, &said);
            Box::pin(async { answer })
        })
        .await;
        let mut gateway = gateway(&provider, shard, Setup::default()).await;
        let told = gateway.call("POST", &gateway.path(&path), &KEY, ASK).await;
        assert_eq!((told.status, told.text()), (200, stream.as_str()), "{path}");
        let record = gateway.record().await;
        assert_eq!((record.outcome, record.streamed), (Outcome::Answered, true));
        assert_eq!(
            (record.endpoint.as_str(), record.model_asked.as_str()),
            ("stream_generate_content", "gemini-2.5-flash")
        );
        assert_eq!((record.tokens.input, record.tokens.output), (6, 5));
        assert_eq!(record.provenance.as_str(), "reported");
    }
}

#[tokio::test]
async fn a_list_that_is_left_or_breaks_off_is_metered_as_far_as_it_came() {
    let (provider, senders) = listing().await;
    let mut gateway = gateway(&provider, 0xcf, Setup::default()).await;
    let path = format!("{STREAM}?key=AIza-own");
    for is_left in [true, false] {
        let mut caller = Caller::calls(&gateway, &path, None, ASK).await;
        feed(&senders, "[").await;
        assert_eq!(caller.next().await.as_deref(), Some("["));
        feed(&senders, FIRST).await;
        assert_eq!(caller.next().await.as_deref(), Some(FIRST));
        match is_left {
            true => caller.hangs_up(),
            false => {
                let sender = senders.lock().unwrap().pop().unwrap();
                sender.abort(std::io::Error::other("gone"));
                // There is no place for an error in a list that was cut anywhere.
                assert_eq!(caller.rest().await, "");
            }
        }
        let record = gateway.record().await;
        let expected = if is_left { Outcome::HungUp } else { Outcome::Failed };
        assert_eq!((record.outcome, record.tokens.input, record.tokens.output), (expected, 6, 2));
        assert!(record.cost.is_some());
    }
}

#[tokio::test]
async fn keys_are_taken_where_googles_clients_put_them() {
    let provider = Provider::saying(ANSWER).await;
    let gateway = gateway(&provider, 0xd4, Setup::default()).await;
    let token = gateway.token.as_str();
    let ask = async |query: &str, headers: &[(&str, &str)]| {
        let asked = provider.times_asked();
        let told = gateway.call("POST", &gateway.path(&format!("{GENERATE}{query}")), headers, ASK).await;
        (told.status, (provider.times_asked() > asked).then(|| provider.asked()))
    };
    for (query, headers, left) in [
        ("?key=AIza-own", &[][..], ""),
        ("?alt=json&key=AIza%2Down", &[], "?alt=json"),
        ("", &[("authorization", "Bearer AIza-own")], ""),
        ("?key=AIza-own", &[("x-goog-api-key", token)], ""),
        (&format!("?key={token}"), &[("x-goog-api-key", "AIza-own")], ""),
        ("?key=AIza-own", &[("cf-aig-authorization", token)], ""),
    ] {
        let (status, asked) = ask(query, headers).await;
        let asked = asked.expect("the provider was asked");
        assert_eq!(status, 200, "{query}");
        assert!(asked.path.ends_with(&format!(":generateContent{left}")), "{}", asked.path);
        let sent: Vec<_> = asked.headers.get_all("x-goog-api-key").iter().collect();
        assert_eq!(sent, ["AIza-own"], "{query} {headers:?}");
        assert!(!asked.headers.contains_key("authorization"));
    }
    // A token is no key, wherever it stands, and one that is not ours to accept goes no further.
    let forged = format!("{}x", &token[..token.len() - 1]);
    for (query, headers) in [
        (format!("?key={token}"), &[][..]),
        (format!("?key={forged}"), &[]),
        (format!("?key={forged}&key=AIza-own"), &[]),
        ("?key=AIza-own".to_owned(), &[("x-goog-api-key", forged.as_str())]),
        (format!("?access_token={token}"), &KEY),
    ] {
        let (status, asked) = ask(&query, headers).await;
        assert!(matches!(status, 400 | 401) && asked.is_none(), "{query}: {status}");
    }
}

#[tokio::test]
async fn refusals_are_told_in_googles_words() {
    let provider = Provider::saying(ANSWER).await;
    let gateway = gateway(&provider, 0xd5, Setup::default()).await;
    for (path, headers, body, status, word) in [
        (GENERATE, &[][..], ASK, 400, "NO_CREDENTIAL"),
        (GENERATE, &[("x-goog-api-key", "tg_gw_nobody")], ASK, 401, "UNAUTHORIZED"),
        (GENERATE, &KEY, "[]", 400, "INVALID_BODY"),
        ("google/v1beta/../x", &KEY, "", 400, "INVALID_PATH"),
    ] {
        let told = gateway.call("POST", &gateway.path(path), headers, body).await;
        let error = &told.json()["error"];
        assert_eq!((told.status, &error["code"]), (status, &json!(status)), "{path}: {error}");
        assert_eq!(error["details"][0]["reason"], word, "{error}");
        let name = if status == 401 { "UNAUTHENTICATED" } else { "INVALID_ARGUMENT" };
        assert_eq!(error["status"], name, "{error}");
    }
    let chat = gateway.path("google/v1beta/openai/chat/completions");
    let told = gateway.call("POST", &chat, &[], "{}").await;
    assert_eq!(told.json()["error"]["code"], "no_credential");
    assert_eq!(provider.times_asked(), 0);
}

#[tokio::test]
async fn what_is_not_answered_by_a_model_is_named_and_costs_nothing() {
    let provider = Provider::saying(r#"{"totalTokens":31}"#).await;
    let mut gateway = gateway(&provider, 0xd6, Setup::default()).await;
    for (method, rest, endpoint, model) in [
        ("POST", "models/gemini-2.5-pro:countTokens", "count_content_tokens", "gemini-2.5-pro"),
        ("GET", "models/gemini-2.5-pro", "models", ""),
        ("GET", "models?pageSize=5", "models", ""),
        ("POST", "models/gemini-2.5-pro:batchGenerateContent", "batches", "gemini-2.5-pro"),
        ("POST", "models/veo-3.1-generate-001:predictLongRunning", "other", "veo-3.1-generate-001"),
        ("GET", "files/abc", "files", ""),
    ] {
        let path = gateway.path(&format!("google-ai-studio/v1beta/{rest}"));
        let body = if method == "POST" { "{}" } else { "" };
        assert_eq!(gateway.call(method, &path, &KEY, body).await.status, 200, "{rest}");
        let record = gateway.record().await;
        assert_eq!((record.endpoint.as_str(), record.model_asked.as_str()), (endpoint, model), "{rest}");
        assert_eq!((record.cost, record.tokens.total_input()), (None, 0), "{rest}");
    }
}

#[tokio::test]
async fn embeddings_are_counted_where_nobody_says_what_they_read() {
    let provider = Provider::saying(r#"{"embeddings":[{"values":[0.5]}]}"#).await;
    let mut gateway = gateway(&provider, 0xd7, Setup::default()).await;
    let path = gateway.path("google-ai-studio/v1beta/models/gemini-embedding-001:batchEmbedContents");
    let body = r#"{"requests":[{"model":"models/gemini-embedding-001","content":{"parts":[{"text":"Hello"}]}},{"content":{"parts":[{"text":"Hello"}]}}]}"#;
    assert_eq!(gateway.call("POST", &path, &KEY, body).await.status, 200);
    let record = gateway.record().await;
    assert_eq!((record.tokens.input, record.provenance.as_str()), (2, "estimated"));
    // 2 at 0.15 dollars a million.
    assert_eq!(record.cost, Some(Nanos(300)));
}

#[tokio::test]
async fn limits_know_the_model_of_the_path_and_the_length_that_the_body_names() {
    let provider = Provider::saying(ANSWER).await;
    // A rule for another model stops nobody here; that for this one stops what may cost too much.
    let rule = json!({
        "id": "a", "limitType": "cost", "limit": 0.001, "window": 86400,
        "model": {"mode": "filter", "values": ["gemini-2.5-flash"]},
    });
    let gateway = gateway(&provider, 0xd8, spending(rule, json!({}))).await;
    let with = |limit: u32| {
        format!(r#"{{"contents":[],"generationConfig":{{"maxOutputTokens":{limit},"candidateCount":2}}}}"#)
    };
    let ask = async |path: &str, body: &str| gateway.call("POST", &gateway.path(path), &KEY, body).await;
    // Twice 100 tokens at four and a half dollars a million, which is what they cost at the most.
    assert_eq!(ask(GENERATE, &with(100)).await.status, 200);
    let told = ask(GENERATE, &with(1000)).await;
    assert_eq!((told.status, &told.json()["error"]["status"]), (429, &json!("RESOURCE_EXHAUSTED")));
    let other = GENERATE.replace("flash", "pro");
    assert_eq!(ask(&other, &with(1000)).await.status, 200);
    let twice = r#"{"generationConfig":{"maxOutputTokens":1,"max_output_tokens":9}}"#;
    assert_eq!(ask(GENERATE, twice).await.status, 400);
}

#[tokio::test]
async fn what_nobody_knows_the_price_of_is_refused_where_the_gateway_minds() {
    let provider = Provider::saying(ANSWER).await;
    let rule = json!({"id": "a", "limitType": "cost", "limit": 1, "window": 60});
    let minds = spending(rule, json!({"unpriced": "refuse"}));
    let others = vec![("google-ai-studio", provider.address), ("anthropic", provider.address)];
    let gateway = Gateway::start(provider.address, 0xd9, Setup { others, ..minds }).await;
    let headers = [("x-goog-api-key", "AIza-own"), ("x-api-key", "sk-ant-own")];
    let messages = "anthropic/v1/messages";
    for (path, body, named) in [
        (GENERATE, r#"{"contents":[],"tools":[{"googleSearch":{}}]}"#, Some("tools")),
        (GENERATE, ASK, None),
        ("google/v1beta/models/veo-3.1-generate-001:predictLongRunning", "{}", Some("")),
        (
            messages,
            r#"{"model":"claude-opus-5-5","max_tokens":9,"messages":[],"speed":"fast"}"#,
            Some("speed"),
        ),
        (
            messages,
            r#"{"model":"claude-opus-5-5","max_tokens":9,"messages":[],"inference_geo":"us"}"#,
            Some("inference_geo"),
        ),
        (
            messages,
            r#"{"model":"claude-opus-5-5","max_tokens":9,"messages":[],"inference_geo":"global"}"#,
            None,
        ),
    ] {
        let told = gateway.call("POST", &gateway.path(path), &headers, body).await;
        let Some(named) = named else {
            assert_eq!(told.status, 200, "{body}: {}", told.text());
            continue;
        };
        assert_eq!(told.status, 400, "{body}: {}", told.text());
        assert!(
            told.text().contains("refuses what has no price") && told.text().contains(named),
            "{}",
            told.text()
        );
    }
}
