//! The accounts' sealed data keys, walked from end to end when the operator changes root keys.

use model::AccountId;
use model::resource::{ResourceId, ResourceKey};
use uuid::Uuid;

use crate::accounts::SealedKeys;
use crate::{ConfigTx, StoreError};

/// The next accounts after `after` in the order of their ids, with their data keys. They are locked:
/// who deletes one of them meanwhile waits, and is not undone.
pub async fn after(
    tx: &mut ConfigTx,
    after: AccountId,
    limit: i64,
) -> Result<Vec<(AccountId, SealedKeys)>, StoreError> {
    let rows: Vec<(Uuid, Vec<u8>, Vec<u8>)> = sqlx::query_as(
        "select id, credentials_key, contents_key from accounts where id > $1 order by id limit $2
         for no key update",
    )
    .bind(after.0)
    .bind(limit)
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(id, credentials, contents)| (AccountId(id), SealedKeys { credentials, contents }))
        .collect())
}

/// Puts re-wrapped keys in the place of an account's own.
pub async fn replace(tx: &mut ConfigTx, account: AccountId, keys: &SealedKeys) -> Result<(), StoreError> {
    sqlx::query("update accounts set credentials_key = $2, contents_key = $3 where id = $1")
        .bind(account.0)
        .bind(&keys.credentials)
        .bind(&keys.contents)
        .execute(&mut **tx)
        .await?;
    tx.touch(ResourceKey { account, kind: ResourceId::Account });
    Ok(())
}
