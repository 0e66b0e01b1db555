//! What waits in one shard: closed records not yet sent, and sent ones not yet posted.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use redis::Cmd;
use uuid::Uuid;

use crate::protocol::Scripts;
use crate::protocol::calls::{self, Beat};
use crate::spool::Slot;
use crate::stream::Position;

/// Records in one stream entry.
const BATCH: usize = 64;
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// The first look at the posted position after something was sent, and the slowest.
const FIRST_BEAT: Duration = Duration::from_millis(50);
const SLOWEST_BEAT: Duration = Duration::from_secs(2);

/// The records of one shard that Postgres does not have yet.
#[derive(Default)]
pub(super) struct Waiting {
    /// In the order in which they were closed.
    pub(super) closed: VecDeque<Slot>,
    /// Entries of the present era that the desk has not posted, in the order of their ids.
    sent: VecDeque<(Position, Vec<Slot>)>,
    era: Era,
    /// Not before then, after Redis or the era said no.
    retry_at: Option<Instant>,
    pause: Duration,
    beat_at: Option<Instant>,
    beat_pause: Duration,
    /// Who numbers the batches, and the last number.
    numbered: (Uuid, u64),
    beats: u64,
}

#[derive(Default)]
enum Era {
    #[default]
    Unknown,
    Asked,
    Open(Scripts),
}

/// The next thing to ask Redis for this shard.
pub(super) enum Due {
    Nothing,
    Era,
    Settle(Vec<Slot>, Scripts, (Uuid, u64)),
    Beat(Cmd),
}

impl Waiting {
    /// What is due now; asking moves it along, so that repeated calls come to an end.
    pub(super) fn due(&mut self, now: Instant, redis_full: bool) -> Due {
        if self.is_idle() || self.retry_at.is_some_and(|at| now < at) {
            return Due::Nothing;
        }
        match &self.era {
            Era::Asked => Due::Nothing,
            Era::Unknown => {
                self.era = Era::Asked;
                Due::Era
            }
            Era::Open(scripts) if !self.closed.is_empty() && !redis_full => {
                let slots = self.closed.drain(..self.closed.len().min(BATCH)).collect();
                if self.numbered.1 == 0 {
                    self.numbered.0 = Uuid::now_v7();
                }
                self.numbered.1 += 1;
                Due::Settle(slots, scripts.clone(), self.numbered)
            }
            Era::Open(scripts) if self.beat_at.is_some_and(|at| at <= now) => {
                self.beats += 1;
                let beat = Beat { number: self.beats, ..Beat::default() };
                let beat = calls::beat(scripts, self.numbered.0, &beat);
                self.beat_pause = (self.beat_pause * 2).clamp(FIRST_BEAT, SLOWEST_BEAT);
                self.beat_at = Some(now + self.beat_pause);
                Due::Beat(beat)
            }
            Era::Open(_) => Due::Nothing,
        }
    }

    /// When something will be due.
    pub(super) fn next_due(&self, redis_full: bool) -> Option<Instant> {
        if self.is_idle() {
            return None;
        }
        let due = match &self.era {
            Era::Open(_) if self.closed.is_empty() || redis_full => self.beat_at?,
            _ => Instant::now(),
        };
        Some(self.retry_at.map_or(due, |at| at.max(due)))
    }

    /// The desk says which era is open, or that none is.
    pub(super) fn era_is(&mut self, scripts: Option<Scripts>) {
        match scripts {
            Some(scripts) => self.era = Era::Open(scripts),
            None => self.refused(),
        }
    }

    /// Everything not posted is sent again in the next era, in its old order.
    pub(super) fn era_is_over(&mut self) {
        let sent = self.sent.drain(..).flat_map(|(_, slots)| slots);
        let again: VecDeque<_> = sent.chain(self.closed.drain(..)).collect();
        self.closed = again;
        self.era = Era::Unknown;
        self.numbered.1 = 0;
        self.beat_at = None;
        self.wait();
    }

    /// Redis said no, or did not say which era is open.
    pub(super) fn refused(&mut self) {
        if matches!(self.era, Era::Asked) {
            self.era = Era::Unknown;
        }
        self.wait();
    }

    /// The batch is in the stream.
    pub(super) fn sent(&mut self, entry: Position, slots: Vec<Slot>) {
        // Answered beside an answer that said that this era is over: its records go with the others.
        if !matches!(self.era, Era::Open(_)) {
            return self.put_back(slots);
        }
        self.sent.push_back((entry, slots));
        self.retry_at = None;
        self.pause = Duration::ZERO;
        self.beat_pause = Duration::ZERO;
        self.beat_at = Some(Instant::now() + FIRST_BEAT);
    }

    /// The batch may be in the stream or not.
    pub(super) fn put_back(&mut self, slots: Vec<Slot>) {
        self.numbered.1 = 0;
        slots.into_iter().rev().for_each(|slot| self.closed.push_front(slot));
    }

    /// Takes out what Postgres has.
    pub(super) fn posted(&mut self, position: Position) -> Vec<Slot> {
        let mut slots = Vec::new();
        while self.sent.front().is_some_and(|(entry, _)| *entry <= position) {
            slots.extend(self.sent.pop_front().into_iter().flat_map(|(_, slots)| slots));
        }
        slots
    }

    /// Whether nothing waits here.
    pub(super) fn is_idle(&self) -> bool {
        self.closed.is_empty() && self.sent.is_empty()
    }

    fn wait(&mut self) {
        self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        self.retry_at = Some(Instant::now() + self.pause);
    }
}
