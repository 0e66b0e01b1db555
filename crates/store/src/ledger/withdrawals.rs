//! Money that leaves outside of usage: refunds, payments taken back, debits, promotions that expire. Who
//! wants it asks for it; the desk sets it aside in Redis, so that no request spends it meanwhile, and
//! only then gives it away.

use std::collections::BTreeSet;

use model::AccountId;
use model::money::Nanos;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::books::Books;
use super::{CHANNEL, Cause, CauseKind, LedgerError, OperatorPurse, Purse};
use crate::{Store, StoreError};

/// How long the desk waits before it looks again at a promotion of which something was held.
const AGAIN_AFTER: time::Duration = time::Duration::seconds(30);

/// Where money that leaves goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// Back to whoever paid.
    Payment,
    /// To the operator.
    Adjustment,
    /// To the operator, who had charged too little.
    Revenue,
}

/// What happens to what is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Nothing is taken at all.
    Refuse,
    /// The customer owes it.
    Owe,
    /// Only what is there is taken.
    Leave,
}

/// How far a withdrawal has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The desk has not come to it.
    Requested,
    /// The ledger has it; Redis does not know yet.
    Decided,
    /// Done, whatever came of it.
    Finished,
}

/// Money that is to leave.
#[derive(Debug, Clone, PartialEq)]
pub struct Withdrawal {
    /// Its id, under which Redis sets it aside.
    pub id: Uuid,
    /// Whose money.
    pub account: AccountId,
    /// How much of it.
    pub amount: Nanos,
    /// How much the purse that it comes from has at most.
    pub available: Nanos,
    /// What happens to what is not there.
    pub missing: Missing,
    /// Why.
    pub cause: Cause,
    /// How far it has come.
    pub state: State,
    /// What came of it, once decided.
    pub outcome: Option<Withdrawn>,
    /// What the statement says of it.
    pub description: String,
    from: Uuid,
    to: OperatorPurse,
}

/// What came of a withdrawal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Withdrawn {
    /// What left the customer's credits or promotion; zero if it was refused.
    pub taken: Nanos,
    /// What the customer owes for it.
    pub owed: Nanos,
    /// The transaction; `None` where nothing moved.
    pub transaction: Option<Uuid>,
    /// In which era of the shard it was set aside.
    pub era: u64,
    /// What had been set aside.
    pub collected: Nanos,
    /// How much of that is free again.
    pub given_back: Nanos,
}

/// What the desk found in Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// What could be set aside.
    pub collected: Nanos,
    /// In which era.
    pub era: u64,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    account_id: Uuid,
    from_account: Uuid,
    to_kind: String,
    amount: i64,
    available: i64,
    missing: String,
    cause_kind: String,
    cause_id: String,
    description: String,
    state: String,
    taken: Option<i64>,
    owed: Option<i64>,
    transaction_id: Option<Uuid>,
    era: Option<i64>,
    collected: Option<i64>,
    given_back: Option<i64>,
}

/// Asks for money to leave an account's credits. The desk sees to it once the transaction is committed;
/// [`withdrawal`] says what came of it. The same cause again is the same withdrawal.
pub async fn request_withdrawal(
    tx: &mut PgConnection,
    account: AccountId,
    amount: Nanos,
    to: Destination,
    missing: Missing,
    cause: &Cause,
    description: &str,
) -> Result<Uuid, LedgerError> {
    if amount <= Nanos::ZERO || cause.id.is_empty() {
        return Err(LedgerError::NotPositive);
    }
    Books::open(tx, &BTreeSet::from([Purse::Credits(account)])).await?;
    let wanted = Wanted {
        account,
        from: Purse::Credits(account).id(),
        to: to.purse(),
        amount,
        missing,
        cause,
        description,
        not_before: None,
    };
    insert(tx, wanted).await?;
    let (id, of): (Uuid, Uuid) = sqlx::query_as(
        "select id, account_id from ledger_withdrawals where cause_kind = $1 and cause_id = $2",
    )
    .bind(cause.kind.as_str())
    .bind(&cause.id)
    .fetch_one(&mut *tx)
    .await?;
    if of != account.0 {
        return Err(LedgerError::AnotherAccounts);
    }
    sqlx::query("select pg_notify($1, '')").bind(CHANNEL).execute(tx).await?;
    Ok(id)
}

