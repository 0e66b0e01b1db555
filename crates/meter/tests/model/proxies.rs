//! What proxies do.

mod beats;
mod eras;

use crate::calls::{Answer, Call, Settled};
use crate::mutations::Mutation as M;
use crate::scene::{Money, PROXIES, Plan, REQUESTS};
use crate::steps::{Called, Step, Ways};
use crate::world::{At, Lease, Life, Reach, Request, World};

impl Ways<'_> {
    pub(crate) fn of_proxies(&mut self) {
        for proxy in 0..PROXIES {
            match self.from.proxies[proxy].life {
                Life::Alive => self.of_proxy(proxy),
                Life::Down => self.restart(proxy),
                Life::Lost => (),
            }
        }
    }

    fn of_proxy(&mut self, proxy: usize) {
        let reached = self.reached(proxy);
        let state = &self.from.proxies[proxy];
        let is_told = reached.is_some_and(|redis| redis.era == state.era);
        for (id, plan) in
            self.run.scene.requests.iter().enumerate().filter(|(_, plan)| plan.proxy == proxy as u8)
        {
            match self.from.requests[id].at {
                At::Idle => self.begin(proxy, id as u8, plan, is_told && state.declared),
                At::Asked => {
                    if is_told && state.declared {
                        self.hold(proxy, id as u8, plan);
                    }
                    // The caller is told 503; his record says that nothing is due.
                    self.go(Step::GiveUp(id as u8), |world| world.requests[id].close(0));
                }
                At::Held => self.carry_out(proxy, id as u8, plan, is_told && state.declared),
                _ => (),
            }
        }
        if is_told {
            self.settle(proxy);
            self.acknowledge(proxy);
            self.declare(proxy);
            self.beat(proxy);
            self.bury(proxy);
        }
    }

    fn begin(&mut self, proxy: usize, id: u8, plan: &Plan, may_hold: bool) {
        let state = &self.from.proxies[proxy];
        match state.lease {
            Lease::Never | Lease::Asked if plan.leased && may_hold => self.take_lease(proxy),
            Lease::Never | Lease::Asked if plan.leased => (),
            Lease::Open(credits, reserved)
                if plan.leased
                    && credits >= plan.amount
                    && (self.run.scene.limit.is_none() || reserved >= plan.amount)
                    && (state.reach != Reach::Expired && !state.silent
                        || self.broken(M::LeaseSpentTooLong)) =>
            {
                self.go(Step::TakePart(id), |world| {
                    world.take_part(proxy, id, plan);
                });
            }
            _ if may_hold => self.hold(proxy, id, plan),
            _ => (),
        }
    }

    fn take_lease(&mut self, proxy: usize) {
        let start = self.from.start(proxy);
        self.call(
            Step::TakeLease(proxy as u8),
            Called::Proxy(proxy as u8),
            Call::Lease { start, amount: 16, least: 8 },
            |world| world.proxies[proxy].lease = Lease::Asked,
            |world, answer| {
                world.proxies[proxy].lease = match answer {
                    Answer::Granted(credits, reserved) => Lease::Open(credits, reserved),
                    Answer::Cold => Lease::Never,
                    _ => Lease::Over,
                };
                world.hears(proxy, answer);
            },
        );
    }

    fn hold(&mut self, proxy: usize, id: u8, plan: &Plan) {
        let start = self.from.start(proxy);
        let &Plan { amount, floor, .. } = plan;
        self.call(
            Step::Hold(id),
            Called::Proxy(proxy as u8),
            Call::Hold { start, request: id, amount, floor },
            |world| world.requests[usize::from(id)].at = At::Asked,
            |world, answer| {
                let request = &mut world.requests[usize::from(id)];
                request.at = match answer {
                    Answer::Granted(..) => At::Held,
                    Answer::Cold | Answer::Wait => At::Idle,
                    _ => At::Refused,
                };
                (request.start, request.amount, request.part) = (start, amount, false);
                world.refused(proxy, answer, amount);
                world.hears(proxy, answer);
            },
        );
    }

    /// The provider answers; a stream may ask for more first.
    fn carry_out(&mut self, proxy: usize, id: u8, plan: &Plan, may_ask: bool) {
        let request = self.from.requests[usize::from(id)];
        let streams = plan.more > 0 && request.step == 0;
        if streams && may_ask {
            let (start, floor) = (self.from.start(proxy), plan.floor);
            let (more, reported) = (plan.more, request.amount);
            let carve = request.part.then_some(request.amount);
            let next = self.from.proxies[proxy].settled + 1;
            self.call(
                Step::Extend(id),
                Called::Proxy(proxy as u8),
                Call::Extend { start, request: id, more, reported, carve, floor, next },
                |_| (),
                |world, answer| {
                    let request = &mut world.requests[usize::from(id)];
                    match answer {
                        Answer::Granted(amount, _) => {
                            (request.amount, request.part, request.step) = (amount, false, 1)
                        }
                        Answer::Cold | Answer::Wait => (),
                        // It ends with its hold, at length.
                        _ => request.close(request.amount.min(plan.cost)),
                    }
                    world.refused(proxy, answer, more);
                },
            );
        }
        if streams {
            self.go(Step::CloseShort(id), |world| {
                let request = &mut world.requests[usize::from(id)];
                request.close(request.amount.min(plan.cost));
            });
        } else {
            self.go(Step::Close(id), |world| world.requests[usize::from(id)].close(plan.cost));
        }
    }

    /// A batch of all that is closed; one that was not answered is sent again as it was.
    fn settle(&mut self, proxy: usize) {
        let state = &self.from.proxies[proxy];
        let members = match state.flight {
            0 => self.closed(proxy),
            flight => flight,
        };
        if members == 0 {
            return;
        }
        let records = self.members(members).map(|(id, request)| request.settled(id)).collect();
        let number = state.settled + 1;
        let frees = self.broken(M::SpoolFreedWhenSent);
        self.call(
            Step::Settle(proxy as u8),
            Called::Proxy(proxy as u8),
            Call::Settle { start: self.from.start(proxy), number, records },
            |world| world.proxies[proxy].flight = members,
            |world, answer| {
                if let Answer::Entry(entry) = answer {
                    world.settled(proxy, members, entry);
                    if frees {
                        world.acknowledged(members);
                    }
                }
            },
        );
    }

    fn members(&self, members: u8) -> impl Iterator<Item = (u8, Request)> {
        let requests = self.from.requests;
        (0..REQUESTS as u8)
            .filter(move |id| members & 1 << id != 0)
            .map(move |id| (id, requests[usize::from(id)]))
    }

    fn of(&self, proxy: usize, is: impl Fn(&Request) -> bool) -> u8 {
        let plans = self.run.scene.requests.iter().enumerate();
        plans
            .filter(|(id, plan)| plan.proxy == proxy as u8 && is(&self.from.requests[*id]))
            .fold(0, |members, (id, _)| members | 1 << id)
    }

    fn closed(&self, proxy: usize) -> u8 {
        self.of(proxy, |request| request.at == At::Closed)
    }

    /// The posted position has passed these.
    fn acknowledge(&mut self, proxy: usize) {
        let Some(posted) = self.reached(proxy).map(|redis| redis.posted) else { return };
        let passed = self.of(proxy, |request| matches!(request.at, At::Sent(entry) if entry <= posted));
        if passed != 0 {
            self.go(Step::Acknowledge(proxy as u8), |world| world.acknowledged(passed));
        }
    }
}

