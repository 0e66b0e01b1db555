//! Codes that are worth credits, once. A code is kept as its digest alone.

use model::id::VoucherId;
use model::token::TokenDigest;
use model::{AccountId, Nanos};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Store, StoreError};

/// A voucher without its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voucher {
    /// Its id.
    pub id: VoucherId,
    /// The last characters of its code.
    pub hint: String,
    /// What the operator calls it.
    pub name: String,
    /// What it is worth.
    pub amount: Nanos,
    /// Until when the code is good.
    pub expires_at: OffsetDateTime,
    /// Until when its credits are, if they are promotional.
    pub credits_expire_at: Option<OffsetDateTime>,
    /// Who made it.
    pub created_by: Option<String>,
    /// When.
    pub created_at: OffsetDateTime,
    /// When it was taken back, if it was.
    pub revoked_at: Option<OffsetDateTime>,
    /// When and for which account it was redeemed, if it was.
    pub redeemed: Option<(OffsetDateTime, AccountId)>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    hint: String,
    name: String,
    amount: i64,
    expires_at: OffsetDateTime,
    credits_expire_at: Option<OffsetDateTime>,
    created_by: Option<String>,
    created_at: OffsetDateTime,
    revoked_at: Option<OffsetDateTime>,
    redeemed_at: Option<OffsetDateTime>,
    redeemed_by: Option<Uuid>,
}

impl From<Row> for Voucher {
    fn from(row: Row) -> Self {
        let Row {
            id,
            hint,
            name,
            amount,
            expires_at,
            credits_expire_at,
            created_by,
            created_at,
            revoked_at,
            redeemed_at,
            redeemed_by,
        } = row;
        Self {
            id: VoucherId(id),
            hint,
            name,
            amount: Nanos(amount),
            expires_at,
            credits_expire_at,
            created_by,
            created_at,
            revoked_at,
            redeemed: redeemed_at.zip(redeemed_by.map(AccountId)),
        }
    }
}

macro_rules! returning {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            " id, hint, name, amount, expires_at, credits_expire_at, created_by, created_at, revoked_at, \
             redeemed_at, redeemed_by ",
            $after
        )
    };
}

/// Keeps a new voucher.
pub async fn create(
    connection: &mut PgConnection,
    digest: &TokenDigest,
    voucher: &Voucher,
) -> Result<(), StoreError> {
    let Voucher {
        id,
        hint,
        name,
        amount,
        expires_at,
        credits_expire_at,
        created_by,
        created_at,
        revoked_at: _,
        redeemed: _,
    } = voucher;
    sqlx::query(
        "insert into vouchers (id, digest, hint, name, amount, expires_at, credits_expire_at, created_by,
             created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(id.0)
    .bind(digest.0)
    .bind(hint)
    .bind(name)
    .bind(amount.0)
    .bind(expires_at)
    .bind(credits_expire_at)
    .bind(created_by)
    .bind(created_at)
    .execute(connection)
    .await?;
    Ok(())
}

/// Vouchers, the newest first, and how many there are.
pub async fn list(store: &Store, limit: i64, offset: i64) -> Result<(Vec<Voucher>, i64), StoreError> {
    let rows: Vec<Row> =
        sqlx::query_as(returning!("select", "from vouchers order by id desc limit $1 offset $2"))
            .bind(limit)
            .bind(offset)
            .fetch_all(&store.pool)
            .await?;
    let total = sqlx::query_scalar("select count(*) from vouchers").fetch_one(&store.pool).await?;
    Ok((rows.into_iter().map(Voucher::from).collect(), total))
}

/// A voucher.
pub async fn get(store: &Store, id: VoucherId) -> Result<Option<Voucher>, StoreError> {
    let row: Option<Row> = sqlx::query_as(returning!("select", "from vouchers where id = $1"))
        .bind(id.0)
        .fetch_optional(&store.pool)
        .await?;
    Ok(row.map(Voucher::from))
}

/// Takes a voucher back; `None` if there is none that is neither redeemed nor taken back already.
pub async fn revoke(
    store: &Store,
    id: VoucherId,
    now: OffsetDateTime,
) -> Result<Option<Voucher>, StoreError> {
    let row: Option<Row> = sqlx::query_as(returning!(
        "update vouchers set revoked_at = $2
         where id = $1 and revoked_at is null and redeemed_at is null returning",
        ""
    ))
    .bind(id.0)
    .bind(now)
    .fetch_optional(&store.pool)
    .await?;
    Ok(row.map(Voucher::from))
}

/// Redeems the voucher with this code for an account; `None` if there is none that is still good. Of two
/// who come at the same time the second finds it redeemed.
pub async fn redeem(
    connection: &mut PgConnection,
    digest: &TokenDigest,
    account: AccountId,
    now: OffsetDateTime,
) -> Result<Option<Voucher>, StoreError> {
    let row: Option<Row> = sqlx::query_as(returning!(
        "update vouchers set redeemed_at = $3, redeemed_by = $2
         where digest = $1 and redeemed_at is null and revoked_at is null and expires_at > $3 returning",
        ""
    ))
    .bind(digest.0)
    .bind(account.0)
    .bind(now)
    .fetch_optional(connection)
    .await?;
    Ok(row.map(Voucher::from))
}
