//! Which part of a list is read, for nouns that are listed in two ways. Ids are in the order of creation.

use model::AccountId;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use crate::{Store, StoreError};

/// A part of a list.
#[derive(Debug, Clone, Copy)]
pub enum Window {
    /// The oldest first, after so many of them.
    Page {
        /// How many at most.
        limit: i64,
        /// How many are passed over.
        offset: i64,
    },
    /// The newest first, of those that are older than this one.
    Before {
        /// The last one seen; none at the beginning. Whether it still exists does not matter.
        id: Option<Uuid>,
        /// How many at most.
        limit: i64,
    },
}

impl Window {
    fn parts(self) -> (&'static str, Option<Uuid>, i64, i64) {
        match self {
            Window::Page { limit, offset } => ("asc", None, limit, offset),
            Window::Before { id, limit } => ("desc", id, limit, 0),
        }
    }
}

/// Reads a part of the rows of `select`, which takes an account as `$1` and what narrows it as `$2`.
pub(crate) async fn list<R>(
    store: &Store,
    select: &'static str,
    account: AccountId,
    narrowed: Option<Uuid>,
    window: Window,
) -> Result<Vec<R>, StoreError>
where
    R: for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    let (order, before, limit, offset) = window.parts();
    let rows = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select * from ({select}) found where ($3::uuid is null or id < $3)
         order by id {order} limit $4 offset $5"
    )));
    let rows = rows.bind(account.0).bind(narrowed).bind(before).bind(limit).bind(offset);
    Ok(rows.fetch_all(&store.pool).await?)
}

/// How many rows `select` has in all.
pub(crate) async fn count(
    connection: &mut PgConnection,
    select: &'static str,
    account: AccountId,
    narrowed: Option<Uuid>,
) -> Result<i64, StoreError> {
    let count = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("select count(*) from ({select}) found")));
    Ok(count.bind(account.0).bind(narrowed).fetch_one(connection).await?)
}

/// The row of `select` with this id.
pub(crate) async fn get<R>(
    connection: &mut PgConnection,
    select: &'static str,
    account: AccountId,
    id: Uuid,
) -> Result<Option<R>, StoreError>
where
    R: for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    let row = sqlx::query_as(sqlx::AssertSqlSafe(format!("select * from ({select}) found where id = $3")));
    Ok(row.bind(account.0).bind(None::<Uuid>).bind(id).fetch_optional(connection).await?)
}
