//! Prices that were wrong, corrected from a date on: what changes is computed record by record, looked
//! at, and posted.

use model::prices::{ModelRule, Price};
use model::{AccountId, Nanos};
use sqlx::PgConnection;
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::receipts::{self, Evidence};
use crate::{Store, StoreError};

/// A price that should have been another.
#[derive(Debug, Clone)]
pub struct Rerating {
    /// Its id.
    pub id: Uuid,
    /// The provider's slug.
    pub provider: String,
    /// A model's name or a part of it.
    pub model: String,
    /// How a model's name must be like it.
    pub model_rule: ModelRule,
    /// The price as it should have been.
    pub price: Price,
    /// Requests from then on.
    pub since: OffsetDateTime,
    /// Requests before then.
    pub until: OffsetDateTime,
    /// The only account that it is about.
    pub account: Option<AccountId>,
    /// Whether customers also pay what they were charged too little.
    pub charges: bool,
    /// Shown on statements.
    pub description: String,
    /// When all records had been looked at.
    pub computed_at: Option<OffsetDateTime>,
    /// When the changes were posted.
    pub posted_at: Option<OffsetDateTime>,
    /// When it was asked for.
    pub created_at: OffsetDateTime,
}

/// A record with what earlier re-ratings have made of it.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The record.
    pub evidence: Evidence,
    /// What it costs by now.
    pub cost: Option<Nanos>,
    /// What is due for it by now.
    pub charge: Nanos,
    /// What was paid for it in all.
    pub paid: Nanos,
}

/// What changes about a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rerated {
    /// Which.
    pub record: Uuid,
    /// Whose.
    pub account: AccountId,
    /// What it cost.
    pub cost_before: Option<Nanos>,
    /// What it should have cost.
    pub cost_after: Nanos,
    /// What was due.
    pub charge_before: Nanos,
    /// What should have been due.
    pub charge_after: Nanos,
    /// What the customer pays more, or less where it is below zero.
    pub due: Nanos,
    /// What the provider bills more, of what the operator pays.
    pub provider_due: Nanos,
}

/// What changes for an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountChange {
    /// Which.
    pub account: AccountId,
    /// How many of its records change.
    pub records: i64,
    /// By how much their cost grows.
    pub cost: Nanos,
    /// What the customer pays more, or less where it is below zero.
    pub due: Nanos,
    /// What the provider bills more, of what the operator pays.
    pub provider_due: Nanos,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    provider: String,
    model: String,
    model_rule: String,
    price: Json<Price>,
    since: OffsetDateTime,
    until: OffsetDateTime,
    account_id: Option<Uuid>,
    charges: bool,
    description: String,
    computed_at: Option<OffsetDateTime>,
    posted_at: Option<OffsetDateTime>,
    created_at: OffsetDateTime,
}

impl TryFrom<Row> for Rerating {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let Row {
            id,
            provider,
            model,
            model_rule,
            price: Json(price),
            since,
            until,
            account_id,
            charges,
            description,
            computed_at,
            posted_at,
            created_at,
        } = row;
        let model_rule = serde_json::from_value(model_rule.into());
        let model_rule = model_rule.map_err(|_| StoreError::Unreadable("model rule"))?;
        let account = account_id.map(AccountId);
        Ok(Self {
            id,
            provider,
            model,
            model_rule,
            price,
            since,
            until,
            account,
            charges,
            description,
            computed_at,
            posted_at,
            created_at,
        })
    }
}

const COLUMNS: &str =
    "id, provider, model, model_rule, price, since, until, account_id, charges, description,
    computed_at, posted_at, created_at";

/// Keeps a new one.
pub async fn create(store: &Store, rerating: &Rerating) -> Result<(), StoreError> {
    let Rerating {
        id,
        provider,
        model,
        model_rule,
        price,
        since,
        until,
        account,
        charges,
        description,
        computed_at: _,
        posted_at: _,
        created_at: _,
    } = rerating;
    let model_rule = serde_json::to_value(model_rule).ok().and_then(|rule| rule.as_str().map(str::to_owned));
    sqlx::query(
        "insert into reratings (id, provider, model, model_rule, price, since, until, account_id, charges,
             description)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(id)
    .bind(provider)
    .bind(model)
    .bind(model_rule.unwrap_or_default())
    .bind(Json(price))
    .bind(since)
    .bind(until)
    .bind(account.map(|account| account.0))
    .bind(charges)
    .bind(description)
    .execute(&store.pool)
    .await?;
    Ok(())
}

/// One of them.
pub async fn get(store: &Store, id: Uuid) -> Result<Option<Rerating>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!("select {COLUMNS} from reratings where id = $1"));
    let row: Option<Row> = sqlx::query_as(sql).bind(id).fetch_optional(&store.pool).await?;
    row.map(Rerating::try_from).transpose()
}

/// The newest, and how many there are.
pub async fn list(store: &Store, limit: i64, offset: i64) -> Result<(Vec<Rerating>, i64), StoreError> {
    let sql = format!("select {COLUMNS} from reratings order by created_at desc, id desc limit $1 offset $2");
    let rows: Vec<Row> =
        sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(limit).bind(offset).fetch_all(&store.pool).await?;
    let total = sqlx::query_scalar("select count(*) from reratings").fetch_one(&store.pool).await?;
    Ok((rows.into_iter().map(Rerating::try_from).collect::<Result<_, _>>()?, total))
}

/// Takes the lock under which one control plane alone looks at the records, or says that another has it.
pub async fn lock(tx: &mut PgConnection, id: Uuid) -> Result<bool, StoreError> {
    let locked: Option<Uuid> =
        sqlx::query_scalar("select id from reratings where id = $1 for update skip locked")
            .bind(id)
            .fetch_optional(tx)
            .await?;
    Ok(locked.is_some())
}

