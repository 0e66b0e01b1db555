//! Provider keys that belong to one gateway token, sealed: several per provider, the newest used first.

use model::AccountId;
use model::id::{BoundKeyId, GatewayTokenId};
use model::resource::{ResourceId, ResourceKey};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::provider_keys::SealedSecret;
use crate::window::{self, Window};
use crate::{ConfigTx, Store, StoreError};

/// How many keys of one provider a token can have.
pub const MOST_PER_PROVIDER: i64 = 15;

/// A provider key of a gateway token, without what is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundKey {
    /// Its id, part of what its sealing is bound to.
    pub id: BoundKeyId,
    /// The token it belongs to.
    pub gateway_token: GatewayTokenId,
    /// The provider's slug.
    pub provider: String,
    /// What people say about it.
    pub terms: Terms,
    /// The masked form of the secret.
    pub preview: String,
    /// Who created it: an email, or the id of an API token.
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

/// What people say about a key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// What they call it.
    pub name: String,
    /// For people.
    pub description: String,
    /// For machines.
    pub metadata: String,
}

/// A key to be added.
#[derive(Debug, Clone, Copy)]
pub struct NewKey<'a> {
    /// Its id, part of what its sealing is bound to.
    pub id: BoundKeyId,
    /// The provider's slug.
    pub provider: &'a str,
    /// What people say about it.
    pub terms: &'a Terms,
    /// The secret.
    pub secret: &'a SealedSecret,
    /// Who adds it.
    pub by: &'a str,
}

/// What became of a new key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Added {
    /// It is there.
    Key(Box<BoundKey>),
    /// There is no such token.
    NoToken,
    /// The token has as many keys of this provider as it can have.
    TooMany,
}

const SELECT: &str =
    "select id, gateway_token_id, provider, name, description, metadata, preview, created_by,
        last_updated_by, created_at, modified_at, last_used_at
     from bound_keys where account_id = $1 and ($2::uuid is null or gateway_token_id = $2)";

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    gateway_token_id: Uuid,
    provider: String,
    name: String,
    description: String,
    metadata: String,
    preview: String,
    created_by: String,
    last_updated_by: String,
    created_at: OffsetDateTime,
    modified_at: OffsetDateTime,
    last_used_at: Option<OffsetDateTime>,
}

impl From<Row> for BoundKey {
    fn from(row: Row) -> Self {
        let Row {
            id,
            gateway_token_id,
            provider,
            name,
            description,
            metadata,
            preview,
            created_by,
            last_updated_by,
            created_at,
            modified_at,
            last_used_at,
        } = row;
        Self {
            id: BoundKeyId(id),
            gateway_token: GatewayTokenId(gateway_token_id),
            provider,
            terms: Terms { name, description, metadata },
            preview,
            created_by,
            last_updated_by,
            created_at,
            modified_at,
            last_used_at,
        }
    }
}

/// Gives a token a key.
pub async fn create(
    tx: &mut ConfigTx,
    account: AccountId,
    token: GatewayTokenId,
    new: NewKey<'_>,
) -> Result<Added, StoreError> {
    let NewKey { id, provider, terms, secret, by } = new;
    // Locked against deletion, and against others who add a key before this one is counted.
    let found: Option<Uuid> = sqlx::query_scalar(
        "select id from gateway_tokens where account_id = $1 and id = $2 for no key update",
    )
    .bind(account.0)
    .bind(token.0)
    .fetch_optional(&mut **tx)
    .await?;
    if found.is_none() {
        return Ok(Added::NoToken);
    }
    let count: i64 = sqlx::query_scalar(
        "select count(*) from bound_keys
         where account_id = $1 and gateway_token_id = $2 and provider = $3",
    )
    .bind(account.0)
    .bind(token.0)
    .bind(provider)
    .fetch_one(&mut **tx)
    .await?;
    if count >= MOST_PER_PROVIDER {
        return Ok(Added::TooMany);
    }
    sqlx::query(
        "insert into bound_keys
             (id, account_id, gateway_token_id, provider, name, description, metadata, sealed, preview,
             created_by, last_updated_by)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)",
    )
    .bind(id.0)
    .bind(account.0)
    .bind(token.0)
    .bind(provider)
    .bind(&terms.name)
    .bind(&terms.description)
    .bind(&terms.metadata)
    .bind(&secret.sealed)
    .bind(&secret.preview)
    .bind(by)
    .execute(&mut **tx)
    .await?;
    tx.touch(key(account, id));
    Ok(find(tx, account, id).await?.map_or(Added::NoToken, |key| Added::Key(Box::new(key))))
}

/// Replaces what people say about a key. Its secret is as it was given.
pub async fn update(
    tx: &mut ConfigTx,
    account: AccountId,
    id: BoundKeyId,
    terms: &Terms,
    by: &str,
) -> Result<Option<BoundKey>, StoreError> {
    sqlx::query(
        "update bound_keys set name = $3, description = $4, metadata = $5, last_updated_by = $6,
             modified_at = now()
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
    find(tx, account, id).await
}

/// A key of an account's tokens.
pub async fn get(store: &Store, account: AccountId, id: BoundKeyId) -> Result<Option<BoundKey>, StoreError> {
    find(&mut *store.pool.acquire().await?, account, id).await
}

/// The same, within a change.
pub async fn find(
    connection: &mut PgConnection,
    account: AccountId,
    id: BoundKeyId,
) -> Result<Option<BoundKey>, StoreError> {
    let row: Option<Row> = window::get(connection, SELECT, account, id.0).await?;
    Ok(row.map(BoundKey::from))
}

/// A part of the keys of an account's tokens, or of one token's.
pub async fn list(
    store: &Store,
    account: AccountId,
    token: Option<GatewayTokenId>,
    window: Window,
) -> Result<Vec<BoundKey>, StoreError> {
    let rows: Vec<Row> = window::list(store, SELECT, account, token.map(|token| token.0), window).await?;
    Ok(rows.into_iter().map(BoundKey::from).collect())
}

/// How many there are.
pub async fn count(
    store: &Store,
    account: AccountId,
    token: Option<GatewayTokenId>,
) -> Result<i64, StoreError> {
    window::count(&mut *store.pool.acquire().await?, SELECT, account, token.map(|token| token.0)).await
}

/// Takes a key away. Requests under way with it are finished.
pub async fn delete(tx: &mut ConfigTx, account: AccountId, id: BoundKeyId) -> Result<bool, StoreError> {
    let done = sqlx::query("delete from bound_keys where account_id = $1 and id = $2")
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

/// Says that all keys of a token are about to go.
pub(crate) async fn touch_all(
    tx: &mut ConfigTx,
    account: AccountId,
    token: GatewayTokenId,
) -> Result<(), StoreError> {
    let ids: Vec<Uuid> =
        sqlx::query_scalar("select id from bound_keys where account_id = $1 and gateway_token_id = $2")
            .bind(account.0)
            .bind(token.0)
            .fetch_all(&mut **tx)
            .await?;
    for id in ids {
        tx.touch(key(account, BoundKeyId(id)));
    }
    Ok(())
}

fn key(account: AccountId, id: BoundKeyId) -> ResourceKey {
    ResourceKey { account, kind: ResourceId::BoundKey(id) }
}
