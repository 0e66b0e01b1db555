//! Leases: slices of an account's credits and limits that this process spends by itself. Requests that a
//! lease covers do not wait for Redis.
//!
//! A *line* is what requests have in common that can live on the same lease: account, counters and their
//! bounds. It is watched in quarters of a second; one that is used steadily gets a lease of about what
//! such a quarter took, and the next before that runs dry. Redis grants a hundredth of what is there at
//! most. A lease ends with its line's idleness, with the first of its windows, with a recall, or with its
//! era.
//!
//! Redis knows nothing of the requests on a lease until they are settled. Where their proxy is killed and its
//! spool is lost with it, nothing is charged for them, not even their input: the operator bears what they
//! cost, which is at most what that proxy's leases held, and no customer pays too much.

mod lease;
mod line;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use model::{AccountId, Nanos, Shard};
use uuid::Uuid;

use crate::claim::Claim;
use crate::held::{ById, SetAside};
use crate::protocol::calls::{Held, LeaseBack, LeaseState, Wanted};
use lease::Lease;
use line::{Line, LineKey};

/// How long an account leases nothing after a recall.
const AFTER_RECALL: Duration = Duration::from_millis(250);

/// All leases, by shard.
#[derive(Debug)]
pub(crate) struct Leases {
    shards: Box<[Mutex<Slice>]>,
    counts: Box<[AtomicUsize]>,
}

/// The leases of one shard.
#[derive(Debug, Default)]
struct Slice {
    lines: HashMap<LineKey, Vec<Line>>,
    leases: ById<Lease>,
    recalled: HashMap<AccountId, Instant>,
    /// Leases of eras before this one are over, whenever Redis's word for them arrives.
    era: u64,
}

/// A request's part of a lease, and what remains of each limit.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) aside: SetAside,
    pub(crate) era: u64,
    pub(crate) remaining: Vec<i64>,
}

/// A lease that ought to be taken.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) shard: Shard,
    pub(crate) incarnation: Uuid,
    pub(crate) wanted: Wanted,
    line: LineId,
}

/// A line's key, and what tells it from one of the same key that was forgotten.
type LineId = (LineKey, Uuid);

impl Leases {
    pub(crate) fn new() -> Self {
        Self {
            shards: Shard::all().map(|_| Mutex::default()).collect(),
            counts: Shard::all().map(|_| AtomicUsize::new(0)).collect(),
        }
    }

    /// Notes that a line is used, and takes the request's part of a lease if there is one that covers
    /// it. The second answer is a lease to be asked for, in the background.
    pub(crate) fn take(
        &self,
        account: AccountId,
        claim: &Claim,
        now: Instant,
        incarnation: impl FnOnce() -> Uuid,
    ) -> (Option<Taken>, Option<Asked>) {
        let shard = account.shard();
        let Slice { lines, leases, recalled, .. } = &mut *self.of(shard);
        let key = line::key(account, claim);
        let lines = lines.entry(key).or_default();
        let at = match lines.iter().position(|line| line.is_of(account, claim)) {
            Some(at) => at,
            None => {
                lines.push(Line::new(account, claim, now));
                lines.len() - 1
            }
        };
        let line = &mut lines[at];
        line.note(now);
        let lease = line.covering(leases, claim, now).and_then(|id| leases.get_mut(&id));
        let taken = lease.map(|lease| lease.take(claim));
        if let Some(taken) = &taken {
            line.takes(taken);
        }
        let is_recalled = recalled.get(&account).is_some_and(|until| now < *until);
        if is_recalled || !line.wants_lease(claim, taken.is_some(), now) {
            return (taken, None);
        }
        let asked =
            Asked { shard, incarnation: incarnation(), wanted: line.asks(claim), line: (key, line.serial) };
        (taken, Some(asked))
    }

