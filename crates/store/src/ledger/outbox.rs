//! Money that has arrived and that Redis has not been told of, in the order in which it arrived.

use model::AccountId;
use model::money::Nanos;
use sqlx::postgres::PgListener;
use uuid::Uuid;

use crate::{Store, StoreError};

/// Who listens here is told that money arrived or is to leave.
pub const CHANNEL: &str = "ledger";

/// A connection of its own that hears when money arrived or is to leave.
pub struct LedgerListener(PgListener);

impl LedgerListener {
    /// Begins to listen.
    pub async fn connect(store: &Store) -> Result<Self, StoreError> {
        let mut listener = PgListener::connect_with(&store.pool).await?;
        listener.listen(CHANNEL).await?;
        Ok(Self(listener))
    }

    /// Waits for the next time. A connection that was lost and is there again counts as one.
    pub async fn heard(&mut self) -> Result<(), StoreError> {
        self.0.try_recv().await?;
        Ok(())
    }
}

/// Money that arrived for an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credit {
    /// Whose it is.
    pub account: AccountId,
    /// Which of his arrivals it is, from 1.
    pub sequence: i64,
    /// How much.
    pub amount: Nanos,
}

/// One page of it, every account's in its order, after the last one of the page before.
pub async fn unacknowledged_credits(
    store: &Store,
    after: Option<(AccountId, i64)>,
    limit: i64,
) -> Result<Vec<Credit>, StoreError> {
    let (account, sequence) = after.map_or((Uuid::nil(), 0), |(account, sequence)| (account.0, sequence));
    // An account's order is that of its sequence; of different accounts any order will do.
    let rows: Vec<(Uuid, i64, i64)> = sqlx::query_as(
        "select account_id, sequence, amount from ledger_credits where (account_id, sequence) > ($1, $2)
         order by account_id, sequence limit $3",
    )
    .bind(account)
    .bind(sequence)
    .bind(limit)
    .fetch_all(&store.pool)
    .await?;
    let credit =
        |(account, sequence, amount)| Credit { account: AccountId(account), sequence, amount: Nanos(amount) };
    Ok(rows.into_iter().map(credit).collect())
}

/// Redis knows of these.
pub async fn acknowledge_credits(store: &Store, credits: &[Credit]) -> Result<(), StoreError> {
    let (accounts, sequences): (Vec<Uuid>, Vec<i64>) =
        credits.iter().map(|credit| (credit.account.0, credit.sequence)).unzip();
    sqlx::query(
        "delete from ledger_credits c using unnest($1::uuid[], $2::bigint[]) n (account_id, sequence)
         where c.account_id = n.account_id and c.sequence = n.sequence",
    )
    .bind(accounts)
    .bind(sequences)
    .execute(&store.pool)
    .await?;
    Ok(())
}
