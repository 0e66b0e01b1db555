//! `circuit-breaker`: spares a provider that fails. Whether the circuit is open is known outside, because all
//! requests of a gateway decide it together.

use std::time::Duration;

use http::StatusCode;

use super::Next;
use crate::document::place::Place;
use crate::run::{Answer, Effect, Exchange, Failure, Outcome, Passage, Refusal};

/// When a circuit opens, and for how long.
#[derive(Debug, Clone, PartialEq)]
pub struct Breaker {
    /// Which circuit of the policy this is.
    pub circuit: u32,
    /// Which share of the requests in a window must fail.
    pub error_threshold: f64,
    /// How many requests a window must have before that counts.
    pub volume_threshold: u32,
    /// How far back failures count.
    pub window: Duration,
    /// How long the circuit stays open.
    pub tripped: Duration,
}

/// In how many parts a window is counted.
pub const BUCKETS: u32 = 10;

/// A circuit and whether it refuses.
pub struct CircuitBreaker {
    breaker: Breaker,
    enforce: bool,
}

impl CircuitBreaker {
    pub(crate) fn read(place: &Place<'_>) -> Option<Self> {
        let known = &[
            "error_threshold",
            "volume_threshold",
            "window_duration",
            "tripped_duration",
            "num_buckets",
            "enforce",
        ];
        let fields = place.fields(known)?;
        let durations = Duration::from_secs(1)..=Duration::from_mins(2);
        let error_threshold = fields.or("error_threshold", 0.5, |place| place.number(0.0..=1.0));
        let volume_threshold = fields.or("volume_threshold", 10, |place| place.integer(1..=2_000_000_000));
        let default = Duration::from_secs(10);
        let window = fields.or("window_duration", default, |place| place.duration(durations.clone()));
        let tripped = fields.or("tripped_duration", default, |place| place.duration(durations.clone()));
        let buckets = i64::from(BUCKETS);
        let buckets = fields.or("num_buckets", buckets, |place| place.integer(buckets..=buckets));
        let enforce = fields.or("enforce", true, Place::boolean);
        buckets?;
        let breaker = Breaker {
            circuit: 0,
            error_threshold: error_threshold?,
            volume_threshold: u32::try_from(volume_threshold?).ok()?,
            window: window?,
            tripped: tripped?,
        };
        Some(Self { breaker, enforce: enforce? })
    }

    /// Says which circuit of its policy it is.
    pub(crate) fn number(&mut self, circuit: u32) {
        self.breaker.circuit = circuit;
    }

    pub(crate) fn act(
        &self,
        exchange: &mut Exchange,
        answered: Option<(Effect, Outcome)>,
    ) -> Result<Next, Failure> {
        let Some((_, Outcome::Breaker(outcome))) = answered else {
            return Ok(Next::Ask(Effect::Breaker(self.breaker.clone())));
        };
        match outcome {
            Ok(Passage::Block) if self.enforce => {
                let message = "The upstream is failing and gets a rest. Try again soon.";
                let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, Some(3202), message);
                return Ok(Next::End(Answer::Refused(refusal)));
            }
            // A breaker protects the provider, not the gateway: without its word requests go on.
            Ok(_) | Err(_) => exchange.breakers.push(self.breaker.clone()),
        }
        Ok(Next::Go)
    }
}
