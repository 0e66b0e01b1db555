//! The proxy's calls with types: what each script takes, in its order, and what it answers.

use std::borrow::Borrow;
use std::time::Duration;

use model::limits::{Counter, Period, Window};
use model::{AccountId, Nanos};
use redis::{Cmd, ErrorKind, FromRedisValue as _, RedisError, Value};
use uuid::Uuid;

use super::{Script, Scripts};
use crate::stream::Position;

/// What has to be there before anything can be set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Needs {
    /// Credits.
    Credits,
    /// An account that is loaded, because counts outlive Redis.
    Account,
    /// Nothing.
    Nothing,
}

/// A hold to be taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// The record's id, or the lease's.
    pub id: Uuid,
    /// A lease gets at most a hundredth of what there is, and nothing if that is less than `least`.
    pub is_lease: bool,
    /// Whose.
    pub account: AccountId,
    /// What has to be there.
    pub needs: Needs,
    /// Of credits.
    pub amount: Nanos,
    /// Of a lease.
    pub least: Nanos,
    /// What is charged at least if nobody hears of the request again.
    pub floor: Nanos,
    /// Of limits.
    pub counters: Vec<WantedPart>,
    /// What is posted if nobody hears of the request again; empty for a lease.
    pub record: Vec<u8>,
}

/// A part of a limit to be set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedPart {
    /// Of which.
    pub counter: Counter,
    /// How much.
    pub amount: i64,
    /// What counts at least if nobody hears of the request again; for a lease, the least that it needs.
    pub floor: i64,
}

/// Sets money and parts of limits aside.
pub fn hold<W: Borrow<Wanted>>(scripts: &Scripts, incarnation: Uuid, wanted: &[W]) -> Cmd {
    let mut command = scripts.call(Script::Hold);
    id(&mut command, incarnation);
    command.arg(wanted.len());
    for wanted in wanted {
        let Wanted { id: hold, is_lease, account, needs, amount, least, floor, counters, record } =
            wanted.borrow();
        id(&mut command, *hold);
        command.arg(if *is_lease { "l" } else { "o" });
        id(&mut command, account.0);
        command.arg(needs.letter()).arg(amount.0).arg(least.0).arg(floor.0).arg(counters.len());
        for WantedPart { counter, amount, floor } in counters {
            command.arg(&counter.id);
            window(&mut command, counter.window);
            command.arg(counter.limit).arg(amount).arg(floor);
        }
        command.arg(record);
    }
    command
}

/// More for a hold that there is, or for a part of a lease, which becomes a hold of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct More {
    /// The number of the next batch of records: once that is settled, this call comes too late.
    pub batch: u64,
    /// The record's id.
    pub id: Uuid,
    /// From 1. A step that was done is not repeated.
    pub step: u32,
    /// Whose.
    pub account: AccountId,
    /// What has to be there.
    pub needs: Needs,
    /// How much more.
    pub more: Nanos,
    /// What was produced so far is worth this.
    pub reported: Nanos,
    /// The lease that the request lives on, and what of its money is the request's.
    pub lease: Option<(Uuid, Nanos)>,
    /// As it was taken.
    pub floor: Nanos,
    /// As it was taken.
    pub record: Vec<u8>,
    /// In the order in which they were taken.
    pub counters: Vec<MorePart>,
}

/// More of a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MorePart {
    /// Of which.
    pub counter: Counter,
    /// In which window the request counts.
    pub window: i64,
    /// How much more.
    pub more: i64,
    /// What of the lease's reservation is the request's.
    pub part: i64,
    /// As it was taken.
    pub floor: i64,
}

