//! Which era of each shard this process may set things aside in: one in which it has declared, unless
//! the control plane says that a later one has begun.
//!
//! The control plane's word is Postgres's, where a new era is written before Redis shows it. So whoever
//! was told of an era knows that all before it are over, whatever the Redis says that he reaches: it may
//! be a primary that was left behind. The last word counts, also a lower number: a database that was
//! restored begins where it was, and whoever waited for the number that he once heard would wait for
//! ever.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::Shard;

use crate::protocol::Scripts;

#[derive(Debug)]
pub(crate) struct Eras(Box<[One]>);

/// Of one shard.
#[derive(Debug, Default)]
struct One {
    open: Mutex<Option<Scripts>>,
    /// What the control plane said last; 0 if it said nothing.
    told: AtomicU64,
}

impl Eras {
    pub(crate) fn new() -> Self {
        Self(Shard::all().map(|_| One::default()).collect())
    }

    /// Opens an era, unless a later one has begun.
    pub(crate) fn open(&self, scripts: &Scripts) {
        let mut open = self.open_of(scripts.shard());
        if !self.is_over(scripts) {
            *open = Some(scripts.clone());
        }
    }

    pub(crate) fn close(&self, shard: Shard) {
        *self.open_of(shard) = None;
    }

    /// The control plane says in which era a shard is. Says whether that closes one that was open.
    pub(crate) fn tell(&self, shard: Shard, era: u64) -> bool {
        // Before the lock is taken: who opens an era meanwhile sees this, or is seen here.
        self.of(shard).told.store(era, Ordering::SeqCst);
        let mut open = self.open_of(shard);
        open.take_if(|scripts| scripts.era() < era).is_some()
    }

    /// What the control plane said last; 0 if it said nothing.
    pub(crate) fn told(&self, shard: Shard) -> u64 {
        self.of(shard).told.load(Ordering::SeqCst)
    }

    /// Whether the control plane says that a later era has begun.
    pub(crate) fn is_over(&self, scripts: &Scripts) -> bool {
        scripts.era() < self.told(scripts.shard())
    }

    pub(crate) fn scripts(&self, shard: Shard) -> Option<Scripts> {
        self.open_of(shard).clone()
    }

    pub(crate) fn number(&self, shard: Shard) -> Option<u64> {
        self.open_of(shard).as_ref().map(Scripts::era)
    }

    fn of(&self, shard: Shard) -> &One {
        &self.0[usize::from(shard.0)]
    }

    fn open_of(&self, shard: Shard) -> MutexGuard<'_, Option<Scripts>> {
        self.of(shard).open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARD: Shard = Shard(3);

    #[test]
    fn an_era_is_over_once_a_later_one_is_told() {
        let (eras, scripts) = (Eras::new(), |era| Scripts::of(SHARD, era));
        eras.open(&scripts(7));
        assert!(!eras.tell(SHARD, 7) && !eras.tell(Shard(4), 9));
        assert_eq!(eras.number(SHARD), Some(7));
        assert!(eras.tell(SHARD, 8));
        assert!(!eras.tell(SHARD, 8), "it was closed before");
        eras.open(&scripts(7));
        assert_eq!(eras.number(SHARD), None, "it does not open again");
        // Redis may be ahead of what was told.
        eras.open(&scripts(9));
        assert!(!eras.tell(SHARD, 8));
        assert_eq!(eras.number(SHARD), Some(9));
    }

    #[test]
    fn the_last_word_counts_also_a_lower_number() {
        let (eras, scripts) = (Eras::new(), Scripts::of(SHARD, 5));
        eras.tell(SHARD, 9);
        eras.open(&scripts);
        assert_eq!(eras.number(SHARD), None);
        eras.tell(SHARD, 4);
        eras.open(&scripts);
        assert_eq!(eras.number(SHARD), Some(5));
    }
}
