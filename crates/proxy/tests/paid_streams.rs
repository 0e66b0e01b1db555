//! Answers that credits pay for, and what is charged when they do not end as they should.

#![expect(clippy::unwrap_used, reason = "what tests share, which the lint does not take for tests")]

mod support;

use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use model::Nanos;
use model::operator_key::Cancel;
use model::usage::{Outcome, Provenance};
use serde_json::Value;
use support::fed::{ASK, Caller, DONE, FIRST, LAST, USAGE, fed, feed};
use support::provider::{Provider, Sender, whole};
use support::{COMPLETION, Gateway, OPERATORS_KEY, Operators, PATIENCE, QUESTION, Setup};

const DOLLAR: i64 = 1_000_000_000;
/// A usage that is more than what was seen.
const LONG_USAGE: &str = "data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":8,\"completion_tokens\":50,\"total_tokens\":58}}\n\n";
const ERROR: &str =
    "data: {\"error\":{\"message\":\"overloaded\",\"type\":\"server_error\",\"code\":\"overloaded\"}}\n\n";
/// What [`ASK`] and [`FIRST`] come to: 8 tokens at 150,000 pico-dollars and 2 at 600,000.
const CAME: Nanos = Nanos(2400);
/// What is asked in [`ASK`].
const ASKED: Nanos = Nanos(1200);
/// As [`LONG_USAGE`] says.
const BILLED: Nanos = Nanos(31_200);

async fn gateway(shard: u8, setup: Setup) -> (Provider, std::sync::Arc<Mutex<Vec<Sender>>>, Gateway) {
    let (provider, senders) = fed().await;
    let gateway = Gateway::start(provider.address, shard, setup).await;
    (provider, senders, gateway)
}

fn who_bills_on() -> Setup {
    let key = Operators { secret: OPERATORS_KEY, priority: 0, cancel: Some(Cancel::Drain) };
    Setup { operator_keys: vec![key], ..Setup::on_credits(DOLLAR) }
}

/// Waits until the provider's connection is closed.
async fn closes(senders: &Mutex<Vec<Sender>>) {
    let mut sender = senders.lock().unwrap().pop().unwrap();
    let closing = async {
        while sender.send_data(Bytes::from_static(b": still there?\n\n")).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, closing).await.expect("the provider's connection closes");
}

#[tokio::test]
async fn a_stream_is_charged_what_its_usage_says() {
    let (provider, senders, mut gateway) = gateway(120, Setup::on_credits(DOLLAR)).await;
    let caller = Caller::asks_on_credits(&gateway, ASK).await;
    let asked: Value = serde_json::from_slice(&provider.asked().body).unwrap();
    assert_eq!(asked["stream_options"]["include_usage"], true);
    for text in [FIRST, LAST, LONG_USAGE, DONE] {
        feed(&senders, text).await;
    }
    senders.lock().unwrap().clear();
    assert_eq!(caller.rest().await, [FIRST, LAST, DONE].concat());
    let record = gateway.record().await;
    assert_eq!((record.charge, record.provenance), (BILLED, Provenance::Reported));
    assert_eq!(gateway.paid().await, BILLED);
}

#[tokio::test]
async fn who_leaves_a_provider_that_stops_billing_pays_what_came() {
    let (_provider, senders, mut gateway) = gateway(121, Setup::on_credits(DOLLAR)).await;
    let mut caller = Caller::asks_on_credits(&gateway, ASK).await;
    feed(&senders, FIRST).await;
    assert!(caller.next().await.is_some());
    caller.hangs_up();
    closes(&senders).await;
    let record = gateway.record().await;
    assert_eq!((record.outcome, record.provenance), (Outcome::HungUp, Provenance::Counted));
    assert_eq!(record.charge, CAME);
    assert_eq!(gateway.paid().await, CAME);
}

#[tokio::test]
async fn who_leaves_a_provider_that_bills_on_pays_what_is_billed() {
    let (_provider, senders, mut gateway) = gateway(122, who_bills_on()).await;
    let mut caller = Caller::asks_on_credits(&gateway, ASK).await;
    feed(&senders, FIRST).await;
    assert!(caller.next().await.is_some());
    caller.hangs_up();
    let drained = gateway.deps.metrics.drained_answers.clone();
    let waits = async {
        while drained.get() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waits).await.expect("the answer is drained");
    for text in [LAST, LONG_USAGE, DONE] {
        feed(&senders, text).await;
    }
    senders.lock().unwrap().clear();
    let record = gateway.record().await;
    assert_eq!((record.outcome, record.provenance), (Outcome::HungUp, Provenance::Reported));
    assert_eq!((record.charge, record.response_bytes), (BILLED, FIRST.len() as u64));
    assert_eq!(gateway.paid().await, BILLED);
    assert_eq!(drained.get(), 0);
}

