//! One shard: closed records not yet sent, sent ones not yet answered or not yet posted, and the era.

mod moving;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use model::Shard;
use redis::Cmd;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::beats::Beats;
use crate::meter::Shared;
use crate::protocol::Scripts;
use crate::protocol::calls::{self, Heard};
use crate::settlement::{Closed, batch};
use crate::stream::{Position, era_key};
use moving::Beginning;

/// Records in one batch, which is one stream entry.
const BATCH: usize = 64;
/// Batches on their way at a time; Redis remembers the answers of so many.
const BATCHES: usize = 16;
/// Holds in one part of a declaration, and in one burial.
const HOLDS: usize = 64;
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// How often it is looked whether a former incarnation can be buried.
const BURIAL: Duration = Duration::from_millis(500);

/// What this process has to do with one shard.
pub(super) struct Waiting {
    shard: Shard,
    /// In the order in which they were closed.
    closed: VecDeque<Closed>,
    /// Batches that Redis has not answered; they are sent again unchanged.
    unanswered: VecDeque<Batched>,
    /// Who waits for so many settlements more.
    waiters: Vec<(usize, oneshot::Sender<bool>)>,
    /// Entries of the present era that the desk has not posted, in the order of their ids.
    sent: VecDeque<(Position, Vec<Closed>)>,
    era: Era,
    /// What is to be done in the last era that has begun before it is open here.
    beginning: Option<Beginning>,
    /// The last era that has begun here.
    known: Option<u64>,
    /// Who numbers the batches, and the last number.
    numbered: (Uuid, u64),
    /// In whose name the present era was begun.
    declared_as: Uuid,
    /// Whether somebody wants to know which era is open, although nothing waits.
    is_asked_for: bool,
    /// Not before then, after Redis or the era said no.
    retry_at: Option<Instant>,
    pause: Duration,
    beats: Beats,
    /// Incarnations of which nothing is to be left here, and when that is looked at.
    to_bury: Vec<Uuid>,
    bury_at: Option<Instant>,
}

/// Records in a batch with its number.
struct Batched {
    number: u64,
    records: Vec<Closed>,
}

/// A batch that is in the stream.
pub(super) struct Sent {
    pub(super) number: u64,
    pub(super) entry: Position,
}

enum Era {
    Unknown,
    Asked,
    /// A new one: there is a [`Beginning`].
    Begun(Scripts),
    Open(Scripts),
}

/// What Redis is asked for this shard.
pub(super) enum Due {
    Era,
    Settle(u64),
    Declare,
    Beat(Uuid),
    Bury(Uuid),
}

impl Waiting {
    pub(super) fn new(shard: Shard, present: Uuid, former: Vec<Uuid>) -> Self {
        Self {
            shard,
            closed: VecDeque::new(),
            unanswered: VecDeque::new(),
            waiters: Vec::new(),
            sent: VecDeque::new(),
            era: Era::Unknown,
            beginning: None,
            known: None,
            numbered: (present, 0),
            declared_as: present,
            is_asked_for: true,
            retry_at: None,
            pause: Duration::ZERO,
            beats: Beats::default(),
            bury_at: (!former.is_empty()).then(Instant::now),
            to_bury: former,
        }
    }

    /// What is due now. Asking moves it along; what is not answered is due again.
    pub(super) fn due(&mut self, shared: &Shared, now: Instant, redis_full: bool) -> Vec<(Due, Cmd)> {
        if self.is_left_behind(shared) {
            self.era_is_over(shared);
            self.calm_down();
        }
        if self.retry_at.is_some_and(|at| now < at) {
            return Vec::new();
        }
        match &self.era {
            Era::Asked => Vec::new(),
            Era::Unknown => {
                if !self.wants_era(shared) {
                    return Vec::new();
                }
                self.era = Era::Asked;
                vec![self.ask_era()]
            }
            Era::Begun(scripts) => {
                let scripts = scripts.clone();
                self.beginnings(shared, &scripts)
            }
            Era::Open(scripts) => {
                let scripts = scripts.clone();
                self.fill(shared, redis_full);
                let mut due = self.settlements(shared, &scripts);
                if self.is_asked_for {
                    due.push(self.ask_era());
                }
                let unheard = || self.closed.iter().chain(self.unanswered.iter().flat_map(|b| &b.records));
                due.extend(self.beats.due(shared, &scripts, now, !self.sent.is_empty(), unheard));
                due.extend(self.burial(shared, &scripts, now));
                due
            }
        }
    }

