//! Who runs the installation itself, beside owning an account in it.

use model::id::UserId;
use sqlx::PgConnection;

use crate::{Store, StoreError};

/// Makes a user an operator.
pub async fn appoint(connection: &mut PgConnection, user: UserId) -> Result<(), StoreError> {
    sqlx::query("update users set operator = true where id = $1").bind(user.0).execute(connection).await?;
    Ok(())
}

/// Whether a user is an operator.
pub async fn is_operator(store: &Store, user: UserId) -> Result<bool, StoreError> {
    let operator: Option<bool> = sqlx::query_scalar("select operator from users where id = $1")
        .bind(user.0)
        .fetch_optional(&store.pool)
        .await?;
    Ok(operator.unwrap_or(false))
}
