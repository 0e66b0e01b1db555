//! New eras. A Redis that restarted, was promoted or was wiped has forgotten the scripts or the
//! position of an era, and nothing can be added to that era any more. What its stream still shows is
//! posted, and the next era begins: first living proxies say what they hold and send again what they have
//! not seen posted; only when that is posted too are accounts loaded and new holds taken.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use meter::Position;
use meter::desk::{DeskError, Place, Standing};
use model::Shard;
use model::usage::UsageRecord;
use store::shards;
use tracing::{info, warn};
use uuid::Uuid;

use super::posting::row;
use super::{Ledger, LedgerError, metrics};

/// If Postgres was restored to an older state, Redis has seen eras that Postgres has not. At most so
/// many of them are read again. And if desks die again and again before an era is open, what was held in
/// the last open one is found as many eras later.
const REMEMBERED: u64 = 16;

/// An era that has begun and is not open yet.
#[derive(Debug)]
pub(super) struct Opening {
    /// The era before. Redis may still show something of it, and of eras before it that never opened.
    pub(super) former: u64,
    began: Instant,
    /// Starts of proxies that held something and have not declared.
    missing: HashSet<Uuid>,
    /// Nobody is waited for any longer: what is free can be known, and accounts loaded.
    is_known: bool,
}

impl Ledger {
    /// Begins a new era in each of these shards. The old one is ended in Redis first, so that its stream
    /// has an end to be read to; Postgres moves on once that is posted; the new number is published last.
    /// Dying between any two steps only means another new era.
    pub(super) async fn begin_eras(&mut self, lost: &[Shard]) -> Result<(), LedgerError> {
        if lost.is_empty() {
            return Ok(());
        }
        let began = Instant::now();
        let published = self.redis.eras(lost).await?;
        self.end_eras(lost, &published).await?;
        self.points.reached("desk_ended_eras")?;
        self.drain(lost, &published).await?;
        self.drain_forgotten(lost, &published).await?;
        self.points.reached("desk_drained_eras")?;
        let former: BTreeMap<Shard, u64> =
            self.places_of(lost).map(|place| (place.shard, place.era)).collect();
        let missing = self.holders(&former).await?;
        self.raise(lost, &published).await?;
        self.points.reached("desk_raised_eras")?;
        self.loaded.retain(|account| !lost.contains(&account.shard()));
        let eras: Vec<_> = self.places_of(lost).map(|place| (place.shard, place.era)).collect();
        // Where there never was an era, nobody has anything to declare.
        let (first, next): (Vec<_>, Vec<_>) = eras.into_iter().partition(|(_, era)| *era == 1);
        if !first.is_empty() {
            self.redis.open(&first).await?;
        }
        if !next.is_empty() {
            self.redis.begin(&next).await?;
        }
        self.points.reached("desk_began_eras")?;
        for (shard, missing) in missing {
            self.openings.remove(&shard);
            if next.iter().any(|(began, _)| *began == shard) {
                let former = former.get(&shard).copied().unwrap_or_default();
                self.openings
                    .insert(shard, Opening { former, began: Instant::now(), missing, is_known: false });
            }
        }
        first.iter().for_each(|(shard, _)| self.opened(*shard));
        metrics::eras_opened(lost.len());
        info!(
            shards = lost.len(),
            milliseconds = began.elapsed().as_millis() as u64,
            "Redis had lost {} shards; their new eras have begun",
            lost.len()
        );
        Ok(())
    }

    /// Opens the eras in which all have declared whom there is to wait for.
    pub(super) async fn open_eras(&mut self) -> Result<(), LedgerError> {
        let begun: Vec<Shard> = self.openings.keys().copied().collect();
        let eras: Vec<_> = self.places_of(&begun).map(|place| (place.shard, place.era)).collect();
        if eras.is_empty() {
            return Ok(());
        }
        let declared = self.redis.declared(&eras).await?;
        let mut ready = Vec::new();
        for ((shard, _), declared) in eras.iter().zip(declared) {
            if let Some(opening) = self.openings.get_mut(shard) {
                opening.missing.retain(|incarnation| !declared.contains(incarnation));
                if opening.is_over(&self.times) {
                    ready.push(*shard);
                }
            }
        }
        if ready.is_empty() {
            return Ok(());
        }
        // Before any account is loaded: it is not known in Redis what these took.
        self.post_left(&ready).await?;
        for shard in &ready {
            self.openings.entry(*shard).and_modify(|opening| opening.is_known = true);
        }
        self.post_declared(&ready).await?;
        let eras: Vec<_> = self.places_of(&ready).map(|place| (place.shard, place.era)).collect();
        self.redis.admit(&eras).await?;
        self.points.reached("desk_opened_eras")?;
        let former: Vec<_> =
            ready.iter().filter_map(|shard| Some((*shard, self.openings.remove(shard)?.former))).collect();
        ready.iter().for_each(|shard| self.opened(*shard));
        info!(shards = ready.len(), "{} new eras are open", ready.len());
        Ok(self.redis.forget(&former).await?)
    }

