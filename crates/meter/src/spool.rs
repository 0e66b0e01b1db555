//! The spool: every attempt is written here before its first byte leaves for a provider, and stays
//! until Postgres has its record. It survives `kill -9`.

mod encode;
mod map;
mod record;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use model::Nanos;
use model::usage::{Hold, Outcome, Tokens, UsageRecord};
use rustix::fs::FlockOperation;
use tracing::{error, warn};

use crate::held::SetAside;
pub(crate) use encode::with_hold;
pub(crate) use map::Slot;
use map::{Area, Map, State};

/// A spool that cannot be started on.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// Another process has it.
    #[error("the spool {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// The file system said no.
    #[error("the spool {}: {source}", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// There is no room for another record: the bound is reached, or the disk is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the spool is full")]
pub struct SpoolFull;

/// The file, and which of its slots are free.
#[derive(Debug)]
pub(crate) struct Spool {
    map: Map,
    /// The last one freed is the first one taken, which keeps the pages in use few.
    free: Mutex<Vec<Slot>>,
}

/// A record that a former process left behind, closed by now.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) slot: Slot,
    pub(crate) record: Box<UsageRecord>,
    /// Its process died before the request ended.
    pub(crate) abandoned: bool,
}

impl Spool {
    /// Opens the spool in `directory` and closes as abandoned what a former process left open.
    pub(crate) fn start(directory: &Path, bound: u64) -> Result<(Self, Vec<Kept>), SpoolError> {
        let path = directory.join("spool");
        let failed = |source| SpoolError::File { path: path.clone(), source };
        std::fs::create_dir_all(directory).map_err(failed)?;
        let file = locked(&path)?;
        let (map, slots) = Map::of(file, usize::try_from(bound).unwrap_or(usize::MAX)).map_err(failed)?;
        let (mut free, mut kept) = (Vec::with_capacity(slots.len()), Vec::new());
        for slot in slots {
            match map.state(&slot) {
                State::Free => free.push(slot),
                state => match revive(&map, slot, state) {
                    Ok(found) => kept.push(found),
                    Err(slot) => free.push(slot),
                },
            }
        }
        if free.is_empty() && kept.is_empty() {
            free = map.grow().map_err(failed)?;
        }
        Ok((Self { map, free: Mutex::new(free) }, kept))
    }

    /// Writes down an attempt before it begins.
    pub(crate) fn open(&self, record: &UsageRecord) -> Result<Slot, SpoolFull> {
        self.take(record, Area::Opened, State::Open)
    }

    /// Writes down a request that never began: a refusal.
    pub(crate) fn record(&self, record: &UsageRecord) -> Result<Slot, SpoolFull> {
        self.take(record, Area::Closed, State::Closed)
    }

    /// Writes down what was set aside, before the provider is called.
    pub(crate) fn dispatch(&self, slot: &mut Slot, aside: Option<&SetAside>) {
        if let Some(aside) = aside {
            record::write_hold(self.map.area_mut(slot, Area::Hold), aside);
        }
        self.map.publish(slot, if aside.is_some() { State::Held } else { State::Dispatched });
    }

    /// Notes what a dispatched attempt has produced so far.
    pub(crate) fn report(&self, slot: &mut Slot, so_far: Nanos) {
        record::report(self.map.area_mut(slot, Area::Hold), so_far);
    }

    /// Writes down how an attempt ended.
    pub(crate) fn close(&self, slot: &mut Slot, record: &UsageRecord, aside: Option<&SetAside>) {
        record::write(self.map.area_mut(slot, Area::Closed), record, aside);
        self.map.publish(slot, State::Closed);
    }

    /// The record as it was opened.
    pub(crate) fn opened(&self, slot: &Slot) -> Option<UsageRecord> {
        record::read(self.map.area(slot, Area::Opened))
    }

