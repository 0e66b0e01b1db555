//! How Anthropic's answers say what was used. In their counts no token stands in two classes, but for
//! those of thinking, which are a part of what was produced.

use model::usage::Tokens;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::answer::{self, Answer, MOST_TOKENS, Premium, object};
use crate::scan;

/// Reads an answer in one piece. What is no JSON object says nothing.
pub(crate) fn answer(body: &[u8]) -> Answer {
    let Ok([model, usage]) = scan::members_of_text(body, &["model", "usage"]) else {
        return Answer::default();
    };
    let usage = object(body, &usage).map(Usage::read).unwrap_or_default();
    Answer { model: answer::text(body, &model), tokens: usage.tokens(), ..usage.said() }
}

/// A usage, or several of one stream, of which the later ones count on.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Usage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_creation: Option<Written>,
    output_tokens_details: Option<Produced>,
    server_tool_use: Option<ServerTools>,
    service_tier: Option<String>,
    /// `fast` where it was asked for and could be had.
    speed: Option<String>,
    /// Where it was made, such as `us` or `global`.
    inference_geo: Option<String>,
    /// Each time that a model was run for the request.
    iterations: Option<Box<RawValue>>,
}

/// One time that a model was run.
#[derive(Debug, Deserialize)]
struct Iteration {
    r#type: String,
    #[serde(flatten)]
    usage: Usage,
}

/// What was written into the cache, by how long it is kept there.
#[derive(Debug, Default, Deserialize)]
struct Written {
    ephemeral_5m_input_tokens: Option<u64>,
    ephemeral_1h_input_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
struct Produced {
    thinking_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
struct ServerTools {
    web_search_requests: Option<u64>,
}

impl Usage {
    /// Reads a `usage` object; one that cannot be read says nothing.
    pub(super) fn read(usage: &[u8]) -> Self {
        serde_json::from_slice(usage).unwrap_or_default()
    }

    /// Takes over what a later one says. Counts only grow, so that one which is left at zero there has
    /// not been taken back.
    pub(super) fn hear(&mut self, later: Self) {
        let Self {
            input_tokens,
            output_tokens,
            cache_read_input_tokens,
            cache_creation_input_tokens,
            cache_creation,
            output_tokens_details,
            server_tool_use,
            service_tier,
            speed,
            inference_geo,
            iterations,
        } = later;
        self.input_tokens = input_tokens.max(self.input_tokens);
        self.output_tokens = output_tokens.max(self.output_tokens);
        self.cache_read_input_tokens = cache_read_input_tokens.max(self.cache_read_input_tokens);
        self.cache_creation_input_tokens = cache_creation_input_tokens.max(self.cache_creation_input_tokens);
        self.cache_creation = cache_creation.or(self.cache_creation.take());
        self.output_tokens_details = output_tokens_details.or(self.output_tokens_details.take());
        self.server_tool_use = server_tool_use.or(self.server_tool_use.take());
        self.service_tier = service_tier.or(self.service_tier.take());
        self.speed = speed.or(self.speed.take());
        self.inference_geo = inference_geo.or(self.inference_geo.take());
        self.iterations = iterations.or(self.iterations.take());
    }

    /// What was used; `None` if it is not said, or cannot be.
    pub(super) fn tokens(&self) -> Option<Tokens> {
        let mut tokens = self.own_tokens()?;
        // Of all iterations, the totals leave out those in which a conversation was summed up.
        let iterations =
            self.iterations.as_ref().map(|said| serde_json::from_str::<Vec<Iteration>>(said.get()));
        let iterations = iterations.and_then(Result::ok).unwrap_or_default();
        for summed_up in iterations.iter().filter(|iteration| iteration.r#type == "compaction") {
            let more = summed_up.usage.own_tokens()?;
            tokens.input += more.input;
            tokens.cached_input += more.cached_input;
            tokens.cache_write += more.cache_write;
            tokens.cache_write_long += more.cache_write_long;
            tokens.output += more.output;
            tokens.reasoning += more.reasoning;
        }
        let is_sensible = tokens.total_input().max(tokens.total_output()) <= 3 * MOST_TOKENS;
        is_sensible.then_some(tokens)
    }

