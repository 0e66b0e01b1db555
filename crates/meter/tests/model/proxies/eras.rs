//! What a proxy does in a new era, and what a start does with the spool of the one before.

use crate::calls::{Call, Declared};
use crate::mutations::Mutation as M;
use crate::scene::REQUESTS;
use crate::steps::{Called, Step, Ways};
use crate::world::{At, Lease, Life, Phase, Proxy, Reach, Request, World};

impl Ways<'_> {
    /// Unacknowledged records go first, so that the desk has them before the era is open.
    pub(super) fn declare(&mut self, proxy: usize) {
        let state = &self.from.proxies[proxy];
        let is_first = self.closed(proxy) != 0 || state.flight != 0;
        if state.declared || is_first && !self.broken(M::DeclaredBeforeSendingAgain) {
            return;
        }
        let plans = self.run.scene.requests;
        let start = self.from.start(proxy);
        let held = self.members(self.of(proxy, |request| request.at == At::Held));
        let holds = held
            .filter(|(id, request)| {
                let was_part = plans[usize::from(*id)].leased && request.step == 0;
                !(was_part && self.broken(M::PartsNotDeclared))
            })
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
                world.hears(proxy, answer);
            },
        );
    }

    /// A start on the spool of one that was killed. What was open ends as the spool has it: not yet
    /// dispatched (nothing is due), under way (its input), or closed with what it cost.
    pub(super) fn restart(&mut self, proxy: usize) {
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
    pub(super) fn bury(&mut self, proxy: usize) {
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

impl World {
    fn restarted(&mut self, proxy: usize) {
        let reach = Reach::Redis;
        let era = self.redis.era;
        let declared = self.phase == Phase::Open;
        self.proxies[proxy] =
            Proxy { start: 1, reach, era, declared, lease: Lease::Over, ..Proxy::default() };
        self.unsend(proxy, true);
    }

    /// The era that a proxy knew is over. Its lease is, too: what requests have of it is their own.
    pub(crate) fn notice(&mut self, proxy: usize, keeps_sent: bool) {
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