/// Sets more aside.
pub fn extend(scripts: &Scripts, incarnation: Uuid, more: &More) -> Cmd {
    let More { batch, id: hold, step, account, needs, more, reported, lease, floor, record, counters } = more;
    let mut command = scripts.call(Script::Extend);
    id(&mut command, incarnation);
    command.arg(batch);
    id(&mut command, *hold);
    command.arg(step).arg(needs.letter()).arg(more.0).arg(reported.0);
    match lease {
        Some((lease, part)) => {
            id(&mut command, *lease);
            command.arg(part.0);
        }
        None => {
            command.arg("").arg(0);
        }
    }
    id(&mut command, account.0);
    command.arg(floor.0).arg(record).arg(counters.len());
    for MorePart { counter, window: index, more, part, floor } in counters {
        command.arg(&counter.id).arg(index);
        window(&mut command, counter.window);
        command.arg(counter.limit).arg(more).arg(part).arg(floor);
    }
    command
}

/// What became of a hold, or of an extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// It is set aside.
    Granted {
        /// Of credits, by now.
        amount: Nanos,
        /// Of limits, in their order.
        parts: Vec<GrantedPart>,
    },
    /// Credits are short.
    Credits {
        /// What is free.
        free: Nanos,
    },
    /// A limit is reached.
    Limit {
        /// Which of those that were named.
        index: usize,
        /// What remains of it.
        remaining: i64,
        /// When there will be room, if nobody else takes it.
        retry_after: Duration,
    },
    /// The account is not loaded yet; the desk was asked to.
    Cold,
    /// What leases could give back may be enough: they are recalled, ask again.
    Wait,
    /// This incarnation holds nothing more.
    Dead,
    /// Too little is there for a lease.
    Small,
    /// The hold that should be extended is not there.
    Gone,
}

/// What was set aside of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrantedPart {
    /// The number of the window.
    pub window: i64,
    /// How much.
    pub amount: i64,
    /// What remains for others.
    pub remaining: i64,
    /// When the window ends.
    pub ends_in: Duration,
}

impl Held {
    /// Reads one answer.
    pub fn read(answer: Value) -> Result<Self, RedisError> {
        let answer: Vec<i64> = Vec::from_redis_value(answer)?;
        let at = |index: usize| answer.get(index).copied().ok_or_else(unreadable);
        Ok(match at(0)? {
            0 => {
                let parts = answer.get(2..).unwrap_or_default().chunks_exact(4).map(|part| GrantedPart {
                    window: part[0],
                    amount: part[1],
                    remaining: part[2],
                    ends_in: milliseconds(part[3]),
                });
                Self::Granted { amount: Nanos(at(1)?), parts: parts.collect() }
            }
            1 => Self::Credits { free: Nanos(at(1)?) },
            2 => Self::Limit {
                index: usize::try_from(at(1)?).map_err(|_| unreadable())?,
                remaining: at(2)?,
                retry_after: milliseconds(at(3)?),
            },
            3 => Self::Cold,
            4 => Self::Wait,
            5 => Self::Dead,
            6 => Self::Small,
            7 => Self::Gone,
            _ => return Err(unreadable()),
        })
    }

    /// Reads the answers to several holds.
    pub fn read_all(answer: Value) -> Result<Vec<Self>, RedisError> {
        Vec::<Value>::from_redis_value(answer)?.into_iter().map(Self::read).collect()
    }
}

/// A batch of records on its way into the stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// From 1 in each era.
    pub number: u64,
    /// A `proto::UsageBatch`.
    pub encoded: Vec<u8>,
    /// How many records it has.
    pub length: usize,
    /// Those of them that have holds.
    pub groups: Vec<Group>,
}

/// Records of a batch that share a hold: one its own, any number a lease.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Who took the hold.
    pub incarnation: Uuid,
    /// The request's own hold, if it may have one.
    pub own: Option<Uuid>,
    /// The lease, where there is no own hold.
    pub lease: Option<Uuid>,
    /// Whose.
    pub account: AccountId,
    /// In which counters, and which of their windows, the records count.
    pub counters: Vec<(String, i64)>,
    /// The records.
    pub records: Vec<Settled>,
}

/// What one record uses up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Where it stands in the batch, from 0.
    pub place: usize,
    /// What is due.
    pub charge: Nanos,
    /// What of the lease's money is the request's.
    pub part: Nanos,
    /// For each counter what was used, and what of the lease's reservation is the request's.
    pub used: Vec<(i64, i64)>,
}

