//! What a shard shows of its money as of one moment, for whoever compares it with the ledger.

use std::collections::{HashMap, HashSet};

use model::{AccountId, Nanos, Shard};
use redis::{FromRedisValue, RedisError, Value};
use uuid::Uuid;

use super::entry::Fields;
use super::money::figures;
use super::{Desk, DeskError, Entry, HoldLine};
use crate::protocol::key;
use crate::stream::{Position, posted_key, usage_key};

/// Entries that are read in one look. Where more wait for the desk, what is unposted is not known.
const ENTRIES: usize = 500;

/// One moment of a shard.
#[derive(Debug)]
pub struct View {
    /// How far the desk has posted.
    pub position: Position,
    /// The accounts that were asked for, in their order.
    pub figures: Vec<super::Figures>,
    /// All holds, and whose they are.
    pub holds: Vec<(Uuid, HoldLine)>,
    /// Incarnations that somebody watches over.
    pub watched: HashSet<Uuid>,
    /// What the desk has taken for records and withdrawals that are not posted yet.
    pub collected: HashMap<Uuid, Nanos>,
    /// What the desk has not posted yet; nothing if that is too much to be read.
    pub on_its_way: Option<Vec<Entry>>,
}

impl Desk {
    /// Looks at some accounts of a shard and at all its holds, in one transaction. `holders` has found
    /// who may have holds. Nothing if the era is over, or something has moved since.
    pub async fn view(
        &mut self,
        shard: Shard,
        era: u64,
        accounts: &[AccountId],
        holders: &HashSet<Uuid>,
    ) -> Result<Option<View>, DeskError> {
        let name = |name: &str| key(shard, era, name);
        let mut before = redis::pipe();
        before.cmd("GET").arg(posted_key(shard, era)).cmd("HKEYS").arg(name("b"));
        let (before, watched): (Option<String>, Vec<String>) = self.query(&before).await?;
        let Some(before) = before else { return Ok(None) };
        let mut holders: HashSet<Uuid> = holders.clone();
        holders.extend(ids(&watched));
        let holders: Vec<Uuid> = holders.into_iter().collect();
        let mut commands = redis::pipe();
        commands.atomic();
        commands.cmd("GET").arg(posted_key(shard, era));
        commands.cmd("HKEYS").arg(name("b"));
        commands.cmd("HGETALL").arg(name("collected"));
        commands.cmd("XRANGE").arg(usage_key(shard, era)).arg(format!("({before}")).arg("+");
        commands.arg("COUNT").arg(ENTRIES + 1);
        for account in accounts {
            commands.cmd("HGETALL").arg(name(&format!("a:{account}")));
        }
        for holder in &holders {
            commands.cmd("HGETALL").arg(name(&format!("h:{}", holder.simple())));
        }
        let mut answers = self.query::<Vec<Value>>(&commands).await?.into_iter();
        let position: Option<String> = read(answers.next())?;
        let watched: HashSet<Uuid> = ids(&read::<Vec<String>>(answers.next())?).collect();
        let has_come = watched.iter().any(|incarnation| !holders.contains(incarnation));
        if position.as_ref() != Some(&before) || has_come {
            return Ok(None);
        }
        let collected: HashMap<String, String> = read(answers.next())?;
        let collected = collected
            .iter()
            .filter_map(|(id, amount)| Some((Uuid::try_parse(id).ok()?, Nanos(amount.parse().ok()?))));
        let entries: Vec<(String, Fields)> = read(answers.next())?;
        let is_whole = entries.len() <= ENTRIES;
        let entries =
            entries.into_iter().filter_map(|(id, fields)| Some(Entry::of(shard, id.parse().ok()?, fields)));
        let figures = answers.by_ref().take(accounts.len()).map(|answer| Ok(figures(read(Some(answer))?)));
        let figures = figures.collect::<Result<_, RedisError>>()?;
        let mut holds = Vec::new();
        for (holder, answer) in holders.into_iter().zip(answers) {
            let lines: HashMap<String, String> = read(Some(answer))?;
            let lines = lines.iter().filter_map(|(id, line)| HoldLine::read(Uuid::try_parse(id).ok()?, line));
            holds.extend(lines.map(|hold| (holder, hold)));
        }
        Ok(Some(View {
            position: before.parse().unwrap_or_default(),
            figures,
            holds,
            watched,
            collected: collected.collect(),
            on_its_way: is_whole.then(|| entries.collect()),
        }))
    }

    /// Whoever has holds in these eras, watched over or not. In one walk over all keys.
    pub async fn holders(
        &mut self,
        eras: &[(Shard, u64)],
    ) -> Result<HashMap<Shard, HashSet<Uuid>>, DeskError> {
        let prefixes: HashMap<String, Shard> =
            eras.iter().map(|(shard, era)| (key(*shard, *era, "h:"), *shard)).collect();
        let mut holders: HashMap<Shard, HashSet<Uuid>> = HashMap::new();
        let mut cursor = 0;
        loop {
            let (next, keys) = self.walk(cursor, "{m*}:*:h:*").await?;
            for name in &keys {
                let end = name.rfind(':').map_or(0, |at| at + 1);
                let holder = Uuid::try_parse(&name[end..]).ok();
                if let (Some(shard), Some(holder)) = (prefixes.get(&name[..end]), holder) {
                    holders.entry(*shard).or_default().insert(holder);
                }
            }
            cursor = next;
            if cursor == 0 {
                return Ok(holders);
            }
        }
    }

    /// One step of a walk over all keys. A key that is there all the time is met; the walk is over when the
    /// next cursor is 0.
    pub(super) async fn walk(&mut self, cursor: u64, pattern: &str) -> Result<(u64, Vec<String>), DeskError> {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(1000);
        Ok(scan.query_async(&mut self.commands).await?)
    }
}

fn ids(texts: &[String]) -> impl Iterator<Item = Uuid> {
    texts.iter().filter_map(|text| Uuid::try_parse(text).ok())
}

fn read<T: FromRedisValue>(answer: Option<Value>) -> Result<T, RedisError> {
    Ok(T::from_redis_value(answer.unwrap_or(Value::Nil))?)
}
