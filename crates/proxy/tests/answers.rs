//! Traffic policies at work on answers: what they replace, ask about and log, and that what the provider did is
//! metered as if they had not.

#![expect(clippy::unwrap_used, reason = "what tests share, which the lint does not take for tests")]

mod support;

use std::io::Write as _;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::Response;
use http_body_util::{Channel, Either, Full};
use model::Nanos;
use model::gateway::ErrorShape;
use model::operator_key::Cancel;
use model::usage::Outcome;
use serde_json::json;
use support::fed::{ASK, Caller, DONE, FIRST, LAST, USAGE, fed, feed};
use support::provider::{Provider, ProvidersBody, Sender, whole};
use support::{COMPLETION, Gateway, OPERATORS_KEY, Operators, PATIENCE, QUESTION, Setup, Told};

const DOLLAR: i64 = 1_000_000_000;

fn under(policy: &'static str) -> Setup {
    let mut setup = Setup { policy: Some(policy), ..Setup::default() };
    setup.settings.error_shape = ErrorShape::Ngrok;
    setup
}

fn gzipped(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn encoded(encoding: &'static str, content_type: &'static str, body: Vec<u8>) -> Response<ProvidersBody> {
    Response::builder()
        .header("content-type", content_type)
        .header("content-encoding", encoding)
        .header("etag", "\"a\"")
        .body(Either::Left(Full::new(body.into())))
        .unwrap()
}

async fn ask(gateway: &Gateway, headers: &[(&str, &str)]) -> Told {
    let own = [("authorization", "Bearer sk-own"), ("content-type", "application/json")];
    let headers: Vec<_> = headers.iter().copied().chain(own).collect();
    gateway.call("POST", &gateway.path("openai/chat/completions"), &headers, QUESTION).await
}

const REDACTS: &str = r#"
on_http_response:
  - type: response-body-find-replace
    config:
      replacements:
        - from: '[a-z]+@[a-z]+\.example'
          to: '[address]'
on_event_stream_message:
  - type: sse-find-replace
    config:
      replacements:
        - from: '[a-z]+@[a-z]+\.example'
          to: '[address]'
        - from: never
          to: '0'
          field: retry
"#;

#[tokio::test]
async fn text_in_a_whole_answer_is_replaced_and_the_providers_answer_is_metered() {
    let said = COMPLETION.replacen("Hi", "Write to ada@home.example, or to bob@work.example", 1);
    let said: &'static str = said.leak();
    let provider = Provider::saying(said).await;
    let mut gateway = Gateway::start(provider.address, 176, under(REDACTS)).await;
    let told = ask(&gateway, &[]).await;
    let redacted = said.replace("ada@home.example", "[address]").replace("bob@work.example", "[address]");
    assert_eq!((told.status, told.text()), (200, redacted.as_str()));
    assert_eq!(told.header("content-length"), redacted.len().to_string());
    let record = gateway.record().await;
    assert_eq!((record.outcome, record.cause.as_str()), (Outcome::Answered, ""));
    assert_eq!((record.provenance.as_str(), record.response_bytes), ("reported", redacted.len() as u64));
    assert_ne!((record.tokens.input, record.tokens.output), (0, 0));
    // So is one that comes in pieces, and whose length nobody knows.
    let pieces = Provider::answering(move |_| {
        let (mut sender, body) = Channel::new(4);
        tokio::spawn(async move {
            for piece in said.as_bytes().chunks(7) {
                sender.send_data(Bytes::from_static(piece)).await.unwrap();
            }
        });
        let answer = Response::builder().header("content-type", "application/json");
        Box::pin(async { answer.body(Either::Right(body)).unwrap() })
    })
    .await;
    let mut gateway = Gateway::start(pieces.address, 177, under(REDACTS)).await;
    assert_eq!(ask(&gateway, &[]).await.text(), redacted);
    let again = gateway.record().await;
    assert_eq!((again.tokens, again.response_bytes), (record.tokens, record.response_bytes));
}

#[tokio::test]
async fn an_answer_that_came_compressed_is_read_or_does_not_pass() {
    let provider = Provider::answering(|asked| {
        Box::pin(async move {
            match asked.headers["x-case"].to_str().unwrap() {
                "match" => encoded("gzip", "application/json", gzipped(r#"{"to":"ada@home.example"}"#)),
                "none" => encoded("gzip", "application/json", gzipped(r#"{"to":"nobody"}"#)),
                "broken" => encoded("gzip", "application/json", b"ada@home.example".to_vec()),
                "stream" => encoded("gzip", "text/event-stream", gzipped("data: ada@home.example\n\n")),
                _ => encoded("br", "application/json", b"ada@home.example".to_vec()),
            }
        })
    })
    .await;
    let mut gateway = Gateway::start(provider.address, 178, under(REDACTS)).await;
    let told = ask(&gateway, &[("x-case", "match")]).await;
    assert_eq!((told.status, told.text()), (200, r#"{"to":"[address]"}"#));
    assert_eq!((told.header("content-encoding"), told.header("etag")), ("", ""));
    gateway.record().await;
    let told = ask(&gateway, &[("x-case", "none")]).await;
    assert_eq!((told.header("content-encoding"), told.header("etag")), ("gzip", "\"a\""));
    assert_eq!(told.body, gzipped(r#"{"to":"nobody"}"#));
    gateway.record().await;
    for case in ["broken", "br", "stream"] {
        let told = ask(&gateway, &[("x-case", case)]).await;
        assert_eq!((told.status, told.header("ngrok-error-code")), (503, "ERR_NGROK_2253"), "{case}");
        assert!(!told.text().contains("ada"), "{case}");
        let record = gateway.record().await;
        assert_eq!((record.status, record.outcome), (503, Outcome::Failed), "{case}");
        assert_eq!(record.cause, "policy", "{case}");
    }
}

#[tokio::test]
async fn an_answer_that_there_is_no_room_for_does_not_pass() {
    let provider = Provider::answering(|asked| {
        Box::pin(async move {
            let body = format!(r#"{{"to":"ada@home.example{}"}}"#, " ".repeat(2 << 20));
            if asked.headers.contains_key("x-announced") {
                return whole(200, "application/json", &body);
            }
            let (mut sender, channel) = Channel::new(4);
            tokio::spawn(async move {
                for piece in body.into_bytes().chunks(64 << 10) {
                    if sender.send_data(Bytes::copy_from_slice(piece)).await.is_err() {
                        return;
                    }
                }
            });
            let answer = Response::builder().header("content-type", "application/json");
            answer.body(Either::Right(channel)).unwrap()
        })
    })
    .await;
    let mut gateway = Gateway::start(provider.address, 179, under(REDACTS)).await;
    for headers in [&[][..], &[("x-announced", "1")]] {
        let told = ask(&gateway, headers).await;
        assert_eq!((told.status, told.header("ngrok-error-code")), (503, "ERR_NGROK_2253"));
        assert!(!told.text().contains("ada"));
        let record = gateway.record().await;
        assert_eq!((record.status, record.cause.as_str()), (503, "policy"));
    }
}

const ADDRESS: [&str; 3] = [
    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"ada@ho",
    "me.example\"}}],\"usage\":null}\r",
    "\n\r\n: still here\n\nevent: x\r\nretry: never\r\ndata: bob@work.example\r\n\r\n",
];

#[tokio::test]
async fn messages_are_looked_at_as_a_whole_however_they_are_cut() {
    let (provider, senders) = fed().await;
    let mut gateway = Gateway::start(provider.address, 180, under(REDACTS)).await;
    let mut caller = Caller::asks(&gateway, ASK).await;
    feed(&senders, FIRST).await;
    assert_eq!(caller.next().await.as_deref(), Some(FIRST));
    for text in ADDRESS {
        feed(&senders, text).await;
    }
    let content = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"[address]\"}}],\"usage\":null}\r\n\r\n";
    let others = ": still here\n\nevent: x\r\nretry: 0\r\ndata: [address]\r\n\r\n";
    for text in [LAST, USAGE, DONE] {
        feed(&senders, text).await;
    }
    senders.lock().unwrap().clear();
    let expected = [content, others, LAST, DONE].concat();
    assert_eq!(caller.rest().await, expected);
    let record = gateway.record().await;
    assert_eq!((record.outcome, record.provenance.as_str()), (Outcome::Answered, "reported"));
    assert_eq!((record.tokens.input, record.tokens.output), (8, 2));
    assert_eq!(record.response_bytes, (FIRST.len() + expected.len()) as u64);
}

#[tokio::test]
async fn a_message_that_nothing_ended_is_looked_at_and_one_that_is_no_text_ends_the_stream() {
    let (provider, senders) = fed().await;
    let mut gateway = Gateway::start(provider.address, 181, under(REDACTS)).await;
    let caller = Caller::asks(&gateway, ASK).await;
    feed(&senders, FIRST).await;
    feed(&senders, "data: ada@home.example").await;
    senders.lock().unwrap().clear();
    assert_eq!(caller.rest().await, [FIRST, "data: [address]\n"].concat());
    gateway.record().await;
    let caller = Caller::asks(&gateway, ASK).await;
    feed(&senders, FIRST).await;
    let mut sender = senders.lock().unwrap().pop().unwrap();
    sender.send_data(Bytes::from_static(b"data: ada@home.example \xff\n\n")).await.unwrap();
    let told = caller.rest().await;
    let rest = told.strip_prefix(FIRST).unwrap();
    assert!(rest.contains("ERR_NGROK_2253") && !rest.contains("ada"), "{rest}");
    let record = gateway.record().await;
    assert_eq!((record.outcome, record.cause.as_str()), (Outcome::Failed, "policy"));
    // Of one's own key nothing more is spent.
    closes(sender).await;
}

#[tokio::test]
async fn who_hangs_up_in_a_stream_that_is_looked_at_is_still_metered() {
    let (provider, senders) = fed().await;
    let mut gateway = Gateway::start(provider.address, 182, under(REDACTS)).await;
    let mut caller = Caller::asks(&gateway, ASK).await;
    feed(&senders, FIRST).await;
    assert_eq!(caller.next().await.as_deref(), Some(FIRST));
    feed(&senders, ADDRESS[0]).await;
    caller.hangs_up();
    let record = gateway.record().await;
    assert_eq!((record.outcome, record.response_bytes), (Outcome::HungUp, FIRST.len() as u64));
    assert_eq!(record.provenance.as_str(), "counted");
    let sender = senders.lock().unwrap().pop().unwrap();
    closes(sender).await;
}

/// Waits until the provider's connection is closed.
async fn closes(mut sender: Sender) {
    let closing = async {
        while sender.send_data(Bytes::from_static(b": still there?\n\n")).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, closing).await.expect("the provider's connection closes");
}

const REPLACES: &str = "
on_http_response:
  - type: custom-response
    config: { status_code: 451, body: not this }
";

#[tokio::test]
async fn what_is_replaced_was_answered_and_the_rest_is_not_waited_for() {
    let (provider, senders) = fed().await;
    let mut gateway = Gateway::start(provider.address, 186, under(REPLACES)).await;
    let told = ask(&gateway, &[]).await;
    assert_eq!((told.status, told.text()), (451, "not this"));
    assert!(!told.header("cf-aig-request-id").is_empty());
    let record = gateway.record().await;
    assert_eq!((record.outcome, record.cause.as_str()), (Outcome::Answered, "policy"));
    assert_eq!((record.status, record.response_bytes), (451, 8));
    // Of one's own key nothing more is spent.
    let sender = senders.lock().unwrap().pop().unwrap();
    closes(sender).await;
    // What was produced already costs the same, whether anybody reads it.
    let long: &'static str = COMPLETION.replacen("Hi", &"Hello ".repeat(50_000), 1).leak();
    for (shard, said) in [(187, COMPLETION), (188, long)] {
        let provider = Provider::saying(said).await;
        let mut gateway = Gateway::start(provider.address, shard, under(REPLACES)).await;
        assert_eq!(ask(&gateway, &[]).await.status, 451);
        let record = gateway.record().await;
        assert_eq!((record.outcome, record.cause.as_str()), (Outcome::Answered, "policy"));
        assert_eq!((record.status, record.provenance.as_str()), (451, "reported"));
    }
}

#[tokio::test]
async fn what_credits_pay_for_is_read_to_its_end_and_charged_when_it_is_replaced() {
    let (provider, senders) = fed().await;
    let key = Operators { secret: OPERATORS_KEY, priority: 0, cancel: Some(Cancel::Drain) };
    let setup = Setup { policy: Some(REPLACES), operator_keys: vec![key], ..Setup::on_credits(DOLLAR) };
    let mut gateway = Gateway::start(provider.address, 189, setup).await;
    let caller = Caller::asks_on_credits(&gateway, ASK).await;
    assert_eq!(caller.answer.status(), 451);
    assert_eq!(caller.rest().await, "not this");
    for text in [FIRST, LAST, USAGE, DONE] {
        feed(&senders, text).await;
    }
    senders.lock().unwrap().clear();
    let record = gateway.record().await;
    assert_eq!((record.outcome, record.cause.as_str()), (Outcome::Answered, "policy"));
    // 8 tokens at 150,000 pico-dollars and 2 at 600,000.
    assert_eq!((record.charge, record.response_bytes), (Nanos(2400), 8));
    assert_eq!(gateway.paid().await, Nanos(2400));
}

#[tokio::test]
async fn others_are_asked_about_an_answer_and_what_is_logged_stands_in_the_record() {
    let judge = Provider::answering(|asked| {
        let verdict = if asked.body == "200" { "yes" } else { "no" };
        Box::pin(async move { whole(200, "text/plain", verdict) })
    })
    .await;
    let policy = format!(
        "
on_http_request:
  - type: log
    config: {{ metadata: {{ team: \"${{req.headers['x-team'][0]}}\", said: \"${{req.headers['authorization'][0]}}\" }} }}
on_http_response:
  - type: http-request
    config: {{ url: \"http://{}/\", method: POST, body: \"${{res.status_code}}\", on_error: halt }}
  - type: log
    config: {{ metadata: {{ verdict: \"${{actions.ngrok.http_request.res.body}}\" }} }}
  - expressions: [\"actions.ngrok.http_request.res.body != 'yes'\"]
    actions:
      - type: custom-response
        config: {{ status_code: 418 }}
",
        judge.address
    );
    let status = std::sync::Arc::new(Mutex::new(200));
    let said = std::sync::Arc::clone(&status);
    let provider = Provider::answering(move |_| {
        let status = *said.lock().unwrap();
        Box::pin(async move { whole(status, "application/json", COMPLETION) })
    })
    .await;
    let mut gateway = Gateway::start(provider.address, 190, under(policy.leak())).await;
    assert_eq!(ask(&gateway, &[("x-team", "red")]).await.status, 200);
    let logs = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let record = gateway.record().await;
    assert_eq!(logs(&record.policy_logs), json!([{"team": "red", "said": "****"}, {"verdict": "yes"}]));
    *status.lock().unwrap() = 400;
    assert_eq!(ask(&gateway, &[("x-team", "red")]).await.status, 418);
    let record = gateway.record().await;
    assert_eq!(logs(&record.policy_logs)[1], json!({"verdict": "no"}));
    assert_eq!((record.status, record.outcome), (418, Outcome::Answered));
    // Where nobody may see a log, nothing is kept for it.
    ask(&gateway, &[("x-team", "red"), ("cf-aig-collect-log", "false")]).await;
    assert_eq!(gateway.record().await.policy_logs, "");
}

#[tokio::test]
async fn who_leaves_while_others_are_asked_pays_for_what_was_read() {
    let judge = Provider::answering(|_| Box::pin(std::future::pending())).await;
    let policy = format!(
        "
on_http_response:
  - type: response-body-find-replace
    config: {{ replacements: [{{ from: never }}] }}
  - type: http-request
    config: {{ url: \"http://{}/\", timeout: 30s }}
",
        judge.address
    );
    let provider = Provider::saying(COMPLETION).await;
    let setup = Setup { policy: Some(policy.leak()), ..Setup::on_credits(DOLLAR) };
    let mut gateway = Gateway::start(provider.address, 191, setup).await;
    let leaving = async {
        while judge.times_asked() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        told = gateway.on_credits(QUESTION) => panic!("{told:?}"),
        () = leaving => (),
    }
    let record = gateway.record().await;
    assert_eq!((record.outcome, record.provenance.as_str()), (Outcome::HungUp, "reported"));
    // 9 tokens at 150,000 pico-dollars and 3 at 600,000.
    assert_eq!((record.charge, gateway.paid().await), (Nanos(3150), Nanos(3150)));
}
