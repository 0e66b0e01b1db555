//! A process is ready once every part that registered for readiness has dropped its guard.

use std::sync::{Arc, Mutex, PoisonError};

/// What the process still waits for. Clones share the same list.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    waiting_for: Arc<Mutex<Vec<&'static str>>>,
}

impl Readiness {
    /// Nothing registered yet, hence ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the process unready until the guard is dropped.
    #[must_use = "the process is unready only as long as the guard lives"]
    pub fn unready(&self, part: &'static str) -> Unready {
        self.lock().push(part);
        Unready { part, readiness: self.clone() }
    }

    /// The parts that are not ready; empty when the process is.
    pub fn waiting_for(&self) -> Vec<&'static str> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<&'static str>> {
        self.waiting_for.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Held by a part that is not ready yet.
#[derive(Debug)]
pub struct Unready {
    part: &'static str,
    readiness: Readiness,
}

impl Drop for Unready {
    fn drop(&mut self) {
        let mut waiting_for = self.readiness.lock();
        if let Some(at) = waiting_for.iter().position(|part| *part == self.part) {
            waiting_for.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ready_when_the_last_guard_is_gone() {
        let readiness = Readiness::new();
        let first = readiness.unready("snapshot");
        let second = readiness.unready("spool");
        drop(first);
        assert_eq!(readiness.waiting_for(), ["spool"]);
        drop(second);
        assert!(readiness.waiting_for().is_empty());
    }
}
