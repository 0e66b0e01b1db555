//! What a request asks of the simulator beside its answer: slowness, errors, broken endings, usage.
//!
//! Written as `key=value; key=value` in the header `x-simulator`, in the member `metadata.simulator`, in the text as
//! `[simulator: key=value]`, or after an `@` in the model's name (`gpt-4o-mini@status=429;retry_after=0`); a key alone
//! means its default. Of several simulators one is asked alone by its name: `[groq: status=500]`.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;
use serde_json::Value;

use crate::billing::Tokens;
use crate::question::Question;

/// The wishes of one request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Behaviour {
    /// Before the answer's head is sent.
    pub(crate) latency: Duration,
    /// Between the head and the body's first byte.
    pub(crate) first_chunk: Duration,
    /// Between one event and the next.
    pub(crate) between_chunks: Duration,
    /// How many content events a stream has.
    pub(crate) chunks: Option<usize>,
    /// How many bytes of text the answer has.
    pub(crate) size: Option<usize>,
    /// Of how many words the answer is, each one token.
    pub(crate) words: Option<usize>,
    /// Reports and bills these instead of what the text has. Only the tokens of reasoning obey the request's limit:
    /// a usage above it is what such a wish is for.
    pub(crate) input_tokens: Option<u64>,
    pub(crate) cached_tokens: Option<u64>,
    pub(crate) cache_write_tokens: Option<u64>,
    pub(crate) cache_write_long_tokens: Option<u64>,
    pub(crate) output_tokens: Option<u64>,
    pub(crate) reasoning_tokens: Option<u64>,
    /// Bills the whole answer even if the client does not wait for it; otherwise billing stops when the client leaves.
    pub(crate) bills_on: bool,
    /// The gate at which the answer waits: before its head, or after so many content events.
    pub(crate) gate: Option<String>,
    pub(crate) gate_after: Option<usize>,
    /// Leaves the usage out.
    pub(crate) no_usage: bool,
    /// Sends a trailer after the body.
    pub(crate) trailers: bool,
    /// How the answer goes wrong.
    pub(crate) failure: Option<Failure>,
    /// The answer's `retry-after` and `retry-after-ms`; `none` leaves out the one that an error would have.
    pub(crate) retry_after: Option<String>,
    pub(crate) retry_after_ms: Option<String>,
    /// Fails only the first requests that bear this key.
    pub(crate) fail_times: Option<u32>,
    pub(crate) key: Option<String>,
}

/// A way in which an answer goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Failure {
    /// An error with this status and the provider's body for it.
    Status(StatusCode),
    /// A TCP reset instead of an answer.
    Reset,
    /// The end of the connection, in good order, instead of an answer.
    HangUp,
    /// The answer's head, and then the end of the connection.
    HeadOnly,
    /// No answer, ever.
    Hang,
    /// Half of the body whose whole length was announced, then the end of the connection.
    HalfDocument,
    /// The end of the connection after this many content events.
    HalfStream(usize),
    /// An event that is not JSON after this many content events; the stream then goes on.
    Malformed(usize),
    /// An error event after this many content events, and nothing more.
    ErrorInStream(usize),
}

impl Behaviour {
    /// Takes the wishes to a simulator of this name out of a question; a model's name is left as the provider would
    /// know it.
    pub(crate) fn taken_from(question: &mut Question, name: &str) -> Self {
        let mut behaviour = Self::default();
        if let Some(Value::String(model)) = question.json.get_mut("model")
            && let Some((name, wishes)) = model.split_once('@')
            && wishes.contains(['=', ';'])
        {
            behaviour.wish(wishes);
            *model = name.to_owned();
        }
        if let Some(wishes) = question.json.pointer("/metadata/simulator").and_then(Value::as_str) {
            behaviour.wish(wishes);
        }
        let marks = [question.mark("simulator"), question.mark(name), question.header("x-simulator")];
        for wishes in marks.into_iter().flatten() {
            behaviour.wish(wishes);
        }
        behaviour
    }

