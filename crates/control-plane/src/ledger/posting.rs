//! Posting: what a batch of the stream comes to, in one transaction; and only then the word to Redis.

mod batch;
mod writing;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Instant;

use meter::desk::{Collect, Entry, Place, PostedAccount, PostedCounter, Posting, Standing};
use model::usage::UsageRecord;
use model::{AccountId, Nanos, Shard};
use store::StoreError;
use store::shards::{MoneyShard, Pending};
use store::usage::{self, Known};
use time::OffsetDateTime;
use tracing::error;
use uuid::Uuid;

use super::claims::Verdict;
use super::{Ledger, LedgerError, metrics};
use batch::Batch;
pub(super) use batch::{BATCH, batches};

/// Records for which something is taken in one call, so that Redis answers others soon.
const COLLECTED: usize = 64;

impl Ledger {
    /// Posts entries and tells Redis.
    pub(super) async fn post(&mut self, entries: Vec<Entry>) -> Result<(), LedgerError> {
        if entries.is_empty() {
            return Ok(());
        }
        self.points.reached("desk_read")?;
        for entries in batches(entries) {
            let mut batch = Batch::of(entries, &self.places);
            self.prepare(&mut batch).await?;
            self.collect(&mut batch).await?;
            let postings = self.write(&mut batch).await?;
            let standing = self.redis.post(&postings).await?;
            self.points.reached("desk_posted")?;
            if standing.contains(&Standing::Over) {
                return Err(meter::desk::DeskError::EraIsOver.into());
            }
        }
        Ok(())
    }

    /// Posts entries of an era that has ended: nobody waits to hear of it. What lacks something, or is
    /// known, is carried on to the next era, where it can be seen what is free.
    pub(super) async fn write_ended(
        &mut self,
        entries: Vec<Entry>,
        next: &BTreeMap<Shard, u64>,
    ) -> Result<(), LedgerError> {
        for entries in batches(entries) {
            let mut batch = Batch::of(entries, &self.places);
            self.prepare(&mut batch).await?;
            for (shard, records) in batch.take_incomplete() {
                let era = next.get(&shard).copied().unwrap_or_default();
                self.redis.carry(shard, era, &records).await?;
            }
            self.points.reached("desk_carried")?;
            self.write(&mut batch).await?;
        }
        Ok(())
    }

    /// Posts records that stand in no stream: those of requests that a dead proxy held for in an era
    /// that has ended. Nobody has loaded their accounts yet.
    pub(super) async fn write_left(
        &mut self,
        shard: Shard,
        incarnation: Uuid,
        records: Vec<UsageRecord>,
    ) -> Result<(), LedgerError> {
        let Some(place) = self.place(shard).copied() else { return Ok(()) };
        let name = format!("{}/left/{}", place.era, incarnation.simple());
        let mut batch = Batch::left(place, name, records);
        self.prepare(&mut batch).await?;
        self.write(&mut batch).await?;
        Ok(())
    }

    /// Makes room for a batch, and finds out what its records are.
    async fn prepare(&mut self, batch: &mut Batch) -> Result<(), LedgerError> {
        for day in batch.items.iter().filter_map(|(_, item)| usage::day(item.record.id)) {
            self.ensure_day(day).await?;
        }
        self.judge(batch).await
    }

    /// One transaction. It may be repeated: the ids are known by then, and nothing happens.
    async fn write(&mut self, batch: &mut Batch) -> Result<Vec<Posting>, LedgerError> {
        let began = Instant::now();
        let written = match self.try_write(batch, writing::Insertion::Together).await {
            // One record that Postgres cannot keep must not hold up all others.
            Err(LedgerError::Postgres(error)) if writing::is_about_values(&error) => {
                error!(error = %error, "Postgres refuses a batch of usage records; they are written one by one");
                self.try_write(batch, writing::Insertion::OneByOne).await?
            }
            written => written?,
        };
        self.points.reached("desk_committed")?;
        metrics::written(written.counts, began.elapsed());
        let records = batch.items.iter().map(|(_, item)| &item.record);
        self.last_used.note(&self.store, OffsetDateTime::now_utc(), records).await;
        let places: Vec<Place> = batch.places.values().copied().collect();
        self.move_to(&places);
        Ok(places.into_iter().map(|place| posting(place, written.pending.get(&place.shard))).collect())
    }

    /// What each record in which money moves is to the ledger. Nobody else writes records, so it stays so.
    async fn judge(&self, batch: &mut Batch) -> Result<(), LedgerError> {
        let ids: Vec<Uuid> = batch.of_money().map(|item| item.record.id).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let mut connection = self.store.pool.acquire().await.map_err(StoreError::from)?;
        let mut known: HashMap<Uuid, Known> = HashMap::new();
        for ids in batch::by_day(ids) {
            known.extend(usage::known(&mut connection, &ids).await?.into_iter().map(|one| (one.id, one)));
        }
        let mut seen = HashSet::new();
        for item in batch.of_money() {
            let is_first = seen.insert(item.record.id);
            let verdict = Verdict::of(&item.record, known.get(&item.record.id));
            item.verdict = Some(if is_first { verdict } else { Verdict::Duplicate });
        }
        Ok(())
    }

    /// Takes from what is free in Redis what records cost beyond what they have paid.
    async fn collect(&mut self, batch: &mut Batch) -> Result<(), LedgerError> {
        let mut asked: BTreeMap<Shard, Vec<Collect>> = BTreeMap::new();
        for item in batch.of_money() {
            let (id, account, missing) = (item.record.id, item.record.account, item.missing());
            if missing > Nanos::ZERO {
                asked.entry(account.shard()).or_default().push(Collect { id, account, missing });
            }
        }
        if !asked.is_empty() {
            // What has just arrived can be taken too.
            self.pass_on_credits().await?;
        }
        let mut collected: HashMap<Uuid, Nanos> = HashMap::new();
        for (shard, asked) in asked {
            let accounts: Vec<AccountId> = asked.iter().map(|one| one.account).collect();
            self.ensure_loaded(&accounts).await?;
            let Some(place) = self.place(shard).copied() else { continue };
            for asked in asked.chunks(COLLECTED) {
                let taken = self.redis.collect(place, asked).await?;
                collected.extend(asked.iter().map(|one| one.id).zip(taken));
            }
        }
        for item in batch.of_money().filter(|item| item.verdict != Some(Verdict::Duplicate)) {
            item.collected = collected.get(&item.record.id).copied().unwrap_or_default();
        }
        batch.collected = collected.into_keys().collect();
        if !batch.collected.is_empty() {
            self.points.reached("desk_collected")?;
        }
        Ok(())
    }
}

/// What Redis is told of a shard.
pub(super) fn posting(place: Place, pending: Option<&Pending>) -> Posting {
    let mut posting = Posting::of(place);
    if let Some(Pending { accounts, counters, collected }) = pending {
        posting.accounts = accounts
            .iter()
            .map(|told| PostedAccount { account: told.account, unposted: told.unposted, back: told.back })
            .collect();
        posting.counters = counters
            .iter()
            .map(|told| PostedCounter {
                account: told.account,
                counter: told.counter.clone(),
                window: told.window,
                there: told.there,
                back: told.back,
            })
            .collect();
        posting.collected.clone_from(collected);
    }
    posting
}

/// The row that says where a shard stands.
pub(super) fn row(place: &Place, pending: Option<Pending>) -> MoneyShard {
    let Place { shard, era, position } = *place;
    MoneyShard { shard, era, position: position.to_string(), pending, incarnations: Vec::new() }
}
