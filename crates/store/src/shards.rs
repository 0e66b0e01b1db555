//! Where the ledger desk stands in each money shard, and who the desk is.

use model::money::Nanos;
use model::{AccountId, Shard};
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use sqlx::{Connection as _, Executor as _, PgConnection};
use uuid::Uuid;

use crate::{Store, StoreError};

/// Any number would do, as long as it is always the same one in this database.
const DESK_LOCK: i64 = 0x0074_6f6c_6c67_6174;

/// Who listens here is told that shards have moved on to other eras.
pub const ERAS_CHANNEL: &str = "money_eras";

/// A shard's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoneyShard {
    /// Which shard.
    pub shard: Shard,
    /// The era whose stream is being read.
    pub era: u64,
    /// The last entry of it that is posted.
    pub position: String,
    /// What Redis may not have been told about it.
    pub pending: Option<Pending>,
    /// The starts of proxies that held something in the shard when last seen.
    pub incarnations: Vec<Uuid>,
}

/// What a committed batch means for Redis. It is written with the batch, so that whoever follows a desk
/// that died can say it again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Pending {
    /// What became of money.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<PendingAccount>,
    /// What became of counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counters: Vec<PendingCounter>,
    /// Records for which something had been taken beyond their holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub collected: Vec<Uuid>,
}

impl Pending {
    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        let Self { accounts, counters, collected } = self;
        accounts.is_empty() && counters.is_empty() && collected.is_empty()
    }
}

/// An account's part of what Redis is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingAccount {
    /// Which.
    pub account: AccountId,
    /// No longer unposted.
    pub unposted: Nanos,
    /// Free again.
    pub back: Nanos,
}

/// A counter's part of what Redis is to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingCounter {
    /// Whose.
    pub account: AccountId,
    /// Which.
    pub counter: String,
    /// Which window.
    pub window: i64,
    /// What the rollups have of it by now.
    pub there: i64,
    /// What was counted twice.
    pub back: i64,
}

/// A desk's number: it may write as long as no later desk has taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fence(i64);

impl Fence {
    /// The number, which grows from desk to desk.
    pub fn number(self) -> i64 {
        self.0
    }
}

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
    let rows: Vec<Row> = sqlx::query_as(
        "update money_shards set fence = $1 where fence < $1
         returning shard, era, position, pending, incarnations",
    )
    .bind(fence)
    .fetch_all(&store.pool)
    .await?;
    Ok((Fence(fence), rows.into_iter().map(MoneyShard::of).collect::<Result<_, StoreError>>()?))
}

/// Where these shards stand, for those who only look.
pub async fn standing(connection: &mut PgConnection) -> Result<Vec<MoneyShard>, StoreError> {
    let rows: Vec<Row> =
        sqlx::query_as("select shard, era, position, pending, incarnations from money_shards order by shard")
            .fetch_all(connection)
            .await?;
    rows.into_iter().map(MoneyShard::of).collect()
}

/// Moves positions on, in the transaction that wrote the records, and writes down what Redis is to be
/// told.
pub async fn advance(tx: &mut PgConnection, fence: Fence, places: &[MoneyShard]) -> Result<(), AdvanceError> {
    let (shards, eras, positions) = columns(places);
    let pending: Vec<Option<Json<&Pending>>> =
        places.iter().map(|place| place.pending.as_ref().map(Json)).collect();
    let moved = sqlx::query(
        "update money_shards m set position = n.position, pending = n.pending
         from unnest($2::smallint[], $3::bigint[], $4::text[], $5::jsonb[]) n (shard, era, position, pending)
         where m.shard = n.shard and m.era = n.era and m.fence = $1",
    )
    .bind(fence.0)
    .bind(shards)
    .bind(eras)
    .bind(positions)
    .bind(pending)
    .execute(tx)
    .await?;
    if moved.rows_affected() == places.len() as u64 { Ok(()) } else { Err(AdvanceError::Succeeded) }
}

