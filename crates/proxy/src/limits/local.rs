//! Limits while Redis is away. Each proxy counts by itself, from nothing, for requests on own keys
//! alone: what is a little too much there is better than no answer. Credits wait for Redis.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::AccountId;
use model::limits::{Counter, Window};
use model::usage::Measure;

use super::window::{Place, place};

/// More counts than this are not kept: whoever tells apart more callers than that, while Redis is
/// away, has them counted from nothing again.
const MOST: usize = 65_536;

/// For so long nobody asks Redis about an account's limits again that it could not tell. Where it is the
/// account that is not known there yet, each would wait in vain.
const PAUSE: Duration = Duration::from_secs(1);

/// The counts of one proxy.
#[derive(Debug, Clone, Default)]
pub struct LocalLimits(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Whether any account is unknown, so that nobody takes the lock as long as all goes well.
    any_unknown: AtomicBool,
    local: Mutex<Local>,
}

#[derive(Debug, Default)]
struct Local {
    counts: HashMap<String, Count>,
    /// Accounts whose limits Redis could not tell, and until when it is not asked.
    unknown: HashMap<AccountId, Duration>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    window: i64,
    current: i64,
    previous: i64,
}

/// A limit that has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full {
    /// Which of the counters that were asked for.
    pub index: usize,
    /// What is left of it.
    pub remaining: i64,
    /// When there will be room, as far as can be told now.
    pub retry_after: Duration,
}

/// What a request took of the local counts.
#[derive(Debug)]
pub struct LocalHold {
    limits: LocalLimits,
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    counter: String,
    measure: Measure,
    window: i64,
    amount: i64,
}

impl LocalLimits {
    /// Redis could not tell an account's limits.
    pub fn stand_in(&self, account: AccountId, now: Duration) {
        self.lock().unknown.insert(account, now + PAUSE);
        self.0.any_unknown.store(true, Ordering::Relaxed);
    }

    /// Whether Redis could not tell an account's limits a moment ago.
    pub fn stand_in_for(&self, account: AccountId, now: Duration) -> bool {
        if !self.0.any_unknown.load(Ordering::Relaxed) {
            return false;
        }
        let unknown = &mut self.lock().unknown;
        unknown.retain(|_, until| *until > now);
        self.0.any_unknown.store(!unknown.is_empty(), Ordering::Relaxed);
        unknown.contains_key(&account)
    }

    /// Takes from every counter, or from none. Answers what remains of each.
    pub fn hold(&self, wanted: &[(Counter, i64)], now: Duration) -> Result<(LocalHold, Vec<i64>), Full> {
        let counts = &mut self.lock().counts;
        let mut remaining = Vec::with_capacity(wanted.len());
        for (index, (counter, amount)) in wanted.iter().enumerate() {
            let place = place(counter.window, now);
            let count = counts.get(&counter.id).copied().unwrap_or_default().at(place.number);
            let left = counter.limit - count.used(counter.window, &place);
            if left < *amount {
                let retry_after = count.room_after(counter, *amount, &place);
                return Err(Full { index, remaining: left.max(0), retry_after });
            }
            remaining.push(left - amount);
        }
        if counts.len() + wanted.len() > MOST {
            counts.clear();
        }
        let take = |(counter, amount): &(Counter, i64)| {
            let window = place(counter.window, now).number;
            let count = counts.entry(counter.id.clone()).or_default();
            *count = count.at(window);
            count.current += amount;
            Part { counter: counter.id.clone(), measure: counter.measure, window, amount: *amount }
        };
        let parts = wanted.iter().map(take).collect();
        Ok((LocalHold { limits: self.clone(), parts }, remaining))
    }
}

impl LocalLimits {
    fn lock(&self) -> MutexGuard<'_, Local> {
        self.0.local.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LocalHold {
    /// Puts what was used in the place of what was taken. What is dropped without this stays taken.
    pub fn settle(self, spent: i64, tokens: i64) {
        let counts = &mut self.limits.lock().counts;
        for Part { counter, measure, window, amount } in self.parts {
            let actual = match measure {
                Measure::Requests => 1,
                Measure::Spend => spent,
                Measure::Tokens => tokens,
            };
            let Some(count) = counts.get_mut(&counter) else { continue };
            if count.window == window {
                count.current += actual - amount;
            } else if count.window == window + 1 {
                count.previous += actual - amount;
            }
        }
    }
}

impl Count {
    /// The same in a window, which may be a later one.
    fn at(self, window: i64) -> Self {
        match window - self.window {
            0 => self,
            1 => Self { window, current: 0, previous: self.current },
            _ => Self { window, current: 0, previous: 0 },
        }
    }

