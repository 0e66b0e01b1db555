//! Gateways: the named configurations of an account.

use model::gateway::{GatewaySettings, StoredKeys};
use model::id::{BoundKeyId, EndpointId, GatewayId, GatewayInternalId, GatewayTokenId, ProviderKeyId};
use model::resource::{ResourceId, ResourceKey};
use model::{AccountId, gateway};
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{ConfigTx, Store, StoreError, endpoints};

/// No two gateways of an account share an id.
pub const ID_TAKEN: &str = "gateways_account_id_key";

/// A named configuration of an account.
#[derive(Debug, Clone, PartialEq)]
pub struct Gateway {
    /// The gateway for good.
    pub internal_id: GatewayInternalId,
    /// Whose it is.
    pub account: AccountId,
    /// What callers call it.
    pub id: GatewayId,
    /// What its owner says about it.
    pub settings: GatewaySettings,
    /// When it was created.
    pub created_at: OffsetDateTime,
    /// When its settings were changed last.
    pub modified_at: OffsetDateTime,
}

#[derive(sqlx::FromRow)]
struct Row {
    internal_id: Uuid,
    account_id: Uuid,
    id: String,
    settings: Json<GatewaySettings>,
    created_at: OffsetDateTime,
    modified_at: OffsetDateTime,
}

impl TryFrom<Row> for Gateway {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let Row { internal_id, account_id, id, settings, created_at, modified_at } = row;
        Ok(Self {
            internal_id: GatewayInternalId(internal_id),
            account: AccountId(account_id),
            id: id.parse().map_err(|_| StoreError::Unreadable("gateway id"))?,
            settings: settings.0,
            created_at,
            modified_at,
        })
    }
}

/// Creates a gateway; [`ID_TAKEN`] if the account has one of that id.
pub async fn create(
    tx: &mut ConfigTx,
    account: AccountId,
    internal_id: GatewayInternalId,
    id: &GatewayId,
    settings: &GatewaySettings,
) -> Result<Gateway, StoreError> {
    let row: Row = sqlx::query_as(
        "insert into gateways (internal_id, account_id, id, settings) values ($1, $2, $3, $4) returning *",
    )
    .bind(internal_id.0)
    .bind(account.0)
    .bind(id.as_str())
    .bind(Json(settings))
    .fetch_one(&mut **tx)
    .await?;
    tx.touch(key(account, internal_id));
    row.try_into()
}

/// Creates the gateway that every account has from its beginning; see [`gateway::DEFAULT_ID`].
pub async fn create_default(
    tx: &mut ConfigTx,
    account: AccountId,
    internal_id: GatewayInternalId,
) -> Result<Gateway, StoreError> {
    let id = gateway::DEFAULT_ID.parse().map_err(|_| StoreError::Unreadable("gateway id"))?;
    create(tx, account, internal_id, &id, &GatewaySettings::of_default_gateway()).await
}

/// A gateway of an account.
pub async fn get(store: &Store, account: AccountId, id: &GatewayId) -> Result<Option<Gateway>, StoreError> {
    let row: Option<Row> = sqlx::query_as("select * from gateways where account_id = $1 and id = $2")
        .bind(account.0)
        .bind(id.as_str())
        .fetch_optional(&store.pool)
        .await?;
    row.map(Gateway::try_from).transpose()
}

/// Whether an account has a gateway that callers call so.
pub async fn exists(tx: &mut ConfigTx, account: AccountId, id: &GatewayId) -> Result<bool, StoreError> {
    let exists = sqlx::query_scalar("select exists (select from gateways where account_id = $1 and id = $2)");
    Ok(exists.bind(account.0).bind(id.as_str()).fetch_one(&mut **tx).await?)
}

/// One page of an account's gateways whose id contains `search`, the oldest first, and how many
/// there are in all.
pub async fn list(
    store: &Store,
    account: AccountId,
    search: &str,
    limit: i64,
    offset: i64,
) -> Result<(Vec<Gateway>, i64), StoreError> {
    let rows: Vec<Row> = sqlx::query_as(
        "select * from gateways where account_id = $1 and strpos(id, $2) > 0
         order by created_at, internal_id limit $3 offset $4",
    )
    .bind(account.0)
    .bind(search)
    .bind(limit)
    .bind(offset)
    .fetch_all(&store.pool)
    .await?;
    let total =
        sqlx::query_scalar("select count(*) from gateways where account_id = $1 and strpos(id, $2) > 0")
            .bind(account.0)
            .bind(search)
            .fetch_one(&store.pool)
            .await?;
    Ok((rows.into_iter().map(Gateway::try_from).collect::<Result<_, _>>()?, total))
}

/// A gateway that callers reach without a token, and what decides what they may use there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reachable {
    /// The gateway.
    pub gateway: GatewayInternalId,
    /// Who may use stored keys.
    pub stored_keys: StoredKeys,
    /// Its traffic policy.
    pub traffic_policy: Option<String>,
    /// The providers for which it keeps keys.
    pub kept_keys: Vec<String>,
}

#[derive(sqlx::FromRow)]
struct ReachableRow {
    internal_id: Uuid,
    settings: Json<GatewaySettings>,
    traffic_policy: Option<String>,
    kept_keys: Vec<String>,
}

