//! A request under way: opened in the spool, with what is set aside for it, until it is closed.

mod asking;

use std::sync::{Arc, MutexGuard};
use std::time::Instant;

use model::limits::Counter;
use model::usage::{Measure, Outcome, UsageRecord};
use model::{AccountId, Nanos};
use process::failpoint;
use uuid::Uuid;

use crate::claim::{Claim, Denied, Standing, reasons};
use crate::desk::measured;
use crate::held::{Held, Phase, SetAside, State};
use crate::leases::Taken;
use crate::logged::Logged;
use crate::meter::Meter;
use crate::protocol::calls::GrantedPart;
use crate::settlement::{Closed, Settlement};
use crate::spool::{Slot, without_use};

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
            return shared.send(Closed { shard, slot, settlement: None, logged: Logged::of(record) });
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
        shared.send(Closed { shard, slot, settlement, logged: Logged::of(record) });
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
