//! What is asked, and how it is refused.

mod support;

use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use model::gateway::{ErrorShape, GatewaySettings};
use model::usage::Outcome;
use support::provider::{Provider, whole};
use support::{COMPLETION, Gateway, QUESTION, Setup};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const KEY: (&str, &str) = ("authorization", "Bearer sk-own");

#[tokio::test]
async fn a_native_call_passes_verbatim_and_leaves_one_record() {
    let provider = Provider::answering(|_| {
        Box::pin(async {
            let mut answer = whole(200, "application/json", COMPLETION);
            answer.headers_mut().insert("x-request-id", "req_1".parse().unwrap());
            answer.headers_mut().insert("x-ratelimit-remaining-requests", "99".parse().unwrap());
            answer
        })
    })
    .await;
    let mut gateway = Gateway::before(&provider, 20).await;
    let headers = [
        KEY,
        ("content-type", "application/json"),
        ("cf-aig-event-id", "evt-7"),
        ("cf-aig-metadata", r#"{"team":"a","n":1}"#),
        ("user-agent", "test/1"),
    ];
    let told =
        gateway.call("POST", &gateway.path("openai/v1/chat/completions?a=1"), &headers, QUESTION).await;
    assert_eq!((told.status, told.text()), (200, COMPLETION));
    assert_eq!(told.header("x-request-id"), "req_1");
    assert_eq!(told.header("x-ratelimit-remaining-requests"), "99");
    assert_eq!(told.header("cf-aig-event-id"), "evt-7");
    assert_eq!(told.header("cf-aig-step"), "0");
    assert_eq!(told.header("cf-aig-log-id"), told.header("cf-aig-request-id"));
    assert!(told.header("server-timing").starts_with("tollgate;dur="));
    assert_eq!(provider.asked().path, "/v1/chat/completions?a=1");

    let record = gateway.record().await;
    assert_eq!(record.id.to_string(), told.header("cf-aig-request-id"));
    assert_eq!((record.outcome, record.status), (Outcome::Answered, 200));
    assert_eq!((record.provider.as_str(), record.endpoint.as_str()), ("openai", "chat_completions"));
    assert_eq!(record.model_asked, "gpt-4o-mini");
    assert_eq!(record.model_served, "gpt-4o-mini-2024-07-18");
    assert_eq!((record.tokens.input, record.tokens.output), (9, 3));
    assert_eq!(record.provenance.as_str(), "reported");
    // 9 at 150,000 pico-dollars and 3 at 600,000: 3,150 nano-dollars.
    assert_eq!(record.cost.map(|cost| cost.0), Some(3150));
    assert!(!record.price_version.is_empty());
    assert_eq!(record.request_bytes, QUESTION.len() as u64);
    assert_eq!(record.response_bytes, COMPLETION.len() as u64);
    assert_eq!((record.event_id.as_str(), record.user_agent.as_str()), ("evt-7", "test/1"));
    assert_eq!(record.metadata, r#"{"n":1,"team":"a"}"#);
    assert!(record.collect_log && record.timings.total > 0 && record.timings.upstream_first_byte > 0);
    assert!(gateway.no_record().await);
}

#[tokio::test]
async fn a_providers_errors_are_its_own() {
    let provider = Provider::answering(|_| {
        Box::pin(async {
            let mut answer = whole(429, "application/json", r#"{"error":{"message":"slow down"}}"#);
            answer.headers_mut().insert("retry-after", "7".parse().unwrap());
            answer
        })
    })
    .await;
    let mut gateway = Gateway::before(&provider, 21).await;
    let told = gateway.chat(QUESTION).await;
    assert_eq!((told.status, told.text()), (429, r#"{"error":{"message":"slow down"}}"#));
    assert_eq!(told.header("retry-after"), "7");
    let record = gateway.record().await;
    assert_eq!((record.outcome, record.status, record.error_code), (Outcome::Answered, 429, 0));
}

#[tokio::test]
async fn what_is_unknown_is_refused_in_the_callers_shape() {
    let provider = Provider::saying(COMPLETION).await;
    let mut gateway = Gateway::before(&provider, 22).await;
    let chat = |gateway: &str| format!("/v1/{gateway}/openai/chat/completions");
    let nobody = "00000000000000000000000000000000";
    for (path, status, code) in [
        (chat(&format!("{nobody}/demo")), 400, 2001),
        (chat(&format!("{}/nowhere", gateway.account)), 400, 2001),
        (chat("not-an-account/demo"), 400, 2001),
        (gateway.path("nobody/chat/completions"), 400, 2008),
        (gateway.path("compat/audio/speech"), 400, 2008),
        (gateway.path("openai/../admin"), 400, 9003),
        (gateway.path("openai/%2e%2e/admin"), 400, 9003),
        ("/health".to_owned(), 404, 9001),
    ] {
        let told = gateway.call("POST", &path, &[KEY, ("cf-aig-event-id", "x")], QUESTION).await;
        assert_eq!((told.status, told.json()["error"][0]["code"].as_u64()), (status, Some(code)), "{path}");
        let told = gateway.call("POST", &path, &[KEY], QUESTION).await;
        assert_eq!(told.json()["error"]["internal_code"], code, "{path}");
        assert_eq!(told.json()["error"]["request_id"], told.header("cf-aig-request-id"));
    }
    let universal = gateway.call("POST", &gateway.path(""), &[KEY], "[]").await;
    assert_eq!(universal.json()["error"][0]["code"], 2008);
    assert_eq!(provider.times_asked(), 0);
    let record = gateway.record().await;
    assert_eq!((record.outcome, record.error_code, record.status), (Outcome::Refused, 2008, 400));
}

#[tokio::test]
async fn the_gateway_may_decide_the_shape_of_errors() {
    let provider = Provider::saying(COMPLETION).await;
    for (shard, error_shape, is_list) in [(23, ErrorShape::Gateway, true), (24, ErrorShape::Provider, false)]
    {
        let settings = GatewaySettings { error_shape, ..GatewaySettings::default() };
        let gateway = Gateway::start(provider.address, shard, Setup { settings, ..Setup::default() }).await;
        for headers in [vec![KEY], vec![KEY, ("cf-aig-event-id", "x")]] {
            let told = gateway.call("POST", &gateway.path("nobody/x"), &headers, "").await;
            assert_eq!(told.json()["error"].is_array(), is_list);
        }
    }
}

#[tokio::test]
async fn until_it_is_in_sync_the_proxy_does_not_deny_what_may_exist() {
    let provider = Provider::saying(COMPLETION).await;
    let setup = Setup { is_current: false, ..Setup::default() };
    let gateway = Gateway::start(provider.address, 25, setup).await;
    let unknown = gateway.path("openai/models").replace("/demo/", "/new/");
    let told = gateway.call("GET", &unknown, &[KEY], "").await;
    assert_eq!((told.status, told.header("retry-after")), (503, "1"));
    let token = gateway.token.replace("tg_gw_0", "tg_gw_f");
    let told =
        gateway.call("GET", &gateway.path("openai/models"), &[("cf-aig-authorization", &token)], "").await;
    assert_eq!(told.status, 503);
    assert_eq!(gateway.chat(QUESTION).await.status, 200);
}

#[tokio::test]
async fn bodies_that_can_be_read_in_two_ways_are_refused() {
    let provider = Provider::saying(COMPLETION).await;
    let gateway = Gateway::before(&provider, 26).await;
    for (body, field) in [
        (r#"{"model":"a","mod\u0065l":"b"}"#, Some("model")),
        (r#"{"model":7}"#, Some("model")),
        (r#"{"model":"a","stream":"yes"}"#, Some("stream")),
        (r#"{"model":"a""#, None),
        ("[]", None),
        ("", None),
    ] {
        let told = gateway.chat(body).await;
        assert_eq!(told.status, 400, "{body}");
        assert_eq!(told.json()["error"]["param"].as_str(), field, "{body}");
    }
    assert_eq!(provider.times_asked(), 0);
}

#[tokio::test]
async fn all_bodies_together_are_bounded_and_one_that_ends_makes_room() {
    let provider = Provider::saying(COMPLETION).await;
    let mut setup = Setup::default();
    setup.bounds.max_buffered_bytes = 1 << 20;
    let gateway = Gateway::start(provider.address, 36, setup).await;
    let padding = format!("{{\"padding\":\"{}\",", "x".repeat(600_000));
    let long = QUESTION.replacen('{', &padding, 1);
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-own\r\ncontent-length: {}\r\n\r\n",
        gateway.path("openai/chat/completions"),
        long.len()
    );
    let mut unfinished = gateway.connect().await;
    unfinished.write_all(head.as_bytes()).await.unwrap();
    unfinished.write_all(&long.as_bytes()[..long.len() - 1]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let told = gateway.chat(&long).await;
    assert_eq!((told.status, told.header("retry-after")), (503, "1"), "{}", told.text());
    assert_eq!(told.json()["error"]["code"], "too_many_bodies");
    assert_eq!(gateway.chat(QUESTION).await.status, 200);
    drop(unfinished);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(gateway.chat(&long).await.status, 200);
}

#[tokio::test]
async fn a_connection_on_which_a_request_never_ended_holds_nobody_up() {
    // Answers before it has read all of a request, and never reads the rest.
    let provider = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = provider.local_addr().unwrap();
    tokio::spawn(async move {
        let mut connections = Vec::new();
        while let Ok((mut stream, _)) = provider.accept().await {
            let _ = stream.read(&mut [0; 1024]).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
            connections.push(stream);
        }
    });
    let mut setup = Setup::default();
    setup.bounds.max_json_bytes = 32 << 20;
    let gateway = Gateway::start(address, 38, setup).await;
    let padding = format!("{{\"padding\":\"{}\",", "x".repeat(16 << 20));
    assert_eq!(gateway.chat(&QUESTION.replacen('{', &padding, 1)).await.status, 200);
    let next = tokio::time::timeout(Duration::from_secs(2), gateway.chat(QUESTION)).await;
    assert_eq!(next.unwrap().status, 200);
}

#[tokio::test]
async fn a_name_without_end_goes_to_the_provider_and_not_into_the_record() {
    let provider = Provider::saying(COMPLETION).await;
    let mut gateway = Gateway::before(&provider, 37).await;
    let body = format!(r#"{{"model":"{}","messages":[]}}"#, "é".repeat(100_000));
    assert_eq!(gateway.chat(&body).await.status, 200);
    assert_eq!(provider.asked().body, body);
    assert_eq!(gateway.record().await.model_asked, "é".repeat(128));
}

#[tokio::test]
async fn large_bodies_are_refused_by_the_limits_name_before_they_are_read() {
    let provider = Provider::saying(COMPLETION).await;
    let mut gateway = Gateway::before(&provider, 27).await;
    let path = gateway.path("openai/chat/completions");
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-own\r\ncontent-length: 104857600\r\nexpect: 100-continue\r\n\r\n"
    );
    let told = gateway.raw(head.as_bytes(), Duration::from_secs(1)).await;
    assert!(told.starts_with("HTTP/1.1 413"), "{told}");
    assert!(told.contains("1048576"), "{told}");
    assert_eq!(gateway.record().await.cause, "body_too_large");
    // Chunked, so that nobody knows before it is too much.
    let mut chunked = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-own\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    .into_bytes();
    for _ in 0..20 {
        chunked.extend_from_slice(b"10000\r\n");
        chunked.extend_from_slice(&[b' '; 0x10000]);
        chunked.extend_from_slice(b"\r\n");
    }
    let told = gateway.raw(&chunked, Duration::from_secs(1)).await;
    assert!(told.starts_with("HTTP/1.1 413"), "{told}");
    assert_eq!(provider.times_asked(), 0);
}

#[tokio::test]
async fn a_caller_who_waits_for_permission_gets_it_when_the_body_is_wanted() {
    let provider = Provider::saying(COMPLETION).await;
    let gateway = Gateway::before(&provider, 28).await;
    let length = QUESTION.len();
    let ask = |authorization: &str| {
        format!(
            "POST {} HTTP/1.1\r\nhost: x\r\n{authorization}\r\ncontent-length: {length}\r\nexpect: 100-continue\r\n\r\n",
            gateway.path("openai/chat/completions")
        )
    };
    let refused =
        gateway.raw(ask("authorization: Bearer tg_gw_bad").as_bytes(), Duration::from_millis(500)).await;
    assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
    let wanted =
        gateway.raw(ask("authorization: Bearer sk-own").as_bytes(), Duration::from_millis(500)).await;
    assert_eq!(wanted, "HTTP/1.1 100 Continue\r\n\r\n");
}

#[tokio::test]
async fn a_slow_head_and_an_endless_one_end() {
    let provider = Provider::saying(COMPLETION).await;
    let mut setup = Setup::default();
    setup.bounds.header = Duration::from_millis(300);
    setup.bounds.body_idle = Duration::from_millis(300);
    let mut gateway = Gateway::start(provider.address, 29, setup).await;
    gateway.raw_until_closed(b"POST /v1/x HTTP/1.1\r\nhost: x\r\nx-slow: ").await;
    let endless = format!("GET / HTTP/1.1\r\nhost: x\r\n{}", "x-more: 0123456789\r\n".repeat(20_000));
    let told = gateway.raw_until_closed(endless.as_bytes()).await;
    assert!(told.is_empty() || told.starts_with("HTTP/1.1 431"), "{told}");
    let slow_body = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-own\r\ncontent-length: 100\r\n\r\n{{",
        gateway.path("openai/chat/completions")
    );
    let told = gateway.raw_until_closed(slow_body.as_bytes()).await;
    assert!(told.starts_with("HTTP/1.1 408"), "{told}");
    assert_eq!(gateway.record().await.cause, "body_timeout");
}

#[tokio::test]
async fn http_2_is_spoken_with_prior_knowledge() {
    let provider = Provider::saying(COMPLETION).await;
    let gateway = Gateway::before(&provider, 30).await;
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(gateway.connect().await))
            .await
            .unwrap();
    tokio::spawn(connection);
    let request = Request::post(format!("http://gateway{}", gateway.path("openai/chat/completions")))
        .header("authorization", "Bearer sk-own")
        .body(Full::new(bytes::Bytes::from_static(QUESTION.as_bytes())))
        .unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), COMPLETION);
    assert_eq!(provider.asked().headers["host"], provider.address.to_string());
}

#[tokio::test]
async fn compat_names_the_provider_in_the_model() {
    let provider = Provider::saying(COMPLETION).await;
    let mut gateway = Gateway::before(&provider, 31).await;
    let body = r#"{"messages":[], "model":"openai/gpt-4o-mini" ,"temperature":1.50}"#;
    for path in ["compat/chat/completions", "compat/v1/chat/completions"] {
        let told = gateway.call("POST", &gateway.path(path), &[KEY], body).await;
        assert_eq!(told.status, 200, "{}", told.text());
        assert_eq!(provider.asked().path, "/v1/chat/completions");
        assert_eq!(provider.asked().body, r#"{"messages":[], "model":"gpt-4o-mini" ,"temperature":1.50}"#);
        let record = gateway.record().await;
        assert_eq!((record.model_asked.as_str(), record.dialect.as_str()), ("openai/gpt-4o-mini", "compat"));
        assert_eq!(record.cost.map(|cost| cost.0), Some(3150));
    }
    for (body, code) in
        [(r#"{"model":"gpt-4o"}"#, 2019), ("{}", 2019), ("{", 2019), (r#"{"model":"nobody/x"}"#, 2008)]
    {
        let told = gateway.call("POST", &gateway.path("compat/chat/completions"), &[KEY], body).await;
        assert_eq!(told.json()["error"]["internal_code"], code, "{body}");
    }
    let token = format!("Bearer {}", gateway.token);
    let told = gateway.call("GET", &gateway.path("compat/v1/models"), &[("authorization", &token)], "").await;
    assert!(told.json()["data"].as_array().unwrap().iter().any(|model| model["id"] == "openai/gpt-4o"));
}

#[tokio::test]
async fn a_compressed_body_is_read_and_goes_on_as_it_came() {
    let provider = Provider::saying(COMPLETION).await;
    let mut gateway = Gateway::before(&provider, 32).await;
    let gzip = |text: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        std::io::Write::write_all(&mut encoder, text).unwrap();
        encoder.finish().unwrap()
    };
    let send = async |gateway: &Gateway, body: &[u8]| {
        let mut request = format!(
            "POST {} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-own\r\ncontent-encoding: gzip\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            gateway.path("openai/chat/completions"),
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        gateway.raw(&request, Duration::from_secs(2)).await
    };
    let compressed = gzip(QUESTION.as_bytes());
    assert!(send(&gateway, &compressed).await.starts_with("HTTP/1.1 200"));
    assert_eq!(provider.asked().body, compressed);
    assert_eq!(gateway.record().await.model_asked, "gpt-4o-mini");
    assert!(send(&gateway, b"no gzip").await.contains("invalid_encoding"));
    let bomb = gzip(&vec![b' '; 8 << 20]);
    assert!(send(&gateway, &bomb).await.starts_with("HTTP/1.1 413"));
}

#[tokio::test]
async fn uploads_and_binary_answers_pass() {
    let provider = Provider::answering(|asked| {
        Box::pin(async move {
            let kind = if asked.path.ends_with("speech") { "audio/mpeg" } else { "application/json" };
            let body = "\u{1}".repeat(100_000);
            whole(200, kind, &body)
        })
    })
    .await;
    let mut gateway = Gateway::before(&provider, 33).await;
    let form = format!(
        "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n{}\r\n--b--\r\n",
        "x".repeat(300_000)
    );
    let headers = [KEY, ("content-type", "multipart/form-data; boundary=b")];
    let told = gateway.call("POST", &gateway.path("openai/audio/transcriptions"), &headers, &form).await;
    assert_eq!(told.status, 200);
    assert_eq!(provider.asked().body, form);
    let record = gateway.record().await;
    assert_eq!((record.model_asked.as_str(), record.request_bytes), ("whisper-1", form.len() as u64));

    let speech = r#"{"model":"tts-1","input":"hello"}"#;
    let told = gateway.call("POST", &gateway.path("openai/audio/speech"), &[KEY], speech).await;
    assert_eq!((told.header("content-type"), told.body.len()), ("audio/mpeg", 100_000));
    assert_eq!(gateway.record().await.response_bytes, 100_000);
    for (method, path) in
        [("GET", "openai/files/file-1"), ("DELETE", "openai/models/x"), ("HEAD", "openai/models")]
    {
        let told = gateway.call(method, &gateway.path(path), &[KEY], "").await;
        assert_eq!(told.status, 200, "{method} {path}");
        assert_eq!(provider.asked().method, method);
    }
}

#[tokio::test]
async fn the_callers_own_prices_decide_what_is_reported() {
    let provider = Provider::saying(COMPLETION).await;
    let mut gateway = Gateway::before(&provider, 60).await;
    let path = gateway.path("openai/chat/completions");
    let custom = ("cf-aig-custom-cost", r#"{"per_token_in":0.001,"per_token_out":0.002}"#);
    assert_eq!(gateway.call("POST", &path, &[KEY, custom], QUESTION).await.status, 200);
    assert!(!provider.asked().headers.contains_key("cf-aig-custom-cost"));
    let record = gateway.record().await;
    // 9 at a tenth of a cent and 3 at two.
    assert_eq!((record.cost.map(|cost| cost.0), record.custom_cost), (Some(15_000_000), true));
    assert_eq!(record.price_version, "");

    let told = gateway
        .call("POST", &path, &[KEY, ("cf-aig-custom-cost", r#"{"per_token_in":"1"}"#)], QUESTION)
        .await;
    assert_eq!((told.status, told.json()["error"][0]["code"].as_u64()), (400, Some(9010)));
    assert!(told.text().contains("cf-aig-custom-cost"), "{}", told.text());
    assert_eq!(provider.times_asked(), 1);
}
