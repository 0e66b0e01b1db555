//! The one row that says how this installation came to be: the setup token and the key that signs
//! sessions.

use model::token::TokenDigest;
use sqlx::PgConnection;

use crate::{Store, StoreError};

/// Whether there is any user; before that, only the setup token opens a door.
pub async fn has_users(store: &Store) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar("select exists (select from users)").fetch_one(&store.pool).await?)
}

/// Makes this the only setup token. Does nothing once there is a user.
pub async fn offer_setup(store: &Store, digest: &TokenDigest) -> Result<(), StoreError> {
    sqlx::query("update installation set setup_digest = $1 where not exists (select from users)")
        .bind(digest.0)
        .execute(&store.pool)
        .await?;
    Ok(())
}

/// Takes the setup token out of the installation, for good, and returns its digest. Two who come at
/// the same time meet at the row's lock, and the second finds nothing.
pub async fn take_setup(connection: &mut PgConnection) -> Result<Option<TokenDigest>, StoreError> {
    let digest: Option<Vec<u8>> = sqlx::query_scalar(
        "with before as (select setup_digest from installation for update)
         update installation set setup_digest = null from before returning before.setup_digest",
    )
    .fetch_one(connection)
    .await?;
    digest.map(digest_of).transpose()
}

/// The sealed key that signs sessions: the one that is there, or else `fresh`, which then is.
pub async fn session_key(store: &Store, fresh: &[u8]) -> Result<Vec<u8>, StoreError> {
    Ok(sqlx::query_scalar(
        "update installation set session_key = coalesce(session_key, $1) returning session_key",
    )
    .bind(fresh)
    .fetch_one(&store.pool)
    .await?)
}

/// The sealed key that signs sessions, if there is one yet.
pub async fn sealed_session_key(store: &Store) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(sqlx::query_scalar("select session_key from installation").fetch_one(&store.pool).await?)
}

/// Replaces the sealed key by the same key sealed again, for the rotation of the root keys.
pub async fn rewrap_session_key(store: &Store, before: &[u8], after: &[u8]) -> Result<(), StoreError> {
    sqlx::query("update installation set session_key = $2 where session_key = $1")
        .bind(before)
        .bind(after)
        .execute(&store.pool)
        .await?;
    Ok(())
}

/// The installation's own id, which sealed values of the installation are bound to.
pub async fn id(store: &Store) -> Result<uuid::Uuid, StoreError> {
    Ok(sqlx::query_scalar("select id from installation").fetch_one(&store.pool).await?)
}

pub(crate) fn digest_of(bytes: Vec<u8>) -> Result<TokenDigest, StoreError> {
    bytes.try_into().map(TokenDigest).map_err(|_| StoreError::Unreadable("digest"))
}
