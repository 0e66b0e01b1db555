//! What Redis is asked for a request, and what becomes of its answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use model::Nanos;
use model::limits::Counter;
use model::usage::Measure;
use uuid::Uuid;

use super::OpenRecord;
use crate::claim::{Claim, Denied, Standing, reasons};
use crate::held::{Held, Part, Phase, SetAside, State};
use crate::holder::Answer;
use crate::protocol::calls::{self, GrantedPart, More, MorePart, Wanted, WantedPart};
use crate::spool::with_hold;

/// How long a request waits for an account to be loaded, for leases to be given back or for a new era.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often it asks.
const AGAIN: Duration = Duration::from_millis(15);
/// How often a request that is denied asks again because others of this process have ended meanwhile.
const CHANCES: u32 = 8;

/// How often a request may still ask again after a denial, and what had been given back when it asked.
struct Chance {
    left: u32,
    given_back: u64,
}

impl OpenRecord {
    pub(super) async fn ask(&mut self, held: &Held, claim: &Claim) -> Result<Standing, Denied> {
        let shared = Arc::clone(self.meter.shared());
        let shard = self.account.shard();
        let counters: Arc<[Counter]> = claim.counters.iter().map(|(counter, _)| counter.clone()).collect();
        let patience = Instant::now() + PATIENCE;
        let mut chance = Chance { left: CHANCES, given_back: 0 };
        let denied = loop {
            chance.given_back = shared.given_back(shard);
            if claim.on_credits && shared.is_redis_full() {
                break Denied::Unavailable { reason: reasons::FULL };
            }
            let incarnation = shared.incarnations.present();
            let wanted = self.wanted(held, claim, incarnation, &counters);
            let (reason, is_urgent) = match shared.holder.hold(shard, incarnation, wanted).await {
                Answer::Held(calls::Held::Granted { parts, .. }, era) => {
                    let mut state = held.state();
                    // An era that began before this was asked knows nothing of it, and needs not; with one that
                    // has begun since, what was granted is over.
                    if state.phase == Phase::Gone && shared.eras.number(shard) != Some(era) {
                        return Err(Denied::Unavailable { reason: reasons::NEW_ERA });
                    }
                    state.phase = Phase::Taken { era };
                    state.learn(&parts);
                    return Ok(Standing { remaining: parts.iter().map(|part| part.remaining).collect() });
                }
                Answer::Held(calls::Held::Credits { free }, _) => {
                    let denied = Denied::Credits { free, needed: claim.amount };
                    match self.confirm(denied, &counters, &mut chance).await {
                        Ok(()) => continue,
                        Err(denied) => break denied,
                    }
                }
                Answer::Held(calls::Held::Limit { index, remaining, retry_after }, _) => {
                    let denied = Denied::Limit { index, remaining, retry_after };
                    match self.confirm(denied, &counters, &mut chance).await {
                        Ok(()) => continue,
                        Err(denied) => break denied,
                    }
                }
                // Whether it was done will be found out by whoever closes the record.
                Answer::Silent => return Err(Denied::Unavailable { reason: reasons::SILENT }),
                Answer::NoEra => (reasons::NEW_ERA, false),
                Answer::Held(calls::Held::Cold, _) => (reasons::LOADING, false),
                Answer::Held(calls::Held::Wait, _) => (reasons::RECALLING, false),
                Answer::Held(calls::Held::Dead, _) => {
                    shared.is_dead(shard, incarnation);
                    (reasons::NEW_ERA, true)
                }
                Answer::Held(calls::Held::Small | calls::Held::Gone, _) => (reasons::GONE, false),
            };
            if Instant::now() > patience {
                break Denied::Unavailable { reason };
            }
            if !is_urgent {
                tokio::time::sleep(AGAIN).await;
            }
        };
        // Redis has said no: there is nothing to be released.
        held.state().phase = Phase::Gone;
        shared.holds.remove(shard, self.record);
        self.held = None;
        Err(denied)
    }

