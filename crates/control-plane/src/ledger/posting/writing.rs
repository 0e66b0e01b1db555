//! What a batch writes: charges in the ledger, records, counts, and where the stream has been read to.

use std::collections::{BTreeMap, HashMap, HashSet};

use meter::desk::wire_form;
use model::{AccountId, Nanos, Shard};
use sqlx::{Acquire as _, PgConnection};
use store::ledger::{self, Claim, Used};
use store::shards::{self, Pending, PendingAccount, PendingCounter};
use store::usage::{self, Known, Posted};
use store::{StoreError, usage::Inserted};
use tracing::{debug, error, warn};
use uuid::Uuid;

use super::super::claims::{Item, Verdict};
use super::super::metrics::Written;
use super::super::{Ledger, LedgerError};
use super::batch::{Batch, Unkept};
use super::row;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Insertion {
    Together,
    OneByOne,
}

/// What a transaction did, and what Redis is to be told of it.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) counts: Written,
    pub(super) pending: BTreeMap<Shard, Pending>,
}

impl Ledger {
    pub(super) async fn try_write(
        &self,
        batch: &mut Batch,
        insertion: Insertion,
    ) -> Result<Done, LedgerError> {
        let mut tx = self.store.pool.begin().await.map_err(StoreError::from)?;
        let (mut done, mut told) = (Done::default(), Told::default());
        let (names, unkept) = (&batch.names, &mut batch.unkept);
        // What cannot be charged is free again.
        unkept
            .iter()
            .filter_map(|unkept| unkept.taken)
            .for_each(|(account, taken)| told.moves(account, taken, taken));
        match insertion {
            Insertion::Together => {
                let mut items: Vec<&mut Item> = batch.items.iter_mut().map(|(_, item)| item).collect();
                self.write_items(&mut tx, names, &mut items, &mut done.counts).await?;
                items.iter().for_each(|item| told.hear(item, item.told()));
            }
            Insertion::OneByOne => {
                for (position, item) in &mut batch.items {
                    let mut savepoint = tx.begin().await.map_err(StoreError::from)?;
                    let names = alone(names, item);
                    let mut counts = done.counts;
                    match self.write_items(&mut savepoint, &names, &mut [&mut *item], &mut counts).await {
                        Ok(()) => {
                            savepoint.commit().await.map_err(StoreError::from)?;
                            done.counts = counts;
                            told.hear(item, item.told());
                        }
                        Err(LedgerError::Postgres(error)) if is_about_values(&error) => {
                            savepoint.rollback().await.map_err(StoreError::from)?;
                            let reason = format!("{:#}", anyhow::Error::from(error));
                            let (shard, body) = (item.record.account.shard(), wire_form(&item.record));
                            unkept.push(Unkept { shard, position: *position, body, reason, taken: None });
                            item.verdict = Some(Verdict::Duplicate);
                            told.hear(item, item.undone());
                        }
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        ledger::add_used(&mut tx, &told.used()).await?;
        done.counts.unreadable = unkept.len();
        for Unkept { shard, position, body, reason, taken: _ } in unkept.iter() {
            error!(shard = %shard, reason, "A usage record cannot be kept as such; see the table usage_unreadable");
            let era = batch.places.get(shard).map_or(0, |place| place.era);
            let position = position.to_string();
            usage::keep_unreadable(&mut tx, *shard, era, &position, body, reason).await?;
        }
        self.points.reached("desk_inserted")?;
        done.pending = told.pending(&batch.collected, &self.loaded, &batch.items);
        let rows: Vec<_> =
            batch.places.values().map(|place| row(place, done.pending.get(&place.shard).cloned())).collect();
        shards::advance(&mut tx, self.fence, &rows).await?;
        tx.commit().await.map_err(StoreError::from)?;
        debug!(records = done.counts.records, new = done.counts.inserted.new, "Posted usage");
        Ok(done)
    }

    /// Charges and writes these records.
    async fn write_items(
        &self,
        tx: &mut PgConnection,
        names: &BTreeMap<Shard, String>,
        items: &mut [&mut Item],
        counts: &mut Written,
    ) -> Result<(), LedgerError> {
        counts.records += items.len();
        let (mut of_money, mut others): (Vec<&mut Item>, Vec<&mut Item>) =
            items.iter_mut().map(|item| &mut **item).partition(|item| item.is_of_money());
        let transactions = self.charge(tx, names, &mut of_money, counts).await?;
        insert_of_money(tx, &of_money, &transactions, &mut counts.inserted).await?;
        insert_others(tx, &mut others, &mut counts.inserted).await
    }

    /// Posts what is due, and says by which transaction for each record.
    async fn charge(
        &self,
        tx: &mut PgConnection,
        names: &BTreeMap<Shard, String>,
        items: &mut [&mut Item],
        counts: &mut Written,
    ) -> Result<HashMap<Uuid, Uuid>, LedgerError> {
        let claims: Vec<Claim> = items.iter().filter_map(|item| item.claim()).collect();
        if claims.is_empty() {
            return Ok(HashMap::new());
        }
        let charged = ledger::charge(tx, names, &claims).await?;
        self.points.reached("desk_charged")?;
        let by_record: HashMap<Uuid, ledger::Charged> =
            claims.iter().map(|claim| claim.record).zip(charged).collect();
        let mut transactions = HashMap::new();
        for item in items {
            let Some(charged) = by_record.get(&item.record.id) else { continue };
            if matches!(item.verdict, Some(Verdict::Duplicate) | None) {
                continue;
            }
            item.record.paid = charged.paid;
            transactions.extend(charged.transaction.map(|transaction| (item.record.id, transaction)));
            if charged.shortfall > Nanos::ZERO {
                counts.shortfall += charged.shortfall;
                warn!(
                    account.id = %item.record.account,
                    usage.id = %item.record.id,
                    shortfall = %charged.shortfall,
                    "A request cost {} dollars more than its account had",
                    charged.shortfall
                );
            }
        }
        Ok(transactions)
    }
}

/// Writes records whose verdict stands. If one was not as it was judged, somebody else writes records too,
/// and this desk has been succeeded.
async fn insert_of_money(
    tx: &mut PgConnection,
    items: &[&mut Item],
    transactions: &HashMap<Uuid, Uuid>,
    inserted: &mut Inserted,
) -> Result<(), LedgerError> {
    let posted = |wanted: fn(&Verdict) -> bool| -> Vec<Posted<'_>> {
        let items = items.iter().filter(|item| item.verdict.as_ref().is_some_and(wanted));
        let posted = items.map(|item| {
            let transaction = transactions.get(&item.record.id).copied();
            Posted { record: &item.record, transaction }
        });
        posted.collect()
    };
    let new = posted(|verdict| *verdict == Verdict::New);
    let corrections = posted(|verdict| matches!(verdict, Verdict::Correction(_)));
    let written = usage::insert_new(tx, &new).await?.len();
    let corrected = usage::insert_corrections(tx, &corrections).await?.len();
    if (written, corrected) != (new.len(), corrections.len()) {
        return Err(LedgerError::Succeeded);
    }
    inserted.new += written as u64;
    inserted.corrected += corrected as u64;
    Ok(())
}

/// Writes records in which no money moves, and says of each what it was.
async fn insert_others(
    tx: &mut PgConnection,
    items: &mut [&mut Item],
    inserted: &mut Inserted,
) -> Result<(), LedgerError> {
    let posted: Vec<Posted<'_>> =
        items.iter().map(|item| Posted { record: &item.record, transaction: None }).collect();
    let mut new: HashSet<Uuid> = usage::insert_new(tx, &posted).await?.into_iter().collect();
    inserted.new += new.len() as u64;
    let mut corrections: HashMap<Uuid, Known> = HashMap::new();
    if new.len() < items.len() {
        let real = |posted: &Posted<'_>| posted.record.outcome != model::usage::Outcome::Abandoned;
        let real: Vec<Posted<'_>> = posted.into_iter().filter(real).collect();
        let corrected = usage::insert_corrections(tx, &real).await?;
        inserted.corrected += corrected.len() as u64;
        let known = usage::known(tx, &corrected).await?;
        corrections.extend(known.into_iter().map(|known| (known.id, known)));
    }
    for item in items {
        let id = item.record.id;
        item.verdict = Some(if new.remove(&id) {
            Verdict::New
        } else if item.record.outcome == model::usage::Outcome::Abandoned {
            Verdict::Duplicate
        } else {
            corrections.remove(&id).map_or(Verdict::Duplicate, Verdict::Correction)
        });
    }
    Ok(())
}

/// What Redis is to be told and the rollups are to have, added up.
#[derive(Debug, Default)]
struct Told {
    accounts: BTreeMap<AccountId, (Nanos, Nanos)>,
    counters: BTreeMap<(AccountId, String, i64), (i64, i64)>,
    used: BTreeMap<(AccountId, String, &'static str, i64), Used>,
}

impl Told {
    fn hear(&mut self, item: &Item, told: PendingAccount) {
        let PendingAccount { account, unposted, back } = told;
        self.moves(account, unposted, back);
        for (used, told) in item.counted() {
            let PendingCounter { account, counter, window, there, back } = told;
            let sums = self.counters.entry((account, counter, window)).or_default();
            sums.0 += there;
            sums.1 += back;
            if let Some(used) = used {
                let key = (account, used.counter.clone(), used.measure.as_str(), used.window);
                let sum = self.used.entry(key).or_insert_with(|| Used { amount: 0, ..used.clone() });
                sum.amount = sum.amount.saturating_add(used.amount);
            }
        }
    }

    fn moves(&mut self, account: AccountId, unposted: Nanos, back: Nanos) {
        if (unposted, back) != (Nanos::ZERO, Nanos::ZERO) {
            let sums = self.accounts.entry(account).or_default();
            sums.0 += unposted;
            sums.1 += back;
        }
    }

    fn used(&self) -> Vec<Used> {
        self.used.values().filter(|used| used.amount != 0).cloned().collect()
    }

    /// By shard. Of accounts that are loaded it does not matter what Postgres counts by now.
    fn pending(
        self,
        collected: &[Uuid],
        loaded: &HashSet<AccountId>,
        items: &[(meter::Position, Item)],
    ) -> BTreeMap<Shard, Pending> {
        let mut pending: BTreeMap<Shard, Pending> = BTreeMap::new();
        for (account, (unposted, back)) in self.accounts {
            let of = pending.entry(account.shard()).or_default();
            of.accounts.push(PendingAccount { account, unposted, back });
        }
        for ((account, counter, window), (there, back)) in self.counters {
            let there = if loaded.contains(&account) { 0 } else { there };
            if (there, back) != (0, 0) {
                let of = pending.entry(account.shard()).or_default();
                of.counters.push(PendingCounter { account, counter, window, there, back });
            }
        }
        if !collected.is_empty() {
            for (_, item) in items.iter().filter(|(_, item)| collected.contains(&item.record.id)) {
                pending.entry(item.record.account.shard()).or_default().collected.push(item.record.id);
            }
        }
        pending
    }
}

/// Each record of a batch that is written one by one is a batch of its own.
fn alone(names: &BTreeMap<Shard, String>, item: &Item) -> BTreeMap<Shard, String> {
    let shard = item.record.account.shard();
    let name = names.get(&shard).map(String::as_str).unwrap_or_default();
    BTreeMap::from([(shard, format!("{name}/{}", item.record.id.simple()))])
}

/// Data exceptions, violated constraints and exceeded limits come again however often one tries.
pub(super) fn is_about_values(error: &StoreError) -> bool {
    let StoreError::Query(sqlx::Error::Database(error)) = error else { return false };
    error.code().is_some_and(|code| ["22", "23", "54"].iter().any(|class| code.starts_with(class)))
}
