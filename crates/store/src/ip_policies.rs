//! IP policies: ranges of addresses under one id, which traffic policies name. Proxies are told the ranges in
//! the place of the id, so whoever changes a rule writes the policies that name it anew.

pub mod rules;

use std::collections::BTreeMap;

use model::AccountId;
use model::id::GatewayInternalId;
use model::resource::{ResourceId, ResourceKey};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::window::{self, Window};
use crate::{ConfigTx, Store, StoreError};

/// The id of an IP policy. Only one face of the management API shows it, under a prefix of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct IpPolicyId(pub Uuid);

/// Ranges under one id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpPolicy {
    /// Its id.
    pub id: IpPolicyId,
    /// What people say about it.
    pub notes: Notes,
    /// When it was created.
    pub created_at: OffsetDateTime,
}

/// What people say about a policy, or about a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    /// For people.
    pub description: String,
    /// For machines.
    pub metadata: String,
}

/// What the rules of a policy come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ranges {
    /// Addresses that may come.
    pub allow: Vec<String>,
    /// Addresses that may not.
    pub deny: Vec<String>,
}

const SELECT: &str = "select id, description, metadata, created_at
     from ip_policies where account_id = $1 and $2::uuid is null";

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    description: String,
    metadata: String,
    created_at: OffsetDateTime,
}

impl From<Row> for IpPolicy {
    fn from(Row { id, description, metadata, created_at }: Row) -> Self {
        Self { id: IpPolicyId(id), notes: Notes { description, metadata }, created_at }
    }
}

/// Creates a policy without rules.
pub async fn create(
    connection: &mut PgConnection,
    account: AccountId,
    id: IpPolicyId,
    notes: &Notes,
) -> Result<Option<IpPolicy>, StoreError> {
    sqlx::query("insert into ip_policies (id, account_id, description, metadata) values ($1, $2, $3, $4)")
        .bind(id.0)
        .bind(account.0)
        .bind(&notes.description)
        .bind(&notes.metadata)
        .execute(&mut *connection)
        .await?;
    find(connection, account, id).await
}

/// Replaces what people say about a policy.
pub async fn set_notes(
    connection: &mut PgConnection,
    account: AccountId,
    id: IpPolicyId,
    notes: &Notes,
) -> Result<Option<IpPolicy>, StoreError> {
    sqlx::query("update ip_policies set description = $3, metadata = $4 where account_id = $1 and id = $2")
        .bind(account.0)
        .bind(id.0)
        .bind(&notes.description)
        .bind(&notes.metadata)
        .execute(&mut *connection)
        .await?;
    find(connection, account, id).await
}

/// A policy of an account.
pub async fn find(
    connection: &mut PgConnection,
    account: AccountId,
    id: IpPolicyId,
) -> Result<Option<IpPolicy>, StoreError> {
    let row: Option<Row> = window::get(connection, SELECT, account, id.0).await?;
    Ok(row.map(IpPolicy::from))
}

/// A part of an account's policies.
pub async fn list(store: &Store, account: AccountId, window: Window) -> Result<Vec<IpPolicy>, StoreError> {
    let rows: Vec<Row> = window::list(store, SELECT, account, None, window).await?;
    Ok(rows.into_iter().map(IpPolicy::from).collect())
}

/// How many an account has.
pub async fn count(connection: &mut PgConnection, account: AccountId) -> Result<i64, StoreError> {
    window::count(connection, SELECT, account, None).await
}

/// Locks a policy against others who change its rules or have a traffic policy name it. `false` when it is gone.
pub async fn lock(tx: &mut ConfigTx, account: AccountId, id: IpPolicyId) -> Result<bool, StoreError> {
    let found: Option<Uuid> =
        sqlx::query_scalar("select id from ip_policies where account_id = $1 and id = $2 for update")
            .bind(account.0)
            .bind(id.0)
            .fetch_optional(&mut **tx)
            .await?;
    Ok(found.is_some())
}

