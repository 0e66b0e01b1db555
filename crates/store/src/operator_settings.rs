//! What the operator says about money: one document for the whole installation.

use model::AccountId;
use model::resource::{ResourceId, ResourceKey};
use model::terms::OperatorSettings;
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::{ConfigTx, StoreError};

/// The settings.
pub async fn get(connection: &mut PgConnection) -> Result<OperatorSettings, StoreError> {
    let Json(settings) =
        sqlx::query_scalar("select settings from installation").fetch_one(connection).await?;
    Ok(settings)
}

/// The settings, for somebody who is about to change them: nobody else changes them meanwhile.
pub async fn lock(tx: &mut ConfigTx) -> Result<OperatorSettings, StoreError> {
    let Json(settings) = sqlx::query_scalar("select settings from installation for no key update")
        .fetch_one(&mut **tx)
        .await?;
    Ok(settings)
}

/// Replaces the settings.
pub async fn set(tx: &mut ConfigTx, settings: &OperatorSettings) -> Result<(), StoreError> {
    sqlx::query("update installation set settings = $1").bind(Json(settings)).execute(&mut **tx).await?;
    tx.touch(ResourceKey { account: AccountId::INSTALLATION, kind: ResourceId::Terms });
    Ok(())
}
