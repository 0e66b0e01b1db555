//! Posting: records and position in one transaction, and only then the word to the proxies.

use std::collections::BTreeMap;
use std::time::Instant;

use meter::desk::{Entry, Place, Standing, wire_form};
use model::usage::UsageRecord;
use process::failpoint;
use sqlx::Acquire as _;
use store::usage::Inserted;
use store::{StoreError, shards, usage};
use tracing::{debug, error};

use super::eras::row;
use super::metrics::Written;
use super::{Ledger, LedgerError, metrics};

/// Records in one transaction, give or take an entry.
pub(super) const BATCH: usize = 500;

impl Ledger {
    /// Posts entries and tells Redis. Says whether every era is still open; if not, what was not
    /// posted yet will be read again when the era is ended.
    pub(super) async fn post(&mut self, entries: Vec<Entry>) -> Result<bool, LedgerError> {
        if entries.is_empty() {
            return Ok(true);
        }
        failpoint("desk_read");
        for batch in batches(entries) {
            let places = self.write(batch).await?;
            let standing = self.redis.posted(&places).await?;
            failpoint("desk_posted");
            if standing.contains(&Standing::Over) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Posts entries of an era that is over: nobody waits to hear of it.
    pub(super) async fn write_all(&mut self, entries: Vec<Entry>) -> Result<(), LedgerError> {
        for batch in batches(entries) {
            self.write(batch).await?;
        }
        Ok(())
    }

    /// One transaction. It may be repeated: the ids are known by then, and nothing happens.
    async fn write(&mut self, batch: Vec<Entry>) -> Result<Vec<Place>, LedgerError> {
        for day in batch.iter().flat_map(|entry| &entry.records).filter_map(|record| usage::day(record.id)) {
            self.ensure_day(day).await?;
        }
        let places = self.furthest(&batch);
        let began = Instant::now();
        let written = match self.try_write(&batch, &places, Insertion::Together).await {
            // One record that Postgres cannot keep must not hold up all others.
            Err(LedgerError::Postgres(error)) if is_about_values(&error) => {
                error!(error = %error, "Postgres refuses a batch of usage records; they are written one by one");
                self.try_write(&batch, &places, Insertion::OneByOne).await?
            }
            written => written?,
        };
        failpoint("desk_committed");
        metrics::written(written, began.elapsed());
        self.move_to(&places);
        Ok(places)
    }

    async fn try_write(
        &self,
        batch: &[Entry],
        places: &[Place],
        insertion: Insertion,
    ) -> Result<Written, LedgerError> {
        let mut tx = self.store.pool.begin().await.map_err(StoreError::from)?;
        let (mut records, mut unkept) = (Vec::new(), Vec::new());
        let mut written = Written::default();
        for entry in batch {
            unkept
                .extend(entry.unreadable.iter().map(|body| (entry, body.clone(), "not readable".to_owned())));
            for record in &entry.records {
                match (usage::day(record.id), insertion) {
                    (None, _) => unkept.push((entry, wire_form(record), "the id is no UUIDv7".to_owned())),
                    (Some(_), Insertion::Together) => records.push(record.clone()),
                    (Some(_), Insertion::OneByOne) => match insert_alone(&mut tx, record).await? {
                        Ok(inserted) => written.add(1, inserted),
                        Err(reason) => unkept.push((entry, wire_form(record), reason)),
                    },
                }
            }
        }
        written.add(records.len(), usage::insert(&mut tx, &records).await?);
        written.unreadable = unkept.len();
        for (entry, body, reason) in &unkept {
            error!(shard = %entry.shard, reason, "A usage record cannot be kept as such; see the table usage_unreadable");
            let era = places.iter().find(|place| place.shard == entry.shard).map_or(0, |place| place.era);
            let position = entry.position.to_string();
            usage::keep_unreadable(&mut tx, entry.shard, era, &position, body, reason).await?;
        }
        failpoint("desk_inserted");
        let rows: Vec<_> = places.iter().map(row).collect();
        shards::advance(&mut tx, self.fence, &rows).await?;
        tx.commit().await.map_err(StoreError::from)?;
        debug!(records = written.records, new = written.inserted.new, "Posted usage");
        Ok(written)
    }

    /// The last entry of each shard in the batch.
    fn furthest(&self, batch: &[Entry]) -> Vec<Place> {
        let last: BTreeMap<_, _> = batch.iter().map(|entry| (entry.shard, entry.position)).collect();
        let places = self.places.iter();
        places.filter_map(|place| Some(Place { position: *last.get(&place.shard)?, ..*place })).collect()
    }
}

#[derive(Debug, Clone, Copy)]
enum Insertion {
    Together,
    OneByOne,
}

/// Inserts one record, or says why its values cannot be kept.
async fn insert_alone(
    tx: &mut sqlx::PgConnection,
    record: &UsageRecord,
) -> Result<Result<Inserted, String>, LedgerError> {
    let mut savepoint = tx.begin().await.map_err(StoreError::from)?;
    match usage::insert(&mut savepoint, std::slice::from_ref(record)).await {
        Ok(inserted) => {
            savepoint.commit().await.map_err(StoreError::from)?;
            Ok(Ok(inserted))
        }
        Err(error) if is_about_values(&error) => {
            savepoint.rollback().await.map_err(StoreError::from)?;
            Ok(Err(format!("{:#}", anyhow::Error::from(error))))
        }
        Err(error) => Err(error.into()),
    }
}

/// Data exceptions, violated constraints and exceeded limits come again however often one tries.
fn is_about_values(error: &StoreError) -> bool {
    let StoreError::Query(sqlx::Error::Database(error)) = error else { return false };
    error.code().is_some_and(|code| ["22", "23", "54"].iter().any(|class| code.starts_with(class)))
}

/// Entries in groups of about [`BATCH`] records; an entry is never divided.
fn batches(entries: Vec<Entry>) -> Vec<Vec<Entry>> {
    let (mut batches, mut records) = (vec![Vec::new()], 0);
    for entry in entries {
        let size = entry.records.len();
        if records > 0 && records + size > BATCH {
            batches.push(Vec::new());
            records = 0;
        }
        records += size;
        if let Some(batch) = batches.last_mut() {
            batch.push(entry);
        }
    }
    batches
}
