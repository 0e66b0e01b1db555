//! Sealed keys with which the installation signs, one for each purpose.

use crate::{Store, StoreError};

/// The sealed key for a purpose: the one that is there, or else `fresh`, which then is.
pub async fn get_or_keep(store: &Store, purpose: &str, fresh: &[u8]) -> Result<Vec<u8>, StoreError> {
    sqlx::query("insert into signing_keys (purpose, sealed) values ($1, $2) on conflict do nothing")
        .bind(purpose)
        .bind(fresh)
        .execute(&store.pool)
        .await?;
    let sealed = sqlx::query_scalar("select sealed from signing_keys where purpose = $1").bind(purpose);
    Ok(sealed.fetch_one(&store.pool).await?)
}

/// The sealed key for a purpose, if there is one yet.
pub async fn get(store: &Store, purpose: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let sealed = sqlx::query_scalar("select sealed from signing_keys where purpose = $1").bind(purpose);
    Ok(sealed.fetch_optional(&store.pool).await?)
}

/// Replaces the sealed key by the same key sealed again, for the rotation of the root keys.
pub async fn rewrap(store: &Store, purpose: &str, before: &[u8], after: &[u8]) -> Result<(), StoreError> {
    sqlx::query("update signing_keys set sealed = $3 where purpose = $1 and sealed = $2")
        .bind(purpose)
        .bind(before)
        .bind(after)
        .execute(&store.pool)
        .await?;
    Ok(())
}
