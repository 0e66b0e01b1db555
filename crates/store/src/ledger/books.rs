//! The books: ledger accounts under lock, what is to happen to them, and the one way in which it is
//! written.

use std::collections::{BTreeMap, BTreeSet};

use model::AccountId;
use model::money::Nanos;
use sqlx::{AssertSqlSafe, PgConnection};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{CHANNEL, Cause, Purse};
use crate::StoreError;

/// Ledger accounts that nobody else changes until the transaction ends.
#[derive(Debug, Default)]
pub(super) struct Books {
    accounts: BTreeMap<Purse, Entry>,
    transactions: Vec<Transaction>,
    transfers: Vec<(Uuid, i16, Purse, Purse, Nanos)>,
    credits: Vec<(AccountId, i64, Nanos, Uuid)>,
}

/// A ledger account as it will be, and what leads there from how it was.
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    balance: Nanos,
    credit_sequence: i64,
    transaction_sequence: i64,
    expires_at: Option<OffsetDateTime>,
    change: Nanos,
    credits: i64,
    transactions: i64,
}

#[derive(Debug)]
struct Transaction {
    id: Uuid,
    account: AccountId,
    sequence: i64,
    cause: Cause,
    description: String,
    amount: Nanos,
    balance: Nanos,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    account_id: Option<Uuid>,
    balance: i64,
    credit_sequence: i64,
    transaction_sequence: i64,
    expires_at: Option<OffsetDateTime>,
}

impl Books {
    /// Locks these ledger accounts, opening those that are not there, and beside every customer's credits
    /// the promotions that he has left. Everybody locks in the order of the ids, and promotions only under
    /// the lock of their credits, so that none wait for each other in a circle.
    pub(super) async fn open(tx: &mut PgConnection, purses: &BTreeSet<Purse>) -> Result<Self, StoreError> {
        let by_id: BTreeMap<Uuid, Purse> = purses.iter().map(|purse| (purse.id(), *purse)).collect();
        let ids: Vec<Uuid> = by_id.keys().copied().collect();
        let mut books = Self::default();
        loop {
            for row in locked(tx, "id = any($1)", &ids).await? {
                if let Some(purse) = by_id.get(&row.id) {
                    books.accounts.insert(*purse, Entry::of(&row));
                }
            }
            let missing: Vec<Purse> =
                purses.iter().filter(|purse| !books.accounts.contains_key(purse)).copied().collect();
            if missing.is_empty() {
                break;
            }
            insert(tx, &missing, None).await?;
        }
        let customers: Vec<Uuid> = purses
            .iter()
            .filter_map(|purse| if let Purse::Credits(account) = purse { Some(account.0) } else { None })
            .collect();
        // Looked for under the lock, by a statement of its own: one that has waited for the lock does not see
        // the promotion that was given meanwhile.
        let promotions = "account_id = any($1) and kind = 'promotion' and balance > 0";
        for row in locked(tx, promotions, &customers).await? {
            let Some(account) = row.account_id.map(AccountId) else { continue };
            books.accounts.insert(Purse::Promotion(account, row.id), Entry::of(&row));
        }
        Ok(books)
    }

    /// Opens the ledger account of a promotion. Its account's credits must be open in these books.
    pub(super) async fn open_promotion(
        &mut self,
        tx: &mut PgConnection,
        promotion: Purse,
        expires_at: OffsetDateTime,
    ) -> Result<(), StoreError> {
        insert(tx, &[promotion], Some(expires_at)).await?;
        self.accounts.insert(promotion, Entry { expires_at: Some(expires_at), ..Entry::default() });
        Ok(())
    }

    /// What a purse has.
    pub(super) fn balance(&self, purse: Purse) -> Nanos {
        self.accounts.get(&purse).map_or(Nanos::ZERO, |entry| entry.balance)
    }

    /// What a customer can spend: credits and all promotions that have not been taken back.
    pub(super) fn spendable(&self, account: AccountId) -> Nanos {
        self.purses(account).map(|purse| self.balance(purse)).sum()
    }

