//! What a request asks for before its provider is called, and what it is told.

use std::time::Duration;

use model::Nanos;
use model::limits::Counter;
use model::usage::Measure;

use crate::protocol::calls::Needs;

/// What is to be set aside for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Of credits: a bound on what the provider will bill, with the markup. Zero on own keys.
    pub amount: Nanos,
    /// Whether credits pay. Then what is missing at the end may be taken from what is free.
    pub on_credits: bool,
    /// The least that is charged if the request is abandoned: its input.
    pub floor: Nanos,
    /// The limits that it falls under, and what to reserve of each: one call, a bound on its cost, or a
    /// bound on its tokens.
    pub counters: Vec<(Counter, i64)>,
}

impl Claim {
    /// Whether there is nothing to be set aside.
    pub(crate) fn is_empty(&self) -> bool {
        !self.on_credits && self.counters.is_empty()
    }

    /// Counts of money and tokens outlive Redis; those of calls begin anew.
    pub(crate) fn needs(&self) -> Needs {
        if self.on_credits {
            Needs::Credits
        } else if self.counters.iter().any(|(counter, _)| counter.measure != Measure::Requests) {
            Needs::Account
        } else {
            Needs::Nothing
        }
    }
}

/// A request may go on: what remains of each limit in its claim for others, for headers. On a lease it is
/// what was known when that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// In the order of the claim.
    pub remaining: Vec<i64>,
}

/// A request may not go on, or not further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The account has not enough.
    #[error("{needed} dollars of credits are needed and {free} are free")]
    Credits {
        /// What is not set aside for other requests.
        free: Nanos,
        /// What this one asked for.
        needed: Nanos,
    },
    /// A limit is reached.
    #[error("limit {index} of the claim is reached, {remaining} remain")]
    Limit {
        /// Which of the claim's counters.
        index: usize,
        /// What remains of it.
        remaining: i64,
        /// When there will be room, if nobody else takes it.
        retry_after: Duration,
    },
    /// It cannot be known now; the caller should ask again soon.
    #[error("{reason}")]
    Unavailable {
        /// Why not.
        reason: &'static str,
    },
    /// The record could not be written down, so nothing can be charged.
    #[error("the spool is full")]
    SpoolFull,
}

/// Why nothing can be set aside now.
pub(crate) mod reasons {
    pub(crate) const SILENT: &str = "Redis does not answer";
    pub(crate) const NEW_ERA: &str = "a new era is opening";
    pub(crate) const LOADING: &str = "the account is being loaded";
    pub(crate) const RECALLING: &str = "leases are being recalled";
    pub(crate) const UNSETTLED: &str = "requests that are over are still being settled";
    pub(crate) const GONE: &str = "what was set aside is gone";
    pub(crate) const FULL: &str = "Redis is short of memory";
}
