//! Logs: usage records as a gateway's owner sees them. He may annotate and hide a log; the record
//! stays.

mod filter;
mod query;

use model::id::GatewayInternalId;
use serde_json::Value;
use sqlx::{Postgres, QueryBuilder};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Store, StoreError};

pub use filter::{Filter, InvalidFilter, Key, Operator};
pub use query::{Direction, LogQuery, OrderBy};

/// Lists are counted, and their statistics taken, up to so many logs.
pub const COUNTED: i64 = 100_000;

/// One log. The names are those of the view `logs`.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
#[expect(missing_docs, reason = "the usage record and the log in the API say what each is")]
pub struct Log {
    pub id: Uuid,
    pub request_id: Uuid,
    pub created_at: OffsetDateTime,
    pub provider: String,
    pub model: String,
    pub model_served: String,
    pub request_type: String,
    pub model_type: String,
    pub method: String,
    pub path: String,
    pub streamed: bool,
    pub step: i32,
    pub attempt: i32,
    pub status_code: i32,
    pub success: bool,
    pub cached: bool,
    pub outcome: String,
    pub error_code: i64,
    pub cause: String,
    pub tokens_in: Option<i64>,
    pub tokens_out: Option<i64>,
    pub input_tokens: i64,
    pub cached_input_tokens: i64,
    pub cache_write_tokens: i64,
    pub output_tokens: i64,
    pub reasoning_tokens: i64,
    pub audio_input_tokens: i64,
    pub audio_output_tokens: i64,
    pub image_input_tokens: i64,
    pub image_output_tokens: i64,
    pub cache_write_long_tokens: i64,
    pub cached_audio_input_tokens: i64,
    pub cached_image_input_tokens: i64,
    pub units: Option<serde_json::Value>,
    pub provenance: String,
    pub price_version: String,
    pub cost_nanos: Option<i64>,
    pub paid_nanos: i64,
    pub charge_nanos: i64,
    pub custom_cost: bool,
    pub queue_time: i64,
    pub upstream_first_byte_time: i64,
    pub upstream_last_byte_time: i64,
    pub total_time: i64,
    pub own_time: i64,
    pub request_bytes: i64,
    pub response_bytes: i64,
    pub request_content_type: String,
    pub response_content_type: String,
    pub user_agent: String,
    pub event_id: String,
    pub metadata: Option<Value>,
    pub feedback: Option<f64>,
    pub score: Option<f64>,
    pub authentication: bool,
    pub key_source: Option<String>,
    pub key_alias: String,
    pub byok: bool,
    pub wholesale: bool,
    pub compatibility_mode: bool,
    pub trace_id: Option<Vec<u8>>,
    pub policy_logs: Option<Value>,
}

/// The least and the most of a list, where it has any.
#[derive(Debug, Clone, PartialEq, Default, sqlx::FromRow)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Statistics {
    pub min_cost: Option<f64>,
    pub max_cost: Option<f64>,
    pub min_tokens_in: Option<i64>,
    pub max_tokens_in: Option<i64>,
    pub min_tokens_out: Option<i64>,
    pub max_tokens_out: Option<i64>,
    pub min_total_tokens: Option<i64>,
    pub max_total_tokens: Option<i64>,
    pub min_duration: Option<f64>,
    pub max_duration: Option<f64>,
    pub min_timestamp: Option<OffsetDateTime>,
    pub max_timestamp: Option<OffsetDateTime>,
}

/// What its owner writes on a log: `None` leaves a field as it is, `Some(None)` empties it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Annotation {
    /// From −1 to 1.
    pub feedback: Option<Option<f64>>,
    /// From 0 to 100.
    pub score: Option<Option<f64>>,
    /// In place of what the caller sent.
    pub metadata: Option<Option<Value>>,
}

