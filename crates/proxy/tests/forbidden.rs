//! What credits do not pay for, because all tenants share the operator's account at the provider: each
//! is refused with its name, and nothing of it reaches the provider.

mod support;

use http::header::CONTENT_TYPE;
use serde_json::Value;
use support::provider::Provider;
use support::{COMPLETION, Gateway, OPERATORS_KEY, PATIENCE, QUESTION, Setup, Told};

const DOLLAR: i64 = 1_000_000_000;

async fn gateway(shard: u8) -> (Provider, Gateway) {
    let provider = Provider::saying(COMPLETION).await;
    let gateway = Gateway::start(provider.address, shard, Setup::on_credits(DOLLAR)).await;
    (provider, gateway)
}

fn assert_forbidden(told: &Told, param: Option<&str>, what: &str) {
    let error = &told.json()["error"];
    assert_eq!(told.status, 400, "{what}: {}", told.text());
    assert_eq!(error["code"], "forbidden_on_credits", "{what}: {}", told.text());
    assert_eq!(error["internal_code"], 9020, "{what}");
    if let Some(param) = param {
        assert_eq!(error["param"], param, "{what}");
        assert!(error["message"].as_str().is_some_and(|message| message.contains(param)), "{what}");
    }
}

/// A chat completion with one member more.
fn chat(member: &str) -> String {
    QUESTION.replacen('{', &format!("{{{member},"), 1)
}

