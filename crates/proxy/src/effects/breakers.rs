//! Circuits: whether a provider that fails gets a rest.
//!
//! A closed circuit counts how requests fared, in a window of ten parts. It opens when enough of enough have failed,
//! and stays open for its time. Then it lets single requests through: if one fares well it closes and counts anew, if
//! one fares badly it opens again. One that nothing is heard of is followed by another after the same time.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::StatusCode;
use policy::actions::circuit_breaker::{BUCKETS, Breaker};
use policy::run::Passage;

use super::Owner;
use super::shares::Shares;

/// More circuits than this are not kept; one that is forgotten is closed.
const MOST: usize = 65_536;
const MOST_OF_ONE: usize = 1024;

#[derive(Debug)]
pub(super) struct Breakers(Mutex<Shares<Owner, u32, Circuit>>);

/// How a provider fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fared {
    /// It did its work, if only by saying what was wrong with the request.
    Well,
    /// It failed, or could not be reached.
    Badly,
}

impl Fared {
    /// As an answer's status tells.
    pub fn with(status: StatusCode) -> Self {
        if status.is_server_error() { Self::Badly } else { Self::Well }
    }
}

#[derive(Debug)]
struct Circuit {
    breaker: Breaker,
    state: State,
}

#[derive(Debug)]
enum State {
    Closed(Box<Tally>),
    Open {
        since: Instant,
    },
    /// Single requests are let through, the last of them at `probed`.
    HalfOpen {
        since: Instant,
        probed: Instant,
    },
}

#[derive(Debug)]
struct Tally {
    since: Instant,
    parts: [Part; BUCKETS as usize],
}

#[derive(Debug, Clone, Copy, Default)]
struct Part {
    number: u64,
    requests: u64,
    failures: u64,
}

impl Default for Breakers {
    fn default() -> Self {
        Self(Mutex::new(Shares::new(MOST, MOST_OF_ONE)))
    }
}

impl Breakers {
    pub(super) fn ask(&self, owner: Owner, breaker: &Breaker, now: Instant) -> Passage {
        self.with(owner, breaker, now, |circuit| circuit.ask(now))
    }

    pub(super) fn fared(&self, owner: Owner, breaker: &Breaker, fared: Fared, asked: Instant, now: Instant) {
        self.with(owner, breaker, now, |circuit| circuit.fared(fared, asked, now));
    }

    fn with<T>(
        &self,
        owner: Owner,
        breaker: &Breaker,
        now: Instant,
        act: impl FnOnce(&mut Circuit) -> T,
    ) -> T {
        let mut circuits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let circuit = circuits.of(owner, breaker.circuit, 1, || Circuit::closed(breaker, now));
        // The policy was changed, and what was counted by other numbers says nothing of these.
        if circuit.breaker != *breaker {
            *circuit = Circuit::closed(breaker, now);
        }
        act(circuit)
    }
}

impl Circuit {
    fn closed(breaker: &Breaker, now: Instant) -> Self {
        Self { breaker: breaker.clone(), state: State::Closed(Box::new(Tally::new(now))) }
    }

    fn ask(&mut self, now: Instant) -> Passage {
        let rested = |since| now.saturating_duration_since(since) >= self.breaker.tripped;
        match &mut self.state {
            State::Closed(_) => Passage::Allow,
            State::Open { since } if rested(*since) => {
                self.state = State::HalfOpen { since: now, probed: now };
                Passage::AllowWhileOpen
            }
            State::HalfOpen { probed, .. } if rested(*probed) => {
                *probed = now;
                Passage::AllowWhileOpen
            }
            State::Open { .. } | State::HalfOpen { .. } => Passage::Block,
        }
    }

    fn fared(&mut self, fared: Fared, asked: Instant, now: Instant) {
        match &mut self.state {
            State::Closed(tally) if asked >= tally.since => {
                let (requests, failures) = tally.add(self.breaker.window, fared, now);
                #[expect(clippy::cast_precision_loss, reason = "a share of requests need not be exact")]
                let share = failures as f64 / requests as f64;
                let is_enough = requests >= u64::from(self.breaker.volume_threshold);
                if failures > 0 && is_enough && share >= self.breaker.error_threshold {
                    self.state = State::Open { since: now };
                }
            }
            State::HalfOpen { since, .. } if asked >= *since => {
                self.state = match fared {
                    Fared::Well => State::Closed(Box::new(Tally::new(now))),
                    Fared::Badly => State::Open { since: now },
                };
            }
            State::Closed(_) | State::Open { .. } | State::HalfOpen { .. } => {}
        }
    }
}

impl Tally {
    fn new(since: Instant) -> Self {
        Self { since, parts: Default::default() }
    }

    /// How many requests the window has with this one, and how many of them failed.
    fn add(&mut self, window: Duration, fared: Fared, now: Instant) -> (u64, u64) {
        let parts = u128::from(BUCKETS);
        let length = (window.as_micros() / parts).max(1);
        let passed = now.saturating_duration_since(self.since).as_micros() / length;
        let number = u64::try_from(passed).unwrap_or(u64::MAX);
        let part = &mut self.parts[usize::try_from(passed % parts).unwrap_or_default()];
        if part.number != number {
            *part = Part { number, ..Part::default() };
        }
        part.requests += 1;
        part.failures += u64::from(fared == Fared::Badly);
        let recent = self.parts.iter().filter(|part| part.number.saturating_add(u64::from(BUCKETS)) > number);
        recent.fold((0, 0), |(requests, failures), part| (requests + part.requests, failures + part.failures))
    }
}

#[cfg(test)]
mod tests {
    use model::AccountId;
    use model::id::GatewayInternalId;
    use uuid::Uuid;

    use super::Fared::{Badly, Well};
    use super::*;

