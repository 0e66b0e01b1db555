//! Answers paid from credits whose callers left. A provider that bills on all the same is read to its
//! usage, so that what is charged is what was billed; a proxy does so for a bounded number at a time.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use model::AccountId;
use prometheus::IntGauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Relayed;

/// The places for answers that are read to their end without a caller. No account gets more than a
/// quarter of them, so that nobody can fill them and have what others leave guessed at.
#[derive(Debug, Clone)]
pub struct Drains {
    places: Arc<Semaphore>,
    most_each: usize,
    by_account: Arc<Mutex<HashMap<AccountId, usize>>>,
    taken: IntGauge,
}

/// A place, taken for one answer.
#[derive(Debug)]
pub struct Drain {
    _place: OwnedSemaphorePermit,
    account: AccountId,
    by_account: Arc<Mutex<HashMap<AccountId, usize>>>,
    taken: IntGauge,
}

impl Drains {
    /// So many places.
    pub fn new(most: usize, taken: IntGauge) -> Self {
        let places = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        Self { places, most_each: most.div_ceil(4), by_account: Arc::default(), taken }
    }

    /// A place, if there is one for this account.
    pub fn place(&self, account: AccountId) -> Option<Drain> {
        let mut by_account = self.by_account.lock().unwrap_or_else(PoisonError::into_inner);
        if by_account.get(&account).is_some_and(|taken| *taken >= self.most_each) {
            return None;
        }
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        *by_account.entry(account).or_default() += 1;
        self.taken.inc();
        let (by_account, taken) = (Arc::clone(&self.by_account), self.taken.clone());
        Some(Drain { _place: place, account, by_account, taken })
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        self.taken.dec();
        let mut by_account = self.by_account.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = by_account.get_mut(&self.account) {
            *taken -= 1;
            if *taken == 0 {
                by_account.remove(&self.account);
            }
        }
    }
}

/// Reads an answer to its end.
pub(super) async fn drained(mut relayed: Relayed, place: Drain) {
    while poll_fn(|context| relayed.poll_frame(context)).await.is_some() {}
    drop(place);
}

/// The same, of so much and within that time: what only the caller's provider may ever end.
pub(super) async fn drained_within(mut relayed: Relayed, place: Drain, mut bytes: u64, time: Duration) {
    let draining = async {
        while let Some(frame) = poll_fn(|context| relayed.poll_frame(context)).await {
            let length = frame.ok().and_then(|frame| frame.data_ref().map(Bytes::len)).unwrap_or_default();
            let Some(left) = bytes.checked_sub(length as u64) else { break };
            bytes = left;
        }
    };
    let _in_time = tokio::time::timeout(time, draining).await;
    drop((relayed, place));
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn nobody_gets_more_than_a_quarter_of_the_places() {
        let taken = IntGauge::new("taken", "taken").unwrap();
        let drains = Drains::new(8, taken.clone());
        let account = |number| AccountId(Uuid::from_u128(number));
        let mut first = [drains.place(account(1)), drains.place(account(1))];
        assert!(first.iter().all(Option::is_some) && drains.place(account(1)).is_none());
        let others: Vec<_> = (2..8).map(|number| drains.place(account(number))).collect();
        assert!(others.iter().all(Option::is_some) && drains.place(account(8)).is_none());
        first[0] = None;
        assert!(drains.place(account(1)).is_some());
        drop((first, others));
        assert_eq!((taken.get(), drains.by_account.lock().unwrap().len()), (0, 0));
        assert!(Drains::new(0, taken).place(account(1)).is_none());
    }
}