/// Those of these gateways that ask for no token.
pub async fn reachable(
    store: &Store,
    account: AccountId,
    ids: &[GatewayInternalId],
) -> Result<Vec<Reachable>, StoreError> {
    let rows: Vec<ReachableRow> = sqlx::query_as(
        "select internal_id, settings, coalesce(served_policy, traffic_policy) as traffic_policy,
             array(select distinct provider from provider_keys
                   where gateway_internal_id = internal_id order by provider) as kept_keys
         from gateways where account_id = $1 and internal_id = any($2)",
    )
    .bind(account.0)
    .bind(ids.iter().map(|id| id.0).collect::<Vec<_>>())
    .fetch_all(&store.pool)
    .await?;
    let reachable = rows.into_iter().filter(|row| !row.settings.authentication).map(|row| Reachable {
        gateway: GatewayInternalId(row.internal_id),
        stored_keys: row.settings.stored_keys,
        traffic_policy: row.traffic_policy,
        kept_keys: row.kept_keys,
    });
    Ok(reachable.collect())
}

/// The text of a gateway's traffic policy.
pub async fn traffic_policy(
    store: &Store,
    account: AccountId,
    internal_id: GatewayInternalId,
) -> Result<Option<String>, StoreError> {
    let found: Option<Option<String>> =
        sqlx::query_scalar("select traffic_policy from gateways where account_id = $1 and internal_id = $2")
            .bind(account.0)
            .bind(internal_id.0)
            .fetch_optional(&store.pool)
            .await?;
    Ok(found.flatten())
}

/// Replaces a gateway's traffic policy, or takes it away. `false` when the gateway is gone.
pub async fn set_traffic_policy(
    tx: &mut ConfigTx,
    account: AccountId,
    internal_id: GatewayInternalId,
    policy: Option<&str>,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "update gateways set traffic_policy = $3, served_policy = null, ip_policies = '{}', modified_at = now()
         where account_id = $1 and internal_id = $2",
    )
    .bind(account.0)
    .bind(internal_id.0)
    .bind(policy)
    .execute(&mut **tx)
    .await?;
    let is_done = done.rows_affected() == 1;
    if is_done {
        tx.touch(key(account, internal_id));
    }
    Ok(is_done)
}

/// Says that a gateway was made for an endpoint, and goes with it.
pub async fn set_of_endpoint(
    tx: &mut ConfigTx,
    account: AccountId,
    internal_id: GatewayInternalId,
) -> Result<(), StoreError> {
    sqlx::query("update gateways set of_endpoint = true where account_id = $1 and internal_id = $2")
        .bind(account.0)
        .bind(internal_id.0)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Replaces a gateway's settings.
pub async fn set_settings(
    tx: &mut ConfigTx,
    account: AccountId,
    internal_id: GatewayInternalId,
    settings: &GatewaySettings,
) -> Result<Option<Gateway>, StoreError> {
    let row: Option<Row> = sqlx::query_as(
        "update gateways set settings = $3, modified_at = now()
         where account_id = $1 and internal_id = $2 returning *",
    )
    .bind(account.0)
    .bind(internal_id.0)
    .bind(Json(settings))
    .fetch_optional(&mut **tx)
    .await?;
    tx.touch(key(account, internal_id));
    row.map(Gateway::try_from).transpose()
}

/// Deletes a gateway with its tokens, provider keys and endpoints. Its logs go out of sight with it: they
/// belong to the internal id, which no other gateway gets, and stay only as evidence of charges.
pub async fn delete(
    tx: &mut ConfigTx,
    account: AccountId,
    internal_id: GatewayInternalId,
) -> Result<bool, StoreError> {
    if !lock(tx, account, internal_id).await? {
        return Ok(false);
    }
    for key in belongings(tx, account, internal_id).await? {
        tx.touch(key);
    }
    sqlx::query("delete from gateways where internal_id = $1").bind(internal_id.0).execute(&mut **tx).await?;
    tx.touch(key(account, internal_id));
    Ok(true)
}

/// What goes with a gateway.
async fn belongings(
    tx: &mut ConfigTx,
    account: AccountId,
    internal_id: GatewayInternalId,
) -> Result<Vec<ResourceKey>, StoreError> {
    let rows: Vec<(String, Uuid)> = sqlx::query_as(
        "select 'gateway_token', id from gateway_tokens where gateway_internal_id = $1
         union all select 'provider_key', id from provider_keys where gateway_internal_id = $1
         union all select 'endpoint', id from endpoints where gateway_internal_id = $1
         union all select 'bound_key', bound.id from bound_keys bound
             join gateway_tokens token on token.id = bound.gateway_token_id
             where token.gateway_internal_id = $1",
    )
    .bind(internal_id.0)
    .fetch_all(&mut **tx)
    .await?;
    let of_account = |kind| ResourceKey { account, kind };
    let keys = rows.into_iter().map(|(kind, id)| match kind.as_str() {
        "gateway_token" => of_account(ResourceId::GatewayToken(GatewayTokenId(id))),
        "provider_key" => of_account(ResourceId::ProviderKey(ProviderKeyId(id))),
        "bound_key" => of_account(ResourceId::BoundKey(BoundKeyId(id))),
        _ => endpoints::key(EndpointId(id)),
    });
    Ok(keys.collect())
}

/// Locks a gateway against deletion and against others who change what belongs to it. `false` when
/// it is gone.
pub(crate) async fn lock(
    tx: &mut ConfigTx,
    account: AccountId,
    internal_id: GatewayInternalId,
) -> Result<bool, StoreError> {
    let found: Option<Uuid> = sqlx::query_scalar(
        "select internal_id from gateways where account_id = $1 and internal_id = $2 for update",
    )
    .bind(account.0)
    .bind(internal_id.0)
    .fetch_optional(&mut **tx)
    .await?;
    Ok(found.is_some())
}

fn key(account: AccountId, internal_id: GatewayInternalId) -> ResourceKey {
    ResourceKey { account, kind: ResourceId::Gateway(internal_id) }
}
