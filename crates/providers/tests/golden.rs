//! Recordings of the providers' APIs, in the shapes that they document: a folder per provider, endpoint and
//! story.
//!
//! `request.json` is what the caller sent and `prepared.json` what goes upstream, byte for byte.
//! `stream.sse` is what came and `shown.sse` what the caller sees of it; `answer.json` is the same
//! answer in one piece. `usage.json` is what was made of either.

#![expect(clippy::unwrap_used, reason = "a story that cannot be read is a failed test")]

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use model::usage::Tokens;
use proptest::prelude::*;
use providers::answer::Answer;
use providers::openai::hide::HideUsageChunk;
use providers::prices::{Catalogue, Tier};
use providers::request::Fields;
use providers::splice::Splices;
use providers::stream::{Ending, Heard, SseTap};
use providers::{Endpoint, compat, tokens};
use serde::Deserialize;

struct Story {
    folder: PathBuf,
    provider: String,
    endpoint: Endpoint,
    expected: Expected,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    model: Option<String>,
    service_tier: Option<String>,
    tokens: Option<ExpectedTokens>,
    seconds: Option<u64>,
    images: Option<u64>,
    #[serde(default)]
    searches: u64,
    /// What was read, where nobody said what was produced.
    read: Option<ExpectedTokens>,
    cost_nanos: Option<i64>,
    /// The model asked for, where the answer does not name the one that served.
    price_of: Option<String>,
    ending: Option<String>,
    finish_reason: Option<String>,
    #[serde(default)]
    text: String,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct ExpectedTokens {
    input: u64,
    cached_input: u64,
    cache_write: u64,
    cache_write_long: u64,
    output: u64,
    reasoning: u64,
    audio_input: u64,
    audio_output: u64,
    image_input: u64,
    image_output: u64,
}

impl ExpectedTokens {
    fn tokens(&self) -> Tokens {
        Tokens {
            input: self.input,
            cached_input: self.cached_input,
            cache_write: self.cache_write,
            cache_write_long: self.cache_write_long,
            output: self.output,
            reasoning: self.reasoning,
            audio_input: self.audio_input,
            audio_output: self.audio_output,
            image_input: self.image_input,
            image_output: self.image_output,
            ..Tokens::default()
        }
    }
}

impl Story {
    fn all() -> Vec<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        let below = |folder: &Path| -> Vec<PathBuf> {
            fs::read_dir(folder).unwrap().map(|folder| folder.unwrap().path()).collect()
        };
        let name = |folder: &Path| folder.file_name().unwrap().to_str().unwrap().to_owned();
        let mut stories = Vec::new();
        for provider in below(&root) {
            for endpoint in below(&provider) {
                for folder in below(&endpoint) {
                    let usage = fs::read(folder.join("usage.json")).unwrap();
                    let expected = serde_json::from_slice(&usage).unwrap();
                    let endpoint = Endpoint::from_word(&name(&endpoint)).unwrap();
                    stories.push(Self { folder, provider: name(&provider), endpoint, expected });
                }
            }
        }
        assert!(stories.len() > 20);
        stories
    }

    fn file(&self, name: &str) -> Option<Bytes> {
        fs::read(self.folder.join(name)).ok().map(Bytes::from)
    }

    fn expected_answer(&self) -> Answer {
        let Expected { model, tokens, service_tier, seconds, images, searches, read, .. } = &self.expected;
        let (model, service_tier) = (model.clone(), service_tier.clone());
        let tokens = tokens.as_ref().map(ExpectedTokens::tokens);
        let read = read.as_ref().map(ExpectedTokens::tokens);
        let (seconds, images, searches) = (*seconds, *images, *searches);
        Answer { model, tokens, read, service_tier, seconds, images, searches, premium: None }
    }

    fn heard(&self, chunks: impl IntoIterator<Item = Bytes>) -> (Heard, Vec<u8>) {
        let (mut tap, mut hide, mut shown) = (SseTap::new(self.endpoint), HideUsageChunk::default(), vec![]);
        for chunk in chunks {
            tap.push(&chunk);
            shown.extend_from_slice(&hide.filter(chunk));
        }
        shown.extend_from_slice(&hide.finish());
        (tap.finish(), shown)
    }
}