/// One page of a gateway's logs.
pub async fn list(
    store: &Store,
    gateway: GatewayInternalId,
    query: &LogQuery,
    limit: i64,
    offset: i64,
) -> Result<Vec<Log>, StoreError> {
    let mut sql = QueryBuilder::new("select * from logs where ");
    query.push_conditions(&mut sql, gateway);
    query.push_order(&mut sql);
    sql.push(" limit ").push_bind(limit).push(" offset ").push_bind(offset);
    Ok(sql.build_query_as().fetch_all(&store.pool).await?)
}

/// How many logs the query finds, counted up to [`COUNTED`].
pub async fn count(store: &Store, gateway: GatewayInternalId, query: &LogQuery) -> Result<i64, StoreError> {
    let mut sql = QueryBuilder::new("select count(*) from (select from logs where ");
    query.push_conditions(&mut sql, gateway);
    sql.push(" limit ").push_bind(COUNTED).push(") counted");
    Ok(sql.build_query_scalar().fetch_one(&store.pool).await?)
}

/// The least and the most among the newest [`COUNTED`] logs that the query finds.
pub async fn statistics(
    store: &Store,
    gateway: GatewayInternalId,
    query: &LogQuery,
) -> Result<Statistics, StoreError> {
    let mut sql = QueryBuilder::new(
        "select min(cost)::float8 min_cost, max(cost)::float8 max_cost,
                min(tokens_in) min_tokens_in, max(tokens_in) max_tokens_in,
                min(tokens_out) min_tokens_out, max(tokens_out) max_tokens_out,
                min(tokens) min_total_tokens, max(tokens) max_total_tokens,
                min(duration)::float8 min_duration, max(duration)::float8 max_duration,
                min(created_at) min_timestamp, max(created_at) max_timestamp
         from (select cost, tokens_in, tokens_out, tokens, duration, created_at from logs where ",
    );
    query.push_conditions(&mut sql, gateway);
    sql.push(" order by id desc limit ").push_bind(COUNTED).push(") newest");
    Ok(sql.build_query_as().fetch_one(&store.pool).await?)
}

/// One log of a gateway.
pub async fn get(store: &Store, gateway: GatewayInternalId, id: Uuid) -> Result<Option<Log>, StoreError> {
    let log = sqlx::query_as("select * from logs where gateway_id = $1 and id = $2")
        .bind(gateway.0)
        .bind(id)
        .fetch_optional(&store.pool)
        .await?;
    Ok(log)
}

/// Writes on a log. Says whether the gateway has such a log.
pub async fn annotate(
    store: &Store,
    gateway: GatewayInternalId,
    id: Uuid,
    annotation: Annotation,
) -> Result<bool, StoreError> {
    let Annotation { feedback, score, metadata } = annotation;
    let written = sqlx::query(
        "insert into log_annotations as a (id, feedback, score, metadata, metadata_replaced)
         select id, $4, $6, $8, $7 from logs where gateway_id = $1 and id = $2
         on conflict (id) do update set
             feedback = case when $3 then excluded.feedback else a.feedback end,
             score = case when $5 then excluded.score else a.score end,
             metadata = case when $7 then excluded.metadata else a.metadata end,
             metadata_replaced = a.metadata_replaced or $7,
             modified_at = now()",
    )
    .bind(gateway.0)
    .bind(id)
    .bind(feedback.is_some())
    .bind(feedback.flatten())
    .bind(score.is_some())
    .bind(score.flatten())
    .bind(metadata.is_some())
    .bind(metadata.flatten())
    .execute(&store.pool)
    .await?;
    Ok(written.rows_affected() > 0)
}

/// Hides up to `limit` logs, the first in the query's order, and says how many.
pub async fn hide(
    store: &Store,
    gateway: GatewayInternalId,
    query: &LogQuery,
    limit: i64,
) -> Result<u64, StoreError> {
    let mut sql: QueryBuilder<Postgres> =
        QueryBuilder::new("insert into log_annotations (id, hidden) select id, true from logs where ");
    query.push_conditions(&mut sql, gateway);
    query.push_order(&mut sql);
    sql.push(" limit ").push_bind(limit);
    sql.push(" on conflict (id) do update set hidden = true, modified_at = now()");
    Ok(sql.build().execute(&store.pool).await?.rows_affected())
}
