//! Answers on credits that nobody waits for, where what was seen of them is not all that is billed: a
//! caller can leave, and can have himself sent away. Neither makes them cheaper.

#![expect(clippy::unwrap_used, reason = "what tests share, which the lint does not take for tests")]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::{Channel, Either};
use model::Nanos;
use model::usage::{Outcome, Provenance};
use support::fed::{Caller, DONE, LAST, fed, feed};
use support::provider::{Provider, Sender};
use support::{COMPLETION, Gateway, PATIENCE, QUESTION, Setup};

const DOLLAR: i64 = 1_000_000_000;
/// A stream of a model that thinks out of sight.
const THINKS: &str = r#"{"model":"o4-mini","stream":true,"max_completion_tokens":1000,"service_tier":"default","messages":[{"role":"user","content":"Hello"}]}"#;
const WORDS: &str = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hello there\"}}],\"usage\":null}\n\n";
const USAGE: &str = "data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":8,\"completion_tokens\":500,\"total_tokens\":508,\"completion_tokens_details\":{\"reasoning_tokens\":498}}}\n\n";
/// 8 tokens at 1,100,000 pico-dollars and 500 at 4,400,000.
const BILLED: Nanos = Nanos(2_208_800);

async fn waits_for_a_drain(gateway: &Gateway) {
    let drained = &gateway.deps.metrics.drained_answers;
    let drains = async {
        while drained.get() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, drains).await.expect("the answer is read to its end");
}

#[tokio::test]
async fn who_revokes_his_own_token_pays_for_the_thoughts_that_he_did_not_see() {
    let (provider, senders) = fed().await;
    let mut gateway = Gateway::start(provider.address, 140, Setup::on_credits(DOLLAR)).await;
    let mut caller = Caller::asks_on_credits(&gateway, THINKS).await;
    feed(&senders, WORDS).await;
    assert!(caller.next().await.is_some());
    gateway.revoke_token();
    assert!(caller.rest().await.contains("token_revoked"));
    waits_for_a_drain(&gateway).await;
    for text in [LAST, USAGE, DONE] {
        feed(&senders, text).await;
    }
    senders.lock().unwrap().clear();
    let record = gateway.record().await;
    assert_eq!((record.outcome, record.cause.as_str()), (Outcome::Ended, "token_revoked"));
    assert_eq!((record.charge, record.provenance), (BILLED, Provenance::Reported));
    assert_eq!(gateway.paid().await, BILLED);
}

#[tokio::test]
async fn where_nobody_can_know_what_is_billed_what_was_set_aside_is_charged() {
    let (provider, senders) = fed().await;
    let setup = Setup { most_drains: 0, ..Setup::on_credits(DOLLAR) };
    let mut gateway = Gateway::start(provider.address, 141, setup).await;
    let mut caller = Caller::asks_on_credits(&gateway, THINKS).await;
    feed(&senders, WORDS).await;
    assert!(caller.next().await.is_some());
    caller.hangs_up();
    let record = gateway.record().await;
    let held = record.hold.as_ref().map(|hold| hold.amount).unwrap();
    assert_eq!((record.outcome, record.charge), (Outcome::HungUp, held));
    // A thousand tokens of output at least, and little more.
    assert!((4_400_000..5_000_000).contains(&held.0), "{held}");
    assert_eq!(gateway.paid().await, held);
}

#[tokio::test]
async fn thoughts_that_the_provider_does_not_count_are_charged_as_they_were_set_aside() {
    let (provider, senders) = fed().await;
    let mut gateway = Gateway::start(provider.address, 144, Setup::on_credits(DOLLAR)).await;
    for (frames, is_whole) in [(&[WORDS, LAST, DONE][..], true), (&[WORDS][..], false)] {
        let caller = Caller::asks_on_credits(&gateway, THINKS).await;
        for text in frames {
            feed(&senders, text).await;
        }
        senders.lock().unwrap().clear();
        caller.rest().await;
        let record = gateway.record().await;
        let held = record.hold.as_ref().map(|hold| hold.amount).unwrap();
        // Where it breaks off, it is the provider who owes the rest: eight tokens asked, and two that came.
        let charge = if is_whole { held } else { Nanos(8 * 1100 + 2 * 4400) };
        assert_eq!(record.charge, charge, "{frames:?}");
    }
}

/// A provider whose answers in one piece come in two, the second when the test says so.
async fn halting(length: bool) -> (Provider, Arc<Mutex<Vec<Sender>>>) {
    let senders: Arc<Mutex<Vec<Sender>>> = Arc::default();
    let kept = Arc::clone(&senders);
    let provider = Provider::answering(move |_| {
        let (mut sender, body) = Channel::new(4);
        let kept = Arc::clone(&kept);
        Box::pin(async move {
            sender.send_data(Bytes::from_static(&COMPLETION.as_bytes()[..20])).await.unwrap();
            kept.lock().unwrap().push(sender);
            let response = Response::builder().header("content-type", "application/json");
            let response =
                if length { response.header("content-length", COMPLETION.len()) } else { response };
            response.body(Either::Right(body)).unwrap()
        })
    })
    .await;
    (provider, senders)
}

#[tokio::test]
async fn an_answer_in_one_piece_is_read_to_its_end_for_who_is_sent_away() {
    let (provider, senders) = halting(false).await;
    let mut gateway = Gateway::start(provider.address, 142, Setup::on_credits(DOLLAR)).await;
    let mut caller = Caller::asks_on_credits(&gateway, QUESTION).await;
    assert!(caller.next().await.is_some());
    gateway.revoke_token();
    assert_eq!(caller.next().await, None);
    waits_for_a_drain(&gateway).await;
    feed(&senders, &COMPLETION[20..]).await;
    senders.lock().unwrap().clear();
    let record = gateway.record().await;
    assert_eq!((record.outcome, record.cause.as_str()), (Outcome::Ended, "token_revoked"));
    assert_eq!(record.charge, Nanos(3150));
}

#[tokio::test]
async fn a_small_answer_that_we_give_up_costs_its_input() {
    let (provider, senders) = halting(true).await;
    let mut gateway = Gateway::start(provider.address, 143, Setup::on_credits(DOLLAR)).await;
    let revoking = async {
        while senders.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        gateway.revoke_token();
    };
    let (told, ()) = tokio::join!(gateway.on_credits(QUESTION), revoking);
    assert_eq!((told.status, told.json()["error"]["code"].as_str()), (401, Some("token_revoked")));
    let record = gateway.record().await;
    // Eleven tokens are asked.
    assert_eq!((record.outcome, record.charge), (Outcome::Ended, Nanos(1650)));
}