#[tokio::test]
async fn where_there_is_no_room_for_draining_what_came_is_charged() {
    let (_provider, senders, mut gateway) = gateway(123, Setup { most_drains: 0, ..who_bills_on() }).await;
    let mut caller = Caller::asks_on_credits(&gateway, ASK).await;
    feed(&senders, FIRST).await;
    assert!(caller.next().await.is_some());
    caller.hangs_up();
    closes(&senders).await;
    assert_eq!(gateway.record().await.charge, CAME);
}

#[tokio::test]
async fn an_own_key_is_never_drained() {
    let (_provider, senders, mut gateway) = gateway(124, who_bills_on()).await;
    let mut caller = Caller::asks(&gateway, ASK).await;
    feed(&senders, FIRST).await;
    assert!(caller.next().await.is_some());
    caller.hangs_up();
    closes(&senders).await;
    let record = gateway.record().await;
    assert_eq!((record.cost, record.charge), (Some(CAME), Nanos::ZERO));
}

#[tokio::test]
async fn an_answer_in_one_piece_is_drained_whoever_stops_billing() {
    let (first, rest) = COMPLETION.split_at(20);
    let provider = Provider::answering(move |_| {
        Box::pin(async move {
            let (mut sender, body) = http_body_util::Channel::new(4);
            tokio::spawn(async move {
                let _ = sender.send_data(Bytes::from_static(first.as_bytes())).await;
                tokio::time::sleep(Duration::from_millis(600)).await;
                let _ = sender.send_data(Bytes::from_static(rest.as_bytes())).await;
            });
            http::Response::builder()
                .header("content-type", "application/json")
                .header("content-length", COMPLETION.len())
                .body(http_body_util::Either::Right(body))
                .unwrap()
        })
    })
    .await;
    let mut gateway = Gateway::start(provider.address, 125, Setup::on_credits(DOLLAR)).await;
    let ask = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n{QUESTION}",
        gateway.path("openai/chat/completions"),
        gateway.token,
        QUESTION.len()
    );
    gateway.raw(ask.as_bytes(), Duration::from_millis(300)).await;
    let record = gateway.record().await;
    assert_eq!((record.outcome, record.provenance), (Outcome::HungUp, Provenance::Reported));
    assert_eq!(record.charge, Nanos(3150));
}

#[tokio::test]
async fn an_error_before_the_first_token_is_free_and_one_after_it_is_not() {
    let (_provider, senders, mut gateway) = gateway(126, Setup::on_credits(DOLLAR)).await;
    for (frames, outcome, charge) in [
        (&[ERROR, DONE][..], Outcome::Failed, Nanos::ZERO),
        (&[FIRST, ERROR, DONE][..], Outcome::Failed, CAME),
        // It breaks off without a word.
        (&[][..], Outcome::Failed, Nanos::ZERO),
        (&[FIRST][..], Outcome::Failed, CAME),
    ] {
        let caller = Caller::asks_on_credits(&gateway, ASK).await;
        for frame in frames {
            feed(&senders, frame).await;
        }
        senders.lock().unwrap().clear();
        caller.rest().await;
        let record = gateway.record().await;
        assert_eq!((record.outcome, record.charge), (outcome, charge), "{frames:?}");
    }
    assert_eq!(gateway.paid().await, Nanos(2 * CAME.0));
}

#[tokio::test]
async fn each_attempt_that_we_give_up_costs_its_input() {
    let provider = Provider::answering(|_| {
        Box::pin(async {
            std::future::pending::<()>().await;
            whole(200, "text/plain", "never")
        })
    })
    .await;
    let mut gateway = Gateway::start(provider.address, 127, Setup::on_credits(DOLLAR)).await;
    let token = format!("Bearer {}", gateway.token);
    let headers = [("authorization", token.as_str()), ("cf-aig-request-timeout", "100")];
    for _ in 0..5 {
        let told = gateway.call("POST", &gateway.path("openai/chat/completions"), &headers, QUESTION).await;
        assert_eq!((told.status, told.json()["cause"].as_str()), (504, Some("provider_timeout")));
        let record = gateway.record().await;
        // Eleven tokens are asked.
        assert_eq!((record.tokens.input, record.charge), (11, Nanos(1650)));
        assert_eq!((record.provenance, record.cause.as_str()), (Provenance::Counted, "provider_timeout"));
    }
    assert_eq!(gateway.paid().await, Nanos(5 * 1650));

    // A caller who is gone before the answer begins.
    let ask = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n{QUESTION}",
        gateway.path("openai/chat/completions"),
        gateway.token,
        QUESTION.len()
    );
    gateway.raw(ask.as_bytes(), Duration::from_millis(300)).await;
    let record = gateway.record().await;
    assert_eq!((record.outcome, record.charge), (Outcome::HungUp, Nanos(1650)));
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_costs_nothing() {
    let nowhere = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut gateway = Gateway::start(nowhere, 128, Setup::on_credits(DOLLAR)).await;
    assert_eq!(gateway.on_credits(QUESTION).await.status, 502);
    let record = gateway.record().await;
    assert_eq!((record.outcome, record.charge), (Outcome::Failed, Nanos::ZERO));
    assert_eq!(gateway.paid().await, Nanos::ZERO);
}