    fn owner(number: u128) -> Owner {
        (AccountId(Uuid::from_u128(1)), GatewayInternalId(Uuid::from_u128(number)))
    }

    fn breaker() -> Breaker {
        Breaker {
            circuit: 0,
            error_threshold: 0.5,
            volume_threshold: 4,
            window: Duration::from_secs(10),
            tripped: Duration::from_secs(20),
        }
    }

    struct Story {
        breakers: Breakers,
        start: Instant,
    }

    impl Story {
        fn new() -> Self {
            Self { breakers: Breakers::default(), start: Instant::now() }
        }

        fn at(&self, seconds: f64) -> Instant {
            self.start + Duration::from_secs_f64(seconds)
        }

        fn ask(&self, seconds: f64) -> Passage {
            self.breakers.ask(owner(1), &breaker(), self.at(seconds))
        }

        fn fared(&self, fared: Fared, asked: f64, seconds: f64) {
            self.breakers.fared(owner(1), &breaker(), fared, self.at(asked), self.at(seconds));
        }

        /// A circuit that opens at the fourth second.
        fn tripped() -> Self {
            let story = Self::new();
            assert_eq!(story.ask(0.0), Passage::Allow);
            for (second, fared) in [(1.0, Well), (2.0, Badly), (3.0, Well), (4.0, Badly)] {
                assert_eq!(story.ask(second), Passage::Allow);
                story.fared(fared, second, second);
            }
            story
        }
    }

    #[test]
    fn a_circuit_opens_when_enough_of_enough_have_failed_and_lets_one_try_after_its_rest() {
        let story = Story::tripped();
        assert_eq!(story.ask(4.0), Passage::Block);
        assert_eq!(story.ask(23.9), Passage::Block);
        assert_eq!(story.ask(24.0), Passage::AllowWhileOpen);
        assert_eq!(story.ask(24.0), Passage::Block);
        assert_eq!(story.ask(30.0), Passage::Block);
    }

    #[test]
    fn a_try_that_fares_well_closes_it_and_all_is_counted_anew() {
        let story = Story::tripped();
        assert_eq!(story.ask(24.0), Passage::AllowWhileOpen);
        story.fared(Well, 24.0, 25.0);
        assert_eq!(story.ask(25.0), Passage::Allow);
        for _ in 0..3 {
            story.fared(Badly, 25.0, 26.0);
        }
        assert_eq!(story.ask(26.0), Passage::Allow);
        story.fared(Badly, 25.0, 26.0);
        assert_eq!(story.ask(26.0), Passage::Block);
    }

    #[test]
    fn a_try_that_fails_opens_it_again() {
        let story = Story::tripped();
        assert_eq!(story.ask(24.0), Passage::AllowWhileOpen);
        story.fared(Badly, 24.0, 25.0);
        assert_eq!(story.ask(44.9), Passage::Block);
        assert_eq!(story.ask(45.0), Passage::AllowWhileOpen);
    }

    #[test]
    fn a_try_that_is_not_heard_of_is_followed_by_another_and_may_still_tell() {
        let story = Story::tripped();
        assert_eq!(story.ask(24.0), Passage::AllowWhileOpen);
        assert_eq!(story.ask(44.0), Passage::AllowWhileOpen);
        assert_eq!(story.ask(45.0), Passage::Block);
        story.fared(Well, 24.0, 50.0);
        assert_eq!(story.ask(50.0), Passage::Allow);
    }

    #[test]
    fn what_was_asked_before_says_nothing_of_what_is_since() {
        let story = Story::tripped();
        story.fared(Well, 3.0, 5.0);
        assert_eq!(story.ask(24.0), Passage::AllowWhileOpen);
        story.fared(Well, 3.0, 24.5);
        assert_eq!(story.ask(24.5), Passage::Block);
        story.fared(Well, 24.0, 25.0);
        for _ in 0..10 {
            story.fared(Badly, 3.0, 26.0);
        }
        assert_eq!(story.ask(26.0), Passage::Allow);
    }

    #[test]
    fn failures_that_are_longer_ago_than_the_window_do_not_count() {
        let story = Story::new();
        story.ask(0.0);
        for second in [0.5, 0.6, 0.7] {
            story.fared(Badly, second, second);
        }
        story.fared(Badly, 10.0, 10.0);
        assert_eq!(story.ask(10.0), Passage::Allow);
        for second in [11.0, 12.0] {
            story.fared(Badly, second, second);
            assert_eq!(story.ask(second), Passage::Allow);
        }
        story.fared(Badly, 13.0, 13.0);
        assert_eq!(story.ask(13.0), Passage::Block);
    }

    #[test]
    fn without_a_failure_no_threshold_opens_it() {
        let breakers = Breakers::default();
        let (now, all) = (Instant::now(), Breaker { error_threshold: 0.0, volume_threshold: 1, ..breaker() });
        breakers.fared(owner(1), &all, Well, now, now);
        assert_eq!(breakers.ask(owner(1), &all, now), Passage::Allow);
        breakers.fared(owner(1), &all, Badly, now, now);
        assert_eq!(breakers.ask(owner(1), &all, now), Passage::Block);
    }

    #[test]
    fn circuits_are_their_gateways_own_and_begin_anew_with_other_numbers() {
        let story = Story::tripped();
        let now = story.at(5.0);
        assert_eq!(story.ask(5.0), Passage::Block);
        assert_eq!(story.breakers.ask(owner(2), &breaker(), now), Passage::Allow);
        assert_eq!(story.breakers.ask(owner(1), &Breaker { circuit: 1, ..breaker() }, now), Passage::Allow);
        let changed = Breaker { volume_threshold: 5, ..breaker() };
        assert_eq!(story.breakers.ask(owner(1), &changed, now), Passage::Allow);
    }
}