    /// More for a request that lives on a lease, out of the same lease. Says whether it was there.
    pub(crate) fn take_more(
        &self,
        shard: Shard,
        lease: Uuid,
        amount: Nanos,
        parts: &[i64],
        now: Instant,
    ) -> bool {
        let mut slice = self.of(shard);
        let Some(lease) = slice.leases.get_mut(&lease) else { return false };
        let (was_there, line) = (lease.take_more(amount, parts, now), lease.line);
        if was_there && let Some(line) = slice.line(line) {
            line.takes_more(amount, parts);
        }
        was_there
    }

    /// Redis has answered a beat that was made at `at`: the incarnation is watched over, and its leases may
    /// be spent for another while.
    pub(crate) fn renew(&self, shard: Shard, incarnation: Uuid, at: Instant) {
        if self.count(shard) > 0 {
            let mut slice = self.of(shard);
            let leases = slice.leases.values_mut().filter(|lease| lease.incarnation == incarnation);
            leases.for_each(|lease| lease.renew(at));
        }
    }

    /// Redis has answered; `asked_at` is before it was asked. Says whether the answer found who had asked:
    /// if not, what was granted is nobody's.
    pub(crate) fn answered(
        &self,
        asked: &Asked,
        era: u64,
        answer: &Held,
        asked_at: Instant,
        now: Instant,
    ) -> bool {
        let mut slice = self.of(asked.shard);
        let Held::Granted { amount, parts } = answer else {
            slice.refused(asked, now);
            return true;
        };
        let (id, is_over) = (asked.wanted.id, era < slice.era);
        let Some(line) = slice.line(asked.line) else { return is_over };
        if is_over {
            line.was_refused(now);
            return true;
        }
        let lease = Lease::new(asked, line.counters.clone(), era, *amount, parts, asked_at);
        let surplus = line.has(&lease);
        slice.leases.insert(id, lease);
        slice.close(surplus);
        self.counts[usize::from(asked.shard.0)].fetch_add(1, Ordering::Release);
        true
    }

    /// Redis has not answered, or not with a lease.
    pub(crate) fn refused(&self, asked: &Asked, now: Instant) {
        self.of(asked.shard).refused(asked, now);
    }

    /// A request on a lease is over, or has a hold of its own by now. What it did not need can be spent
    /// again, if that is known.
    pub(crate) fn over(&self, shard: Shard, aside: &SetAside, unused: Option<(Nanos, &[i64])>) {
        let mut slice = self.of(shard);
        let Some(lease) = slice.leases.get_mut(&aside.id) else { return };
        if let Some((amount, parts)) = unused {
            lease.give_back(amount, parts);
        }
        let (line, is_open) = (lease.line, lease.is_open());
        if let Some(line) = slice.line(line) {
            line.is_over(aside, unused, is_open);
        }
    }

    /// Redis knows how so many requests on a lease ended, or that they have holds of their own.
    pub(crate) fn settled(&self, shard: Shard, lease: Uuid, requests: usize) {
        if let Some(lease) = self.of(shard).leases.get_mut(&lease) {
            lease.users = lease.users.saturating_sub(requests);
        }
    }

    /// Nothing more is taken of a lease.
    pub(crate) fn close(&self, shard: Shard, lease: Uuid) {
        self.of(shard).close([lease]);
    }

    /// The leases of these accounts shall be given back.
    pub(crate) fn recall(&self, shard: Shard, accounts: &[AccountId], now: Instant) {
        let mut slice = self.of(shard);
        for account in accounts {
            slice.recalled.insert(*account, now + AFTER_RECALL);
        }
        slice.close_if(|lease| accounts.contains(&lease.account));
    }