#[tokio::test]
async fn a_stream_that_we_end_is_charged_what_came() {
    let (_provider, senders, mut gateway) = gateway(129, Setup::on_credits(DOLLAR)).await;
    let mut caller = Caller::asks_on_credits(&gateway, ASK).await;
    feed(&senders, FIRST).await;
    assert!(caller.next().await.is_some());
    gateway.revoke_token();
    assert!(caller.rest().await.contains("token_revoked"));
    let record = gateway.record().await;
    assert_eq!((record.outcome, record.charge), (Outcome::Ended, CAME));
}

/// A hundred tokens of text.
fn hundred_tokens() -> &'static str {
    let text = " hello".repeat(100);
    let chunk = serde_json::json!({
        "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-mini-2024-07-18",
        "choices": [{"index": 0, "delta": {"content": text}}],
    });
    Box::leak(format!("data: {chunk}\n\n").into_boxed_str())
}

/// A stream at the regular price, whose caller wants to know the usage.
const ASK_LONG: &str = r#"{"model":"gpt-4o-mini","stream":true,"stream_options":{"include_usage":true},"service_tier":"default","messages":[{"role":"user","content":"Hello"}]}"#;

#[tokio::test]
async fn a_stream_that_cannot_be_paid_further_ends_as_if_it_were_long_enough() {
    // The first step of 2,048 tokens costs 1.2 million nano-dollars, and there is no second one.
    let (_provider, senders, mut gateway) = gateway(130, Setup::on_credits(1_500_000)).await;
    let caller = Caller::asks_on_credits(&gateway, ASK_LONG).await;
    let chunk = hundred_tokens();
    let feeding = async {
        let mut sender = senders.lock().unwrap().pop().unwrap();
        for _ in 0..60 {
            if sender.send_data(Bytes::from_static(chunk.as_bytes())).await.is_err() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        false
    };
    let (told, was_closed) = tokio::join!(caller.rest(), feeding);
    assert!(was_closed, "the provider goes on");
    let frames: Vec<&str> = told.split("\n\n").filter(|frame| !frame.is_empty()).collect();
    let data = |frame: &str| serde_json::from_str::<Value>(frame.strip_prefix("data: ").unwrap()).unwrap();
    let [.., finish, usage, done] = &frames[..] else { panic!("{told}") };
    assert_eq!(*done, "data: [DONE]");
    assert_eq!(data(finish)["choices"][0]["finish_reason"], "length");
    let usage = &data(usage)["usage"];
    let produced = usage["completion_tokens"].as_u64().unwrap();
    assert!((2000..=2200).contains(&produced), "{usage}");

    let record = gateway.record().await;
    assert_eq!((record.outcome, record.status, record.cause.as_str()), (Outcome::Answered, 200, "cut_off"));
    assert_eq!((record.tokens.input, record.tokens.output), (8, produced));
    assert_eq!(usage["prompt_tokens"], 8);
    assert_eq!(record.charge, ASKED + Nanos(600 * produced as i64));
    assert_eq!(gateway.paid().await, record.charge);
    let figures = gateway.figures().await;
    assert_eq!(figures.free + figures.held + figures.unposted, Nanos(1_500_000));
}

#[tokio::test]
async fn a_stream_that_can_be_paid_goes_on_step_by_step() {
    let (_provider, senders, mut gateway) = gateway(131, Setup::on_credits(DOLLAR)).await;
    let caller = Caller::asks_on_credits(&gateway, ASK_LONG).await;
    let chunk = hundred_tokens();
    let feeding = async {
        let mut sender = senders.lock().unwrap().pop().unwrap();
        for _ in 0..60 {
            sender.send_data(Bytes::from_static(chunk.as_bytes())).await.unwrap();
        }
        for frame in [LAST, USAGE, DONE] {
            sender.send_data(Bytes::from_static(frame.as_bytes())).await.unwrap();
        }
    };
    let (told, ()) = tokio::join!(caller.rest(), feeding);
    assert_eq!(told.matches(" hello").count(), 6000);
    assert!(told.ends_with(DONE) && told.contains("prompt_tokens"), "{}", &told[told.len() - 200..]);
    // What the provider says counts, little as it is here.
    assert_eq!(gateway.record().await.charge, CAME);
    assert_eq!(gateway.paid().await, CAME);
}

#[tokio::test]
async fn a_stream_that_is_left_is_paid_further_while_it_is_drained() {
    let (_provider, senders, mut gateway) = gateway(132, who_bills_on()).await;
    let mut caller = Caller::asks_on_credits(&gateway, ASK_LONG).await;
    feed(&senders, hundred_tokens()).await;
    assert!(caller.next().await.is_some());
    caller.hangs_up();
    for _ in 0..40 {
        feed(&senders, hundred_tokens()).await;
    }
    for frame in [LAST, LONG_USAGE, DONE] {
        feed(&senders, frame).await;
    }
    senders.lock().unwrap().clear();
    let record = gateway.record().await;
    assert_eq!((record.outcome, record.charge), (Outcome::HungUp, BILLED));
}
