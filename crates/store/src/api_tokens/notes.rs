//! What people write beside API tokens. It is nothing that proxies know.

use model::AccountId;
use model::id::ApiTokenId;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::window::{self, Window};
use crate::{Store, StoreError};

/// An API token, as far as it is written about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    /// Its id, which is inside the token.
    pub id: ApiTokenId,
    /// What is written.
    pub notes: Notes,
    /// When it was created.
    pub created_at: OffsetDateTime,
}

/// What is written beside a token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    /// For people; the token's name where nothing was written.
    pub description: String,
    /// For machines.
    pub metadata: String,
}

const SELECT: &str = "select id, coalesce(nullif(description, ''), name) as description, metadata, issued_on
     from api_tokens where account_id = $1 and $2::uuid is null";

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    description: String,
    metadata: String,
    issued_on: OffsetDateTime,
}

impl From<Row> for Noted {
    fn from(row: Row) -> Self {
        let Row { id, description, metadata, issued_on } = row;
        Self { id: ApiTokenId(id), notes: Notes { description, metadata }, created_at: issued_on }
    }
}

/// Replaces what is written beside a token.
pub async fn set(
    connection: &mut PgConnection,
    account: AccountId,
    id: ApiTokenId,
    notes: &Notes,
) -> Result<Option<Noted>, StoreError> {
    sqlx::query("update api_tokens set description = $3, metadata = $4 where account_id = $1 and id = $2")
        .bind(account.0)
        .bind(id.0)
        .bind(&notes.description)
        .bind(&notes.metadata)
        .execute(&mut *connection)
        .await?;
    find(connection, account, id).await
}

/// A token of an account.
pub async fn find(
    connection: &mut PgConnection,
    account: AccountId,
    id: ApiTokenId,
) -> Result<Option<Noted>, StoreError> {
    let row: Option<Row> = window::get(connection, SELECT, account, id.0).await?;
    Ok(row.map(Noted::from))
}

/// A part of an account's tokens.
pub async fn list(store: &Store, account: AccountId, window: Window) -> Result<Vec<Noted>, StoreError> {
    let rows: Vec<Row> = window::list(store, SELECT, account, None, window).await?;
    Ok(rows.into_iter().map(Noted::from).collect())
}