    /// What the totals say.
    fn own_tokens(&self) -> Option<Tokens> {
        let output = self.output_tokens?;
        let thinking = self.output_tokens_details.as_ref().and_then(|details| details.thinking_tokens);
        let reasoning = thinking.unwrap_or_default().min(output);
        let read = self.read_tokens()?;
        (output <= MOST_TOKENS).then_some(Tokens { output: output - reasoning, reasoning, ..read })
    }

    /// What was read.
    pub(super) fn read_tokens(&self) -> Option<Tokens> {
        let count = |tokens: Option<u64>| tokens.unwrap_or_default();
        let by_lifetime = self.cache_creation.as_ref();
        let short = count(by_lifetime.and_then(|written| written.ephemeral_5m_input_tokens));
        let long = count(by_lifetime.and_then(|written| written.ephemeral_1h_input_tokens));
        let written = self.cache_creation_input_tokens.unwrap_or_else(|| short.saturating_add(long));
        // What is beyond both is as long-lived as what is known, and the shorter one if nothing is.
        let cache_write = if long > 0 { short.min(written) } else { written };
        let read = Tokens {
            input: count(self.input_tokens),
            cached_input: count(self.cache_read_input_tokens),
            cache_write,
            cache_write_long: written - cache_write,
            ..Tokens::default()
        };
        let is_said = self.input_tokens.or(self.cache_read_input_tokens).is_some();
        let counts = [read.input, read.cached_input, written];
        (is_said && counts.iter().all(|tokens| *tokens <= MOST_TOKENS)).then_some(read)
    }

    /// What it says beside tokens.
    pub(super) fn said(&self) -> Answer {
        let searches = self.server_tool_use.as_ref().and_then(|used| used.web_search_requests);
        let service_tier = self.service_tier.clone().filter(|tier| tier.len() <= 64);
        let searches = searches.filter(|searches| *searches <= MOST_TOKENS).unwrap_or_default();
        Answer { service_tier, searches, premium: self.premium(), ..Answer::default() }
    }