/// The next records that it may be about, in the order of their ids, and how far that is.
pub async fn candidates(
    tx: &mut PgConnection,
    rerating: &Rerating,
    limit: i64,
) -> Result<(Vec<Candidate>, Option<Uuid>), StoreError> {
    #[derive(sqlx::FromRow)]
    struct Known {
        #[sqlx(flatten)]
        row: receipts::Row,
        cost_now: Option<i64>,
        charge_now: Option<i64>,
        due: Option<i64>,
    }
    let sql = format!(
        "select {}, now.cost_after as cost_now, now.charge_after as charge_now, now.due
         from usage_known u
         left join usage_corrections c on c.id = u.id
         left join lateral (
             select (array_agg(x.cost_after order by r.posted_at desc))[1] cost_after,
                    (array_agg(x.charge_after order by r.posted_at desc))[1] charge_after,
                    sum(x.due)::bigint due
             from rerated_records x join reratings r on r.id = x.rerating_id
             where x.record_id = u.id and r.posted_at is not null) now on true
         where u.id > coalesce((select cursor from reratings where id = $1), $2) and u.id < $3
           and u.provider = $4 and u.provenance <> 'none' and not u.custom_cost
           and ($5::uuid is null or u.account_id = $5)
         order by u.id limit $6",
        receipts::COLUMNS
    );
    let rows: Vec<Known> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(rerating.id)
        .bind(first_id(rerating.since))
        .bind(first_id(rerating.until))
        .bind(&rerating.provider)
        .bind(rerating.account.map(|account| account.0))
        .bind(limit)
        .fetch_all(tx)
        .await?;
    let candidates: Vec<_> = rows
        .into_iter()
        .map(|Known { row, cost_now, charge_now, due }| {
            let evidence = Evidence::from(row);
            Candidate {
                cost: cost_now.map(Nanos).or(evidence.cost),
                charge: charge_now.map_or(evidence.charge, Nanos),
                paid: evidence.paid + Nanos(due.unwrap_or(0)),
                evidence,
            }
        })
        .collect();
    let last = candidates.last().map(|candidate| candidate.evidence.id);
    Ok((candidates, last))
}

/// Writes what changes about some records, and how far they were looked at; `None` for to the end.
pub async fn advance(
    tx: &mut PgConnection,
    id: Uuid,
    rerated: &[Rerated],
    cursor: Option<Uuid>,
) -> Result<(), StoreError> {
    let column = |of: fn(&Rerated) -> i64| rerated.iter().map(of).collect::<Vec<_>>();
    sqlx::query(
        "insert into rerated_records (rerating_id, record_id, account_id, cost_before, cost_after, charge_before,
             charge_after, due, provider_due)
         select $1, * from unnest($2::uuid[], $3::uuid[], $4::bigint[], $5::bigint[], $6::bigint[],
             $7::bigint[], $8::bigint[], $9::bigint[])
         on conflict do nothing",
    )
    .bind(id)
    .bind(rerated.iter().map(|record| record.record).collect::<Vec<_>>())
    .bind(rerated.iter().map(|record| record.account.0).collect::<Vec<_>>())
    .bind(rerated.iter().map(|record| record.cost_before.map(|cost| cost.0)).collect::<Vec<_>>())
    .bind(column(|record| record.cost_after.0))
    .bind(column(|record| record.charge_before.0))
    .bind(column(|record| record.charge_after.0))
    .bind(column(|record| record.due.0))
    .bind(column(|record| record.provider_due.0))
    .execute(&mut *tx)
    .await?;
    let sql = match cursor {
        Some(_) => "update reratings set cursor = $2 where id = $1",
        None => "update reratings set computed_at = now(), cursor = coalesce($2, cursor) where id = $1",
    };
    sqlx::query(sql).bind(id).bind(cursor).execute(tx).await?;
    Ok(())
}

/// Whether another re-rating of the same records was posted after this one was computed.
pub async fn is_overtaken(store: &Store, id: Uuid) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar(
        "select exists (
             select from reratings mine
             join rerated_records m on m.rerating_id = mine.id
             join rerated_records o on o.record_id = m.record_id and o.rerating_id <> m.rerating_id
             join reratings other on other.id = o.rerating_id
             where mine.id = $1 and other.posted_at > mine.computed_at)",
    )
    .bind(id)
    .fetch_one(&store.pool)
    .await?)
}

/// What changes, by account.
pub async fn changes(connection: &mut PgConnection, id: Uuid) -> Result<Vec<AccountChange>, StoreError> {
    let rows: Vec<(Uuid, i64, i64, i64, i64)> = sqlx::query_as(
        "select account_id, count(*), sum(cost_after - coalesce(cost_before, 0))::bigint, sum(due)::bigint,
                sum(provider_due)::bigint
         from rerated_records where rerating_id = $1 group by account_id order by account_id",
    )
    .bind(id)
    .fetch_all(connection)
    .await?;
    let change = |(account, records, cost, due, provider_due)| AccountChange {
        account: AccountId(account),
        records,
        cost: Nanos(cost),
        due: Nanos(due),
        provider_due: Nanos(provider_due),
    };
    Ok(rows.into_iter().map(change).collect())
}

/// Notes that all changes are posted.
pub async fn posted(tx: &mut PgConnection, id: Uuid) -> Result<(), StoreError> {
    sqlx::query("update reratings set posted_at = coalesce(posted_at, now()) where id = $1")
        .bind(id)
        .execute(tx)
        .await?;
    Ok(())
}

/// What stands before every UUIDv7 of a moment.
fn first_id(at: OffsetDateTime) -> Uuid {
    let milliseconds = u64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
    Uuid::from_u128(u128::from(milliseconds) << 80)
}
