//! An account's statement: its transactions, the newest first.

use model::AccountId;
use model::money::Nanos;
use sqlx::{Postgres, QueryBuilder};
use time::OffsetDateTime;
use uuid::Uuid;

use super::CauseKind;
use crate::{Store, StoreError};

/// Which transactions are asked for. All conditions must hold.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Statement {
    /// Of these kinds; of all if there are none.
    pub kinds: Vec<CauseKind>,
    /// Of one of these causes; of any if there are none.
    pub causes: Vec<String>,
    /// Not before then.
    pub since: Option<OffsetDateTime>,
    /// Before then.
    pub until: Option<OffsetDateTime>,
    /// Those that brought money, or those that took it.
    pub sign: Option<Sign>,
    /// Before the transaction with this number: the last one of the page before.
    pub before: Option<i64>,
}

/// Which way money went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// To the customer.
    In,
    /// From the customer.
    Out,
}

/// One transaction. Amounts print themselves as exact decimals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its id.
    pub transaction: Uuid,
    /// Which of the account's transactions it is, from 1 without a gap.
    pub sequence: i64,
    /// When it was posted.
    pub at: OffsetDateTime,
    /// What kind of thing caused it.
    pub kind: CauseKind,
    /// Which.
    pub cause: String,
    /// In words.
    pub description: String,
    /// By how much credits and promotions grew.
    pub amount: Nanos,
    /// What they came to.
    pub balance: Nanos,
}

/// A transfer of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// The kind of ledger account that it left.
    pub from: String,
    /// The kind of ledger account that it reached.
    pub to: String,
    /// How much.
    pub amount: Nanos,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    sequence: i64,
    at: OffsetDateTime,
    cause_kind: String,
    cause_id: String,
    description: String,
    amount: i64,
    balance: i64,
}

/// One page of an account's statement, the newest first.
pub async fn statement(
    store: &Store,
    account: AccountId,
    statement: &Statement,
    limit: i64,
) -> Result<Vec<Line>, StoreError> {
    let mut sql = QueryBuilder::new(
        "select id, sequence, at, cause_kind, cause_id, description, amount, balance
         from ledger_transactions where account_id = ",
    );
    sql.push_bind(account.0);
    statement.push_conditions(&mut sql);
    sql.push(" order by sequence desc limit ").push_bind(limit);
    let rows: Vec<Row> = sql.build_query_as().fetch_all(&store.pool).await?;
    rows.into_iter().map(Line::of).collect()
}

/// The transfers of one of an account's transactions, in their order; none if it has no such transaction.
pub async fn transfers(
    store: &Store,
    account: AccountId,
    transaction: Uuid,
) -> Result<Vec<Transfer>, StoreError> {
    let rows: Vec<(String, String, i64)> = sqlx::query_as(
        "select f.kind, t.kind, l.amount
         from ledger_transfers l
         join ledger_transactions x on x.id = l.transaction_id
         join ledger_accounts f on f.id = l.from_account
         join ledger_accounts t on t.id = l.to_account
         where x.id = $1 and x.account_id = $2 order by l.line",
    )
    .bind(transaction)
    .bind(account.0)
    .fetch_all(&store.pool)
    .await?;
    Ok(rows.into_iter().map(|(from, to, amount)| Transfer { from, to, amount: Nanos(amount) }).collect())
}

impl Statement {
    fn push_conditions(&self, sql: &mut QueryBuilder<Postgres>) {
        let Self { kinds, causes, since, until, sign, before } = self;
        if !kinds.is_empty() {
            let words: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
            sql.push(" and cause_kind = any(").push_bind(words).push(")");
        }
        if !causes.is_empty() {
            sql.push(" and cause_id = any(").push_bind(causes.clone()).push(")");
        }
        if let Some(since) = since {
            sql.push(" and at >= ").push_bind(*since);
        }
        if let Some(until) = until {
            sql.push(" and at < ").push_bind(*until);
        }
        match sign {
            Some(Sign::In) => sql.push(" and amount > 0"),
            Some(Sign::Out) => sql.push(" and amount < 0"),
            None => sql,
        };
        if let Some(before) = before {
            sql.push(" and sequence < ").push_bind(*before);
        }
    }
}

impl Line {
    fn of(row: Row) -> Result<Self, StoreError> {
        let Row { id, sequence, at, cause_kind, cause_id, description, amount, balance } = row;
        Ok(Self {
            transaction: id,
            sequence,
            at,
            kind: CauseKind::from_word(&cause_kind).ok_or(StoreError::Unreadable("cause"))?,
            cause: cause_id,
            description,
            amount: Nanos(amount),
            balance: Nanos(balance),
        })
    }
}
