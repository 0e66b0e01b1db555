//! Credits that are bought when the balance falls below a threshold.

use model::id::PaymentId;
use model::{AccountId, Nanos};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Store, StoreError};

/// An account's automatic top-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AutoTopup {
    /// How much is bought.
    pub amount: Nanos,
    /// Below which balance.
    pub threshold: Nanos,
    /// The payment under way.
    pub payment: Option<PaymentId>,
    /// Failures since the last success.
    pub failures: i32,
    /// What went wrong last.
    pub error: Option<String>,
    /// When it did.
    pub last_failed_at: Option<OffsetDateTime>,
    /// Why it is not tried any more.
    pub disabled_reason: Option<String>,
}

#[derive(sqlx::FromRow)]
struct Row {
    amount: i64,
    threshold: i64,
    payment_id: Option<Uuid>,
    failures: i32,
    error: Option<String>,
    last_failed_at: Option<OffsetDateTime>,
    disabled_reason: Option<String>,
}

impl From<Row> for AutoTopup {
    fn from(row: Row) -> Self {
        let Row { amount, threshold, payment_id, failures, error, last_failed_at, disabled_reason } = row;
        Self {
            amount: Nanos(amount),
            threshold: Nanos(threshold),
            payment: payment_id.map(PaymentId),
            failures,
            error,
            last_failed_at,
            disabled_reason,
        }
    }
}

/// An account's automatic top-up, if it has one.
pub async fn get(store: &Store, account: AccountId) -> Result<Option<AutoTopup>, StoreError> {
    let row: Option<Row> = sqlx::query_as(
        "select amount, threshold, payment_id, failures, error, last_failed_at, disabled_reason
         from auto_topups where account_id = $1",
    )
    .bind(account.0)
    .fetch_optional(&store.pool)
    .await?;
    Ok(row.map(AutoTopup::from))
}

/// Sets an automatic top-up, and forgets earlier failures. A payment that is under way stays so: no
/// second one begins before it has ended.
pub async fn set(
    store: &Store,
    account: AccountId,
    amount: Nanos,
    threshold: Nanos,
    now: OffsetDateTime,
) -> Result<AutoTopup, StoreError> {
    let row: Row = sqlx::query_as(
        "insert into auto_topups (account_id, amount, threshold, next_attempt_at) values ($1, $2, $3, $4)
         on conflict (account_id) do update set amount = excluded.amount, threshold = excluded.threshold,
             failures = 0, next_attempt_at = excluded.next_attempt_at, error = null, last_failed_at = null,
             disabled_reason = null
         returning amount, threshold, payment_id, failures, error, last_failed_at, disabled_reason",
    )
    .bind(account.0)
    .bind(amount.0)
    .bind(threshold.0)
    .bind(now)
    .fetch_one(&store.pool)
    .await?;
    Ok(row.into())
}

/// Ends an automatic top-up, and says what it was.
pub async fn remove(store: &Store, account: AccountId) -> Result<Option<AutoTopup>, StoreError> {
    let row: Option<Row> = sqlx::query_as(
        "delete from auto_topups where account_id = $1
         returning amount, threshold, payment_id, failures, error, last_failed_at, disabled_reason",
    )
    .bind(account.0)
    .fetch_optional(&store.pool)
    .await?;
    Ok(row.map(AutoTopup::from))
}

/// Accounts whose balance is below their threshold and for which a payment may begin now.
pub async fn due(store: &Store, now: OffsetDateTime, limit: i64) -> Result<Vec<AccountId>, StoreError> {
    let due: Vec<Uuid> = sqlx::query_scalar(
        "select t.account_id from auto_topups t
         where t.payment_id is null and t.disabled_reason is null and t.next_attempt_at <= $1
           and t.threshold > (select coalesce(sum(a.balance), 0) from ledger_accounts a
               where a.account_id = t.account_id and (a.kind = 'credits'
                  or a.kind = 'promotion' and a.expires_at > $1))
         order by t.next_attempt_at limit $2",
    )
    .bind(now)
    .bind(limit)
    .fetch_all(&store.pool)
    .await?;
    Ok(due.into_iter().map(AccountId).collect())
}

/// An automatic top-up for which a payment may begin now, locked until the transaction ends.
pub async fn locked(
    connection: &mut PgConnection,
    account: AccountId,
    now: OffsetDateTime,
) -> Result<Option<AutoTopup>, StoreError> {
    let row: Option<Row> = sqlx::query_as(
        "select amount, threshold, payment_id, failures, error, last_failed_at, disabled_reason
         from auto_topups where account_id = $1 and payment_id is null and disabled_reason is null
           and next_attempt_at <= $2 for update",
    )
    .bind(account.0)
    .bind(now)
    .fetch_optional(connection)
    .await?;
    Ok(row.map(AutoTopup::from))
}

/// Notes that a payment is under way.
pub async fn begin(
    connection: &mut PgConnection,
    account: AccountId,
    payment: PaymentId,
) -> Result<(), StoreError> {
    sqlx::query("update auto_topups set payment_id = $2 where account_id = $1")
        .bind(account.0)
        .bind(payment.0)
        .execute(connection)
        .await?;
    Ok(())
}

/// Notes that the payment under way succeeded.
pub async fn succeeded(
    connection: &mut PgConnection,
    payment: PaymentId,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query(
        "update auto_topups set payment_id = null, failures = 0, error = null, next_attempt_at = $2
         where payment_id = $1",
    )
    .bind(payment.0)
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}

/// The failures before the payment under way, whose row is locked until the transaction ends.
pub async fn failures_before(
    connection: &mut PgConnection,
    payment: PaymentId,
) -> Result<Option<(AccountId, i32)>, StoreError> {
    let row: Option<(Uuid, i32)> =
        sqlx::query_as("select account_id, failures from auto_topups where payment_id = $1 for update")
            .bind(payment.0)
            .fetch_optional(connection)
            .await?;
    Ok(row.map(|(account, failures)| (AccountId(account), failures)))
}

/// What a failure leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterFailure {
    /// Another attempt, no earlier than that.
    Again(OffsetDateTime),
    /// None, and why.
    Disabled(&'static str),
}

/// Notes that an attempt failed.
pub async fn failed(
    connection: &mut PgConnection,
    account: AccountId,
    error: &str,
    now: OffsetDateTime,
    then: AfterFailure,
) -> Result<(), StoreError> {
    let (again, disabled) = match then {
        AfterFailure::Again(at) => (at, None),
        AfterFailure::Disabled(reason) => (now, Some(reason)),
    };
    sqlx::query(
        "update auto_topups set payment_id = null, failures = failures + 1, error = $2, last_failed_at = $3,
             next_attempt_at = $4, disabled_reason = $5
         where account_id = $1",
    )
    .bind(account.0)
    .bind(error)
    .bind(now)
    .bind(again)
    .bind(disabled)
    .execute(connection)
    .await?;
    Ok(())
}
