//! Endpoints: hosts that are bound to gateways. A host belongs to one account of the installation.

use model::AccountId;
use model::host::EndpointUrl;
use model::id::{EndpointId, GatewayId, GatewayInternalId};
use model::resource::{ResourceId, ResourceKey};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::window::{self, Window};
use crate::{ConfigTx, Store, StoreError, gateways};

/// No host is bound twice.
pub const HOST_TAKEN: &str = "endpoints_host_key";
/// No host is bound by one account and covered by another's wildcard.
pub const WILDCARD_TAKEN: &str = "endpoints_wildcard_key";

/// A host that is bound to a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its id.
    pub id: EndpointId,
    /// Whose it is.
    pub account: AccountId,
    /// Where its requests go.
    pub gateway: GatewayInternalId,
    /// What callers call that gateway.
    pub gateway_id: GatewayId,
    /// The gateway's traffic policy.
    pub traffic_policy: Option<String>,
    /// The address.
    pub url: EndpointUrl,
    /// What people say about it.
    pub terms: Terms,
    /// When it was created.
    pub created_at: OffsetDateTime,
    /// When anything about it was changed last.
    pub modified_at: OffsetDateTime,
}

/// What people say about an endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// For people.
    pub description: String,
    /// For machines.
    pub metadata: String,
    /// From where it is reached.
    pub bindings: Vec<String>,
    /// Kept for who asks; a host has one endpoint all the same.
    pub pooling_enabled: bool,
}

const SELECT: &str = "select endpoint.id, endpoint.account_id, endpoint.gateway_internal_id,
        gateway.id as gateway_id, gateway.traffic_policy, endpoint.url, endpoint.description,
        endpoint.metadata, endpoint.bindings, endpoint.pooling_enabled, endpoint.created_at,
        greatest(endpoint.modified_at, gateway.modified_at) as modified_at
     from endpoints endpoint join gateways gateway on gateway.internal_id = endpoint.gateway_internal_id
     where endpoint.account_id = $1 and ($2::uuid is null or endpoint.gateway_internal_id = $2)";

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    account_id: Uuid,
    gateway_internal_id: Uuid,
    gateway_id: String,
    traffic_policy: Option<String>,
    url: String,
    description: String,
    metadata: String,
    bindings: Vec<String>,
    pooling_enabled: bool,
    created_at: OffsetDateTime,
    modified_at: OffsetDateTime,
}

impl TryFrom<Row> for Endpoint {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let Row {
            id,
            account_id,
            gateway_internal_id,
            gateway_id,
            traffic_policy,
            url,
            description,
            metadata,
            bindings,
            pooling_enabled,
            created_at,
            modified_at,
        } = row;
        Ok(Self {
            id: EndpointId(id),
            account: AccountId(account_id),
            gateway: GatewayInternalId(gateway_internal_id),
            gateway_id: gateway_id.parse().map_err(|_| StoreError::Unreadable("gateway id"))?,
            traffic_policy,
            url: url.parse().map_err(|_| StoreError::Unreadable("endpoint's url"))?,
            terms: Terms { description, metadata, bindings, pooling_enabled },
            created_at,
            modified_at,
        })
    }
}

/// Binds a host to a gateway; [`HOST_TAKEN`] or [`WILDCARD_TAKEN`] if it belongs to somebody, nothing
/// when the gateway is gone.
pub async fn create(
    tx: &mut ConfigTx,
    account: AccountId,
    gateway: GatewayInternalId,
    id: EndpointId,
    url: &EndpointUrl,
    terms: &Terms,
) -> Result<Option<Endpoint>, StoreError> {
    if !gateways::lock(tx, account, gateway).await? {
        return Ok(None);
    }
    sqlx::query(
        "insert into endpoints (id, account_id, gateway_internal_id, url, host, description, metadata,
             bindings, pooling_enabled)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(id.0)
    .bind(account.0)
    .bind(gateway.0)
    .bind(url.to_string())
    .bind(url.host.to_string())
    .bind(&terms.description)
    .bind(&terms.metadata)
    .bind(&terms.bindings)
    .bind(terms.pooling_enabled)
    .execute(&mut **tx)
    .await?;
    tx.touch(key(id));
    find(tx, account, id).await
}