/// Puts a batch into the stream.
pub fn settle(scripts: &Scripts, incarnation: Uuid, batch: &Batch) -> Cmd {
    let Batch { number, encoded, length, groups } = batch;
    let mut command = scripts.call(Script::Settle);
    id(&mut command, incarnation);
    command.arg(number).arg(encoded).arg(length).arg(groups.len());
    for Group { incarnation, own, lease, account, counters, records } in groups {
        id(&mut command, *incarnation);
        for hold in [own, lease] {
            match hold {
                Some(hold) => id(&mut command, *hold),
                None => _ = command.arg(""),
            }
        }
        id(&mut command, account.0);
        command.arg(counters.len());
        for (counter, window) in counters {
            command.arg(counter).arg(window);
        }
        command.arg(records.len());
        for Settled { place, charge, part, used } in records {
            command.arg(place).arg(charge.0).arg(part.0);
            for (actual, part) in used {
                command.arg(actual).arg(part);
            }
        }
    }
    command
}

/// The entry's id and the posted position.
pub fn settled(answer: Value) -> Result<(Position, Position), RedisError> {
    let (entry, posted) = <(String, String)>::from_redis_value(answer)?;
    Ok((position(&entry)?, position(&posted)?))
}

/// A sign of life.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Beat {
    /// Higher than the last one's.
    pub number: u64,
    /// What was produced under which hold.
    pub reports: Vec<(Uuid, Nanos)>,
    /// What leases give back.
    pub leases: Vec<LeaseBack>,
    /// Holds that nothing will be charged to.
    pub release: Vec<Uuid>,
    /// Accounts of which leases are held.
    pub accounts: Vec<AccountId>,
    /// What else it says.
    pub says: Says,
}

/// What a beat says of the holds that there are.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Says {
    /// Nothing.
    #[default]
    Nothing,
    /// Their names; others that are older than 30 seconds are released.
    Names(Vec<Uuid>),
    /// There are none, and nobody needs to watch over this incarnation.
    Bye,
}

/// What a lease gives back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseBack {
    /// Which.
    pub id: Uuid,
    /// What becomes of it.
    pub state: LeaseState,
    /// Of credits.
    pub amount: Nanos,
    /// Of limits: counter, window, amount.
    pub parts: Vec<(String, i64, i64)>,
}

/// What becomes of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseState {
    /// It goes on.
    Open,
    /// No request takes a part of it any more; those that have one keep it.
    Closed,
    /// Nobody has a part of it: whatever is left goes back.
    Ended,
}

/// Says that this incarnation lives.
pub fn beat(scripts: &Scripts, incarnation: Uuid, beat: &Beat) -> Cmd {
    let Beat { number, reports, leases, release, accounts, says } = beat;
    let mut command = scripts.call(Script::Beat);
    id(&mut command, incarnation);
    command.arg(number).arg(reports.len());
    for (hold, reported) in reports {
        id(&mut command, *hold);
        command.arg(reported.0);
    }
    command.arg(leases.len());
    for LeaseBack { id: lease, state, amount, parts } in leases {
        id(&mut command, *lease);
        let state = match state {
            LeaseState::Open => "l",
            LeaseState::Closed => "c",
            LeaseState::Ended => "e",
        };
        command.arg(state).arg(amount.0).arg(parts.len());
        for (counter, window, amount) in parts {
            command.arg(counter).arg(window).arg(amount);
        }
    }
    command.arg(release.len());
    release.iter().for_each(|hold| id(&mut command, *hold));
    command.arg(accounts.len());
    accounts.iter().for_each(|account| id(&mut command, account.0));
    match says {
        Says::Nothing => _ = command.arg(""),
        Says::Bye => _ = command.arg("bye"),
        Says::Names(names) => {
            command.arg("names");
            names.iter().for_each(|hold| id(&mut command, *hold));
        }
    }
    command
}

