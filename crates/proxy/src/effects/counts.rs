//! Counts requests in windows that slide.
//!
//! Up to [`MOMENTS`] requests of a window are known each by its moment, and a place is free again exactly one
//! window after it was taken. Where more may come, the window is counted in so many parts, and a place
//! is free up to one part later: never do more come in any window than may. A request that is refused takes no place.
//!
//! A bucket that is forgotten because a gateway has too many begins with all of its places: whoever can make up
//! bucket keys as he likes can come to that. A policy that counts by what a caller proves is not open to it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use policy::run::{Count, Counted};

use super::Owner;
use super::shares::Shares;

/// In so many parts a window is known.
const MOMENTS: u64 = 128;
/// A gateway has so many buckets at most, if that is less than a quarter of all.
const MOST_OF_ONE: usize = 16_384;

#[derive(Debug)]
pub(super) struct Counts {
    /// Since when time is counted.
    start: Instant,
    buckets: Mutex<Shares<Owner, Bucket, Window>>,
}

/// A limit's name and whose requests count together.
type Bucket = (Arc<str>, Arc<str>);

#[derive(Debug, Default)]
struct Window {
    /// When places were taken, in microseconds, and how many.
    taken: VecDeque<(u64, u32)>,
    sum: u64,
    length: u64,
}

impl Counts {
    pub(super) fn new(most: usize) -> Self {
        let of_one = (most / 4).clamp(1, MOST_OF_ONE);
        Self { start: Instant::now(), buckets: Mutex::new(Shares::new(most.max(1), of_one)) }
    }

    pub(super) fn count(&self, owner: Owner, count: &Count, now: Instant) -> Counted {
        let now = micros(now.saturating_duration_since(self.start));
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.forget_useless(owner, |window| window.is_over(now));
        let bucket = (Arc::clone(&count.name), Arc::from(count.bucket.as_str()));
        let window = buckets.of(owner, bucket, 1, Window::default);
        window.take(count.capacity, micros(count.window), now)
    }
}

impl Window {
    fn take(&mut self, capacity: u64, length: u64, now: u64) -> Counted {
        self.length = length;
        // Requests may come to their turn in another order than to their time.
        let now = self.taken.back().map_or(now, |(last, _)| now.max(*last));
        while let Some((at, number)) = self.taken.front().copied()
            && at.saturating_add(length) <= now
        {
            self.taken.pop_front();
            self.sum -= u64::from(number);
        }
        if self.sum >= capacity {
            return Counted::Exceeded { retry_after: self.room_after(capacity, now) };
        }
        self.sum += 1;
        let part = if capacity <= MOMENTS { 1 } else { (length / MOMENTS).max(1) };
        match self.taken.back_mut() {
            Some((last, number)) if *last / part == now / part => {
                *last = now;
                *number = number.saturating_add(1);
            }
            _ => self.taken.push_back((now, 1)),
        }
        Counted::Within
    }

    /// How long until there is room, if nobody else comes.
    fn room_after(&self, capacity: u64, now: u64) -> Duration {
        let mut left = self.sum;
        for (at, number) in &self.taken {
            left = left.saturating_sub(u64::from(*number));
            if left < capacity {
                return Duration::from_micros(at.saturating_add(self.length).saturating_sub(now));
            }
        }
        Duration::from_micros(self.length)
    }

