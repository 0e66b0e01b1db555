//! Answers that traffic policies compress: read as they come, and metered as they came from the provider.

#![expect(clippy::unwrap_used, reason = "what tests share, which the lint does not take for tests")]

mod support;

use std::io::Read as _;
use std::time::Duration;

use bytes::Bytes;
use flate2::read::{GzDecoder, ZlibDecoder};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use model::usage::Outcome;
use support::fed::{ASK, DONE, FIRST, LAST, USAGE, fed, feed};
use support::provider::{Provider, whole};
use support::{COMPLETION, Gateway, PATIENCE, QUESTION, Setup, Told};

fn under(policy: &'static str) -> Setup {
    Setup { policy: Some(policy), ..Setup::default() }
}

async fn ask(gateway: &Gateway, headers: &[(&str, &str)]) -> Told {
    let own = [("authorization", "Bearer sk-own"), ("content-type", "application/json")];
    let headers: Vec<_> = headers.iter().copied().chain(own).collect();
    gateway.call("POST", &gateway.path("openai/chat/completions"), &headers, QUESTION).await
}

/// A stream for a caller who reads what is compressed.
async fn stream(gateway: &Gateway, accepts: &str, key: &str, body: &'static str) -> Response<Incoming> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(gateway.connect().await)).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    let request = Request::post(gateway.path("openai/chat/completions"))
        .header("host", "x")
        .header("authorization", format!("Bearer {key}"))
        .header("accept-encoding", accepts)
        .body(Full::new(Bytes::from_static(body.as_bytes())))
        .unwrap();
    let answer = sender.send_request(request).await.unwrap();
    // The connection lives as long as its sender or its body.
    drop(sender);
    answer
}

const COMPRESSES: &str = "
on_http_response:
  - type: compress-response
";

#[tokio::test]
async fn a_compressed_stream_can_be_read_as_it_comes() {
    let (provider, senders) = fed().await;
    let mut gateway = Gateway::start(provider.address, 183, under(COMPRESSES)).await;
    let mut answer = stream(&gateway, "gzip", "sk-own", ASK).await;
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    assert_eq!(answer.headers()["vary"], "accept-encoding");
    let mut sent = Vec::new();
    for text in [FIRST, LAST] {
        feed(&senders, text).await;
        sent.push(text);
    }
    let (mut came, expected) = (Vec::new(), sent.concat());
    // What was sent so far is read without its end.
    loop {
        let mut read = String::new();
        let _unfinished = GzDecoder::new(&*came).read_to_string(&mut read);
        if read == expected {
            break;
        }
        let frame = tokio::time::timeout(PATIENCE, answer.frame()).await.expect("a frame").unwrap().unwrap();
        came.extend_from_slice(&frame.into_data().unwrap());
    }
    feed(&senders, USAGE).await;
    feed(&senders, DONE).await;
    senders.lock().unwrap().clear();
    came.extend_from_slice(&answer.collect().await.unwrap().to_bytes());
    let mut all = String::new();
    GzDecoder::new(&*came).read_to_string(&mut all).unwrap();
    assert_eq!(all, [FIRST, LAST, DONE].concat());
    let record = gateway.record().await;
    assert_eq!((record.outcome, record.provenance.as_str()), (Outcome::Answered, "reported"));
    assert_eq!((record.tokens.input, record.tokens.output), (8, 2));
    assert_eq!(record.response_bytes, came.len() as u64);
}

#[tokio::test]
async fn a_compressed_stream_that_breaks_off_says_so_in_its_own_words() {
    let (provider, senders) = fed().await;
    let gateway = Gateway::start(provider.address, 184, under(COMPRESSES)).await;
    let mut answer = stream(&gateway, "deflate", "sk-own", ASK).await;
    feed(&senders, FIRST).await;
    let mut came = answer.frame().await.unwrap().unwrap().into_data().unwrap().to_vec();
    senders.lock().unwrap().pop().unwrap().abort(std::io::Error::other("gone"));
    came.extend_from_slice(&answer.collect().await.unwrap().to_bytes());
    let mut all = String::new();
    ZlibDecoder::new(&*came).read_to_string(&mut all).unwrap();
    assert!(all.starts_with(FIRST) && all.contains("broke off"), "{all}");
}

#[tokio::test]
async fn whole_answers_are_compressed_for_those_who_read_it() {
    let long: &'static str = COMPLETION.replacen("Hi", &"Hello ".repeat(50_000), 1).leak();
    let provider = Provider::answering(move |asked| {
        let is_long = asked.headers.contains_key("x-long");
        Box::pin(async move { whole(200, "application/json", if is_long { long } else { COMPLETION }) })
    })
    .await;
    let mut gateway = Gateway::start(provider.address, 185, under(COMPRESSES)).await;
    for (headers, said) in [(&[][..], COMPLETION), (&[("x-long", "1")], long)] {
        let accepting: Vec<_> = headers.iter().copied().chain([("accept-encoding", "gzip, br")]).collect();
        let told = ask(&gateway, &accepting).await;
        assert_eq!((told.status, told.header("content-encoding")), (200, "gzip"));
        let mut read = String::new();
        GzDecoder::new(&*told.body).read_to_string(&mut read).unwrap();
        assert!(read == said);
        let compressed = gateway.record().await;
        assert_eq!(compressed.response_bytes, told.body.len() as u64);
        let told = ask(&gateway, headers).await;
        assert_eq!((told.header("content-encoding"), told.header("vary")), ("", "accept-encoding"));
        assert!(told.text() == said);
        let plain = gateway.record().await;
        assert_eq!((plain.tokens, plain.response_bytes), (compressed.tokens, said.len() as u64));
    }
}

const ASK_LONG: &str = r#"{"model":"gpt-4o-mini","stream":true,"max_completion_tokens":10000,"service_tier":"default","messages":[{"role":"user","content":"Hello"}]}"#;

#[tokio::test]
async fn a_stream_that_cannot_be_paid_further_ends_as_a_compressed_one_must() {
    let words = " hello".repeat(100);
    let chunk = serde_json::json!({
        "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-mini-2024-07-18",
        "choices": [{"index": 0, "delta": {"content": words}}],
    });
    let chunk = format!("data: {chunk}\n\n");
    let (provider, senders) = fed().await;
    let setup = Setup { policy: Some(COMPRESSES), ..Setup::on_credits(1_500_000) };
    let mut gateway = Gateway::start(provider.address, 192, setup).await;
    let answer = loop {
        let answer = stream(&gateway, "br", &gateway.token, ASK_LONG).await;
        if answer.status() != 503 {
            break answer;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(answer.headers()["content-encoding"], "br");
    let feeding = async {
        let mut sender = senders.lock().unwrap().pop().unwrap();
        while sender.send_data(Bytes::from(chunk.clone())).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let (came, ()) = tokio::join!(answer.collect(), feeding);
    let mut told = String::new();
    brotli::Decompressor::new(&*came.unwrap().to_bytes(), 4096).read_to_string(&mut told).unwrap();
    let end = &told[told.len().saturating_sub(1000)..];
    assert!(end.contains(r#""finish_reason":"length""#) && told.ends_with(DONE), "{end}");
    assert_eq!(gateway.record().await.cause, "cut_off");
}
