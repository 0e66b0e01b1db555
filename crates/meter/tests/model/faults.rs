//! What goes wrong, and what follows from it by itself.

use crate::calls::{Answer, Call};
use crate::mutations::Mutation as M;
use crate::redis::Redis;
use crate::scene::PROXIES;
use crate::steps::{Made, Next, Step, Ways};
use crate::world::{At, Lease, Life, Phase, Reach, World};

impl Ways<'_> {
    pub(crate) fn of_faults(&mut self) {
        self.late_calls();
        self.of_redis();
        self.of_old();
        for proxy in 0..PROXIES {
            self.of_life(proxy);
        }
        self.of_desks();
    }

    /// A call that takes effect after all. Scripts of an era that is over are not known.
    fn late_calls(&mut self) {
        for (index, late) in self.from.late.iter().enumerate() {
            let is_served = match self.from.phase {
                Phase::Gone => false,
                Phase::Opening => late.call.ends_things(),
                Phase::Open => true,
            };
            if !is_served || late.era != self.from.redis.era || self.from.doomed.is_some() {
                continue;
            }
            let mut world = self.from.clone();
            world.late.remove(index);
            let answer = world.redis.call(&late.call, self.rules());
            if let Call::Reap { start, .. } = late.call
                && answer == Answer::Done
            {
                let proxy = &world.proxies[usize::from(start / 2)];
                let lives = proxy.life == Life::Alive && proxy.reach == Reach::Redis && !proxy.silent;
                let is_new =
                    world.harm.reaped & 1 << start == 0 && start == world.start(usize::from(start / 2));
                world.harm.buried_alive |= lives && is_new;
                world.harm.reaped |= 1 << start;
            }
            let made = Some(Made { call: late.call.clone(), answer, old: false });
            self.next.push(Next { step: Step::Arrives(index as u8), world, made });
        }
    }

    fn of_redis(&mut self) {
        if let Some(then) = &self.from.doomed {
            self.go(Step::SetBack, |world| {
                world.doomed = None;
                world.redis = (**then).clone();
                world.loses_scripts();
            });
            if self.run.kinds.promoted {
                self.promote(|world| world.redis = (**then).clone());
            }
        }
        if self.from.phase == Phase::Gone {
            return;
        }
        if self.may_fail(|kinds| kinds.wiped) {
            self.fault(Step::Wiped, |world| {
                world.loses_scripts();
                let limit = world.redis.counter.limit;
                world.redis = Redis { era: world.redis.era, ..Redis::default() };
                world.redis.counter.limit = limit;
            });
        }
        if self.may_fail(|kinds| kinds.promoted) && self.from.old.is_none() {
            self.promote(|world| world.harm.faults += 1);
        }
    }

    /// A replica becomes the primary; some proxies still speak to the old one.
    fn promote(&mut self, change: impl Fn(&mut World)) {
        for behind in [1_u8, 2] {
            let lives = |proxy: usize| {
                let state = &self.from.proxies[proxy];
                state.life == Life::Alive && state.reach == Reach::Redis
            };
            if (0..PROXIES).any(|proxy| behind & 1 << proxy != 0 && !lives(proxy)) {
                continue;
            }
            self.go(Step::Promoted(behind), |world| {
                world.old = Some(Box::new(world.redis.clone()));
                world.doomed = None;
                change(world);
                world.loses_scripts();
                for proxy in (0..PROXIES).filter(|proxy| behind & 1 << proxy != 0) {
                    world.proxies[proxy].reach = Reach::Old;
                }
            });
        }
    }

    /// It has no replica any more and stops taking writes, or its proxies hear of the new era.
    fn of_old(&mut self) {
        let keeps_sent = self.broken(M::SentAcrossEras);
        if self.from.old.is_some() {
            self.go(Step::OldStops, |world| {
                world.old = None;
                for proxy in 0..PROXIES {
                    if world.proxies[proxy].reach == Reach::Old {
                        world.proxies[proxy].reach = Reach::Redis;
                        world.notice_if_open(proxy, keeps_sent);
                    }
                }
            });
        }
    }

    fn of_life(&mut self, proxy: usize) {
        let state = &self.from.proxies[proxy];
        let (name, keeps_sent) = (proxy as u8, self.broken(M::SentAcrossEras));
        if state.life != Life::Alive {
            return;
        }
        match state.reach {
            Reach::None | Reach::Expired => {
                if state.reach == Reach::None {
                    self.go(Step::Expired(name), |world| world.proxies[proxy].reach = Reach::Expired);
                }
                self.go(Step::Reconnects(name), |world| {
                    world.proxies[proxy].reach = Reach::Redis;
                    world.proxies[proxy].silent = true;
                    world.notice_if_open(proxy, keeps_sent);
                });
            }
            Reach::Redis | Reach::Old => {
                if self.may_fail(|kinds| kinds.cut_off) && state.reach == Reach::Redis {
                    self.fault(Step::CutOff(name), |world| world.proxies[proxy].reach = Reach::None);
                }
                if self.may_fail(|kinds| kinds.killed) && state.start == 0 {
                    self.fault(Step::Killed(name), |world| world.kill(proxy, Life::Lost));
                    self.fault(Step::KilledWithSpool(name), |world| world.kill(proxy, Life::Down));
                }
            }
        }
    }

    fn of_desks(&mut self) {
        if let Some(entry) = &self.from.desk.superseded {
            let mut after = self.from.clone();
            self.committed(&mut after, entry);
            after.desk.superseded = None;
            if self.broken(M::AcknowledgedBeforeCommit) {
                after.ledger.pending = self.from.ledger.pending;
            }
            self.go(Step::Superseded, |world| *world = after);
        }
        let memory = &self.from.desk;
        let remembers = memory.read.is_some()
            || memory.collected.iter().any(Option::is_some)
            || memory.superseded.is_some();
        if remembers && self.may_fail(|kinds| kinds.desk_crash) {
            self.fault(Step::DeskCrash, |world| {
                world.succeed_desk();
                world.desk.superseded = None;
                if world.phase == Phase::Opening {
                    world.loses_scripts();
                }
            });
        }
    }
}

impl World {
    /// What the desk knew until now is what it can wait for.
    fn loses_scripts(&mut self) {
        self.phase = Phase::Gone;
        self.desk.known |= self.watched();
        self.desk.read = None;
        self.desk.collected = Default::default();
        self.desk.waited = false;
        self.ledger.pending = None;
    }

    fn notice_if_open(&mut self, proxy: usize, keeps_sent: bool) {
        if self.phase != Phase::Gone {
            self.notice(proxy, keeps_sent);
        }
    }

    fn kill(&mut self, proxy: usize, life: Life) {
        let state = &mut self.proxies[proxy];
        (state.life, state.reach, state.lease) = (life, Reach::Redis, Lease::Over);
        for request in self.requests.iter_mut().filter(|request| request.proxy == proxy as u8) {
            request.at = match request.at {
                At::Idle => At::Refused,
                At::Asked | At::Held | At::Closed | At::Sent(_) if life == Life::Lost => At::Lost,
                at => at,
            };
        }
    }
}
