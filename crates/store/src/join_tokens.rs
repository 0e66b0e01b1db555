//! One-time permissions to enrol a proxy.

use std::time::Duration;

use model::id::{JoinTokenId, ProxyId};
use model::token::TokenDigest;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::installation::digest_of;
use crate::{Store, StoreError};

/// A join token without its secret.
#[derive(Debug, Clone, PartialEq)]
pub struct JoinToken {
    /// Its id.
    pub id: JoinTokenId,
    /// What people call it.
    pub name: String,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it ends.
    pub expires_at: OffsetDateTime,
    /// When it was taken back, if it was.
    pub revoked_at: Option<OffsetDateTime>,
    /// The proxy that used it, if one did.
    pub used_by: Option<ProxyId>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    name: String,
    created_at: OffsetDateTime,
    expires_at: OffsetDateTime,
    revoked_at: Option<OffsetDateTime>,
    proxy_id: Option<Uuid>,
}

impl From<Row> for JoinToken {
    fn from(row: Row) -> Self {
        let Row { id, name, created_at, expires_at, revoked_at, proxy_id } = row;
        let used_by = proxy_id.map(ProxyId);
        Self { id: JoinTokenId(id), name, created_at, expires_at, revoked_at, used_by }
    }
}

/// Keeps a new token, which is good for `lifetime`.
pub async fn create(
    store: &Store,
    id: JoinTokenId,
    digest: &TokenDigest,
    name: &str,
    lifetime: Duration,
) -> Result<JoinToken, StoreError> {
    let row: Row = sqlx::query_as(
        "insert into join_tokens (id, digest, name, expires_at)
         values ($1, $2, $3, now() + make_interval(secs => $4))
         returning id, name, created_at, expires_at, revoked_at, proxy_id",
    )
    .bind(id.0)
    .bind(digest.0)
    .bind(name)
    .bind(lifetime.as_secs_f64())
    .fetch_one(&store.pool)
    .await?;
    Ok(row.into())
}

/// Tokens, the newest first, and how many there are.
pub async fn list(store: &Store, limit: i64, offset: i64) -> Result<(Vec<JoinToken>, i64), StoreError> {
    let rows: Vec<Row> = sqlx::query_as(
        "select id, name, created_at, expires_at, revoked_at, proxy_id from join_tokens
         order by id desc limit $1 offset $2",
    )
    .bind(limit)
    .bind(offset)
    .fetch_all(&store.pool)
    .await?;
    let total = sqlx::query_scalar("select count(*) from join_tokens").fetch_one(&store.pool).await?;
    Ok((rows.into_iter().map(JoinToken::from).collect(), total))
}

/// What a token must hash to; `None` if there is none that still enrols.
pub async fn digest(store: &Store, id: JoinTokenId) -> Result<Option<TokenDigest>, StoreError> {
    let digest: Option<Vec<u8>> = sqlx::query_scalar(
        "select digest from join_tokens
         where id = $1 and proxy_id is null and revoked_at is null and expires_at > now()",
    )
    .bind(id.0)
    .fetch_optional(&store.pool)
    .await?;
    digest.map(digest_of).transpose()
}

/// Takes a token back; `None` if there is none that is unused and not taken back already.
pub async fn revoke(store: &Store, id: JoinTokenId) -> Result<Option<JoinToken>, StoreError> {
    let row: Option<Row> = sqlx::query_as(
        "update join_tokens set revoked_at = now()
         where id = $1 and proxy_id is null and revoked_at is null
         returning id, name, created_at, expires_at, revoked_at, proxy_id",
    )
    .bind(id.0)
    .fetch_optional(&store.pool)
    .await?;
    Ok(row.map(JoinToken::from))
}