    /// Its wire form.
    pub(crate) fn opened_bytes<'a>(&'a self, slot: &'a Slot) -> &'a [u8] {
        record::bytes(self.map.area(slot, Area::Opened)).unwrap_or_default()
    }

    /// The wire form of the closed record.
    pub(crate) fn closed_bytes<'a>(&'a self, slot: &'a Slot) -> &'a [u8] {
        record::bytes(self.map.area(slot, Area::Closed)).unwrap_or_default()
    }

    /// Gives the slot back: Postgres has its record.
    pub(crate) fn free(&self, mut slot: Slot) {
        self.map.publish(&mut slot, State::Free);
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(slot);
    }

    /// How many records it can hold.
    pub(crate) fn capacity(&self) -> usize {
        self.map.capacity()
    }

    fn take(&self, record: &UsageRecord, area: Area, state: State) -> Result<Slot, SpoolFull> {
        let mut slot = self.unused()?;
        record::write(self.map.area_mut(&mut slot, area), record, None);
        self.map.publish(&mut slot, state);
        Ok(slot)
    }

    fn unused(&self) -> Result<Slot, SpoolFull> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = free.pop() {
            return Ok(slot);
        }
        *free = self.map.grow().map_err(|error| {
            if error.kind() != io::ErrorKind::StorageFull {
                error!(error = %error, "The spool cannot grow");
            }
            SpoolFull
        })?;
        free.pop().ok_or(SpoolFull)
    }
}

/// Reads what a former process left in a slot. What it left open is closed as abandoned.
fn revive(map: &Map, mut slot: Slot, state: State) -> Result<Kept, Slot> {
    let closed = (state == State::Closed).then(|| record::read(map.area(&slot, Area::Closed))).flatten();
    if let Some(record) = closed {
        return Ok(Kept { slot, record: Box::new(record), abandoned: false });
    }
    // A closed part that cannot be read, after the machine lost power, still leaves the opened one.
    let opened = record::read(map.area(&slot, Area::Opened));
    let Some(opened) = opened.or_else(|| record::read(map.area(&slot, Area::OpenedBefore))) else {
        warn!("A slot of the spool cannot be read; the machine must have lost power");
        map.publish(&mut slot, State::Free);
        return Err(slot);
    };
    let held = (state == State::Held).then(|| record::read_hold(map.area(&slot, Area::Hold))).flatten();
    let record = match (state, held) {
        // What was set aside goes back when the process is buried.
        (State::Open, _) => without_use(opened),
        // What was set aside later is not written here; whatever was produced had been set aside before.
        (_, Some((hold, reported))) => {
            let hold = Hold { amount: hold.amount.max(reported), ..hold };
            UsageRecord { charge: hold.floor.max(reported), hold: Some(hold), ..opened }
        }
        (_, None) => opened,
    };
    let record = UsageRecord { outcome: Outcome::Abandoned, cause: "proxy_died".to_owned(), ..record };
    let aside = record.hold.as_ref().map(SetAside::of_model);
    record::write(map.area_mut(&mut slot, Area::Closed), &record, aside.as_ref());
    map.publish(&mut slot, State::Closed);
    Ok(Kept { slot, record: Box::new(record), abandoned: true })
}

/// An attempt that reached no provider costs nothing, whatever was expected of it.
pub(crate) fn without_use(record: UsageRecord) -> UsageRecord {
    let cost = record.cost.map(|_| Nanos::ZERO);
    UsageRecord {
        tokens: Tokens::default(),
        units: Vec::new(),
        cost,
        charge: Nanos::ZERO,
        hold: None,
        ..record
    }
}

fn locked(path: &Path) -> Result<File, SpoolError> {
    let failed = |source| SpoolError::File { path: path.to_owned(), source };
    // What tenants write stands in it, for nobody else on this machine to read.
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(path).map_err(failed)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(SpoolError::InUse(path.to_owned())),
        Err(errno) => Err(failed(errno.into())),
    }
}
