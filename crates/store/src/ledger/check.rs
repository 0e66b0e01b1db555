//! The check: everything that is written down twice is computed again from the transfers and records,
//! and compared. What Redis says is compared by the desk's side.

use sqlx::{PgConnection, Row as _};

use crate::{Store, StoreError, outbox};

/// So many findings of one rule are shown.
const SHOWN: i64 = 100;

/// What was looked at, and what was not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Check {
    /// Ledger accounts whose balance was computed again.
    pub accounts: i64,
    /// Transactions.
    pub transactions: i64,
    /// Records whose charge was found in its transaction.
    pub records: i64,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// A stable word for the rule that is broken.
    pub rule: &'static str,
    /// What breaks it: an account, a transaction, a record.
    pub subject: String,
    /// What is there and what should be.
    pub detail: String,
}

/// A rule as a query for what breaks it: subject and detail, both texts. `$1` bounds the answer.
struct Rule {
    word: &'static str,
    sql: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        word: "balance_is_not_the_sum_of_transfers",
        sql: "with moved as (
                  select account, sum(amount) amount from (
                      select to_account account, amount from ledger_transfers
                      union all select from_account, -amount from ledger_transfers) m
                  group by account)
              select a.kind || ' ' || a.id,
                     'the balance is ' || a.balance || ', its transfers come to ' || coalesce(m.amount, 0)
              from ledger_accounts a left join moved m on m.account = a.id
              where a.balance <> coalesce(m.amount, 0) limit $1",
    },
    Rule {
        word: "trial_balance_is_not_zero",
        sql: "select 'all ledger accounts', 'their balances come to ' || sum(balance)
              from ledger_accounts having coalesce(sum(balance), 0) <> 0 limit $1",
    },
    Rule {
        word: "customer_is_below_zero",
        sql: "select a.kind || ' ' || a.id, 'the balance is ' || a.balance from ledger_accounts a
              where a.kind in ('credits', 'promotion') and a.balance < 0 limit $1",
    },
    Rule {
        word: "amount_is_not_the_sum_of_transfers",
        sql: "select 'transaction ' || x.id,
                     'the amount is ' || x.amount || ', its transfers come to ' || coalesce(sum(
                         case when t.kind in ('credits', 'promotion') then l.amount else 0 end
                         - case when f.kind in ('credits', 'promotion') then l.amount else 0 end), 0)
              from ledger_transactions x
              left join ledger_transfers l on l.transaction_id = x.id
              left join ledger_accounts f on f.id = l.from_account
              left join ledger_accounts t on t.id = l.to_account
              group by x.id
              having count(l.line) = 0 or x.amount <> coalesce(sum(
                         case when t.kind in ('credits', 'promotion') then l.amount else 0 end
                         - case when f.kind in ('credits', 'promotion') then l.amount else 0 end), 0)
              limit $1",
    },
    Rule {
        word: "transfer_of_another_account_or_shard",
        sql: "select 'transaction ' || x.id, 'line ' || l.line || ' moves money of ' || a.kind || ' ' || a.id
              from ledger_transfers l
              join ledger_transactions x on x.id = l.transaction_id
              join ledger_accounts a on a.id in (l.from_account, l.to_account)
              where a.account_id <> x.account_id or a.shard <> get_byte(uuid_send(x.account_id), 15) limit $1",
    },
    Rule {
        word: "running_balance_is_broken",
        sql: "select 'transaction ' || id,
                     'number ' || sequence || ' comes after ' || coalesce(previous, 0) || ' and has the balance '
                     || balance || ' after ' || coalesce(former, 0) || ' and ' || amount
              from (select *, lag(sequence) over w previous, lag(balance) over w former
                    from ledger_transactions window w as (partition by account_id order by sequence)) x
              where sequence <> coalesce(previous, 0) + 1 or balance <> coalesce(former, 0) + amount limit $1",
    },
    Rule {
        word: "last_balance_is_not_what_is_there",
        sql: "with there as (
                  select account_id, sum(balance) balance, max(transaction_sequence) sequence,
                         max(credit_sequence) credits
                  from ledger_accounts where kind in ('credits', 'promotion') group by account_id),
              last as (
                  select distinct on (account_id) account_id, balance, sequence
                  from ledger_transactions order by account_id, sequence desc),
              arrived as (
                  select account_id, count(*) credits from ledger_transactions
                  where amount > 0 and cause_kind not in ('usage', 'correction') group by account_id)
              select 'account ' || t.account_id,
                     t.balance || ' at number ' || t.sequence || ' with ' || t.credits
                     || ' arrivals; the last transaction says ' || coalesce(l.balance, 0) || ' at number '
                     || coalesce(l.sequence, 0) || ', and ' || coalesce(a.credits, 0) || ' brought money'
              from there t left join last l using (account_id) left join arrived a using (account_id)
              where t.balance <> coalesce(l.balance, 0) or t.sequence <> coalesce(l.sequence, 0)
                 or t.credits <> coalesce(a.credits, 0) limit $1",
    },
    Rule {
        word: "record_pays_what_is_not_due",
        sql: "select 'record ' || u.id, 'paid ' || u.paid || ' of ' || u.charge
              from (select id, paid, charge from usage_records
                    union all select id, paid, charge from usage_corrections) u
              where u.paid < 0 or u.charge < 0 or u.paid > u.charge limit $1",
    },
    Rule {
        word: "record_was_charged_without_a_transaction",
        sql: "select 'record ' || u.id, u.charge || ' were due, and the transaction is '
                     || coalesce(u.transaction_id::text, 'missing')
              from (select id, account_id, charge, transaction_id from usage_records
                    union all select id, account_id, charge, transaction_id from usage_corrections) u
              left join ledger_transactions x on x.id = u.transaction_id and x.account_id = u.account_id
              where x.id is null and (u.charge <> 0 or u.transaction_id is not null) limit $1",
    },
    Rule {
        word: "transaction_is_not_the_sum_of_its_records",
        sql: "with records as (
                  select transaction_id, sum(paid) paid, sum(charge - paid) shortfall
                  from usage_records where transaction_id is not null group by transaction_id)
              select 'transaction ' || x.id,
                     'its records paid ' || coalesce(r.paid, 0) || ' and lacked ' || coalesce(r.shortfall, 0)
                     || ', it took ' || -x.amount || ' and lacked ' || coalesce(s.amount, 0)
              from ledger_transactions x
              left join records r on r.transaction_id = x.id
              left join lateral (
                  select sum(l.amount) amount from ledger_transfers l
                  join ledger_accounts f on f.id = l.from_account
                  where l.transaction_id = x.id and f.kind = 'shortfall') s on true
              where x.cause_kind = 'usage' and (coalesce(r.paid, 0) <> -x.amount
                  or coalesce(r.shortfall, 0) <> coalesce(s.amount, 0)) limit $1",
    },
    Rule {
        word: "correction_is_not_the_difference",
        sql: "select 'record ' || c.id,
                     'from ' || r.paid || ' of ' || r.charge || ' to ' || c.paid || ' of ' || c.charge
                     || ', and the transaction took ' || coalesce(-x.amount, 0) || ' and lacked '
                     || coalesce(s.amount, 0)
              from usage_corrections c
              left join usage_records r on r.id = c.id
              left join ledger_transactions x
                  on x.cause_kind = 'correction' and x.cause_id = replace(c.id::text, '-', '')
              left join lateral (
                  select sum(case when f.kind = 'shortfall' then l.amount else -l.amount end) amount
                  from ledger_transfers l
                  join ledger_accounts f on f.id = l.from_account
                  join ledger_accounts t on t.id = l.to_account
                  where l.transaction_id = x.id and (f.kind = 'shortfall' or t.kind = 'shortfall')) s on true
              where r.id is null or r.outcome <> 'abandoned' or c.paid - r.paid <> coalesce(-x.amount, 0)
                 or (c.charge - c.paid) - (r.charge - r.paid) <> coalesce(s.amount, 0)
              limit $1",
    },
    Rule {
        word: "promotion_never_expires",
        sql: "select 'promotion ' || a.id, a.balance || ' are left of it, and nothing will take them back'
              from ledger_accounts a
              where a.kind = 'promotion' and a.balance > 0 and not exists (
                  select from ledger_withdrawals w where w.from_account = a.id and w.state = 'requested')
              limit $1",
    },
    Rule {
        word: "withdrawal_is_not_its_transaction",
        sql: "select 'withdrawal ' || w.id,
                     w.taken || ' were taken and ' || w.owed || ' are owed of ' || w.amount || '; the transaction took '
                     || coalesce(-x.amount, 0)
              from ledger_withdrawals w left join ledger_transactions x on x.id = w.transaction_id
              where w.state <> 'requested' and (w.taken <> coalesce(-x.amount, 0)
                  or w.taken + w.owed > w.amount or w.collected - w.given_back <> w.taken
                  or x.id is null and w.transaction_id is not null
                  or (x.account_id, x.cause_kind, x.cause_id) <> (w.account_id, w.cause_kind, w.cause_id))
              limit $1",
    },
    Rule {
        word: "credit_is_not_its_transaction",
        sql: "select 'account ' || c.account_id,
                     'number ' || c.sequence || ' is to bring ' || c.amount || ', the transaction says '
                     || coalesce(x.amount, 0)
              from ledger_credits c
              left join ledger_transactions x on x.id = c.transaction_id and x.account_id = c.account_id
              where x.amount is distinct from c.amount limit $1",
    },
    Rule {
        word: "credit_is_not_passed_on",
        sql: "select 'account ' || account_id,
                     'number ' || sequence || ', which brought ' || amount || ', waits since ' || at
              from ledger_credits where at < now() - interval '1 minute' limit $1",
    },
    Rule {
        word: "deposits_are_not_balance_and_charges_and_debits",
        sql: "with moved as (
                  select account_id,
                         sum(amount) filter (where cause_kind not in ('usage', 'correction')) other,
                         sum(amount) amount
                  from ledger_transactions group by account_id),
              paid as (select account_id, sum(paid) paid from usage_known where paid <> 0 group by account_id),
              there as (
                  select account_id, sum(balance) balance from ledger_accounts
                  where kind in ('credits', 'promotion') group by account_id)
              select 'account ' || coalesce(m.account_id, p.account_id, t.account_id),
                     'deposits less other debits are ' || coalesce(m.other, 0) || ', charges '
                     || coalesce(p.paid, 0) || ', the balance ' || coalesce(t.balance, 0)
              from moved m full join paid p using (account_id) full join there t using (account_id)
              where coalesce(m.other, 0) <> coalesce(p.paid, 0) + coalesce(t.balance, 0) limit $1",
    },
];

/// Looks at everything as of one moment.
pub async fn check(store: &Store) -> Result<Check, StoreError> {
    let mut tx = outbox::read_only(store).await?;
    let mut check = Check {
        accounts: count(&mut tx, "select count(*) from ledger_accounts").await?,
        transactions: count(&mut tx, "select count(*) from ledger_transactions").await?,
        records: count(&mut tx, "select count(*) from usage_records where transaction_id is not null")
            .await?,
        findings: Vec::new(),
    };
    for Rule { word, sql } in RULES {
        for row in sqlx::query(*sql).bind(SHOWN).fetch_all(&mut *tx).await? {
            let (subject, detail) = (row.try_get(0)?, row.try_get(1)?);
            check.findings.push(Finding { rule: word, subject, detail });
        }
    }
    Ok(check)
}

async fn count(connection: &mut PgConnection, sql: &'static str) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar(sql).fetch_one(connection).await?)
}