    /// When something will be due.
    pub(super) fn next_due(&self, shared: &Shared, redis_full: bool) -> Option<Instant> {
        let now = Instant::now();
        if self.is_left_behind(shared) {
            return Some(now);
        }
        let due = match &self.era {
            Era::Asked => None,
            Era::Unknown => self.wants_era(shared).then_some(now),
            Era::Begun(_) => Some(now),
            Era::Open(_) => {
                let has_records = !self.unanswered.is_empty() || !self.closed.is_empty() && !redis_full;
                let at_once = (has_records || self.is_asked_for).then_some(now);
                let beat = self.beats.next(shared, self.shard, !self.sent.is_empty(), now);
                at_once.into_iter().chain(beat).chain(self.bury_at).min()
            }
        };
        due.map(|due| self.retry_at.map_or(due, |at| at.max(due)))
    }

    /// Whether nothing waits here.
    pub(super) fn is_idle(&self) -> bool {
        self.closed.is_empty()
            && self.unanswered.is_empty()
            && self.sent.is_empty()
            && self.beginning.is_none()
            && self.to_bury.is_empty()
            && self.beats.is_idle()
    }

    pub(super) fn take(&mut self, record: Closed) {
        self.closed.push_back(record);
    }

    /// Answers once Redis knows how all ended that has ended by now; at once, and with no, if it does.
    pub(super) fn tell_when_settled(&mut self, waiter: oneshot::Sender<bool>) {
        let unheard = self.closed.iter().chain(self.unanswered.iter().flat_map(|batched| &batched.records));
        match unheard.filter(|closed| closed.settlement.is_some()).count() {
            0 => _ = waiter.send(false),
            ahead => self.waiters.push((ahead, waiter)),
        }
    }

    /// Redis knows so many more.
    fn tell_waiters(&mut self, shared: &Shared, settled: usize) {
        if settled == 0 {
            return;
        }
        shared.has_given_back(self.shard);
        self.waiters.iter_mut().for_each(|(ahead, _)| *ahead = ahead.saturating_sub(settled));
        for (_, waiter) in self.waiters.extract_if(.., |(ahead, _)| *ahead == 0) {
            let _ = waiter.send(true);
        }
    }

    /// The era may be another one than is thought.
    pub(super) fn doubt(&mut self) {
        self.is_asked_for = true;
    }

    pub(super) fn watch(&mut self) {
        self.beats.watch();
    }

    pub(super) fn release(&mut self, incarnation: Uuid, hold: Uuid) {
        self.beats.release(incarnation, hold);
    }

    /// Nothing of this incarnation is to be left here.
    pub(super) fn bury(&mut self, incarnation: Uuid) {
        if !self.to_bury.contains(&incarnation) {
            self.to_bury.push(incarnation);
            self.bury_at = Some(Instant::now());
        }
    }

    pub(super) fn is_to_bury(&self, incarnation: Uuid) -> bool {
        self.to_bury.contains(&incarnation)
    }

    pub(super) fn is_buried(&mut self, incarnation: Uuid) {
        self.to_bury.retain(|buried| *buried != incarnation);
        if self.to_bury.is_empty() {
            self.bury_at = None;
        }
    }

    /// Redis said no, or nothing.
    pub(super) fn refused(&mut self, due: &Due) {
        if let (Due::Era, Era::Asked) = (due, &self.era) {
            self.era = Era::Unknown;
        }
        self.wait();
    }

    /// Redis expects another number. If it is the first of those under way, its count is lost, and
    /// another begins; what was done already is recognised by the records' ids.
    pub(super) fn is_out_of_step(&mut self, shared: &Shared, number: u64) {
        self.wait();
        if self.unanswered.front().is_some_and(|first| first.number == number) {
            self.numbered = (Uuid::now_v7(), 0);
            for batched in &mut self.unanswered {
                self.numbered.1 += 1;
                batched.number = self.numbered.1;
            }
            shared.set_next_batch(self.shard, self.numbered.1 + 1);
        }
    }

