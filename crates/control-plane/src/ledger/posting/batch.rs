//! A batch: entries of several shards, as the records in them.

use std::collections::{BTreeMap, HashSet};

use meter::Position;
use meter::desk::{Entry, Place, Unreadable, wire_form};
use model::usage::UsageRecord;
use model::{AccountId, Nanos, Shard};
use store::usage;
use time::Date;
use uuid::Uuid;

use super::super::claims::Item;

/// Records in one transaction, give or take an entry.
pub(in super::super) const BATCH: usize = 500;

/// What one transaction posts.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The last entry of each shard.
    pub(super) places: BTreeMap<Shard, Place>,
    /// What the batch is called in each shard.
    pub(super) names: BTreeMap<Shard, String>,
    /// Its records, and where each was read.
    pub(super) items: Vec<(Position, Item)>,
    /// What is kept for people to look at.
    pub(super) unkept: Vec<Unkept>,
    /// Records for which something was taken beyond their holds.
    pub(super) collected: Vec<Uuid>,
}

/// What cannot be kept as a record.
#[derive(Debug)]
pub(super) struct Unkept {
    pub(super) shard: Shard,
    pub(super) position: Position,
    pub(super) body: Vec<u8>,
    pub(super) reason: String,
    /// What it has taken, which goes back, because nothing can be charged for it.
    pub(super) taken: Option<(AccountId, Nanos)>,
}

impl Batch {
    /// Entries of the eras in which these places are.
    pub(super) fn of(entries: Vec<Entry>, places: &[Place]) -> Self {
        let mut batch = Self::default();
        for entry in entries {
            let Some(place) = places.iter().find(|place| place.shard == entry.shard) else { continue };
            batch.places.insert(entry.shard, Place { position: entry.position, ..*place });
            batch.names.insert(entry.shard, format!("{}/{}", place.era, entry.position));
            batch.take(entry);
        }
        batch
    }

    /// Records that were read from no stream.
    pub(super) fn left(place: Place, name: String, records: Vec<UsageRecord>) -> Self {
        let mut batch = Self::default();
        batch.places.insert(place.shard, place);
        batch.names.insert(place.shard, name);
        let items = records.into_iter().map(|record| {
            let item = Item { takes_all: true, ..Item::reaped(record).unseen() };
            (place.position, item)
        });
        batch.items = items.collect();
        batch
    }

    /// Takes out the records that cannot be posted without looking at what is free.
    pub(super) fn take_incomplete(&mut self) -> BTreeMap<Shard, Vec<UsageRecord>> {
        let mut taken: BTreeMap<Shard, Vec<UsageRecord>> = BTreeMap::new();
        self.items.retain(|(_, item)| {
            if !item.is_whole() {
                taken.entry(item.record.account.shard()).or_default().push(item.record.clone());
            }
            item.is_whole()
        });
        taken
    }

    /// The records in which money can move.
    pub(super) fn of_money(&mut self) -> impl Iterator<Item = &mut Item> {
        self.items.iter_mut().map(|(_, item)| item).filter(|item| item.is_of_money())
    }

    fn take(&mut self, entry: Entry) {
        let Entry { shard, position, records, unreadable, is_reaped, is_carried, wanted: _ } = entry;
        let mut keep_out = |body, taken, reason: &str| {
            self.unkept.push(Unkept { shard, position, body, taken, reason: reason.to_owned() });
        };
        for Unreadable { body, taken } in unreadable {
            keep_out(body, taken, "not readable");
        }
        for record in records {
            let taken = Some((record.account, record.paid));
            if record.account.shard() != shard {
                keep_out(wire_form(&record), None, "its account is of another shard");
            } else if usage::day(record.id).is_none() {
                keep_out(wire_form(&record), taken, "the id is no UUIDv7");
            } else {
                let item = if is_reaped { Item::reaped(record) } else { Item::of(record) };
                self.items.push((position, if is_carried { item.unseen() } else { item }));
            }
        }
    }
}

/// Entries in groups of about [`BATCH`] records; an entry is never divided. A record that comes again is of
/// another group, if money can move for it: by then it is known what became of the first.
pub(in super::super) fn batches(entries: Vec<Entry>) -> Vec<Vec<Entry>> {
    let (mut batches, mut records, mut ids) = (vec![Vec::new()], 0, HashSet::new());
    for entry in entries {
        let size = entry.records.len();
        let again = entry.records.iter().any(|record| ids.contains(&record.id));
        if records > 0 && (again || records + size > BATCH) {
            batches.push(Vec::new());
            records = 0;
            ids.clear();
        }
        records += size;
        ids.extend(entry.records.iter().map(|record| record.id));
        if let Some(batch) = batches.last_mut() {
            batch.push(entry);
        }
    }
    batches
}

/// Ids by the days in which they fall, so that each question concerns one partition.
pub(super) fn by_day(ids: Vec<Uuid>) -> impl Iterator<Item = Vec<Uuid>> {
    let mut days: BTreeMap<Option<Date>, Vec<Uuid>> = BTreeMap::new();
    for id in ids {
        days.entry(usage::day(id)).or_default().push(id);
    }
    days.into_values()
}
