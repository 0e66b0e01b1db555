//! The scripts as the model has them: what each reads, decides and moves in the keys of one era.
//! Conformance compares exactly this with the real ones.

use crate::calls::{Answer, Call, Declared, GiveBack, Settled, lease_place};
use crate::mutations::{Mutation as M, Rules};
use crate::scene::{Money, PLACES, REQUESTS, STARTS};

/// The keys of one era of one shard with one account and one counter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Redis {
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
pub struct Account {
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
pub struct Counter {
    /// Its limit; without one nothing is counted.
    pub limit: Option<Money>,
    pub used: Money,
    /// The part of it that leases could give back.
    pub leased: Money,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hold {
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
pub enum Kind {
    Own,
    Lease,
    Closed,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Start {
    /// The number of its last beat, if somebody looks whether it lives.
    pub beat: Option<u8>,
    pub beaten: u8,
    pub dead: bool,
    pub declared: bool,
    /// The entries of its batches.
    pub batches: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Collected {
    #[default]
    Nothing,
    Taken(Money),
    /// Withdrawn; never to be collected again.
    Over,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Entry {
    pub number: u8,
    pub lines: Vec<Line>,
}

/// One record of an entry. An entry without any wakes the desk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Line {
    pub request: u8,
    pub charge: Money,
    pub paid: Money,
    /// What it was counted with.
    pub used: Money,
    pub abandoned: bool,
}

impl Redis {
    /// Carries a call out.
    pub fn call(&mut self, call: &Call, rules: Rules) -> Answer {
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

    /// Nobody is refused what leases could give back.
    fn refusal(&mut self, amount: Money, rules: Rules) -> Option<Answer> {
        let leases_count = !rules.broken(M::RefusedWhileLeased);
        let mut wait = false;
        if let Some(limit) = self.counter.limit {
            let short = self.counter.used.max(0) + amount - limit;
            if short > if leases_count { self.counter.leased.max(0) } else { 0 } {
                return (!rules.broken(M::LimitNotChecked)).then_some(Answer::NoLimit);
            }
            wait |= short > 0;
        }
        let short = amount - self.account.free;
        if short > if leases_count { self.account.leased } else { 0 } {
            return (!rules.broken(M::HoldWithoutRoom)).then_some(Answer::NoCredits);
        }
        wait |= short > 0;
        wait.then(|| {
            self.account.recall = true;
            Answer::Wait
        })
    }

    fn cold(&mut self) -> Answer {
        if !self.want {
            self.want = true;
            self.add_entry(Vec::new());
        }
        Answer::Cold
    }

    fn watched(&mut self, start: u8) {
        self.starts[usize::from(start)].beat.get_or_insert(0);
    }

    fn hold(&mut self, start: u8, request: u8, amount: Money, floor: Money, rules: Rules) -> Answer {
        let place = usize::from(request);
        if self.starts[usize::from(start)].dead && !rules.broken(M::DeadMayHold) {
            return Answer::Dead;
        }
        self.watched(start);
        let present = self.holds[place].filter(|hold| hold.start == start);
        if let Some(hold) = present
            && !rules.broken(M::HoldTakenTwice)
        {
            return Answer::Granted(hold.amount, hold.reserved);
        }
        if !self.account.loaded {
            return self.cold();
        }
        if let Some(no) = self.refusal(amount, rules) {
            return no;
        }
        let reserved = self.reserve(amount);
        self.count(reserved, 0);
        self.account.held += amount;
        self.give(-amount);
        let reserved_floor = self.reserve(floor);
        let kind = Kind::Own;
        let (reported, step) = (0, 0);
        self.holds[place] =
            Some(Hold { kind, amount, floor, reported, step, reserved, reserved_floor, start });
        Answer::Granted(amount, reserved)
    }

    fn lease(&mut self, start: u8, amount: Money, least: Money) -> Answer {
        let place = lease_place(start);
        if self.starts[usize::from(start)].dead {
            return Answer::Dead;
        }
        self.watched(start);
        if let Some(hold) = self.holds[place] {
            return Answer::Granted(hold.amount, hold.reserved);
        }
        if !self.account.loaded {
            return self.cold();
        }
        let amount = amount.min(self.account.free.max(0) / 100);
        let remains = self.counter.limit.map(|limit| limit - self.counter.used.max(0));
        let reserved = remains.map_or(0, |remains| self.reserve(amount).min(remains.max(0) / 100));
        if self.account.recall || amount < least || self.counter.limit.is_some() && reserved < least {
            return Answer::TooSmall;
        }
        self.count(reserved, reserved);
        self.account.leased += amount;
        self.account.leases += 1;
        self.account.held += amount;
        self.give(-amount);
        let (kind, floor, reported, step, reserved_floor) = (Kind::Lease, 0, 0, 0, 0);
        self.holds[place] =
            Some(Hold { kind, amount, floor, reported, step, reserved, reserved_floor, start });
        Answer::Granted(amount, reserved)
    }

    fn extend(&mut self, call: &Call, rules: Rules) -> Answer {
        let &Call::Extend { start, request, more, reported, carve, floor, next } = call else {
            return Answer::Nothing;
        };
        let (place, from) = (usize::from(request), lease_place(start));
        let told = &self.starts[usize::from(start)];
        if told.dead {
            return Answer::Dead;
        }
        if told.batches.len() >= usize::from(next) && !rules.broken(M::LateExtendCarves) {
            return Answer::Nothing;
        }
        let own = self.holds[place].filter(|hold| hold.start == start);
        let lease = if own.is_none() && carve.is_some() { self.holds[from] } else { None };
        if own.is_none() && lease.is_none() {
            return Answer::Nothing;
        }
        if !self.account.loaded {
            return self.cold();
        }
        let mut hold = own.unwrap_or_else(|| {
            let part = carve.unwrap_or(0).min(lease.map_or(0, |lease| lease.amount));
            let reserved = self.reserve(carve.unwrap_or(0)).min(lease.map_or(0, |lease| lease.reserved));
            let (kind, reported, step, reserved_floor) = (Kind::Own, 0, 0, self.reserve(floor));
            Hold { kind, amount: part, floor, reported, step, reserved, reserved_floor, start }
        });
        if hold.step == 0 || rules.broken(M::ExtendedTwice) {
            if let Some(no) = self.refusal(more, rules) {
                return no;
            }
            if let Some(mut lease) = lease {
                let open = lease.kind == Kind::Lease;
                if !rules.broken(M::CarvedPartStaysInTheLease) {
                    lease.amount -= hold.amount;
                }
                lease.reserved -= hold.reserved;
                if open {
                    self.account.leased -= hold.amount;
                    self.count(0, -hold.reserved);
                }
                self.holds[from] = Some(lease);
                self.fade(from);
            }
            let reserving = self.reserve(more);
            hold.reserved += reserving;
            self.count(reserving, 0);
            self.account.held += more;
            self.give(-more);
            hold.amount += more;
            hold.step = 1;
            hold.reported = hold.reported.max(reported);
            self.holds[place] = Some(hold);
        }
        Answer::Granted(hold.amount, hold.reserved)
    }

    fn settle(&mut self, start: u8, number: u8, records: &[Settled], rules: Rules) -> Answer {
        let batches = &self.starts[usize::from(start)].batches;
        if !rules.broken(M::BatchesNotNumbered) {
            if let Some(&entry) = batches.get(usize::from(number) - 1) {
                return Answer::Entry(entry);
            }
            if usize::from(number) != batches.len() + 1 {
                return Answer::Gap;
            }
        }
        let lines = records.iter().map(|record| self.settled(record, rules)).collect();
        let entry = self.add_entry(lines);
        self.starts[usize::from(start)].batches.push(entry);
        Answer::Entry(entry)
    }

    fn settled(&mut self, record: &Settled, rules: Rules) -> Line {
        let &Settled { request, start, charge, part, abandoned } = record;
        let (place, from) = (usize::from(request), lease_place(start));
        let own = self.holds[place].filter(|hold| hold.start == start);
        let used = self.reserve(charge);
        let available = if rules.broken(M::FreeNotClamped) { Money::MAX / 2 } else { self.available() };
        let mut paid = 0;
        if let Some(hold) = own {
            paid = charge.min(hold.amount + available);
            self.finish(place, paid);
            if rules.broken(M::SettledHoldStays) {
                self.holds[place] = own;
            }
        } else if let (Some(part), Some(mut lease)) = (part, self.holds[from]) {
            let open = lease.kind == Kind::Lease;
            let money = part.min(lease.amount);
            paid = charge.min(money + available);
            let from_lease = paid.min(money);
            lease.amount -= from_lease;
            self.account.held -= from_lease;
            self.account.unposted += paid;
            self.give(from_lease - paid);
            if open {
                self.account.leased -= from_lease;
            }
            let covered = used.min(self.reserve(part)).min(lease.reserved);
            lease.reserved -= covered;
            self.count(-covered, if open { -covered } else { 0 });
            self.holds[from] = Some(lease);
            self.fade(from);
        }
        self.count(used, 0);
        Line { request, charge, paid, used, abandoned }
    }

    fn beat(
        &mut self,
        start: u8,
        number: u8,
        reports: &[(u8, Money)],
        lease: Option<GiveBack>,
        names: u8,
        rules: Rules,
    ) -> Answer {
        let told = &mut self.starts[usize::from(start)];
        if told.dead {
            return Answer::Dead;
        }
        if number <= told.beaten && !rules.broken(M::BeatsNotNumbered) {
            return Answer::Unmoved;
        }
        told.beaten = number;
        told.beat = Some(number);
        for &(request, reported) in reports {
            if let Some(hold) = self.holds[usize::from(request)].as_mut().filter(|hold| hold.start == start) {
                hold.reported = hold.reported.max(reported);
            }
        }
        if let Some(given) = lease {
            self.given_back(lease_place(start), given);
        }
        for place in 0..PLACES {
            let named = if place < REQUESTS {
                names & 1 << place != 0 && !rules.broken(M::NamedHoldsReleased)
            } else {
                names & 1 << REQUESTS != 0
            };
            if !named && self.holds[place].is_some_and(|hold| hold.start == start) {
                self.finish(place, 0);
            }
        }
        Answer::Done
    }

    fn given_back(&mut self, place: usize, given: GiveBack) {
        let Some(mut lease) = self.holds[place] else { return };
        let open = lease.kind == Kind::Lease;
        let (credits, reserved) = (given.credits.min(lease.amount), given.reserved.min(lease.reserved));
        lease.amount -= credits;
        lease.reserved -= reserved;
        self.account.held -= credits;
        self.give(credits);
        if open {
            self.account.leased -= credits;
        }
        self.count(-reserved, if open { -reserved } else { 0 });
        self.holds[place] = Some(lease);
        if given.ends {
            return self.finish(place, 0);
        }
        if open {
            self.account.leased -= lease.amount;
            self.close_one();
            self.count(0, -lease.reserved);
            self.holds[place] = Some(Hold { kind: Kind::Closed, ..lease });
        }
        self.fade(place);
    }

    fn bury(&mut self, start: u8) -> Answer {
        self.starts[usize::from(start)].dead = true;
        self.starts[usize::from(start)].beat = None;
        for place in 0..PLACES {
            if self.holds[place].is_some_and(|hold| hold.start == start) {
                self.finish(place, 0);
            }
        }
        Answer::Done
    }

    fn declare(&mut self, start: u8, holds: &[Declared], rules: Rules) -> Answer {
        let told = &mut self.starts[usize::from(start)];
        if told.dead {
            return Answer::Dead;
        }
        if told.declared && !rules.broken(M::DeclaredTwice) {
            return Answer::Unmoved;
        }
        told.declared = true;
        self.watched(start);
        for &Declared { request, amount, floor, step } in holds {
            let place = usize::from(request);
            if self.holds[place].is_some() && !rules.broken(M::DeclaredTwice) {
                continue;
            }
            let given = if self.account.loaded && !rules.broken(M::LateDeclarerTakesAll) {
                amount.min(self.available())
            } else {
                amount
            };
            self.give(-given);
            self.account.held += given;
            let (reserved, reserved_floor) = (self.reserve(amount), self.reserve(floor));
            self.count(reserved, 0);
            let (kind, reported) = (Kind::Own, 0);
            self.holds[place] =
                Some(Hold { kind, amount: given, floor, reported, step, reserved, reserved_floor, start });
        }
        Answer::Done
    }

    fn desk_call(&mut self, call: &Call, rules: Rules) -> Answer {
        match *call {
            Call::Reap { start, beat, .. } => self.reap(start, beat, rules),
            Call::Collect { position, id, missing, .. } => self.collect(position, id, missing, rules),
            Call::Posted { position, unposted, back, counted, uncounted, ids, .. } => {
                if position <= self.posted && !rules.broken(M::PostedAgain) {
                    return Answer::Unmoved;
                }
                self.account.unposted -= unposted;
                if !rules.broken(M::DuplicateKeepsWhatItTook) {
                    self.give(back);
                }
                self.count(-uncounted - if self.account.loaded { 0 } else { counted }, 0);
                for id in (0..=REQUESTS).filter(|id| ids & 1 << id != 0) {
                    self.collected[id] = Collected::Nothing;
                }
                self.posted = position;
                self.stream.retain(|entry| entry.number > position);
                Answer::Done
            }
            Call::Credit { amount, sequence, .. } => {
                let done = sequence <= self.account.applied && !rules.broken(M::CreditedTwice);
                if !self.account.loaded || done {
                    return Answer::Unmoved;
                }
                self.account.applied = sequence;
                self.give(amount);
                Answer::Done
            }
            Call::Load { position, balance, sequence, counted, .. } => {
                if position != self.posted && !rules.broken(M::LoadedFromThePast) {
                    return Answer::Gap;
                }
                self.want = false;
                if self.account.loaded && !rules.broken(M::LoadedTwice) {
                    return Answer::Unmoved;
                }
                let held = if rules.broken(M::LoadedWithoutHolds) { 0 } else { self.account.held };
                let unposted = if rules.broken(M::LoadedWithoutUnposted) { 0 } else { self.account.unposted };
                self.account.free = balance - held - unposted;
                self.account.loaded = true;
                self.account.applied = sequence;
                self.count(counted, 0);
                Answer::Done
            }
            Call::Withdrawn { back, .. } => {
                let Collected::Taken(amount) = self.collected[REQUESTS] else { return Answer::Unmoved };
                self.collected[REQUESTS] = Collected::Over;
                self.account.unposted -= amount;
                self.give(back);
                Answer::Done
            }
            _ => Answer::Nothing,
        }
    }

    fn collect(&mut self, position: u8, id: u8, missing: Money, rules: Rules) -> Answer {
        if position != self.posted && !rules.broken(M::CollectedForThePast) {
            return Answer::Gap;
        }
        match self.collected[usize::from(id)] {
            Collected::Taken(amount) if !rules.broken(M::CollectedTwice) => Answer::Taken(amount),
            Collected::Over if !rules.broken(M::WithdrawnForgotten) => Answer::Taken(0),
            _ => {
                let available =
                    if rules.broken(M::CollectNotClamped) { Money::MAX } else { self.available() };
                let amount = available.min(missing);
                self.account.free -= amount;
                self.account.unposted += amount;
                self.collected[usize::from(id)] = Collected::Taken(amount);
                Answer::Taken(amount)
            }
        }
    }

    fn reap(&mut self, start: u8, beat: u8, rules: Rules) -> Answer {
        let told = &mut self.starts[usize::from(start)];
        if told.beat.is_some_and(|now| now != beat) && !rules.broken(M::ReapedByAnOldBeat) {
            return Answer::Unmoved;
        }
        told.dead = true;
        told.beat = None;
        let mut lines = Vec::new();
        for place in 0..PLACES {
            let Some(hold) = self.holds[place].filter(|hold| hold.start == start) else { continue };
            if hold.kind != Kind::Own {
                self.finish(place, 0);
                continue;
            }
            let due = hold.floor.max(hold.reported);
            let charge = if rules.broken(M::ReapedBeyondTheHold) { due } else { hold.amount.min(due) };
            self.finish(place, charge);
            let used = self.reserve(charge);
            self.count(if rules.broken(M::FloorCountedTwice) { used * 2 } else { used }, 0);
            lines.push(Line { request: place as u8, charge, paid: charge, used, abandoned: true });
        }
        if !lines.is_empty() {
            self.add_entry(lines);
        }
        Answer::Done
    }
}
