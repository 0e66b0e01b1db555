//! Vaults: places of an account for secrets, which its traffic policies refer to by name.

use model::AccountId;
use model::id::{VaultId, VaultSecretId};
use model::resource::{ResourceId, ResourceKey};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::window::{self, Window};
use crate::{ConfigTx, Store, StoreError};

/// No two vaults of an account share a name.
pub const NAME_TAKEN: &str = "vaults_name_key";
/// A vault in which there are secrets stays.
pub const NOT_EMPTY: &str = "vault_secrets_vault_key";

/// A place for secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vault {
    /// Its id.
    pub id: VaultId,
    /// What people say about it.
    pub terms: Terms,
    /// Who created it: an email, or the id of an API token.
    pub created_by: String,
    /// Who changed it last.
    pub last_updated_by: String,
    /// When it was created.
    pub created_at: OffsetDateTime,
    /// When anything about it was changed last.
    pub modified_at: OffsetDateTime,
}

/// What people say about a vault, or about a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// What policies call it.
    pub name: String,
    /// For people.
    pub description: String,
    /// For machines.
    pub metadata: String,
}

const SELECT: &str =
    "select id, name, description, metadata, created_by, last_updated_by, created_at, modified_at
     from vaults where account_id = $1 and $2::uuid is null";

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    name: String,
    description: String,
    metadata: String,
    created_by: String,
    last_updated_by: String,
    created_at: OffsetDateTime,
    modified_at: OffsetDateTime,
}

impl From<Row> for Vault {
    fn from(row: Row) -> Self {
        let Row { id, name, description, metadata, created_by, last_updated_by, created_at, modified_at } =
            row;
        let terms = Terms { name, description, metadata };
        Self { id: VaultId(id), terms, created_by, last_updated_by, created_at, modified_at }
    }
}

/// Creates a vault; [`NAME_TAKEN`] if the account has one of that name, nothing when there is no such
/// account.
pub async fn create(
    tx: &mut ConfigTx,
    account: AccountId,
    id: VaultId,
    terms: &Terms,
    by: &str,
) -> Result<Option<Vault>, StoreError> {
    sqlx::query(
        "insert into vaults (id, account_id, name, description, metadata, created_by, last_updated_by)
         values ($1, $2, $3, $4, $5, $6, $6)",
    )
    .bind(id.0)
    .bind(account.0)
    .bind(&terms.name)
    .bind(&terms.description)
    .bind(&terms.metadata)
    .bind(by)
    .execute(&mut **tx)
    .await?;
    find(tx, account, id).await
}

/// Replaces what people say about a vault. With its name the names of its secrets change.
pub async fn update(
    tx: &mut ConfigTx,
    account: AccountId,
    id: VaultId,
    terms: &Terms,
    by: &str,
) -> Result<Option<Vault>, StoreError> {
    sqlx::query(
        "update vaults set name = $3, description = $4, metadata = $5, last_updated_by = $6, modified_at = now()
         where account_id = $1 and id = $2",
    )
    .bind(account.0)
    .bind(id.0)
    .bind(&terms.name)
    .bind(&terms.description)
    .bind(&terms.metadata)
    .bind(by)
    .execute(&mut **tx)
    .await?;
    let secrets: Vec<Uuid> =
        sqlx::query_scalar("select id from vault_secrets where account_id = $1 and vault_id = $2")
            .bind(account.0)
            .bind(id.0)
            .fetch_all(&mut **tx)
            .await?;
    for secret in secrets {
        tx.touch(ResourceKey { account, kind: ResourceId::VaultSecret(VaultSecretId(secret)) });
    }
    find(tx, account, id).await
}

/// A vault of an account.
pub async fn get(store: &Store, account: AccountId, id: VaultId) -> Result<Option<Vault>, StoreError> {
    find(&mut *store.pool.acquire().await?, account, id).await
}

/// The same, within a change.
pub async fn find(
    connection: &mut PgConnection,
    account: AccountId,
    id: VaultId,
) -> Result<Option<Vault>, StoreError> {
    let row: Option<Row> = window::get(connection, SELECT, account, id.0).await?;
    Ok(row.map(Vault::from))
}

/// The vault that is called so.
pub async fn named(
    connection: &mut PgConnection,
    account: AccountId,
    name: &str,
) -> Result<Option<VaultId>, StoreError> {
    let id: Option<Uuid> = sqlx::query_scalar("select id from vaults where account_id = $1 and name = $2")
        .bind(account.0)
        .bind(name)
        .fetch_optional(connection)
        .await?;
    Ok(id.map(VaultId))
}

/// A part of an account's vaults.
pub async fn list(store: &Store, account: AccountId, window: Window) -> Result<Vec<Vault>, StoreError> {
    let rows: Vec<Row> = window::list(store, SELECT, account, None, window).await?;
    Ok(rows.into_iter().map(Vault::from).collect())
}

/// How many an account has.
pub async fn count(connection: &mut PgConnection, account: AccountId) -> Result<i64, StoreError> {
    window::count(connection, SELECT, account, None).await
}

/// Deletes a vault; [`NOT_EMPTY`] while there are secrets in it.
pub async fn delete(tx: &mut ConfigTx, account: AccountId, id: VaultId) -> Result<bool, StoreError> {
    let done = sqlx::query("delete from vaults where account_id = $1 and id = $2")
        .bind(account.0)
        .bind(id.0)
        .execute(&mut **tx)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Keeps others from adding to an account what is counted before it is added.
pub async fn lock_account(tx: &mut ConfigTx, account: AccountId) -> Result<bool, StoreError> {
    let found: Option<Uuid> = sqlx::query_scalar("select id from accounts where id = $1 for no key update")
        .bind(account.0)
        .fetch_optional(&mut **tx)
        .await?;
    Ok(found.is_some())
}
