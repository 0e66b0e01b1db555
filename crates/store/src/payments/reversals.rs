//! Money of a payment that went back to the buyer or to his bank: what is known of it, and what of it
//! the ledger has followed.

use model::Nanos;
use model::id::PaymentId;
use sqlx::PgConnection;

use crate::StoreError;

/// How a dispute stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisputeState {
    /// The bank asks, and has taken nothing.
    Inquiry,
    /// The bank has taken the money.
    Open,
    /// The money is back.
    Won,
    /// The money is lost.
    Lost,
}

impl DisputeState {
    /// As written in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            DisputeState::Inquiry => "inquiry",
            DisputeState::Open => "open",
            DisputeState::Won => "won",
            DisputeState::Lost => "lost",
        }
    }
}

/// Notes how much of a payment has been refunded in all. Older news changes nothing.
pub async fn note_refund(
    connection: &mut PgConnection,
    payment: PaymentId,
    cents: i64,
) -> Result<(), StoreError> {
    sqlx::query("update payments set refunded = $2 where id = $1 and refunded < $2")
        .bind(payment.0)
        .bind(cents)
        .execute(connection)
        .await?;
    Ok(())
}

/// Notes how a dispute stands. News may come in any order: an end is final, and an inquiry that became
/// a dispute is no inquiry again.
pub async fn note_dispute(
    connection: &mut PgConnection,
    id: &str,
    payment: PaymentId,
    cents: i64,
    state: DisputeState,
) -> Result<(), StoreError> {
    sqlx::query(
        "insert into payment_disputes (id, payment_id, cents, state) values ($1, $2, $3, $4)
         on conflict (id) do update set state = excluded.state, cents = excluded.cents
         where payment_disputes.state = 'inquiry'
            or payment_disputes.state = 'open' and excluded.state <> 'inquiry'",
    )
    .bind(id)
    .bind(payment.0)
    .bind(cents)
    .bind(state.as_str())
    .execute(connection)
    .await?;
    Ok(())
}

/// Cents of a payment that its buyer's bank has taken.
pub async fn disputed_cents(connection: &mut PgConnection, payment: PaymentId) -> Result<i64, StoreError> {
    let cents = sqlx::query_scalar(
        "select coalesce(sum(cents), 0)::bigint from payment_disputes
         where payment_id = $1 and state in ('open', 'lost')",
    );
    Ok(cents.bind(payment.0).fetch_one(connection).await?)
}

/// Why money of a payment is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It was given back.
    Refund,
    /// It was taken back.
    Dispute,
}

impl Reason {
    const fn as_str(self) -> &'static str {
        match self {
            Reason::Refund => "refund",
            Reason::Dispute => "dispute",
        }
    }
}

/// What the ledger has followed so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Followed {
    /// In how many steps.
    pub steps: i32,
    /// Credits taken back.
    pub amount: Nanos,
    /// Fee given back.
    pub fee: Nanos,
}

/// What the ledger has followed so far of a payment whose row is locked.
pub async fn followed(
    connection: &mut PgConnection,
    payment: PaymentId,
    reason: Reason,
) -> Result<Followed, StoreError> {
    let (steps, amount, fee): (i64, i64, i64) = sqlx::query_as(
        "select count(*), coalesce(sum(amount), 0)::bigint, coalesce(sum(fee), 0)::bigint
         from payment_reversals where payment_id = $1 and reason = $2",
    )
    .bind(payment.0)
    .bind(reason.as_str())
    .fetch_one(connection)
    .await?;
    let steps = i32::try_from(steps).map_err(|_| StoreError::Unreadable("number of reversals"))?;
    Ok(Followed { steps, amount: Nanos(amount), fee: Nanos(fee) })
}

/// Notes a step of the ledger.
pub async fn follow(
    connection: &mut PgConnection,
    payment: PaymentId,
    reason: Reason,
    number: i32,
    amount: Nanos,
    fee: Nanos,
) -> Result<(), StoreError> {
    sqlx::query(
        "insert into payment_reversals (payment_id, reason, number, amount, fee) values ($1, $2, $3, $4, $5)",
    )
    .bind(payment.0)
    .bind(reason.as_str())
    .bind(number)
    .bind(amount.0)
    .bind(fee.0)
    .execute(connection)
    .await?;
    Ok(())
}
