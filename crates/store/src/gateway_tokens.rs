//! Gateway tokens: each works for one gateway, is shown once and kept as its digest.

pub mod of_endpoints;

use model::AccountId;
use model::gateway::Budget;
use model::id::{GatewayInternalId, GatewayTokenId};
use model::resource::{ResourceId, ResourceKey};
use model::token::TokenDigest;
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{ConfigTx, Store, StoreError, bound_keys, gateways};

/// What a caller presents at one gateway.
#[derive(Debug, Clone, PartialEq)]
pub struct GatewayToken {
    /// Its id, which is inside the token.
    pub id: GatewayTokenId,
    /// What people call it.
    pub name: String,
    /// Not good from then on.
    pub expires_on: Option<OffsetDateTime>,
    /// The most that it may spend.
    pub budget: Option<Budget>,
    /// When it was created.
    pub created_at: OffsetDateTime,
    /// When it was used last, within a minute.
    pub last_used_at: Option<OffsetDateTime>,
}

/// What people say about a token.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    /// What they call it.
    pub name: String,
    /// The most that it may spend.
    pub budget: Option<Budget>,
}

const COLUMNS: &str = "id, name, expires_on, budget, created_at, last_used_at";

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    name: String,
    expires_on: Option<OffsetDateTime>,
    budget: Option<Json<Budget>>,
    created_at: OffsetDateTime,
    last_used_at: Option<OffsetDateTime>,
}

impl From<Row> for GatewayToken {
    fn from(row: Row) -> Self {
        let Row { id, name, expires_on, budget, created_at, last_used_at } = row;
        Self {
            id: GatewayTokenId(id),
            name,
            expires_on,
            budget: budget.map(|Json(budget)| budget),
            created_at,
            last_used_at,
        }
    }
}

/// Creates a token; nothing when its gateway is gone.
pub async fn create(
    tx: &mut ConfigTx,
    account: AccountId,
    gateway: GatewayInternalId,
    id: GatewayTokenId,
    digest: &TokenDigest,
    terms: &Terms,
    expires_on: Option<OffsetDateTime>,
) -> Result<Option<GatewayToken>, StoreError> {
    if !gateways::lock(tx, account, gateway).await? {
        return Ok(None);
    }
    let row: Row = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "insert into gateway_tokens (id, account_id, gateway_internal_id, digest, name, expires_on, budget)
         values ($1, $2, $3, $4, $5, $6, $7) returning {COLUMNS}"
    )))
    .bind(id.0)
    .bind(account.0)
    .bind(gateway.0)
    .bind(digest.0)
    .bind(&terms.name)
    .bind(expires_on)
    .bind(terms.budget.map(Json))
    .fetch_one(&mut **tx)
    .await?;
    tx.touch(key(account, id));
    Ok(Some(row.into()))
}

/// A token of a gateway.
pub async fn get(
    store: &Store,
    account: AccountId,
    gateway: GatewayInternalId,
    id: GatewayTokenId,
) -> Result<Option<GatewayToken>, StoreError> {
    let row: Option<Row> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from gateway_tokens
         where account_id = $1 and gateway_internal_id = $2 and id = $3"
    )))
    .bind(account.0)
    .bind(gateway.0)
    .bind(id.0)
    .fetch_optional(&store.pool)
    .await?;
    Ok(row.map(GatewayToken::from))
}

/// The same, for somebody who is about to change it: nobody else changes it meanwhile.
pub async fn lock(
    tx: &mut ConfigTx,
    account: AccountId,
    gateway: GatewayInternalId,
    id: GatewayTokenId,
) -> Result<Option<GatewayToken>, StoreError> {
    let row: Option<Row> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from gateway_tokens
         where account_id = $1 and gateway_internal_id = $2 and id = $3 for update"
    )))
    .bind(account.0)
    .bind(gateway.0)
    .bind(id.0)
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(GatewayToken::from))
}

/// Replaces what people say about a token. What it opened stays open.
pub async fn set_terms(
    tx: &mut ConfigTx,
    account: AccountId,
    gateway: GatewayInternalId,
    id: GatewayTokenId,
    terms: &Terms,
) -> Result<Option<GatewayToken>, StoreError> {
    let row: Option<Row> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "update gateway_tokens set name = $4, budget = $5, modified_at = now()
         where account_id = $1 and gateway_internal_id = $2 and id = $3 returning {COLUMNS}"
    )))
    .bind(account.0)
    .bind(gateway.0)
    .bind(id.0)
    .bind(&terms.name)
    .bind(terms.budget.map(Json))
    .fetch_optional(&mut **tx)
    .await?;
    tx.touch(key(account, id));
    Ok(row.map(GatewayToken::from))
}

/// One page of a gateway's tokens, the oldest first, and how many there are in all.
pub async fn list(
    store: &Store,
    account: AccountId,
    gateway: GatewayInternalId,
    limit: i64,
    offset: i64,
) -> Result<(Vec<GatewayToken>, i64), StoreError> {
    let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from gateway_tokens
         where account_id = $1 and gateway_internal_id = $2 order by created_at, id limit $3 offset $4"
    )))
    .bind(account.0)
    .bind(gateway.0)
    .bind(limit)
    .bind(offset)
    .fetch_all(&store.pool)
    .await?;
    let total = sqlx::query_scalar(
        "select count(*) from gateway_tokens where account_id = $1 and gateway_internal_id = $2",
    )
    .bind(account.0)
    .bind(gateway.0)
    .fetch_one(&store.pool)
    .await?;
    Ok((rows.into_iter().map(GatewayToken::from).collect(), total))
}

/// Revokes a token: what is not there is not valid. Its provider keys go with it.
pub async fn revoke(
    tx: &mut ConfigTx,
    account: AccountId,
    gateway: GatewayInternalId,
    id: GatewayTokenId,
) -> Result<bool, StoreError> {
    bound_keys::touch_all(tx, account, id).await?;
    let done = sqlx::query(
        "delete from gateway_tokens where account_id = $1 and gateway_internal_id = $2 and id = $3",
    )
    .bind(account.0)
    .bind(gateway.0)
    .bind(id.0)
    .execute(&mut **tx)
    .await?;
    tx.touch(key(account, id));
    Ok(done.rows_affected() == 1)
}

fn key(account: AccountId, id: GatewayTokenId) -> ResourceKey {
    ResourceKey { account, kind: ResourceId::GatewayToken(id) }
}
