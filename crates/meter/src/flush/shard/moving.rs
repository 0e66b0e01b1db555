//! How a shard moves from era to era.

use std::collections::VecDeque;

use redis::Cmd;
use uuid::Uuid;

use super::{BATCH, BATCHES, Batched, Due, Era, HOLDS, Waiting};
use crate::meter::Shared;
use crate::protocol::Scripts;
use crate::protocol::calls::{self, Declared};
use crate::settlement::Closed;

/// A new era: what Postgres may lack is sent again, and then what is held is declared. It is there until
/// that is done, even if the server is away meanwhile.
pub(super) struct Beginning {
    again: VecDeque<Closed>,
    parts: VecDeque<Vec<Declared>>,
    part: u64,
}

impl Waiting {
    /// What a new era begins with: first the records, and when they are answered the holds.
    pub(super) fn beginnings(&mut self, shared: &Shared, scripts: &Scripts) -> Vec<(Due, Cmd)> {
        let Some(Beginning { again, parts, part }) = &mut self.beginning else { return Vec::new() };
        if again.is_empty() && self.unanswered.is_empty() {
            let is_last = parts.len() <= 1;
            let holds = parts.front().map(Vec::as_slice).unwrap_or_default();
            let command = calls::declare(scripts, self.declared_as, *part, is_last, holds);
            return vec![(Due::Declare, command)];
        }
        while self.unanswered.len() < BATCHES && !again.is_empty() {
            let records = again.drain(..again.len().min(BATCH)).collect();
            self.numbered.1 += 1;
            self.unanswered.push_back(Batched { number: self.numbered.1, records });
        }
        self.settlements(shared, scripts)
    }

    /// Whether the control plane says that a later era has begun than the last one here. Then Redis is
    /// asked until it shows it, so that nobody who comes has to wait for that.
    pub(in crate::flush) fn is_behind(&self, shared: &Shared) -> bool {
        shared.eras.told(self.shard) > self.known.unwrap_or(0)
    }

    /// Whether the present era is over by the control plane's word.
    pub(super) fn is_left_behind(&self, shared: &Shared) -> bool {
        match &self.era {
            Era::Begun(scripts) | Era::Open(scripts) => shared.eras.is_over(scripts),
            Era::Unknown | Era::Asked => false,
        }
    }

    pub(super) fn wants_era(&self, shared: &Shared) -> bool {
        self.is_asked_for || !self.is_idle() || self.is_behind(shared)
    }

    /// Whether this era is another than the last one.
    pub(in crate::flush) fn is_new(&self, scripts: &Scripts) -> bool {
        self.known != Some(scripts.era())
    }

    /// The era goes on, or its server has come back.
    pub(in crate::flush) fn resume(&mut self, shared: &Shared, scripts: Scripts) {
        self.is_asked_for = false;
        if matches!(self.era, Era::Asked) {
            self.era = match self.beginning {
                Some(_) => Era::Begun(scripts),
                None => {
                    shared.eras.open(&scripts);
                    Era::Open(scripts)
                }
            };
        }
    }

    /// No era is open. Who wants to know asks again.
    pub(in crate::flush) fn no_era(&mut self) {
        self.is_asked_for = false;
        if matches!(self.era, Era::Asked) {
            self.era = Era::Unknown;
        }
        self.wait();
    }

    /// Another era. What Postgres may lack is sent again, without holds, because those ended; only then
    /// is declared what is held by requests under way and by those whose end Redis has not heard of. The
    /// first era of a process has nothing of either.
    pub(in crate::flush) fn begin(
        &mut self,
        shared: &Shared,
        scripts: Scripts,
        present: Uuid,
        holds: Vec<Declared>,
    ) {
        self.is_asked_for = false;
        (self.numbered, self.declared_as) = ((present, 0), present);
        shared.set_next_batch(self.shard, 1);
        let is_first = self.known.replace(scripts.era()).is_none();
        self.beats.begin();
        // What the era before was to begin with, and did not come to.
        let mut again = self.beginning.take().map(|beginning| beginning.again).unwrap_or_default();
        again.extend(self.sent.drain(..).flat_map(|(_, records)| records));
        let unanswered = self.unanswered.drain(..).flat_map(|batched| batched.records);
        self.closed = unanswered.chain(self.closed.drain(..)).collect();
        if is_first {
            shared.eras.open(&scripts);
            self.era = Era::Open(scripts);
            return;
        }
        let mut holds = holds;
        for Closed { settlement, slot, .. } in &mut self.closed {
            let opened = shared.spool.opened_bytes(slot);
            let declared =
                settlement.as_mut().and_then(|settlement| settlement.outlive(scripts.era(), present, opened));
            holds.extend(declared);
        }
        let mut parts: VecDeque<Vec<Declared>> = VecDeque::new();
        for hold in holds {
            match parts.back_mut().filter(|part| part.len() < HOLDS) {
                Some(part) => part.push(hold),
                None => parts.push_back(vec![hold]),
            }
        }
        // Others that were here may be waited for: they have nothing to say.
        for former in shared.incarnations.former() {
            self.bury(former);
        }
        self.beginning = Some(Beginning { again, parts, part: 1 });
        self.era = Era::Begun(scripts);
    }

    /// A part of the declaration is done; the last one opens the era for this process. Answers in whose
    /// name it was.
    pub(in crate::flush) fn declared(&mut self, shared: &Shared) -> Option<Uuid> {
        let (Era::Begun(scripts), Some(Beginning { parts, part, .. })) = (&self.era, &mut self.beginning)
        else {
            return None;
        };
        parts.pop_front();
        *part += 1;
        if parts.is_empty() {
            shared.eras.open(scripts);
            self.era = Era::Open(scripts.clone());
            self.beginning = None;
            self.calm_down();
        }
        Some(self.declared_as)
    }

    /// The era is over. Until it is known whether another has begun, everything stays as it is.
    pub(in crate::flush) fn era_is_over(&mut self, shared: &Shared) {
        shared.eras.close(self.shard);
        self.era = Era::Unknown;
        self.is_asked_for = true;
        self.wait();
    }
}
