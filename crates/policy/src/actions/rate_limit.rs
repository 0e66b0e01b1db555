//! `rate-limit`: how many requests may come in a window that slides.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};

use super::Next;
use crate::document::place::Place;
use crate::expression::Expression;
use crate::problem::Code;
use crate::run::{Answer, Count, Counted, Effect, Exchange, Failure, Outcome, Refusal};
use crate::value::Value;

/// A limit and whose requests count together.
pub struct RateLimit {
    name: Arc<str>,
    capacity: u64,
    window: Duration,
    bucket_key: Vec<Expression>,
    enforce: bool,
}

const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_hours(24);

impl RateLimit {
    pub(crate) fn read(place: &Place<'_>) -> Option<Self> {
        let known = &["name", "algorithm", "capacity", "rate", "bucket_key", "enforce"];
        let fields = place.fields(known)?;
        let name = fields.need("name", |place| place.text_of(1..=1023));
        let algorithm = fields.need("algorithm", |place| place.choice(&[("sliding_window", ())]));
        let capacity = fields.need("capacity", |place| place.integer(1..=2_000_000_000));
        let window = fields.need("rate", window);
        let bucket_key = fields.need("bucket_key", |place| place.list(1..=10, Place::expression));
        let enforce = fields.or("enforce", true, Place::boolean);
        algorithm?;
        Some(Self {
            name: name?.into(),
            capacity: capacity?.unsigned_abs(),
            window: window?,
            bucket_key: bucket_key?,
            enforce: enforce?,
        })
    }

    pub(crate) fn act(
        &self,
        exchange: &mut Exchange,
        answered: Option<(Effect, Outcome)>,
    ) -> Result<Next, Failure> {
        let keys = exchange.look(|facts| {
            self.bucket_key.iter().map(|key| key.evaluate(facts)).collect::<Result<Vec<Value>, _>>()
        })?;
        let Some((_, Outcome::Count(outcome))) = answered else {
            let count = Count {
                name: self.name.clone(),
                bucket: bucket(&keys)?,
                capacity: self.capacity,
                window: self.window,
            };
            return Ok(Next::Ask(Effect::Count(count)));
        };
        let counted = match outcome {
            Ok(counted) => counted,
            Err(_) if self.enforce => return Err(Failure::unavailable("the rate limit could not be asked")),
            Err(error) => {
                let error = Value::map([
                    ("code", Value::from("ERR_NGROK_2253")),
                    ("message", Value::from(error.to_string())),
                ]);
                let found = [("bucket_key", Value::list(keys)), ("limited", false.into()), ("error", error)];
                exchange.found("rate_limit", found);
                return Ok(Next::Go);
            }
        };
        let limited = counted != Counted::Within;
        exchange.found("rate_limit", [("bucket_key", Value::list(keys)), ("limited", limited.into())]);
        match counted {
            Counted::Exceeded { retry_after } if self.enforce => {
                // Whole seconds, rounded up: whoever waits as long as we say must find room.
                let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
                let message = "Too many requests. Wait a little and try again.";
                let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, None, message)
                    .with_header(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
                Ok(Next::End(Answer::Refused(refusal)))
            }
            _ => Ok(Next::Go),
        }
    }
}

/// The window of a rate: a duration such as `60s`, or `100/min`. The number in the latter is not looked at:
/// how many requests may come is said by `capacity`.
fn window(place: &Place<'_>) -> Option<Duration> {
    let text = place.text()?;
    let window = match text.split_once('/') {
        None => place.duration(SHORTEST..=LONGEST)?,
        Some((number, unit)) => {
            let number_is_one = number.trim().parse::<u64>().is_ok_and(|number| number > 0);
            match unit.trim() {
                "m" | "min" | "minute" if number_is_one => SHORTEST,
                "h" | "hr" | "hour" if number_is_one => Duration::from_hours(1),
                "d" | "day" if number_is_one => LONGEST,
                _ => {
                    return place.wrong_so(
                        Code::Duration,
                        "This is not a rate.",
                        "Write the length of the window, such as `60s`, or `100/min`.",
                    );
                }
            }
        }
    };
    if window.subsec_nanos() != 0 || !window.as_secs().is_multiple_of(10) {
        return place.wrong(Code::Duration, "The window must be a multiple of ten seconds.");
    }
    Some(window)
}

/// One name for all that the keys came to. The digest keeps secrets, and tenants' texts of any length, out of
/// the names of counters; lengths stand between the parts, so that no two lists of keys read alike.
fn bucket(keys: &[Value]) -> Result<String, Failure> {
    let mut digest = Sha256::new();
    for key in keys {
        let text = key.to_text()?;
        digest.update(key.kind().as_bytes());
        digest.update((text.len() as u64).to_be_bytes());
        digest.update(text.as_str().as_bytes());
    }
    Ok(hex::encode(&digest.finalize()[..16]))
}
