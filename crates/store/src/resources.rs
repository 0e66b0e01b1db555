//! Rows as proxies are told of them: one resource at a time, by key, or all in parts.

use model::gateway::GatewaySettings;
use model::id::{ApiTokenId, GatewayInternalId, GatewayTokenId, ProviderKeyId};
use model::resource::{
    ApiToken, Body, Gateway, GatewayToken, ProviderKey, Resource, ResourceId, ResourceKey,
};
use model::{AccountId, Revision};
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection, Postgres, Transaction};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::installation::digest_of;
use crate::{Store, StoreError, outbox};

/// What was found of the resources asked for.
#[derive(Debug, Default)]
pub struct Found {
    /// Those that are there.
    pub resources: Vec<Resource>,
    /// Those that are there, but mean nothing to this release. Proxies keep their last good versions.
    pub unreadable: Vec<ResourceKey>,
}

/// The newest versions of these resources.
pub async fn load(connection: &mut PgConnection, keys: &[ResourceKey]) -> Result<Found, StoreError> {
    let mut found = Found::default();
    for kind in Kind::ALL {
        let ids: Vec<Uuid> = keys.iter().filter_map(|key| kind.id_in(key)).collect();
        if !ids.is_empty() {
            kind.by_ids(connection, &ids, &mut found).await?;
        }
    }
    Ok(found)
}

/// Everything that proxies are told, as of one revision, read in parts: what is not read yet
/// takes no memory.
pub struct Everything {
    tx: Transaction<'static, Postgres>,
    revision: Revision,
    at: Option<(Kind, Uuid)>,
}

impl Everything {
    /// Begins to read.
    pub async fn begin(store: &Store) -> Result<Self, StoreError> {
        let mut tx = outbox::read_only(store).await?;
        let revision = outbox::head(&mut tx).await?;
        Ok(Self { tx, revision, at: Some((Kind::Account, Uuid::nil())) })
    }

    /// The revision that all parts show.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The next resources, at most `limit` of them; `None` after the last.
    pub async fn next_part(&mut self, limit: i64) -> Result<Option<Found>, StoreError> {
        let Some((kind, after)) = self.at else { return Ok(None) };
        let mut found = Found::default();
        let last = kind.page(&mut self.tx, after, limit, &mut found).await?;
        self.at = match last {
            Some(id) => Some((kind, id)),
            None => kind.next().map(|kind| (kind, Uuid::nil())),
        };
        Ok(Some(found))
    }
}

/// The kinds of resource, in the order in which a proxy can make use of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Account,
    Gateway,
    ProviderKey,
    GatewayToken,
    ApiToken,
}

impl Kind {
    const ALL: [Kind; 5] =
        [Kind::Account, Kind::Gateway, Kind::ProviderKey, Kind::GatewayToken, Kind::ApiToken];

    fn next(self) -> Option<Kind> {
        Self::ALL.into_iter().skip_while(|kind| *kind != self).nth(1)
    }

    fn id_in(self, key: &ResourceKey) -> Option<Uuid> {
        match (self, key.kind) {
            (Kind::Account, ResourceId::Account) => Some(key.account.0),
            (Kind::Gateway, ResourceId::Gateway(id)) => Some(id.0),
            (Kind::ProviderKey, ResourceId::ProviderKey(id)) => Some(id.0),
            (Kind::GatewayToken, ResourceId::GatewayToken(id)) => Some(id.0),
            (Kind::ApiToken, ResourceId::ApiToken(id)) => Some(id.0),
            _ => None,
        }
    }

    async fn by_ids(
        self,
        connection: &mut PgConnection,
        ids: &[Uuid],
        found: &mut Found,
    ) -> Result<(), StoreError> {
        match self {
            Kind::Account => by_ids::<AccountRow>(connection, ids, found).await,
            Kind::Gateway => by_ids::<GatewayRow>(connection, ids, found).await,
            Kind::ProviderKey => by_ids::<ProviderKeyRow>(connection, ids, found).await,
            Kind::GatewayToken => by_ids::<GatewayTokenRow>(connection, ids, found).await,
            Kind::ApiToken => by_ids::<ApiTokenRow>(connection, ids, found).await,
        }
    }

