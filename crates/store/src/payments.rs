//! Purchases of credits and what became of them. What they moved is in the ledger.

pub mod auto_topups;
pub mod events;
pub mod lock;
pub mod payers;
pub mod reversals;
pub mod usage;

use model::id::PaymentId;
use model::{AccountId, Nanos};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Store, StoreError};

/// Nano-dollars in a cent.
const CENT: i64 = 10_000_000;

/// One purchase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// Its id, by which the provider knows a repeated request.
    pub id: PaymentId,
    /// Who buys.
    pub account: AccountId,
    /// Who began it.
    pub origin: Origin,
    /// The buyer's name at the provider.
    pub customer: String,
    /// The card that is charged; `None` if the buyer has yet to name one.
    pub payment_method: Option<String>,
    /// The credits that are bought.
    pub amount: Nanos,
    /// What is paid on top of them.
    pub fee: Nanos,
    /// The provider's name for it, once it has answered.
    pub intent: Option<String>,
    /// How far it has come.
    pub state: PaymentState,
    /// Why it failed, if it did.
    pub error: String,
    /// Cents that went back to the buyer.
    pub refunded: i64,
    /// Who bought, if a person did.
    pub created_by: Option<String>,
    /// When it began.
    pub created_at: OffsetDateTime,
    /// When it was known how it ended.
    pub settled_at: Option<OffsetDateTime>,
}

impl Payment {
    /// What the card is charged, in cents.
    pub fn cents(&self) -> i64 {
        (self.amount.0 + self.fee.0) / CENT
    }
}

/// Who began a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A person.
    Manual,
    /// The balance, by falling.
    Auto,
}

impl Origin {
    /// As written in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Origin::Manual => "manual",
            Origin::Auto => "auto",
        }
    }
}

/// How far a payment has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentState {
    /// Nobody knows yet how it ends.
    Pending,
    /// The money is there, and in the ledger.
    Succeeded,
    /// The money is there and could not be credited; somebody has to look at it.
    Stranded,
    /// It was declined. A buyer who tries another card may still succeed.
    Failed,
    /// It was called off.
    Canceled,
}

impl PaymentState {
    /// As written in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            PaymentState::Pending => "pending",
            PaymentState::Succeeded => "succeeded",
            PaymentState::Stranded => "stranded",
            PaymentState::Failed => "failed",
            PaymentState::Canceled => "canceled",
        }
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    account_id: Uuid,
    origin: String,
    customer: String,
    payment_method: Option<String>,
    amount: i64,
    fee: i64,
    intent: Option<String>,
    state: String,
    error: String,
    refunded: i64,
    created_by: Option<String>,
    created_at: OffsetDateTime,
    settled_at: Option<OffsetDateTime>,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select id, account_id, origin, customer, payment_method, amount, fee, intent, state, error, \
             refunded, created_by, created_at, settled_at from payments ",
            $rest
        )
    };
}

impl TryFrom<Row> for Payment {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        use PaymentState::{Canceled, Failed, Pending, Stranded, Succeeded};
        let origin = [Origin::Manual, Origin::Auto].into_iter().find(|origin| origin.as_str() == row.origin);
        let states = [Pending, Succeeded, Stranded, Failed, Canceled];
        let state = states.into_iter().find(|state| state.as_str() == row.state);
        Ok(Self {
            id: PaymentId(row.id),
            account: AccountId(row.account_id),
            origin: origin.ok_or(StoreError::Unreadable("origin of a payment"))?,
            customer: row.customer,
            payment_method: row.payment_method,
            amount: Nanos(row.amount),
            fee: Nanos(row.fee),
            intent: row.intent,
            state: state.ok_or(StoreError::Unreadable("state of a payment"))?,
            error: row.error,
            refunded: row.refunded,
            created_by: row.created_by,
            created_at: row.created_at,
            settled_at: row.settled_at,
        })
    }
}

/// Keeps a payment that begins; the provider is asked about it from `next_look_at` on.
pub async fn create(
    connection: &mut PgConnection,
    payment: &Payment,
    next_look_at: OffsetDateTime,
) -> Result<(), StoreError> {
    let Payment {
        id,
        account,
        origin,
        customer,
        payment_method,
        amount,
        fee,
        intent,
        state,
        error,
        refunded,
        created_by,
        created_at,
        settled_at,
    } = payment;
    sqlx::query(
        "insert into payments (id, account_id, origin, customer, payment_method, amount, fee, intent, state,
                error, refunded, created_by, created_at, settled_at, next_look_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
    )
    .bind(id.0)
    .bind(account.0)
    .bind(origin.as_str())
    .bind(customer)
    .bind(payment_method)
    .bind(amount.0)
    .bind(fee.0)
    .bind(intent)
    .bind(state.as_str())
    .bind(error)
    .bind(refunded)
    .bind(created_by)
    .bind(created_at)
    .bind(settled_at)
    .bind(next_look_at)
    .execute(connection)
    .await?;
    Ok(())
}

