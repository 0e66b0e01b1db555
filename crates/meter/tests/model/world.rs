//! Everything that the protocol has to agree on at one moment: Redis, perhaps an old Redis that was
//! left behind, Postgres, the desk, the proxies, their requests, and what is still on its way.

use crate::calls::Late;
use crate::redis::{Entry, Redis};
use crate::scene::{Money, PROXIES, REQUESTS, Scene};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub redis: Redis,
    pub phase: Phase,
    /// Redis as it will be when it comes back without its last write. Until then nothing more is written.
    pub doomed: Option<Box<Redis>>,
    /// An old primary that still answers those who were left behind with it.
    pub old: Option<Box<Redis>>,
    pub ledger: Ledger,
    pub desk: Desk,
    /// Calls that take effect later than their callers believe.
    pub late: Vec<Late>,
    pub proxies: [Proxy; PROXIES],
    pub requests: [Request; REQUESTS],
    pub harm: Harm,
}

/// How far an era of the shard is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    /// The server has forgotten the scripts.
    Gone,
    /// Only what ends things can be called.
    Opening,
    Open,
}

/// Postgres.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Ledger {
    pub balance: Money,
    pub rows: [Option<Row>; REQUESTS],
    /// The last entry of the present era that counts.
    pub position: u8,
    /// What Redis is still to be told.
    pub pending: Option<Pending>,
    pub top_up: TopUp,
    pub withdrawal: Withdrawal,
    pub withdrawn: Money,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    pub charge: Money,
    pub paid: Money,
    /// What the limit's rollup says of it.
    pub counted: Money,
    pub abandoned: bool,
    pub posted: u8,
    pub corrected: u8,
}

/// What a committed batch means for Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Pending {
    pub position: u8,
    pub unposted: Money,
    pub back: Money,
    /// What Postgres counts by now, and what was counted twice.
    pub counted: Money,
    pub uncounted: Money,
    /// Whose collected amounts are forgotten.
    pub ids: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum TopUp {
    Expected,
    /// In the balance and not yet in Redis.
    Arrived,
    Told,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Withdrawal {
    Requested,
    /// Out of the balance; Redis is still to be told that so much of its unposted is gone.
    Decided(Money),
    Finished,
}

/// The one that holds the lock: what it remembers besides Postgres.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Desk {
    pub fence: u8,
    /// What it read to load the account: balance, sequence of the last credit, what the limit's rollup says.
    pub read: Option<(Money, u8, Money)>,
    /// What was collected for the entry that comes next, and for the withdrawal.
    pub collected: [Option<Money>; REQUESTS + 1],
    /// In an era that opens: everyone has declared or was given up.
    pub waited: bool,
    /// Holds that the era before still showed: start, request, what is charged if it is abandoned.
    pub left: Vec<(u8, u8, Money)>,
    /// Starts that held money in it.
    pub known: u8,
    /// An entry that a superseded desk would still commit.
    pub superseded: Option<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Proxy {
    pub life: Life,
    /// Which start of it this is.
    pub start: u8,
    pub reach: Reach,
    /// The era that it knows.
    pub era: u8,
    /// Has declared in it, or began in it.
    pub declared: bool,
    /// Was told that this start holds no more.
    pub dead: bool,
    /// What the start before it left was released.
    pub buried: bool,
    /// Could not beat for a while.
    pub silent: bool,
    /// The number of the last settle batch that was answered.
    pub settled: u8,
    /// Requests of a batch that may have been taken.
    pub flight: u8,
    /// The number of the last beat that was sent.
    pub beats: u8,
    pub lease: Lease,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Life {
    #[default]
    Alive,
    /// Killed; its spool is still there.
    Down,
    /// Killed; its spool is gone too.
    Lost,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Reach {
    #[default]
    Redis,
    /// Still speaks to the old primary.
    Old,
    /// Cannot reach Redis.
    None,
    /// … for so long that it spends no lease any more.
    Expired,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Lease {
    #[default]
    Never,
    /// Asked for, without an answer.
    Asked,
    /// Credits and limit that no request has taken.
    Open(Money, Money),
    /// Given back but for the parts that requests have.
    Closed,
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Request {
    pub at: At,
    pub proxy: u8,
    /// Its proxy's start that took its hold.
    pub start: u8,
    /// What it may cost: its own hold, or its part of the lease.
    pub amount: Money,
    /// Whether that is a part of the lease.
    pub part: bool,
    pub step: u8,
    /// What is due, once it is over.
    pub charge: Money,
    /// Whether that is only what a replayed spool could say.
    pub abandoned: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum At {
    /// Not asked yet, or not carried out.
    Idle,
    /// A hold was asked for, without an answer.
    Asked,
    /// Answered with a refusal.
    Refused,
    /// Its provider was called.
    Held,
    /// Closed in the spool.
    Closed,
    /// In the stream, under this entry.
    Sent(u8),
    /// Out of the spool.
    Acknowledged,
    /// Its proxy is dead, and its spool with it.
    Lost,
}

/// What has gone wrong so far, as far as it changes what may be expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Harm {
    pub faults: u8,
    /// An era was opened without a proxy that lives.
    pub hasty: bool,
    /// Starts whose holds were ended for them, as a set.
    pub reaped: u8,
    /// Somebody was refused what a lease could have given back.
    pub refused_what_was_leased: bool,
    /// A part was taken of a lease that had been ended.
    pub spent_too_long: bool,
    /// A start was taken for dead that had beaten since.
    pub buried_alive: bool,
}

impl World {
    pub(crate) fn of(scene: &Scene) -> Self {
        let mut requests = [Request {
            at: At::Refused,
            proxy: u8::MAX,
            start: 0,
            amount: 0,
            part: false,
            step: 0,
            charge: 0,
            abandoned: false,
        }; REQUESTS];
        for (request, plan) in requests.iter_mut().zip(scene.requests) {
            (request.at, request.proxy) = (At::Idle, plan.proxy);
        }
        let proxy = Proxy { era: 1, declared: true, ..Proxy::default() };
        let mut redis = Redis { era: 1, ..Redis::default() };
        redis.counter.limit = scene.limit;
        redis.account.loaded = true;
        redis.account.free = scene.balance;
        Self {
            redis,
            phase: Phase::Open,
            doomed: None,
            old: None,
            ledger: Ledger {
                balance: scene.balance,
                rows: [None; REQUESTS],
                position: 0,
                pending: None,
                top_up: if scene.arrives > 0 { TopUp::Expected } else { TopUp::Told },
                withdrawal: if scene.leaves > 0 { Withdrawal::Requested } else { Withdrawal::Finished },
                withdrawn: 0,
            },
            desk: Desk::default(),
            late: Vec::new(),
            proxies: [proxy.clone(), proxy],
            requests,
            harm: Harm::default(),
        }
    }

    /// The start that speaks for a proxy.
    pub(crate) fn start(&self, proxy: usize) -> u8 {
        (proxy * 2) as u8 + self.proxies[proxy].start
    }

    /// Starts that Redis knows to hold something, as a set.
    pub(crate) fn watched(&self) -> u8 {
        let starts = self.redis.starts.iter().enumerate();
        starts.filter(|(_, start)| start.beat.is_some()).fold(0, |known, (start, _)| known | 1 << start)
    }
}
