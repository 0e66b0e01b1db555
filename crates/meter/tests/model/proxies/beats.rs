//! A proxy's beat: it says what its streams have produced and which holds it has, and gives a lease back.

use crate::calls::{Call, GiveBack, lease_place};
use crate::mutations::Mutation as M;
use crate::redis::Hold;
use crate::scene::REQUESTS;
use crate::steps::{Called, Step, Ways};
use crate::world::{At, Lease, Reach, World};

impl Ways<'_> {
    /// Says what streams have produced, releases what nobody knows, and gives a lease back.
    pub(super) fn beat(&mut self, proxy: usize) {
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
            .map(|(id, request)| (id, request.amount + 20))
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
        // What an old primary hears of it does not matter to anybody.
        if (is_news || releases || state.silent) && state.reach == Reach::Redis {
            self.call(Step::Beat(proxy as u8), by, beat(None), beaten, |world, answer| {
                world.proxies[proxy].silent = false;
                world.hears(proxy, answer);
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
}
