//! The scripts that set money and parts of limits aside.

use super::{Hold, Kind, Redis};
use crate::calls::{Answer, Call, lease_place};
use crate::mutations::{Mutation as M, Rules};
use crate::scene::Money;

impl Redis {
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

    pub(super) fn hold(
        &mut self,
        start: u8,
        request: u8,
        amount: Money,
        floor: Money,
        rules: Rules,
    ) -> Answer {
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

    pub(super) fn lease(&mut self, start: u8, amount: Money, least: Money) -> Answer {
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

    pub(super) fn extend(&mut self, call: &Call, rules: Rules) -> Answer {
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
}