/// A response with one member more.
fn response(member: &str) -> String {
    format!(r#"{{{member},"model":"gpt-4o-mini","input":"Hello"}}"#)
}

#[tokio::test]
async fn every_forbidden_member_is_refused_by_its_name() {
    let (provider, gateway) = gateway(90).await;
    let chat_at = "openai/chat/completions";
    let responses_at = "openai/responses";
    for (at, body, param) in [
        (chat_at, chat(r#""store":true"#), "store"),
        (chat_at, chat(r#""service_tier":"flex""#), "service_tier"),
        (chat_at, chat(r#""service_tier":"priority""#), "service_tier"),
        (chat_at, chat(r#""web_search_options":{}"#), "web_search_options"),
        (chat_at, chat(r#""prediction":{"type":"content","content":"x"}"#), "prediction"),
        (chat_at, chat(r#""something_new":1"#), "something_new"),
        (chat_at, chat(r#""n":1,"n":2"#), "n"),
        (chat_at, chat(r#""max_tokens":5,"max_t\u006fkens":500"#), "max_tokens"),
        (chat_at, chat(r#""store":false,"store":true"#), "store"),
        (chat_at, chat(r#""max_tokens":1.5"#), "max_tokens"),
        (chat_at, chat(r#""max_tokens":-1"#), "max_tokens"),
        (chat_at, chat(r#""max_completion_tokens":"9""#), "max_completion_tokens"),
        (responses_at, response(r#""store":true"#), "store"),
        (responses_at, response(r#""previous_response_id":"resp_1""#), "previous_response_id"),
        (responses_at, response(r#""conversation":"conv_1""#), "conversation"),
        (responses_at, response(r#""background":true"#), "background"),
        (responses_at, response(r#""prompt":{"id":"pmpt_1"}"#), "prompt"),
        (responses_at, response(r#""service_tier":"flex""#), "service_tier"),
        // Numbers that readers differ about, and what stands within.
        (chat_at, chat(r#""max_tokens":1e9"#), "max_tokens"),
        (chat_at, chat(r#""max_tokens":"100""#), "max_tokens"),
        (chat_at, chat(r#""max_tokens":0"#), "max_tokens"),
        (chat_at, chat(r#""max_tokens":99999999999999999999"#), "max_tokens"),
        (chat_at, chat(r#""max_tokens":5,"max_completion_tokens":500"#), "max_completion_tokens"),
        (chat_at, chat(r#""n":129"#), "n"),
        (chat_at, chat(r#""n":true"#), "n"),
        (chat_at, chat(r#""moderation":{}"#), "moderation"),
        (chat_at, chat(r#""metadata":{"a":"b"}"#), "metadata"),
        (chat_at, chat(r#""audio":{"voice":{"id":"voice_1"}}"#), "audio.voice"),
        (chat_at, chat(r#""modalities":["text","video"]"#), "modalities[1]"),
        (chat_at, chat(r#""tools":[{"type":"function","type":"web_search"}]"#), "tools[0].type"),
        (chat_at, chat(r#""tools":[{"type":"web_search"}]"#), "tools[0].type"),
        (
            chat_at,
            chat(r#""prompt_cache_options":{"comparison_response_id":"resp_1"}"#),
            "prompt_cache_options.comparison_response_id",
        ),
        (responses_at, response(r#""context_management":[{"type":"compaction"}]"#), "context_management"),
        (responses_at, response(r#""reasoning":{"mode":"pro"}"#), "reasoning.mode"),
        (responses_at, response(r#""include":["web_search_call.results"]"#), "include[0]"),
        (responses_at, response(r#""max_output_tokens":1.0"#), "max_output_tokens"),
        (responses_at, response(r#""access_programs":[]"#), "access_programs"),
        (responses_at, response(r#""image":{"detail":"high"}"#), "image"),
        ("openai/completions", r#"{"model":"davinci-002","prompt":"x","echo":true}"#.to_owned(), "echo"),
        ("openai/completions", r#"{"model":"davinci-002","prompt":["a",["b"]]}"#.to_owned(), "prompt[1][0]"),
        (
            "openai/embeddings",
            r#"{"model":"text-embedding-3-small","input":[[1.5]]}"#.to_owned(),
            "input[0][0]",
        ),
        ("openai/images/generations", r#"{"model":"gpt-image-1","prompt":"x","n":1e1}"#.to_owned(), "n"),
        (
            "openai/images/generations",
            r#"{"model":"gpt-image-1","prompt":"x","size":"4096x4096"}"#.to_owned(),
            "size",
        ),
        (
            "openai/audio/speech",
            r#"{"model":"gpt-4o-mini-tts","input":"x","voice":"alloy"}"#.to_owned(),
            "model",
        ),
    ] {
        assert_forbidden(&gateway.on_credits_at(at, &body).await, Some(param), &body);
    }
    // What any reader would stumble over is told before it is asked what it costs.
    for (body, param) in [
        (chat(r#""model":"gpt-4o""#), Some("model")),
        (chat(r#""stream":true,"stream":false"#), Some("stream")),
        (chat(r#""stream":"true""#), Some("stream")),
        (
            chat(r#""stream_options":{"include_usage":true,"include_us\u0061ge":false}"#),
            Some("include_usage"),
        ),
        (format!("{QUESTION}{{}}"), None),
        (format!("\u{feff}{QUESTION}"), None),
        (QUESTION.encode_utf16().map(|unit| char::from(unit as u8).to_string() + "\0").collect(), None),
        (format!(r#"{{"messages":{}1{}}}"#, "[".repeat(200), "]".repeat(200)), None),
        (String::new(), None),
    ] {
        let told = gateway.on_credits(&body).await;
        let error = &told.json()["error"];
        assert_eq!((told.status, &error["internal_code"]), (400, &9004.into()), "{body}: {}", told.text());
        assert_eq!(error["param"].as_str(), param, "{body}");
    }
    for tool in
        ["web_search", "file_search", "code_interpreter", "computer_use_preview", "mcp", "image_generation"]
    {
        let body = response(&format!(r#""tools":[{{"type":"{tool}"}}]"#));
        assert_forbidden(&gateway.on_credits_at(responses_at, &body).await, None, tool);
    }
    let file = r#"{"model":"gpt-4o-mini","messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"file-1"}}]}]}"#;
    let param = "messages[0].content[0].file.file_id";
    assert_forbidden(&gateway.on_credits(file).await, Some(param), file);
    let file = r#"{"model":"gpt-4o-mini","input":[{"role":"user","content":[{"type":"input_file","file_id":"file-1"}]}]}"#;
    assert_forbidden(&gateway.on_credits_at(responses_at, file).await, None, file);
    let reference = r#"{"model":"gpt-4o-mini","input":[{"type":"item_reference","id":"msg_1"}]}"#;
    assert_forbidden(&gateway.on_credits_at(responses_at, reference).await, None, reference);
    for model in ["ft:gpt-4o-mini-2024-07-18:org::x", "gpt-4o-search-preview", "o3-deep-research"] {
        let body = QUESTION.replace("gpt-4o-mini", model);
        assert_forbidden(&gateway.on_credits(&body).await, Some("model"), model);
    }
    assert_eq!(provider.times_asked(), 0);
    // With a key of one's own everything passes.
    assert_eq!(gateway.chat(&chat(r#""store":true"#)).await.status, 200);
}

#[tokio::test]
async fn what_keeps_something_at_the_provider_is_refused_whatever_the_method() {
    let (provider, gateway) = gateway(91).await;
    let token = format!("Bearer {}", gateway.token);
    for (method, rest) in [
        ("GET", "files"),
        ("GET", "files/file-1/content"),
        ("POST", "files"),
        ("DELETE", "files/file-1"),
        ("POST", "uploads"),
        ("POST", "batches"),
        ("GET", "batches/batch_1"),
        ("POST", "fine_tuning/jobs"),
        ("GET", "fine_tuning/jobs"),
        ("GET", "responses/resp_1"),
        ("DELETE", "responses/resp_1"),
        ("GET", "responses/resp_1/input_items"),
        ("POST", "responses/resp_1/cancel"),
        ("GET", "chat/completions"),
        ("GET", "chat/completions/chatcmpl-1"),
        ("POST", "conversations"),
        ("GET", "conversations/conv_1/items"),
        ("POST", "vector_stores"),
        ("POST", "assistants"),
        ("POST", "threads"),
        ("POST", "containers"),
        ("GET", "organization/usage/completions"),
        ("POST", "evals"),
        ("POST", "videos"),
        ("POST", "realtime/sessions"),
        ("POST", "audio/transcriptions"),
        ("POST", "images/edits"),
        ("DELETE", "models/gpt-4o"),
    ] {
        let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
        let path = gateway.path(&format!("openai/{rest}"));
        let told = gateway.call(method, &path, &headers, "{}").await;
        assert_forbidden(&told, None, &format!("{method} {rest}"));
    }
    assert_eq!(provider.times_asked(), 0);
}

#[tokio::test]
async fn headers_that_choose_an_organisation_a_project_or_a_beta_are_refused() {
    let (provider, gateway) = gateway(92).await;
    let token = format!("Bearer {}", gateway.token);
    for name in ["openai-organization", "openai-project", "openai-beta"] {
        let headers = [("authorization", token.as_str()), (name, "x")];
        let told = gateway.call("POST", &gateway.path("openai/chat/completions"), &headers, QUESTION).await;
        assert_forbidden(&told, Some(name), name);
    }
    let path = format!("{}?api-version=1", gateway.path("openai/chat/completions"));
    let headers = [("authorization", token.as_str())];
    assert_forbidden(&gateway.call("POST", &path, &headers, QUESTION).await, None, "a query");
    let form =
        [("authorization", token.as_str()), (CONTENT_TYPE.as_str(), "multipart/form-data; boundary=b")];
    let told = gateway.call("POST", &gateway.path("openai/chat/completions"), &form, QUESTION).await;
    assert_forbidden(&told, Some("content-type"), "a form");
    assert_eq!(provider.times_asked(), 0);
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_never_paid() {
    let (provider, gateway) = gateway(93).await;
    let token = format!("Bearer {}", gateway.token);
    let headers = [("authorization", token.as_str()), ("content-encoding", "br")];
    let path = gateway.path("openai/chat/completions");
    assert_forbidden(&gateway.call("POST", &path, &headers, QUESTION).await, None, "brotli");
    for encodings in [["identity", "gzip"], ["gzip", "gzip"]] {
        let encodings = encodings.map(|encoding| ("content-encoding", encoding));
        let headers = [headers[0], encodings[0], encodings[1]];
        assert_forbidden(&gateway.call("POST", &path, &headers, QUESTION).await, None, "twice");
    }
    // In the gateway's own shape.
    let headers = [("cf-aig-authorization", token.as_str())];
    let told = gateway.call("POST", &path, &headers, &chat(r#""store":true"#)).await;
    let said: Value = told.json();
    assert_eq!((told.status, &said["error"][0]["code"]), (400, &9020.into()));
    assert!(said["message"].as_str().is_some_and(|message| message.contains("`store`")), "{said}");
    assert_eq!(provider.times_asked(), 0);
}

#[tokio::test]
async fn no_trick_of_http_changes_what_is_asked_or_who_asks() {
    let (provider, gateway) = gateway(94).await;
    let (token, length) = (&gateway.token, QUESTION.len());
    let chat = gateway.path("openai/chat/completions");
    let at = |path: &str, more: &str, body: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: close\r\n{more}\r\n{body}"
        )
    };
    let plain = format!("content-length: {length}\r\n");
    let with = |more: &str| at(&chat, &format!("{plain}{more}\r\n"), QUESTION);
    let chunked = format!("{length:x}\r\n{QUESTION}\r\n0\r\n");
    for (ask, status) in [
        // What is said twice, or of another length than it has.
        (with("content-length: 5"), "400"),
        (with("transfer-encoding: chunked"), "400"),
        (with("content-type: application/json\r\ncontent-type: text/plain"), "400"),
        (with("content-type: text/plain"), "400"),
        (with("content-type: application/json; charset=utf-16"), "400"),
        (with("content-encoding: gzip"), "400"),
        // What leads elsewhere.
        (at(&format!("{chat};a=b"), &plain, QUESTION), "400"),
        (at(&format!("{chat}?model=gpt-4o"), &plain, QUESTION), "400"),
        (at(&format!("{chat}/%2e%2e/%2e%2e/files"), &plain, QUESTION), "400"),
        (at(&gateway.path("openai/chat%2fcompletions"), &plain, QUESTION), "400"),
        (at(&gateway.path("openai/chat//completions"), &plain, QUESTION), "400"),
        (at(&gateway.path("openai/v1/responses/../files"), &plain, QUESTION), "400"),
        // What is left out without a word, so that the provider is asked the same.
        (with("connection: authorization, content-type, store"), "200"),
        (with("connection: upgrade\r\nupgrade: websocket"), "200"),
        (with("x-http-method-override: DELETE"), "200"),
        (with("x-forwarded-host: files"), "200"),
        (with("content-encoding: identity"), "200"),
        (
            at(
                &chat,
                "transfer-encoding: chunked\r\n",
                &format!("{chunked}authorization: Bearer sk-x\r\n\r\n"),
            ),
            "200",
        ),
    ] {
        let before = provider.times_asked();
        let told = gateway.raw(ask.as_bytes(), PATIENCE).await;
        assert!(told.starts_with(&format!("HTTP/1.1 {status}")), "{ask}\n{told}");
        assert_eq!(provider.times_asked() - before, usize::from(status == "200"), "{ask}");
        if status == "200" {
            let asked = provider.asked();
            assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/v1/chat/completions"));
            assert_eq!(asked.headers["authorization"], format!("Bearer {OPERATORS_KEY}"));
            for name in ["upgrade", "x-http-method-override", "x-forwarded-host", "content-encoding"] {
                assert!(!asked.headers.contains_key(name), "{ask}");
            }
        }
    }
}