    /// Whether a denial stands, or it is worth asking again: nobody is denied what requests of this
    /// process that are over have not given back yet. They are a moment behind, so this takes a moment.
    async fn confirm(&self, denied: Denied, counters: &[Counter], chance: &mut Chance) -> Result<(), Denied> {
        let gives_back = match &denied {
            Denied::Credits { .. } => true,
            Denied::Limit { index, .. } => {
                counters.get(*index).is_some_and(|counter| counter.measure != Measure::Requests)
            }
            _ => false,
        };
        if !gives_back || chance.left == 0 {
            return Err(denied);
        }
        chance.left -= 1;
        let given_back = self.meter.shared().gives_back(self.account.shard(), chance.given_back);
        match tokio::time::timeout(PATIENCE, given_back).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(denied),
            Err(_) => Err(Denied::Unavailable { reason: reasons::UNSETTLED }),
        }
    }

    pub(super) async fn ask_more(&self, held: &Held, more: Nanos, counters: &[i64]) -> Result<(), Denied> {
        let shared = self.meter.shared();
        let shard = self.account.shard();
        let patience = Instant::now() + PATIENCE;
        let needed = held.state().aside.amount + more;
        let denied = |reason| Err(Denied::Unavailable { reason });
        let was_unheard = held.state().may_be_carved;
        let limits = Arc::clone(&held.state().aside.counters);
        let mut chance = Chance { left: CHANCES, given_back: 0 };
        loop {
            chance.given_back = shared.given_back(shard);
            let Some((incarnation, asked, era)) = self.more(held, needed, counters) else {
                return denied(reasons::NEW_ERA);
            };
            let (lease, batch) = (asked.lease.map(|(lease, _)| lease), asked.batch);
            let reason = match shared.holder.extend(shard, incarnation, asked).await {
                Answer::Held(calls::Held::Granted { amount, parts }, _) => {
                    match self.grown(held, era, lease, amount, &parts) {
                        Ok(()) if amount >= needed => return Ok(()),
                        // An earlier step, whose answer was not heard, had asked for less.
                        Ok(()) => continue,
                        Err(reason) => return denied(reason),
                    }
                }
                Answer::Silent => {
                    if let Some(lease) = lease {
                        // What it has left is not known any more.
                        shared.leases.close(shard, lease);
                    }
                    return denied(reasons::SILENT);
                }
                // Another batch was settled meanwhile.
                Answer::Held(calls::Held::Gone, _)
                    if shared.next_batch(shard) > batch && Instant::now() < patience =>
                {
                    continue;
                }
                Answer::Held(no, _) => {
                    if !was_unheard {
                        held.state().may_be_carved = false;
                    }
                    match no {
                        calls::Held::Credits { free } => {
                            let denied = Denied::Credits { free, needed: more };
                            self.confirm(denied, &limits, &mut chance).await?;
                            continue;
                        }
                        calls::Held::Limit { index, remaining, retry_after } => {
                            let denied = Denied::Limit { index, remaining, retry_after };
                            self.confirm(denied, &limits, &mut chance).await?;
                            continue;
                        }
                        calls::Held::Cold => reasons::LOADING,
                        calls::Held::Wait => reasons::RECALLING,
                        calls::Held::Dead => {
                            shared.is_dead(shard, incarnation);
                            return denied(reasons::GONE);
                        }
                        _ => return denied(reasons::GONE),
                    }
                }
                Answer::NoEra => reasons::NEW_ERA,
            };
            if Instant::now() > patience {
                return denied(reason);
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// What Redis is asked for, written down here first.
    fn wanted(&self, held: &Held, claim: &Claim, incarnation: Uuid, counters: &Arc<[Counter]>) -> Wanted {
        let mut state = held.state();
        state.phase = Phase::Asked;
        state.aside.incarnation = incarnation;
        state.aside.counters = Arc::clone(counters);
        let part = |(counter, amount): &(Counter, i64)| Part {
            window: 0,
            amount: *amount,
            floor: self.floor(counter, *amount),
        };
        state.aside.parts = claim.counters.iter().map(part).collect();
        let wanted = claim.counters.iter().zip(&state.aside.parts);
        Wanted {
            id: self.record,
            is_lease: false,
            account: self.account,
            needs: claim.needs(),
            amount: claim.amount,
            least: Nanos::ZERO,
            floor: claim.floor,
            counters: wanted
                .map(|((counter, amount), part)| WantedPart {
                    counter: counter.clone(),
                    amount: *amount,
                    floor: part.floor,
                })
                .collect(),
            record: with_hold(&state.opened, &state.aside),
        }
    }

    /// The next step of its extensions, and in which era; nothing if there is nothing to be extended.
    fn more(&self, held: &Held, needed: Nanos, counters: &[i64]) -> Option<(Uuid, More, u64)> {
        let mut state = held.state();
        let Phase::Taken { era } = state.phase else { return None };
        let lease = held.lease(&state);
        state.may_be_carved |= lease.is_some();
        let State { aside, needs, opened, step, reported, .. } = &*state;
        let own = SetAside { id: self.record, ..aside.clone() };
        let parts = aside.counters.iter().zip(&aside.parts).zip(counters);
        let more = More {
            batch: self.meter.shared().next_batch(self.account.shard()),
            id: self.record,
            step: step + 1,
            account: self.account,
            needs: *needs,
            more: needed - aside.amount,
            reported: *reported,
            lease: lease.map(|lease| (lease, aside.amount)),
            floor: aside.floor,
            record: lease.map(|_| with_hold(opened, &own)).unwrap_or_default(),
            counters: parts
                .map(|((counter, part), more)| MorePart {
                    counter: counter.clone(),
                    window: part.window,
                    more: *more,
                    part: part.amount,
                    floor: part.floor,
                })
                .collect(),
        };
        Some((aside.incarnation, more, era))
    }

    /// Redis has done a step, in the era in which it was asked.
    fn grown(
        &self,
        held: &Held,
        era: u64,
        lease: Option<Uuid>,
        amount: Nanos,
        parts: &[GrantedPart],
    ) -> Result<(), &'static str> {
        let mut state = held.state();
        if state.phase != (Phase::Taken { era }) {
            return Err(reasons::NEW_ERA);
        }
        if let Some(lease) = lease {
            let (leases, shard) = (&self.meter.shared().leases, self.account.shard());
            leases.over(shard, &state.aside, None);
            leases.settled(shard, lease, 1);
            state.aside.id = self.record;
            state.may_be_carved = false;
        }
        state.step += 1;
        state.aside.amount = amount;
        state.learn(parts);
        Ok(())
    }
}
