//! How an answer ended, written into its record.

use std::sync::Arc;

use bytes::Bytes;
use model::usage::Outcome;
use providers::answer::Answer;
use providers::stream::{Ending, Heard};
use tracing::error;

use super::{Paying, Running};
use crate::rating::{Produced, Rating};
use crate::refusal::Refusal;
use crate::visit::Visit;

/// An answer that is over, and not yet in its record.
#[must_use = "the record is written by closing it"]
pub struct Ended {
    /// The request that it answers.
    pub visit: Visit,
    rating: Arc<Rating>,
    answer: Answer,
    produced: Produced,
    /// Whether the provider failed before anything came, which nobody bills.
    is_free: bool,
    /// Whether the answer has something that nobody read.
    is_unheard: bool,
}

/// Why nobody waits for the rest of an answer.
#[derive(Debug)]
pub(super) enum Departure {
    /// The caller left.
    Left,
    /// We sent him away.
    SentAway(Refusal),
    /// The gateway's policy has told him something else: an answer of its own, or that.
    Replaced(Option<Refusal>),
}

impl Departure {
    fn note(&self, visit: &mut Visit) {
        match self {
            Self::Left => visit.left(),
            Self::SentAway(refusal) | Self::Replaced(Some(refusal)) => visit.blame(refusal),
            Self::Replaced(None) => visit.replaced(),
        }
    }
}

impl Ended {
    /// An answer that was read whole.
    pub(super) fn whole(mut running: Running, body: Bytes) -> Self {
        running.visit.record().response_bytes = body.len() as u64;
        if running.tap.is_large() {
            return Self::complete(running, None);
        }
        let Running { mut visit, tap, rating, .. } = running;
        visit.last_byte();
        visit.record().outcome = Outcome::Answered;
        let answer = match tap.is_document() {
            true => Answer::whole(rating.endpoint, &body),
            false => Answer::default(),
        };
        let is_unheard = tap.is_deaf() && rating.endpoint.writes_text();
        Self { visit, rating, answer, produced: Produced::Document(body), is_free: false, is_unheard }
    }

    /// The provider ended its answer; the caller may have been gone before.
    pub(super) fn complete(mut running: Running, departure: Option<&Departure>) -> Self {
        running.visit.record().outcome = Outcome::Answered;
        let (is_stream, hides_some) = (running.tap.is_stream(), running.hides_some());
        let (mut ended, ending) = Self::heard(running);
        ended.is_unheard |= hides_some && ending == Ending::Complete;
        let record = ended.visit.record();
        match ending {
            Ending::Open if is_stream && ended.rating.endpoint.writes_text() => {
                ended.visit.blame(&Refusal::ProviderBrokeOff { provider: ended.rating.server.name() });
                ended.is_free = ended.is_empty();
            }
            Ending::Failed(_) => {
                record.outcome = Outcome::Failed;
                record.cause = "provider_error".to_owned();
                ended.is_free = ended.is_empty();
            }
            Ending::Open | Ending::Complete => {}
        }
        if let Some(departure) = departure {
            departure.note(&mut ended.visit);
        }
        ended
    }

    /// It could not go on.
    pub(super) fn broken(mut running: Running, refusal: &Refusal) -> Self {
        running.visit.blame(refusal);
        let mut ended = Self::heard(running).0;
        ended.is_free = !refusal.abandons() && ended.is_empty();
        ended
    }

    /// It is not paid any further: the frames that end it, once what came is counted. This is work.
    pub(super) fn cut_off(running: Running, paying: &Paying, departure: Option<&Departure>) -> Bytes {
        let Running { mut visit, mut tap, rating, .. } = running;
        visit.last_byte();
        visit.record().outcome = Outcome::Answered;
        visit.record().cause = "cut_off".to_owned();
        if let Some(departure) = departure {
            departure.note(&mut visit);
        }
        let Some(tap) = tap.events() else { return Bytes::new() };
        let Heard { answer, text, text_bytes, .. } = tap.so_far().clone();
        rating.count(visit.record(), answer, &Produced::Text { text, bytes: text_bytes });
        let Paying { answers, include_usage, .. } = *paying;
        let frames = tap.cut_off(answers, &visit.record().tokens, include_usage).unwrap_or_default();
        visit.record().response_bytes += frames.len() as u64;
        visit.close();
        frames
    }

    /// Nobody waited for it. Where what came does not tell what is billed, nobody knows.
    pub(super) fn gone(mut running: Running, departure: &Departure) -> Self {
        departure.note(&mut running.visit);
        let hides_some = running.hides_some();
        let mut ended = Self::heard(running).0;
        ended.is_unheard |= hides_some;
        ended
    }

    /// Rates what was used and closes the record: at once where the provider reported it, else when
    /// it was counted, which takes too long for the threads that serve others.
    pub fn close(self) {
        let Self { mut visit, rating, answer, produced, is_free, is_unheard } = self;
        // What is read of it would be too little to charge.
        let is_beyond_us = is_unheard && rating.markup().is_some();
        let is_said = is_beyond_us || is_free || answer.tokens.is_some() || rating.is_rated(&answer);
        let must_count = !is_said && rating.is_countable(visit.record());
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) if must_count => {
                runtime.spawn_blocking(move || {
                    rating.count(visit.record(), answer, &produced);
                    close(visit, &rating);
                });
            }
            _ => {
                rating.reported(visit.record(), &answer);
                match is_free {
                    true => visit.close(),
                    false => close(visit, &rating),
                }
            }
        }
    }

    fn heard(running: Running) -> (Self, Ending) {
        let Running { mut visit, tap, rating, .. } = running;
        visit.last_byte();
        let (is_deaf, is_document) = (tap.is_deaf(), tap.is_document());
        let Heard { answer, ending, text, text_bytes, .. } = tap.heard(rating.endpoint);
        // Of a document that passes, nothing but its usage is kept.
        let is_unheard = is_deaf || is_document && answer.tokens.is_none();
        let is_unheard = is_unheard && rating.endpoint.writes_text();
        let produced = Produced::Text { text, bytes: text_bytes };
        (Self { visit, rating, answer, produced, is_free: false, is_unheard }, ending)
    }

    /// Whether nothing came that anybody could bill.
    fn is_empty(&self) -> bool {
        let is_silent = matches!(self.produced, Produced::Text { bytes: 0, .. });
        is_silent && self.answer.tokens.is_none()
    }
}

/// Closes the record. What credits pay for is never free: an answer that nobody can rate costs what was
/// set aside for it.
fn close(mut visit: Visit, rating: &Rating) {
    let held = visit.held;
    let record = visit.record();
    if rating.markup().is_some() && record.cost.is_none() && rating.is_countable(record) {
        error!(request.id = %record.id, model = rating.model(), "An answer on credits could not be rated");
        record.charge = held;
    }
    visit.close();
}
