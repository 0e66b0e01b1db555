//! A request under way: opened in the spool, with what is set aside for it, until it is closed.

use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use model::limits::Counter;
use model::usage::{Measure, Outcome, UsageRecord};
use model::{AccountId, Nanos};
use process::failpoint;
use uuid::Uuid;

use crate::claim::{Claim, Denied, Standing, reasons};
use crate::desk::measured;
use crate::held::{Held, Part, Phase, SetAside, State};
use crate::holder::Answer;
use crate::leases::Taken;
use crate::meter::Meter;
use crate::protocol::calls::{self, GrantedPart, More, MorePart, Wanted, WantedPart};
use crate::settlement::{Closed, Settlement};
use crate::spool::{Slot, with_hold, without_use};

/// How long a request waits for an account to be loaded, for leases to be given back or for a new era.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often it asks.
const AGAIN: Duration = Duration::from_millis(15);
/// How often a request that is denied asks again because others of this process have ended meanwhile.
const CHANCES: u32 = 8;

/// A request under way, already in the spool.
#[must_use = "a record that is not closed ends as abandoned"]
pub struct OpenRecord {
    meter: Meter,
    record: Uuid,
    account: AccountId,
    slot: Option<Slot>,
    /// What it counts at least, as it was opened: its cost and its tokens.
    least: (i64, i64),
    held: Option<Arc<Held>>,
    is_dispatched: bool,
}

impl OpenRecord {
    pub(crate) fn new(meter: Meter, record: &UsageRecord, slot: Slot) -> Self {
        let least = (measured(Measure::Spend, record), measured(Measure::Tokens, record));
        let UsageRecord { id, account, .. } = *record;
        Self { meter, record: id, account, slot: Some(slot), least, held: None, is_dispatched: false }
    }

    /// Sets aside what the request may come to, before its provider is called. What a lease of this
    /// process covers is there at once; else Redis is asked. After a denial another claim may be tried.
    pub async fn hold(&mut self, claim: &Claim) -> Result<Standing, Denied> {
        if claim.is_empty() {
            return Ok(Standing::default());
        }
        if self.held.is_some() {
            return Err(Denied::Unavailable { reason: reasons::SILENT });
        }
        let now = Instant::now();
        // In the list before anything is taken: a new era that opens now finds it or is found by it.
        let held = self.begin(claim);
        let shared = self.meter.shared();
        let (taken, lease) = shared.leases.take(self.account, claim, now, || shared.incarnations.present());
        if let Some(lease) = lease {
            shared.holder.ask_lease(lease);
        }
        if let Some(taken) = taken
            && let Some(standing) = self.lives_on(&held, taken)
        {
            failpoint("held");
            return Ok(standing);
        }
        let standing = self.ask(&held, claim).await?;
        failpoint("held");
        Ok(standing)
    }

    /// Sets more aside for a request whose answer grows: money, and of each limit in the order of the
    /// claim. `reported` is what has been produced so far, in the claim's money.
    pub async fn extend(&mut self, more: Nanos, counters: &[i64], reported: Nanos) -> Result<(), Denied> {
        let Some(held) = self.held.clone() else { return Ok(()) };
        self.produced(reported);
        if !self.lease_has(&held, more, counters) {
            self.ask_more(&held, more, counters).await?;
        }
        failpoint("extended");
        Ok(())
    }

    /// Notes what has been produced so far, in the claim's money: what is charged if nobody hears of the
    /// request again.
    pub fn produced(&mut self, so_far: Nanos) {
        let (Some(held), Some(slot)) = (&self.held, &mut self.slot) else { return };
        let mut state = held.state();
        if so_far > state.reported {
            state.reported = so_far;
            self.meter.shared().spool.report(slot, so_far);
        }
    }

    /// The provider is about to be called: from now on the request costs something, whatever becomes of
    /// this process.
    pub fn dispatched(&mut self) {
        let Some(slot) = &mut self.slot else { return };
        self.is_dispatched = true;
        let state = self.held.as_deref().map(Held::state);
        let aside = state.as_ref().filter(|state| matches!(state.phase, Phase::Taken { .. }));
        self.meter.shared().spool.dispatch(slot, aside.map(|state| &state.aside));
    }

    /// Writes down how it ended, and sends it. `charge` is what is due; limits are trued up with cost and
    /// tokens. What reached no provider is charged nothing.
    pub fn close(mut self, record: &UsageRecord) {
        self.end(record);
    }

