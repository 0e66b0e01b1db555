//! What was used of limits on money and tokens, for a Redis that lost its counters.

use model::AccountId;
use model::usage::Measure;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Store, StoreError};

/// A count that did not change for so long is forgotten, even where a window of years goes on.
const REMEMBERED: &str = "400 days";

/// How much of a counter's window was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    /// Whose counter.
    pub account: AccountId,
    /// Its id.
    pub counter: String,
    /// What it counts.
    pub measure: Measure,
    /// The number of its window.
    pub window: i64,
    /// How much: nano-dollars or tokens.
    pub amount: i64,
}

/// Adds to what was used. A counter's window may stand in the list once. A sum that Postgres cannot write
/// is its bound: whoever counts like that must not hold up all others.
pub async fn add_used(tx: &mut PgConnection, used: &[Used]) -> Result<(), StoreError> {
    if used.is_empty() {
        return Ok(());
    }
    let (mut accounts, mut counters, mut measures, mut windows, mut amounts) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for Used { account, counter, measure, window, amount } in used {
        accounts.push(account.0);
        counters.push(counter.as_str());
        measures.push(measure.as_str());
        windows.push(*window);
        amounts.push(*amount);
    }
    sqlx::query(
        "insert into spend_rollups as s (account_id, counter, measure, window_number, value)
         select * from unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::bigint[])
         on conflict (account_id, counter, measure, window_number)
         do update set changed_at = now(), value = greatest(-9223372036854775808,
             least(9223372036854775807, s.value::numeric + excluded.value))::bigint",
    )
    .bind(accounts)
    .bind(counters)
    .bind(measures)
    .bind(windows)
    .bind(amounts)
    .execute(tx)
    .await?;
    Ok(())
}

/// What these accounts used in the newest window of each counter and in the one before.
pub async fn used(connection: &mut PgConnection, accounts: &[AccountId]) -> Result<Vec<Used>, StoreError> {
    let ids: Vec<Uuid> = accounts.iter().map(|account| account.0).collect();
    let rows: Vec<(Uuid, String, String, i64, i64)> = sqlx::query_as(
        "select account_id, counter, measure, window_number, value from (
             select *, max(window_number) over (partition by account_id, counter, measure) newest
             from spend_rollups where account_id = any($1)
         ) r where window_number >= newest - 1 order by account_id, counter, measure, window_number",
    )
    .bind(ids)
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(account, counter, measure, window, amount)| {
            let measure = Measure::from_word(&measure).ok_or(StoreError::Unreadable("measure"))?;
            Ok(Used { account: AccountId(account), counter, measure, window, amount })
        })
        .collect()
}

/// Forgets windows that no limit looks at any more.
pub async fn prune_used(store: &Store) -> Result<u64, StoreError> {
    let pruned = sqlx::query(
        "delete from spend_rollups r
         where r.changed_at < now() - $1::interval
            or exists (select from spend_rollups n
                       where n.account_id = r.account_id and n.counter = r.counter and n.measure = r.measure
                         and n.window_number > r.window_number + 1)",
    )
    .bind(REMEMBERED)
    .execute(&store.pool)
    .await?;
    Ok(pruned.rows_affected())
}
