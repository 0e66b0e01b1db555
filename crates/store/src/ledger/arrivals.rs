//! Money that arrives: payments, grants, promotions, and what is paid of a debt.

use std::collections::BTreeSet;

use model::AccountId;
use model::money::Nanos;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::books::Books;
use super::withdrawals::schedule_expiry;
use super::{Cause, CauseKind, LedgerError, MAXIMUM, OperatorPurse, Posting, Purse};
use crate::StoreError;

/// Where money that arrives comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A customer paid. The fee was paid beside the amount and is the operator's.
    Payment {
        /// What the operator keeps.
        fee: Nanos,
    },
    /// The operator gives it, as he does with grants and vouchers.
    Adjustment,
    /// He had been charged too much.
    Revenue,
    /// The operator gives up what he is owed.
    WriteOff,
}

impl Source {
    fn purse(self) -> OperatorPurse {
        match self {
            Self::Payment { .. } => OperatorPurse::PaymentsClearing,
            Self::Adjustment => OperatorPurse::Adjustments,
            Self::Revenue => OperatorPurse::Revenue,
            Self::WriteOff => OperatorPurse::WriteOffs,
        }
    }

    fn fee(self) -> Nanos {
        if let Self::Payment { fee } = self { fee } else { Nanos::ZERO }
    }
}

/// Adds to an account's credits. The desk tells Redis once the transaction is committed.
pub async fn deposit(
    tx: &mut PgConnection,
    account: AccountId,
    amount: Nanos,
    from: Source,
    cause: &Cause,
    description: &str,
) -> Result<Posting, LedgerError> {
    let (mut books, before) = open(tx, account, amount, &[Purse::Credits(account)], from, cause).await?;
    if let Some(before) = before {
        return Ok(before);
    }
    if books.spendable(account) + amount > MAXIMUM {
        return Err(LedgerError::TooMuch);
    }
    let source = from.purse().beside(account);
    let transfers = [
        (source, Purse::Credits(account), amount),
        (source, OperatorPurse::Fees.beside(account), from.fee()),
    ];
    let transaction = books.post(account, cause.clone(), description, &transfers);
    books.arrived(account, amount, transaction);
    books.write(tx).await?;
    Ok(Posting { transaction, amount, repeated: false })
}

/// Gives credits that are spent before all others and expire.
pub async fn grant_promotion(
    tx: &mut PgConnection,
    account: AccountId,
    amount: Nanos,
    expires_at: OffsetDateTime,
    cause: &Cause,
    description: &str,
) -> Result<Posting, LedgerError> {
    let from = Source::Adjustment;
    let (mut books, before) = open(tx, account, amount, &[Purse::Credits(account)], from, cause).await?;
    if let Some(before) = before {
        return Ok(before);
    }
    if books.spendable(account) + amount > MAXIMUM {
        return Err(LedgerError::TooMuch);
    }
    let promotion = Purse::Promotion(account, Uuid::now_v7());
    books.open_promotion(tx, promotion, expires_at).await?;
    let transfers = [(from.purse().beside(account), promotion, amount)];
    let transaction = books.post(account, cause.clone(), description, &transfers);
    books.arrived(account, amount, transaction);
    books.write(tx).await?;
    schedule_expiry(tx, account, promotion.id(), amount, expires_at, 1).await?;
    Ok(Posting { transaction, amount, repeated: false })
}

/// Lessens what an account owes, at most to nothing. What it can spend stays as it is, so the amount in
/// the answer is zero.
pub async fn settle_owed(
    tx: &mut PgConnection,
    account: AccountId,
    amount: Nanos,
    from: Source,
    cause: &Cause,
    description: &str,
) -> Result<Posting, LedgerError> {
    let purses = [Purse::Credits(account), Purse::Receivable(account)];
    let (mut books, before) = open(tx, account, amount, &purses, from, cause).await?;
    if let Some(before) = before {
        return Ok(before);
    }
    let settled = amount.min(-books.balance(Purse::Receivable(account)));
    if settled <= Nanos::ZERO {
        return Err(LedgerError::NotPositive);
    }
    let transfers = [(from.purse().beside(account), Purse::Receivable(account), settled)];
    let transaction = books.post(account, cause.clone(), description, &transfers);
    books.write(tx).await?;
    Ok(Posting { transaction, amount: Nanos::ZERO, repeated: false })
}

