//! People with a login.

use model::id::UserId;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Store, StoreError};

/// No two users share an email.
pub const EMAIL_TAKEN: &str = "users_email_key";

/// A person with a login.
#[derive(Debug, Clone)]
pub struct User {
    /// Their id.
    pub id: UserId,
    /// In lower case.
    pub email: String,
    /// When they came.
    pub created_at: OffsetDateTime,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    email: String,
    created_at: OffsetDateTime,
}

impl From<Row> for User {
    fn from(row: Row) -> Self {
        let Row { id, email, created_at } = row;
        Self { id: UserId(id), email, created_at }
    }
}

/// Creates a user; [`EMAIL_TAKEN`] if there is one of that email.
pub async fn create(
    connection: &mut PgConnection,
    id: UserId,
    email: &str,
    password_hash: &str,
) -> Result<User, StoreError> {
    let row: Row = sqlx::query_as(
        "insert into users (id, email, password_hash) values ($1, $2, $3) returning id, email, created_at",
    )
    .bind(id.0)
    .bind(email)
    .bind(password_hash)
    .fetch_one(connection)
    .await?;
    Ok(row.into())
}

/// A user.
pub async fn get(store: &Store, id: UserId) -> Result<Option<User>, StoreError> {
    let row: Option<Row> = sqlx::query_as("select id, email, created_at from users where id = $1")
        .bind(id.0)
        .fetch_optional(&store.pool)
        .await?;
    Ok(row.map(User::from))
}

/// Who has this email, with the hash of their password.
pub async fn credentials(
    executor: impl sqlx::PgExecutor<'_>,
    email: &str,
) -> Result<Option<(UserId, String)>, StoreError> {
    let found: Option<(Uuid, String)> =
        sqlx::query_as("select id, password_hash from users where email = $1")
            .bind(email)
            .fetch_optional(executor)
            .await?;
    Ok(found.map(|(id, hash)| (UserId(id), hash)))
}

/// Gives a user another password.
pub async fn set_password(store: &Store, id: UserId, password_hash: &str) -> Result<(), StoreError> {
    sqlx::query("update users set password_hash = $2 where id = $1")
        .bind(id.0)
        .bind(password_hash)
        .execute(&store.pool)
        .await?;
    Ok(())
}