/// One withdrawal.
pub async fn withdrawal(store: &Store, id: Uuid) -> Result<Option<Withdrawal>, StoreError> {
    let row: Option<Row> =
        sqlx::query_as("select w.*, a.balance available from ledger_withdrawals w join ledger_accounts a on a.id = w.from_account where w.id = $1")
            .bind(id)
            .fetch_optional(&store.pool)
            .await?;
    row.map(Withdrawal::of).transpose()
}

/// The next withdrawals that are due or that Redis has not been told the end of.
pub async fn open_withdrawals(store: &Store, limit: i64) -> Result<Vec<Withdrawal>, StoreError> {
    let rows: Vec<Row> = sqlx::query_as(
        "select w.*, a.balance available from ledger_withdrawals w
         join ledger_accounts a on a.id = w.from_account
         where w.state <> 'finished' and w.not_before <= now() order by w.not_before, w.id limit $1",
    )
    .bind(limit)
    .fetch_all(&store.pool)
    .await?;
    rows.into_iter().map(Withdrawal::of).collect()
}

/// Gives away what was set aside, as far as it is there, and writes down what Redis is to be told.
pub async fn decide_withdrawal(
    tx: &mut PgConnection,
    withdrawal: &Withdrawal,
    decision: Decision,
) -> Result<Withdrawn, StoreError> {
    let Withdrawal { id, account, missing, .. } = *withdrawal;
    let Decision { collected, era } = decision;
    let (from, to) = (withdrawal.purse(), withdrawal.to.beside(account));
    let mut wanted = BTreeSet::from([Purse::Credits(account), from, to]);
    if missing == Missing::Owe {
        wanted.insert(Purse::Receivable(account));
    }
    let mut books = Books::open(tx, &wanted).await?;
    let there = collected.min(books.balance(from)).min(withdrawal.amount);
    let taken = if missing == Missing::Refuse && there < withdrawal.amount { Nanos::ZERO } else { there };
    let owed = if missing == Missing::Owe { withdrawal.amount - taken } else { Nanos::ZERO };
    let transaction = (taken + owed > Nanos::ZERO).then(|| {
        let transfers = [(from, to, taken), (Purse::Receivable(account), to, owed)];
        books.post(account, withdrawal.cause.clone(), &withdrawal.description, &transfers)
    });
    let rest = books.balance(from);
    books.write(tx).await?;
    let withdrawn = Withdrawn { taken, owed, transaction, era, collected, given_back: collected - taken };
    note(tx, id, withdrawn).await?;
    // What requests under way still hold of a promotion is taken once they have ended.
    if withdrawal.cause.kind == CauseKind::Expiry && rest > Nanos::ZERO {
        let attempt = withdrawal.cause.id.rsplit('/').next().and_then(|number| number.parse().ok());
        let at = OffsetDateTime::now_utc() + AGAIN_AFTER;
        schedule_expiry(tx, account, from.id(), rest, at, attempt.unwrap_or(1_u32) + 1).await?;
    }
    Ok(withdrawn)
}

/// Redis knows what became of this one. Only for whoever keeps other desks out.
pub async fn finish_withdrawal(tx: &mut PgConnection, id: Uuid) -> Result<(), StoreError> {
    sqlx::query("update ledger_withdrawals set state = 'finished' where id = $1 and state = 'decided'")
        .bind(id)
        .execute(tx)
        .await?;
    Ok(())
}

/// Asks for what is left of a promotion by then.
pub(super) async fn schedule_expiry(
    tx: &mut PgConnection,
    account: AccountId,
    promotion: Uuid,
    amount: Nanos,
    at: OffsetDateTime,
    attempt: u32,
) -> Result<(), StoreError> {
    let cause = Cause::new(CauseKind::Expiry, format!("{}/{attempt}", promotion.simple()));
    let wanted = Wanted {
        account,
        from: promotion,
        to: OperatorPurse::Adjustments,
        amount,
        missing: Missing::Leave,
        cause: &cause,
        description: "Promotional credits expired",
        not_before: Some(at),
    };
    insert(tx, wanted).await
}

