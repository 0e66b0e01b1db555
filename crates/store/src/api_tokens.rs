//! API tokens: management tokens in Cloudflare's shape. One with the permission to run requests is
//! also told to the proxies.

pub mod notes;

use model::AccountId;
use model::id::ApiTokenId;
use model::permission::{Permission, Permissions};
use model::resource::{ResourceId, ResourceKey};
use model::token::TokenDigest;
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::installation::digest_of;
use crate::{ConfigTx, Store, StoreError};

/// A management token.
#[derive(Debug, Clone)]
pub struct ApiToken {
    /// Its id, which is inside the token.
    pub id: ApiTokenId,
    /// Whose it is.
    pub account: AccountId,
    /// What it must hash to.
    pub digest: TokenDigest,
    /// What it is and may be used for.
    pub terms: Terms,
    /// The email of the person who created it; none for tokens created by tokens.
    pub creator_email: Option<String>,
    /// When it was created.
    pub issued_on: OffsetDateTime,
    /// When its terms or value were changed last.
    pub modified_on: OffsetDateTime,
    /// When the management API was called with it last, to the minute.
    pub last_used_on: Option<OffsetDateTime>,
}

/// What its owner says about a token.
#[derive(Debug, Clone)]
pub struct Terms {
    /// What people call it.
    pub name: String,
    /// The policies as the API shows them.
    pub policies: serde_json::Value,
    /// The condition as the API shows it.
    pub condition: Option<serde_json::Value>,
    /// What the policies come to.
    pub permissions: Permissions,
    /// Switched off by hand.
    pub disabled: bool,
    /// Not good before.
    pub not_before: Option<OffsetDateTime>,
    /// Not good from then on.
    pub expires_on: Option<OffsetDateTime>,
}

const COLUMNS: &str = "id, account_id, name, digest, policies, condition, permissions, disabled, not_before,
    expires_on, creator_email, issued_on, modified_on, last_used_on";

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    account_id: Uuid,
    name: String,
    digest: Vec<u8>,
    policies: Json<serde_json::Value>,
    condition: Option<Json<serde_json::Value>>,
    permissions: Vec<String>,
    disabled: bool,
    not_before: Option<OffsetDateTime>,
    expires_on: Option<OffsetDateTime>,
    creator_email: Option<String>,
    issued_on: OffsetDateTime,
    modified_on: OffsetDateTime,
    last_used_on: Option<OffsetDateTime>,
}

impl TryFrom<Row> for ApiToken {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let Row {
            id,
            account_id,
            name,
            digest,
            policies,
            condition,
            permissions,
            disabled,
            not_before,
            expires_on,
            creator_email,
            issued_on,
            modified_on,
            last_used_on,
        } = row;
        Ok(Self {
            id: ApiTokenId(id),
            account: AccountId(account_id),
            digest: digest_of(digest)?,
            terms: Terms {
                name,
                policies: policies.0,
                condition: condition.map(|condition| condition.0),
                permissions: permissions.iter().filter_map(|word| Permission::from_word(word)).collect(),
                disabled,
                not_before,
                expires_on,
            },
            creator_email,
            issued_on,
            modified_on,
            last_used_on,
        })
    }
}

/// Creates a token.
pub async fn create(
    tx: &mut ConfigTx,
    account: AccountId,
    id: ApiTokenId,
    digest: &TokenDigest,
    terms: &Terms,
    creator_email: Option<&str>,
) -> Result<ApiToken, StoreError> {
    let row: Row = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "insert into api_tokens (id, account_id, digest, creator_email, name, policies, condition, permissions,
             disabled, not_before, expires_on)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) returning {COLUMNS}"
    )))
    .bind(id.0)
    .bind(account.0)
    .bind(digest.0)
    .bind(creator_email)
    .bind(&terms.name)
    .bind(Json(&terms.policies))
    .bind(terms.condition.as_ref().map(Json))
    .bind(words(&terms.permissions))
    .bind(terms.disabled)
    .bind(terms.not_before)
    .bind(terms.expires_on)
    .fetch_one(&mut **tx)
    .await?;
    tx.touch(key(account, id));
    row.try_into()
}

