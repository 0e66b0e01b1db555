//! Paying for a stream as it comes.

use model::Nanos;

use super::Bound;

/// How much of a stream is paid for, and when more must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Steps {
    bound: Bound,
    /// How many tokens of output are paid for.
    paid_for: u64,
    refused: bool,
}

/// What to ask for so that a stream may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extension {
    /// Money beyond what is held.
    pub more: Nanos,
    /// For so many tokens of output.
    pub tokens: u64,
    /// What was produced so far costs this.
    pub reported: Nanos,
}

impl Steps {
    /// A stream whose [`Bound::hold`] is held; `None` if that is all that it can cost.
    pub fn new(bound: Bound) -> Option<Self> {
        let paid_for = bound.step?;
        Some(Self { bound, paid_for, refused: false })
    }

    /// What to ask for once so many tokens were produced: the next step, at three quarters of the one
    /// before. `None` if it is too early, if all is paid for, or if more was refused.
    pub fn due(&self, produced: u64) -> Option<Extension> {
        let step = self.bound.step.unwrap_or(self.bound.output_tokens);
        let is_early = produced + step / 4 < self.paid_for;
        if self.refused || is_early || self.paid_for >= self.bound.output_tokens {
            return None;
        }
        let next = self.paid_for.saturating_add(step).min(self.bound.output_tokens);
        Some(Extension {
            more: self.bound.up_to(next) - self.bound.up_to(self.paid_for),
            tokens: next - self.paid_for,
            reported: self.reported(produced),
        })
    }

    /// What was asked for is held.
    pub fn granted(&mut self, extension: &Extension) {
        self.paid_for = self.paid_for.saturating_add(extension.tokens);
    }

    /// It was refused; the stream ends where what is held ends.
    pub fn refused(&mut self) {
        self.refused = true;
    }

    /// Whether a stream that produced so many tokens must end.
    pub fn must_end(&self, produced: u64) -> bool {
        produced >= self.paid_for && self.paid_for < self.bound.output_tokens
    }

    /// What a stream costs that produced so many tokens, for the beat.
    pub fn reported(&self, produced: u64) -> Nanos {
        self.bound.up_to(produced)
    }
}
