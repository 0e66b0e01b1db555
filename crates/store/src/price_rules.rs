//! What the operator, for all, and accounts, for themselves, say about prices.

use model::AccountId;
use model::id::PriceRuleId;
use model::resource::{ResourceId, ResourceKey};
use serde_json::Value;
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{ConfigTx, Store, StoreError};

/// A rule as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct PriceRule {
    /// Its id.
    pub id: PriceRuleId,
    /// What it says.
    pub rule: Value,
    /// When it was created.
    pub created_at: OffsetDateTime,
    /// When it was changed last.
    pub modified_at: OffsetDateTime,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    rule: Json<Value>,
    created_at: OffsetDateTime,
    modified_at: OffsetDateTime,
}

impl From<Row> for PriceRule {
    fn from(row: Row) -> Self {
        let Row { id, rule: Json(rule), created_at, modified_at } = row;
        Self { id: PriceRuleId(id), rule, created_at, modified_at }
    }
}

/// Adds a rule of an account's, or of the operator's under [`AccountId::INSTALLATION`].
pub async fn create(
    tx: &mut ConfigTx,
    owner: AccountId,
    id: PriceRuleId,
    rule: &Value,
) -> Result<PriceRule, StoreError> {
    let row: Row = sqlx::query_as(
        "insert into price_rules (id, account_id, rule) values ($1, $2, $3)
         returning id, rule, created_at, modified_at",
    )
    .bind(id.0)
    .bind(column(owner))
    .bind(Json(rule))
    .fetch_one(&mut **tx)
    .await?;
    tx.touch(key(owner, id));
    Ok(row.into())
}

/// Replaces what a rule says.
pub async fn update(
    tx: &mut ConfigTx,
    owner: AccountId,
    id: PriceRuleId,
    rule: &Value,
) -> Result<Option<PriceRule>, StoreError> {
    let row: Option<Row> = sqlx::query_as(
        "update price_rules set rule = $3, modified_at = now()
         where id = $1 and account_id is not distinct from $2
         returning id, rule, created_at, modified_at",
    )
    .bind(id.0)
    .bind(column(owner))
    .bind(Json(rule))
    .fetch_optional(&mut **tx)
    .await?;
    tx.touch(key(owner, id));
    Ok(row.map(PriceRule::from))
}

/// A rule of this owner's.
pub async fn get(store: &Store, owner: AccountId, id: PriceRuleId) -> Result<Option<PriceRule>, StoreError> {
    let row: Option<Row> = sqlx::query_as(
        "select id, rule, created_at, modified_at from price_rules
         where id = $1 and account_id is not distinct from $2",
    )
    .bind(id.0)
    .bind(column(owner))
    .fetch_optional(&store.pool)
    .await?;
    Ok(row.map(PriceRule::from))
}

/// All rules of this owner's, the oldest first.
pub async fn all(store: &Store, owner: AccountId) -> Result<Vec<PriceRule>, StoreError> {
    let rows: Vec<Row> = sqlx::query_as(
        "select id, rule, created_at, modified_at from price_rules
         where account_id is not distinct from $1 order by created_at, id",
    )
    .bind(column(owner))
    .fetch_all(&store.pool)
    .await?;
    Ok(rows.into_iter().map(PriceRule::from).collect())
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
