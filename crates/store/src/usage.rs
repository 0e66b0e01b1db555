//! Usage records: written once, recognised by their id when they come again, never changed.

mod columns;

use model::Shard;
use model::money::Nanos;
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

/// A record with the transaction that posted its charge.
#[derive(Debug, Clone, Copy)]
pub struct Posted<'a> {
    /// As it is to be kept, with all that was paid of it.
    pub record: &'a UsageRecord,
    /// `None` where no money moved.
    pub transaction: Option<Uuid>,
}

/// A record that is there already, and what of it can still matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The record.
    pub id: Uuid,
    /// Whether it says that the request was given up.
    pub abandoned: bool,
    /// Whether a real record has followed.
    pub corrected: bool,
    /// What was due.
    pub charge: Nanos,
    /// What was paid of it.
    pub paid: Nanos,
    /// What the provider bills, if that was known.
    pub cost: Option<Nanos>,
    /// Whether that was by prices that are not the provider's.
    pub custom_cost: bool,
    /// Millionths that the charge has over the cost.
    pub markup_ppm: i64,
    /// All tokens that were counted.
    pub tokens: i64,
    /// The transaction that posted the charge.
    pub transaction: Option<Uuid>,
}

#[derive(sqlx::FromRow)]
struct KnownRow {
    id: Uuid,
    abandoned: bool,
    corrected: bool,
    charge: i64,
    paid: i64,
    cost: Option<i64>,
    custom_cost: bool,
    markup_ppm: i64,
    tokens: i64,
    transaction_id: Option<Uuid>,
}

/// Writes a batch in which no money moves. A record whose id is there already is passed over, unless it
/// is the real one of a request that had been given up. The days must have been ensured.
pub async fn insert(tx: &mut PgConnection, records: &[UsageRecord]) -> Result<Inserted, StoreError> {
    let posted: Vec<Posted<'_>> = records.iter().map(|record| Posted { record, transaction: None }).collect();
    let new = insert_new(tx, &posted).await?.len() as u64;
    let real: Vec<Posted<'_>> =
        posted.into_iter().filter(|posted| posted.record.outcome != Outcome::Abandoned).collect();
    let mut inserted = Inserted { new, corrected: 0 };
    if new < records.len() as u64 {
        inserted.corrected = insert_corrections(tx, &real).await?.len() as u64;
    }
    Ok(inserted)
}

/// Writes what is new of a batch, and says which records that is.
pub async fn insert_new(tx: &mut PgConnection, records: &[Posted<'_>]) -> Result<Vec<Uuid>, StoreError> {
    if records.is_empty() {
        return Ok(Vec::new());
    }
    let query = sqlx::query_scalar(AssertSqlSafe(columns::insert_new()));
    Ok(Columns::of(records.iter().copied()).bind(query).fetch_all(tx).await?)
}

/// Writes the real records of requests that had been posted as abandoned, each once, and says which
/// those are.
pub async fn insert_corrections(
    tx: &mut PgConnection,
    records: &[Posted<'_>],
) -> Result<Vec<Uuid>, StoreError> {
    if records.is_empty() {
        return Ok(Vec::new());
    }
    let query = sqlx::query_scalar(AssertSqlSafe(columns::insert_corrections()));
    Ok(Columns::of(records.iter().copied()).bind(query).fetch_all(tx).await?)
}

/// Which of these records are there, as they were first posted.
pub async fn known(connection: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Known>, StoreError> {
    let (Some(first), Some(last)) = (ids.iter().min(), ids.iter().max()) else { return Ok(Vec::new()) };
    // The bounds let Postgres leave out all days in which none of them can be.
    let rows: Vec<KnownRow> = sqlx::query_as(
        "select r.id, r.outcome = 'abandoned' abandoned, c.id is not null corrected, r.charge, r.paid, r.cost,
                r.custom_cost, r.markup_ppm, r.transaction_id,
                least(9223372036854775807, r.input_tokens::numeric + r.cached_input_tokens + r.cache_write_tokens + r.cache_write_long_tokens
                + r.output_tokens + r.reasoning_tokens + r.audio_input_tokens + r.cached_audio_input_tokens
                + r.audio_output_tokens + r.image_input_tokens + r.cached_image_input_tokens
                + r.image_output_tokens)::bigint tokens
         from usage_records r left join usage_corrections c on c.id = r.id
         where r.id = any($1) and r.id >= $2 and r.id <= $3",
    )
    .bind(ids)
    .bind(first)
    .bind(last)
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(Known::of).collect())
}

impl Known {
    fn of(row: KnownRow) -> Self {
        let KnownRow {
            id,
            abandoned,
            corrected,
            charge,
            paid,
            cost,
            custom_cost,
            markup_ppm,
            tokens,
            transaction_id,
        } = row;
        Self {
            id,
            abandoned,
            corrected,
            charge: Nanos(charge),
            paid: Nanos(paid),
            cost: cost.map(Nanos),
            custom_cost,
            markup_ppm,
            tokens,
            transaction: transaction_id,
        }
    }
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