    /// Divides an amount over a customer's purses, promotions first, the soonest to expire before the
    /// others. It must be there.
    pub(super) fn divide(&self, account: AccountId, amount: Nanos) -> Vec<(Purse, Nanos)> {
        let mut purses: Vec<Purse> = self.purses(account).collect();
        let expiry = |purse: &Purse| {
            let at = self.accounts.get(purse).and_then(|entry| entry.expires_at);
            (at.is_none(), at, *purse)
        };
        purses.sort_by_key(expiry);
        let mut left = amount;
        let mut parts = Vec::new();
        for purse in purses {
            let part = self.balance(purse).min(left);
            if part > Nanos::ZERO {
                parts.push((purse, part));
                left = left - part;
            }
        }
        parts
    }

    /// A transaction of a customer's, whose credits must be open in these books. Transfers of nothing
    /// are left out.
    pub(super) fn post(
        &mut self,
        account: AccountId,
        cause: Cause,
        description: &str,
        transfers: &[(Purse, Purse, Nanos)],
    ) -> Uuid {
        // What makes it once is its cause, so the id is nobody's to choose.
        let id = Uuid::now_v7();
        let before = self.spendable(account);
        let moved = transfers.iter().filter(|(.., amount)| *amount > Nanos::ZERO);
        for (line, (from, to, amount)) in (1..).zip(moved) {
            self.change(*from, -*amount);
            self.change(*to, *amount);
            self.transfers.push((id, line, *from, *to, *amount));
        }
        let balance = self.spendable(account);
        let credits = self.accounts.entry(Purse::Credits(account)).or_default();
        credits.transactions += 1;
        credits.transaction_sequence += 1;
        let sequence = credits.transaction_sequence;
        let (description, amount) = (description.to_owned(), balance - before);
        self.transactions.push(Transaction { id, account, sequence, cause, description, amount, balance });
        id
    }

    /// Notes for the desk that a transaction brought money.
    pub(super) fn arrived(&mut self, account: AccountId, amount: Nanos, transaction: Uuid) {
        let credits = self.accounts.entry(Purse::Credits(account)).or_default();
        credits.credits += 1;
        credits.credit_sequence += 1;
        self.credits.push((account, credits.credit_sequence, amount, transaction));
    }

    /// Writes all of it.
    pub(super) async fn write(self, tx: &mut PgConnection) -> Result<(), StoreError> {
        if self.transactions.is_empty() {
            return Ok(());
        }
        write_transactions(tx, self.transactions).await?;
        write_transfers(tx, self.transfers).await?;
        write_accounts(tx, &self.accounts).await?;
        if self.credits.is_empty() { Ok(()) } else { write_credits(tx, self.credits).await }
    }

    fn purses(&self, account: AccountId) -> impl Iterator<Item = Purse> {
        let nil = Uuid::nil();
        let promotions = Purse::Promotion(account, nil)..=Purse::Promotion(account, Uuid::max());
        let promotions = self.accounts.range(promotions).map(|(purse, _)| *purse);
        promotions.chain(std::iter::once(Purse::Credits(account)))
    }

    fn change(&mut self, purse: Purse, change: Nanos) {
        let entry = self.accounts.entry(purse).or_default();
        entry.balance += change;
        entry.change += change;
    }
}

impl Entry {
    fn of(row: &Row) -> Self {
        Self {
            balance: Nanos(row.balance),
            credit_sequence: row.credit_sequence,
            transaction_sequence: row.transaction_sequence,
            expires_at: row.expires_at,
            ..Self::default()
        }
    }
}

/// Ledger accounts that nobody else changes from now on.
async fn locked(tx: &mut PgConnection, which: &'static str, ids: &[Uuid]) -> Result<Vec<Row>, StoreError> {
    let sql = format!(
        "select id, account_id, balance, credit_sequence, transaction_sequence, expires_at
         from ledger_accounts where {which} order by id for no key update"
    );
    Ok(sqlx::query_as(AssertSqlSafe(sql)).bind(ids).fetch_all(tx).await?)
}

async fn insert(
    tx: &mut PgConnection,
    purses: &[Purse],
    expires_at: Option<OffsetDateTime>,
) -> Result<(), StoreError> {
    let (mut ids, mut kinds, mut accounts, mut shards) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for purse in purses {
        ids.push(purse.id());
        kinds.push(purse.kind());
        accounts.push(purse.account().map(|account| account.0));
        shards.push(i16::from(purse.shard().0));
    }
    sqlx::query(
        "insert into ledger_accounts (id, kind, account_id, shard, expires_at)
         select n.*, $5 from unnest($1::uuid[], $2::text[], $3::uuid[], $4::smallint[]) n
         order by 1 on conflict do nothing",
    )
    .bind(ids)
    .bind(kinds)
    .bind(accounts)
    .bind(shards)
    .bind(expires_at)
    .execute(tx)
    .await?;
    Ok(())
}