    fn end(&mut self, record: &UsageRecord) {
        let Some(mut slot) = self.slot.take() else { return };
        let shared = self.meter.shared();
        let shard = self.account.shard();
        let Some(held) = self.held.take() else {
            shared.spool.close(&mut slot, record, None);
            failpoint("closed");
            return shared.send(Closed { shard, slot, settlement: None });
        };
        let mut state = held.state();
        let is_taken = matches!(state.phase, Phase::Taken { .. });
        let aside = (is_taken && self.is_dispatched).then_some(&state.aside);
        shared.spool.close(&mut slot, record, aside);
        failpoint("closed");
        let settlement = self.settlement(record, &state);
        let lease = settlement.as_ref().filter(|settlement| settlement.lease().is_some());
        if let Some(settlement) = lease {
            let unused = (!settlement.may_be_carved()).then(|| settlement.unused());
            let unused = unused.as_ref().map(|(amount, parts)| (*amount, parts.as_slice()));
            shared.leases.over(shard, settlement.aside(), unused);
        }
        shared.send(Closed { shard, slot, settlement });
        // Sent before it is forgotten, under one lock: a new era finds it in one place or the other.
        state.phase = Phase::Gone;
        drop(state);
        shared.holds.remove(shard, self.record);
    }

    fn settlement(&self, record: &UsageRecord, state: &State) -> Option<Box<Settlement>> {
        let settlement = match state.phase {
            Phase::Gone => return None,
            Phase::Taken { era } => Settlement::of(record, &state.aside, era, self.is_dispatched),
            // Whether Redis has it is not known. If it has, it is released, and in which windows it counts
            // was not heard.
            Phase::Asked => {
                let era = self.meter.shared().eras.number(self.account.shard()).unwrap_or_default();
                let unheard = SetAside { counters: Arc::default(), parts: Vec::new(), ..state.aside };
                Settlement::of(record, &unheard, era, self.is_dispatched)
            }
        };
        Some(Box::new(settlement.with(state)))
    }

    /// In the list of what is under way.
    fn begin(&mut self, claim: &Claim) -> Arc<Held> {
        let shared = self.meter.shared();
        let opened = self.slot.as_ref().map(|slot| shared.spool.opened_bytes(slot).to_vec());
        let aside = SetAside {
            incarnation: Uuid::nil(),
            id: self.record,
            amount: claim.amount,
            floor: claim.floor,
            counters: Arc::default(),
            parts: Vec::new(),
        };
        let state = State {
            aside,
            needs: claim.needs(),
            opened: opened.unwrap_or_default(),
            step: 0,
            reported: Nanos::ZERO,
            told: Nanos::ZERO,
            phase: Phase::Asked,
            may_be_carved: false,
        };
        let held = Arc::new(Held::new(self.record, self.account, state));
        shared.holds.add(self.account.shard(), Arc::clone(&held));
        self.held = Some(Arc::clone(&held));
        held
    }

    fn lives_on(&self, held: &Held, taken: Taken) -> Option<Standing> {
        let Taken { mut aside, era, remaining } = taken;
        for (part, counter) in aside.parts.iter_mut().zip(aside.counters.iter()) {
            part.floor = self.floor(counter, part.amount);
        }
        let mut state = held.state();
        if state.phase == Phase::Gone {
            return None;
        }
        state.phase = Phase::Taken { era };
        state.aside = aside;
        Some(Standing { remaining })
    }

    /// Takes more out of the lease that the request lives on.
    fn lease_has(&self, held: &Held, more: Nanos, counters: &[i64]) -> bool {
        let mut state = held.state();
        let Some(lease) = held.lease(&state) else { return false };
        let (shared, now) = (self.meter.shared(), Instant::now());
        let is_there =
            !state.may_be_carved && shared.leases.take_more(self.account.shard(), lease, more, counters, now);
        if is_there {
            state.grow(more, counters);
        }
        is_there
    }

