//! How long the attempts of a request may take.

use std::time::{Duration, Instant};

/// What a traffic policy says of that; without one, only the proxy's own bounds hold.
#[derive(Debug, Clone, Copy, Default)]
pub struct Patience {
    /// Until the first byte of one answer.
    pub attempt: Option<Duration>,
    /// When all attempts together must have come to something.
    pub until: Option<Instant>,
}

impl Patience {
    /// How long the first byte may take, if it might take so long otherwise.
    pub fn within(&self, otherwise: Duration) -> Duration {
        let left = self.until.map(|until| until.saturating_duration_since(Instant::now()));
        let least = [self.attempt, left].into_iter().flatten().fold(otherwise, Duration::min);
        least.max(Duration::from_millis(1))
    }

    /// Whether no further attempt is to be made.
    pub fn is_over(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }
}
