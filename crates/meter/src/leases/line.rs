//! How much a line is used, and which leases it has.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::limits::Counter;
use model::{AccountId, Nanos};
use uuid::Uuid;

use super::lease::Lease;
use super::{SetAside, Taken};
use crate::claim::Claim;
use crate::held::ById;
use crate::protocol::calls::{Needs, Wanted, WantedPart};

/// What a lease is sized by, and after how long without a request it is given back.
const QUARTER: Duration = Duration::from_millis(250);
/// A line that has so many requests in two quarters of a second is used steadily.
const STEADY: u64 = 8;
/// A lease that would cover fewer requests is not worth it, and none is asked for that would cover
/// fewer than twice as many.
const WORTHWHILE: i64 = 4;
/// How long a line does without after Redis refused it a lease.
const AFTER_REFUSAL: Duration = Duration::from_millis(100);
/// How long a line is remembered that nobody uses.
const REMEMBERED: Duration = Duration::from_secs(2);
/// More leases than this are not kept open; the oldest is given back.
const OPEN: usize = 8;

/// A line's name: nearly unique.
pub(super) type LineKey = u64;

#[derive(Debug)]
pub(super) struct Line {
    account: AccountId,
    needs: Needs,
    pub(super) counters: Arc<[Counter]>,
    pub(super) serial: Uuid,
    /// The open ones, the latest first.
    leases: VecDeque<Uuid>,
    is_asking: bool,
    not_before: Instant,
    used_at: Instant,
    /// The quarter under way: when it began, and what was used in it and in the one before.
    began_at: Instant,
    requests: (u64, u64),
    /// Of credits, and of each counter.
    amount: Use,
    parts: Vec<Use>,
}

/// How one thing is used.
#[derive(Debug, Clone, Copy, Default)]
struct Use {
    /// Used up in this quarter of a second, as far as it has not been given back, and in the one before.
    present: i64,
    former: i64,
    /// What requests under way have.
    out: i64,
    /// What open leases have left.
    spare: i64,
}

impl Use {
    fn take(&mut self, amount: i64) {
        self.present = self.present.saturating_add(amount);
        self.out += amount;
        self.spare -= amount;
    }

    /// What the next quarter is expected to take: as much as this one or the one before, and room for as
    /// many requests at a time again.
    fn expected(&self, one: i64) -> i64 {
        self.present.max(self.former).max(self.out).max(one.saturating_mul(2 * WORTHWHILE))
    }

    fn is_low(&self, one: i64) -> bool {
        let least = (self.present.max(self.former) / 2).max(self.out / 4).max(one.saturating_mul(2));
        self.spare < least
    }
}

pub(super) fn key(account: AccountId, claim: &Claim) -> LineKey {
    let mix = |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    let mut hash = mix(account.0.as_u64_pair().1, claim.needs() as u64);
    for (counter, _) in &claim.counters {
        for chunk in counter.id.as_bytes().chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            hash = mix(hash, u64::from_le_bytes(word));
        }
        hash = mix(hash, counter.limit as u64);
    }
    hash
}

pub(super) fn find(lines: &[Line], serial: Uuid) -> Option<&Line> {
    lines.iter().find(|line| line.serial == serial)
}

pub(super) fn find_mut(lines: &mut [Line], serial: Uuid) -> Option<&mut Line> {
    lines.iter_mut().find(|line| line.serial == serial)
}

impl Line {
    pub(super) fn new(account: AccountId, claim: &Claim, now: Instant) -> Self {
        let counters: Arc<[Counter]> = claim.counters.iter().map(|(counter, _)| counter.clone()).collect();
        Self {
            account,
            needs: claim.needs(),
            parts: vec![Use::default(); counters.len()],
            counters,
            serial: Uuid::now_v7(),
            leases: VecDeque::new(),
            is_asking: false,
            not_before: now,
            used_at: now,
            began_at: now,
            requests: (0, 0),
            amount: Use::default(),
        }
    }

    pub(super) fn is_of(&self, account: AccountId, claim: &Claim) -> bool {
        self.account == account
            && self.needs == claim.needs()
            && self.counters.len() == claim.counters.len()
            && self.counters.iter().zip(&claim.counters).all(|(ours, (theirs, _))| ours == theirs)
    }

    /// Counts a request.
    pub(super) fn note(&mut self, now: Instant) {
        let past = now.saturating_duration_since(self.began_at);
        if past >= QUARTER {
            let is_next = past < 2 * QUARTER;
            for one in self.parts.iter_mut().chain([&mut self.amount]) {
                one.former = if is_next { one.present } else { 0 };
                one.present = 0;
            }
            self.requests = (0, if is_next { self.requests.0 } else { 0 });
            self.began_at = now;
        }
        self.used_at = now;
        self.requests.0 += 1;
    }

