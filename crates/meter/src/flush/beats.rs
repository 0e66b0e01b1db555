//! Signs of life: what streams have produced, what leases give back, which holds there are. And a look
//! at how far the desk has posted.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use model::Shard;
use redis::Cmd;
use uuid::Uuid;

use super::shard::Due;
use crate::held::Phase;
use crate::meter::Shared;
use crate::protocol::Scripts;
use crate::protocol::calls::{self, Beat, Heard, Says};
use crate::settlement::{Closed, Settlement};

/// How often holds are named.
const HOLDS: Duration = Duration::from_secs(5);
/// How often it is heard whether leases are recalled.
const LEASES: Duration = Duration::from_millis(100);
/// The first look at the posted position after something was sent, and the slowest.
const FIRST_LOOK: Duration = Duration::from_millis(50);
const SLOWEST_LOOK: Duration = Duration::from_secs(2);

/// The beats of one shard.
#[derive(Default)]
pub(super) struct Beats {
    number: u64,
    /// Those that Redis has not answered, by incarnation; they are sent again unchanged, because what
    /// they give back must arrive once.
    unanswered: BTreeMap<Uuid, Beat>,
    releases: Vec<(Uuid, Uuid)>,
    is_recalled: bool,
    is_watched: bool,
    named_at: Option<Instant>,
    beat_at: Option<Instant>,
    look_at: Option<Instant>,
    look_pause: Duration,
}

impl Beats {
    /// A new era knows nothing of the old one's beats.
    pub(super) fn begin(&mut self) {
        let Self { number, is_watched, .. } = *self;
        *self = Self { number, is_watched, ..Self::default() };
    }

    pub(super) fn watch(&mut self) {
        self.is_watched = true;
    }

    pub(super) fn release(&mut self, incarnation: Uuid, hold: Uuid) {
        self.releases.push((incarnation, hold));
    }

    /// Something was sent: the desk will have it soon.
    pub(super) fn look_soon(&mut self) {
        let soon = Instant::now() + FIRST_LOOK;
        self.look_pause = Duration::ZERO;
        // What is sent all the time must not put it off for ever.
        self.look_at = Some(self.look_at.map_or(soon, |at| at.min(soon)));
    }

    pub(super) fn is_idle(&self) -> bool {
        !self.is_watched && self.unanswered.is_empty() && self.releases.is_empty()
    }

    /// When the next one is due.
    pub(super) fn next(
        &self,
        shared: &Shared,
        shard: Shard,
        awaits_posting: bool,
        now: Instant,
    ) -> Option<Instant> {
        if !self.unanswered.is_empty() || !self.releases.is_empty() || self.is_recalled {
            return Some(now);
        }
        let has_leases = shared.leases.count(shard) > 0;
        let after = |last: Option<Instant>, pause| last.map_or(now, |last| last + pause);
        let leases = has_leases.then(|| after(self.beat_at, LEASES));
        let holds = self.is_watched.then(|| after(self.named_at, HOLDS));
        let look = self.look_at.filter(|_| awaits_posting);
        leases.into_iter().chain(holds).chain(look).min()
    }

    /// Those that are due. `records` are closed, and Redis has not heard of their end.
    pub(super) fn due<'a, I: Iterator<Item = &'a Closed>>(
        &mut self,
        shared: &Shared,
        scripts: &Scripts,
        now: Instant,
        awaits_posting: bool,
        records: impl Fn() -> I,
    ) -> Vec<(Due, Cmd)> {
        let shard = scripts.shard();
        if self.unanswered.is_empty()
            && self.next(shared, shard, awaits_posting, now).is_some_and(|at| at <= now)
        {
            let settlements: Vec<_> = records().filter_map(|closed| closed.settlement.as_deref()).collect();
            self.compose(shared, shard, now, &settlements);
        }
        let beats = self.unanswered.iter();
        beats.map(|(id, beat)| (Due::Beat(*id), calls::beat(scripts, *id, beat))).collect()
    }

