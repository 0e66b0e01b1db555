//! How the desk opens eras, and what the next desk knows of the one before.

use crate::mutations::Mutation as M;
use crate::redis::{Entry, Kind, Line, Redis};
use crate::steps::{Step, Ways};
use crate::world::{Life, Phase, Reach, Row, Withdrawal, World};

impl Ways<'_> {
    /// A server without the scripts. What its stream still shows is posted if it has paid in full; what
    /// lacks something goes to the new era, where it can be seen what is free.
    pub(super) fn new_era(&mut self) {
        let rules = self.rules();
        self.go(Step::NewEra, |world| {
            let old = std::mem::take(&mut world.redis);
            let mut again = Vec::new();
            for entry in old.stream.iter().filter(|entry| entry.number > world.ledger.position) {
                for line in &entry.lines {
                    let id = usize::from(line.request);
                    let is_whole = line.paid >= line.charge || rules.broken(M::PostedBeforeLoaded);
                    if is_whole && world.ledger.rows[id].is_none() {
                        let paid = line.charge.min(world.ledger.balance);
                        world.ledger.balance -= paid;
                        world.ledger.rows[id] = Some(Row {
                            charge: line.charge,
                            paid,
                            counted: line.counted,
                            abandoned: line.abandoned,
                            posted: 1,
                            corrected: 0,
                        });
                    } else {
                        again.push(Line { paid: 0, used: 0, ..*line });
                    }
                }
            }
            for (place, hold) in old.holds.iter().enumerate() {
                if let Some(hold) = hold.filter(|hold| hold.kind == Kind::Own) {
                    let charge = hold.amount.min(hold.floor.max(hold.reported));
                    world.desk.left.push((hold.start, place as u8, charge));
                }
            }
            world.redis = Redis { era: old.era + 1, ..Redis::default() };
            world.redis.counter.limit = old.counter.limit;
            for line in again {
                world.redis.last += 1;
                world.redis.stream.push(Entry { number: world.redis.last, lines: vec![line] });
            }
            world.phase = Phase::Opening;
            (world.ledger.position, world.ledger.pending) = (0, None);
            if let Withdrawal::Decided(_) = world.ledger.withdrawal {
                world.ledger.withdrawal = Withdrawal::Finished;
            }
            if rules.broken(M::EraNotFenced) {
                world.late.iter_mut().for_each(|late| late.era = old.era + 1);
            } else {
                world.late.clear();
            }
            for proxy in 0..world.proxies.len() {
                if world.proxies[proxy].reach == Reach::Redis {
                    world.notice(proxy, rules.broken(M::SentAcrossEras));
                }
            }
        });
    }

    pub(super) fn open(&mut self) {
        let World { phase, desk, ledger, redis, .. } = self.from;
        if *phase != Phase::Opening {
            return;
        }
        if !desk.waited {
            return self.wait();
        }
        let drained =
            redis.stream.is_empty() && ledger.pending.is_none() || self.broken(M::OpenedBeforeDrained);
        if drained {
            self.go(Step::Open, |world| {
                world.phase = Phase::Open;
                world.desk.left.clear();
                world.desk.known = 0;
            });
        }
    }

    /// Until everybody has declared who held money; those that were silent are given up, and what their
    /// holds show is posted as abandoned.
    fn wait(&mut self) {
        let desk = &self.from.desk;
        let (mut waits, mut hasty) = (false, false);
        for (proxy, state) in self.from.proxies.iter().enumerate() {
            let is_known = desk.known & 1 << self.from.start(proxy) != 0;
            if state.life != Life::Alive || state.declared && state.era == self.from.redis.era {
                continue;
            }
            hasty = true;
            waits |= matches!(state.reach, Reach::Redis) || state.reach == Reach::Old && is_known;
        }
        if self.broken(M::OpenedWithoutWaiting) {
            self.go(Step::Waited, |world| world.give_up(false));
        } else if !waits {
            self.go(Step::Waited, |world| world.give_up(hasty));
        } else if self.may_fail(|kinds| kinds.hasty) {
            self.fault(Step::Waited, |world| world.give_up(true));
        }
    }
}

impl World {
    fn give_up(&mut self, hasty: bool) {
        self.desk.waited = true;
        self.harm.hasty |= hasty;
        for (start, request, charge) in std::mem::take(&mut self.desk.left) {
            let (proxy, id) = (usize::from(start / 2), usize::from(request));
            let has_declared = self.start(proxy) == start
                && self.proxies[proxy].life == Life::Alive
                && self.proxies[proxy].declared
                && self.proxies[proxy].era == self.redis.era;
            if has_declared || self.ledger.rows[id].is_some() {
                continue;
            }
            let paid = charge.min(self.ledger.balance);
            self.ledger.balance -= paid;
            let counted = if self.redis.counter.limit.is_some() { charge } else { 0 };
            self.ledger.rows[id] =
                Some(Row { charge, paid, counted, abandoned: true, posted: 1, corrected: 0 });
        }
    }

    /// Another desk takes the lock, with a higher fencing number; what this one remembered is gone. An era
    /// that was being opened is begun again.
    pub(crate) fn succeed_desk(&mut self) {
        self.desk.fence += 1;
        self.desk.read = None;
        self.desk.collected = Default::default();
        self.desk.waited = false;
    }
}
