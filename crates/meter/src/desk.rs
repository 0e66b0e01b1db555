//! The desk's hand on Redis: it alone opens eras, loads scripts and reads the streams.

use std::collections::HashMap;
use std::time::Duration;

use model::usage::UsageRecord;
use model::{Secret, Shard};
use prost::Message as _;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, FromRedisValue, RedisError, RedisResult, Value};

use crate::scripts::{Scripts, era_is_over, texts};
use crate::stream::{Position, era_key, posted_key, usage_key};

/// Entries of one stream in one read; with 64 records each, a batch for Postgres.
const ENTRIES: usize = 4;
/// Posted entries are kept for so long, for a Postgres that was restored to a recent point.
const KEPT: Duration = Duration::from_secs(3600);
const DEADLINE: Duration = Duration::from_secs(5);

/// Two connections: one that may block in a read, one that never does.
pub struct Desk {
    reader: MultiplexedConnection,
    commands: MultiplexedConnection,
}

/// Where one shard stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Which shard.
    pub shard: Shard,
    /// The era whose stream is meant.
    pub era: u64,
    /// The last entry that counts.
    pub position: Position,
}

/// One entry of a usage stream.
#[derive(Debug)]
pub struct Entry {
    /// Its shard.
    pub shard: Shard,
    /// Its id.
    pub position: Position,
    /// What could be read of it.
    pub records: Vec<UsageRecord>,
    /// The wire form of what could not, such as a newer proxy's; kept for people to look at.
    pub unreadable: Vec<Vec<u8>>,
}

/// What Redis answers to a desk that reports what it has posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The era is open.
    Open,
    /// The server has lost its scripts or its keys: a new era must be opened.
    Over,
}