    /// Removes what is left of eras before those that are open, if anything is: the desk that opened them may
    /// have died over it.
    pub(super) async fn forget_former(&mut self, lost: &[Shard]) -> Result<(), LedgerError> {
        let open = self.places.iter().filter(|place| !lost.contains(&place.shard));
        let former =
            open.flat_map(|place| eras_to(place.era.saturating_sub(1)).map(|era| (place.shard, era)));
        let former: Vec<_> = former.collect();
        let shown = self.redis.beats(&former).await?;
        let left = former.into_iter().zip(shown).filter(|(_, beats)| !beats.is_empty());
        let left: Vec<_> = left.map(|(era, _)| era).collect();
        if !left.is_empty() {
            self.redis.forget(&left).await?;
        }
        Ok(())
    }

    /// Posts what proxies have sent again, which they do before they declare: until it is in Postgres, an
    /// account seems to have more than it has.
    async fn post_declared(&mut self, ready: &[Shard]) -> Result<(), LedgerError> {
        let eras: Vec<_> = self.places_of(ready).map(|place| (place.shard, place.era)).collect();
        let ends = self.redis.ends(&eras).await?;
        loop {
            let behind = eras.iter().zip(&ends).filter_map(|((shard, _), end)| {
                self.place(*shard).filter(|place| place.position < *end).copied()
            });
            let behind: Vec<Place> = behind.collect();
            if behind.is_empty() {
                return Ok(());
            }
            let entries = self.redis.read(&behind, Duration::ZERO).await?;
            if entries.is_empty() {
                return Err(DeskError::EraIsOver.into());
            }
            self.post(entries).await?;
        }
    }

    /// Posts what Redis still shows of those who did not declare, and who are dead for all that is known.
    async fn post_left(&mut self, ready: &[Shard]) -> Result<(), LedgerError> {
        for shard in ready {
            let Some(Opening { former, missing, .. }) = self.openings.get(shard) else { continue };
            let (former, missing) = (*former, missing.clone());
            for incarnation in missing {
                let records = self.left_behind(*shard, former, incarnation).await?;
                if !records.is_empty() {
                    warn!(
                        shard = %shard,
                        requests = records.len(),
                        "A proxy did not declare what it held; {} requests are posted as abandoned",
                        records.len()
                    );
                    self.write_left(*shard, incarnation, records).await?;
                }
            }
        }
        Ok(())
    }

    /// What an incarnation held when it was last heard of. That may have been in an era before the former
    /// one: a desk that dies before an era is open is followed by another era.
    async fn left_behind(
        &mut self,
        shard: Shard,
        former: u64,
        incarnation: Uuid,
    ) -> Result<Vec<UsageRecord>, LedgerError> {
        let (mut left, mut seen) = (Vec::new(), HashSet::new());
        for era in eras_to(former) {
            let mut records = self.redis.left_behind(shard, era, incarnation).await?;
            // It may have died over its declaration, so that some of it stands in two eras.
            records.retain(|record| seen.insert(record.id));
            left.append(&mut records);
            let declared = self.redis.declared(&[(shard, era)]).await?;
            if declared.iter().any(|declared| declared.contains(&incarnation)) {
                break;
            }
        }
        Ok(left)
    }

    /// Who held something in these eras or in those before them that never opened: by what was written
    /// down, and by what Redis still shows.
    async fn holders(
        &mut self,
        former: &BTreeMap<Shard, u64>,
    ) -> Result<BTreeMap<Shard, HashSet<Uuid>>, LedgerError> {
        let eras: Vec<_> =
            former.iter().flat_map(|(shard, era)| eras_to(*era).map(|era| (*shard, era))).collect();
        let shown = self.redis.beats(&eras).await?;
        let known = former.keys().map(|shard| (*shard, self.incarnations.known(*shard)));
        let mut holders: BTreeMap<Shard, HashSet<Uuid>> = known.collect();
        for ((shard, _), beats) in eras.into_iter().zip(shown) {
            holders.entry(shard).or_default().extend(beats.into_keys());
        }
        Ok(holders)
    }

    fn opened(&mut self, shard: Shard) {
        self.incarnations.era_opened(shard);
    }

