//! What an account has.

use model::AccountId;
use model::money::Nanos;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::Purse;
use super::rollups::{Used, used};
use crate::{Store, StoreError, outbox};

/// What an account has, and owes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Balance {
    /// What was paid for and is not used.
    pub credits: Nanos,
    /// What was given and has not expired.
    pub promotions: Nanos,
    /// What is owed because a payment was taken back.
    pub owed: Nanos,
}

impl Balance {
    /// What can be spent.
    pub fn total(&self) -> Nanos {
        self.credits + self.promotions
    }
}

/// Credits that were given and expire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promotion {
    /// Its ledger account.
    pub id: Uuid,
    /// When it was given.
    pub given_at: OffsetDateTime,
    /// What is left of it.
    pub left: Nanos,
    /// When that goes.
    pub expires_at: OffsetDateTime,
}

/// Where an account's money stands as Redis is to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Whose.
    pub account: AccountId,
    /// All that is in its credits and promotions, expired ones that have not been taken back too.
    pub balance: Nanos,
    /// How often money has arrived.
    pub sequence: i64,
}

/// What an account has. One that never had anything has nothing.
pub async fn balance(connection: &mut PgConnection, account: AccountId) -> Result<Balance, StoreError> {
    let (credits, promotions, receivable): (i64, i64, i64) = sqlx::query_as(
        "select coalesce(sum(balance) filter (where kind = 'credits'), 0)::bigint,
                coalesce(sum(balance) filter (where kind = 'promotion' and expires_at > now()), 0)::bigint,
                coalesce(sum(balance) filter (where kind = 'receivable'), 0)::bigint
         from ledger_accounts where id = any($1) or (account_id = $2 and kind = 'promotion')",
    )
    .bind([Purse::Credits(account).id(), Purse::Receivable(account).id()])
    .bind(account.0)
    .fetch_one(connection)
    .await?;
    Ok(Balance { credits: Nanos(credits), promotions: Nanos(promotions), owed: -Nanos(receivable) })
}

/// The promotions that have something left and have not expired, in the order in which they are spent.
pub async fn promotions(
    connection: &mut PgConnection,
    account: AccountId,
) -> Result<Vec<Promotion>, StoreError> {
    let rows: Vec<(Uuid, OffsetDateTime, i64, OffsetDateTime)> = sqlx::query_as(
        "select id, opened_at, balance, expires_at from ledger_accounts
         where account_id = $1 and kind = 'promotion' and balance > 0 and expires_at > now()
         order by expires_at, id",
    )
    .bind(account.0)
    .fetch_all(connection)
    .await?;
    let promotion =
        |(id, given_at, left, expires_at)| Promotion { id, given_at, left: Nanos(left), expires_at };
    Ok(rows.into_iter().map(promotion).collect())
}

/// What Redis is to know of these accounts when it loads them, as of one moment.
pub async fn loads(store: &Store, accounts: &[AccountId]) -> Result<(Vec<Standing>, Vec<Used>), StoreError> {
    let mut tx = outbox::read_only(store).await?;
    Ok((standings(&mut tx, accounts).await?, used(&mut tx, accounts).await?))
}

/// What these accounts have and how often money has come to them.
pub async fn standings(
    connection: &mut PgConnection,
    accounts: &[AccountId],
) -> Result<Vec<Standing>, StoreError> {
    let ids: Vec<Uuid> = accounts.iter().map(|account| account.0).collect();
    let rows: Vec<(Uuid, i64, i64)> = sqlx::query_as(
        "select n.id,
                coalesce(sum(a.balance), 0)::bigint,
                coalesce(max(a.credit_sequence), 0)
         from unnest($1::uuid[]) n (id)
         left join ledger_accounts a on a.account_id = n.id and a.kind in ('credits', 'promotion')
         group by n.id",
    )
    .bind(ids)
    .fetch_all(connection)
    .await?;
    let standing = |(account, balance, sequence)| Standing {
        account: AccountId(account),
        balance: Nanos(balance),
        sequence,
    };
    Ok(rows.into_iter().map(standing).collect())
}
