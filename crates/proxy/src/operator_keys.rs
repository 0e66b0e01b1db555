//! Which of the operator's keys a request on credits is sent with: those of the lowest priority number
//! in turn, and one that its provider has just refused is left alone for a while.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use model::id::OperatorKeyId;
use model::resource::OperatorKey;

/// How long a key rests that its provider does not know, or not any more.
pub const UNKNOWN_RESTS: Duration = Duration::from_secs(60);
/// How long a key rests that was used too much, where the provider does not say.
pub const BUSY_RESTS: Duration = Duration::from_secs(5);
/// The longest that a provider's word is taken for.
const LONGEST: Duration = Duration::from_secs(300);

/// What a proxy remembers of the operator's keys.
#[derive(Debug, Default)]
pub struct OperatorKeys {
    turn: AtomicUsize,
    /// Whether any key rests, so that nobody takes the lock as long as all goes well.
    any_rests: AtomicBool,
    resting: Mutex<HashMap<OperatorKeyId, Instant>>,
}

impl OperatorKeys {
    /// The key to use next. Should all of them rest, it is the one that has rested the longest of what
    /// it has to: an answer of the provider is worth more than one of ours.
    pub fn next<'k>(&self, keys: &'k [Arc<OperatorKey>]) -> Option<&'k Arc<OperatorKey>> {
        if keys.len() < 2 {
            return keys.first();
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        if !self.any_rests.load(Ordering::Relaxed) {
            return in_turn(keys.iter(), turn);
        }
        let now = Instant::now();
        let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        resting.retain(|_, until| *until > now);
        self.any_rests.store(!resting.is_empty(), Ordering::Relaxed);
        in_turn(keys.iter().filter(|key| !resting.contains_key(&key.id)), turn)
            .or_else(|| keys.iter().min_by_key(|key| resting.get(&key.id)))
    }

    /// Leaves a key alone for a while.
    pub fn rest(&self, key: OperatorKeyId, how_long: Duration) {
        let until = Instant::now() + how_long.min(LONGEST);
        self.resting.lock().unwrap_or_else(PoisonError::into_inner).insert(key, until);
        self.any_rests.store(true, Ordering::Relaxed);
    }
}

/// The key whose turn it is among those of the lowest priority number.
fn in_turn<'k>(
    keys: impl Iterator<Item = &'k Arc<OperatorKey>> + Clone,
    turn: usize,
) -> Option<&'k Arc<OperatorKey>> {
    let first = keys.clone().map(|key| key.priority).min()?;
    let mut equals = keys.filter(move |key| key.priority == first);
    let count = equals.clone().count();
    equals.nth(turn % count)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn keys(priorities: &[u32]) -> Vec<Arc<OperatorKey>> {
        let key = |(number, priority): (usize, &u32)| OperatorKey {
            id: OperatorKeyId(Uuid::from_u128(number as u128)),
            provider: "openai".to_owned(),
            alias: number.to_string(),
            priority: *priority,
            cancel: None,
            sealed: Vec::new(),
        };
        priorities.iter().enumerate().map(key).map(Arc::new).collect()
    }

    fn used(state: &OperatorKeys, keys: &[Arc<OperatorKey>]) -> Vec<String> {
        let mut used: Vec<_> = (0..4).filter_map(|_| state.next(keys)).map(|key| key.alias.clone()).collect();
        used.sort_unstable();
        used
    }

    #[test]
    fn keys_of_one_priority_take_turns_and_a_resting_one_is_passed_over() {
        let (state, keys) = (OperatorKeys::default(), keys(&[1, 0, 0]));
        assert_eq!(used(&state, &keys), ["1", "1", "2", "2"]);
        state.rest(keys[1].id, UNKNOWN_RESTS);
        assert_eq!(used(&state, &keys), ["2"; 4]);
        state.rest(keys[2].id, BUSY_RESTS);
        assert_eq!(used(&state, &keys), ["0"; 4]);
        state.rest(keys[0].id, UNKNOWN_RESTS);
        assert_eq!(used(&state, &keys), ["2"; 4]);
    }

    #[test]
    fn a_key_is_used_again_when_it_has_rested() {
        let (state, keys) = (OperatorKeys::default(), keys(&[0, 1]));
        state.rest(keys[0].id, Duration::ZERO);
        assert_eq!(used(&state, &keys), ["0"; 4]);
        assert!(state.next(&[]).is_none());
    }
}