/// Keeps other desks out of a shard until the transaction ends, if none has come yet.
pub async fn keep(tx: &mut PgConnection, fence: Fence, shard: Shard) -> Result<(), AdvanceError> {
    let kept: Option<i16> =
        sqlx::query_scalar("select shard from money_shards where shard = $1 and fence = $2 for share")
            .bind(i16::from(shard.0))
            .bind(fence.0)
            .fetch_optional(tx)
            .await?;
    kept.map(drop).ok_or(AdvanceError::Succeeded)
}

/// Notes which starts of proxies hold something in these shards.
pub async fn note_incarnations(
    store: &Store,
    fence: Fence,
    seen: &[(Shard, Vec<Uuid>)],
) -> Result<(), AdvanceError> {
    if seen.is_empty() {
        return Ok(());
    }
    let (mut shards, mut lists) = (Vec::new(), Vec::new());
    for (shard, incarnations) in seen {
        shards.push(i16::from(shard.0));
        // Postgres has no list of lists that are not all of one length.
        let ids: Vec<String> = incarnations.iter().map(Uuid::to_string).collect();
        lists.push(format!("{{{}}}", ids.join(",")));
    }
    let noted = sqlx::query(
        "update money_shards m set incarnations = n.incarnations::uuid[]
         from unnest($2::smallint[], $3::text[]) n (shard, incarnations)
         where m.shard = n.shard and m.fence = $1",
    )
    .bind(fence.0)
    .bind(shards)
    .bind(lists)
    .execute(&store.pool)
    .await?;
    if noted.rows_affected() == seen.len() as u64 { Ok(()) } else { Err(AdvanceError::Succeeded) }
}

/// Which era each shard is in.
pub async fn eras(store: &Store) -> Result<Vec<(Shard, u64)>, StoreError> {
    let rows: Vec<(i16, i64)> =
        sqlx::query_as("select shard, era from money_shards order by shard").fetch_all(&store.pool).await?;
    rows.into_iter().map(|(shard, era)| Ok((shard_of(shard)?, era_of(era)?))).collect()
}

/// Begins new eras, at the positions given. Nothing is left to be said of the old ones. Who listens for
/// eras is told once that is so.
pub async fn raise(store: &Store, fence: Fence, places: &[MoneyShard]) -> Result<(), AdvanceError> {
    let (shards, eras, positions) = columns(places);
    let mut tx = store.pool.begin().await?;
    let raised = sqlx::query(
        "update money_shards m set era = n.era, position = n.position, pending = null
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
    sqlx::query("select pg_notify($1, '')").bind(ERAS_CHANNEL).execute(&mut *tx).await?;
    Ok(tx.commit().await?)
}

#[derive(sqlx::FromRow)]
struct Row {
    shard: i16,
    era: i64,
    position: String,
    pending: Option<Json<Pending>>,
    incarnations: Vec<Uuid>,
}

impl MoneyShard {
    fn of(row: Row) -> Result<Self, StoreError> {
        let Row { shard, era, position, pending, incarnations } = row;
        let (shard, era) = (shard_of(shard)?, era_of(era)?);
        Ok(Self { shard, era, position, pending: pending.map(|Json(pending)| pending), incarnations })
    }
}

fn columns(places: &[MoneyShard]) -> (Vec<i16>, Vec<i64>, Vec<String>) {
    let (mut shards, mut eras, mut positions) = (Vec::new(), Vec::new(), Vec::new());
    for MoneyShard { shard, era, position, .. } in places {
        shards.push(i16::from(shard.0));
        eras.push(i64::try_from(*era).unwrap_or(i64::MAX));
        positions.push(position.clone());
    }
    (shards, eras, positions)
}

fn shard_of(shard: i16) -> Result<Shard, StoreError> {
    u8::try_from(shard).map(Shard).map_err(|_| StoreError::Unreadable("shard"))
}

fn era_of(era: i64) -> Result<u64, StoreError> {
    u64::try_from(era).map_err(|_| StoreError::Unreadable("era"))
}
