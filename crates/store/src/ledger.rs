//! The ledger: money moves between named accounts by transfers that are never changed. Whatever moves a
//! customer's money holds the lock on the row of his credits until it is committed.
//!
//! Money that arrives is written together with an entry of an outbox, from which the desk tells Redis;
//! money that leaves is asked for and given by the desk, after it was set aside in Redis. Usage is posted
//! by the desk, in batches.

mod arrivals;
mod balance;
mod books;
mod charges;
mod check;
mod fees;
mod mirror;
mod outbox;
mod purse;
mod rollups;
mod statement;
mod trial_balance;
mod withdrawals;

pub use arrivals::{Gift, Source, deposit, gifts, grant_promotion, settle_owed};
pub use balance::{Balance, Promotion, Standing, balance, loads, promotions, standings};
pub use charges::{Before, Charged, Claim, charge};
pub use check::{Check, Finding, check};
pub use fees::{correct_fee, correct_provider_cost, moved};
pub use mirror::{Mirrored, MirroredShard, mirrored};
pub use outbox::{CHANNEL, Credit, LedgerListener, acknowledge_credits, unacknowledged_credits};
pub use purse::{OperatorPurse, Purse};
pub use rollups::{Used, add_used, prune_used, used};
pub use statement::{Line, Sign, Statement, Transfer, statement, transfers};
pub use trial_balance::{Total, TrialBalance, trial_balance};
pub use withdrawals::{
    Decision, Destination, Missing, State, Withdrawal, Withdrawn, decide_withdrawal, finish_withdrawal,
    open_withdrawals, request_withdrawal, withdrawal,
};

use model::money::Nanos;
use uuid::Uuid;

use crate::StoreError;

/// The most that the credits and promotions of one account may come to: beyond it Redis could not count
/// to the nano-dollar.
pub const MAXIMUM: Nanos = Nanos(4_000_000_000_000_000);

macro_rules! cause_kinds {
    ($($(#[$doc:meta])* $variant:ident = $word:literal,)*) => {
        /// What kind of thing moves money.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum CauseKind { $($(#[$doc])* $variant,)* }

        impl CauseKind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// As written in the database and the API.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// Reads what `as_str` wrote.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

cause_kinds! {
    /// Requests that were served on credits.
    Usage = "usage",
    /// The real record of a request that had been given up.
    Correction = "correction",
    /// A payment, by card for instance.
    Payment = "payment",
    /// A payment that we gave back.
    Refund = "refund",
    /// A payment that was taken back from us.
    Reversal = "reversal",
    /// Credits that the operator gave.
    Grant = "grant",
    /// Credits for a voucher.
    Voucher = "voucher",
    /// Credits that expire.
    Promotion = "promotion",
    /// The end of such credits.
    Expiry = "expiry",
    /// Credits that the operator took.
    Debit = "debit",
    /// A price that was corrected.
    Rerating = "rerating",
    /// What providers bill, by a price that was corrected.
    ProviderRerating = "provider_rerating",
    /// A debt that is given up.
    WriteOff = "write_off",
}

/// Why money moves. The same cause never moves it twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// What kind of thing it is.
    pub kind: CauseKind,
    /// Which of its kind, such as the payment's id; not empty.
    pub id: String,
}

impl Cause {
    /// This cause.
    pub fn new(kind: CauseKind, id: impl Into<String>) -> Self {
        Self { kind, id: id.into() }
    }
}

/// What a cause did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Posting {
    /// The transaction that it is.
    pub transaction: Uuid,
    /// By how much the customer's credits and promotions grew.
    pub amount: Nanos,
    /// Whether it had been posted before, and nothing happened now.
    pub repeated: bool,
}

/// Money that cannot be moved.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Postgres said no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no such account.
    #[error("there is no such account")]
    UnknownAccount,
    /// Amounts are above zero.
    #[error("an amount of money that moves is above zero")]
    NotPositive,
    /// The account would have more than Redis can count.
    #[error("an account holds at most {} dollars", MAXIMUM)]
    TooMuch,
    /// Another account's money was moved by the same cause.
    #[error("the same cause has moved another account's money")]
    AnotherAccounts,
}

impl From<sqlx::Error> for LedgerError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}