struct Wanted<'a> {
    account: AccountId,
    from: Uuid,
    to: OperatorPurse,
    amount: Nanos,
    missing: Missing,
    cause: &'a Cause,
    description: &'a str,
    not_before: Option<OffsetDateTime>,
}

async fn insert(tx: &mut PgConnection, wanted: Wanted<'_>) -> Result<(), StoreError> {
    let Wanted { account, from, to, amount, missing, cause, description, not_before } = wanted;
    sqlx::query(
        "insert into ledger_withdrawals (id, account_id, from_account, to_kind, amount, missing,
             cause_kind, cause_id, description, not_before)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, coalesce($10, now()))
         on conflict on constraint ledger_withdrawals_cause_key do nothing",
    )
    .bind(Uuid::now_v7())
    .bind(account.0)
    .bind(from)
    .bind(to.kind())
    .bind(amount.0)
    .bind(missing.as_str())
    .bind(cause.kind.as_str())
    .bind(&cause.id)
    .bind(description)
    .bind(not_before)
    .execute(tx)
    .await?;
    Ok(())
}

async fn note(tx: &mut PgConnection, id: Uuid, withdrawn: Withdrawn) -> Result<(), StoreError> {
    let Withdrawn { taken, owed, transaction, era, collected, given_back } = withdrawn;
    sqlx::query(
        "update ledger_withdrawals set state = 'decided', taken = $2, owed = $3, transaction_id = $4,
             era = $5, collected = $6, given_back = $7, decided_at = now()
         where id = $1 and state = 'requested'",
    )
    .bind(id)
    .bind(taken.0)
    .bind(owed.0)
    .bind(transaction)
    .bind(i64::try_from(era).unwrap_or(i64::MAX))
    .bind(collected.0)
    .bind(given_back.0)
    .execute(tx)
    .await?;
    Ok(())
}

impl Withdrawal {
    /// How much is to be set aside for it in Redis.
    pub fn wanted(&self) -> Nanos {
        self.amount.min(self.available)
    }

    fn purse(&self) -> Purse {
        if self.from == self.account.0 {
            Purse::Credits(self.account)
        } else {
            Purse::Promotion(self.account, self.from)
        }
    }

    fn of(row: Row) -> Result<Self, StoreError> {
        let number = |number: Option<i64>| Nanos(number.unwrap_or_default());
        let outcome = row.taken.map(|taken| Withdrawn {
            taken: Nanos(taken),
            owed: number(row.owed),
            transaction: row.transaction_id,
            era: row.era.and_then(|era| u64::try_from(era).ok()).unwrap_or_default(),
            collected: number(row.collected),
            given_back: number(row.given_back),
        });
        let kind = CauseKind::from_word(&row.cause_kind).ok_or(StoreError::Unreadable("cause"))?;
        Ok(Self {
            id: row.id,
            account: AccountId(row.account_id),
            amount: Nanos(row.amount),
            available: Nanos(row.available),
            missing: Missing::from_word(&row.missing)?,
            cause: Cause::new(kind, row.cause_id),
            state: State::from_word(&row.state)?,
            outcome,
            from: row.from_account,
            to: OperatorPurse::from_kind(&row.to_kind).ok_or(StoreError::Unreadable("kind of account"))?,
            description: row.description,
        })
    }
}

impl Destination {
    fn purse(self) -> OperatorPurse {
        match self {
            Self::Payment => OperatorPurse::PaymentsClearing,
            Self::Adjustment => OperatorPurse::Adjustments,
            Self::Revenue => OperatorPurse::Revenue,
        }
    }
}

impl Missing {
    fn as_str(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Owe => "owe",
            Self::Leave => "leave",
        }
    }

    fn from_word(word: &str) -> Result<Self, StoreError> {
        match word {
            "refuse" => Ok(Self::Refuse),
            "owe" => Ok(Self::Owe),
            "leave" => Ok(Self::Leave),
            _ => Err(StoreError::Unreadable("withdrawal")),
        }
    }
}

impl State {
    fn from_word(word: &str) -> Result<Self, StoreError> {
        match word {
            "requested" => Ok(Self::Requested),
            "decided" => Ok(Self::Decided),
            "finished" => Ok(Self::Finished),
            _ => Err(StoreError::Unreadable("withdrawal")),
        }
    }
}
