//! Answers on credits that say something strange of what they cost, or nothing at all.

mod support;

use bytes::Bytes;
use http::Response;
use http_body_util::{Channel, Either};
use model::Nanos;
use model::usage::{Outcome, Provenance, UsageRecord};
use support::fed::{ASK, Caller, DONE, FIRST, LAST};
use support::provider::{Provider, whole};
use support::{Gateway, QUESTION, Setup};

const DOLLAR: i64 = 1_000_000_000;
/// Eleven tokens are asked in [`QUESTION`], at 150,000 pico-dollars.
const ASKED: Nanos = Nanos(1650);

/// What is recorded, and paid, of a question that is answered so.
async fn recorded(shard: u8, status: u16, content_type: &'static str, body: &'static str) -> UsageRecord {
    let provider =
        Provider::answering(move |_| Box::pin(async move { whole(status, content_type, body) })).await;
    let mut gateway = Gateway::start(provider.address, shard, Setup::on_credits(DOLLAR)).await;
    assert_eq!(gateway.on_credits(QUESTION).await.status, status);
    let record = gateway.record().await;
    assert_eq!(gateway.paid().await, record.charge, "{body}");
    record
}

#[tokio::test]
async fn a_usage_that_nobody_can_have_used_is_as_if_it_were_not_there() {
    for (shard, body) in (150..).zip([
        r#"{"choices":[],"usage":{"prompt_tokens":18446744073709551615,"completion_tokens":18446744073709551615}}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":9000000000000000000,"completion_tokens":3}}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":-5,"completion_tokens":3}}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3},"usage":{"prompt_tokens":0,"completion_tokens":0}}"#,
        r#"{"choices":[]}"#,
        "<html>",
        "",
    ]) {
        let record = recorded(shard, 200, "application/json", body).await;
        assert_eq!((record.provenance, record.charge), (Provenance::Counted, ASKED), "{body}");
    }
}

/// A provider whose answers do not say how long they are.
async fn chunked(pieces: Vec<String>) -> Provider {
    Provider::answering(move |_| {
        let pieces = pieces.clone();
        Box::pin(async move {
            let (mut sender, body) = Channel::new(4);
            tokio::spawn(async move {
                for piece in pieces {
                    let _ = sender.send_data(Bytes::from(piece)).await;
                }
            });
            let response = Response::builder().header("content-type", "application/json");
            response.body(Either::Right(body)).expect("a response")
        })
    })
    .await
}

