//! Which starts of proxies live, by the desk's own stopwatch, and the end of what dead ones hold.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use meter::desk::{Place, Standing};
use model::Shard;
use store::shards::{self, MoneyShard};
use tracing::warn;
use uuid::Uuid;

use super::{Ledger, LedgerError, metrics};

/// The beats of all starts of proxies that hold something.
#[derive(Debug, Default)]
pub(super) struct Incarnations {
    beats: HashMap<(Shard, Uuid), Beat>,
    /// As it is written in Postgres, for a desk that finds neither Redis nor this one.
    written: HashMap<Shard, BTreeSet<Uuid>>,
    opened: HashMap<Shard, Instant>,
}

/// The last beat that was seen, and when its number was new.
#[derive(Debug, Clone, Copy)]
struct Beat {
    number: u64,
    since: Instant,
}

impl Incarnations {
    pub(super) fn of(rows: &[MoneyShard]) -> Self {
        let written = rows.iter().map(|row| (row.shard, row.incarnations.iter().copied().collect()));
        Self { written: written.collect(), ..Self::default() }
    }

    /// Who held something when last seen.
    pub(super) fn known(&self, shard: Shard) -> HashSet<Uuid> {
        self.written.get(&shard).into_iter().flatten().copied().collect()
    }

    /// A new era has opened: nobody is dead before he had time to say that he lives.
    pub(super) fn era_opened(&mut self, shard: Shard) {
        self.opened.insert(shard, Instant::now());
        self.beats.retain(|(of, _), _| *of != shard);
    }

    /// Takes note of a shard's beats, and says who is dead, and at which beat.
    fn see(&mut self, shard: Shard, beats: &HashMap<Uuid, u64>, silence: Duration) -> Vec<(Uuid, u64)> {
        let now = Instant::now();
        let is_old = self.opened.get(&shard).is_none_or(|at| now - *at >= silence);
        self.beats.retain(|(of, incarnation), _| *of != shard || beats.contains_key(incarnation));
        let mut dead = Vec::new();
        for (incarnation, number) in beats {
            let beat = Beat { number: *number, since: now };
            let known = self.beats.entry((shard, *incarnation)).or_insert(beat);
            if known.number != *number {
                *known = beat;
            } else if is_old && now - known.since >= silence {
                dead.push((*incarnation, *number));
            }
        }
        dead
    }
}

impl Ledger {
    /// Looks at all eras and at who lives in them: begins new eras where they are lost, and ends what
    /// dead proxies hold. Says whether any era was lost.
    pub(super) async fn watch(&mut self) -> Result<bool, LedgerError> {
        let open = self.open_places();
        let eras: Vec<_> = open.iter().map(|place| (place.shard, place.era)).collect();
        let beats = if eras.is_empty() { Vec::new() } else { self.redis.beats(&eras).await? };
        // Asked afterwards: of an era that stands now, the beats were not those of a wiped server.
        let standing = self.redis.standing(&self.places).await?;
        let lost = self.lost(&standing);
        let stands: HashSet<Shard> = self
            .places
            .iter()
            .zip(&standing)
            .filter_map(|(place, standing)| (*standing == Standing::Open).then_some(place.shard))
            .collect();
        let (mut dead, mut changed) = (Vec::new(), Vec::new());
        for (place, beats) in open.iter().zip(beats).filter(|(place, _)| stands.contains(&place.shard)) {
            let silent = self.incarnations.see(place.shard, &beats, self.times.silence);
            dead.extend(silent.into_iter().map(|(incarnation, beat)| (*place, incarnation, beat)));
            let seen: BTreeSet<Uuid> = beats.into_keys().collect();
            if self.incarnations.written.get(&place.shard).is_none_or(|written| *written != seen) {
                changed.push((place.shard, seen));
            }
        }
        let rows: Vec<_> =
            changed.iter().map(|(shard, seen)| (*shard, seen.iter().copied().collect())).collect();
        shards::note_incarnations(&self.store, self.fence, &rows).await?;
        self.incarnations.written.extend(changed);
        self.begin_eras(&lost).await?;
        for (place, incarnation, beat) in dead {
            self.reap(place, incarnation, beat).await?;
        }
        Ok(!lost.is_empty())
    }

    /// Redis looks at the beat once more: this desk may have slept since it did.
    async fn reap(&mut self, place: Place, incarnation: Uuid, beat: u64) -> Result<(), LedgerError> {
        if self.redis.reap(place.shard, place.era, incarnation, beat).await? {
            warn!(
                shard = %place.shard,
                incarnation = %incarnation,
                "A proxy has been silent for {} seconds; what it held is charged as far as it is known",
                self.times.silence.as_secs()
            );
            metrics::reaped();
        }
        self.points.reached("desk_reaped")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENCE: Duration = Duration::from_millis(50);

    #[test]
    fn only_a_beat_that_stands_still_means_death() {
        let (shard, incarnation) = (Shard(1), Uuid::from_u128(1));
        let mut incarnations = Incarnations::default();
        let beat = |number| HashMap::from([(incarnation, number)]);
        let went_by = |incarnations: &mut Incarnations| {
            for beat in incarnations.beats.values_mut() {
                beat.since -= SILENCE;
            }
            for opened in incarnations.opened.values_mut() {
                *opened -= SILENCE;
            }
        };
        assert!(incarnations.see(shard, &beat(1), SILENCE).is_empty());
        went_by(&mut incarnations);
        assert!(incarnations.see(shard, &beat(2), SILENCE).is_empty());
        went_by(&mut incarnations);
        assert_eq!(incarnations.see(shard, &beat(2), SILENCE), [(incarnation, 2)]);
        // In another shard it has not been seen at all.
        assert!(incarnations.see(Shard(2), &beat(2), SILENCE).is_empty());
        // A new era: everybody has time again.
        incarnations.era_opened(shard);
        assert!(incarnations.see(shard, &beat(2), SILENCE).is_empty());
        went_by(&mut incarnations);
        assert_eq!(incarnations.see(shard, &beat(2), SILENCE), [(incarnation, 2)]);
        assert!(incarnations.see(shard, &HashMap::new(), SILENCE).is_empty());
    }
}
