//! Usage in the ledger: one transaction for each account of a batch, and one for each record that
//! corrects another. No posting fails for lack of money: what is not there is the operator's expense.

use std::collections::{BTreeMap, BTreeSet};

use model::money::Nanos;
use model::{AccountId, Shard};
use sqlx::PgConnection;
use uuid::Uuid;

use super::books::Books;
use super::{Cause, CauseKind, OperatorPurse, Purse};
use crate::StoreError;

/// What one record asks of its account's money.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// The record.
    pub record: Uuid,
    /// Whose money.
    pub account: AccountId,
    /// What is due from credits.
    pub charge: Nanos,
    /// What the provider bills for it.
    pub cost: Nanos,
    /// At most so much more may be taken, because Redis set it aside for this record. `None` where Redis
    /// does not know the account: then all that there is may be taken.
    pub set_aside: Option<Nanos>,
    /// What was posted of it when it was thought abandoned.
    pub before: Option<Before>,
}

/// How a record was posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Before {
    /// What was due.
    pub charge: Nanos,
    /// What was paid of it.
    pub paid: Nanos,
    /// What the provider was thought to bill.
    pub cost: Nanos,
    /// The transaction.
    pub transaction: Option<Uuid>,
}

/// What became of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Charged {
    /// What the record has been paid in all.
    pub paid: Nanos,
    /// What was not there to be paid.
    pub shortfall: Nanos,
    /// The transaction that says so; `None` where nothing moved.
    pub transaction: Option<Uuid>,
}

/// Posts the claims of a batch, in their order. `batches` has the batch's name for each shard in it, which
/// no other batch of the shard ever has, so that none is posted twice.
pub async fn charge(
    tx: &mut PgConnection,
    batches: &BTreeMap<Shard, String>,
    claims: &[Claim],
) -> Result<Vec<Charged>, StoreError> {
    let origins = promotions_of(tx, claims).await?;
    let mut wanted = purses(claims);
    wanted.extend(origins.values());
    let mut books = Books::open(tx, &wanted).await?;
    let mut charged = vec![Charged::default(); claims.len()];
    let mut by_account: BTreeMap<AccountId, Vec<usize>> = BTreeMap::new();
    for (at, claim) in claims.iter().enumerate() {
        by_account.entry(claim.account).or_default().push(at);
    }
    for (account, places) in by_account {
        let (corrections, new): (Vec<usize>, Vec<usize>) =
            places.into_iter().partition(|at| claims[*at].before.is_some());
        let batch = batches.get(&account.shard()).ok_or(StoreError::Unreadable("batch"))?;
        let posted = post_new(&mut books, account, batch, new.iter().map(|at| &claims[*at]));
        new.into_iter().zip(posted).for_each(|(at, posted)| charged[at] = posted);
        for at in corrections {
            if let Some(before) = claims[at].before {
                let origin = before.transaction.and_then(|id| origins.get(&id)).copied();
                let purse = origin.unwrap_or(Purse::Credits(account));
                charged[at] = post_correction(&mut books, &claims[at], before, purse);
            }
        }
    }
    books.write(tx).await?;
    Ok(charged)
}

/// All records of an account that are new, in one transaction.
fn post_new<'a>(
    books: &mut Books,
    account: AccountId,
    batch: &str,
    claims: impl Iterator<Item = &'a Claim>,
) -> Vec<Charged> {
    let (mut left, mut cost) = (books.spendable(account), Nanos::ZERO);
    let mut charged: Vec<Charged> = claims
        .map(|claim| {
            let paid = claim.charge.min(claim.set_aside.unwrap_or(claim.charge)).min(left).max(Nanos::ZERO);
            left = left - paid;
            cost += claim.cost;
            Charged { paid, shortfall: claim.charge - paid, transaction: None }
        })
        .collect();
    let paid = charged.iter().map(|one| one.paid).sum();
    let shortfall: Nanos = charged.iter().map(|one| one.shortfall).sum();
    let mut transfers = taken(books, account, paid);
    transfers.extend(difference(OperatorPurse::Shortfall, OperatorPurse::Revenue, account, shortfall));
    transfers.extend(difference(OperatorPurse::Revenue, OperatorPurse::ProviderCost, account, cost));
    if !transfers.is_empty() {
        let cause = Cause::new(CauseKind::Usage, format!("{account}/{batch}"));
        let description = match charged.len() {
            1 => "1 request".to_owned(),
            several => format!("{several} requests"),
        };
        let transaction = books.post(account, cause, &description, &transfers);
        charged.iter_mut().for_each(|one| one.transaction = Some(transaction));
    }
    charged
}