/// Deletes a policy with its rules.
pub async fn delete(tx: &mut ConfigTx, account: AccountId, id: IpPolicyId) -> Result<bool, StoreError> {
    let done = sqlx::query("delete from ip_policies where account_id = $1 and id = $2")
        .bind(account.0)
        .bind(id.0)
        .execute(&mut **tx)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Keeps these policies as they are until a change is over that is about to name them.
pub async fn hold(tx: &mut ConfigTx, account: AccountId, ids: &[IpPolicyId]) -> Result<(), StoreError> {
    sqlx::query("select id from ip_policies where account_id = $1 and id = any($2) order by id for share")
        .bind(account.0)
        .bind(ids.iter().map(|id| id.0).collect::<Vec<_>>())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// What the rules of these policies come to, each by its id; those that the account does not have are left
/// out.
pub async fn ranges(
    tx: &mut ConfigTx,
    account: AccountId,
    ids: &[IpPolicyId],
) -> Result<BTreeMap<IpPolicyId, Ranges>, StoreError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let found: Vec<Uuid> =
        sqlx::query_scalar("select id from ip_policies where account_id = $1 and id = any($2)")
            .bind(account.0)
            .bind(&ids)
            .fetch_all(&mut **tx)
            .await?;
    let mut ranges: BTreeMap<_, _> =
        found.into_iter().map(|id| (IpPolicyId(id), Ranges::default())).collect();
    let rules: Vec<(Uuid, String, bool)> = sqlx::query_as(
        "select ip_policy_id, cidr, allows from ip_policy_rules
         where account_id = $1 and ip_policy_id = any($2) order by id",
    )
    .bind(account.0)
    .bind(&ids)
    .fetch_all(&mut **tx)
    .await?;
    for (id, cidr, allows) in rules {
        if let Some(ranges) = ranges.get_mut(&IpPolicyId(id)) {
            if allows { ranges.allow.push(cidr) } else { ranges.deny.push(cidr) }
        }
    }
    Ok(ranges)
}

/// A gateway whose traffic policy names IP policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naming {
    /// The gateway.
    pub gateway: GatewayInternalId,
    /// Its policy as it was written.
    pub traffic_policy: String,
    /// Which it names.
    pub names: Vec<IpPolicyId>,
}

/// The gateways whose traffic policies name an IP policy; locked, so that none gets another meanwhile.
pub async fn named_by(
    tx: &mut ConfigTx,
    account: AccountId,
    id: IpPolicyId,
) -> Result<Vec<Naming>, StoreError> {
    let rows: Vec<(Uuid, Option<String>, Vec<Uuid>)> = sqlx::query_as(
        "select internal_id, traffic_policy, ip_policies from gateways
         where account_id = $1 and ip_policies @> array[$2::uuid] order by internal_id for update",
    )
    .bind(account.0)
    .bind(id.0)
    .fetch_all(&mut **tx)
    .await?;
    let naming = rows.into_iter().filter_map(|(gateway, traffic_policy, names)| {
        Some(Naming {
            gateway: GatewayInternalId(gateway),
            traffic_policy: traffic_policy?,
            names: names.into_iter().map(IpPolicyId).collect(),
        })
    });
    Ok(naming.collect())
}

/// Says what proxies are told in the place of a gateway's traffic policy, and which IP policies it names.
pub async fn set_served(
    tx: &mut ConfigTx,
    account: AccountId,
    gateway: GatewayInternalId,
    served: Option<&str>,
    names: &[IpPolicyId],
) -> Result<(), StoreError> {
    sqlx::query(
        "update gateways set served_policy = $3, ip_policies = $4
         where account_id = $1 and internal_id = $2",
    )
    .bind(account.0)
    .bind(gateway.0)
    .bind(served)
    .bind(names.iter().map(|id| id.0).collect::<Vec<_>>())
    .execute(&mut **tx)
    .await?;
    tx.touch(ResourceKey { account, kind: ResourceId::Gateway(gateway) });
    Ok(())
}
