//! How much work the expressions of one request may do together.

use std::sync::atomic::{AtomicU32, Ordering};

/// Steps that are left. Each expression has a bound of its own; a policy has many expressions.
#[derive(Debug)]
pub struct Budget(AtomicU32);

impl Budget {
    /// So many steps.
    pub fn of(steps: u32) -> Self {
        Self(AtomicU32::new(steps))
    }

    /// What is left of them.
    pub(crate) fn left(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// Takes steps that are about to be done, if so many are left.
    pub(crate) fn take(&self, steps: usize) -> bool {
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        let enough = steps <= self.left();
        self.spend(steps);
        enough
    }

    /// Takes steps that were done. One request is evaluated by one thread at a time.
    pub(crate) fn spend(&self, steps: u32) {
        self.0.store(self.left().saturating_sub(steps), Ordering::Relaxed);
    }
}