    fn used(self, window: Window, place: &Place) -> i64 {
        self.current + weighed(window, self.previous, place.left)
    }

    /// How long until `amount` fits, if nobody else comes.
    fn room_after(self, counter: &Counter, amount: i64, place: &Place) -> Duration {
        let Window::Sliding { seconds } = counter.window else { return place.left };
        let length = Duration::from_secs(seconds.into());
        // The part of a former window that may still count, and from that the time that must be left.
        let until = |former: i64, room: i64| {
            let share = if former > 0 { room.max(0) as f64 / former as f64 } else { 1.0 };
            length.mul_f64(1.0 - share.min(1.0))
        };
        let now = length.saturating_sub(place.left);
        let room = counter.limit - amount;
        if self.current <= room {
            until(self.previous, room - self.current).saturating_sub(now)
        } else {
            place.left + until(self.current, room)
        }
    }
}

/// What a former window still counts, rounded up.
fn weighed(window: Window, previous: i64, left: Duration) -> i64 {
    let Window::Sliding { seconds } = window else { return 0 };
    let length = u128::from(seconds) * 1_000_000;
    let part = previous.max(0) as u128 * left.as_micros();
    i64::try_from(part.div_ceil(length.max(1))).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(limit: i64, window: Window) -> Counter {
        Counter { id: "c".to_owned(), measure: Measure::Spend, limit, window }
    }

    fn at(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn a_fixed_window_fills_and_empties_at_its_end() {
        let limits = LocalLimits::default();
        let wanted = [(counter(10, Window::Fixed { seconds: 60 }), 4)];
        assert_eq!(limits.hold(&wanted, at(61.0)).unwrap().1, [6]);
        assert_eq!(limits.hold(&wanted, at(62.0)).unwrap().1, [2]);
        let full = limits.hold(&wanted, at(100.0)).unwrap_err();
        assert_eq!(full, Full { index: 0, remaining: 2, retry_after: at(20.0) });
        assert_eq!(limits.hold(&wanted, at(120.0)).unwrap().1, [6]);
    }

    #[test]
    fn a_sliding_window_forgets_its_former_one_bit_by_bit() {
        let limits = LocalLimits::default();
        let wanted = |amount| [(counter(10, Window::Sliding { seconds: 60 }), amount)];
        limits.hold(&wanted(10), at(60.0)).unwrap();
        // Half of the former window still counts.
        assert_eq!(limits.hold(&wanted(5), at(150.0)).unwrap().1, [0]);
        let full = limits.hold(&wanted(1), at(150.0)).unwrap_err();
        assert_eq!((full.remaining, full.retry_after.as_millis()), (0, 6000));
        assert!(limits.hold(&wanted(1), at(156.0)).is_ok());
    }

    #[test]
    fn what_was_not_used_is_given_back() {
        let limits = LocalLimits::default();
        let wanted = [(counter(10, Window::Fixed { seconds: 60 }), 8)];
        let (hold, _) = limits.hold(&wanted, at(0.0)).unwrap();
        hold.settle(3, 700);
        assert_eq!(limits.hold(&[(wanted[0].0.clone(), 7)], at(1.0)).unwrap().1, [0]);
    }

    #[test]
    fn all_counters_have_room_or_none_is_touched() {
        let limits = LocalLimits::default();
        let other = Counter { id: "d".to_owned(), ..counter(1, Window::Fixed { seconds: 60 }) };
        let wanted = [(counter(10, Window::Fixed { seconds: 60 }), 4), (other, 2)];
        assert_eq!(limits.hold(&wanted, at(0.0)).unwrap_err().index, 1);
        assert_eq!(limits.hold(&wanted[..1], at(0.0)).unwrap().1, [6]);
    }
}