    async fn end_eras(&mut self, lost: &[Shard], published: &[Option<u64>]) -> Result<(), LedgerError> {
        let known = self.places_of(lost).map(|place| (place.shard, place.era));
        let seen = lost.iter().zip(published).filter_map(|(shard, era)| Some((*shard, (*era)?)));
        let eras: Vec<_> = known.chain(seen).collect();
        Ok(self.redis.end(&eras).await?)
    }

    /// Posts what the ended streams still show.
    async fn drain(&mut self, lost: &[Shard], published: &[Option<u64>]) -> Result<(), LedgerError> {
        let next: BTreeMap<Shard, u64> = lost
            .iter()
            .zip(published)
            .filter_map(|(shard, published)| Some((*shard, next(self.place(*shard)?.era, *published))))
            .collect();
        loop {
            let places: Vec<_> = self.places_of(lost).copied().collect();
            let entries = self.redis.read(&places, Duration::ZERO).await?;
            if entries.is_empty() {
                return Ok(());
            }
            self.write_ended(entries, &next).await?;
        }
    }

    /// Reads the eras that Redis has seen and Postgres, restored to an older state, has not.
    async fn drain_forgotten(
        &mut self,
        lost: &[Shard],
        published: &[Option<u64>],
    ) -> Result<(), LedgerError> {
        loop {
            let is_behind = |(shard, published): &(&Shard, &Option<u64>)| {
                self.place(**shard).is_some_and(|place| Some(place.era) < **published)
            };
            let behind: (Vec<Shard>, Vec<Option<u64>>) = lost.iter().zip(published).filter(is_behind).unzip();
            let (shards, published) = behind;
            if shards.is_empty() {
                return Ok(());
            }
            self.raise(&shards, &published).await?;
            let eras: Vec<_> = self.places_of(&shards).map(|place| (place.shard, place.era)).collect();
            self.redis.end(&eras).await?;
            self.drain(&shards, &published).await?;
        }
    }

    /// Moves these shards on to the beginning of another era, in Postgres and here.
    async fn raise(&mut self, lost: &[Shard], published: &[Option<u64>]) -> Result<(), LedgerError> {
        let raised: Vec<Place> = lost
            .iter()
            .zip(published)
            .filter_map(|(shard, published)| {
                let era = next(self.place(*shard)?.era, *published);
                Some(Place { shard: *shard, era, position: Position::default() })
            })
            .collect();
        let rows: Vec<_> = raised.iter().map(|place| row(place, None)).collect();
        shards::raise(&self.store, self.fence, &rows).await?;
        self.move_to(&raised);
        Ok(())
    }

    /// Which of these eras are lost: not open, and not about to be.
    pub(super) fn lost(&self, standing: &[Standing]) -> Vec<Shard> {
        let is_lost = |(place, standing): (&Place, &Standing)| match standing {
            Standing::Open => None,
            Standing::Opening if self.openings.contains_key(&place.shard) => None,
            Standing::Opening | Standing::Over => Some(place.shard),
        };
        self.places.iter().zip(standing).filter_map(is_lost).collect()
    }

    pub(super) fn place(&self, shard: Shard) -> Option<&Place> {
        self.places.iter().find(|place| place.shard == shard)
    }

    /// The place of a shard whose era is open.
    pub(super) fn open_place(&self, shard: Shard) -> Option<Place> {
        self.place(shard).filter(|_| !self.openings.contains_key(&shard)).copied()
    }

    /// The place of a shard whose accounts can be loaded.
    pub(super) fn known_place(&self, shard: Shard) -> Option<Place> {
        let is_known = self.openings.get(&shard).is_none_or(|opening| opening.is_known);
        self.place(shard).filter(|_| is_known).copied()
    }

    /// The places whose streams are read as they come. What comes in an era that is not open is read once
    /// all have declared.
    pub(super) fn open_places(&self) -> Vec<Place> {
        let open = self.places.iter().filter(|place| !self.openings.contains_key(&place.shard));
        open.copied().collect()
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

/// The era after this one: the next, or the oldest that Redis has seen and Postgres has not.
fn next(era: u64, published: Option<u64>) -> u64 {
    let seen = published.filter(|published| *published > era);
    seen.map_or(era + 1, |published| (era + 1).max(published.saturating_sub(REMEMBERED)))
}

/// This era and those before it of which something may be left, the latest first.
fn eras_to(era: u64) -> impl Iterator<Item = u64> {
    (era.saturating_sub(REMEMBERED).max(1)..=era).rev()
}

impl Opening {
    /// Whether nobody is waited for any longer. Who took his first hold just before the loss is not known,
    /// so there is a moment for everybody.
    fn is_over(&self, times: &super::Times) -> bool {
        let waited = self.began.elapsed();
        waited >= times.declaring && (self.missing.is_empty() || waited >= times.silence)
    }
}