    /// The first of its leases that covers the request.
    pub(super) fn covering(&self, leases: &ById<Lease>, claim: &Claim, now: Instant) -> Option<Uuid> {
        let covers = |id: &Uuid| leases.get(id).is_some_and(|lease| lease.covers(claim, now));
        self.leases.iter().copied().find(covers)
    }

    pub(super) fn takes(&mut self, taken: &Taken) {
        self.amount.take(taken.aside.amount.0);
        self.parts.iter_mut().zip(&taken.aside.parts).for_each(|(one, part)| one.take(part.amount));
    }

    pub(super) fn takes_more(&mut self, amount: Nanos, parts: &[i64]) {
        self.amount.take(amount.0);
        self.parts.iter_mut().zip(parts).for_each(|(one, amount)| one.take(*amount));
    }

    /// A request has its part no longer.
    pub(super) fn is_over(&mut self, aside: &SetAside, unused: Option<(Nanos, &[i64])>, is_open: bool) {
        let give = |one: &mut Use, part: i64, unused: i64| {
            one.out -= part;
            one.present = (one.present - unused).max(0);
            one.spare += if is_open { unused } else { 0 };
        };
        give(&mut self.amount, aside.amount.0, unused.map_or(0, |(amount, _)| amount.0));
        for (index, (one, part)) in self.parts.iter_mut().zip(&aside.parts).enumerate() {
            let unused = unused.and_then(|(_, parts)| parts.get(index)).copied().unwrap_or(0);
            give(one, part.amount, unused);
        }
    }

    /// Whether another lease ought to be taken: the line is used steadily, and no lease covers such a
    /// request, or what is left will not last.
    pub(super) fn wants_lease(&self, claim: &Claim, is_covered: bool, now: Instant) -> bool {
        let is_steady = self.requests.0 + self.requests.1 >= STEADY;
        if self.is_asking || !is_steady || now < self.not_before {
            return false;
        }
        !is_covered
            || self.amount.is_low(claim.amount.0)
            || self.parts.iter().zip(&claim.counters).any(|(one, (_, amount))| one.is_low(*amount))
    }

    /// The lease that it wants.
    pub(super) fn asks(&mut self, claim: &Claim) -> Wanted {
        self.is_asking = true;
        let parts = self.counters.iter().zip(&self.parts).zip(&claim.counters);
        let parts = parts.map(|((counter, one), (_, amount))| WantedPart {
            counter: counter.clone(),
            amount: one.expected(*amount),
            floor: amount.saturating_mul(WORTHWHILE),
        });
        let counters = parts.collect();
        let needs_money = self.needs == Needs::Credits;
        Wanted {
            id: Uuid::now_v7(),
            is_lease: true,
            account: self.account,
            needs: self.needs,
            amount: if needs_money { Nanos(self.amount.expected(claim.amount.0)) } else { Nanos::ZERO },
            least: Nanos(claim.amount.0.saturating_mul(WORTHWHILE)),
            floor: Nanos::ZERO,
            counters,
            record: Vec::new(),
        }
    }

    /// It has another lease. Answers those that are too many.
    pub(super) fn has(&mut self, lease: &Lease) -> Vec<Uuid> {
        self.is_asking = false;
        self.leases.push_front(lease.id);
        self.add_spare(lease, 1);
        self.leases.iter().skip(OPEN).copied().collect()
    }

    /// One of its leases is closed.
    pub(super) fn lacks(&mut self, lease: &Lease) {
        self.leases.retain(|id| *id != lease.id);
        self.add_spare(lease, -1);
    }

    fn add_spare(&mut self, lease: &Lease, sign: i64) {
        self.amount.spare += sign * lease.spare.0;
        self.parts.iter_mut().zip(&lease.parts).for_each(|(one, part)| one.spare += sign * part.spare);
    }

    pub(super) fn was_refused(&mut self, now: Instant) {
        self.is_asking = false;
        self.not_before = now + AFTER_REFUSAL;
    }

    /// Whether nobody used it for a quarter of a second.
    pub(super) fn is_idle(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.used_at) >= QUARTER
    }

    pub(super) fn is_remembered(&self, now: Instant) -> bool {
        self.is_asking
            || !self.leases.is_empty()
            || self.amount.out > 0
            || self.parts.iter().any(|one| one.out > 0)
            || now.saturating_duration_since(self.used_at) < REMEMBERED
    }
}
