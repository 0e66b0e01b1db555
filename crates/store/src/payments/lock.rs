//! The right to do what only one control plane may do at a time with payments and notices.

use sqlx::{Connection as _, Executor as _, PgConnection};

use crate::{Store, StoreError};

/// Any number would do, as long as it is always the same one in this database, and no other lock's.
const PAYMENTS_LOCK: i64 = 0x0074_6f6c_6c70_6179;

/// Held by a connection of its own: when the holder dies, Postgres notices and the next one gets it.
///
/// A holder that is cut off may believe in it for a moment longer. That is why whatever is done under
/// it is also safe if two do it; the lock only keeps them out of each other's way.
#[derive(Debug)]
pub struct PaymentsLock {
    connection: PgConnection,
}

impl PaymentsLock {
    /// Takes the lock if nobody has it.
    pub async fn try_take(store: &Store) -> Result<Option<Self>, StoreError> {
        let mut connection = store.pool.acquire().await?.detach();
        connection
            .execute(
                "set tcp_keepalives_idle = 5; set tcp_keepalives_interval = 2; set tcp_keepalives_count = 3",
            )
            .await?;
        let taken = sqlx::query_scalar("select pg_try_advisory_lock($1)")
            .bind(PAYMENTS_LOCK)
            .fetch_one(&mut connection)
            .await?;
        if taken {
            return Ok(Some(Self { connection }));
        }
        connection.close().await?;
        Ok(None)
    }

    /// Gives the lock back at once.
    pub async fn release(self) -> Result<(), StoreError> {
        Ok(self.connection.close().await?)
    }

    /// Fails once the connection, and with it the lock, is lost.
    pub async fn check(&mut self) -> Result<(), StoreError> {
        Ok(self.connection.ping().await?)
    }
}
