//! What an account used of its credits: over time as the ledger has it, and by model as the usage
//! records have it.

use model::{AccountId, Nanos};
use time::OffsetDateTime;

use crate::{Store, StoreError};

/// How a time is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grouping {
    /// By hours.
    Hour,
    /// By days, in UTC.
    Day,
}

impl Grouping {
    const fn as_str(self) -> &'static str {
        match self {
            Grouping::Hour => "hour",
            Grouping::Day => "day",
        }
    }
}

/// What was taken from an account's credits and promotions for usage, by the hour or day in which it was
/// posted; those in which nothing was are left out. What was given again makes it less.
pub async fn by_time(
    store: &Store,
    account: AccountId,
    grouping: Grouping,
    since: OffsetDateTime,
    until: OffsetDateTime,
) -> Result<Vec<(OffsetDateTime, Nanos)>, StoreError> {
    let rows: Vec<(OffsetDateTime, i64)> = sqlx::query_as(
        "select date_trunc($2, at, 'UTC'), -sum(amount)::bigint from ledger_transactions
         where account_id = $1 and at >= $3 and at < $4
           and cause_kind in ('usage', 'correction', 'rerating')
         group by 1 order by 1",
    )
    .bind(account.0)
    .bind(grouping.as_str())
    .bind(since)
    .bind(until)
    .fetch_all(&store.pool)
    .await?;
    Ok(rows.into_iter().map(|(at, amount)| (at, Nanos(amount))).collect())
}

/// What one model took of an account's credits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfModel {
    /// The provider.
    pub provider: String,
    /// The model that priced it.
    pub model: String,
    /// How many requests.
    pub requests: i64,
    /// What was paid from credits and promotions.
    pub paid: Nanos,
}

/// What an account's requests on credits took since then, by model, the dearest first.
pub async fn by_model(
    store: &Store,
    account: AccountId,
    since: OffsetDateTime,
) -> Result<Vec<OfModel>, StoreError> {
    let rows: Vec<(String, String, i64, i64)> = sqlx::query_as(
        "select r.provider,
                coalesce(nullif(coalesce(c.price_model, r.price_model), ''), r.model_asked) as model,
                count(*), sum(coalesce(c.paid, r.paid))::bigint as paid
         from usage_records r left join usage_corrections c on c.id = r.id
         where r.account_id = $1 and r.key_source = 'credits' and r.id >= usage_day_start($2)
         group by 1, 2 order by paid desc, 1, 2",
    )
    .bind(account.0)
    .bind(since.date())
    .fetch_all(&store.pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(provider, model, requests, paid)| OfModel { provider, model, requests, paid: Nanos(paid) })
        .collect())
}