/// Credits that were given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gift {
    /// As a grant, or as a promotion.
    pub kind: CauseKind,
    /// How much.
    pub amount: Nanos,
    /// What the statement says of it.
    pub description: String,
    /// Until when a promotion is good.
    pub expires_at: Option<OffsetDateTime>,
}

/// Every gift to an account under this cause's id, of whatever kind. Whoever has just given under it,
/// and so holds the lock, sees all there will be.
pub async fn gifts(tx: &mut PgConnection, account: AccountId, id: &str) -> Result<Vec<Gift>, StoreError> {
    let kinds = [CauseKind::Grant, CauseKind::Promotion];
    let rows: Vec<(String, i64, String, Option<OffsetDateTime>)> = sqlx::query_as(
        "select x.cause_kind, x.amount, x.description, a.expires_at
         from ledger_transactions x
         join ledger_transfers l on l.transaction_id = x.id
         join ledger_accounts a on a.id = l.to_account
         where x.cause_kind = any($1) and x.cause_id = $2 and x.account_id = $3",
    )
    .bind(kinds.map(CauseKind::as_str))
    .bind(id)
    .bind(account.0)
    .fetch_all(tx)
    .await?;
    let gift = |(kind, amount, description, expires_at): (String, i64, String, Option<OffsetDateTime>)| {
        let kind = CauseKind::from_word(&kind).ok_or(StoreError::Unreadable("cause"))?;
        Ok(Gift { kind, amount: Nanos(amount), description, expires_at })
    };
    rows.into_iter().map(gift).collect()
}

/// The books with what an arrival needs, or what the same cause did before.
async fn open(
    tx: &mut PgConnection,
    account: AccountId,
    amount: Nanos,
    purses: &[Purse],
    from: Source,
    cause: &Cause,
) -> Result<(Books, Option<Posting>), LedgerError> {
    if amount <= Nanos::ZERO || from.fee() < Nanos::ZERO || cause.id.is_empty() {
        return Err(LedgerError::NotPositive);
    }
    // Kept from being deleted until the money is there. Records of it stay in any case.
    let known: Option<Uuid> = sqlx::query_scalar("select id from accounts where id = $1 for key share")
        .bind(account.0)
        .fetch_optional(&mut *tx)
        .await?;
    known.ok_or(LedgerError::UnknownAccount)?;
    let mut wanted: BTreeSet<Purse> = purses.iter().copied().collect();
    wanted.insert(from.purse().beside(account));
    if from.fee() > Nanos::ZERO {
        wanted.insert(OperatorPurse::Fees.beside(account));
    }
    let books = Books::open(tx, &wanted).await?;
    // Under the lock of the credits: who repeats a cause while the first is still under way waits for it.
    let before = posted(tx, account, cause).await?;
    Ok((books, before))
}

/// What a cause did, if it did anything.
pub(super) async fn posted(
    tx: &mut PgConnection,
    account: AccountId,
    cause: &Cause,
) -> Result<Option<Posting>, LedgerError> {
    let Cause { kind, id } = cause;
    let found: Option<(Uuid, Uuid, i64)> = sqlx::query_as(
        "select id, account_id, amount from ledger_transactions where cause_kind = $1 and cause_id = $2",
    )
    .bind(kind.as_str())
    .bind(id)
    .fetch_optional(tx)
    .await?;
    match found {
        None => Ok(None),
        Some((_, of, _)) if of != account.0 => Err(LedgerError::AnotherAccounts),
        Some((transaction, _, amount)) => {
            Ok(Some(Posting { transaction, amount: Nanos(amount), repeated: true }))
        }
    }
}