/// One real record in place of one that had been given up. What was paid too much goes to `back`.
fn post_correction(books: &mut Books, claim: &Claim, before: Before, back: Purse) -> Charged {
    let account = claim.account;
    let due = claim.charge - before.paid;
    let most = books.spendable(account);
    let more = due.min(claim.set_aside.unwrap_or(due).max(Nanos::ZERO)).min(most).max(due.min(Nanos::ZERO));
    let paid = before.paid + more;
    let shortfall = claim.charge - paid;
    let mut transfers = taken(books, account, more);
    let (revenue, missing) = (OperatorPurse::Revenue, OperatorPurse::Shortfall);
    if more < Nanos::ZERO {
        transfers.push((revenue.beside(account), back, -more));
    }
    let shortfall_before = before.charge - before.paid;
    transfers.extend(difference(missing, revenue, account, shortfall - shortfall_before));
    transfers.extend(difference(revenue, OperatorPurse::ProviderCost, account, claim.cost - before.cost));
    let transaction = (!transfers.is_empty()).then(|| {
        let cause = Cause::new(CauseKind::Correction, claim.record.simple().to_string());
        books.post(account, cause, "1 request that had been given up", &transfers)
    });
    Charged { paid, shortfall, transaction: transaction.or(before.transaction) }
}

/// From what the customer has to revenue.
fn taken(books: &Books, account: AccountId, amount: Nanos) -> Vec<(Purse, Purse, Nanos)> {
    let revenue = OperatorPurse::Revenue.beside(account);
    books.divide(account, amount).into_iter().map(|(purse, part)| (purse, revenue, part)).collect()
}

/// What one of the operator's purses owes another; the other way round if it is below zero.
fn difference(
    from: OperatorPurse,
    to: OperatorPurse,
    account: AccountId,
    amount: Nanos,
) -> Option<(Purse, Purse, Nanos)> {
    let (from, to) = (from.beside(account), to.beside(account));
    match amount {
        Nanos(0) => None,
        Nanos(..0) => Some((to, from, -amount)),
        _ => Some((from, to, amount)),
    }
}

fn purses(claims: &[Claim]) -> BTreeSet<Purse> {
    let mut purses = BTreeSet::new();
    for Claim { account, .. } in claims {
        purses.insert(Purse::Credits(*account));
        for purse in [OperatorPurse::Revenue, OperatorPurse::Shortfall, OperatorPurse::ProviderCost] {
            purses.insert(purse.beside(*account));
        }
    }
    purses
}

/// Where what was paid too much goes back to, if not to credits: what promotions alone had paid must not
/// turn into credits that never expire.
async fn promotions_of(tx: &mut PgConnection, claims: &[Claim]) -> Result<BTreeMap<Uuid, Purse>, StoreError> {
    let lessened = claims.iter().filter_map(|claim| {
        claim.before.filter(|before| claim.charge < before.paid).and_then(|before| before.transaction)
    });
    let transactions: Vec<Uuid> = lessened.collect();
    if transactions.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows: Vec<(Uuid, Uuid, Uuid)> = sqlx::query_as(
        "select distinct on (l.transaction_id) l.transaction_id, a.account_id, a.id
         from ledger_transfers l join ledger_accounts a on a.id = l.from_account
         where l.transaction_id = any($1) and a.kind = 'promotion' and a.expires_at > now()
           and not exists (select from ledger_transfers p join ledger_accounts c on c.id = p.from_account
                           where p.transaction_id = l.transaction_id and c.kind = 'credits')
         order by l.transaction_id, a.expires_at desc, a.id",
    )
    .bind(transactions)
    .fetch_all(tx)
    .await?;
    let promotion = |(transaction, account, id)| (transaction, Purse::Promotion(AccountId(account), id));
    Ok(rows.into_iter().map(promotion).collect())
}