/// Replaces an endpoint's address, its gateway and what people say about it; the same constraints.
pub async fn update(
    tx: &mut ConfigTx,
    account: AccountId,
    id: EndpointId,
    gateway: GatewayInternalId,
    url: &EndpointUrl,
    terms: &Terms,
) -> Result<Option<Endpoint>, StoreError> {
    if !gateways::lock(tx, account, gateway).await? {
        return Ok(None);
    }
    let done = sqlx::query(
        "update endpoints set gateway_internal_id = $3, url = $4, host = $5, description = $6,
             metadata = $7, bindings = $8, pooling_enabled = $9, modified_at = now()
         where account_id = $1 and id = $2",
    )
    .bind(account.0)
    .bind(id.0)
    .bind(gateway.0)
    .bind(url.to_string())
    .bind(url.host.to_string())
    .bind(&terms.description)
    .bind(&terms.metadata)
    .bind(&terms.bindings)
    .bind(terms.pooling_enabled)
    .execute(&mut **tx)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(None);
    }
    tx.touch(key(id));
    find(tx, account, id).await
}

/// An endpoint of an account.
pub async fn get(store: &Store, account: AccountId, id: EndpointId) -> Result<Option<Endpoint>, StoreError> {
    find(&mut *store.pool.acquire().await?, account, id).await
}

/// The same, within a change.
pub async fn find(
    connection: &mut PgConnection,
    account: AccountId,
    id: EndpointId,
) -> Result<Option<Endpoint>, StoreError> {
    let row: Option<Row> = window::get(connection, SELECT, account, id.0).await?;
    row.map(Endpoint::try_from).transpose()
}

/// A part of an account's endpoints, or of one gateway's.
pub async fn list(
    store: &Store,
    account: AccountId,
    gateway: Option<GatewayInternalId>,
    window: Window,
) -> Result<Vec<Endpoint>, StoreError> {
    let rows: Vec<Row> =
        window::list(store, SELECT, account, gateway.map(|gateway| gateway.0), window).await?;
    rows.into_iter().map(Endpoint::try_from).collect()
}

/// How many there are.
pub async fn count(
    store: &Store,
    account: AccountId,
    gateway: Option<GatewayInternalId>,
) -> Result<i64, StoreError> {
    let narrowed = gateway.map(|gateway| gateway.0);
    window::count(&mut *store.pool.acquire().await?, SELECT, account, narrowed).await
}

/// Gives a host back. A gateway that was made for it goes too, once nothing else is bound to it.
pub async fn delete(tx: &mut ConfigTx, account: AccountId, id: EndpointId) -> Result<bool, StoreError> {
    let gateway: Option<Uuid> =
        sqlx::query_scalar("select gateway_internal_id from endpoints where account_id = $1 and id = $2")
            .bind(account.0)
            .bind(id.0)
            .fetch_optional(&mut **tx)
            .await?;
    let Some(gateway) = gateway.map(GatewayInternalId) else { return Ok(false) };
    // Before the endpoint itself, as everybody does who changes what belongs to a gateway: of two who give
    // back its last hosts, the second one sees that they are the last.
    gateways::lock(tx, account, gateway).await?;
    let done = sqlx::query("delete from endpoints where account_id = $1 and id = $2")
        .bind(account.0)
        .bind(id.0)
        .execute(&mut **tx)
        .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    tx.touch(key(id));
    let is_left_over: bool = sqlx::query_scalar(
        "select exists (select from gateways gateway where internal_id = $1 and of_endpoint
             and not exists (select from endpoints where gateway_internal_id = gateway.internal_id))",
    )
    .bind(gateway.0)
    .fetch_one(&mut **tx)
    .await?;
    if is_left_over {
        gateways::delete(tx, account, gateway).await?;
    }
    Ok(true)
}

pub(crate) fn key(id: EndpointId) -> ResourceKey {
    ResourceKey { account: AccountId::INSTALLATION, kind: ResourceId::Endpoint(id) }
}
