//! What proxies and desks ask of Redis, and what it answers: the arguments of the scripts, without
//! their wire form.

use crate::redis::Redis;
use crate::scene::{Money, REQUESTS, STARTS};

/// One call of one script.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Call {
    Hold {
        start: u8,
        request: u8,
        amount: Money,
        floor: Money,
    },
    Lease {
        start: u8,
        amount: Money,
        least: Money,
    },
    Extend {
        start: u8,
        request: u8,
        more: Money,
        reported: Money,
        carve: Option<Money>,
        floor: Money,
        next: u8,
    },
    Settle {
        start: u8,
        number: u8,
        records: Vec<Settled>,
    },
    Beat {
        start: u8,
        number: u8,
        reports: Vec<(u8, Money)>,
        lease: Option<GiveBack>,
        names: u8,
    },
    Bury {
        start: u8,
    },
    Declare {
        start: u8,
        holds: Vec<Declared>,
    },
    Reap {
        fence: u8,
        start: u8,
        beat: u8,
    },
    Collect {
        fence: u8,
        position: u8,
        id: u8,
        missing: Money,
    },
    Posted {
        fence: u8,
        position: u8,
        unposted: Money,
        back: Money,
        counted: Money,
        uncounted: Money,
        ids: u8,
    },
    Credit {
        fence: u8,
        amount: Money,
        sequence: u8,
    },
    Load {
        fence: u8,
        position: u8,
        balance: Money,
        sequence: u8,
        counted: Money,
    },
    Withdrawn {
        fence: u8,
        back: Money,
    },
}

/// A record as `settle` sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Settled {
    pub request: u8,
    /// The start that took its hold.
    pub start: u8,
    pub charge: Money,
    /// What it had of the lease, if it had not a hold of its own.
    pub part: Option<Money>,
    pub abandoned: bool,
}

/// What a beat says of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct GiveBack {
    pub credits: Money,
    pub reserved: Money,
    /// Nobody has a part of it any more; otherwise it is closed and waits for the parts.
    pub ends: bool,
}

/// An open hold, as it is declared in a new era.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Declared {
    pub request: u8,
    pub amount: Money,
    pub floor: Money,
    pub step: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Answer {
    /// What the hold comes to, and what it has reserved of the limit.
    Granted(Money, Money),
    Cold,
    NoCredits,
    NoLimit,
    /// Leases are recalled.
    Wait,
    Dead,
    TooSmall,
    /// Neither such a hold nor such a lease.
    Nothing,
    Entry(u8),
    Gap,
    Taken(Money),
    Done,
    /// Nothing moved, because that was done, or is not to be done any more.
    Unmoved,
    Fenced,
}

/// A call whose caller has given up on it, and which takes effect all the same, at any later time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Late {
    pub era: u8,
    pub call: Call,
}

impl Call {
    /// Whether the script is known while an era is being opened.
    pub(crate) fn ends_things(&self) -> bool {
        !matches!(
            self,
            Self::Hold { .. }
                | Self::Lease { .. }
                | Self::Extend { .. }
                | Self::Credit { .. }
                | Self::Reap { .. }
        )
    }
}

impl Call {
    /// As it will be when it arrives late. A beat only releases what is older than 30 seconds, and within
    /// so long another has come and made it void: so it cannot release what is not there yet.
    pub(crate) fn delayed(mut self, redis: &Redis) -> Self {
        if let Self::Beat { start, names, .. } = &mut self {
            for place in (0..REQUESTS).filter(|place| redis.holds[*place].is_none()) {
                *names |= 1 << place;
            }
            if redis.holds[lease_place(*start)].is_none() {
                *names |= 1 << REQUESTS;
            }
        }
        self
    }
}

/// The place of a start's lease among the names of a beat.
pub(crate) fn lease_place(start: u8) -> usize {
    REQUESTS + usize::from(start) % STARTS
}
