//! What the desk does, and Postgres with it.

mod eras;

use crate::calls::{Answer, Call};
use crate::mutations::Mutation as M;
use crate::redis::{Entry, Line};
use crate::scene::{Money, REQUESTS};
use crate::steps::{Called, Step, Ways};
use crate::world::{Life, Pending, Phase, Reach, Row, TopUp, Withdrawal, World};

/// What a line of the stream means to Postgres.
struct Due {
    /// What the customer owes for it beyond what he has paid; below zero he gets it back.
    owed: Money,
    correction: bool,
    known: bool,
}

impl Ways<'_> {
    pub(crate) fn of_desk(&mut self) {
        if self.from.ledger.top_up == TopUp::Expected {
            self.go(Step::TopUp, |world| {
                world.ledger.balance += self.run.scene.arrives;
                world.ledger.top_up = TopUp::Arrived;
            });
        }
        if self.from.phase == Phase::Gone {
            if self.from.doomed.is_none() {
                self.new_era();
            }
            return;
        }
        if self.from.desk.read.is_some() {
            return self.load();
        }
        if self.from.ledger.pending.is_some() {
            return self.posted();
        }
        self.post();
        if self.may_load() && self.from.redis.want {
            self.read();
        }
        self.reap();
        self.tell();
        self.open();
    }

    /// Collects what an entry's records lack, then commits it.
    fn post(&mut self) {
        let Some(entry) = self.from.redis.stream.first() else { return };
        let desk = &self.from.desk;
        if self.broken(M::AcknowledgedBeforeCommit) && entry.number > self.from.redis.posted {
            return self.posted_early(entry.number);
        }
        let eager = self.broken(M::PostedBeforeLoaded) && !self.from.redis.account.loaded;
        let missing = entry.lines.iter().find_map(|line| {
            let missing = self.due(line).owed - line.paid;
            let open = desk.collected[usize::from(line.request)].is_none();
            (missing > 0 && open && !eager).then_some((line.request, missing))
        });
        match missing {
            None => self.commit(entry),
            Some(_) if !self.from.redis.account.loaded => {
                if self.may_load() {
                    self.read();
                }
            }
            Some((id, missing)) => self.collect(Step::Collect(id), id, missing),
        }
    }

    fn collect(&mut self, step: Step, id: u8, missing: Money) {
        let (fence, position) = (self.from.desk.fence, self.from.ledger.position);
        self.call(
            step,
            Called::Desk,
            Call::Collect { fence, position, id, missing },
            |_| (),
            |world, answer| {
                if let Answer::Taken(amount) = answer {
                    world.desk.collected[usize::from(id)] = Some(amount);
                }
            },
        );
    }

    fn due(&self, line: &Line) -> Due {
        match self.from.ledger.rows[usize::from(line.request)] {
            None => Due { owed: line.charge, correction: false, known: false },
            Some(row)
                if row.abandoned
                    && !line.abandoned
                    && (row.corrected == 0 || self.broken(M::CorrectedTwice))
                    && !self.broken(M::NeverCorrected) =>
            {
                Due { owed: line.charge - row.paid, correction: true, known: true }
            }
            Some(_) if self.broken(M::DuplicatePosted) => {
                Due { owed: line.charge, correction: false, known: false }
            }
            Some(_) => Due { owed: 0, correction: false, known: true },
        }
    }

    fn commit(&mut self, entry: &Entry) {
        let mut after = self.from.clone();
        self.committed(&mut after, entry);
        if self.may_fail(|kinds| kinds.desk_crash) && self.from.phase == Phase::Open {
            let mut crashed = after.clone();
            if self.broken(M::PendingForgotten) {
                crashed.ledger.pending = None;
            }
            crashed.harm.faults += 1;
            crashed.succeed_desk();
            self.go(Step::DeskCrash, |world| *world = crashed);
        }
        if self.may_fail(|kinds| kinds.two_desks) && self.broken(M::PostgresForgetsTheFence) {
            let entry = entry.clone();
            self.fault(Step::TwoDesks, |world| {
                world.succeed_desk();
                world.desk.superseded = Some(entry);
            });
        }
        self.go(Step::Commit, |world| *world = after);
    }

    /// One transaction.
    pub(crate) fn committed(&self, world: &mut World, entry: &Entry) {
        let mut pending =
            Pending { position: entry.number, unposted: 0, back: 0, counted: 0, uncounted: 0, ids: 0 };
        let eager = self.broken(M::PostedBeforeLoaded) && !self.from.redis.account.loaded;
        for line in &entry.lines {
            let id = usize::from(line.request);
            let Due { owed, correction, known } = self.due(line);
            let collected = world.desk.collected[id].take();
            if collected.is_some() {
                pending.ids |= 1 << id;
            }
            let taken = line.paid + collected.unwrap_or(0);
            let there = if eager { owed.max(taken) } else { taken };
            let used = there.min(owed).min(world.ledger.balance);
            let is_posted = correction || !known;
            world.ledger.balance -= used;
            pending.unposted += taken;
            pending.back += (taken - used).max(0);
            let row = world.ledger.rows[id].get_or_insert(Row {
                charge: 0,
                paid: 0,
                counted: 0,
                abandoned: line.abandoned,
                posted: 0,
                corrected: 0,
            });
            if is_posted {
                row.charge = line.charge;
                row.paid += used;
                let before = if correction { row.counted } else { 0 };
                pending.counted += line.counted - before;
                pending.uncounted += line.used - line.counted + before;
                row.counted = line.counted;
            } else {
                pending.uncounted += line.used;
            }
            row.posted += u8::from(!known);
            row.corrected += u8::from(correction);
        }
        world.ledger.position = entry.number;
        world.ledger.pending = Some(pending);
    }

    fn posted(&mut self) {
        let Some(Pending { position, unposted, back, counted, uncounted, ids }) = self.from.ledger.pending
        else {
            return;
        };
        let fence = self.from.desk.fence;
        self.call(
            Step::Posted,
            Called::Desk,
            Call::Posted { fence, position, unposted, back, counted, uncounted, ids },
            |_| (),
            |world, _| world.ledger.pending = None,
        );
    }

    /// Only in a mutation: the desk says that it has posted what it has only read.
    fn posted_early(&mut self, position: u8) {
        let entry = self.from.redis.stream[0].clone();
        let fence = self.from.desk.fence;
        let mut after = self.from.clone();
        self.committed(&mut after, &entry);
        let Some(Pending { unposted, back, counted, uncounted, ids, .. }) = after.ledger.pending else {
            return;
        };
        after.ledger.pending = None;
        self.call(
            Step::Posted,
            Called::Desk,
            Call::Posted { fence, position, unposted, back, counted, uncounted, ids },
            |_| (),
            |world, _| world.desk.superseded = Some(entry.clone()),
        );
    }

    /// Between two batches, and in an era that opens only when nobody can declare any more.
    fn may_load(&self) -> bool {
        let World { phase, redis, ledger, desk, .. } = self.from;
        !redis.account.loaded
            && ledger.pending.is_none()
            && desk.collected.iter().all(Option::is_none)
            && (*phase == Phase::Open || desk.waited)
    }

    fn read(&mut self) {
        self.go(Step::Read, |world| {
            let sequence = u8::from(world.ledger.top_up != TopUp::Expected);
            let counted = world.ledger.rows.iter().flatten().map(|row| row.counted).sum();
            world.desk.read = Some((world.ledger.balance, sequence, counted));
        });
    }

    fn load(&mut self) {
        let Some((balance, sequence, counted)) = self.from.desk.read else { return };
        let (fence, position) = (self.from.desk.fence, self.from.ledger.position);
        self.call(
            Step::Load,
            Called::Desk,
            Call::Load { fence, position, balance, sequence, counted },
            |_| (),
            |world, _| world.desk.read = None,
        );
    }

    /// Incarnations whose beat stands still.
    fn reap(&mut self) {
        if self.from.phase != Phase::Open {
            return;
        }
        for (proxy, state) in self.from.proxies.iter().enumerate() {
            let present = self.from.start(proxy);
            let young = self.broken(M::ReapedInAYoungEra) && self.from.redis.era > 1;
            let is_silent = state.life != Life::Alive || state.reach == Reach::Expired || young;
            for start in (present - state.start)..=present {
                let is_former = start != present;
                let holds = self.from.redis.holds.iter().flatten().any(|hold| hold.start == start);
                let told = &self.from.redis.starts[usize::from(start)];
                if !holds || told.dead || !(is_silent || is_former) {
                    continue;
                }
                let call = Call::Reap { fence: self.from.desk.fence, start, beat: told.beat.unwrap_or(0) };
                self.call(
                    Step::Reap(start),
                    Called::Desk,
                    call,
                    |_| (),
                    |world, _| {
                        if !young {
                            world.harm.reaped |= 1 << start;
                        }
                    },
                );
            }
        }
    }

    /// Money that arrived, and money that is to leave.
    fn tell(&mut self) {
        let fence = self.from.desk.fence;
        if self.from.ledger.top_up == TopUp::Arrived {
            let amount = self.run.scene.arrives;
            self.call(
                Step::Credit,
                Called::Desk,
                Call::Credit { fence, amount, sequence: 1 },
                |_| (),
                |world, _| world.ledger.top_up = TopUp::Told,
            );
        }
        match (self.from.ledger.withdrawal, self.from.desk.collected[REQUESTS]) {
            (Withdrawal::Requested, None) if self.from.phase == Phase::Open => {
                if self.from.redis.account.loaded {
                    self.collect(Step::Collect(REQUESTS as u8), REQUESTS as u8, self.run.scene.leaves);
                } else if self.may_load() {
                    self.read();
                }
            }
            (Withdrawal::Requested, Some(amount)) => self.go(Step::Decide, |world| {
                world.desk.collected[REQUESTS] = None;
                world.ledger.balance -= amount;
                world.ledger.withdrawn += amount;
                world.ledger.withdrawal = Withdrawal::Decided(amount);
            }),
            (Withdrawal::Decided(_), _) => self.call(
                Step::Withdrawn,
                Called::Desk,
                Call::Withdrawn { fence, back: 0 },
                |_| (),
                |world, _| world.ledger.withdrawal = Withdrawal::Finished,
            ),
            _ => (),
        }
    }
}
