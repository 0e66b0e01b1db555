//! Secrets in vaults, sealed: nothing here, and nothing that calls this, can read one again.

use model::AccountId;
use model::id::{VaultId, VaultSecretId};
use model::resource::{ResourceId, ResourceKey};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

pub use crate::vaults::Terms;
use crate::window::{self, Window};
use crate::{ConfigTx, Store, StoreError};

/// No two secrets of a vault share a name.
pub const NAME_TAKEN: &str = "vault_secrets_name_key";

/// A secret, without what is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultSecret {
    /// Its id, part of what its sealing is bound to.
    pub id: VaultSecretId,
    /// Where it is.
    pub vault: VaultId,
    /// What policies call that vault.
    pub vault_name: String,
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

const SELECT: &str =
    "select secret.id, secret.vault_id, vaults.name as vault_name, secret.name, secret.description,
        secret.metadata, secret.created_by, secret.last_updated_by, secret.created_at, secret.modified_at
     from vault_secrets secret join vaults on vaults.id = secret.vault_id
     where secret.account_id = $1 and ($2::uuid is null or secret.vault_id = $2)";

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    vault_id: Uuid,
    vault_name: String,
    name: String,
    description: String,
    metadata: String,
    created_by: String,
    last_updated_by: String,
    created_at: OffsetDateTime,
    modified_at: OffsetDateTime,
}

impl From<Row> for VaultSecret {
    fn from(row: Row) -> Self {
        let Row {
            id,
            vault_id,
            vault_name,
            name,
            description,
            metadata,
            created_by,
            last_updated_by,
            created_at,
            modified_at,
        } = row;
        Self {
            id: VaultSecretId(id),
            vault: VaultId(vault_id),
            vault_name,
            terms: Terms { name, description, metadata },
            created_by,
            last_updated_by,
            created_at,
            modified_at,
        }
    }
}

/// Stores a secret; [`NAME_TAKEN`] if its vault has one of that name, nothing when there is no such
/// vault.
pub async fn create(
    tx: &mut ConfigTx,
    account: AccountId,
    vault: VaultId,
    id: VaultSecretId,
    terms: &Terms,
    sealed: &[u8],
    by: &str,
) -> Result<Option<VaultSecret>, StoreError> {
    // Locked against deletion and against another name.
    let vault: Option<Uuid> =
        sqlx::query_scalar("select id from vaults where account_id = $1 and id = $2 for share")
            .bind(account.0)
            .bind(vault.0)
            .fetch_optional(&mut **tx)
            .await?;
    let Some(vault) = vault else { return Ok(None) };
    sqlx::query(
        "insert into vault_secrets
             (id, account_id, vault_id, name, description, metadata, sealed, created_by, last_updated_by)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $8)",
    )
    .bind(id.0)
    .bind(account.0)
    .bind(vault)
    .bind(&terms.name)
    .bind(&terms.description)
    .bind(&terms.metadata)
    .bind(sealed)
    .bind(by)
    .execute(&mut **tx)
    .await?;
    tx.touch(key(account, id));
    find(tx, account, id).await
}

/// Replaces what people say about a secret, and the secret itself if there is a new one.
pub async fn update(
    tx: &mut ConfigTx,
    account: AccountId,
    id: VaultSecretId,
    terms: &Terms,
    sealed: Option<&[u8]>,
    by: &str,
) -> Result<Option<VaultSecret>, StoreError> {
    let done = sqlx::query(
        "update vault_secrets set name = $3, description = $4, metadata = $5,
             sealed = coalesce($6, sealed), last_updated_by = $7, modified_at = now()
         where account_id = $1 and id = $2",
    )
    .bind(account.0)
    .bind(id.0)
    .bind(&terms.name)
    .bind(&terms.description)
    .bind(&terms.metadata)
    .bind(sealed)
    .bind(by)
    .execute(&mut **tx)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(None);
    }
    tx.touch(key(account, id));
    find(tx, account, id).await
}

/// A secret of an account.
pub async fn get(
    store: &Store,
    account: AccountId,
    id: VaultSecretId,
) -> Result<Option<VaultSecret>, StoreError> {
    find(&mut *store.pool.acquire().await?, account, id).await
}

/// The same, within a change.
pub async fn find(
    connection: &mut PgConnection,
    account: AccountId,
    id: VaultSecretId,
) -> Result<Option<VaultSecret>, StoreError> {
    let row: Option<Row> = window::get(connection, SELECT, account, id.0).await?;
    Ok(row.map(VaultSecret::from))
}

/// A part of an account's secrets, or of one vault's.
pub async fn list(
    store: &Store,
    account: AccountId,
    vault: Option<VaultId>,
    window: Window,
) -> Result<Vec<VaultSecret>, StoreError> {
    let rows: Vec<Row> = window::list(store, SELECT, account, vault.map(|vault| vault.0), window).await?;
    Ok(rows.into_iter().map(VaultSecret::from).collect())
}

/// How many an account has, or one vault.
pub async fn count(
    connection: &mut PgConnection,
    account: AccountId,
    vault: Option<VaultId>,
) -> Result<i64, StoreError> {
    window::count(connection, SELECT, account, vault.map(|vault| vault.0)).await
}

/// Deletes a secret.
pub async fn delete(tx: &mut ConfigTx, account: AccountId, id: VaultSecretId) -> Result<bool, StoreError> {
    let done = sqlx::query("delete from vault_secrets where account_id = $1 and id = $2")
        .bind(account.0)
        .bind(id.0)
        .execute(&mut **tx)
        .await?;
    let is_done = done.rows_affected() == 1;
    if is_done {
        tx.touch(key(account, id));
    }
    Ok(is_done)
}

fn key(account: AccountId, id: VaultSecretId) -> ResourceKey {
    ResourceKey { account, kind: ResourceId::VaultSecret(id) }
}
