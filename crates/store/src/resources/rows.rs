//! Rows as proxies are told of them.

pub(super) mod hosts;
pub(super) mod installation;

use model::AccountId;
use model::gateway::GatewaySettings;
use model::id::{ApiTokenId, GatewayInternalId, GatewayTokenId, PriceRuleId, ProviderKeyId};
use model::resource::{
    ApiToken, Body, Gateway, GatewayToken, PriceRule, ProviderKey, Resource, ResourceId, ResourceKey,
};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{By, Found};
use crate::StoreError;
use crate::installation::digest_of;

/// A row that proxies are told of.
pub(super) trait ResourceRow: for<'r> FromRow<'r, sqlx::postgres::PgRow> + Send + Unpin {
    /// Takes the ids.
    const BY_IDS: &'static str;
    /// Takes the ids of accounts.
    const BY_ACCOUNTS: &'static str;
    /// Takes the id before the page, and the page's size.
    const PAGE: &'static str;

    fn key(&self) -> ResourceKey;
    fn body(self) -> Result<Body, StoreError>;
    /// The id by which pages are ordered.
    fn id(&self) -> Uuid;
}

/// Reads all rows with these ids, or of these accounts.
pub(super) async fn all<R: ResourceRow>(
    connection: &mut PgConnection,
    by: By,
    ids: &[Uuid],
    found: &mut Found,
) -> Result<(), StoreError> {
    let sql = match by {
        By::Id => R::BY_IDS,
        By::Account => R::BY_ACCOUNTS,
    };
    let rows: Vec<R> = sqlx::query_as(sql).bind(ids).fetch_all(connection).await?;
    found.extend(rows);
    Ok(())
}

/// Reads one page and says where it ended; `None` for an empty one.
pub(super) async fn page<R: ResourceRow>(
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
    ($columns_and_table:literal, $condition:literal, $id:literal, $account_id:literal) => {
        const BY_IDS: &'static str =
            concat!("select ", $columns_and_table, " where ", $condition, " and ", $id, " = any($1)");
        const BY_ACCOUNTS: &'static str =
            concat!("select ", $columns_and_table, " where ", $condition, " and ", $account_id, " = any($1)");
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
pub(super) struct AccountRow {
    id: Uuid,
    credentials_key: Vec<u8>,
    contents_key: Vec<u8>,
    terms: Json<Box<RawValue>>,
}

impl ResourceRow for AccountRow {
    queries!("id, credentials_key, contents_key, terms from accounts", "true", "id", "id");

    fn key(&self) -> ResourceKey {
        ResourceKey { account: AccountId(self.id), kind: ResourceId::Account }
    }

    fn body(self) -> Result<Body, StoreError> {
        let Self { id: _, credentials_key, contents_key, terms } = self;
        let terms = read(&terms, "account terms")?;
        Ok(Body::Account { credentials_key, contents_key, terms })
    }

    fn id(&self) -> Uuid {
        self.id
    }
}

#[derive(FromRow)]
pub(super) struct GatewayRow {
    internal_id: Uuid,
    account_id: Uuid,
    id: String,
    // Unread, so that one gateway's document does not spoil the others' rows.
    settings: Json<Box<RawValue>>,
    traffic_policy: Option<String>,
}

impl ResourceRow for GatewayRow {
    queries!(
        "internal_id, account_id, id, settings,
            coalesce(served_policy, traffic_policy) as traffic_policy from gateways",
        "true",
        "internal_id",
        "account_id"
    );

    fn key(&self) -> ResourceKey {
        let kind = ResourceId::Gateway(GatewayInternalId(self.internal_id));
        ResourceKey { account: AccountId(self.account_id), kind }
    }

    fn body(self) -> Result<Body, StoreError> {
        let Self { internal_id, account_id: _, id, settings, traffic_policy } = self;
        let id = id.parse().map_err(|_| StoreError::Unreadable("gateway id"))?;
        let settings: GatewaySettings = read(&settings, "gateway settings")?;
        let gateway = Gateway::of(GatewayInternalId(internal_id), id, &settings);
        Ok(Body::Gateway(Gateway { traffic_policy: traffic_policy.map(Into::into), ..gateway }))
    }

    fn id(&self) -> Uuid {
        self.internal_id
    }
}

#[derive(FromRow)]
pub(super) struct GatewayTokenRow {
    id: Uuid,
    account_id: Uuid,
    gateway_internal_id: Uuid,
    digest: Vec<u8>,
    expires_on: Option<OffsetDateTime>,
    budget: Option<Json<Box<RawValue>>>,
}

impl ResourceRow for GatewayTokenRow {
    queries!(
        "id, account_id, gateway_internal_id, digest, expires_on, budget from gateway_tokens",
        "true",
        "id",
        "account_id"
    );

    fn key(&self) -> ResourceKey {
        let kind = ResourceId::GatewayToken(GatewayTokenId(self.id));
        ResourceKey { account: AccountId(self.account_id), kind }
    }

    fn body(self) -> Result<Body, StoreError> {
        let Self { id, account_id: _, gateway_internal_id, digest, expires_on, budget } = self;
        Ok(Body::GatewayToken(GatewayToken {
            id: GatewayTokenId(id),
            gateway: GatewayInternalId(gateway_internal_id),
            digest: digest_of(digest)?,
            expires_at_ms: expires_on.map(milliseconds),
            budget: budget.map(|budget| read(&budget, "budget")).transpose()?,
        }))
    }

    fn id(&self) -> Uuid {
        self.id
    }
}

#[derive(FromRow)]
pub(super) struct ApiTokenRow {
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
        "id",
        "account_id"
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
pub(super) struct ProviderKeyRow {
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
        "id",
        "account_id"
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

#[derive(FromRow)]
pub(super) struct PriceRuleRow {
    id: Uuid,
    account_id: Option<Uuid>,
    rule: Json<Box<RawValue>>,
}

impl ResourceRow for PriceRuleRow {
    queries!(
        "id, account_id, rule from price_rules",
        "true",
        "id",
        // The operator's travel under the id of the installation.
        "coalesce(account_id, '00000000-0000-0000-0000-000000000000')"
    );

    fn key(&self) -> ResourceKey {
        let account = self.account_id.map_or(AccountId::INSTALLATION, AccountId);
        ResourceKey { account, kind: ResourceId::PriceRule(PriceRuleId(self.id)) }
    }

    fn body(self) -> Result<Body, StoreError> {
        let rule: PriceRule = read(&self.rule, "price rule")?;
        Ok(Body::PriceRule(Box::new(rule)))
    }

    fn id(&self) -> Uuid {
        self.id
    }
}

fn read<T: DeserializeOwned>(document: &RawValue, what: &'static str) -> Result<T, StoreError> {
    serde_json::from_str(document.get()).map_err(|_| StoreError::Unreadable(what))
}

fn milliseconds(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}
