//! Leases without Redis: its answers are made up here, and so is the time.

use model::limits::{Counter, Window};
use model::usage::Measure;

use super::*;
use crate::held::Part;
use crate::protocol::calls::GrantedPart;

const ACCOUNT: AccountId = AccountId(Uuid::from_u128(0x107));
const SHARD: Shard = Shard(7);
const ME: Uuid = Uuid::from_u128(0xa);

fn claim(amount: i64, calls: i64) -> Claim {
    let window = Window::Fixed { seconds: 60 };
    let counter = Counter { id: "calls".to_owned(), measure: Measure::Requests, limit: 1000, window };
    Claim { amount: Nanos(amount), on_credits: true, floor: Nanos(1), counters: vec![(counter, calls)] }
}

struct Proxy {
    leases: Leases,
    now: Instant,
}

impl Proxy {
    fn new() -> Self {
        Self { leases: Leases::new(), now: Instant::now() }
    }

    fn take(&self, claim: &Claim) -> (Option<Taken>, Option<Asked>) {
        self.leases.take(ACCOUNT, claim, self.now, || ME)
    }

    fn pass(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
    }

    /// Requests until a lease is asked for.
    fn wants(&self, claim: &Claim) -> Asked {
        (0..100).find_map(|_| self.take(claim).1).expect("a lease")
    }

    fn grant(&self, asked: &Asked, amount: i64, calls: i64, ends_in: u64) {
        let ends_in = Duration::from_millis(ends_in);
        let parts = vec![GrantedPart { window: 5, amount: calls, remaining: 900, ends_in }];
        let answer = Held::Granted { amount: Nanos(amount), parts };
        self.leases.answered(asked, 3, &answer, self.now, self.now);
    }

    /// With a lease of so much.
    fn with(claim: &Claim, amount: i64, calls: i64, ends_in: u64) -> (Self, Uuid) {
        let proxy = Self::new();
        let asked = proxy.wants(claim);
        proxy.grant(&asked, amount, calls, ends_in);
        (proxy, asked.wanted.id)
    }

    fn returns(&self) -> Vec<(LeaseState, i64, i64)> {
        let returns = self.leases.returns(SHARD, ME);
        returns.into_iter().map(|back| (back.state, back.amount.0, back.parts[0].2)).collect()
    }
}

#[test]
fn a_line_that_is_used_steadily_asks_for_one_lease_at_a_time() {
    let proxy = Proxy::new();
    for request in 1..8 {
        assert!(proxy.take(&claim(10, 1)).1.is_none(), "request {request}");
    }
    let asked = proxy.take(&claim(10, 1)).1.unwrap();
    assert_eq!((asked.wanted.amount, asked.wanted.least), (Nanos(80), Nanos(40)));
    assert_eq!((asked.wanted.counters[0].amount, asked.wanted.counters[0].floor), (8, 4));
    assert!(proxy.take(&claim(10, 1)).1.is_none());
    proxy.leases.refused(&asked, proxy.now);
    assert!(proxy.take(&claim(10, 1)).1.is_none(), "not again at once");
}

#[test]
fn a_line_that_is_used_now_and_then_asks_for_none() {
    let mut proxy = Proxy::new();
    for _ in 0..50 {
        assert!(proxy.take(&claim(10, 1)).1.is_none());
        proxy.pass(100);
    }
}

#[test]
fn requests_live_on_a_lease_that_covers_all_they_want() {
    let (proxy, lease) = Proxy::with(&claim(10, 1), 25, 100, 60_000);
    let taken = proxy.take(&claim(10, 1)).0.unwrap();
    assert_eq!((taken.aside.id, taken.aside.incarnation, taken.era), (lease, ME, 3));
    assert_eq!(taken.aside.parts, [Part { window: 5, amount: 1, floor: 0 }]);
    assert_eq!(taken.remaining, [999]);
    assert!(proxy.take(&claim(10, 1)).0.is_some());
    assert!(proxy.take(&claim(10, 1)).0.is_none(), "5 are left");
    assert!(proxy.take(&claim(1, 99)).0.is_none(), "98 calls are left");
    assert!(proxy.take(&claim(5, 98)).0.is_some());
    // Another bound is another line.
    let mut other = claim(0, 0);
    other.counters[0].0.limit = 999;
    assert!(proxy.take(&other).0.is_none());
}