/// Replaces a token's terms.
pub async fn set_terms(
    tx: &mut ConfigTx,
    account: AccountId,
    id: ApiTokenId,
    terms: &Terms,
) -> Result<Option<ApiToken>, StoreError> {
    let row: Option<Row> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "update api_tokens set name = $3, policies = $4, condition = $5, permissions = $6, disabled = $7,
             not_before = $8, expires_on = $9, modified_on = now()
         where account_id = $1 and id = $2 returning {COLUMNS}"
    )))
    .bind(account.0)
    .bind(id.0)
    .bind(&terms.name)
    .bind(Json(&terms.policies))
    .bind(terms.condition.as_ref().map(Json))
    .bind(words(&terms.permissions))
    .bind(terms.disabled)
    .bind(terms.not_before)
    .bind(terms.expires_on)
    .fetch_optional(&mut **tx)
    .await?;
    tx.touch(key(account, id));
    row.map(ApiToken::try_from).transpose()
}

/// Gives a token another value; the old one is worth nothing from then on.
pub async fn roll(
    tx: &mut ConfigTx,
    account: AccountId,
    id: ApiTokenId,
    digest: &TokenDigest,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "update api_tokens set digest = $3, modified_on = now() where account_id = $1 and id = $2",
    )
    .bind(account.0)
    .bind(id.0)
    .bind(digest.0)
    .execute(&mut **tx)
    .await?;
    tx.touch(key(account, id));
    Ok(done.rows_affected() == 1)
}

/// Deletes a token.
pub async fn delete(tx: &mut ConfigTx, account: AccountId, id: ApiTokenId) -> Result<bool, StoreError> {
    let done = sqlx::query("delete from api_tokens where account_id = $1 and id = $2")
        .bind(account.0)
        .bind(id.0)
        .execute(&mut **tx)
        .await?;
    tx.touch(key(account, id));
    Ok(done.rows_affected() == 1)
}

/// A token of an account.
pub async fn get(store: &Store, account: AccountId, id: ApiTokenId) -> Result<Option<ApiToken>, StoreError> {
    Ok(find(store, id).await?.filter(|token| token.account == account))
}

/// A token by the id inside it; whether what was presented matches is the caller's to check.
pub async fn find(store: &Store, id: ApiTokenId) -> Result<Option<ApiToken>, StoreError> {
    let row: Option<Row> =
        sqlx::query_as(sqlx::AssertSqlSafe(format!("select {COLUMNS} from api_tokens where id = $1")))
            .bind(id.0)
            .fetch_optional(&store.pool)
            .await?;
    row.map(ApiToken::try_from).transpose()
}

/// Which of an account's tokens to list.
#[derive(Debug, Clone, Copy)]
pub struct Listing {
    /// Newest first, rather than oldest.
    pub newest_first: bool,
    /// How many at most.
    pub limit: i64,
    /// How many to pass over.
    pub offset: i64,
}

/// One page of an account's tokens, by age, and how many there are in all.
pub async fn list(
    store: &Store,
    account: AccountId,
    listing: Listing,
) -> Result<(Vec<ApiToken>, i64), StoreError> {
    let direction = if listing.newest_first { "desc" } else { "asc" };
    let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from api_tokens where account_id = $1
         order by issued_on {direction}, id {direction} limit $2 offset $3"
    )))
    .bind(account.0)
    .bind(listing.limit)
    .bind(listing.offset)
    .fetch_all(&store.pool)
    .await?;
    let total = sqlx::query_scalar("select count(*) from api_tokens where account_id = $1")
        .bind(account.0)
        .fetch_one(&store.pool)
        .await?;
    Ok((rows.into_iter().map(ApiToken::try_from).collect::<Result<_, _>>()?, total))
}

/// Remembers that a token was used, at most once a minute: this is no configuration, and nobody is
/// kept waiting for a row that every call would write.
pub async fn note_use(store: &Store, id: ApiTokenId) -> Result<(), StoreError> {
    sqlx::query(
        "update api_tokens set last_used_on = date_trunc('minute', now())
         where id = $1 and last_used_on is distinct from date_trunc('minute', now())",
    )
    .bind(id.0)
    .execute(&store.pool)
    .await?;
    Ok(())
}

fn key(account: AccountId, id: ApiTokenId) -> ResourceKey {
    ResourceKey { account, kind: ResourceId::ApiToken(id) }
}

fn words(permissions: &Permissions) -> Vec<&'static str> {
    permissions.iter().map(|permission| permission.as_str()).collect()
}