    fn wish(&mut self, wishes: &str) {
        for wish in wishes.split(';').map(str::trim).filter(|wish| !wish.is_empty()) {
            let (key, value) =
                wish.split_once('=').map_or((wish, ""), |(key, value)| (key.trim(), value.trim()));
            let number = value.parse::<u64>().ok();
            let count = number.unwrap_or(1) as usize;
            let duration = Duration::from_millis(number.unwrap_or(0));
            match key {
                "latency_ms" => self.latency = duration,
                "first_chunk_ms" => self.first_chunk = duration,
                "chunk_ms" => self.between_chunks = duration,
                "chunks" => self.chunks = Some(count),
                "size" => self.size = Some(count),
                "words" => self.words = Some(count),
                "input_tokens" => self.input_tokens = number,
                "cached_tokens" => self.cached_tokens = number,
                "cache_write_tokens" => self.cache_write_tokens = number,
                "cache_write_long_tokens" => self.cache_write_long_tokens = number,
                "output_tokens" => self.output_tokens = number,
                "reasoning_tokens" => self.reasoning_tokens = number,
                "bills_on" => self.bills_on = true,
                "stops" => self.bills_on = false,
                "gate" => self.gate = Some(value.to_owned()),
                "gate_after" => self.gate_after = Some(count),
                "no_usage" => self.no_usage = true,
                "trailers" => self.trailers = true,
                "status" => {
                    let status = value.parse().unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                    self.failure = Some(Failure::Status(status));
                }
                "reset" => self.failure = Some(Failure::Reset),
                "hang_up" => self.failure = Some(Failure::HangUp),
                "head_only" => self.failure = Some(Failure::HeadOnly),
                "hang" => self.failure = Some(Failure::Hang),
                "half_json" => self.failure = Some(Failure::HalfDocument),
                "half_stream" => self.failure = Some(Failure::HalfStream(count)),
                "malformed" => self.failure = Some(Failure::Malformed(count)),
                "error_in_stream" => self.failure = Some(Failure::ErrorInStream(count)),
                "retry_after" => self.retry_after = Some(value.to_owned()),
                "retry_after_ms" => self.retry_after_ms = Some(value.to_owned()),
                "fail_times" => self.fail_times = Some(count as u32),
                "key" => self.key = Some(value.to_owned()),
                // An unknown wish is a typing error in a test; refusing it would look like a provider's refusal.
                _ => eprintln!("The simulator does not know the wish `{key}`"),
            }
        }
    }
}

impl Behaviour {
    /// Whether the connection ends before anything was produced.
    pub(crate) fn produces_nothing(&self) -> bool {
        matches!(self.failure, Some(Failure::Reset | Failure::HangUp | Failure::HeadOnly))
    }

    /// The tokens that are reported and billed for an answer that has `tokens`.
    pub(crate) fn tokens(&self, tokens: Tokens) -> Tokens {
        Tokens {
            input: self.input_tokens.unwrap_or(tokens.input),
            cached: self.cached_tokens.unwrap_or(tokens.cached),
            cache_write: self.cache_write_tokens.unwrap_or(tokens.cache_write),
            cache_write_long: self.cache_write_long_tokens.unwrap_or(tokens.cache_write_long),
            output: self.output_tokens.unwrap_or(tokens.output),
            reasoning: tokens.reasoning,
        }
    }
}

/// How often each key has failed so far.
#[derive(Default)]
pub(crate) struct Failures(Mutex<HashMap<String, u32>>);

impl Failures {
    /// Drops the failure from a behaviour that has had all that it asked for.
    pub(crate) fn spend(&self, behaviour: &mut Behaviour) {
        let Some(times) = behaviour.fail_times else { return };
        let key = behaviour.key.clone().unwrap_or_default();
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = failures.entry(key).or_default();
        if *failed >= times {
            behaviour.failure = None;
        } else {
            *failed += 1;
            behaviour.failure.get_or_insert(Failure::Status(StatusCode::INTERNAL_SERVER_ERROR));
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_read_one_by_one() {
        let mut behaviour = Behaviour::default();
        behaviour.wish("latency_ms=20; chunks = 7;no_usage; status=429; retry_after=0.1");
        assert_eq!(
            behaviour,
            Behaviour {
                latency: Duration::from_millis(20),
                chunks: Some(7),
                no_usage: true,
                failure: Some(Failure::Status(StatusCode::TOO_MANY_REQUESTS)),
                retry_after: Some("0.1".to_owned()),
                ..Behaviour::default()
            }
        );
    }

    #[test]
    fn a_key_fails_as_often_as_it_was_told_to() {
        let failures = Failures::default();
        let outcomes = (0..4).map(|_| {
            let mut behaviour = Behaviour::default();
            behaviour.wish("fail_times=2; key=a; reset");
            failures.spend(&mut behaviour);
            behaviour.failure
        });
        assert_eq!(outcomes.collect::<Vec<_>>(), [Some(Failure::Reset), Some(Failure::Reset), None, None]);
    }
}
