//! Purses: what a ledger account is for, from which its id follows.

use model::{AccountId, Shard};
use uuid::Uuid;

/// A ledger account by what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purse {
    /// What a customer paid for and has not used.
    Credits(AccountId),
    /// What he was given and must use before it expires; each grant has its own.
    Promotion(AccountId, Uuid),
    /// What he owes, below zero: a payment was taken back from us that he had spent.
    Receivable(AccountId),
    /// The operator's, of which there is one per shard.
    Operator(OperatorPurse, Shard),
}

/// What the operator keeps apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OperatorPurse {
    /// What customers were charged, less what providers bill for it.
    Revenue = 1,
    /// What providers bill.
    ProviderCost = 2,
    /// Payments that came in, below zero.
    PaymentsClearing = 3,
    /// What was charged and not there, below zero: the operator's expense.
    Shortfall = 4,
    /// What the operator gave and took.
    Adjustments = 5,
    /// Debts that were given up, below zero.
    WriteOffs = 6,
    /// What the operator keeps of payments.
    Fees = 7,
}

/// Credits have the id of their account, so a debt needs another one that follows from it.
const RECEIVABLE: u128 = 0xf << 76;

impl Purse {
    /// The ledger account's id. Nobody has to look it up.
    pub fn id(self) -> Uuid {
        match self {
            Self::Credits(account) => account.0,
            Self::Promotion(_, id) => id,
            Self::Receivable(account) => Uuid::from_u128(account.0.as_u128() ^ RECEIVABLE),
            Self::Operator(purse, shard) => Uuid::from_u128((purse as u128) << 8 | u128::from(shard.0)),
        }
    }

    /// As written in the database.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Credits(_) => "credits",
            Self::Promotion(..) => "promotion",
            Self::Receivable(_) => "receivable",
            Self::Operator(purse, _) => purse.kind(),
        }
    }

    /// Whose it is; `None` for the operator's.
    pub fn account(self) -> Option<AccountId> {
        match self {
            Self::Credits(account) | Self::Promotion(account, _) | Self::Receivable(account) => Some(account),
            Self::Operator(..) => None,
        }
    }

    /// The shard that it lies in.
    pub fn shard(self) -> Shard {
        match self {
            Self::Operator(_, shard) => shard,
            Self::Credits(account) | Self::Promotion(account, _) | Self::Receivable(account) => {
                account.shard()
            }
        }
    }
}

impl OperatorPurse {
    /// As written in the database.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Revenue => "revenue",
            Self::ProviderCost => "provider_cost",
            Self::PaymentsClearing => "payments_clearing",
            Self::Shortfall => "shortfall",
            Self::Adjustments => "adjustments",
            Self::WriteOffs => "write_offs",
            Self::Fees => "fees",
        }
    }

    /// Reads what `kind` wrote.
    pub fn from_kind(kind: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|purse| purse.kind() == kind)
    }

    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::Revenue,
        Self::ProviderCost,
        Self::PaymentsClearing,
        Self::Shortfall,
        Self::Adjustments,
        Self::WriteOffs,
        Self::Fees,
    ];

    /// The one in the shard of a customer.
    pub fn beside(self, account: AccountId) -> Purse {
        Purse::Operator(self, account.shard())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_purse_has_an_id_of_its_own() {
        let account = AccountId(Uuid::from_u128(0x0194_2500_0000_7000_8000_0000_0000_0007));
        let purses = [Purse::Credits(account), Purse::Receivable(account)];
        let operators = [OperatorPurse::Revenue, OperatorPurse::Fees]
            .into_iter()
            .flat_map(|purse| Shard::all().map(move |shard| Purse::Operator(purse, shard)));
        let ids: BTreeSet<Uuid> = purses.into_iter().chain(operators).map(Purse::id).collect();
        assert_eq!(ids.len(), 2 + 2 * 256);
        // The shard stays the last byte.
        assert_eq!(Purse::Receivable(account).id().as_bytes()[15], 7);
    }
}
