//! Answers on their way: frame by frame, and what happens when either side ends early.

mod support;

use std::time::{Duration, Instant};

use bytes::Bytes;
use model::usage::Outcome;
use support::fed::{ASK, Caller, DONE, FIRST, LAST, USAGE, fed, feed};
use support::provider::{Provider, whole};
use support::{Gateway, PATIENCE, QUESTION, Setup};

#[tokio::test]
async fn frames_pass_as_they_arrive_and_our_usage_chunk_stays_here() {
    let (provider, senders) = fed().await;
    let mut gateway = Gateway::before(&provider, 40).await;
    let mut caller = Caller::asks(&gateway, ASK).await;
    let asked = String::from_utf8(provider.asked().body.to_vec()).unwrap();
    assert!(asked.starts_with(r#"{"stream_options":{"include_usage":true},"model""#), "{asked}");
    feed(&senders, FIRST).await;
    assert_eq!(caller.next().await.as_deref(), Some(FIRST));
    feed(&senders, LAST).await;
    assert_eq!(caller.next().await.as_deref(), Some(LAST));
    feed(&senders, USAGE).await;
    feed(&senders, DONE).await;
    assert_eq!(caller.next().await.as_deref(), Some(DONE));
    senders.lock().unwrap().clear();
    assert_eq!(caller.next().await, None);
    let record = gateway.record().await;
    assert_eq!((record.outcome, record.streamed), (Outcome::Answered, true));
    assert_eq!((record.tokens.input, record.tokens.output), (8, 2));
    assert_eq!(record.provenance.as_str(), "reported");
    assert_eq!(record.response_bytes, (FIRST.len() + LAST.len() + DONE.len()) as u64);
}

#[tokio::test]
async fn who_asked_for_usage_gets_it() {
    let (provider, senders) = fed().await;
    let gateway = Gateway::before(&provider, 41).await;
    let asks = r#"{"model":"gpt-4o-mini","stream":true,"stream_options":{"include_usage":true}}"#;
    let caller = Caller::asks(&gateway, asks).await;
    assert_eq!(provider.asked().body, asks);
    for text in [FIRST, USAGE, DONE] {
        feed(&senders, text).await;
    }
    senders.lock().unwrap().clear();
    assert_eq!(caller.rest().await, [FIRST, USAGE, DONE].concat());
}

#[tokio::test]
async fn without_usage_we_count() {
    let (provider, senders) = fed().await;
    let mut gateway = Gateway::before(&provider, 42).await;
    let caller = Caller::asks(&gateway, ASK).await;
    for text in [FIRST, LAST, DONE] {
        feed(&senders, text).await;
    }
    senders.lock().unwrap().clear();
    caller.rest().await;
    let record = gateway.record().await;
    assert_eq!(record.provenance.as_str(), "counted");
    assert_eq!((record.tokens.input, record.tokens.output), (8, 2));
}

#[tokio::test]
async fn a_caller_who_hangs_up_frees_the_provider_at_once_and_is_still_metered() {
    let (provider, senders) = fed().await;
    let mut gateway = Gateway::before(&provider, 43).await;
    let mut caller = Caller::asks(&gateway, ASK).await;
    feed(&senders, FIRST).await;
    assert!(caller.next().await.is_some());
    caller.hangs_up();
    let mut sender = senders.lock().unwrap().pop().unwrap();
    let closes = async {
        while sender.send_data(Bytes::from_static(b": still there?\n\n")).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, closes).await.expect("the provider's connection closes");
    let record = gateway.record().await;
    assert_eq!((record.outcome, record.status), (Outcome::HungUp, 200));
    assert_eq!((record.provenance.as_str(), record.tokens.output), ("counted", 2));
}

#[tokio::test]
async fn a_caller_who_leaves_before_the_answer_is_recorded() {
    let provider = Provider::answering(|_| {
        Box::pin(async {
            std::future::pending::<()>().await;
            whole(200, "text/plain", "")
        })
    })
    .await;
    let mut gateway = Gateway::before(&provider, 44).await;
    let ask = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-own\r\ncontent-length: {}\r\n\r\n{QUESTION}",
        gateway.path("openai/chat/completions"),
        QUESTION.len()
    );
    gateway.raw(ask.as_bytes(), Duration::from_millis(300)).await;
    let record = gateway.record().await;
    assert_eq!((record.outcome, record.status), (Outcome::HungUp, 0));
}

#[tokio::test]
async fn a_stream_that_breaks_off_ends_with_an_error_its_sdk_understands() {
    let provider = Provider::raw(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n5\r\ndata:\r\n",
    )
    .await;
    let mut gateway = Gateway::before(&provider, 45).await;
    let told = gateway.chat(ASK).await;
    assert!(told.text().contains("provider_broke_off") && told.text().ends_with("\n\n"), "{told:?}");
    assert!(!told.broke);
    let record = gateway.record().await;
    assert_eq!((record.outcome, record.cause.as_str()), (Outcome::Failed, "provider_broke_off"));
}

#[tokio::test]
async fn a_stream_without_its_end_is_known_to_be_half() {
    let (provider, senders) = fed().await;
    let mut gateway = Gateway::before(&provider, 46).await;
    let caller = Caller::asks(&gateway, ASK).await;
    feed(&senders, FIRST).await;
    senders.lock().unwrap().clear();
    assert_eq!(caller.rest().await, FIRST);
    assert_eq!(gateway.record().await.outcome, Outcome::Failed);
}

#[tokio::test]
async fn half_a_small_answer_is_told_as_an_error_and_half_a_large_one_breaks() {
    let provider = Provider::raw(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{\"id\":",
    )
    .await;
    let mut gateway = Gateway::before(&provider, 47).await;
    let told = gateway.chat(QUESTION).await;
    assert_eq!((told.status, told.json()["error"]["code"].as_str()), (502, Some("provider_broke_off")));
    assert_eq!(gateway.record().await.outcome, Outcome::Failed);

    let provider = Provider::raw(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000000\r\n\r\n{\"id\":",
    )
    .await;
    let mut gateway = Gateway::before(&provider, 48).await;
    let told = gateway.chat(QUESTION).await;
    assert!(told.broke);
    let record = gateway.record().await;
    assert_eq!((record.outcome, record.cause.as_str()), (Outcome::Failed, "provider_broke_off"));
}

#[tokio::test]
async fn an_unreachable_and_a_slow_provider_are_gateway_errors() {
    let nowhere = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut gateway = Gateway::start(nowhere, 49, Setup::default()).await;
    let told = gateway.chat(QUESTION).await;
    assert_eq!((told.status, told.json()["error"]["code"].as_str()), (502, Some("provider_unreachable")));
    assert_eq!(gateway.record().await.outcome, Outcome::Failed);

    let provider = Provider::answering(|_| {
        Box::pin(async {
            std::future::pending::<()>().await;
            whole(200, "text/plain", "never")
        })
    })
    .await;
    let mut gateway = Gateway::before(&provider, 50).await;
    let headers = [("authorization", "Bearer sk-own"), ("cf-aig-request-timeout", "200")];
    let told = gateway.call("POST", &gateway.path("openai/chat/completions"), &headers, QUESTION).await;
    assert_eq!((told.status, told.json()["cause"].as_str()), (504, Some("provider_timeout")));
    assert_eq!(gateway.record().await.cause, "provider_timeout");
}

#[tokio::test]
async fn a_revoked_token_ends_its_streams_within_a_second() {
    let (provider, senders) = fed().await;
    let mut gateway = Gateway::before(&provider, 51).await;
    let mut caller = Caller::asks(&gateway, ASK).await;
    feed(&senders, FIRST).await;
    assert!(caller.next().await.is_some());
    gateway.revoke_token();
    let begin = Instant::now();
    let rest = caller.rest().await;
    assert!(begin.elapsed() < Duration::from_secs(1));
    assert!(rest.contains("token_revoked"), "{rest}");
    assert_eq!(gateway.record().await.outcome, Outcome::Ended);
}

#[tokio::test]
async fn a_drain_lets_streams_finish_and_takes_no_new_callers() {
    let (provider, senders) = fed().await;
    let mut gateway = Gateway::before(&provider, 52).await;
    let mut caller = Caller::asks(&gateway, ASK).await;
    feed(&senders, FIRST).await;
    assert!(caller.next().await.is_some());
    gateway.shutdown.cancel();
    let closes = async {
        while tokio::net::TcpStream::connect(gateway.address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, closes).await.expect("the port closes");
    feed(&senders, DONE).await;
    senders.lock().unwrap().clear();
    assert_eq!(caller.rest().await, DONE);
    tokio::time::timeout(Duration::from_secs(2), &mut gateway.served).await.unwrap().unwrap();
    assert_eq!(gateway.record().await.outcome, Outcome::Answered);
}

#[tokio::test]
async fn a_drain_ends_what_does_not_finish() {
    let (provider, senders) = fed().await;
    let setup = Setup { drain: Duration::from_millis(200), ..Setup::default() };
    let mut gateway = Gateway::start(provider.address, 53, setup).await;
    let mut caller = Caller::asks(&gateway, ASK).await;
    feed(&senders, FIRST).await;
    assert!(caller.next().await.is_some());
    gateway.shutdown.cancel();
    let rest = caller.rest().await;
    assert!(rest.contains("This proxy is stopping"), "{rest}");
    assert_eq!(gateway.record().await.outcome, Outcome::Ended);
}

#[tokio::test]
async fn trailers_pass() {
    let provider = Provider::raw(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntrailer: x-checksum\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-checksum: 7\r\n\r\n",
    )
    .await;
    let gateway = Gateway::before(&provider, 54).await;
    let ask = format!(
        "GET {} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-own\r\nte: trailers\r\nconnection: close\r\n\r\n",
        gateway.path("openai/files/x/content")
    );
    let told = gateway.raw(ask.as_bytes(), Duration::from_secs(1)).await;
    assert!(told.contains("x-checksum: 7"), "{told}");
}
