//! Where the ledger desk stands in each money shard, and who the desk is.

use model::Shard;
use sqlx::{Connection as _, Executor as _, PgConnection};

use crate::{Store, StoreError};

/// Any number would do, as long as it is always the same one in this database.
const DESK_LOCK: i64 = 0x0074_6f6c_6c67_6174;

/// A shard's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoneyShard {
    /// Which shard.
    pub shard: Shard,
    /// The era whose stream is being read.
    pub era: u64,
    /// The last entry of it that is posted.
    pub position: String,
}

/// A desk's number: it may write as long as no later desk has taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fence(i64);

/// The right to run the desks, held by a connection of its own: when the holder dies, Postgres
/// notices and the next one gets it.
#[derive(Debug)]
pub struct DeskLock {
    connection: PgConnection,
}

/// A desk that may write no longer, or could not.
#[derive(Debug, thiserror::Error)]
pub enum AdvanceError {
    /// Another desk has taken over.
    #[error("another desk has taken over")]
    Succeeded,
    /// Postgres said no.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for AdvanceError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl DeskLock {
    /// Takes the lock if nobody has it.
    pub async fn try_take(store: &Store) -> Result<Option<Self>, StoreError> {
        let mut connection = store.pool.acquire().await?.detach();
        // A holder that is cut off, rather than dead, must not keep the lock for hours.
        connection
            .execute(
                "set tcp_keepalives_idle = 5; set tcp_keepalives_interval = 2; set tcp_keepalives_count = 3",
            )
            .await?;
        let taken = sqlx::query_scalar("select pg_try_advisory_lock($1)")
            .bind(DESK_LOCK)
            .fetch_one(&mut connection)
            .await?;
        if taken {
            return Ok(Some(Self { connection }));
        }
        connection.close().await?;
        Ok(None)
    }

    /// Fails once the connection, and with it the lock, is lost.
    pub async fn check(&mut self) -> Result<(), StoreError> {
        Ok(self.connection.ping().await?)
    }
}

/// Shuts out every earlier desk and answers where each shard stands.
pub async fn take_over(store: &Store) -> Result<(Fence, Vec<MoneyShard>), StoreError> {
    let fence = sqlx::query_scalar("select nextval('money_fences')").fetch_one(&store.pool).await?;
    let rows: Vec<(i16, i64, String)> =
        sqlx::query_as("update money_shards set fence = $1 where fence < $1 returning shard, era, position")
            .bind(fence)
            .fetch_all(&store.pool)
            .await?;
    let shards = rows.into_iter().map(|(shard, era, position)| {
        let shard = u8::try_from(shard).map(Shard).map_err(|_| StoreError::Unreadable("shard"))?;
        let era = u64::try_from(era).map_err(|_| StoreError::Unreadable("era"))?;
        Ok(MoneyShard { shard, era, position })
    });
    Ok((Fence(fence), shards.collect::<Result<_, StoreError>>()?))
}

/// Moves positions on, in the transaction that wrote the records.
pub async fn advance(tx: &mut PgConnection, fence: Fence, places: &[MoneyShard]) -> Result<(), AdvanceError> {
    let (shards, eras, positions) = columns(places);
    let moved = sqlx::query(
        "update money_shards m set position = n.position
         from unnest($2::smallint[], $3::bigint[], $4::text[]) n (shard, era, position)
         where m.shard = n.shard and m.era = n.era and m.fence = $1",
    )
    .bind(fence.0)
    .bind(shards)
    .bind(eras)
    .bind(positions)
    .execute(tx)
    .await?;
    if moved.rows_affected() == places.len() as u64 { Ok(()) } else { Err(AdvanceError::Succeeded) }
}

/// Begins new eras, at the positions given.
pub async fn raise(store: &Store, fence: Fence, places: &[MoneyShard]) -> Result<(), AdvanceError> {
    let (shards, eras, positions) = columns(places);
    let mut tx = store.pool.begin().await?;
    let raised = sqlx::query(
        "update money_shards m set era = n.era, position = n.position
         from unnest($2::smallint[], $3::bigint[], $4::text[]) n (shard, era, position)
         where m.shard = n.shard and m.era < n.era and m.fence = $1",
    )
    .bind(fence.0)
    .bind(shards)
    .bind(eras)
    .bind(positions)
    .execute(&mut *tx)
    .await?;
    if raised.rows_affected() != places.len() as u64 {
        return Err(AdvanceError::Succeeded);
    }
    Ok(tx.commit().await?)
}

fn columns(places: &[MoneyShard]) -> (Vec<i16>, Vec<i64>, Vec<String>) {
    let (mut shards, mut eras, mut positions) = (Vec::new(), Vec::new(), Vec::new());
    for MoneyShard { shard, era, position } in places {
        shards.push(i16::from(shard.0));
        eras.push(i64::try_from(*era).unwrap_or(i64::MAX));
        positions.push(position.clone());
    }
    (shards, eras, positions)
}
