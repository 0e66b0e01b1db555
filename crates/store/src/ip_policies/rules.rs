//! The rules of IP policies: a range each, which may come or may not.

use model::AccountId;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{IpPolicyId, Notes};
use crate::window::{self, Window};
use crate::{Store, StoreError};

/// The id of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpPolicyRuleId(pub Uuid);

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpPolicyRule {
    /// Its id.
    pub id: IpPolicyRuleId,
    /// The policy that it belongs to.
    pub ip_policy: IpPolicyId,
    /// What it says.
    pub terms: Terms,
    /// When it was created.
    pub created_at: OffsetDateTime,
}

/// What a rule says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The range.
    pub cidr: String,
    /// Whether it may come.
    pub allows: bool,
    /// What people say about it.
    pub notes: Notes,
}

const SELECT: &str = "select id, ip_policy_id, cidr, allows, description, metadata, created_at
     from ip_policy_rules where account_id = $1 and ($2::uuid is null or ip_policy_id = $2)";

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    ip_policy_id: Uuid,
    cidr: String,
    allows: bool,
    description: String,
    metadata: String,
    created_at: OffsetDateTime,
}

impl From<Row> for IpPolicyRule {
    fn from(row: Row) -> Self {
        let Row { id, ip_policy_id, cidr, allows, description, metadata, created_at } = row;
        let terms = Terms { cidr, allows, notes: Notes { description, metadata } };
        Self { id: IpPolicyRuleId(id), ip_policy: IpPolicyId(ip_policy_id), terms, created_at }
    }
}

/// Adds a rule to a policy of the account's.
pub async fn create(
    connection: &mut PgConnection,
    account: AccountId,
    ip_policy: IpPolicyId,
    id: IpPolicyRuleId,
    terms: &Terms,
) -> Result<Option<IpPolicyRule>, StoreError> {
    sqlx::query(
        "insert into ip_policy_rules (id, account_id, ip_policy_id, cidr, allows, description, metadata)
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(id.0)
    .bind(account.0)
    .bind(ip_policy.0)
    .bind(&terms.cidr)
    .bind(terms.allows)
    .bind(&terms.notes.description)
    .bind(&terms.notes.metadata)
    .execute(&mut *connection)
    .await?;
    find(connection, account, id).await
}

/// Replaces what a rule says.
pub async fn update(
    connection: &mut PgConnection,
    account: AccountId,
    id: IpPolicyRuleId,
    terms: &Terms,
) -> Result<Option<IpPolicyRule>, StoreError> {
    sqlx::query(
        "update ip_policy_rules set cidr = $3, allows = $4, description = $5, metadata = $6
         where account_id = $1 and id = $2",
    )
    .bind(account.0)
    .bind(id.0)
    .bind(&terms.cidr)
    .bind(terms.allows)
    .bind(&terms.notes.description)
    .bind(&terms.notes.metadata)
    .execute(&mut *connection)
    .await?;
    find(connection, account, id).await
}

/// A rule of an account.
pub async fn find(
    connection: &mut PgConnection,
    account: AccountId,
    id: IpPolicyRuleId,
) -> Result<Option<IpPolicyRule>, StoreError> {
    let row: Option<Row> = window::get(connection, SELECT, account, id.0).await?;
    Ok(row.map(IpPolicyRule::from))
}

/// A part of an account's rules.
pub async fn list(
    store: &Store,
    account: AccountId,
    window: Window,
) -> Result<Vec<IpPolicyRule>, StoreError> {
    let rows: Vec<Row> = window::list(store, SELECT, account, None, window).await?;
    Ok(rows.into_iter().map(IpPolicyRule::from).collect())
}

/// How many a policy has.
pub async fn count(
    connection: &mut PgConnection,
    account: AccountId,
    ip_policy: IpPolicyId,
) -> Result<i64, StoreError> {
    window::count(connection, SELECT, account, Some(ip_policy.0)).await
}

/// Deletes a rule.
pub async fn delete(
    connection: &mut PgConnection,
    account: AccountId,
    id: IpPolicyRuleId,
) -> Result<bool, StoreError> {
    let done = sqlx::query("delete from ip_policy_rules where account_id = $1 and id = $2")
        .bind(account.0)
        .bind(id.0)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}