#[test]
fn what_a_request_did_not_need_is_spent_again() {
    let (proxy, _) = Proxy::with(&claim(10, 1), 10, 100, 60_000);
    for _ in 0..5 {
        let taken = proxy.take(&claim(10, 1)).0.unwrap();
        assert!(proxy.take(&claim(10, 1)).0.is_none());
        proxy.leases.over(SHARD, &taken.aside, Some((Nanos(10), &[1])));
    }
    let taken = proxy.take(&claim(10, 1)).0.unwrap();
    proxy.leases.over(SHARD, &taken.aside, Some((Nanos(9), &[0])));
    assert!(proxy.take(&claim(10, 1)).0.is_none());
    assert!(proxy.take(&claim(9, 1)).0.is_some());
}

#[test]
fn the_next_lease_is_asked_for_before_one_runs_dry() {
    let (proxy, first) = Proxy::with(&claim(10, 1), 1000, 1000, 60_000);
    let mut asked = None;
    while asked.is_none() {
        let (taken, next) = proxy.take(&claim(10, 1));
        assert_eq!(taken.unwrap().aside.id, first);
        asked = next;
    }
    let asked = asked.unwrap();
    assert!(asked.wanted.amount >= Nanos(300), "{:?}", asked.wanted.amount);
    proxy.grant(&asked, 1000, 1000, 60_000);
    let used: Vec<_> = (0..100).map(|_| proxy.take(&claim(10, 1)).0.unwrap().aside.id).collect();
    assert!(used.contains(&first) || used.contains(&asked.wanted.id));
}

#[test]
fn nothing_is_spent_ten_seconds_after_the_last_beat_that_was_answered() {
    let (mut proxy, lease) = Proxy::with(&claim(10, 1), 1000, 1000, 60_000);
    let beat = proxy.now;
    proxy.pass(9_999);
    assert!(proxy.take(&claim(10, 1)).0.is_some());
    proxy.pass(1);
    assert!(proxy.take(&claim(10, 1)).0.is_none());
    assert!(!proxy.leases.take_more(SHARD, lease, Nanos(1), &[0], proxy.now));
    // It counts when a beat was made, not when its answer came; and whose it was.
    proxy.leases.renew(SHARD, ME, beat);
    proxy.leases.renew(SHARD, Uuid::from_u128(0xb), proxy.now);
    assert!(proxy.take(&claim(10, 1)).0.is_none());
    proxy.leases.renew(SHARD, ME, proxy.now);
    assert!(proxy.take(&claim(10, 1)).0.is_some());
    assert!(proxy.leases.take_more(SHARD, lease, Nanos(1), &[0], proxy.now));
}

#[test]
fn nothing_is_spent_past_the_end_of_a_window() {
    let (mut proxy, _) = Proxy::with(&claim(10, 1), 1000, 1000, 500);
    proxy.pass(499);
    assert!(proxy.take(&claim(10, 1)).0.is_some());
    proxy.pass(1);
    assert!(proxy.take(&claim(10, 1)).0.is_none());
    proxy.leases.tidy(SHARD, proxy.now);
    assert_eq!(proxy.returns(), [(LeaseState::Closed, 990, 999)]);
}