    /// Redis has answered one.
    pub(super) fn heard(&mut self, shared: &Shared, shard: Shard, incarnation: Uuid, heard: &Heard) {
        let Some(beat) = self.unanswered.remove(&incarnation) else { return };
        if heard.is_dead {
            shared.is_dead(shard, incarnation);
        } else if let Some(at) = self.beat_at {
            shared.leases.renew(shard, incarnation, at);
        }
        if !heard.recalled.is_empty() {
            shared.leases.recall(shard, &heard.recalled, Instant::now());
            self.is_recalled = true;
        }
        if beat.says == Says::Bye && heard.left > 0 {
            // A hold that nobody knows of. It is watched over until it is old enough to be released.
            self.is_watched = true;
        }
    }

    /// Closes all leases and gives back what they have left.
    pub(super) fn farewell(&mut self, shared: &Shared, scripts: &Scripts, shard: Shard) -> Vec<Cmd> {
        shared.leases.close_all(shard);
        if self.unanswered.is_empty() && (self.is_watched || shared.leases.count(shard) > 0) {
            self.compose(shared, shard, Instant::now(), &[]);
        }
        self.unanswered.iter().map(|(id, beat)| calls::beat(scripts, *id, beat)).collect()
    }

    /// `settlements` are those that Redis has not heard of.
    fn compose(&mut self, shared: &Shared, shard: Shard, now: Instant, settlements: &[&Settlement]) {
        shared.leases.tidy(shard, now);
        let mut beats: BTreeMap<Uuid, Beat> = BTreeMap::new();
        beats.entry(shared.incarnations.present()).or_default();
        for (_, incarnation, account) in shared.leases.all(shard) {
            let beat = beats.entry(incarnation).or_default();
            if !beat.accounts.contains(&account) {
                beat.accounts.push(account);
            }
        }
        for (incarnation, hold) in self.releases.drain(..) {
            beats.entry(incarnation).or_default().release.push(hold);
        }
        for (incarnation, beat) in &mut beats {
            beat.leases = shared.leases.returns(shard, *incarnation);
        }
        // In this order: what is taken after the look is watched over again.
        shared.unwatch(shard);
        let is_over =
            settlements.is_empty() && shared.holds.count(shard) == 0 && shared.leases.count(shard) == 0;
        if is_over {
            beats.values_mut().for_each(|beat| beat.says = Says::Bye);
            self.named_at = Some(now);
        } else if self.named_at.is_none_or(|at| now >= at + HOLDS) {
            name(&mut beats, shared, shard, settlements);
            self.named_at = Some(now);
        }
        self.is_watched = !is_over;
        if !is_over {
            shared.watch(shard);
        }
        for beat in beats.values_mut() {
            self.number += 1;
            beat.number = self.number;
        }
        self.unanswered = beats;
        self.is_recalled = false;
        self.beat_at = Some(now);
        self.look_pause = (self.look_pause * 2).clamp(FIRST_LOOK, SLOWEST_LOOK);
        self.look_at = Some(now + self.look_pause);
    }
}

/// All holds by their incarnations, and what was produced under them since the last time.
fn name(beats: &mut BTreeMap<Uuid, Beat>, shared: &Shared, shard: Shard, settlements: &[&Settlement]) {
    let mut names: BTreeMap<Uuid, Vec<Uuid>> = beats.keys().map(|id| (*id, Vec::new())).collect();
    for held in shared.holds.all(shard) {
        let mut state = held.state();
        let incarnation = state.aside.incarnation;
        if state.phase == Phase::Gone || incarnation.is_nil() {
            continue;
        }
        let is_own = held.lease(&state).is_none();
        if is_own || state.may_be_carved {
            names.entry(incarnation).or_default().push(held.record);
        }
        if is_own && state.reported > state.told {
            state.told = state.reported;
            beats.entry(incarnation).or_default().reports.push((held.record, state.reported));
        }
    }
    for settlement in settlements {
        names.entry(settlement.incarnation()).or_default().push(settlement.record());
    }
    for (lease, incarnation, _) in shared.leases.all(shard) {
        names.entry(incarnation).or_default().push(lease);
    }
    for (incarnation, names) in names {
        beats.entry(incarnation).or_default().says = Says::Names(names);
    }
}
