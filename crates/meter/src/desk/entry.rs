//! What stands in the streams.

use std::collections::HashMap;
use std::time::Duration;

use model::usage::UsageRecord;
use model::{AccountId, Nanos, Shard};
use prost::Message as _;
use uuid::Uuid;

use super::{Desk, DeskError, HoldLine, Place};
use crate::stream::{Position, usage_key};

/// Entries of one stream in one read; with 64 records each, a batch for Postgres.
const ENTRIES: usize = 4;

/// One entry of a usage stream.
#[derive(Debug)]
pub struct Entry {
    /// Its shard.
    pub shard: Shard,
    /// Its id.
    pub position: Position,
    /// What could be read of it. Each record's `paid` says what it has taken from its account, which is
    /// unposted until [`Desk::post`] says otherwise.
    pub records: Vec<UsageRecord>,
    /// What could not, such as a newer proxy's.
    pub unreadable: Vec<Unreadable>,
    /// The records stand for requests of a proxy that fell silent. If it returns, or its spool is sent,
    /// the real ones follow under the same ids.
    pub is_reaped: bool,
    /// The desk has carried the records here from the era before, so no counter here has counted them.
    pub is_carried: bool,
    /// The entry has no records: somebody waits for this account to be loaded. It stands in
    /// [`Desk::wanted`] too.
    pub wanted: Option<AccountId>,
}

/// A record that means nothing to this release; kept for people to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Its wire form.
    pub body: Vec<u8>,
    /// What it has taken from whom, which is unposted like that of others; nothing if that is not known.
    pub taken: Option<(AccountId, Nanos)>,
}

pub(super) type Fields = Vec<(String, Vec<u8>)>;

impl Desk {
    /// The entries after each place, in one command for all shards: the desk speaks to one server. On
    /// a cluster this would be a read per node; every other command keeps to one shard's hash slot.
    /// Waits for the first entry at most for `patience`.
    pub async fn read(&mut self, places: &[Place], patience: Duration) -> Result<Vec<Entry>, DeskError> {
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let mut command = redis::cmd("XREAD");
        command.arg("COUNT").arg(ENTRIES);
        if !patience.is_zero() {
            command.arg("BLOCK").arg(patience.as_millis() as u64);
        }
        command.arg("STREAMS");
        let mut shards = HashMap::with_capacity(places.len());
        for place in places {
            let key = usage_key(place.shard, place.era);
            command.arg(&key);
            shards.insert(key, place.shard);
        }
        for place in places {
            command.arg(place.position.to_string());
        }
        type Streams = Vec<(String, Vec<(String, Fields)>)>;
        let streams: Option<Streams> = command.query_async(&mut self.reader).await?;
        let mut entries = Vec::new();
        for (key, found) in streams.unwrap_or_default() {
            let Some(&shard) = shards.get(&key) else { continue };
            for (id, fields) in found {
                let Ok(position) = id.parse() else { continue };
                entries.push(Entry::of(shard, position, fields));
            }
        }
        Ok(entries)
    }
}

impl Entry {
    pub(super) fn of(shard: Shard, position: Position, fields: Fields) -> Self {
        let mut entry = Self {
            shard,
            position,
            records: Vec::new(),
            unreadable: Vec::new(),
            is_reaped: false,
            is_carried: false,
            wanted: None,
        };
        let (mut batch, mut paid, mut charges, mut holds) = (None, Vec::new(), Vec::new(), String::new());
        for (name, value) in fields {
            match name.as_str() {
                "b" => batch = Some(value),
                "p" => paid = amounts(&value),
                "c" => charges = amounts(&value),
                "h" => holds = String::from_utf8(value).unwrap_or_default(),
                "k" => entry.is_carried = true,
                "w" => entry.wanted = std::str::from_utf8(&value).ok().and_then(|id| id.parse().ok()),
                _ => (),
            }
        }
        entry.is_reaped = !charges.is_empty();
        if let Some(batch) = batch {
            let reaped: Vec<_> = charges.into_iter().zip(holds.lines()).collect();
            entry.take(batch, &paid, &reaped);
        }
        entry
    }

    fn take(&mut self, batch: Vec<u8>, paid: &[Nanos], reaped: &[(Nanos, &str)]) {
        let Ok(proto::UsageBatch { records }) = proto::UsageBatch::decode(&*batch) else {
            return self.unreadable.push(Unreadable { body: batch, taken: None });
        };
        for (place, wire) in records.into_iter().enumerate() {
            let taken = paid.get(place).copied().unwrap_or_default();
            match UsageRecord::from_wire(wire.clone()) {
                Ok(mut record) => {
                    record.paid = taken;
                    if let Some((charge, line)) = reaped.get(place)
                        && let Some(hold) = HoldLine::read(record.id, line)
                    {
                        record = hold.speaks_for(record, *charge);
                    }
                    self.records.push(record);
                }
                Err(_) => {
                    let account = Uuid::from_slice(&wire.account_id).ok().map(AccountId);
                    let account = account.filter(|account| account.shard() == self.shard);
                    let taken = account.map(|account| (account, taken));
                    self.unreadable.push(Unreadable { body: wire.encode_to_vec(), taken });
                }
            }
        }
    }
}

fn amounts(list: &[u8]) -> Vec<Nanos> {
    let texts = std::str::from_utf8(list).unwrap_or_default().split(',');
    texts.map(|text| Nanos(text.parse().unwrap_or(0))).collect()
}
