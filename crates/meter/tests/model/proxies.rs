//! What proxies do.

use crate::calls::{Answer, Call, Declared, GiveBack, Settled, lease_place};
use crate::mutations::Mutation as M;
use crate::redis::Hold;
use crate::scene::{Money, PROXIES, Plan, REQUESTS};
use crate::steps::{Called, Step, Ways};
use crate::world::{At, Lease, Life, Phase, Proxy, Reach, Request, World};

impl Ways<'_> {
    pub fn of_proxies(&mut self) {
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
            Lease::Never | Lease::Asked if plan.leased => {
                if may_hold {
                    self.take_lease(proxy);
                }
            }
            Lease::Open(credits, reserved)
                if plan.leased
                    && credits >= plan.amount
                    && (self.run.scene.limit.is_none() || reserved >= plan.amount)
                    && (state.reach != Reach::Expired || self.broken(M::LeaseSpentTooLong)) =>
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
                world.proxies[proxy].dead |= answer == Answer::Dead;
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
                world.proxies[proxy].dead |= answer == Answer::Dead;
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

    /// Unacknowledged records go first, so that the desk has them before the era is open.
    fn declare(&mut self, proxy: usize) {
        let state = &self.from.proxies[proxy];
        let is_first = self.closed(proxy) != 0 || state.flight != 0;
        if state.declared || is_first && !self.broken(M::DeclaredBeforeSendingAgain) {
            return;
        }
        let plans = self.run.scene.requests;
        let start = self.from.start(proxy);
        let held = self.members(self.of(proxy, |request| request.at == At::Held));
        let holds = held
            .filter(|(_, request)| !(request.part && self.broken(M::PartsNotDeclared)))
            .map(|(id, Request { amount, step, .. })| Declared {
                request: id,
                amount,
                floor: plans[usize::from(id)].floor,
                step,
            })
            .collect();
        self.call(
            Step::Declare(proxy as u8),
            Called::Proxy(proxy as u8),
            Call::Declare { start, holds },
            |_| (),
            |world, answer| {
                world.proxies[proxy].declared = true;
                world.proxies[proxy].dead |= answer == Answer::Dead;
            },
        );
    }

    /// Says what streams have produced, releases what nobody knows, and gives a lease back.
    fn beat(&mut self, proxy: usize) {
        let state = &self.from.proxies[proxy];
        let Some(redis) = self.reached(proxy) else { return };
        let start = self.from.start(proxy);
        if state.dead {
            return;
        }
        let lease_is_known = matches!(state.lease, Lease::Open(..) | Lease::Asked | Lease::Closed);
        let in_use = self.of(proxy, |request| {
            request.start == start && matches!(request.at, At::Asked | At::Held | At::Closed)
        });
        let names = in_use | if lease_is_known { 1 << REQUESTS } else { 0 };
        let reports: Vec<_> = self
            .members(in_use)
            .filter(|(id, request)| {
                request.at == At::Held && !request.part && self.run.scene.requests[usize::from(*id)].more > 0
            })
            .map(|(id, request)| (id, request.amount / 2))
            .collect();
        let number = state.beats + 1;
        let is_news = reports.iter().any(|&(id, reported)| {
            redis.holds[usize::from(id)].is_some_and(|hold| hold.start == start && hold.reported < reported)
        });
        let is_orphan = |(place, hold): (usize, &Option<Hold>)| {
            let bit = if place == lease_place(start) { REQUESTS } else { place };
            hold.is_some_and(|hold| hold.start == start) && names & 1 << bit == 0
        };
        let releases = redis.holds.iter().enumerate().any(is_orphan)
            || self.broken(M::NamedHoldsReleased) && in_use != 0 && state.beats == 0;
        let beat = |lease| Call::Beat { start, number, reports: reports.clone(), lease, names };
        let by = Called::Proxy(proxy as u8);
        let beaten = |world: &mut World| world.proxies[proxy].beats = number;
        if is_news || releases || state.silent {
            self.call(Step::Beat(proxy as u8), by, beat(None), beaten, |world, answer| {
                world.proxies[proxy].silent = false;
                world.proxies[proxy].dead |= answer == Answer::Dead;
            });
        }
        let has_parts = self.of(proxy, |request| {
            request.part && request.start == start && matches!(request.at, At::Held | At::Closed)
        }) != 0;
        let comes_more = self.of(proxy, |request| request.at == At::Idle) & self.leased_plans() != 0;
        let is_wanted = comes_more && !redis.account.recall;
        let repeats = self.broken(M::GivenBackTwice);
        match state.lease {
            Lease::Open(credits, reserved) if !is_wanted => {
                let given = GiveBack { credits, reserved, ends: !has_parts };
                // Taken off here when it is sent: it is never given back under another number.
                let sent = |world: &mut World| {
                    beaten(world);
                    if !repeats {
                        world.proxies[proxy].lease = Lease::Closed;
                    }
                };
                self.call(Step::GiveBack(proxy as u8), by, beat(Some(given)), sent, |world, _| {
                    world.proxies[proxy].lease = if has_parts { Lease::Closed } else { Lease::Over };
                });
            }
            Lease::Closed if !has_parts => {
                let given = GiveBack { credits: 0, reserved: 0, ends: true };
                self.call(Step::GiveBack(proxy as u8), by, beat(Some(given)), beaten, |world, _| {
                    world.proxies[proxy].lease = Lease::Over;
                });
            }
            _ => (),
        }
    }

    fn leased_plans(&self) -> u8 {
        let plans = self.run.scene.requests.iter().enumerate();
        plans.filter(|(_, plan)| plan.leased).fold(0, |members, (id, _)| members | 1 << id)
    }

    /// A start on the spool of one that was killed. What was open ends as the spool has it: not yet
    /// dispatched (nothing is due), under way (its input), or closed with what it cost.
    fn restart(&mut self, proxy: usize) {
        let open = self.of(proxy, |request| matches!(request.at, At::Held | At::Asked));
        let ways = 3_u8.pow(open.count_ones());
        for way in 0..ways {
            self.go(Step::Restart(proxy as u8, way), |world| {
                let mut rest = way;
                for id in (0..REQUESTS).filter(|id| open & 1 << id != 0) {
                    let plan = &self.run.scene.requests[id];
                    let request = &mut world.requests[id];
                    let charge = match rest % 3 {
                        0 => 0,
                        1 => plan.floor,
                        _ if plan.more > 0 && request.step == 0 => request.amount.min(plan.cost),
                        _ => plan.cost,
                    };
                    request.abandoned = rest % 3 == 1;
                    request.close(charge);
                    rest /= 3;
                }
                world.restarted(proxy);
            });
        }
    }

    /// Nobody asked a provider for what is left of the holds of the start before.
    fn bury(&mut self, proxy: usize) {
        let state = &self.from.proxies[proxy];
        let unsent = self.of(proxy, |request| matches!(request.at, At::Closed)) | state.flight;
        if state.start == 0 || state.buried || unsent != 0 {
            return;
        }
        let start = self.from.start(proxy) - 1;
        self.call(
            Step::Bury(proxy as u8),
            Called::Proxy(proxy as u8),
            Call::Bury { start },
            |_| (),
            |world, _| world.proxies[proxy].buried = true,
        );
    }
}

