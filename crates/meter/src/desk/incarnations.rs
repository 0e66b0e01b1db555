//! Which proxies live, and what becomes of the holds of those that do not.

use std::collections::HashMap;

use model::usage::{Outcome, UsageRecord};
use model::{AccountId, Nanos, Shard};
use prost::Message as _;
use uuid::Uuid;

use super::{Desk, DeskError};
use crate::protocol::calls::id;
use crate::protocol::{Script, key};

/// Holds that are ended in one call: as many as a batch has records.
const REAPED: usize = 64;
/// Holds that are read at once.
const PART: usize = 500;

/// A hold as it stands in Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldLine {
    /// The record's id, or the lease's.
    pub id: Uuid,
    /// `o` a request's own, `l` an open lease, `c` a closed one.
    pub kind: char,
    /// Whose.
    pub account: AccountId,
    /// Of credits.
    pub amount: Nanos,
    /// What is charged at least if nobody hears of the request again.
    pub floor: Nanos,
    /// What it has produced, as far as its proxy has said.
    pub reported: Nanos,
    /// The last step of its extensions.
    pub step: u32,
    /// Of limits: counter, window, amount, floor.
    pub reserved: Vec<(String, i64, i64, i64)>,
}

impl HoldLine {
    /// What is charged if nobody hears of the request again.
    pub fn abandoned(&self) -> Nanos {
        self.amount.min(self.floor.max(self.reported))
    }

    /// The record that stands for its request: in the windows in which that counted, and charged so.
    pub(super) fn speaks_for(&self, mut record: UsageRecord, charge: Nanos) -> UsageRecord {
        if let Some(hold) = &mut record.hold {
            hold.amount = self.amount;
            for (part, (_, window, amount, _)) in hold.reserved.iter_mut().zip(&self.reserved) {
                (part.window, part.amount) = (*window, *amount);
            }
        }
        UsageRecord { charge, outcome: Outcome::Abandoned, ..record }
    }

    pub(super) fn read(id: Uuid, line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let mut word = || words.next();
        let kind = word()?.chars().next()?;
        let account = word()?.parse().ok()?;
        let mut number = || word()?.parse::<i64>().ok();
        let (amount, floor, reported, step) = (number()?, number()?, number()?, number()?);
        let _taken = number()?;
        let rest: Vec<&str> = words.collect();
        let reserved = rest.chunks_exact(4).map(|part| {
            Some((part[0].to_owned(), part[1].parse().ok()?, part[2].parse().ok()?, part[3].parse().ok()?))
        });
        Some(Self {
            id,
            kind,
            account,
            amount: Nanos(amount),
            floor: Nanos(floor),
            reported: Nanos(reported),
            step: u32::try_from(step).ok()?,
            reserved: reserved.collect::<Option<_>>()?,
        })
    }
}

impl Desk {
    /// The beats of all incarnations that may have holds, by shard. One whose number stands still for 30
    /// seconds by the desk's own clock is dead, but not in the first 30 seconds of an era.
    pub async fn beats(&mut self, eras: &[(Shard, u64)]) -> Result<Vec<HashMap<Uuid, u64>>, DeskError> {
        let mut commands = redis::pipe();
        for (shard, era) in eras {
            commands.cmd("HGETALL").arg(key(*shard, *era, "b"));
        }
        let found: Vec<HashMap<String, u64>> = self.query(&commands).await?;
        let ids = |beats: HashMap<String, u64>| {
            beats.into_iter().filter_map(|(id, beat)| Some((Uuid::try_parse(&id).ok()?, beat))).collect()
        };
        Ok(found.into_iter().map(ids).collect())
    }

    /// Ends everything that an incarnation holds in a shard. Requests come through the stream as
    /// abandoned, charged at what was last reported of them, at least their input and at most their hold.
    /// Says whether it came to that: not if there was another beat than the one that stood still.
    pub async fn reap(
        &mut self,
        shard: Shard,
        era: u64,
        incarnation: Uuid,
        beat: u64,
    ) -> Result<bool, DeskError> {
        let (scripts, fence) = (self.scripts(shard, era), self.fence);
        loop {
            let mut command = scripts.call(Script::Reap);
            command.arg(fence);
            id(&mut command, incarnation);
            let left: i64 = command.arg(beat).arg(REAPED).query_async(&mut self.commands).await?;
            if left <= 0 {
                return Ok(left == 0);
            }
        }
    }

    /// What an incarnation holds.
    pub async fn holds(
        &mut self,
        shard: Shard,
        era: u64,
        incarnation: Uuid,
    ) -> Result<Vec<HoldLine>, DeskError> {
        let key = key(shard, era, &format!("h:{}", incarnation.simple()));
        let (mut cursor, mut lines) = (0_u64, HashMap::new());
        // In parts, because there may be very many, and Redis answers nobody else meanwhile.
        loop {
            let mut scan = redis::cmd("HSCAN");
            scan.arg(&key).arg(cursor).arg("COUNT").arg(PART);
            let (next, part): (u64, HashMap<String, String>) = scan.query_async(&mut self.commands).await?;
            lines.extend(part);
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
        let read = |(hold, line): (&String, &String)| HoldLine::read(Uuid::try_parse(hold).ok()?, line);
        Ok(lines.iter().filter_map(read).collect())
    }

    /// The records of requests that an incarnation held for in an era that has ended, each as abandoned
    /// and charged what [`Desk::reap`] would have charged: to be posted if that incarnation is dead. One
    /// that lives declares its holds in the next era.
    pub async fn left_behind(
        &mut self,
        shard: Shard,
        era: u64,
        incarnation: Uuid,
    ) -> Result<Vec<UsageRecord>, DeskError> {
        let mut records = Vec::new();
        let prototypes = key(shard, era, &format!("r:{}", incarnation.simple()));
        let mut holds = self.holds(shard, era, incarnation).await?;
        holds.retain(|hold| hold.kind == 'o');
        for holds in holds.chunks(PART) {
            let mut wanted = redis::cmd("HMGET");
            wanted.arg(&prototypes);
            holds.iter().for_each(|hold| id(&mut wanted, hold.id));
            let found: Vec<Option<Vec<u8>>> = wanted.query_async(&mut self.commands).await?;
            for (hold, wire) in holds.iter().zip(found) {
                let record = wire.and_then(|wire| proto::UsageRecord::decode(&*wire).ok());
                let record = record.and_then(|record| UsageRecord::from_wire(record).ok());
                records.extend(record.map(|record| hold.speaks_for(record, hold.abandoned())));
            }
        }
        Ok(records)
    }
}