#[tokio::test]
async fn a_document_that_passes_without_its_usage_costs_what_was_set_aside() {
    let provider = chunked(vec![r#"{"choices":[{"message":{"content":"Hello"}}]}"#.to_owned()]).await;
    let mut gateway = Gateway::start(provider.address, 165, Setup::on_credits(DOLLAR)).await;
    let asked = QUESTION.replacen('{', r#"{"service_tier":"default","max_completion_tokens":10,"#, 1);
    assert_eq!(gateway.on_credits(&asked).await.status, 200);
    let record = gateway.record().await;
    assert_eq!(Some(record.charge), record.hold.as_ref().map(|hold| hold.amount));
    assert!(record.charge > ASKED && record.cost.is_none(), "{record:?}");
    assert_eq!(gateway.paid().await, record.charge);
}

#[tokio::test]
async fn an_answer_without_end_is_charged_as_its_last_words_say() {
    let mut pieces =
        vec![r#"{"model":"gpt-4o-mini-2024-07-18","choices":[{"message":{"content":""#.to_owned()];
    // More than is kept of anything.
    pieces.extend(std::iter::repeat_n("x".repeat(1 << 20), 40));
    pieces.push(r#""}}],"usage":{"prompt_tokens":9,"completion_tokens":3}}"#.to_owned());
    let length: usize = pieces.iter().map(String::len).sum();
    let provider = chunked(pieces).await;
    let mut gateway = Gateway::start(provider.address, 166, Setup::on_credits(DOLLAR)).await;
    assert_eq!(gateway.on_credits(QUESTION).await.body.len(), length);
    let record = gateway.record().await;
    assert_eq!((record.provenance, record.charge), (Provenance::Reported, Nanos(3150)));
}

#[tokio::test]
async fn what_the_provider_says_counts_even_if_it_is_nothing() {
    let body = r#"{"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0}}"#;
    let record = recorded(157, 200, "application/json", body).await;
    assert_eq!((record.provenance, record.charge), (Provenance::Reported, Nanos::ZERO));
}

#[tokio::test]
async fn an_answer_without_a_body_costs_the_input_and_a_redirection_nothing() {
    assert_eq!(recorded(158, 204, "application/json", "").await.charge, ASKED);
    assert_eq!(recorded(159, 302, "text/html", "elsewhere").await.charge, Nanos::ZERO);
    assert_eq!(recorded(160, 400, "application/json", "{}").await.charge, Nanos::ZERO);
}

#[tokio::test]
async fn what_is_billed_by_its_question_is_free_where_the_question_is_refused() {
    let provider = Provider::answering(|_| {
        Box::pin(async { whole(400, "application/json", r#"{"error":{"message":"no such voice"}}"#) })
    })
    .await;
    let mut gateway = Gateway::start(provider.address, 161, Setup::on_credits(DOLLAR)).await;
    for (at, body) in [
        ("openai/audio/speech", r#"{"model":"tts-1","input":"Hello","voice":"nobody"}"#),
        (
            "openai/images/generations",
            r#"{"model":"gpt-image-1","prompt":"Hello","size":"1024x1024","quality":"low"}"#,
        ),
    ] {
        assert_eq!(gateway.on_credits_at(at, body).await.status, 400);
        assert_eq!(gateway.record().await.charge, Nanos::ZERO, "{at}");
    }
    assert_eq!(gateway.paid().await, Nanos::ZERO);
}

/// What is recorded of a stream of these frames.
async fn streamed(shard: u8, frames: &[&str]) -> UsageRecord {
    let stream = frames.concat();
    let provider = Provider::answering(move |_| {
        let stream = stream.clone();
        Box::pin(async move { whole(200, "text/event-stream", &stream) })
    })
    .await;
    let mut gateway = Gateway::start(provider.address, shard, Setup::on_credits(DOLLAR)).await;
    Caller::asks_on_credits(&gateway, ASK).await.rest().await;
    let record = gateway.record().await;
    assert_eq!(gateway.paid().await, record.charge);
    record
}

#[tokio::test]
async fn the_last_usage_of_a_stream_counts_and_one_that_is_cut_does_not() {
    let usage = |output: u32| {
        format!(
            "data: {{\"choices\":[],\"usage\":{{\"prompt_tokens\":8,\"completion_tokens\":{output}}}}}\n\n"
        )
    };
    let record = streamed(162, &[FIRST, LAST, &usage(1), &usage(50), DONE]).await;
    assert_eq!((record.charge, record.provenance), (Nanos(1200 + 30_000), Provenance::Reported));
    // "Hello there" has two tokens, and eight are asked.
    let cut = usage(50);
    let record = streamed(163, &[FIRST, LAST, &cut[..cut.len() / 2]]).await;
    assert_eq!((record.charge, record.provenance), (Nanos(2400), Provenance::Counted));
    assert_eq!(record.outcome, Outcome::Failed);
    // Words in an answer are no usage of it.
    let said = r#"data: {"choices":[{"index":0,"delta":{"content":"\"usage\":{\"prompt_tokens\":0,\"completion_tokens\":0}"}}]}"#;
    let record = streamed(164, &[said, "\n\n", LAST, DONE]).await;
    assert!(record.charge > Nanos(2400) && record.provenance == Provenance::Counted, "{record:?}");
}
