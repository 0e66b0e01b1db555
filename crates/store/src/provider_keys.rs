//! Stored provider keys, sealed: several per gateway and provider under different aliases, and at
//! most one of them the default.

use model::AccountId;
use model::id::{GatewayInternalId, ProviderKeyId};
use model::resource::{ResourceId, ResourceKey};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{ConfigTx, Store, StoreError, gateways};

/// No two keys of a gateway and provider share an alias.
pub const ALIAS_TAKEN: &str = "provider_keys_alias_key";

/// A stored provider key, without what is sealed.
#[derive(Debug, Clone, PartialEq)]
pub struct ProviderKey {
    /// Its id, part of what its sealing is bound to.
    pub id: ProviderKeyId,
    /// The provider's slug.
    pub provider: String,
    /// What people say about it.
    pub terms: Terms,
    /// The masked form of the secret.
    pub preview: String,
    /// When it was created.
    pub created_at: OffsetDateTime,
    /// When anything about it was changed last.
    pub modified_at: OffsetDateTime,
}

/// What people say about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// What requests call it.
    pub alias: String,
    /// Whether it is used when a request names no alias.
    pub is_default: bool,
    /// Requests per period.
    pub rate_limit: Option<u32>,
    /// Seconds.
    pub rate_limit_period: Option<u32>,
}

/// A secret as it is kept.
#[derive(Debug, Clone)]
pub struct SealedSecret {
    /// Under the account's credentials key.
    pub sealed: Vec<u8>,
    /// Its masked form.
    pub preview: String,
}

const COLUMNS: &str =
    "id, provider, alias, is_default, preview, rate_limit, rate_limit_period, created_at, modified_at";

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    provider: String,
    alias: String,
    is_default: bool,
    preview: String,
    rate_limit: Option<i64>,
    rate_limit_period: Option<i64>,
    created_at: OffsetDateTime,
    modified_at: OffsetDateTime,
}

impl TryFrom<Row> for ProviderKey {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let Row {
            id,
            provider,
            alias,
            is_default,
            preview,
            rate_limit,
            rate_limit_period,
            created_at,
            modified_at,
        } = row;
        let number = |stored: Option<i64>| {
            stored.map(u32::try_from).transpose().map_err(|_| StoreError::Unreadable("rate limit"))
        };
        let terms = Terms {
            alias,
            is_default,
            rate_limit: number(rate_limit)?,
            rate_limit_period: number(rate_limit_period)?,
        };
        Ok(Self { id: ProviderKeyId(id), provider, terms, preview, created_at, modified_at })
    }
}

/// Stores a key; [`ALIAS_TAKEN`] if there is one of that alias, nothing when its gateway is gone. A
/// new default takes the place of the old one.
pub async fn create(
    tx: &mut ConfigTx,
    account: AccountId,
    gateway: GatewayInternalId,
    id: ProviderKeyId,
    provider: &str,
    terms: &Terms,
    secret: &SealedSecret,
) -> Result<Option<ProviderKey>, StoreError> {
    if !gateways::lock(tx, account, gateway).await? {
        return Ok(None);
    }
    if terms.is_default {
        unset_default(tx, account, gateway, provider, id).await?;
    }
    let row: Row = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "insert into provider_keys (id, account_id, gateway_internal_id, provider, alias, is_default,
             sealed, preview, rate_limit, rate_limit_period)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) returning {COLUMNS}"
    )))
    .bind(id.0)
    .bind(account.0)
    .bind(gateway.0)
    .bind(provider)
    .bind(&terms.alias)
    .bind(terms.is_default)
    .bind(&secret.sealed)
    .bind(&secret.preview)
    .bind(terms.rate_limit.map(i64::from))
    .bind(terms.rate_limit_period.map(i64::from))
    .fetch_one(&mut **tx)
    .await?;
    tx.touch(key(account, id));
    row.try_into().map(Some)
}