    async fn page(
        self,
        connection: &mut PgConnection,
        after: Uuid,
        limit: i64,
        found: &mut Found,
    ) -> Result<Option<Uuid>, StoreError> {
        match self {
            Kind::Account => page::<AccountRow>(connection, after, limit, found).await,
            Kind::Gateway => page::<GatewayRow>(connection, after, limit, found).await,
            Kind::ProviderKey => page::<ProviderKeyRow>(connection, after, limit, found).await,
            Kind::GatewayToken => page::<GatewayTokenRow>(connection, after, limit, found).await,
            Kind::ApiToken => page::<ApiTokenRow>(connection, after, limit, found).await,
        }
    }
}

/// A row that proxies are told of.
trait ResourceRow: for<'r> FromRow<'r, sqlx::postgres::PgRow> + Send + Unpin {
    /// Takes the ids.
    const BY_IDS: &'static str;
    /// Takes the id before the page, and the page's size.
    const PAGE: &'static str;

    fn key(&self) -> ResourceKey;
    fn body(self) -> Result<Body, StoreError>;
    /// The id by which pages are ordered.
    fn id(&self) -> Uuid;
}

async fn by_ids<R: ResourceRow>(
    connection: &mut PgConnection,
    ids: &[Uuid],
    found: &mut Found,
) -> Result<(), StoreError> {
    let rows: Vec<R> = sqlx::query_as(R::BY_IDS).bind(ids).fetch_all(connection).await?;
    found.extend(rows);
    Ok(())
}

/// Reads one page and says where it ended; `None` for an empty one.
async fn page<R: ResourceRow>(
    connection: &mut PgConnection,
    after: Uuid,
    limit: i64,
    found: &mut Found,
) -> Result<Option<Uuid>, StoreError> {
    let rows: Vec<R> = sqlx::query_as(R::PAGE).bind(after).bind(limit).fetch_all(connection).await?;
    let last = rows.last().map(R::id);
    found.extend(rows);
    Ok(last)
}

impl Found {
    fn extend<R: ResourceRow>(&mut self, rows: Vec<R>) {
        for row in rows {
            let key = row.key();
            match row.body() {
                Ok(body) => self.resources.push(Resource { account: key.account, body }),
                Err(_) => self.unreadable.push(key),
            }
        }
    }
}

macro_rules! queries {
    ($columns_and_table:literal, $condition:literal, $id:literal) => {
        const BY_IDS: &'static str =
            concat!("select ", $columns_and_table, " where ", $condition, " and ", $id, " = any($1)");
        const PAGE: &'static str = concat!(
            "select ",
            $columns_and_table,
            " where ",
            $condition,
            " and ",
            $id,
            " > $1 order by ",
            $id,
            " limit $2"
        );
    };
}

#[derive(FromRow)]
struct AccountRow {
    id: Uuid,
    credentials_key: Vec<u8>,
    contents_key: Vec<u8>,
}

impl ResourceRow for AccountRow {
    queries!("id, credentials_key, contents_key from accounts", "true", "id");

    fn key(&self) -> ResourceKey {
        ResourceKey { account: AccountId(self.id), kind: ResourceId::Account }
    }

    fn body(self) -> Result<Body, StoreError> {
        let Self { id: _, credentials_key, contents_key } = self;
        Ok(Body::Account { credentials_key, contents_key })
    }

    fn id(&self) -> Uuid {
        self.id
    }
}

#[derive(FromRow)]
struct GatewayRow {
    internal_id: Uuid,
    account_id: Uuid,
    id: String,
    settings: Json<serde_json::Value>,
}

impl ResourceRow for GatewayRow {
    queries!("internal_id, account_id, id, settings from gateways", "true", "internal_id");

    fn key(&self) -> ResourceKey {
        let kind = ResourceId::Gateway(GatewayInternalId(self.internal_id));
        ResourceKey { account: AccountId(self.account_id), kind }
    }

