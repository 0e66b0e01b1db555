//! Gateway tokens as somebody sees them who thinks of endpoints: each belongs to one, and they are found
//! by their account. A token works for its endpoint's whole gateway all the same.

use model::AccountId;
use model::id::{EndpointId, GatewayInternalId, GatewayTokenId};
use model::token::TokenDigest;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{key, revoke};
use crate::endpoints::Endpoint;
use crate::window::{self, Window};
use crate::{ConfigTx, Store, StoreError, gateways};

/// A token of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointToken {
    /// Its id, which is inside the token.
    pub id: GatewayTokenId,
    /// The endpoint it was made for, or else the oldest one of its gateway.
    pub endpoint: EndpointId,
    /// What people say about it.
    pub terms: Terms,
    /// Who created it: an email, or the id of an API token; empty if that is not known.
    pub created_by: String,
    /// Who changed it last.
    pub last_updated_by: String,
    /// When it was created.
    pub created_at: OffsetDateTime,
    /// When anything about it was changed last.
    pub modified_at: OffsetDateTime,
    /// When it was used last, within a minute.
    pub last_used_at: Option<OffsetDateTime>,
}

/// What people say about a token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// For people.
    pub description: String,
    /// For machines.
    pub metadata: String,
}

const SELECT: &str = "select token.id, token.gateway_internal_id, endpoint.id as endpoint_id,
        token.description, token.metadata, token.created_by, token.last_updated_by,
        token.created_at, token.modified_at, token.last_used_at
     from gateway_tokens token join lateral (
         select id from endpoints where gateway_internal_id = token.gateway_internal_id
         order by id is distinct from token.endpoint_id, created_at, id limit 1) endpoint on true
     where token.account_id = $1 and ($2::uuid is null or endpoint.id = $2)";

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    gateway_internal_id: Uuid,
    endpoint_id: Uuid,
    description: String,
    metadata: String,
    created_by: String,
    last_updated_by: String,
    created_at: OffsetDateTime,
    modified_at: OffsetDateTime,
    last_used_at: Option<OffsetDateTime>,
}

impl From<Row> for EndpointToken {
    fn from(row: Row) -> Self {
        let Row {
            id,
            gateway_internal_id: _,
            endpoint_id,
            description,
            metadata,
            created_by,
            last_updated_by,
            created_at,
            modified_at,
            last_used_at,
        } = row;
        Self {
            id: GatewayTokenId(id),
            endpoint: EndpointId(endpoint_id),
            terms: Terms { description, metadata },
            created_by,
            last_updated_by,
            created_at,
            modified_at,
            last_used_at,
        }
    }
}

/// Creates a token for an endpoint; nothing when its gateway is gone.
pub async fn create(
    tx: &mut ConfigTx,
    endpoint: &Endpoint,
    id: GatewayTokenId,
    digest: &TokenDigest,
    name: &str,
    terms: &Terms,
    by: &str,
) -> Result<Option<EndpointToken>, StoreError> {
    let account = endpoint.account;
    if !gateways::lock(tx, account, endpoint.gateway).await? {
        return Ok(None);
    }
    sqlx::query(
        "insert into gateway_tokens (id, account_id, gateway_internal_id, endpoint_id, digest, name,
             description, metadata, created_by, last_updated_by)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)",
    )
    .bind(id.0)
    .bind(account.0)
    .bind(endpoint.gateway.0)
    .bind(endpoint.id.0)
    .bind(digest.0)
    .bind(name)
    .bind(&terms.description)
    .bind(&terms.metadata)
    .bind(by)
    .execute(&mut **tx)
    .await?;
    tx.touch(key(account, id));
    find(tx, account, id).await
}

/// Replaces what people say about a token, and the endpoint it is for. Another gateway ends what it
/// opened at the former one.
pub async fn update(
    tx: &mut ConfigTx,
    endpoint: &Endpoint,
    id: GatewayTokenId,
    terms: &Terms,
    by: &str,
) -> Result<Option<EndpointToken>, StoreError> {
    let account = endpoint.account;
    if !gateways::lock(tx, account, endpoint.gateway).await? {
        return Ok(None);
    }
    let done = sqlx::query(
        "update gateway_tokens set gateway_internal_id = $3, endpoint_id = $4, description = $5,
             metadata = $6, last_updated_by = $7, modified_at = now()
         where account_id = $1 and id = $2",
    )
    .bind(account.0)
    .bind(id.0)
    .bind(endpoint.gateway.0)
    .bind(endpoint.id.0)
    .bind(&terms.description)
    .bind(&terms.metadata)
    .bind(by)
    .execute(&mut **tx)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(None);
    }
    tx.touch(key(account, id));
    find(tx, account, id).await
}

/// A token of an account, if its gateway has an endpoint.
pub async fn get(
    store: &Store,
    account: AccountId,
    id: GatewayTokenId,
) -> Result<Option<EndpointToken>, StoreError> {
    find(&mut *store.pool.acquire().await?, account, id).await
}

/// The same, within a change.
pub async fn find(
    connection: &mut PgConnection,
    account: AccountId,
    id: GatewayTokenId,
) -> Result<Option<EndpointToken>, StoreError> {
    let row: Option<Row> = window::get(connection, SELECT, account, id.0).await?;
    Ok(row.map(EndpointToken::from))
}

/// A part of the tokens of an account's endpoints.
pub async fn list(
    store: &Store,
    account: AccountId,
    window: Window,
) -> Result<Vec<EndpointToken>, StoreError> {
    let rows: Vec<Row> = window::list(store, SELECT, account, None, window).await?;
    Ok(rows.into_iter().map(EndpointToken::from).collect())
}

/// Revokes a token of an account's endpoints.
pub async fn delete(tx: &mut ConfigTx, account: AccountId, id: GatewayTokenId) -> Result<bool, StoreError> {
    let row: Option<Row> = window::get(tx, SELECT, account, id.0).await?;
    match row {
        Some(row) => revoke(tx, account, GatewayInternalId(row.gateway_internal_id), id).await,
        None => Ok(false),
    }
}