impl Request {
    pub fn close(&mut self, charge: Money) {
        self.at = At::Closed;
        self.charge = charge;
    }

    fn settled(self, id: u8) -> Settled {
        let Self { start, charge, abandoned, amount, part, .. } = self;
        Settled { request: id, start, charge, part: part.then_some(amount), abandoned }
    }
}

impl World {
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
        for (id, request) in self.requests.iter_mut().enumerate().filter(|(id, _)| members & 1 << id != 0) {
            let _ = id;
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

    fn restarted(&mut self, proxy: usize) {
        let reach = Reach::Redis;
        let era = self.redis.era;
        let declared = self.phase == Phase::Open;
        self.proxies[proxy] =
            Proxy { start: 1, reach, era, declared, lease: Lease::Over, ..Proxy::default() };
        self.unsend(proxy, true);
    }

    /// The era that a proxy knew is over. Its lease is, too: what requests have of it is their own.
    pub fn notice(&mut self, proxy: usize, keeps_sent: bool) {
        let state = &mut self.proxies[proxy];
        if state.era == self.redis.era || state.life != Life::Alive {
            return;
        }
        state.era = self.redis.era;
        (state.declared, state.dead, state.settled, state.flight, state.beats) = (false, false, 0, 0, 0);
        state.lease = Lease::Over;
        self.unsend(proxy, !keeps_sent);
    }

    fn unsend(&mut self, proxy: usize, again: bool) {
        for id in 0..REQUESTS {
            let request = &mut self.requests[id];
            if request.proxy != proxy as u8 {
                continue;
            }
            match request.at {
                At::Sent(_) if again => request.at = At::Closed,
                At::Asked => request.close(0),
                At::Held => request.part = false,
                _ => (),
            }
        }
    }
}
