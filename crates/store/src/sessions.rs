//! Logins. A session lives until it runs out or is revoked; its refresh token is good once.

use model::id::{SessionId, UserId};
use model::token::TokenDigest;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::installation::digest_of;
use crate::users::User;
use crate::{Store, StoreError};

/// Begins a session.
pub async fn create(
    store: &Store,
    id: SessionId,
    user: UserId,
    refresh: &TokenDigest,
    expires_at: OffsetDateTime,
) -> Result<(), StoreError> {
    // Whoever logs in sweeps up behind himself, so the table needs no other broom.
    sqlx::query("delete from sessions where user_id = $1 and expires_at < now()")
        .bind(user.0)
        .execute(&store.pool)
        .await?;
    sqlx::query("insert into sessions (id, user_id, refresh_digest, expires_at) values ($1, $2, $3, $4)")
        .bind(id.0)
        .bind(user.0)
        .bind(refresh.0)
        .bind(expires_at)
        .execute(&store.pool)
        .await?;
    Ok(())
}

/// Whose session it is, if it is alive.
pub async fn user(store: &Store, id: SessionId) -> Result<Option<User>, StoreError> {
    let row: Option<(Uuid, String, OffsetDateTime)> = sqlx::query_as(
        "select users.id, users.email, users.created_at
         from sessions join users on users.id = sessions.user_id
         where sessions.id = $1 and sessions.revoked_at is null and sessions.expires_at > now()",
    )
    .bind(id.0)
    .fetch_optional(&store.pool)
    .await?;
    Ok(row.map(|(id, email, created_at)| User { id: UserId(id), email, created_at }))
}

/// What became of a refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresh {
    /// It was good, and its successor is now.
    Renewed(UserId),
    /// It had been used before, so somebody has stolen it: the session is over.
    Reused,
    /// There is no such session, or it is over.
    Over,
}

/// Exchanges a refresh token for its successor.
pub async fn refresh(
    store: &Store,
    id: SessionId,
    presented: &TokenDigest,
    successor: &TokenDigest,
) -> Result<Refresh, StoreError> {
    let mut transaction = store.pool.begin().await?;
    let alive: Option<(Uuid, Vec<u8>)> = sqlx::query_as(
        "select user_id, refresh_digest from sessions
         where id = $1 and revoked_at is null and expires_at > now() for update",
    )
    .bind(id.0)
    .fetch_optional(&mut *transaction)
    .await?;
    let Some((user, current)) = alive else { return Ok(Refresh::Over) };
    let outcome = if digest_of(current)? == *presented {
        sqlx::query("update sessions set refresh_digest = $2 where id = $1")
            .bind(id.0)
            .bind(successor.0)
            .execute(&mut *transaction)
            .await?;
        Refresh::Renewed(UserId(user))
    } else {
        sqlx::query("update sessions set revoked_at = now() where id = $1")
            .bind(id.0)
            .execute(&mut *transaction)
            .await?;
        Refresh::Reused
    };
    transaction.commit().await?;
    Ok(outcome)
}

/// Ends a session.
pub async fn revoke(store: &Store, id: SessionId) -> Result<(), StoreError> {
    sqlx::query("update sessions set revoked_at = coalesce(revoked_at, now()) where id = $1")
        .bind(id.0)
        .execute(&store.pool)
        .await?;
    Ok(())
}

/// Ends every session of a user but one.
pub async fn revoke_others(store: &Store, user: UserId, kept: SessionId) -> Result<(), StoreError> {
    sqlx::query(
        "update sessions set revoked_at = now() where user_id = $1 and id <> $2 and revoked_at is null",
    )
    .bind(user.0)
    .bind(kept.0)
    .execute(&store.pool)
    .await?;
    Ok(())
}
