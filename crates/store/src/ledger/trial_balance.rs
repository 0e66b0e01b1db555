//! The trial balance: what all ledger accounts of a kind come to, which is nothing over all kinds.

use model::money::Nanos;
use sqlx::PgConnection;

use crate::StoreError;

/// What the ledger accounts of one kind come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Total {
    /// The kind.
    pub kind: String,
    /// How many there are.
    pub accounts: i64,
    /// Their balances.
    pub balance: Nanos,
}

/// All kinds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrialBalance {
    /// By kind, in the order of their names.
    pub kinds: Vec<Total>,
    /// Zero, or money was made up or lost.
    pub total: Nanos,
}

/// What the balances come to.
pub async fn trial_balance(connection: &mut PgConnection) -> Result<TrialBalance, StoreError> {
    let rows: Vec<(String, i64, i64)> = sqlx::query_as(
        "select kind, count(*), sum(balance)::bigint from ledger_accounts group by kind order by kind",
    )
    .fetch_all(connection)
    .await?;
    let kinds: Vec<Total> = rows
        .into_iter()
        .map(|(kind, accounts, balance)| Total { kind, accounts, balance: Nanos(balance) })
        .collect();
    let total = kinds.iter().map(|kind| kind.balance).sum();
    Ok(TrialBalance { kinds, total })
}
