//! What the operator, for all, and accounts, for themselves, say about prices.

use model::AccountId;
use model::id::PriceRuleId;
use model::prices;
use model::resource::{ResourceId, ResourceKey};
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{ConfigTx, Store, StoreError};

/// A rule as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct PriceRule {
    /// What it says, with its id.
    pub rule: prices::PriceRule,
    /// When it was created.
    pub created_at: OffsetDateTime,
    /// When it was changed last.
    pub modified_at: OffsetDateTime,
}

/// Which rules are looked for; what is absent is not asked about.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Whether they hold at all.
    pub enable: Option<bool>,
    /// How they compare names, as it is written.
    pub model_rule: Option<String>,
    /// The provider's slug.
    pub provider: Option<String>,
    /// A part of the model's or the provider's name.
    pub search: Option<String>,
}

#[derive(sqlx::FromRow)]
struct Row {
    rule: Json<prices::PriceRule>,
    created_at: OffsetDateTime,
    modified_at: OffsetDateTime,
}

impl From<Row> for PriceRule {
    fn from(row: Row) -> Self {
        let Row { rule: Json(rule), created_at, modified_at } = row;
        Self { rule, created_at, modified_at }
    }
}

/// Adds a rule of an account's, or of the operator's under [`AccountId::INSTALLATION`], unless that owner
/// has `most` already: every proxy is told of all of them.
pub async fn create(
    tx: &mut ConfigTx,
    owner: AccountId,
    rule: &prices::PriceRule,
    most: i64,
) -> Result<Option<PriceRule>, StoreError> {
    // Whoever adds one at the same time waits here, and counts this one too.
    sqlx::query("select pg_advisory_xact_lock(hashtextextended('price_rules/' || $1::text, 0))")
        .bind(owner.0)
        .execute(&mut **tx)
        .await?;
    let row: Option<Row> = sqlx::query_as(
        "insert into price_rules (id, account_id, rule) select $1, $2, $3
         where (select count(*) from price_rules where account_id is not distinct from $2) < $4
         returning rule, created_at, modified_at",
    )
    .bind(rule.id.0)
    .bind(column(owner))
    .bind(Json(rule))
    .bind(most)
    .fetch_optional(&mut **tx)
    .await?;
    if row.is_some() {
        tx.touch(key(owner, rule.id));
    }
    Ok(row.map(PriceRule::from))
}

/// Replaces what a rule says.
pub async fn update(
    tx: &mut ConfigTx,
    owner: AccountId,
    rule: &prices::PriceRule,
) -> Result<Option<PriceRule>, StoreError> {
    let row: Option<Row> = sqlx::query_as(
        "update price_rules set rule = $3, modified_at = now()
         where id = $1 and account_id is not distinct from $2
         returning rule, created_at, modified_at",
    )
    .bind(rule.id.0)
    .bind(column(owner))
    .bind(Json(rule))
    .fetch_optional(&mut **tx)
    .await?;
    tx.touch(key(owner, rule.id));
    Ok(row.map(PriceRule::from))
}

/// A rule of this owner's.
pub async fn get(store: &Store, owner: AccountId, id: PriceRuleId) -> Result<Option<PriceRule>, StoreError> {
    let row: Option<Row> = sqlx::query_as(
        "select rule, created_at, modified_at from price_rules
         where id = $1 and account_id is not distinct from $2",
    )
    .bind(id.0)
    .bind(column(owner))
    .fetch_optional(&store.pool)
    .await?;
    Ok(row.map(PriceRule::from))
}

/// The same, for somebody who is about to change it: nobody else changes it meanwhile.
pub async fn lock(
    tx: &mut ConfigTx,
    owner: AccountId,
    id: PriceRuleId,
) -> Result<Option<PriceRule>, StoreError> {
    let row: Option<Row> = sqlx::query_as(
        "select rule, created_at, modified_at from price_rules
         where id = $1 and account_id is not distinct from $2 for update",
    )
    .bind(id.0)
    .bind(column(owner))
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(PriceRule::from))
}

/// One page of this owner's rules, the oldest first, and how many fit in all.
pub async fn list(
    store: &Store,
    owner: AccountId,
    filter: &Filter,
    limit: i64,
    offset: i64,
) -> Result<(Vec<PriceRule>, i64), StoreError> {
    const FITTING: &str = "from price_rules where account_id is not distinct from $1
         and ($2::boolean is null or coalesce((rule ->> 'enable')::boolean, true) = $2)
         and ($3::text is null or coalesce(rule ->> 'model_rule', 'equals') = $3)
         and ($4::text is null or rule ->> 'provider' = $4)
         and ($5::text is null or strpos(rule ->> 'model', $5) > 0 or strpos(rule ->> 'provider', $5) > 0)";
    let Filter { enable, model_rule, provider, search } = filter;
    let page =
        format!("select rule, created_at, modified_at {FITTING} order by created_at, id limit $6 offset $7");
    let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(page))
        .bind(column(owner))
        .bind(enable)
        .bind(model_rule)
        .bind(provider)
        .bind(search)
        .bind(limit)
        .bind(offset)
        .fetch_all(&store.pool)
        .await?;
    let total = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("select count(*) {FITTING}")))
        .bind(column(owner))
        .bind(enable)
        .bind(model_rule)
        .bind(provider)
        .bind(search)
        .fetch_one(&store.pool)
        .await?;
    Ok((rows.into_iter().map(PriceRule::from).collect(), total))
}

/// All rules of this owner's, the oldest first.
pub async fn all(store: &Store, owner: AccountId) -> Result<Vec<PriceRule>, StoreError> {
    Ok(list(store, owner, &Filter::default(), i64::MAX, 0).await?.0)
}

/// Deletes a rule.
pub async fn delete(tx: &mut ConfigTx, owner: AccountId, id: PriceRuleId) -> Result<bool, StoreError> {
    let done = sqlx::query("delete from price_rules where id = $1 and account_id is not distinct from $2")
        .bind(id.0)
        .bind(column(owner))
        .execute(&mut **tx)
        .await?;
    tx.touch(key(owner, id));
    Ok(done.rows_affected() == 1)
}

/// The operator is no account that a row could refer to.
fn column(owner: AccountId) -> Option<Uuid> {
    (owner != AccountId::INSTALLATION).then_some(owner.0)
}

fn key(owner: AccountId, id: PriceRuleId) -> ResourceKey {
    ResourceKey { account: owner, kind: ResourceId::PriceRule(id) }
}
