//! Answers paid from credits whose callers left. A provider that bills on all the same is read to its
//! usage, so that what is charged is what was billed; a proxy does so for a bounded number at a time.

use std::future::poll_fn;
use std::sync::Arc;

use prometheus::IntGauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Relayed;

/// The places for answers that are read to their end without a caller.
#[derive(Debug, Clone)]
pub struct Drains {
    places: Arc<Semaphore>,
    taken: IntGauge,
}

/// A place, taken for one answer.
#[derive(Debug)]
pub struct Drain {
    _place: OwnedSemaphorePermit,
    taken: IntGauge,
}

impl Drains {
    /// So many places.
    pub fn new(most: usize, taken: IntGauge) -> Self {
        Self { places: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))), taken }
    }

    /// A place, if there is one.
    pub fn place(&self) -> Option<Drain> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        self.taken.inc();
        Some(Drain { _place: place, taken: self.taken.clone() })
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        self.taken.dec();
    }
}

/// Reads an answer to its end.
pub(super) async fn drained(mut relayed: Relayed, place: Drain) {
    while poll_fn(|context| relayed.poll_frame(context)).await.is_some() {}
    drop(place);
}