impl Request {
    pub(crate) fn close(&mut self, charge: Money) {
        self.at = At::Closed;
        self.charge = charge;
    }

    fn settled(self, id: u8) -> Settled {
        let Self { start, charge, abandoned, amount, part, .. } = self;
        Settled { request: id, start, charge, part: part.then_some(amount), abandoned }
    }
}

impl World {
    /// Who is told that his start holds no more spends nothing of its lease.
    fn hears(&mut self, proxy: usize, answer: Answer) {
        if answer == Answer::Dead {
            self.proxies[proxy].dead = true;
            self.proxies[proxy].lease = Lease::Over;
        }
    }

    /// Notes a refusal that leases could have prevented.
    fn refused(&mut self, proxy: usize, answer: Answer, amount: Money) {
        if self.proxies[proxy].reach == Reach::Old {
            return;
        }
        let (account, counter) = (&self.redis.account, &self.redis.counter);
        self.harm.refused_what_was_leased |= match answer {
            Answer::NoCredits => account.free + account.leased >= amount,
            Answer::NoLimit => {
                counter.limit.is_some_and(|limit| counter.used - counter.leased + amount <= limit)
            }
            _ => false,
        };
    }

    fn take_part(&mut self, proxy: usize, id: u8, plan: &Plan) {
        let start = self.start(proxy);
        self.harm.spent_too_long |= self.harm.reaped & 1 << start != 0;
        let Lease::Open(credits, reserved) = &mut self.proxies[proxy].lease else { return };
        *credits -= plan.amount;
        *reserved -= plan.amount.min(*reserved);
        let request = &mut self.requests[usize::from(id)];
        (request.at, request.start, request.amount, request.part) = (At::Held, start, plan.amount, true);
    }

    /// A batch was answered: what it left of the parts is the lease's again.
    fn settled(&mut self, proxy: usize, members: u8, entry: u8) {
        let state = &mut self.proxies[proxy];
        state.settled += 1;
        state.flight = 0;
        for (_, request) in self.requests.iter_mut().enumerate().filter(|(id, _)| members & 1 << id != 0) {
            request.at = At::Sent(entry);
            if request.part
                && let Lease::Open(credits, reserved) = &mut state.lease
            {
                let rest = request.amount - request.charge.min(request.amount);
                *credits += rest;
                if *reserved > 0 || rest > 0 {
                    *reserved += rest;
                }
            }
        }
    }

    fn acknowledged(&mut self, members: u8) {
        for (_, request) in self.requests.iter_mut().enumerate().filter(|(id, _)| members & 1 << id != 0) {
            request.at = At::Acknowledged;
        }
    }
}
