//! How fast bodies are scanned and judged, streams read, tokens counted and prices found:
//! `cargo run --release -p providers --example speed`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method};
use model::{AccountId, Nanos};
use providers::credits::{self, Permit, Request, bound};
use providers::openai::hide::HideUsageChunk;
use providers::prices::Catalogue;
use providers::stream::SseTap;
use providers::tokens::Encoding;
use providers::{Endpoint, catalog, scan};
use time::OffsetDateTime;

fn main() {
    scanning();
    streaming();
    println!("price catalogue, first look: {:?}", timed(1, first_price));
    println!("price catalogue, a look: {:?}", timed(100_000, price));
    judging();
    // Repetition is what slows other tokenizers down.
    let repeated = "a".repeat(200_000);
    Encoding::O200k.count("the tokenizer is loaded by the first count");
    println!("tokens of {} equal letters: {:?}", repeated.len(), timed(1, || count(&repeated)));
}

fn scanning() {
    let text = "The quick brown fox jumps over the lazy dog, and says: \\\"Hello\\\".\\n".repeat(1500);
    let chat =
        format!(r#"{{"messages":[{{"role":"user","content":"{text}"}}],"model":"gpt-4o","stream":true}}"#);
    let numbers = "0.0123456789,".repeat(8000);
    let embedding = format!(r#"{{"data":[{{"embedding":[{numbers}0]}}],"model":"m","usage":{{}}}}"#);
    for (name, body) in [("text", chat), ("numbers", embedding)] {
        let each = timed(2000, || drop(black_box(scan::members(black_box(body.as_bytes()), &["model"]))));
        let rate = body.len() as f64 / each.as_secs_f64() / 1e9;
        println!("scan of {} bytes of {name}: {rate:.1} GB/s", body.len());
    }
}

fn streaming() {
    let event = concat!(
        "data: {\"id\":\"chatcmpl-BsmlHd3tEQ5g9gWdqHSPL9qyUQK2P\",\"object\":\"chat.completion.chunk\",",
        "\"created\":1752573135,\"model\":\"gpt-4o-mini-2024-07-18\",\"service_tier\":\"default\",",
        "\"system_fingerprint\":\"fp_62a23a81ef\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},",
        "\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n",
    );
    let chunk = Bytes::from_static(event.as_bytes());
    let (mut tap, mut hide) = (SseTap::new(Endpoint::ChatCompletions), HideUsageChunk::default());
    println!("a chunk read: {:?}", timed(100_000, || tap.push(&chunk)));
    println!("a chunk looked at for hiding: {:?}", timed(100_000, || drop(hide.filter(chunk.clone()))));
}

fn first_price() {
    black_box(Catalogue::current().find("openai", "gpt-4o"));
}

fn price() {
    let (at, asked) = (OffsetDateTime::UNIX_EPOCH, black_box("gpt-4o-mini"));
    black_box(Catalogue::current().price(AccountId::INSTALLATION, "openai", asked, at));
}

/// What a request on credits costs beyond others: all of its body is looked at.
fn judging() {
    let headers = HeaderMap::new();
    let text = "The quick brown fox jumps over the lazy dog, and says: \\\"Hello\\\".\\n";
    for times in [1, 15, 1500] {
        let message = format!(r#"{{"role":"user","content":"{}"}}"#, text.repeat(times));
        let body = format!(r#"{{"messages":[{message}],"model":"gpt-4o","stream":true}}"#);
        let each = timed(2000, || {
            let request = Request {
                endpoint: Endpoint::ChatCompletions,
                method: &Method::POST,
                operation: "chat/completions",
                query: None,
                headers: &headers,
                body: Some(black_box(body.as_bytes())),
                model: None,
            };
            let Ok(provider) = catalog::find("openai") else { return };
            let Ok(Permit::Call(facts)) = credits::allowed(provider, &request) else { return };
            let at = OffsetDateTime::UNIX_EPOCH;
            let found = Catalogue::current().price(AccountId::INSTALLATION, "openai", facts.model(), at);
            let Some(found) = found else { return };
            drop(black_box(bound::bound(provider, &facts, &found, 16_384, Nanos(i64::MAX))));
        });
        println!("a request of {} bytes judged and bounded: {each:?}", body.len());
    }
}

fn count(text: &str) {
    black_box(Encoding::O200k.count(black_box(text)));
}

/// How long one of so many takes.
fn timed(times: u32, mut work: impl FnMut()) -> Duration {
    let began = Instant::now();
    (0..times).for_each(|_| work());
    began.elapsed() / times
}
