//! Usage records: written once, recognised by their id when they come again, never changed.

mod columns;

use model::Shard;
use model::usage::{Outcome, UsageRecord};
use sqlx::{AssertSqlSafe, PgConnection};
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use crate::{Store, StoreError};
use columns::Columns;

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Inserted {
    /// Records that were new.
    pub new: u64,
    /// Real records of requests that had been posted as abandoned.
    pub corrected: u64,
}

/// Writes a batch. A record whose id is there already is passed over, unless it is the real one of a
/// request that had been given up. The days must have been ensured.
pub async fn insert(tx: &mut PgConnection, records: &[UsageRecord]) -> Result<Inserted, StoreError> {
    let mut inserted = Inserted::default();
    if records.is_empty() {
        return Ok(inserted);
    }
    let columns = Columns::of(records);
    let insert = AssertSqlSafe(columns::insert_new());
    inserted.new = columns.bind(sqlx::query(insert)).execute(&mut *tx).await?.rows_affected();
    let real = |record: &&UsageRecord| record.outcome != Outcome::Abandoned;
    if inserted.new < records.len() as u64 && records.iter().any(|record| real(&record)) {
        let columns = Columns::of(records.iter().filter(real));
        let correct = AssertSqlSafe(columns::insert_corrections());
        inserted.corrected = columns.bind(sqlx::query(correct)).execute(&mut *tx).await?.rows_affected();
    }
    Ok(inserted)
}

/// The UTC day into whose partition an id falls; `None` if it is no UUIDv7.
pub fn day(id: Uuid) -> Option<Date> {
    if id.get_version_num() != 7 {
        return None;
    }
    let milliseconds = id.as_u128() >> 80;
    let seconds = i64::try_from(milliseconds / 1000).ok()?;
    Some(OffsetDateTime::from_unix_timestamp(seconds).ok()?.date())
}

/// Makes sure that records of this day have a place.
pub async fn ensure_day(store: &Store, day: Date) -> Result<(), StoreError> {
    sqlx::query("select ensure_usage_day($1)").bind(day).execute(&store.pool).await?;
    Ok(())
}

/// Keeps for people what arrived and could not be read or written.
pub async fn keep_unreadable(
    tx: &mut PgConnection,
    shard: Shard,
    era: u64,
    position: &str,
    body: &[u8],
    reason: &str,
) -> Result<(), StoreError> {
    sqlx::query(
        "insert into usage_unreadable (shard, era, position, body, reason) values ($1, $2, $3, $4, $5)",
    )
    .bind(i16::from(shard.0))
    .bind(i64::try_from(era).unwrap_or(i64::MAX))
    .bind(position)
    .bind(body)
    .bind(reason)
    .execute(tx)
    .await?;
    Ok(())
}