async fn write_transactions(tx: &mut PgConnection, transactions: Vec<Transaction>) -> Result<(), StoreError> {
    let (mut ids, mut accounts, mut sequences) = (Vec::new(), Vec::new(), Vec::new());
    let (mut kinds, mut causes, mut descriptions) = (Vec::new(), Vec::new(), Vec::new());
    let (mut amounts, mut balances) = (Vec::new(), Vec::new());
    for Transaction { id, account, sequence, cause, description, amount, balance } in transactions {
        ids.push(id);
        accounts.push(account.0);
        sequences.push(sequence);
        kinds.push(cause.kind.as_str());
        causes.push(cause.id);
        descriptions.push(description);
        amounts.push(amount.0);
        balances.push(balance.0);
    }
    sqlx::query(
        "insert into ledger_transactions
             (id, account_id, sequence, cause_kind, cause_id, description, amount, balance)
         select * from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[],
             $7::bigint[], $8::bigint[])",
    )
    .bind(ids)
    .bind(accounts)
    .bind(sequences)
    .bind(kinds)
    .bind(causes)
    .bind(descriptions)
    .bind(amounts)
    .bind(balances)
    .execute(tx)
    .await?;
    Ok(())
}

async fn write_transfers(
    tx: &mut PgConnection,
    transfers: Vec<(Uuid, i16, Purse, Purse, Nanos)>,
) -> Result<(), StoreError> {
    let (mut ids, mut lines, mut froms, mut tos, mut amounts) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (id, line, from, to, amount) in transfers {
        ids.push(id);
        lines.push(line);
        froms.push(from.id());
        tos.push(to.id());
        amounts.push(amount.0);
    }
    sqlx::query(
        "insert into ledger_transfers (transaction_id, line, from_account, to_account, amount)
         select * from unnest($1::uuid[], $2::smallint[], $3::uuid[], $4::uuid[], $5::bigint[])",
    )
    .bind(ids)
    .bind(lines)
    .bind(froms)
    .bind(tos)
    .bind(amounts)
    .execute(tx)
    .await?;
    Ok(())
}

async fn write_accounts(tx: &mut PgConnection, accounts: &BTreeMap<Purse, Entry>) -> Result<(), StoreError> {
    let (mut ids, mut changes, mut credits, mut transactions) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (purse, entry) in accounts {
        if entry.change != Nanos::ZERO || entry.transactions > 0 {
            ids.push(purse.id());
            changes.push(entry.change.0);
            credits.push(entry.credits);
            transactions.push(entry.transactions);
        }
    }
    let expected = ids.len() as u64;
    let changed = sqlx::query(
        "update ledger_accounts a set
             balance = a.balance + n.change,
             credit_sequence = a.credit_sequence + n.credits,
             transaction_sequence = a.transaction_sequence + n.transactions
         from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[]) n (id, change, credits, transactions)
         where a.id = n.id",
    )
    .bind(ids)
    .bind(changes)
    .bind(credits)
    .bind(transactions)
    .execute(tx)
    .await?;
    // A transfer's foreign keys have been checked by now, so this cannot be; but it must not be either.
    if changed.rows_affected() == expected { Ok(()) } else { Err(StoreError::Unreadable("ledger account")) }
}

async fn write_credits(
    tx: &mut PgConnection,
    credits: Vec<(AccountId, i64, Nanos, Uuid)>,
) -> Result<(), StoreError> {
    for (account, sequence, amount, transaction) in credits {
        sqlx::query(
            "insert into ledger_credits (account_id, sequence, amount, transaction_id) values ($1, $2, $3, $4)",
        )
        .bind(account.0)
        .bind(sequence)
        .bind(amount.0)
        .bind(transaction)
        .execute(&mut *tx)
        .await?;
    }
    sqlx::query("select pg_notify($1, '')").bind(CHANNEL).execute(tx).await?;
    Ok(())
}
