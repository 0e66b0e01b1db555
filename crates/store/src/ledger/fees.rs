//! Corrections between the operator's own purses: what he keeps of payments goes with them when they are
//! given back or taken back, and what providers bill may have been rated wrong. No customer's money moves
//! here.

use std::collections::BTreeSet;

use model::AccountId;
use model::money::Nanos;
use sqlx::PgConnection;
use uuid::Uuid;

use super::arrivals::posted;
use super::books::Books;
use super::{Cause, LedgerError, OperatorPurse, Posting, Purse};
use crate::StoreError;

/// Adds to what the operator keeps of an account's payments, or takes from it what is below zero.
pub async fn correct_fee(
    tx: &mut PgConnection,
    account: AccountId,
    change: Nanos,
    cause: &Cause,
    description: &str,
) -> Result<Option<Posting>, LedgerError> {
    let (clearing, fees) = (OperatorPurse::PaymentsClearing, OperatorPurse::Fees);
    between(tx, account, (clearing, fees), change, cause, description).await
}

/// Adds to what providers bill for an account's requests, or takes from it what is below zero.
pub async fn correct_provider_cost(
    tx: &mut PgConnection,
    account: AccountId,
    change: Nanos,
    cause: &Cause,
    description: &str,
) -> Result<Option<Posting>, LedgerError> {
    let (revenue, provider_cost) = (OperatorPurse::Revenue, OperatorPurse::ProviderCost);
    between(tx, account, (revenue, provider_cost), change, cause, description).await
}

/// Moves money from one of the operator's purses to the other, or back what is below zero.
async fn between(
    tx: &mut PgConnection,
    account: AccountId,
    (from, to): (OperatorPurse, OperatorPurse),
    change: Nanos,
    cause: &Cause,
    description: &str,
) -> Result<Option<Posting>, LedgerError> {
    if change == Nanos::ZERO {
        return Ok(None);
    }
    let (from, to) = (from.beside(account), to.beside(account));
    let mut books = Books::open(tx, &BTreeSet::from([Purse::Credits(account), from, to])).await?;
    if let Some(before) = posted(tx, account, cause).await? {
        return Ok(Some(before));
    }
    let transfer = if change > Nanos::ZERO { (from, to, change) } else { (to, from, -change) };
    let transaction = books.post(account, cause.clone(), description, &[transfer]);
    books.write(tx).await?;
    Ok(Some(Posting { transaction, amount: Nanos::ZERO, repeated: false }))
}

/// How much a transaction moved in all.
pub async fn moved(tx: &mut PgConnection, transaction: Uuid) -> Result<Nanos, StoreError> {
    let moved = sqlx::query_scalar(
        "select coalesce(sum(amount), 0)::bigint from ledger_transfers where transaction_id = $1",
    );
    Ok(Nanos(moved.bind(transaction).fetch_one(tx).await?))
}