    async fn ask(&mut self, held: &Held, claim: &Claim) -> Result<Standing, Denied> {
        let shared = Arc::clone(self.meter.shared());
        let shard = self.account.shard();
        let counters: Arc<[Counter]> = claim.counters.iter().map(|(counter, _)| counter.clone()).collect();
        let patience = Instant::now() + PATIENCE;
        let mut chances = CHANCES;
        let denied = loop {
            let given_back = shared.given_back(shard);
            if claim.on_credits && shared.is_redis_full() {
                break Denied::Unavailable { reason: reasons::FULL };
            }
            let incarnation = shared.incarnations.present();
            let wanted = self.wanted(held, claim, incarnation, &counters);
            let (reason, is_urgent) = match shared.holder.hold(shard, incarnation, wanted).await {
                Answer::Held(calls::Held::Granted { parts, .. }, era) => {
                    let mut state = held.state();
                    if state.phase == Phase::Gone {
                        return Err(Denied::Unavailable { reason: reasons::NEW_ERA });
                    }
                    state.phase = Phase::Taken { era };
                    state.learn(&parts);
                    return Ok(Standing { remaining: parts.iter().map(|part| part.remaining).collect() });
                }
                Answer::Held(no, _)
                    if self.may_have_changed(&no, &counters, given_back, &mut chances).await =>
                {
                    continue;
                }
                Answer::Held(calls::Held::Credits { free }, _) => {
                    break Denied::Credits { free, needed: claim.amount };
                }
                Answer::Held(calls::Held::Limit { index, remaining, retry_after }, _) => {
                    break Denied::Limit { index, remaining, retry_after };
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

    /// Whether it is worth asking again after this answer: nobody is denied what requests of this process
    /// that are over have not given back yet. They are a moment behind, so this takes a moment.
    async fn may_have_changed(
        &self,
        no: &calls::Held,
        counters: &[Counter],
        given_back: u64,
        chances: &mut u32,
    ) -> bool {
        let gives_back = match no {
            calls::Held::Credits { .. } => true,
            calls::Held::Limit { index, .. } => {
                counters.get(*index).is_some_and(|counter| counter.measure != Measure::Requests)
            }
            _ => false,
        };
        if !gives_back || *chances == 0 {
            return false;
        }
        *chances -= 1;
        let given_back = self.meter.shared().gives_back(self.account.shard(), given_back);
        tokio::time::timeout(PATIENCE, given_back).await.unwrap_or(false)
    }

    async fn ask_more(&self, held: &Held, more: Nanos, counters: &[i64]) -> Result<(), Denied> {
        let shared = self.meter.shared();
        let shard = self.account.shard();
        let patience = Instant::now() + PATIENCE;
        let needed = held.state().aside.amount + more;
        let denied = |reason| Err(Denied::Unavailable { reason });
        let was_unheard = held.state().may_be_carved;
        let limits = Arc::clone(&held.state().aside.counters);
        let mut chances = CHANCES;
        loop {
            let given_back = shared.given_back(shard);
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
                    if self.may_have_changed(&no, &limits, given_back, &mut chances).await {
                        continue;
                    }
                    match no {
                        calls::Held::Credits { free } => return Err(Denied::Credits { free, needed: more }),
                        calls::Held::Limit { index, remaining, retry_after } => {
                            return Err(Denied::Limit { index, remaining, retry_after });
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

    /// What a counter counts at least, of what is reserved in it.
    fn floor(&self, counter: &Counter, reserved: i64) -> i64 {
        let (cost, tokens) = self.least;
        let least = match counter.measure {
            Measure::Requests => 1,
            Measure::Spend => cost,
            Measure::Tokens => tokens,
        };
        least.min(reserved)
    }
}

/// A request that vanished, by a panic for instance, is still recorded: as if its process had died.
impl Drop for OpenRecord {
    fn drop(&mut self) {
        let Some(opened) = self.slot.as_ref().and_then(|slot| self.meter.shared().spool.opened(slot)) else {
            return;
        };
        let state: Option<MutexGuard<'_, State>> = self.held.as_deref().map(Held::state);
        let charge = state.map_or(opened.charge, |state| state.aside.floor.max(state.reported));
        let record = match self.is_dispatched {
            true => UsageRecord { charge, ..opened },
            false => without_use(opened),
        };
        self.end(&UsageRecord { outcome: Outcome::Abandoned, cause: "unfinished".to_owned(), ..record });
    }
}

impl State {
    fn grow(&mut self, more: Nanos, counters: &[i64]) {
        self.aside.amount += more;
        self.aside.parts.iter_mut().zip(counters).for_each(|(part, more)| part.amount += more);
    }

    fn learn(&mut self, parts: &[GrantedPart]) {
        for (part, granted) in self.aside.parts.iter_mut().zip(parts) {
            (part.window, part.amount) = (granted.window, granted.amount);
        }
    }
}
