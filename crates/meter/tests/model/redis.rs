//! The scripts as the model has them: what each reads, decides and moves in the keys of one era.
//! Conformance compares exactly this with the real ones.

mod aside;
mod desk;
mod ends;

use crate::calls::{Answer, Call};
use crate::mutations::{Mutation as M, Rules};
use crate::scene::{Money, PLACES, REQUESTS, STARTS};

/// The keys of one era of one shard with one account and one counter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Redis {
    pub era: u8,
    pub account: Account,
    pub counter: Counter,
    pub holds: [Option<Hold>; PLACES],
    pub starts: [Start; STARTS],
    /// By record; the last is the withdrawal's.
    pub collected: [Collected; REQUESTS + 1],
    pub want: bool,
    /// Entries that are not posted.
    pub stream: Vec<Entry>,
    /// The number of the last entry, and of the last that is posted.
    pub last: u8,
    pub posted: u8,
    pub fence: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Account {
    pub loaded: bool,
    pub free: Money,
    pub held: Money,
    pub unposted: Money,
    pub leased: Money,
    pub leases: u8,
    pub recall: bool,
    pub applied: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Counter {
    /// Its limit; without one nothing is counted.
    pub limit: Option<Money>,
    pub used: Money,
    /// The part of it that leases could give back.
    pub leased: Money,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Hold {
    pub kind: Kind,
    pub amount: Money,
    pub floor: Money,
    pub reported: Money,
    pub step: u8,
    pub reserved: Money,
    pub reserved_floor: Money,
    /// The start whose it is.
    pub start: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Own,
    Lease,
    Closed,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Start {
    /// The number of its last beat, if somebody looks whether it lives.
    pub beat: Option<u8>,
    pub beaten: u8,
    pub dead: bool,
    pub declared: bool,
    /// The entries of its batches.
    pub batches: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Collected {
    #[default]
    Nothing,
    Taken(Money),
    /// Withdrawn; never to be collected again.
    Over,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Entry {
    pub number: u8,
    pub lines: Vec<Line>,
}

/// One record of an entry. An entry without any wakes the desk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Line {
    pub request: u8,
    pub charge: Money,
    pub paid: Money,
    /// What the limit has counted for it here, and what Postgres counts: not the same where the desk has
    /// carried it here from the era before.
    pub used: Money,
    pub counted: Money,
    pub abandoned: bool,
}

impl Redis {
    /// Carries a call out.
    pub(crate) fn call(&mut self, call: &Call, rules: Rules) -> Answer {
        match *call {
            Call::Hold { start, request, amount, floor } => self.hold(start, request, amount, floor, rules),
            Call::Lease { start, amount, least } => self.lease(start, amount, least),
            Call::Extend { .. } => self.extend(call, rules),
            Call::Settle { start, number, ref records } => self.settle(start, number, records, rules),
            Call::Beat { start, number, ref reports, lease, names } => {
                self.beat(start, number, reports, lease, names, rules)
            }
            Call::Bury { start } => self.bury(start),
            Call::Declare { start, ref holds } => self.declare(start, holds, rules),
            Call::Reap { fence, .. }
            | Call::Collect { fence, .. }
            | Call::Posted { fence, .. }
            | Call::Credit { fence, .. }
            | Call::Load { fence, .. }
            | Call::Withdrawn { fence, .. } => {
                if fence < self.fence && !rules.broken(M::RedisForgetsTheFence) {
                    return Answer::Fenced;
                }
                self.fence = self.fence.max(fence);
                self.desk_call(call, rules)
            }
        }
    }

    fn available(&self) -> Money {
        if self.account.loaded { self.account.free.max(0) } else { 0 }
    }

    fn give(&mut self, amount: Money) {
        if self.account.loaded {
            self.account.free += amount;
        }
    }

    fn count(&mut self, by: Money, leased: Money) {
        if self.counter.limit.is_some() {
            self.counter.used += by;
            self.counter.leased += leased;
        }
    }

    /// What is reserved of the limit for so much money.
    fn reserve(&self, amount: Money) -> Money {
        if self.counter.limit.is_some() { amount } else { 0 }
    }

    fn add_entry(&mut self, lines: Vec<Line>) -> u8 {
        self.last += 1;
        self.stream.push(Entry { number: self.last, lines });
        self.last
    }

    fn finish(&mut self, place: usize, paid: Money) {
        let Some(hold) = self.holds[place].take() else { return };
        self.account.held -= hold.amount;
        self.account.unposted += paid;
        self.give(hold.amount - paid);
        let open = hold.kind == Kind::Lease;
        if open {
            self.account.leased -= hold.amount;
            self.close_one();
        }
        self.count(-hold.reserved, if open { -hold.reserved } else { 0 });
    }

    fn close_one(&mut self) {
        self.account.leases -= 1;
        self.account.recall &= self.account.leases > 0;
    }

    fn fade(&mut self, place: usize) {
        if self.holds[place].is_some_and(|h| h.kind == Kind::Closed && h.amount == 0 && h.reserved == 0) {
            self.holds[place] = None;
        }
    }

    fn watched(&mut self, start: u8) {
        self.starts[usize::from(start)].beat.get_or_insert(0);
    }
}
