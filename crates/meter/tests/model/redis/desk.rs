//! The desk's scripts, once its fencing number is known to be the highest.

use super::{Collected, Kind, Line, Redis};
use crate::calls::{Answer, Call};
use crate::mutations::{Mutation as M, Rules};
use crate::scene::{Money, PLACES, REQUESTS};

impl Redis {
    pub(super) fn desk_call(&mut self, call: &Call, rules: Rules) -> Answer {
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
                if position != self.posted {
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
            let used = hold.reserved_floor;
            self.count(if rules.broken(M::FloorCountedTwice) { used * 2 } else { used }, 0);
            lines.push(Line {
                request: place as u8,
                charge,
                paid: charge,
                used,
                counted: used,
                abandoned: true,
            });
        }
        if !lines.is_empty() {
            self.add_entry(lines);
        }
        Answer::Done
    }
}
