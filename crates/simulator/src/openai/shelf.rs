//! What OpenAI keeps for its customers, kept in memory: files, batches, stored responses.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde_json::Value;

/// More than this many of a kind are not kept; the one whose id sorts first goes.
const ROOM: usize = 1_000;

/// Everything that is kept.
#[derive(Default)]
pub(crate) struct Shelf {
    pub(super) files: Drawer<File>,
    pub(super) batches: Drawer<Value>,
    pub(super) responses: Drawer<Stored>,
}

/// An uploaded file.
#[derive(Clone)]
pub(super) struct File {
    pub(super) description: Value,
    pub(super) content: Bytes,
}

/// A response and what it answered.
#[derive(Clone)]
pub(super) struct Stored {
    pub(super) response: Value,
    pub(super) input: Value,
}

/// The things of one kind, by id.
pub(super) struct Drawer<T>(Mutex<BTreeMap<String, T>>);

impl<T> Default for Drawer<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Drawer<T> {
    pub(super) fn put(&self, id: &str, thing: T) {
        let mut things = self.things();
        if things.len() >= ROOM {
            things.pop_first();
        }
        things.insert(id.to_owned(), thing);
    }

    pub(super) fn get(&self, id: &str) -> Option<T> {
        self.things().get(id).cloned()
    }

    pub(super) fn take(&self, id: &str) -> Option<T> {
        self.things().remove(id)
    }

    pub(super) fn all(&self) -> Vec<T> {
        self.things().values().cloned().collect()
    }

    fn things(&self) -> MutexGuard<'_, BTreeMap<String, T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
