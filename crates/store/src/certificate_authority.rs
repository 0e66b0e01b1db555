//! The installation's own certificate authority, its key sealed.

use crate::{Store, StoreError};

/// The authority as kept.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct KeptAuthority {
    /// Its certificate, which everyone may see.
    pub certificate_der: Vec<u8>,
    /// Its private key, sealed under the `contents` ring.
    pub sealed_key: Vec<u8>,
}

/// The authority, if there is one yet.
pub async fn get(store: &Store) -> Result<Option<KeptAuthority>, StoreError> {
    let kept = sqlx::query_as("select certificate_der, sealed_key from certificate_authority");
    Ok(kept.fetch_optional(&store.pool).await?)
}

/// Makes `fresh` the authority unless there is one already; returns the one that there is.
pub async fn get_or_keep(store: &Store, fresh: &KeptAuthority) -> Result<KeptAuthority, StoreError> {
    sqlx::query(
        "insert into certificate_authority (certificate_der, sealed_key) values ($1, $2)
         on conflict do nothing",
    )
    .bind(&fresh.certificate_der)
    .bind(&fresh.sealed_key)
    .execute(&store.pool)
    .await?;
    get(store).await?.ok_or(StoreError::Unreadable("certificate authority"))
}

/// Replaces the sealed key by the same key sealed again, for the rotation of the root keys.
pub async fn rewrap(store: &Store, before: &[u8], after: &[u8]) -> Result<(), StoreError> {
    sqlx::query("update certificate_authority set sealed_key = $2 where sealed_key = $1")
        .bind(before)
        .bind(after)
        .execute(&store.pool)
        .await?;
    Ok(())
}
