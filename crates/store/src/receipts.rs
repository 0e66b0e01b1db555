//! What a receipt is made of: a usage record as it is known today, with the transaction that its
//! charge is in.

use model::id::{GatewayInternalId, PriceRuleId};
use model::usage::{Tokens, Unit};
use model::{AccountId, Nanos};
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Store, StoreError};

/// The evidence of one request.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// The record's id.
    pub id: Uuid,
    /// Whose request it was.
    pub account: AccountId,
    /// What its gateway was called then.
    pub gateway: String,
    /// When it came.
    pub at: OffsetDateTime,
    /// Who served it.
    pub provider: String,
    /// As the caller wrote it.
    pub model_asked: String,
    /// As the provider named it.
    pub model_served: String,
    /// The operation.
    pub endpoint: String,
    /// How it ended.
    pub outcome: String,
    /// What the caller was told.
    pub status: i32,
    /// `request`, `stored_key` or `credits`.
    pub key_source: Option<String>,
    /// What was used.
    pub tokens: Tokens,
    /// What was used beside tokens.
    pub units: Vec<Unit>,
    /// Who counted.
    pub provenance: String,
    /// The price catalogue's version, or the rule that stood in its place.
    pub price_version: String,
    /// The name that was rated by.
    pub price_model: String,
    /// Empty for the regular price list.
    pub tier: String,
    /// Whether the cost is by prices of the caller or the account.
    pub custom_cost: bool,
    /// What the provider bills.
    pub cost: Option<Nanos>,
    /// Millionths added to it.
    pub markup_ppm: i64,
    /// What was due from credits.
    pub charge: Nanos,
    /// What was taken.
    pub paid: Nanos,
    /// What had been set aside.
    pub hold: Option<Nanos>,
    /// The least of it that would have been charged.
    pub hold_floor: Option<Nanos>,
    /// Where in the ledger it is.
    pub transaction: Option<Uuid>,
    /// Whether the request had been given up before its real end was known.
    pub corrected: bool,
    /// When it was posted first.
    pub posted_at: OffsetDateTime,
}

#[derive(sqlx::FromRow)]
pub(crate) struct Row {
    id: Uuid,
    account_id: Uuid,
    gateway_slug: String,
    provider: String,
    model_asked: String,
    model_served: String,
    endpoint: String,
    outcome: String,
    status: i32,
    key_source: Option<String>,
    input_tokens: i64,
    cached_input_tokens: i64,
    cache_write_tokens: i64,
    cache_write_long_tokens: i64,
    output_tokens: i64,
    reasoning_tokens: i64,
    audio_input_tokens: i64,
    cached_audio_input_tokens: i64,
    audio_output_tokens: i64,
    image_input_tokens: i64,
    cached_image_input_tokens: i64,
    image_output_tokens: i64,
    units: Option<Value>,
    provenance: String,
    price_version: String,
    price_model: String,
    tier: String,
    custom_cost: bool,
    cost: Option<i64>,
    markup_ppm: i64,
    charge: i64,
    paid: i64,
    hold: Option<i64>,
    hold_floor: Option<i64>,
    transaction_id: Option<Uuid>,
    corrected: bool,
    posted_at: OffsetDateTime,
}

impl From<Row> for Evidence {
    fn from(row: Row) -> Self {
        let number = |stored: i64| u64::try_from(stored).unwrap_or(0);
        Self {
            tokens: Tokens {
                input: number(row.input_tokens),
                cached_input: number(row.cached_input_tokens),
                cache_write: number(row.cache_write_tokens),
                cache_write_long: number(row.cache_write_long_tokens),
                output: number(row.output_tokens),
                reasoning: number(row.reasoning_tokens),
                audio_input: number(row.audio_input_tokens),
                cached_audio_input: number(row.cached_audio_input_tokens),
                audio_output: number(row.audio_output_tokens),
                image_input: number(row.image_input_tokens),
                cached_image_input: number(row.cached_image_input_tokens),
                image_output: number(row.image_output_tokens),
            },
            units: units(row.units),
            id: row.id,
            account: AccountId(row.account_id),
            gateway: row.gateway_slug,
            at: arrival(row.id),
            provider: row.provider,
            model_asked: row.model_asked,
            model_served: row.model_served,
            endpoint: row.endpoint,
            outcome: row.outcome,
            status: row.status,
            key_source: row.key_source,
            provenance: row.provenance,
            price_version: row.price_version,
            price_model: row.price_model,
            tier: row.tier,
            custom_cost: row.custom_cost,
            cost: row.cost.map(Nanos),
            markup_ppm: row.markup_ppm,
            charge: Nanos(row.charge),
            paid: Nanos(row.paid),
            hold: row.hold.map(Nanos),
            hold_floor: row.hold_floor.map(Nanos),
            transaction: row.transaction_id,
            corrected: row.corrected,
            posted_at: row.posted_at,
        }
    }
}