    fn body(self) -> Result<Body, StoreError> {
        let Self { internal_id, account_id: _, id, settings: Json(settings) } = self;
        let id = id.parse().map_err(|_| StoreError::Unreadable("gateway id"))?;
        let settings: GatewaySettings =
            serde_json::from_value(settings).map_err(|_| StoreError::Unreadable("gateway settings"))?;
        Ok(Body::Gateway(Gateway::of(GatewayInternalId(internal_id), id, &settings)))
    }

    fn id(&self) -> Uuid {
        self.internal_id
    }
}

#[derive(FromRow)]
struct GatewayTokenRow {
    id: Uuid,
    account_id: Uuid,
    gateway_internal_id: Uuid,
    digest: Vec<u8>,
    expires_on: Option<OffsetDateTime>,
}

impl ResourceRow for GatewayTokenRow {
    queries!("id, account_id, gateway_internal_id, digest, expires_on from gateway_tokens", "true", "id");

    fn key(&self) -> ResourceKey {
        let kind = ResourceId::GatewayToken(GatewayTokenId(self.id));
        ResourceKey { account: AccountId(self.account_id), kind }
    }

    fn body(self) -> Result<Body, StoreError> {
        let Self { id, account_id: _, gateway_internal_id, digest, expires_on } = self;
        Ok(Body::GatewayToken(GatewayToken {
            id: GatewayTokenId(id),
            gateway: GatewayInternalId(gateway_internal_id),
            digest: digest_of(digest)?,
            expires_at_ms: expires_on.map(milliseconds),
        }))
    }

    fn id(&self) -> Uuid {
        self.id
    }
}

#[derive(FromRow)]
struct ApiTokenRow {
    id: Uuid,
    account_id: Uuid,
    digest: Vec<u8>,
    not_before: Option<OffsetDateTime>,
    expires_on: Option<OffsetDateTime>,
}

impl ResourceRow for ApiTokenRow {
    // A token with a condition is not told: no proxy obeys conditions, so it would work from
    // addresses that its owner excluded.
    queries!(
        "id, account_id, digest, not_before, expires_on from api_tokens",
        "'ai_gateway_run' = any(permissions) and not disabled
         and coalesce(condition, '{}') in ('{}', 'null')",
        "id"
    );

    fn key(&self) -> ResourceKey {
        ResourceKey { account: AccountId(self.account_id), kind: ResourceId::ApiToken(ApiTokenId(self.id)) }
    }

    fn body(self) -> Result<Body, StoreError> {
        let Self { id, account_id: _, digest, not_before, expires_on } = self;
        Ok(Body::ApiToken(ApiToken {
            id: ApiTokenId(id),
            digest: digest_of(digest)?,
            not_before_ms: not_before.map(milliseconds),
            expires_at_ms: expires_on.map(milliseconds),
        }))
    }

    fn id(&self) -> Uuid {
        self.id
    }
}

#[derive(FromRow)]
struct ProviderKeyRow {
    id: Uuid,
    account_id: Uuid,
    gateway_internal_id: Uuid,
    provider: String,
    alias: String,
    is_default: bool,
    sealed: Vec<u8>,
}

impl ResourceRow for ProviderKeyRow {
    queries!(
        "id, account_id, gateway_internal_id, provider, alias, is_default, sealed from provider_keys",
        "true",
        "id"
    );

    fn key(&self) -> ResourceKey {
        let kind = ResourceId::ProviderKey(ProviderKeyId(self.id));
        ResourceKey { account: AccountId(self.account_id), kind }
    }

    fn body(self) -> Result<Body, StoreError> {
        let Self { id, account_id: _, gateway_internal_id, provider, alias, is_default, sealed } = self;
        Ok(Body::ProviderKey(ProviderKey {
            id: ProviderKeyId(id),
            gateway: GatewayInternalId(gateway_internal_id),
            provider,
            alias,
            is_default,
            sealed,
        }))
    }

    fn id(&self) -> Uuid {
        self.id
    }
}

fn milliseconds(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}
