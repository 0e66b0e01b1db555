//! Who is still to be told of a notice.

use model::id::NoticeId;
use model::{AccountId, Nanos};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Store, StoreError};

/// How somebody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// By letter.
    Email,
    /// By a call.
    Webhook,
}

impl Channel {
    /// As written in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Channel::Email => "email",
            Channel::Webhook => "webhook",
        }
    }
}

/// One addressee who is to be told now, and of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its id.
    pub id: Uuid,
    /// Of which notice.
    pub notice: NoticeId,
    /// Whose balance it is.
    pub account: AccountId,
    /// What people call the account.
    pub account_name: String,
    /// What the balance came to.
    pub balance: Nanos,
    /// Below what.
    pub threshold: Nanos,
    /// When that was noticed.
    pub at: OffsetDateTime,
    /// How he is told.
    pub channel: Channel,
    /// Where.
    pub target: String,
    /// How often it was tried, this time included.
    pub attempts: i32,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// He knows.
    Delivered,
    /// It failed, and is tried again no earlier than that.
    Again(OffsetDateTime, String),
    /// It failed too often, or for good.
    GivenUp(String),
}

/// Keeps a delivery that is to be made.
pub async fn create(
    connection: &mut PgConnection,
    notice: NoticeId,
    channel: Channel,
    target: &str,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query(
        "insert into notice_deliveries (id, notice_id, channel, target, next_attempt_at)
         values ($1, $2, $3, $4, $5)",
    )
    .bind(Uuid::now_v7())
    .bind(notice.0)
    .bind(channel.as_str())
    .bind(target)
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes deliveries that are due. They are due again at `until`, so that whoever takes them and dies
/// is followed by another.
pub async fn take(
    store: &Store,
    now: OffsetDateTime,
    until: OffsetDateTime,
    limit: i64,
) -> Result<Vec<Delivery>, StoreError> {
    type Row = (Uuid, Uuid, Uuid, String, i64, i64, OffsetDateTime, String, String, i32);
    let rows: Vec<Row> = sqlx::query_as(
        "with taken as (
             update notice_deliveries set attempts = attempts + 1, next_attempt_at = $2
             where id in (
                 select id from notice_deliveries where state = 'pending' and next_attempt_at <= $1
                 order by next_attempt_at limit $3 for update skip locked)
             returning id, notice_id, channel, target, attempts
         )
         select t.id, n.id, n.account_id, a.name, n.balance, n.threshold, n.at, t.channel, t.target, t.attempts
         from taken t join notices n on n.id = t.notice_id join accounts a on a.id = n.account_id",
    )
    .bind(now)
    .bind(until)
    .bind(limit)
    .fetch_all(&store.pool)
    .await?;
    rows.into_iter()
        .map(|(id, notice, account, account_name, balance, threshold, at, channel, target, attempts)| {
            let channel = [Channel::Email, Channel::Webhook].into_iter().find(|one| one.as_str() == channel);
            Ok(Delivery {
                id,
                notice: NoticeId(notice),
                account: AccountId(account),
                account_name,
                balance: Nanos(balance),
                threshold: Nanos(threshold),
                at,
                channel: channel.ok_or(StoreError::Unreadable("channel of a notice"))?,
                target,
                attempts,
            })
        })
        .collect()
}

/// Notes what became of an attempt.
pub async fn finish(
    store: &Store,
    id: Uuid,
    outcome: &Outcome,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let (state, again, error) = match outcome {
        Outcome::Delivered => ("delivered", now, ""),
        Outcome::Again(at, error) => ("pending", *at, error.as_str()),
        Outcome::GivenUp(error) => ("given_up", now, error.as_str()),
    };
    sqlx::query(
        "update notice_deliveries set state = $2, next_attempt_at = $3, error = $4,
             finished_at = case when $2 <> 'pending' then $5 end
         where id = $1",
    )
    .bind(id)
    .bind(state)
    .bind(again)
    .bind(error)
    .bind(now)
    .execute(&store.pool)
    .await?;
    Ok(())
}

/// A delivery as it is shown to the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Of which notice.
    pub notice: NoticeId,
    /// What the balance came to.
    pub balance: Nanos,
    /// Below what.
    pub threshold: Nanos,
    /// When that was noticed.
    pub at: OffsetDateTime,
    /// How somebody was told.
    pub channel: String,
    /// Where.
    pub target: String,
    /// How far it came.
    pub state: String,
    /// What went wrong last.
    pub error: String,
}

/// An account's latest deliveries, the newest first.
pub async fn latest(store: &Store, account: AccountId, limit: i64) -> Result<Vec<Shown>, StoreError> {
    type Row = (Uuid, i64, i64, OffsetDateTime, String, String, String, String);
    let rows: Vec<Row> = sqlx::query_as(
        "select n.id, n.balance, n.threshold, n.at, d.channel, d.target, d.state, d.error
         from notices n join notice_deliveries d on d.notice_id = n.id
         where n.account_id = $1 order by n.id desc, d.id limit $2",
    )
    .bind(account.0)
    .bind(limit)
    .fetch_all(&store.pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(notice, balance, threshold, at, channel, target, state, error)| Shown {
            notice: NoticeId(notice),
            balance: Nanos(balance),
            threshold: Nanos(threshold),
            at,
            channel,
            target,
            state,
            error,
        })
        .collect())
}