#[test]
fn requests_are_prepared_and_keep_every_other_byte() {
    for story in Story::all() {
        let (Some(request), Some(prepared)) = (story.file("request.json"), story.file("prepared.json"))
        else {
            continue;
        };
        let fields = Fields::read(&request).unwrap();
        let mut splices = Splices::default();
        if let Some(Ok(named)) = fields.model.as_deref().map(compat::model) {
            fields.name_model(named.model, &mut splices);
        }
        if fields.lacks_usage(story.endpoint) {
            fields.ask_for_usage(&mut splices);
        }
        assert_eq!(splices.apply(&request), prepared, "{}", story.folder.display());
    }
}

#[test]
fn answers_say_what_was_used() {
    for story in Story::all() {
        if let Some(answer) = story.file("answer.json") {
            let said = Answer::whole(story.endpoint, &answer);
            assert_eq!(said, story.expected_answer(), "{}", story.folder.display());
        }
    }
}

#[test]
fn streams_say_what_was_used_and_end_as_they_did() {
    for story in Story::all() {
        let Some(stream) = story.file("stream.sse") else { continue };
        let (heard, _) = story.heard([stream]);
        // Of what was read nothing needs to be known once everything is.
        let read = heard.answer.read.filter(|_| heard.answer.tokens.is_none());
        let answer = Answer { read, ..heard.answer };
        assert_eq!(answer, story.expected_answer(), "{}", story.folder.display());
        let ending = match heard.ending {
            Ending::Open => "open".to_owned(),
            Ending::Complete => "complete".to_owned(),
            Ending::Failed(code) => format!("failed: {code}"),
        };
        assert_eq!(Some(ending), story.expected.ending, "{}", story.folder.display());
        assert_eq!(heard.finish_reason, story.expected.finish_reason, "{}", story.folder.display());
        assert_eq!(heard.text, story.expected.text, "{}", story.folder.display());
    }
}

#[test]
fn the_deltas_of_a_stream_make_up_the_answer_in_one_piece() {
    for story in Story::all() {
        let (Some(stream), Some(answer)) = (story.file("stream.sse"), story.file("answer.json")) else {
            continue;
        };
        assert_eq!(story.heard([stream]).0.text, tokens::answer_text(&answer), "{}", story.folder.display());
    }
}

#[test]
fn usages_cost_what_the_price_list_says() {
    for story in Story::all() {
        let (answer, expected) = (story.expected_answer(), &story.expected);
        let Some(cost) = expected.cost_nanos else { continue };
        let model = answer.model.as_ref().or(expected.price_of.as_ref()).unwrap();
        let price = Catalogue::current().find(&story.provider, model).unwrap();
        let tier = answer.service_tier.as_deref().map(Tier::from_word).unwrap_or_default();
        let rated = price.rate(&answer.tokens.unwrap(), tier).unwrap();
        assert_eq!(rated.0, cost, "{}", story.folder.display());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn how_a_stream_is_cut_changes_nothing(sizes in prop::collection::vec(1..700_usize, 1..60)) {
        for story in Story::all() {
            let (Some(mut stream), Some(expected)) = (story.file("stream.sse"), story.file("shown.sse")) else {
                continue;
            };
            let asked = story.file("request.json").is_some_and(|request| Fields::read(&request).unwrap().include_usage);
            let (whole, _) = story.heard([stream.clone()]);
            let mut chunks = Vec::new();
            for size in sizes.iter().cycle() {
                if stream.is_empty() {
                    break;
                }
                chunks.push(stream.split_to((*size).min(stream.len())));
            }
            let (heard, shown) = story.heard(chunks);
            prop_assert_eq!(heard, whole);
            if !asked {
                prop_assert_eq!(Bytes::from(shown), expected);
            }
        }
    }
}
