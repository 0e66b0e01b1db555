//! One lease: what is left of it, and who has a part.

use std::sync::Arc;
use std::time::{Duration, Instant};

use model::limits::Counter;
use model::{AccountId, Nanos};
use uuid::Uuid;

use super::{Asked, LineId, SetAside, Taken};
use crate::claim::Claim;
use crate::held::Part;
use crate::protocol::calls::{GrantedPart, LeaseBack, LeaseState};

/// A lease is not spent for longer than this after the last beat that Redis answered: soon after, others
/// may be told that this process is dead, and the lease is released. That Redis answers something else does
/// not count, because it may be after that.
const SILENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Lease {
    pub(super) id: Uuid,
    pub(super) account: AccountId,
    pub(super) incarnation: Uuid,
    pub(super) line: LineId,
    era: u64,
    counters: Arc<[Counter]>,
    /// What nobody has a part of.
    pub(super) spare: Nanos,
    pub(super) parts: Vec<LeasePart>,
    /// When the first of its windows ends.
    ends_at: Option<Instant>,
    /// Until when it may be spent if no beat is answered.
    alive_until: Instant,
    state: State,
    /// Requests whose end Redis does not know yet.
    pub(super) users: usize,
}

#[derive(Debug)]
pub(super) struct LeasePart {
    window: i64,
    pub(super) spare: i64,
    /// What remained for everybody when it was taken.
    remaining: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Closed,
    /// Redis knows that it is closed.
    Told,
}

impl Lease {
    pub(super) fn new(
        asked: &Asked,
        counters: Arc<[Counter]>,
        era: u64,
        amount: Nanos,
        parts: &[GrantedPart],
        asked_at: Instant,
    ) -> Self {
        let part = |part: &GrantedPart| LeasePart {
            window: part.window,
            spare: part.amount,
            remaining: part.remaining,
        };
        Self {
            id: asked.wanted.id,
            account: asked.wanted.account,
            incarnation: asked.incarnation,
            line: asked.line,
            era,
            counters,
            spare: amount,
            parts: parts.iter().map(part).collect(),
            ends_at: parts.iter().map(|part| asked_at + part.ends_in).min(),
            alive_until: asked_at + SILENCE,
            state: State::Open,
            users: 0,
        }
    }

    /// Whether a request can live on it.
    pub(super) fn covers(&self, claim: &Claim, now: Instant) -> bool {
        self.may_be_spent(now)
            && !self.has_ended(now)
            && self.spare >= claim.amount
            && self.parts.iter().zip(&claim.counters).all(|(part, (_, amount))| part.spare >= *amount)
    }

    /// The request's part. Only for one that it covers.
    pub(super) fn take(&mut self, claim: &Claim) -> Taken {
        self.users += 1;
        self.spare = self.spare - claim.amount;
        let mut parts = Vec::with_capacity(self.parts.len());
        let mut remaining = Vec::with_capacity(self.parts.len());
        for (part, (_, amount)) in self.parts.iter_mut().zip(&claim.counters) {
            part.spare -= amount;
            parts.push(Part { window: part.window, amount: *amount, floor: 0 });
            remaining.push(part.remaining + part.spare);
        }
        let aside = SetAside {
            incarnation: self.incarnation,
            id: self.id,
            amount: claim.amount,
            floor: claim.floor,
            counters: self.counters.clone(),
            parts,
        };
        Taken { aside, era: self.era, remaining }
    }

    pub(super) fn take_more(&mut self, amount: Nanos, parts: &[i64], now: Instant) -> bool {
        let has_room = self.may_be_spent(now)
            && self.spare >= amount
            && self.parts.iter().zip(parts).all(|(part, amount)| part.spare >= *amount);
        if has_room {
            self.spare = self.spare - amount;
            self.parts.iter_mut().zip(parts).for_each(|(part, amount)| part.spare -= amount);
        }
        has_room
    }

    pub(super) fn give_back(&mut self, amount: Nanos, parts: &[i64]) {
        self.spare += amount;
        self.parts.iter_mut().zip(parts).for_each(|(part, amount)| part.spare += amount);
    }

    pub(super) fn renew(&mut self, at: Instant) {
        self.alive_until = self.alive_until.max(at + SILENCE);
    }

    fn may_be_spent(&self, now: Instant) -> bool {
        self.is_open() && now < self.alive_until
    }

    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    pub(super) fn has_ended(&self, now: Instant) -> bool {
        self.ends_at.is_some_and(|end| end <= now)
    }

    pub(super) fn close(&mut self) {
        self.state = State::Closed;
    }

    /// What is said of it in the next beat, if anything.
    pub(super) fn returned(&mut self) -> Option<LeaseBack> {
        let is_over = self.users == 0;
        let has_spare = self.spare > Nanos::ZERO || self.parts.iter().any(|part| part.spare > 0);
        match self.state {
            State::Open => return None,
            State::Told if !is_over && !has_spare => return None,
            State::Closed | State::Told => self.state = State::Told,
        }
        let parts = self.counters.iter().zip(&mut self.parts);
        let parts = parts.map(|(counter, part)| {
            let spare = std::mem::take(&mut part.spare);
            (counter.id.clone(), part.window, spare)
        });
        Some(LeaseBack {
            id: self.id,
            state: if is_over { LeaseState::Ended } else { LeaseState::Closed },
            amount: std::mem::take(&mut self.spare),
            parts: parts.collect(),
        })
    }
}
