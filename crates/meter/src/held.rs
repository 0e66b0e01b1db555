//! What is set aside for requests under way, as this process knows it.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::limits::{Counter, Window};
use model::usage::{Hold, Reserved};
use model::{AccountId, Nanos, Shard};
use uuid::Uuid;

use crate::protocol::calls::{Declared, Needs};
use crate::spool::with_hold;

/// Money and parts of limits that one request has.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SetAside {
    /// Who took it.
    pub(crate) incarnation: Uuid,
    /// The record's id, or the lease's of which this is a part.
    pub(crate) id: Uuid,
    /// Of credits.
    pub(crate) amount: Nanos,
    /// What is charged at least if nobody hears of the request again.
    pub(crate) floor: Nanos,
    /// The limits.
    pub(crate) counters: Arc<[Counter]>,
    /// What of each, in their order.
    pub(crate) parts: Vec<Part>,
}

/// A part of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    /// The number of the window in which the request counts.
    pub(crate) window: i64,
    /// How much.
    pub(crate) amount: i64,
    /// What counts at least if nobody hears of the request again.
    pub(crate) floor: i64,
}

impl SetAside {
    /// As records have it.
    pub(crate) fn to_model(&self) -> Hold {
        let reserved = self.counters.iter().zip(&self.parts).map(|(counter, part)| Reserved {
            counter: counter.id.clone(),
            measure: counter.measure,
            window: part.window,
            amount: part.amount,
        });
        Hold {
            incarnation: self.incarnation,
            id: self.id,
            amount: self.amount,
            floor: self.floor,
            reserved: reserved.collect(),
        }
    }

    /// From a record that a former process left. Bounds and lengths of windows are not known any more,
    /// and not needed: it is settled, never extended.
    pub(crate) fn of_model(hold: &Hold) -> Self {
        let Hold { incarnation, id, amount, floor, reserved } = hold;
        let counter = |part: &Reserved| Counter {
            id: part.counter.clone(),
            measure: part.measure,
            limit: 0,
            window: Window::Fixed { seconds: 0 },
        };
        Self {
            incarnation: *incarnation,
            id: *id,
            amount: *amount,
            floor: *floor,
            counters: reserved.iter().map(counter).collect(),
            parts: reserved
                .iter()
                .map(|part| Part { window: part.window, amount: part.amount, floor: 0 })
                .collect(),
        }
    }
}

/// A request that has something set aside, or has asked for it.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) record: Uuid,
    pub(crate) account: AccountId,
    state: Mutex<State>,
}

/// How it stands with it.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) aside: SetAside,
    pub(crate) needs: Needs,
    /// The record as it was opened.
    pub(crate) opened: Vec<u8>,
    /// The last extension.
    pub(crate) step: u32,
    /// What was produced so far, and what of it Redis has heard.
    pub(crate) reported: Nanos,
    pub(crate) told: Nanos,
    pub(crate) phase: Phase,
    /// An extension may have moved the request's part of its lease into a hold of its own.
    pub(crate) may_be_carved: bool,
}

/// Whether it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Redis has not answered.
    Asked,
    /// Redis has it, in this era.
    Taken { era: u64 },
    /// It is not, or no longer this request's: its era ended before Redis had answered, or the record is
    /// closed.
    Gone,
}

impl Held {
    pub(crate) fn new(record: Uuid, account: AccountId, state: State) -> Self {
        Self { record, account, state: Mutex::new(state) }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lease that the request lives on, if it does.
    pub(crate) fn lease(&self, state: &State) -> Option<Uuid> {
        (state.aside.id != self.record).then_some(state.aside.id)
    }

    /// Moves it into a new era: leases end with theirs. Nothing if Redis had not answered yet.
    pub(crate) fn outlive(&self, era: u64, incarnation: Uuid) -> Option<Declared> {
        let mut state = self.state();
        match state.phase {
            Phase::Gone => return None,
            Phase::Asked => {
                state.phase = Phase::Gone;
                return None;
            }
            Phase::Taken { .. } => state.phase = Phase::Taken { era },
        }
        state.aside.id = self.record;
        state.aside.incarnation = incarnation;
        state.may_be_carved = false;
        let record = with_hold(&state.opened, &state.aside);
        Some(declared(self.account, &state.aside, state.reported, state.step, record))
    }
}

/// As it is declared in a new era.
pub(crate) fn declared(
    account: AccountId,
    aside: &SetAside,
    reported: Nanos,
    step: u32,
    record: Vec<u8>,
) -> Declared {
    let reserved = aside.counters.iter().zip(&aside.parts);
    Declared {
        id: aside.id,
        account,
        amount: aside.amount,
        floor: aside.floor,
        reported,
        step,
        reserved: reserved
            .map(|(counter, part)| (counter.id.clone(), part.window, part.amount, part.floor))
            .collect(),
        record,
    }
}

/// All of them, by shard.
#[derive(Debug)]
pub(crate) struct Holds {
    shards: Box<[Mutex<ById<Arc<Held>>>]>,
    counts: Box<[AtomicUsize]>,
}

impl Holds {
    pub(crate) fn new() -> Self {
        Self {
            shards: Shard::all().map(|_| Mutex::default()).collect(),
            counts: Shard::all().map(|_| AtomicUsize::new(0)).collect(),
        }
    }

    pub(crate) fn add(&self, shard: Shard, held: Arc<Held>) {
        if self.of(shard).insert(held.record, held).is_none() {
            self.counts[usize::from(shard.0)].fetch_add(1, Ordering::Release);
        }
    }

    pub(crate) fn remove(&self, shard: Shard, record: Uuid) {
        if self.of(shard).remove(&record).is_some() {
            self.counts[usize::from(shard.0)].fetch_sub(1, Ordering::Release);
        }
    }

    pub(crate) fn count(&self, shard: Shard) -> usize {
        self.counts[usize::from(shard.0)].load(Ordering::Acquire)
    }

    pub(crate) fn all(&self, shard: Shard) -> Vec<Arc<Held>> {
        self.of(shard).values().cloned().collect()
    }

    fn of(&self, shard: Shard) -> MutexGuard<'_, ById<Arc<Held>>> {
        self.shards[usize::from(shard.0)].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A map by ids of our own making: the second half of each is random, so it is its own hash.
pub(crate) type ById<T> = HashMap<Uuid, T, BuildHasherDefault<IdHasher>>;

/// Takes the last eight bytes that it is shown.
#[derive(Debug, Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(last) = bytes.last_chunk() {
            self.0 = u64::from_le_bytes(*last);
        }
    }

    fn write_usize(&mut self, _length: usize) {}

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}
