//! Which era of each shard this process may set things aside in: those in which it has declared.

use std::sync::{Mutex, MutexGuard, PoisonError};

use model::Shard;

use crate::protocol::Scripts;

#[derive(Debug)]
pub(crate) struct Eras(Box<[Mutex<Option<Scripts>>]>);

impl Eras {
    pub(crate) fn new() -> Self {
        Self(Shard::all().map(|_| Mutex::default()).collect())
    }

    pub(crate) fn open(&self, scripts: &Scripts) {
        *self.of(scripts.shard()) = Some(scripts.clone());
    }

    pub(crate) fn close(&self, shard: Shard) {
        *self.of(shard) = None;
    }

    pub(crate) fn scripts(&self, shard: Shard) -> Option<Scripts> {
        self.of(shard).clone()
    }

    pub(crate) fn number(&self, shard: Shard) -> Option<u64> {
        self.of(shard).as_ref().map(Scripts::era)
    }

    fn of(&self, shard: Shard) -> MutexGuard<'_, Option<Scripts>> {
        self.0[usize::from(shard.0)].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
