//! The desk's hand on Redis: it alone opens eras, loads scripts, reads the streams and says what
//! accounts have.
//!
//! One batch of a desk goes like this: [`Desk::read`] entries; look up which ids Postgres knows;
//! [`Desk::collect`] what new records are due beyond what they have paid; one transaction in Postgres;
//! [`Desk::post`] with what became of it. Between two batches it looks after [`Desk::wanted`] accounts
//! with [`Desk::load`], passes on deposits with [`Desk::credit`], and ends what dead proxies held with
//! [`Desk::reap`].
//!
//! Every call names the shard's era. A desk that was succeeded by another is refused with
//! [`DeskError::Succeeded`] as soon as the other has called; see [`Desk::set_fence`].

mod carrying;
mod entry;
mod eras;
mod incarnations;
mod money;
mod server;
mod view;

use std::collections::HashMap;
use std::time::Duration;

use model::usage::{Measure, UsageRecord};
use model::{Secret, Shard};
use prost::Message as _;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, FromRedisValue, Pipeline, RedisError, RedisResult, Value};

use crate::protocol::{Clock, Scripts, era_is_over};
use crate::stream::Position;

pub use entry::{Entry, Unreadable};
pub use incarnations::HoldLine;
pub use money::{
    Collect, Count, CounterValue, Credit, Credited, Figures, Load, PostedAccount, PostedCounter, Posting,
    Withdrawal,
};
pub use server::{Guard, Server, Settings};
pub use view::View;

const DEADLINE: Duration = Duration::from_secs(5);

/// Two connections: one that may block in a read, one that never does.
pub struct Desk {
    reader: MultiplexedConnection,
    commands: MultiplexedConnection,
    fence: i64,
    clock: Clock,
    /// Digests are made once.
    scripts: HashMap<(Shard, u64), Scripts>,
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

/// How an era stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The era is open.
    Open,
    /// Proxies declare what they hold; nothing new is held yet.
    Opening,
    /// The server has lost its scripts or its keys: a new era must be opened.
    Over,
}

/// Redis did not answer, or not as it should.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// It did not answer, or refused.
    #[error("Redis: {0}")]
    Redis(#[source] RedisError),
    /// The server has lost the era's scripts or keys, or another era is published.
    #[error("Redis has lost an era")]
    EraIsOver,
    /// A desk with a higher fencing number is at work.
    #[error("another desk has taken over")]
    Succeeded,
    /// Balances were read before something else was posted; read them again.
    #[error("the posted position has moved")]
    Moved,
}

impl From<RedisError> for DeskError {
    fn from(error: RedisError) -> Self {
        match error.code() {
            Some("FENCED") => Self::Succeeded,
            Some("MOVED") => Self::Moved,
            _ if era_is_over(&error) => Self::EraIsOver,
            _ => Self::Redis(error),
        }
    }
}

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
            fence: 0,
            clock: Clock::default(),
            scripts: HashMap::new(),
        })
    }

    /// The number under which this desk writes, in Redis as in Postgres. Redis learns it with the next
    /// call about each shard, and refuses desks with lower ones from then on; so a desk that takes over
    /// repeats [`Desk::post`] for every shard before it reads a balance.
    pub fn set_fence(&mut self, fence: i64) {
        self.fence = fence;
    }

    /// Lets the scripts of eras opened from now on have their time from elsewhere: for tests.
    pub fn set_clock(&mut self, clock: Clock) {
        self.clock = clock;
        self.scripts.clear();
    }

    fn scripts(&mut self, shard: Shard, era: u64) -> Scripts {
        let clock = self.clock;
        let scripts = || Scripts::with(shard, era, clock);
        self.scripts.entry((shard, era)).or_insert_with(scripts).clone()
    }

    /// Sends commands and reads all their answers as one; nothing is asked where there is nothing to ask.
    async fn query<T: FromRedisValue + Default>(&mut self, commands: &Pipeline) -> Result<T, DeskError> {
        if commands.is_empty() {
            return Ok(T::default());
        }
        Ok(commands.query_async(&mut self.commands).await?)
    }

    /// Sends commands, each with an answer of its own.
    async fn ask(&mut self, mut commands: Pipeline) -> Result<Vec<Result<Value, DeskError>>, DeskError> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let answers: Vec<RedisResult<Value>> =
            commands.ignore_errors().query_async(&mut self.commands).await?;
        Ok(answers.into_iter().map(|answer| Ok(answer.and_then(Value::extract_error)?)).collect())
    }
}

/// The wire form of a record, to be kept where the record itself cannot be.
pub fn wire_form(record: &UsageRecord) -> Vec<u8> {
    record.to_wire().encode_to_vec()
}

/// What one record counts in each counter in which something was reserved for it: what Postgres adds
/// up, and what Redis has added to its own count. A record that stands for a request nobody heard of
/// again counts what it was opened with.
pub fn counted(record: &UsageRecord) -> impl Iterator<Item = (&str, i64, i64)> {
    let reserved = record.hold.iter().flat_map(|hold| &hold.reserved);
    reserved.map(|part| (part.counter.as_str(), part.window, measured(part.measure, record)))
}

/// The most that one record counts, or costs: what an account can have at most, in nano-dollars. A provider
/// that a tenant names himself may report anything, and what comes of it must fit where it is added up.
const MOST: i64 = 4_000_000_000_000_000;

/// One request, its cost, or its tokens.
pub(crate) fn measured(measure: Measure, record: &UsageRecord) -> i64 {
    match measure {
        Measure::Requests => 1,
        Measure::Spend => record.cost.map_or(0, |cost| cost.0.clamp(-MOST, MOST)),
        Measure::Tokens => {
            let tokens = record.tokens.total_input().saturating_add(record.tokens.total_output());
            i64::try_from(tokens).map_or(MOST, |tokens| tokens.min(MOST))
        }
    }
}