/// What a beat is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// How far the desk has posted.
    pub posted: Position,
    /// This incarnation holds nothing more.
    pub is_dead: bool,
    /// Whose leases shall be given back.
    pub recalled: Vec<AccountId>,
    /// How many holds this incarnation has. One that says bye while it has any is watched on.
    pub left: usize,
}

/// Reads what a beat was answered.
pub fn heard(answer: Value) -> Result<Heard, RedisError> {
    let (posted, is_dead, recalled, left) = <(String, bool, Vec<String>, usize)>::from_redis_value(answer)?;
    let recalled =
        recalled.iter().map(|id| id.parse().map_err(|_| unreadable())).collect::<Result<_, _>>()?;
    Ok(Heard { posted: position(&posted)?, is_dead, recalled, left })
}

/// A hold that outlives its era.
#[derive(Debug, Clone, PartialEq)]
pub struct Declared {
    /// The record's id: leases end with their era.
    pub id: Uuid,
    /// Whose.
    pub account: AccountId,
    /// Of credits.
    pub amount: Nanos,
    /// What is charged at least if nobody hears of the request again.
    pub floor: Nanos,
    /// What was produced so far.
    pub reported: Nanos,
    /// The last step of its extensions.
    pub step: u32,
    /// Of limits: counter, window, amount, floor.
    pub reserved: Vec<(String, i64, i64, i64)>,
    /// What is posted if nobody hears of the request again.
    pub record: Vec<u8>,
}

/// Says which holds there are in a new era. Parts are numbered from 1.
pub fn declare(scripts: &Scripts, incarnation: Uuid, part: u64, is_last: bool, holds: &[Declared]) -> Cmd {
    let mut command = scripts.call(Script::Declare);
    id(&mut command, incarnation);
    command.arg(part).arg(u8::from(is_last)).arg(holds.len());
    for Declared { id: hold, account, amount, floor, reported, step, reserved, record } in holds {
        id(&mut command, *hold);
        id(&mut command, account.0);
        command.arg(amount.0).arg(floor.0).arg(reported.0).arg(step).arg(reserved.len());
        for (counter, window, amount, floor) in reserved {
            command.arg(counter).arg(window).arg(amount).arg(floor);
        }
        command.arg(record);
    }
    command
}

/// The posted position, and whether this incarnation is dead.
pub fn declared(answer: Value) -> Result<(Position, bool), RedisError> {
    let (posted, is_dead) = <(String, bool)>::from_redis_value(answer)?;
    Ok((position(&posted)?, is_dead))
}

/// Releases what is left of an incarnation that is no more, at most so many holds; answers how many
/// are left.
pub fn bury(scripts: &Scripts, incarnation: Uuid, most: usize) -> Cmd {
    let mut command = scripts.call(Script::Bury);
    id(&mut command, incarnation);
    command.arg(most).to_owned()
}

impl Needs {
    fn letter(self) -> &'static str {
        match self {
            Self::Credits => "c",
            Self::Account => "a",
            Self::Nothing => "-",
        }
    }
}

/// An id as it is written in Redis: 32 hex digits.
pub(crate) fn id(command: &mut Cmd, id: Uuid) {
    let mut text = Uuid::encode_buffer();
    command.arg(&*id.simple().encode_lower(&mut text));
}

fn window(command: &mut Cmd, window: Window) {
    match window {
        Window::Fixed { seconds } => command.arg("f").arg(seconds),
        Window::Sliding { seconds } => command.arg("s").arg(seconds),
        Window::Calendar { period, offset_seconds } => {
            let kind = match period {
                Period::Hour => "h",
                Period::Day => "d",
                Period::Week => "w",
                Period::Month => "m",
            };
            command.arg(kind).arg(offset_seconds)
        }
    };
}

fn position(text: &str) -> Result<Position, RedisError> {
    text.parse().map_err(|_| unreadable())
}

fn milliseconds(number: i64) -> Duration {
    Duration::from_millis(u64::try_from(number).unwrap_or(0))
}

fn unreadable() -> RedisError {
    (ErrorKind::UnexpectedReturnType, "a script answers what it should not").into()
}
