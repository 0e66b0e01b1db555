//! What is left of a large answer in one piece when it has passed: its shape and the few members that
//! say what was used. Answers are as long as callers like, and many of them pass at a time.

use memchr::memchr2;

use crate::answer::Answer;
use crate::endpoint::Endpoint;
use crate::scan;

/// An answer while it passes.
#[derive(Debug, Default)]
pub struct Slim {
    /// The answer with nothing in it but what is kept: every other string is empty, and of other lists
    /// and objects only the brackets of their elements are left.
    kept: Vec<u8>,
    depth: usize,
    text: Text,
    /// Where in `kept` the name of the answer's present member begins.
    name: usize,
    expects_name: bool,
    /// Whether the present member is kept as it is.
    keeps: bool,
}

/// Whether a string is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Text {
    #[default]
    Closed,
    Open,
    /// After a backslash.
    Escaping,
}

/// The members that are read. Of `data` only the number of elements counts.
const KEPT: [&str; 6] = ["model", "usage", "service_tier", "duration", "usageMetadata", "modelVersion"];
/// More than this is not kept: an answer whose shape alone takes more is not read.
const MOST: usize = 256 << 10;

impl Slim {
    /// Takes the bytes that arrived, cut anywhere.
    pub fn push(&mut self, chunk: &[u8]) {
        let mut rest = chunk;
        while let Some((byte, after)) = rest.split_first() {
            if self.is_too_long() {
                return;
            }
            rest = match self.text {
                Text::Closed if self.depth > 2 && !self.keeps => {
                    let Some(at) = scan::next_structural(rest, 0) else { return };
                    self.structure(rest[at]);
                    &rest[at + 1..]
                }
                Text::Closed => {
                    self.structure(*byte);
                    after
                }
                Text::Escaping => {
                    self.copy(&rest[..1]);
                    self.text = Text::Open;
                    after
                }
                Text::Open => self.words(rest),
            };
        }
    }

    /// Whether it is not read, because too much would have to be kept.
    pub fn is_too_long(&self) -> bool {
        self.kept.len() > MOST
    }

    /// What it says of itself.
    pub fn answer(&self, endpoint: Endpoint) -> Answer {
        Answer::whole(endpoint, &self.kept)
    }

    /// A byte outside of strings.
    fn structure(&mut self, byte: u8) {
        let mut shown = 2;
        match byte {
            b'"' => {
                self.text = Text::Open;
                if self.is_name() {
                    self.name = self.kept.len();
                }
            }
            b'{' | b'[' => {
                self.depth += 1;
                self.expects_name = self.depth == 1;
                shown = 3;
            }
            b'}' | b']' => shown = 3,
            b',' if self.depth == 1 => (self.expects_name, self.keeps) = (true, false),
            _ => {}
        }
        if self.keeps || self.depth <= shown {
            self.kept.push(byte);
        }
        if matches!(byte, b'}' | b']') {
            self.depth = self.depth.saturating_sub(1);
        }
    }

    /// What is within a string, up to its end or its next backslash.
    fn words<'a>(&mut self, rest: &'a [u8]) -> &'a [u8] {
        let Some(at) = memchr2(b'"', b'\\', rest) else {
            self.copy(rest);
            return &[];
        };
        let (words, rest) = rest.split_at(at + 1);
        if words.ends_with(b"\\") {
            self.copy(words);
            self.text = Text::Escaping;
            return rest;
        }
        self.copy(&words[..at]);
        self.text = Text::Closed;
        if self.keeps || self.depth <= 2 {
            self.kept.push(b'"');
        }
        if self.is_name() {
            let name = &self.kept[self.name + 1..self.kept.len() - 1];
            self.keeps = KEPT.iter().any(|kept| scan::is_named(name, kept));
            self.expects_name = false;
        }
        rest
    }

    /// Copies a part of a string, if it is one that is kept.
    fn copy(&mut self, words: &[u8]) {
        if self.keeps || self.is_name() {
            self.kept.extend_from_slice(words);
        }
    }

    /// Whether the string here is the name of one of the answer's own members.
    fn is_name(&self) -> bool {
        self.depth == 1 && self.expects_name
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn slim(body: &[u8], length: usize) -> Slim {
        let mut slim = Slim::default();
        body.chunks(length.max(1)).for_each(|chunk| slim.push(chunk));
        slim
    }

    #[test]
    fn of_an_answer_its_shape_and_what_it_used_is_left() {
        let body = r#"{"id":"c\"1","choices":[{"a":[1,{"usage":2}]},{}],"usage":{"prompt_tokens":9,"d":{"x":"y"}},"data":["]",{"b":[]}],"model":"m"}"#;
        let left = r#"{"id":"","choices":[{},{}],"usage":{"prompt_tokens":9,"d":{"x":"y"}},"data":["",{}],"model":"m"}"#;
        for length in 1..body.len() {
            assert_eq!(String::from_utf8(slim(body.as_bytes(), length).kept).unwrap(), left);
        }
    }

    #[test]
    fn what_cannot_be_made_small_is_not_read() {
        let body = format!(r#"{{"usage":{{"prompt_tokens":9}},"user":[{}0]}}"#, "0,".repeat(MOST));
        let slim = slim(body.as_bytes(), 1000);
        assert!(slim.is_too_long() && slim.kept.len() <= MOST + 1000);
        assert_eq!(slim.answer(Endpoint::ChatCompletions), Answer::default());
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-z\"\\\\]{0,3}|usage|model|data", inner, 0..4)
                    .prop_map(|members| json!(members)),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_says_what_the_whole_answer_says(
            members in prop::collection::btree_map("[a-z\"]{1,3}|choices|data|duration|service_tier", values(), 0..6),
            usage in prop::option::of((0..1000_u64, 0..1000_u64)),
            pretty: bool,
            length in 1..64_usize,
        ) {
            let mut body = json!(members);
            if let Some((read, produced)) = usage {
                body["usage"] = json!({
                    "prompt_tokens": read, "completion_tokens": produced, "input_tokens": read, "output_tokens": produced,
                    "cache_creation": {"ephemeral_1h_input_tokens": read}, "cache_creation_input_tokens": read,
                });
                body["model"] = json!("gpt-\"4o");
            }
            let text = if pretty { format!("{body:#}") } else { body.to_string() };
            for endpoint in [
                Endpoint::ChatCompletions,
                Endpoint::ImageGenerations,
                Endpoint::Transcriptions,
                Endpoint::Messages,
            ] {
                let whole = Answer::whole(endpoint, text.as_bytes());
                prop_assert_eq!(slim(text.as_bytes(), length).answer(endpoint), whole, "{}", text);
            }
        }

        #[test]
        fn any_bytes_are_survived(body: Vec<u8>, length in 1..9_usize) {
            slim(&body, length).answer(Endpoint::ChatCompletions);
        }
    }
}
