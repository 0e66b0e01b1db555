//! How many calls an account may make: so many in any minute, counted by each process for itself.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use model::AccountId;

/// How many calls.
const CALLS: usize = 120;
/// In which time.
const WINDOW: Duration = Duration::from_secs(60);
/// From how many accounts on those that are silent are forgotten.
const MANY: usize = 1024;

/// The last calls of each account.
#[derive(Debug, Default)]
pub(super) struct RateLimit {
    calls: Mutex<HashMap<AccountId, VecDeque<Instant>>>,
}

impl RateLimit {
    /// Counts a call, or says how long to wait.
    pub(super) fn count(&self, account: AccountId, now: Instant) -> Result<(), Duration> {
        let mut accounts = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |at: &Instant| now.saturating_duration_since(*at) >= WINDOW;
        if accounts.len() > MANY {
            accounts.retain(|_, calls| calls.back().is_some_and(|at| !is_over(at)));
        }
        let calls = accounts.entry(account).or_default();
        while calls.front().is_some_and(is_over) {
            calls.pop_front();
        }
        if let (CALLS.., Some(first)) = (calls.len(), calls.front()) {
            return Err(WINDOW.saturating_sub(now.saturating_duration_since(*first)));
        }
        calls.push_back(now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_window_rolls() {
        let (limit, begin) = (RateLimit::default(), Instant::now());
        let [one, other] = [1, 2].map(|id| AccountId(Uuid::from_u128(id)));
        let at = |seconds| begin + Duration::from_secs(seconds);
        for call in 0..120 {
            assert_eq!(limit.count(one, at(call / 4)), Ok(()));
        }
        assert_eq!(limit.count(one, at(40)), Err(Duration::from_secs(20)));
        assert_eq!(limit.count(other, at(40)), Ok(()));
        assert_eq!(limit.count(one, at(60)), Ok(()));
    }
}