/// Replaces what people say about a key, and its secret if there is a new one.
pub async fn update(
    tx: &mut ConfigTx,
    account: AccountId,
    gateway: GatewayInternalId,
    id: ProviderKeyId,
    terms: &Terms,
    secret: Option<&SealedSecret>,
) -> Result<Option<ProviderKey>, StoreError> {
    if !gateways::lock(tx, account, gateway).await? {
        return Ok(None);
    }
    let provider: Option<String> =
        sqlx::query_scalar("select provider from provider_keys where gateway_internal_id = $1 and id = $2")
            .bind(gateway.0)
            .bind(id.0)
            .fetch_optional(&mut **tx)
            .await?;
    let Some(provider) = provider else { return Ok(None) };
    if terms.is_default {
        unset_default(tx, account, gateway, &provider, id).await?;
    }
    let row: Row = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "update provider_keys set alias = $3, is_default = $4, rate_limit = $5, rate_limit_period = $6,
             sealed = coalesce($7, sealed), preview = coalesce($8, preview), modified_at = now()
         where gateway_internal_id = $1 and id = $2 returning {COLUMNS}"
    )))
    .bind(gateway.0)
    .bind(id.0)
    .bind(&terms.alias)
    .bind(terms.is_default)
    .bind(terms.rate_limit.map(i64::from))
    .bind(terms.rate_limit_period.map(i64::from))
    .bind(secret.map(|secret| &secret.sealed))
    .bind(secret.map(|secret| &secret.preview))
    .fetch_one(&mut **tx)
    .await?;
    tx.touch(key(account, id));
    row.try_into().map(Some)
}

/// A key of a gateway.
pub async fn get(
    store: &Store,
    account: AccountId,
    gateway: GatewayInternalId,
    id: ProviderKeyId,
) -> Result<Option<ProviderKey>, StoreError> {
    let row: Option<Row> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from provider_keys
         where account_id = $1 and gateway_internal_id = $2 and id = $3"
    )))
    .bind(account.0)
    .bind(gateway.0)
    .bind(id.0)
    .fetch_optional(&store.pool)
    .await?;
    row.map(ProviderKey::try_from).transpose()
}

/// One page of a gateway's keys, the oldest first, and how many there are in all.
pub async fn list(
    store: &Store,
    account: AccountId,
    gateway: GatewayInternalId,
    limit: i64,
    offset: i64,
) -> Result<(Vec<ProviderKey>, i64), StoreError> {
    let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from provider_keys where account_id = $1 and gateway_internal_id = $2
         order by created_at, id limit $3 offset $4"
    )))
    .bind(account.0)
    .bind(gateway.0)
    .bind(limit)
    .bind(offset)
    .fetch_all(&store.pool)
    .await?;
    let total = sqlx::query_scalar(
        "select count(*) from provider_keys where account_id = $1 and gateway_internal_id = $2",
    )
    .bind(account.0)
    .bind(gateway.0)
    .fetch_one(&store.pool)
    .await?;
    Ok((rows.into_iter().map(ProviderKey::try_from).collect::<Result<_, _>>()?, total))
}

/// Deletes a key.
pub async fn delete(
    tx: &mut ConfigTx,
    account: AccountId,
    gateway: GatewayInternalId,
    id: ProviderKeyId,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "delete from provider_keys where account_id = $1 and gateway_internal_id = $2 and id = $3",
    )
    .bind(account.0)
    .bind(gateway.0)
    .bind(id.0)
    .execute(&mut **tx)
    .await?;
    tx.touch(key(account, id));
    Ok(done.rows_affected() == 1)
}

/// Makes room for the default `next`. The gateway is locked, so nobody else is doing the same.
async fn unset_default(
    tx: &mut ConfigTx,
    account: AccountId,
    gateway: GatewayInternalId,
    provider: &str,
    next: ProviderKeyId,
) -> Result<(), StoreError> {
    let unset: Vec<Uuid> = sqlx::query_scalar(
        "update provider_keys set is_default = false, modified_at = now()
         where gateway_internal_id = $1 and provider = $2 and is_default and id <> $3 returning id",
    )
    .bind(gateway.0)
    .bind(provider)
    .bind(next.0)
    .fetch_all(&mut **tx)
    .await?;
    for id in unset {
        tx.touch(key(account, ProviderKeyId(id)));
    }
    Ok(())
}

fn key(account: AccountId, id: ProviderKeyId) -> ResourceKey {
    ResourceKey { account, kind: ResourceId::ProviderKey(id) }
}
