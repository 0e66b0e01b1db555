//! Who is told when a balance runs low, that it did, and how far the telling has come.

pub mod deliveries;

use model::id::NoticeId;
use model::{AccountId, Nanos};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Store, StoreError};

/// What an account asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NoticeSettings {
    /// Below which balance; `None` for no notice.
    pub threshold: Option<Nanos>,
    /// Who is written to.
    pub emails: Vec<String>,
    /// What is called.
    pub webhook: Option<Webhook>,
}

/// An address that is called, and what signs the calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The address.
    pub url: String,
    /// The signing secret, sealed.
    pub secret: Vec<u8>,
}

/// What an account asked for; nothing unless it did.
pub async fn settings(store: &Store, account: AccountId) -> Result<NoticeSettings, StoreError> {
    type Row = (Option<i64>, Vec<String>, Option<String>, Option<Vec<u8>>);
    let row: Option<Row> = sqlx::query_as(
        "select threshold, emails, webhook_url, webhook_secret from notice_settings where account_id = $1",
    )
    .bind(account.0)
    .fetch_optional(&store.pool)
    .await?;
    Ok(row.map_or_else(NoticeSettings::default, |(threshold, emails, url, secret)| NoticeSettings {
        threshold: threshold.map(Nanos),
        emails,
        webhook: url.zip(secret).map(|(url, secret)| Webhook { url, secret }),
    }))
}

/// Replaces what an account asked for. With another threshold the balance may cross it anew.
pub async fn set(store: &Store, account: AccountId, settings: &NoticeSettings) -> Result<(), StoreError> {
    let NoticeSettings { threshold, emails, webhook } = settings;
    sqlx::query(
        "insert into notice_settings (account_id, threshold, emails, webhook_url, webhook_secret)
         values ($1, $2, $3, $4, $5)
         on conflict (account_id) do update set threshold = excluded.threshold, emails = excluded.emails,
             webhook_url = excluded.webhook_url, webhook_secret = excluded.webhook_secret,
             below_since = case when notice_settings.threshold = excluded.threshold
                 then notice_settings.below_since end,
             modified_at = now()",
    )
    .bind(account.0)
    .bind(threshold.map(|threshold| threshold.0))
    .bind(emails)
    .bind(webhook.as_ref().map(|webhook| &webhook.url))
    .bind(webhook.as_ref().map(|webhook| &webhook.secret))
    .execute(&store.pool)
    .await?;
    Ok(())
}

/// A balance that went below its threshold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crossing {
    /// Whose.
    pub account: AccountId,
    /// What it came to.
    pub balance: Nanos,
    /// Below what.
    pub threshold: Nanos,
    /// Who is written to.
    pub emails: Vec<String>,
    /// What is called.
    pub webhook_url: Option<String>,
}

/// Takes down which balances are below their thresholds since now, and which no longer are; answers
/// with the former, whose rows are locked until the transaction ends. So each crossing is found once.
pub async fn crossings(
    connection: &mut PgConnection,
    now: OffsetDateTime,
    limit: i64,
) -> Result<Vec<Crossing>, StoreError> {
    type Row = (Uuid, i64, i64, Vec<String>, Option<String>);
    let changed: Vec<Row> = sqlx::query_as(
        "with balances as (
             select s.account_id, s.threshold, s.below_since,
                 (select coalesce(sum(a.balance), 0)::bigint from ledger_accounts a
                  where a.account_id = s.account_id and (a.kind = 'credits'
                     or a.kind = 'promotion' and a.expires_at > $1)) as balance
             from notice_settings s where s.threshold is not null
         ), changed as (
             select account_id, balance from balances
             where (below_since is null) = (balance < threshold) limit $2
         )
         update notice_settings s
         set below_since = case when c.balance < s.threshold then $1 end
         from changed c
         where s.account_id = c.account_id and (s.below_since is null) = (c.balance < s.threshold)
         returning s.account_id, c.balance, s.threshold, s.emails, s.webhook_url",
    )
    .bind(now)
    .bind(limit)
    .fetch_all(connection)
    .await?;
    let below = changed.into_iter().filter(|(_, balance, threshold, ..)| balance < threshold);
    Ok(below
        .map(|(account, balance, threshold, emails, webhook_url)| Crossing {
            account: AccountId(account),
            balance: Nanos(balance),
            threshold: Nanos(threshold),
            emails,
            webhook_url,
        })
        .collect())
}

/// Keeps a notice of a low balance.
pub async fn create(
    connection: &mut PgConnection,
    id: NoticeId,
    crossing: &Crossing,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query(
        "insert into notices (id, account_id, kind, balance, threshold, at)
         values ($1, $2, 'low_balance', $3, $4, $5)",
    )
    .bind(id.0)
    .bind(crossing.account.0)
    .bind(crossing.balance.0)
    .bind(crossing.threshold.0)
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}