/// Redis did not answer, or not as it should.
#[derive(Debug, thiserror::Error)]
#[error("Redis: {0}")]
pub struct DeskError(#[from] RedisError);

impl Desk {
    /// Connects.
    pub async fn connect(url: &Secret) -> Result<Self, DeskError> {
        let client = Client::open(url.expose())?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(DEADLINE))
            .set_response_timeout(Some(DEADLINE));
        Ok(Self {
            reader: client.get_multiplexed_async_connection_with_config(&config).await?,
            commands: client.get_multiplexed_async_connection_with_config(&config).await?,
        })
    }

    /// The eviction policy, which must be `noeviction`: an evicted stream is lost usage.
    pub async fn eviction_policy(&mut self) -> Result<String, DeskError> {
        let memory: String = redis::cmd("INFO").arg("memory").query_async(&mut self.commands).await?;
        let policy = memory.lines().find_map(|line| line.strip_prefix("maxmemory_policy:"));
        Ok(policy.unwrap_or("unknown").trim().to_owned())
    }

    /// The eras that Redis says are open.
    pub async fn eras(&mut self, shards: &[Shard]) -> Result<Vec<Option<u64>>, DeskError> {
        let mut commands = redis::pipe();
        shards.iter().for_each(|shard| {
            commands.cmd("GET").arg(era_key(*shard));
        });
        Ok(commands.query_async(&mut self.commands).await?)
    }

    /// Whether each era is really open: published, with its position, its scripts known. A server that
    /// was restarted, promoted or wiped fails one of these.
    pub async fn standing(&mut self, places: &[Place]) -> Result<Vec<Standing>, DeskError> {
        let mut commands = redis::pipe();
        for Place { shard, era, .. } in places {
            commands.cmd("GET").arg(era_key(*shard));
            commands.cmd("EXISTS").arg(posted_key(*shard, *era));
            commands.cmd("SCRIPT").arg("EXISTS").arg(&Scripts::of(*shard, *era).digests());
        }
        let answers: Vec<Value> = commands.query_async(&mut self.commands).await?;
        let mut standing = Vec::with_capacity(places.len());
        for (place, answers) in places.iter().zip(answers.chunks_exact(3)) {
            let published = Option::<u64>::from_redis_value(answers[0].clone()).map_err(RedisError::from)?;
            let positioned = bool::from_redis_value(answers[1].clone()).map_err(RedisError::from)?;
            let scripts = Vec::<bool>::from_redis_value(answers[2].clone()).map_err(RedisError::from)?;
            let open = published == Some(place.era) && positioned && scripts.iter().all(|known| *known);
            standing.push(if open { Standing::Open } else { Standing::Over });
        }
        Ok(standing)
    }

    /// Ends eras for good: nothing can be added to their streams any more, which may then be read to
    /// their end. What is left of them goes after an hour.
    pub async fn end(&mut self, eras: &[(Shard, u64)]) -> Result<(), DeskError> {
        let mut commands = redis::pipe();
        for (shard, era) in eras {
            commands.cmd("DEL").arg(posted_key(*shard, *era)).ignore();
            commands.cmd("EXPIRE").arg(usage_key(*shard, *era)).arg(KEPT.as_secs()).ignore();
        }
        Ok(commands.query_async(&mut self.commands).await?)
    }

    /// Opens eras: position, scripts, and last the number by which proxies find them.
    pub async fn open(&mut self, eras: &[(Shard, u64)]) -> Result<(), DeskError> {
        let mut commands = redis::pipe();
        for (shard, era) in eras {
            commands.cmd("SET").arg(posted_key(*shard, *era)).arg(Position::default().to_string()).ignore();
            for text in texts(*shard, *era) {
                commands.cmd("SCRIPT").arg("LOAD").arg(text).ignore();
            }
        }
        for (shard, era) in eras {
            commands.cmd("SET").arg(era_key(*shard)).arg(*era).ignore();
        }
        Ok(commands.query_async(&mut self.commands).await?)
    }

    /// The entries after each place, in one command for all shards: the desk speaks to one server. On
    /// a cluster this would be a read per node; every other command keeps to one shard's hash slot.
    /// Waits for the first entry at most for `patience`.
    pub async fn read(&mut self, places: &[Place], patience: Duration) -> Result<Vec<Entry>, DeskError> {
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
        type Fields = Vec<(String, Vec<u8>)>;
        type Streams = Vec<(String, Vec<(String, Fields)>)>;
        let streams: Option<Streams> = command.query_async(&mut self.reader).await?;
        let mut entries = Vec::new();
        for (key, found) in streams.unwrap_or_default() {
            let Some(&shard) = shards.get(&key) else { continue };
            for (id, fields) in found {
                let Ok(position) = id.parse() else { continue };
                let batches = fields.into_iter().filter(|(name, _)| name == "b").map(|(_, batch)| batch);
                let mut entry = Entry { shard, position, records: Vec::new(), unreadable: Vec::new() };
                batches.for_each(|batch| entry.take(batch));
                entries.push(entry);
            }
        }
        Ok(entries)
    }

    /// Reports what Postgres has, so that proxies free their spools.
    pub async fn posted(&mut self, places: &[Place]) -> Result<Vec<Standing>, DeskError> {
        let mut commands = redis::pipe();
        for Place { shard, era, position } in places {
            let trim = position.milliseconds.saturating_sub(KEPT.as_millis() as u64);
            let scripts = Scripts::of(*shard, *era);
            commands.add_command(scripts.posted(&position.to_string(), &trim.to_string()));
        }
        let answers: Vec<RedisResult<Value>> =
            commands.ignore_errors().query_async(&mut self.commands).await?;
        answers
            .into_iter()
            .map(|answer| match answer.and_then(Value::extract_error) {
                Ok(_) => Ok(Standing::Open),
                Err(error) if era_is_over(&error) => Ok(Standing::Over),
                Err(error) => Err(error.into()),
            })
            .collect()
    }
}

/// The wire form of a record, to be kept where the record itself cannot be.
pub fn wire_form(record: &UsageRecord) -> Vec<u8> {
    record.to_wire().encode_to_vec()
}

impl Entry {
    fn take(&mut self, batch: Vec<u8>) {
        let Ok(proto::UsageBatch { records }) = proto::UsageBatch::decode(&*batch) else {
            return self.unreadable.push(batch);
        };
        for wire in records {
            match UsageRecord::from_wire(wire.clone()) {
                Ok(record) => self.records.push(record),
                Err(_) => self.unreadable.push(wire.encode_to_vec()),
            }
        }
    }
}