    fn is_over(&self, now: u64) -> bool {
        self.taken.back().is_none_or(|(last, _)| last.saturating_add(self.length) <= now)
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use model::AccountId;
    use model::id::GatewayInternalId;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn owner(number: u128) -> Owner {
        (AccountId(Uuid::from_u128(1)), GatewayInternalId(Uuid::from_u128(number)))
    }

    fn wanted(bucket: &str, capacity: u64) -> Count {
        Count { name: "limit".into(), bucket: bucket.to_owned(), capacity, window: MINUTE }
    }

    fn exceeded(seconds: f64) -> Counted {
        Counted::Exceeded { retry_after: Duration::from_secs_f64(seconds) }
    }

    #[test]
    fn a_place_is_free_exactly_a_window_after_it_was_taken() {
        let counts = Counts::new(100);
        let at = |micros| counts.start + Duration::from_micros(micros);
        let count = |micros| counts.count(owner(1), &wanted("a", 2), at(micros));
        assert_eq!(count(1_000_000), Counted::Within);
        assert_eq!(count(31_000_000), Counted::Within);
        assert_eq!(count(41_000_000), exceeded(20.0));
        assert_eq!(count(60_999_999), exceeded(0.000_001));
        assert_eq!(count(61_000_000), Counted::Within);
        assert_eq!(count(61_000_000), exceeded(30.0));
    }

    #[test]
    fn gateways_names_and_buckets_are_told_apart() {
        let counts = Counts::new(100);
        let now = counts.start;
        assert_eq!(counts.count(owner(1), &wanted("a", 1), now), Counted::Within);
        assert_eq!(counts.count(owner(2), &wanted("a", 1), now), Counted::Within);
        assert_eq!(counts.count(owner(1), &wanted("b", 1), now), Counted::Within);
        let other = Count { name: "other".into(), ..wanted("a", 1) };
        assert_eq!(counts.count(owner(1), &other, now), Counted::Within);
        let (account, gateway) = owner(1);
        let stranger = (AccountId(Uuid::from_u128(account.0.as_u128() + 1)), gateway);
        assert_eq!(counts.count(stranger, &wanted("a", 1), now), Counted::Within);
        assert_eq!(counts.count(owner(1), &wanted("a", 1), now), exceeded(60.0));
    }

    #[test]
    fn a_limit_that_became_tighter_holds_at_once() {
        let counts = Counts::new(100);
        for second in 0..4 {
            let now = counts.start + Duration::from_secs(second);
            assert_eq!(counts.count(owner(1), &wanted("a", 4), now), Counted::Within);
        }
        // Three of four must go.
        let now = counts.start + Duration::from_secs(10);
        assert_eq!(counts.count(owner(1), &wanted("a", 2), now), exceeded(52.0));
    }

    #[test]
    fn a_gateway_that_makes_up_buckets_forgets_its_own() {
        let counts = Counts::new(16);
        let now = counts.start;
        assert_eq!(counts.count(owner(2), &wanted("a", 1), now), Counted::Within);
        for bucket in 0..100 {
            counts.count(owner(1), &wanted(&bucket.to_string(), 1), now);
        }
        assert_eq!(counts.count(owner(1), &wanted("99", 1), now), exceeded(60.0));
        assert_eq!(counts.count(owner(1), &wanted("0", 1), now), Counted::Within);
        assert_eq!(counts.count(owner(2), &wanted("a", 1), now), exceeded(60.0));
    }

    proptest! {
        #[test]
        fn never_more_come_in_a_window_than_may(
            capacity in prop_oneof![1u64..10, 120u64..140, 300u64..400],
            steps in prop::collection::vec(0u64..2_000_000, 1..900),
        ) {
            let mut window = Window::default();
            let mut now = 0;
            let mut admitted: Vec<u64> = Vec::new();
            for step in steps {
                now += step / 4;
                let length = 60_000_000;
                let recent = admitted.iter().filter(|at| **at + length > now).count() as u64;
                match window.take(capacity, length, now) {
                    Counted::Within => {
                        prop_assert!(recent < capacity);
                        admitted.push(now);
                    }
                    Counted::Exceeded { retry_after } => {
                        // With single moments there is never a no without need, nor a wait that is too short.
                        prop_assert!(capacity > MOMENTS || recent >= capacity);
                        let then = now + micros(retry_after);
                        let still = admitted.iter().filter(|at| **at + length > then).count() as u64;
                        prop_assert!(still < capacity);
                    }
                }
                prop_assert!(window.taken.len() as u64 <= MOMENTS + 1);
            }
        }
    }
}
