//! Price catalogues by version, kept for ever: a receipt quotes the prices of its own day.

use time::OffsetDateTime;

use crate::{Store, StoreError};

/// Keeps a version, compressed, unless it is there already.
pub async fn register(
    store: &Store,
    version: &str,
    effective_from: OffsetDateTime,
    document: &[u8],
) -> Result<(), StoreError> {
    sqlx::query(
        "insert into price_catalogues (version, effective_from, document) values ($1, $2, $3)
         on conflict do nothing",
    )
    .bind(version)
    .bind(effective_from)
    .bind(document)
    .execute(&store.pool)
    .await?;
    Ok(())
}

/// Whether a version is kept.
pub async fn is_kept(store: &Store, version: &str) -> Result<bool, StoreError> {
    let kept = sqlx::query_scalar("select exists (select from price_catalogues where version = $1)");
    Ok(kept.bind(version).fetch_one(&store.pool).await?)
}

/// A version as it was registered.
pub async fn get(store: &Store, version: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let document = sqlx::query_scalar("select document from price_catalogues where version = $1");
    Ok(document.bind(version).fetch_optional(&store.pool).await?)
}
