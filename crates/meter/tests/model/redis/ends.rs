//! The scripts with which proxies end what they have set aside, and say what they have in a new era.

use super::{Hold, Kind, Line, Redis};
use crate::calls::{Answer, Declared, GiveBack, Settled, lease_place};
use crate::mutations::{Mutation as M, Rules};
use crate::scene::{Money, PLACES, REQUESTS};

impl Redis {
    pub(super) fn settle(&mut self, start: u8, number: u8, records: &[Settled], rules: Rules) -> Answer {
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
        Line { request, charge, paid, used, counted: used, abandoned }
    }

    pub(super) fn beat(
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

    pub(super) fn bury(&mut self, start: u8) -> Answer {
        self.starts[usize::from(start)].dead = true;
        self.starts[usize::from(start)].beat = None;
        for place in 0..PLACES {
            if self.holds[place].is_some_and(|hold| hold.start == start) {
                self.finish(place, 0);
            }
        }
        Answer::Done
    }

    pub(super) fn declare(&mut self, start: u8, holds: &[Declared], rules: Rules) -> Answer {
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
}