/// A payment, locked until the transaction ends.
pub async fn locked(connection: &mut PgConnection, id: PaymentId) -> Result<Option<Payment>, StoreError> {
    let row: Option<Row> =
        sqlx::query_as(select!("where id = $1 for update")).bind(id.0).fetch_optional(connection).await?;
    row.map(Payment::try_from).transpose()
}

/// The payment that the provider has given this name.
pub async fn id_of_intent(
    connection: &mut PgConnection,
    intent: &str,
) -> Result<Option<PaymentId>, StoreError> {
    let id = sqlx::query_scalar("select id from payments where intent = $1");
    Ok(id.bind(intent).fetch_optional(connection).await?.map(PaymentId))
}

/// An account's payment by the provider's name for it.
pub async fn by_intent(
    store: &Store,
    account: AccountId,
    intent: &str,
) -> Result<Option<Payment>, StoreError> {
    let row: Option<Row> = sqlx::query_as(select!("where account_id = $1 and intent = $2"))
        .bind(account.0)
        .bind(intent)
        .fetch_optional(&store.pool)
        .await?;
    row.map(Payment::try_from).transpose()
}

/// Notes the name that the provider gave a payment.
pub async fn set_intent(
    connection: &mut PgConnection,
    id: PaymentId,
    intent: &str,
) -> Result<(), StoreError> {
    sqlx::query("update payments set intent = $2 where id = $1")
        .bind(id.0)
        .bind(intent)
        .execute(connection)
        .await?;
    Ok(())
}

/// Notes how far a payment has come.
pub async fn set_state(
    connection: &mut PgConnection,
    id: PaymentId,
    state: PaymentState,
    error: &str,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let settled_at = (state != PaymentState::Pending).then_some(now);
    sqlx::query("update payments set state = $2, error = $3, settled_at = $4 where id = $1")
        .bind(id.0)
        .bind(state.as_str())
        .bind(error)
        .bind(settled_at)
        .execute(connection)
        .await?;
    Ok(())
}

/// Payments whose end is not known and that are to be looked at by now, the most overdue first.
pub async fn to_look_at(store: &Store, now: OffsetDateTime, limit: i64) -> Result<Vec<Payment>, StoreError> {
    let rows: Vec<Row> = sqlx::query_as(select!(
        "where state = 'pending' and next_look_at <= $1 order by next_look_at limit $2"
    ))
    .bind(now)
    .bind(limit)
    .fetch_all(&store.pool)
    .await?;
    rows.into_iter().map(Payment::try_from).collect()
}

/// Looks at a payment again no earlier than that.
pub async fn look_again(store: &Store, id: PaymentId, at: OffsetDateTime) -> Result<(), StoreError> {
    sqlx::query("update payments set next_look_at = $2 where id = $1")
        .bind(id.0)
        .bind(at)
        .execute(&store.pool)
        .await?;
    Ok(())
}

/// An account's payments of one origin or of all, the newest first, and how many there are.
pub async fn list(
    store: &Store,
    account: AccountId,
    origin: Option<Origin>,
    limit: i64,
    offset: i64,
) -> Result<(Vec<Payment>, i64), StoreError> {
    let origin = origin.map(Origin::as_str);
    let rows: Vec<Row> = sqlx::query_as(select!(
        "where account_id = $1 and ($2::text is null or origin = $2) order by id desc limit $3 offset $4"
    ))
    .bind(account.0)
    .bind(origin)
    .bind(limit)
    .bind(offset)
    .fetch_all(&store.pool)
    .await?;
    let total = sqlx::query_scalar(
        "select count(*) from payments where account_id = $1 and ($2::text is null or origin = $2)",
    )
    .bind(account.0)
    .bind(origin)
    .fetch_one(&store.pool)
    .await?;
    Ok((rows.into_iter().map(Payment::try_from).collect::<Result<_, _>>()?, total))
}

/// Whether any payment of the account has succeeded.
pub async fn any_succeeded(store: &Store, account: AccountId) -> Result<bool, StoreError> {
    let any = sqlx::query_scalar(
        "select exists (select from payments where account_id = $1 and state = 'succeeded')",
    );
    Ok(any.bind(account.0).fetch_one(&store.pool).await?)
}

/// How many of an account's payments are under way.
pub async fn pending(connection: &mut PgConnection, account: AccountId) -> Result<i64, StoreError> {
    let count =
        sqlx::query_scalar("select count(*) from payments where account_id = $1 and state = 'pending'");
    Ok(count.bind(account.0).fetch_one(connection).await?)
}
