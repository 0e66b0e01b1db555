//! New eras. A Redis that restarted, was promoted or was wiped has forgotten the scripts or the
//! position of an era, and nothing can be added to that era any more. What its stream still shows is
//! posted, and the next era opens; proxies send again what they have not seen posted.

use std::time::{Duration, Instant};

use meter::Position;
use meter::desk::{Place, Standing};
use model::Shard;
use store::shards::{self, MoneyShard};
use tracing::info;

use super::{Ledger, LedgerError, metrics};

/// If Postgres was restored to an older state, Redis has seen eras that Postgres has not. At most so
/// many of them are read again.
const REMEMBERED: u64 = 16;

impl Ledger {
    /// Opens a new era wherever the present one is lost. The old one is ended in Redis first, so that
    /// its stream has an end to be read to; Postgres moves on once that is posted; the new number is
    /// published last. Dying between any two steps only means another new era.
    pub(super) async fn open_lost_eras(&mut self) -> Result<(), LedgerError> {
        let began = Instant::now();
        let standing = self.redis.standing(&self.places).await?;
        let lost: Vec<Shard> = self
            .places
            .iter()
            .zip(standing)
            .filter_map(|(place, standing)| (standing == Standing::Over).then_some(place.shard))
            .collect();
        if lost.is_empty() {
            return Ok(());
        }
        let published = self.redis.eras(&lost).await?;
        self.end_eras(&lost, &published).await?;
        self.drain(&lost).await?;
        self.drain_forgotten(&lost, &published).await?;
        let next = |era: u64| era + 1;
        self.raise(&lost, |_, era| next(era)).await?;
        let opened: Vec<_> = self.places_of(&lost).map(|place| (place.shard, place.era)).collect();
        self.redis.open(&opened).await?;
        metrics::eras_opened(opened.len());
        info!(
            shards = lost.len(),
            milliseconds = began.elapsed().as_millis() as u64,
            "Redis had lost {} shards; their new eras are open",
            lost.len()
        );
        Ok(())
    }

    async fn end_eras(&mut self, lost: &[Shard], published: &[Option<u64>]) -> Result<(), LedgerError> {
        let known = self.places_of(lost).map(|place| (place.shard, place.era));
        let seen = lost.iter().zip(published).filter_map(|(shard, era)| Some((*shard, (*era)?)));
        let eras: Vec<_> = known.chain(seen).collect();
        Ok(self.redis.end(&eras).await?)
    }

    /// Posts what the ended streams still show.
    async fn drain(&mut self, lost: &[Shard]) -> Result<(), LedgerError> {
        loop {
            let places: Vec<_> = self.places_of(lost).copied().collect();
            let entries = self.redis.read(&places, Duration::ZERO).await?;
            if entries.is_empty() {
                return Ok(());
            }
            self.write_all(entries).await?;
        }
    }

    /// Reads the eras that Redis has seen and Postgres, restored to an older state, has not.
    async fn drain_forgotten(
        &mut self,
        lost: &[Shard],
        published: &[Option<u64>],
    ) -> Result<(), LedgerError> {
        loop {
            let behind: Vec<(Shard, u64)> = lost
                .iter()
                .zip(published)
                .filter_map(|(shard, published)| Some((*shard, (*published)?)))
                .filter(|(shard, published)| self.place(*shard).is_some_and(|place| place.era < *published))
                .collect();
            if behind.is_empty() {
                return Ok(());
            }
            let shards: Vec<_> = behind.iter().map(|(shard, _)| *shard).collect();
            let oldest = |shard, era: u64| {
                let published = behind.iter().find(|(behind, _)| *behind == shard).map_or(0, |(_, era)| *era);
                (era + 1).max(published.saturating_sub(REMEMBERED))
            };
            self.raise(&shards, oldest).await?;
            let eras: Vec<_> = self.places_of(&shards).map(|place| (place.shard, place.era)).collect();
            self.redis.end(&eras).await?;
            self.drain(&shards).await?;
        }
    }

    /// Moves these shards on to the beginning of another era, in Postgres and here.
    async fn raise(&mut self, lost: &[Shard], next: impl Fn(Shard, u64) -> u64) -> Result<(), LedgerError> {
        let raised: Vec<Place> = self
            .places_of(lost)
            .map(|place| Place {
                shard: place.shard,
                era: next(place.shard, place.era),
                position: Position::default(),
            })
            .collect();
        let rows: Vec<_> = raised.iter().map(row).collect();
        shards::raise(&self.store, self.fence, &rows).await?;
        self.move_to(&raised);
        Ok(())
    }

    fn place(&self, shard: Shard) -> Option<&Place> {
        self.places.iter().find(|place| place.shard == shard)
    }

    fn places_of(&self, shards: &[Shard]) -> impl Iterator<Item = &Place> {
        self.places.iter().filter(move |place| shards.contains(&place.shard))
    }

    /// Notes where these shards stand by now.
    pub(super) fn move_to(&mut self, places: &[Place]) {
        for new in places {
            if let Some(place) = self.places.iter_mut().find(|place| place.shard == new.shard) {
                *place = *new;
            }
        }
    }
}

/// The row that says where a shard stands.
pub(super) fn row(place: &Place) -> MoneyShard {
    let Place { shard, era, position } = *place;
    MoneyShard { shard, era, position: position.to_string() }
}