/// The time in a UUIDv7.
fn arrival(id: Uuid) -> OffsetDateTime {
    let milliseconds = i128::try_from(id.as_u128() >> 80).unwrap_or_default();
    let at = OffsetDateTime::from_unix_timestamp_nanos(milliseconds * 1_000_000);
    at.unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// Quantities by name, as they are kept.
fn units(stored: Option<Value>) -> Vec<Unit> {
    let Some(Value::Object(stored)) = stored else { return Vec::new() };
    let unit = |(name, quantity): (String, Value)| Some(Unit { name, quantity: quantity.as_u64()? });
    stored.into_iter().filter_map(unit).collect()
}

/// All columns of [`Row`], from the known records: a correction stands in for the row that it corrects,
/// with all that was paid.
pub(crate) const COLUMNS: &str = "u.id, u.account_id, u.gateway_slug, u.provider, u.model_asked,
    u.model_served, u.endpoint, u.outcome, u.status, u.key_source, u.input_tokens, u.cached_input_tokens,
    u.cache_write_tokens, u.cache_write_long_tokens, u.output_tokens, u.reasoning_tokens, u.audio_input_tokens,
    u.cached_audio_input_tokens, u.audio_output_tokens, u.image_input_tokens, u.cached_image_input_tokens,
    u.image_output_tokens, u.units, u.provenance, u.price_version, u.price_model, u.tier, u.custom_cost, u.cost,
    u.markup_ppm, u.charge, u.paid, u.hold, u.hold_floor, u.transaction_id, c.id is not null as corrected,
    u.posted_at";

/// The evidence of a request of this gateway, whether or not its log is hidden.
pub async fn evidence(
    store: &Store,
    gateway: GatewayInternalId,
    id: Uuid,
) -> Result<Option<Evidence>, StoreError> {
    let row: Option<Row> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from usage_known u left join usage_corrections c on c.id = u.id
         where u.id = $1 and u.gateway_id = $2"
    )))
    .bind(id)
    .bind(gateway.0)
    .fetch_optional(&store.pool)
    .await?;
    Ok(row.map(Evidence::from))
}

/// What a price rule said at a moment.
pub async fn rule_then(
    store: &Store,
    rule: PriceRuleId,
    at: OffsetDateTime,
) -> Result<Option<Value>, StoreError> {
    // A record may have been rated by a rule's first version a moment before its row was written.
    Ok(sqlx::query_scalar(
        "select rule from price_rule_versions where rule_id = $1 order by at <= $2 desc, abs(extract(epoch from at - $2))
         limit 1",
    )
    .bind(rule.0)
    .bind(at)
    .fetch_optional(&store.pool)
    .await?)
}

/// A correction of a request's price.
#[derive(Debug, Clone)]
pub struct Rerated {
    /// The re-rating.
    pub rerating: Uuid,
    /// What the statement says of it.
    pub description: String,
    /// When it was posted.
    pub posted_at: OffsetDateTime,
    /// What the request cost by the price as it should have been.
    pub cost: Nanos,
    /// What the customer paid more for it; below zero for what was given back.
    pub due: Nanos,
    /// The account's transaction, where anything was due in it.
    pub transaction: Option<Uuid>,
}

/// Every correction of a request's price that was posted, the oldest first.
pub async fn rerated(store: &Store, record: Uuid) -> Result<Vec<Rerated>, StoreError> {
    let rows: Vec<(Uuid, String, OffsetDateTime, i64, i64, Option<Uuid>)> = sqlx::query_as(
        "select r.id, r.description, r.posted_at, m.cost_after, m.due, x.id
         from rerated_records m
         join reratings r on r.id = m.rerating_id
         left join ledger_transactions x on x.cause_kind = 'rerating'
             and x.cause_id = r.id::text || ':' || replace(m.account_id::text, '-', '')
         where m.record_id = $1 and r.posted_at is not null order by r.posted_at, r.id",
    )
    .bind(record)
    .fetch_all(&store.pool)
    .await?;
    let rerated = |(rerating, description, posted_at, cost, due, transaction)| Rerated {
        rerating,
        description,
        posted_at,
        cost: Nanos(cost),
        due: Nanos(due),
        transaction,
    };
    Ok(rows.into_iter().map(rerated).collect())
}