    /// What makes it dearer: the places that cost no more are called so, or are no matter of choice.
    fn premium(&self) -> Option<Premium> {
        let is_usual = |place: &str| matches!(place, "" | "global" | "not_available");
        match (self.speed.as_deref(), self.inference_geo.as_deref()) {
            (Some("fast"), _) => Some(Premium::Speed),
            (_, Some(place)) if !is_usual(place) => Some(Premium::Place),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn tokens(usage: &serde_json::Value) -> Option<Tokens> {
        Usage::read(usage.to_string().as_bytes()).tokens()
    }

    #[test]
    fn every_class_is_counted_once() {
        let usage = json!({
            "input_tokens": 10, "cache_read_input_tokens": 200, "cache_creation_input_tokens": 3_000,
            "cache_creation": {"ephemeral_5m_input_tokens": 1_000, "ephemeral_1h_input_tokens": 2_000},
            "output_tokens": 50, "output_tokens_details": {"thinking_tokens": 20}, "service_tier": "standard",
        });
        let expected = Tokens {
            input: 10,
            cached_input: 200,
            cache_write: 1_000,
            cache_write_long: 2_000,
            output: 30,
            reasoning: 20,
            ..Tokens::default()
        };
        assert_eq!(tokens(&usage), Some(expected));
    }

    #[test]
    fn what_it_took_to_sum_a_conversation_up_is_used_too() {
        let usage = json!({
            "input_tokens": 10, "output_tokens": 5, "iterations": [
                {"type": "compaction", "input_tokens": 1_000, "output_tokens": 300, "cache_read_input_tokens": 7,
                 "cache_creation_input_tokens": 0},
                {"type": "message", "input_tokens": 10, "output_tokens": 5},
                {"type": "advisor_message", "model": "another", "input_tokens": 9, "output_tokens": 9},
            ],
        });
        let expected = Tokens { input: 1_010, cached_input: 7, output: 305, ..Tokens::default() };
        assert_eq!(tokens(&usage), Some(expected));
        let unknown = json!({"input_tokens": 10, "output_tokens": 5, "iterations": [{"kind": 7}]});
        assert_eq!(tokens(&unknown).map(|tokens| tokens.total_output()), Some(5));
    }

    #[test]
    fn cache_writes_of_unknown_lifetime_are_like_the_known_ones() {
        let written = |usage: serde_json::Value| {
            tokens(&usage).map(|tokens| (tokens.cache_write, tokens.cache_write_long)).unwrap()
        };
        assert_eq!(
            written(json!({"input_tokens": 1, "output_tokens": 1, "cache_creation_input_tokens": 9})),
            (9, 0)
        );
        let long = json!({
            "input_tokens": 1, "output_tokens": 1, "cache_creation_input_tokens": 9,
            "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 3},
        });
        assert_eq!(written(long), (2, 7));
        let no_total = json!({
            "input_tokens": 1, "output_tokens": 1,
            "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 3},
        });
        assert_eq!(written(no_total), (2, 3));
    }

    #[test]
    fn what_cannot_be_counted_is_not_said() {
        for usage in [
            json!({}),
            json!({"output_tokens": 7}),
            json!({"input_tokens": -1, "output_tokens": 7}),
            json!({"input_tokens": "9", "output_tokens": 7}),
            json!({"input_tokens": 1_000_000_001, "output_tokens": 7}),
            json!({"input_tokens": 1, "output_tokens": u64::MAX}),
            json!({"input_tokens": 1, "output_tokens": 1, "cache_creation": {"ephemeral_5m_input_tokens": u64::MAX, "ephemeral_1h_input_tokens": 9}}),
        ] {
            assert_eq!(tokens(&usage), None, "{usage}");
        }
        assert_eq!(answer(b"<html>"), Answer::default());
        assert_eq!(answer(b"{\"type\":\"error\",\"error\":{}}"), Answer::default());
    }

    #[test]
    fn what_makes_an_answer_dearer_is_told() {
        let premium = |more: &str| {
            let usage = format!(r#"{{"input_tokens":1,"output_tokens":2{more}}}"#);
            answer(format!(r#"{{"usage":{usage}}}"#).as_bytes()).premium
        };
        assert_eq!(premium(r#","speed":"fast","inference_geo":"us""#), Some(Premium::Speed));
        assert_eq!(premium(r#","speed":"standard","inference_geo":"us""#), Some(Premium::Place));
        for usual in ["", r#","inference_geo":"global""#, r#","inference_geo":"not_available","speed":null"#]
        {
            assert_eq!(premium(usual), None, "{usual}");
        }
    }

    #[test]
    fn searches_are_counted_apart() {
        let said = answer(br#"{"model":"m","usage":{"input_tokens":1,"output_tokens":2,"server_tool_use":{"web_search_requests":3}}}"#);
        assert_eq!((said.searches, said.model.as_deref()), (3, Some("m")));
    }

    proptest! {
        #[test]
        fn no_token_is_lost_or_counted_twice(
            counts: [u32; 4], written in prop::option::of((any::<u32>(), any::<u32>())), thinking: u32,
        ) {
            let [input, read, created, output] = counts.map(|count| u64::from(count) % (MOST_TOKENS + 1));
            let mut usage = json!({
                "input_tokens": input, "cache_read_input_tokens": read, "cache_creation_input_tokens": created,
                "output_tokens": output, "output_tokens_details": {"thinking_tokens": thinking},
            });
            if let Some((short, long)) = written {
                usage["cache_creation"] =
                    json!({"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long});
            }
            let tokens = tokens(&usage).unwrap();
            prop_assert_eq!((tokens.total_input(), tokens.total_output()), (input + read + created, output));
        }
    }
}
