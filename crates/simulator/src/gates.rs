//! Gates at which answers wait until a test lets them on, so that a test decides what is under way at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// All gates, by name. A gate that was never spoken of is closed.
#[derive(Default)]
pub(crate) struct Gates(Mutex<HashMap<String, Arc<Gate>>>);

/// One gate.
pub(crate) struct Gate(watch::Sender<State>);

/// How a gate stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct State {
    /// Whoever comes passes.
    pub(crate) open: bool,
    /// How many wait now.
    pub(crate) waiting: usize,
}

impl Gates {
    /// The gate of this name.
    pub(crate) fn named(&self, name: &str) -> Arc<Gate> {
        Arc::clone(self.all().entry(name.to_owned()).or_default())
    }

    /// Opens every gate for those who wait, and forgets it: whoever comes later finds it closed.
    pub(crate) fn clear(&self) {
        for (_, gate) in self.all().drain() {
            gate.open();
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Arc<Gate>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self(watch::Sender::new(State::default()))
    }
}

impl Gate {
    /// Waits until the gate is open. Who no longer waits for it is no longer counted.
    pub(crate) async fn pass(self: Arc<Self>) {
        let mut state = self.0.subscribe();
        self.0.send_modify(|state| state.waiting += 1);
        let _waiting = Waiting(&self);
        // It cannot go away: this very call holds it.
        let _ = state.wait_for(|state| state.open).await;
    }

    /// Lets everybody on, now and later.
    pub(crate) fn open(&self) {
        self.0.send_modify(|state| state.open = true);
    }

    /// Holds up whoever comes from now on.
    pub(crate) fn close(&self) {
        self.0.send_modify(|state| state.open = false);
    }

    /// How it stands once so many wait.
    pub(crate) async fn with(&self, waiting: usize) -> State {
        let mut states = self.0.subscribe();
        match states.wait_for(|state| state.waiting >= waiting).await {
            Ok(state) => *state,
            Err(_) => State::default(),
        }
    }
}

struct Waiting<'a>(&'a Gate);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.0.send_modify(|state| state.waiting -= 1);
    }
}