    /// A batch is in the stream.
    pub(super) fn settled(&mut self, shared: &Shared, sent: Sent) {
        let at = self.unanswered.iter().position(|batched| batched.number == sent.number);
        let Some(batched) = at.and_then(|at| self.unanswered.remove(at)) else { return };
        let mut settled = 0;
        for settlement in batched.records.iter().filter_map(|closed| closed.settlement.as_ref()) {
            settled += 1;
            if let Some(lease) = settlement.lease() {
                shared.leases.settled(self.shard, lease, 1);
            }
        }
        self.tell_waiters(shared, settled);
        self.sent.push_back((sent.entry, batched.records));
        self.calm_down();
        self.beats.look_soon();
    }

    pub(super) fn heard(&mut self, shared: &Shared, incarnation: Uuid, heard: &Heard) {
        self.beats.heard(shared, self.shard, incarnation, heard);
        self.calm_down();
    }

    /// Takes out what Postgres has.
    pub(super) fn posted(&mut self, position: Position) -> Vec<Closed> {
        let mut posted = Vec::new();
        while self.sent.front().is_some_and(|(entry, _)| *entry <= position) {
            posted.extend(self.sent.pop_front().into_iter().flat_map(|(_, records)| records));
        }
        posted
    }

    /// The last beat of this process.
    pub(super) fn farewell(&mut self, shared: &Shared) -> Vec<Cmd> {
        let Era::Open(scripts) = &self.era else { return Vec::new() };
        self.beats.farewell(shared, &scripts.clone(), self.shard)
    }

    /// Batches for what was closed.
    fn fill(&mut self, shared: &Shared, redis_full: bool) {
        // A name that is to be buried numbers nothing more.
        if self.unanswered.is_empty() && self.to_bury.contains(&self.numbered.0) {
            self.numbered = (shared.incarnations.present(), 0);
        }
        while self.unanswered.len() < BATCHES && !self.closed.is_empty() && !redis_full {
            let records = self.closed.drain(..self.closed.len().min(BATCH)).collect();
            self.numbered.1 += 1;
            self.unanswered.push_back(Batched { number: self.numbered.1, records });
        }
        shared.set_next_batch(self.shard, self.numbered.1 + 1);
    }

    fn settlements(&self, shared: &Shared, scripts: &Scripts) -> Vec<(Due, Cmd)> {
        let command = |batched: &Batched| {
            let Batched { number, records } = batched;
            let batch = batch(*number, records, &shared.spool, scripts.era(), self.declared_as);
            (Due::Settle(*number), calls::settle(scripts, self.numbered.0, &batch))
        };
        self.unanswered.iter().map(command).collect()
    }

    /// Former incarnations are buried once nothing here is in their name.
    fn burial(&mut self, shared: &Shared, scripts: &Scripts, now: Instant) -> Vec<(Due, Cmd)> {
        if self.bury_at.is_none_or(|at| now < at) {
            return Vec::new();
        }
        self.bury_at = Some(now + BURIAL);
        let records = self.closed.iter().chain(self.unanswered.iter().flat_map(|batched| &batched.records));
        let settlements = records.filter_map(|closed| closed.settlement.as_ref());
        let mut named: Vec<Uuid> = settlements.map(|settlement| settlement.incarnation()).collect();
        named.extend(shared.holds.all(self.shard).iter().map(|held| held.state().aside.incarnation));
        named.extend(shared.leases.all(self.shard).into_iter().map(|(_, incarnation, _)| incarnation));
        named.push(self.numbered.0);
        let free = self.to_bury.iter().filter(|former| !named.contains(former));
        free.map(|former| (Due::Bury(*former), calls::bury(scripts, *former, HOLDS))).collect()
    }

    fn ask_era(&self) -> (Due, Cmd) {
        (Due::Era, redis::cmd("GET").arg(era_key(self.shard)).to_owned())
    }

    fn calm_down(&mut self) {
        self.retry_at = None;
        self.pause = Duration::ZERO;
    }

    fn wait(&mut self) {
        self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        self.retry_at = Some(Instant::now() + self.pause);
    }
}