    /// Closes leases that are idle or whose window has ended, and forgets lines that nobody uses.
    pub(crate) fn tidy(&self, shard: Shard, now: Instant) {
        let mut slice = self.of(shard);
        slice.recalled.retain(|_, until| now < *until);
        let Slice { lines, leases, .. } = &mut *slice;
        let is_idle = |lease: &Lease| {
            let line = lines.get(&lease.line.0).and_then(|lines| line::find(lines, lease.line.1));
            line.is_none_or(|line| line.is_idle(now))
        };
        let over: Vec<Uuid> = leases
            .values()
            .filter(|lease| lease.is_open() && (lease.has_ended(now) || is_idle(lease)))
            .map(|lease| lease.id)
            .collect();
        slice.close(over);
        slice.lines.retain(|_, lines| {
            lines.retain(|line| line.is_remembered(now));
            !lines.is_empty()
        });
    }

    /// Closes all.
    pub(crate) fn close_all(&self, shard: Shard) {
        self.of(shard).close_if(|_| true);
    }

    /// What an incarnation's leases give back by now. What ends is forgotten here; Redis hears of it in a
    /// beat that is repeated until it is answered.
    pub(crate) fn returns(&self, shard: Shard, incarnation: Uuid) -> Vec<LeaseBack> {
        let mut returns = Vec::new();
        if self.count(shard) == 0 {
            return returns;
        }
        let mut slice = self.of(shard);
        slice.leases.retain(|_, lease| {
            let returned = if lease.incarnation == incarnation { lease.returned() } else { None };
            let is_over = returned.as_ref().is_some_and(|back| back.state == LeaseState::Ended);
            returns.extend(returned);
            !is_over
        });
        self.counts[usize::from(shard.0)].store(slice.leases.len(), Ordering::Release);
        returns
    }

    /// Their ids, and by whom and for whom they were taken.
    pub(crate) fn all(&self, shard: Shard) -> Vec<(Uuid, Uuid, AccountId)> {
        if self.count(shard) == 0 {
            return Vec::new();
        }
        let slice = self.of(shard);
        slice.leases.values().map(|lease| (lease.id, lease.incarnation, lease.account)).collect()
    }

    /// Another era has begun: all leases are over.
    pub(crate) fn end_era(&self, shard: Shard, next: u64) {
        self.of(shard).era = next;
        self.end(shard, |_| true);
    }

    /// An incarnation holds nothing more: its leases are over.
    pub(crate) fn end_of(&self, shard: Shard, incarnation: Uuid) {
        self.end(shard, |lease| lease.incarnation == incarnation);
    }

    fn end(&self, shard: Shard, is_over: impl Fn(&Lease) -> bool) {
        let mut slice = self.of(shard);
        slice.close_if(&is_over);
        slice.leases.retain(|_, lease| !is_over(lease));
        self.counts[usize::from(shard.0)].store(slice.leases.len(), Ordering::Release);
    }

    pub(crate) fn count(&self, shard: Shard) -> usize {
        self.counts[usize::from(shard.0)].load(Ordering::Acquire)
    }

    fn of(&self, shard: Shard) -> MutexGuard<'_, Slice> {
        self.shards[usize::from(shard.0)].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slice {
    fn line(&mut self, (key, serial): LineId) -> Option<&mut Line> {
        self.lines.get_mut(&key)?.iter_mut().find(|line| line.serial == serial)
    }

    fn refused(&mut self, asked: &Asked, now: Instant) {
        if let Some(line) = self.line(asked.line) {
            line.was_refused(now);
        }
    }

    fn close_if(&mut self, is_meant: impl Fn(&Lease) -> bool) {
        let meant: Vec<Uuid> =
            self.leases.values().filter(|lease| is_meant(lease)).map(|lease| lease.id).collect();
        self.close(meant);
    }

    fn close(&mut self, leases: impl IntoIterator<Item = Uuid>) {
        for id in leases {
            let Some(lease) = self.leases.get_mut(&id).filter(|lease| lease.is_open()) else { continue };
            lease.close();
            let key = lease.line.0;
            let line = self.lines.get_mut(&key).and_then(|lines| line::find_mut(lines, lease.line.1));
            if let Some(line) = line {
                line.lacks(lease);
            }
        }
    }
}