#[test]
fn an_idle_lease_is_given_back_and_ends_when_the_last_request_is_settled() {
    let (mut proxy, lease) = Proxy::with(&claim(10, 1), 100, 100, 60_000);
    let taken = proxy.take(&claim(10, 1)).0.unwrap();
    proxy.leases.tidy(SHARD, proxy.now);
    assert!(proxy.returns().is_empty());
    proxy.pass(250);
    proxy.leases.tidy(SHARD, proxy.now);
    assert_eq!(proxy.returns(), [(LeaseState::Closed, 90, 99)]);
    assert!(proxy.returns().is_empty(), "said once");
    proxy.leases.over(SHARD, &taken.aside, Some((Nanos(4), &[0])));
    assert_eq!(proxy.returns(), [(LeaseState::Closed, 4, 0)]);
    proxy.leases.settled(SHARD, lease, 1);
    assert_eq!(proxy.returns(), [(LeaseState::Ended, 0, 0)]);
    assert_eq!(proxy.leases.count(SHARD), 0);
}

#[test]
fn recalled_leases_are_given_back_and_none_is_asked_for_at_once() {
    let (mut proxy, _) = Proxy::with(&claim(10, 1), 100, 100, 60_000);
    proxy.leases.recall(SHARD, &[AccountId(Uuid::from_u128(0x207))], proxy.now);
    assert!(proxy.returns().is_empty());
    proxy.leases.recall(SHARD, &[ACCOUNT], proxy.now);
    assert_eq!(proxy.returns(), [(LeaseState::Ended, 100, 100)]);
    for _ in 0..20 {
        assert!(matches!(proxy.take(&claim(10, 1)), (None, None)));
    }
    proxy.pass(250);
    proxy.wants(&claim(10, 1));
}

#[test]
fn more_comes_from_the_same_lease_while_it_has_some() {
    let (proxy, lease) = Proxy::with(&claim(10, 1), 30, 100, 60_000);
    let taken = proxy.take(&claim(10, 1)).0.unwrap();
    assert!(proxy.leases.take_more(SHARD, lease, Nanos(15), &[0], proxy.now));
    assert!(!proxy.leases.take_more(SHARD, lease, Nanos(6), &[0], proxy.now));
    let aside = SetAside { amount: Nanos(25), ..taken.aside };
    proxy.leases.over(SHARD, &aside, Some((Nanos(20), &[1])));
    proxy.leases.close_all(SHARD);
    assert!(!proxy.leases.take_more(SHARD, lease, Nanos(1), &[0], proxy.now));
    assert_eq!(proxy.returns(), [(LeaseState::Closed, 25, 100)]);
}

#[test]
fn leases_end_with_their_era() {
    let (proxy, _) = Proxy::with(&claim(10, 1), 100, 100, 60_000);
    proxy.leases.end_of(SHARD, Uuid::from_u128(0xb));
    assert!(proxy.take(&claim(10, 1)).0.is_some());
    proxy.leases.end_era(SHARD, 4);
    assert_eq!(proxy.leases.count(SHARD), 0);
    assert!(proxy.returns().is_empty());
    // Neither does one come to life of which Redis's word arrives only now.
    let asked = proxy.wants(&claim(10, 1));
    proxy.grant(&asked, 100, 100, 60_000);
    assert!(proxy.take(&claim(10, 1)).0.is_none());
}

#[test]
fn lines_that_nobody_uses_are_forgotten() {
    let mut proxy = Proxy::new();
    for number in 0..100 {
        let mut claim = claim(10, 1);
        claim.counters[0].0.id = format!("partition {number}");
        proxy.take(&claim);
    }
    proxy.pass(2_000);
    proxy.leases.tidy(SHARD, proxy.now);
    assert!(proxy.leases.of(SHARD).lines.is_empty());
}

#[test]
fn a_lease_whose_line_is_gone_is_not_spent() {
    let mut proxy = Proxy::new();
    let asked = proxy.wants(&claim(10, 1));
    proxy.leases.refused(&asked, proxy.now);
    proxy.pass(2_000);
    proxy.leases.tidy(SHARD, proxy.now);
    assert!(!proxy.leases.answered(&asked, 3, &granted(), proxy.now, proxy.now));
    assert_eq!(proxy.leases.count(SHARD), 0);
}

fn granted() -> Held {
    Held::Granted { amount: Nanos(1), parts: Vec::new() }
}
