//! The operator's provider keys, sealed, with which requests on credits are sent: several per provider
//! under different aliases; and the installation's data keys, under which they are sealed.

use model::AccountId;
use model::id::OperatorKeyId;
use model::operator_key::Cancel;
use model::resource::{ResourceId, ResourceKey};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::accounts::SealedKeys;
use crate::provider_keys::SealedSecret;
use crate::{ConfigTx, Store, StoreError};

/// No two keys of a provider share an alias.
pub const ALIAS_TAKEN: &str = "operator_keys_alias_key";

/// A key of the operator's, without what is sealed.
#[derive(Debug, Clone, PartialEq)]
pub struct OperatorKey {
    /// Its id, part of what its sealing is bound to.
    pub id: OperatorKeyId,
    /// The provider's slug.
    pub provider: String,
    /// What the operator says about it.
    pub terms: Terms,
    /// The masked form of the secret.
    pub preview: String,
    /// When it was created.
    pub created_at: OffsetDateTime,
    /// When anything about it was changed last.
    pub modified_at: OffsetDateTime,
}

/// What the operator says about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// What he calls it.
    pub alias: String,
    /// Which of a provider's keys is used: the lowest first.
    pub priority: u32,
    /// What the provider does with a request whose caller has left, where the catalogue is wrong.
    pub cancel: Option<Cancel>,
}

const COLUMNS: &str = "id, provider, alias, priority, cancel, preview, created_at, modified_at";

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    provider: String,
    alias: String,
    priority: i32,
    cancel: Option<String>,
    preview: String,
    created_at: OffsetDateTime,
    modified_at: OffsetDateTime,
}

impl TryFrom<Row> for OperatorKey {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let Row { id, provider, alias, priority, cancel, preview, created_at, modified_at } = row;
        let terms = Terms {
            alias,
            priority: u32::try_from(priority).map_err(|_| StoreError::Unreadable("priority"))?,
            cancel: cancel_of(cancel.as_deref())?,
        };
        Ok(Self { id: OperatorKeyId(id), provider, terms, preview, created_at, modified_at })
    }
}

/// Stores a key; [`ALIAS_TAKEN`] if the provider has one of that alias.
pub async fn create(
    tx: &mut ConfigTx,
    id: OperatorKeyId,
    provider: &str,
    terms: &Terms,
    secret: &SealedSecret,
) -> Result<OperatorKey, StoreError> {
    let row: Row = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "insert into operator_keys (id, provider, alias, priority, cancel, sealed, preview)
         values ($1, $2, $3, $4, $5, $6, $7) returning {COLUMNS}"
    )))
    .bind(id.0)
    .bind(provider)
    .bind(&terms.alias)
    .bind(i64::from(terms.priority))
    .bind(terms.cancel.map(cancel_word))
    .bind(&secret.sealed)
    .bind(&secret.preview)
    .fetch_one(&mut **tx)
    .await?;
    tx.touch(key(id));
    row.try_into()
}

/// Replaces what the operator says about a key, and its secret if there is a new one.
pub async fn update(
    tx: &mut ConfigTx,
    id: OperatorKeyId,
    terms: &Terms,
    secret: Option<&SealedSecret>,
) -> Result<Option<OperatorKey>, StoreError> {
    let row: Option<Row> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "update operator_keys set alias = $2, priority = $3, cancel = $4, sealed = coalesce($5, sealed),
             preview = coalesce($6, preview), modified_at = now()
         where id = $1 returning {COLUMNS}"
    )))
    .bind(id.0)
    .bind(&terms.alias)
    .bind(i64::from(terms.priority))
    .bind(terms.cancel.map(cancel_word))
    .bind(secret.map(|secret| &secret.sealed))
    .bind(secret.map(|secret| &secret.preview))
    .fetch_optional(&mut **tx)
    .await?;
    tx.touch(key(id));
    row.map(OperatorKey::try_from).transpose()
}

/// A key.
pub async fn get(store: &Store, id: OperatorKeyId) -> Result<Option<OperatorKey>, StoreError> {
    let row: Option<Row> =
        sqlx::query_as(sqlx::AssertSqlSafe(format!("select {COLUMNS} from operator_keys where id = $1")))
            .bind(id.0)
            .fetch_optional(&store.pool)
            .await?;
    row.map(OperatorKey::try_from).transpose()
}

/// One page of the keys, in the order in which they are used, and how many there are in all.
pub async fn list(store: &Store, limit: i64, offset: i64) -> Result<(Vec<OperatorKey>, i64), StoreError> {
    let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from operator_keys order by provider, priority, id limit $1 offset $2"
    )))
    .bind(limit)
    .bind(offset)
    .fetch_all(&store.pool)
    .await?;
    let total = sqlx::query_scalar("select count(*) from operator_keys").fetch_one(&store.pool).await?;
    Ok((rows.into_iter().map(OperatorKey::try_from).collect::<Result<_, _>>()?, total))
}

/// Deletes a key.
pub async fn delete(tx: &mut ConfigTx, id: OperatorKeyId) -> Result<bool, StoreError> {
    let done = sqlx::query("delete from operator_keys where id = $1").bind(id.0).execute(&mut **tx).await?;
    tx.touch(key(id));
    Ok(done.rows_affected() == 1)
}

/// The installation's sealed data keys, once they are made; nobody else changes them meanwhile.
pub async fn installation_keys(tx: &mut ConfigTx) -> Result<Option<SealedKeys>, StoreError> {
    let keys: (Option<Vec<u8>>, Option<Vec<u8>>) =
        sqlx::query_as("select credentials_key, contents_key from installation for no key update")
            .fetch_one(&mut **tx)
            .await?;
    let (credentials, contents) = keys;
    Ok(credentials.zip(contents).map(|(credentials, contents)| SealedKeys { credentials, contents }))
}

/// Sets the installation's sealed data keys.
pub async fn set_installation_keys(tx: &mut ConfigTx, keys: &SealedKeys) -> Result<(), StoreError> {
    sqlx::query("update installation set credentials_key = $1, contents_key = $2")
        .bind(&keys.credentials)
        .bind(&keys.contents)
        .execute(&mut **tx)
        .await?;
    tx.touch(ResourceKey { account: AccountId::INSTALLATION, kind: ResourceId::Account });
    Ok(())
}

fn key(id: OperatorKeyId) -> ResourceKey {
    ResourceKey { account: AccountId::INSTALLATION, kind: ResourceId::OperatorKey(id) }
}

fn cancel_word(cancel: Cancel) -> &'static str {
    match cancel {
        Cancel::Drain => "drain",
        Cancel::Stop => "stop",
    }
}

pub(crate) fn cancel_of(word: Option<&str>) -> Result<Option<Cancel>, StoreError> {
    match word {
        None => Ok(None),
        Some("drain") => Ok(Some(Cancel::Drain)),
        Some("stop") => Ok(Some(Cancel::Stop)),
        Some(_) => Err(StoreError::Unreadable("cancel")),
    }
}
