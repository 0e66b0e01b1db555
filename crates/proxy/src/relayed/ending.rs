//! How an answer ended, written into its record.

use bytes::Bytes;
use model::usage::Outcome;
use providers::Endpoint;
use providers::openai::stream::{Ending, Heard};
use providers::openai::usage;

use super::Running;
use crate::rating::{Produced, Rating};
use crate::refusal::Refusal;
use crate::visit::Visit;

/// An answer that is over, and not yet in its record.
#[must_use = "the record is written by closing it"]
pub struct Ended {
    /// The request that it answers.
    pub visit: Visit,
    rating: Rating,
    answer: usage::Answer,
    produced: Produced,
}

impl Ended {
    /// A small answer that was read whole.
    pub(super) fn whole(running: Running, body: Bytes) -> Self {
        let Running { mut visit, tap, rating } = running;
        visit.last_byte();
        visit.record().outcome = Outcome::Answered;
        visit.record().response_bytes = body.len() as u64;
        let answer = match tap.is_document() {
            true => usage::answer(rating.endpoint, &body),
            false => usage::Answer::default(),
        };
        Self { visit, rating, answer, produced: Produced::Document(body) }
    }

    /// The provider ended its answer.
    pub(super) fn complete(mut running: Running) -> Self {
        running.visit.record().outcome = Outcome::Answered;
        let is_stream = running.tap.is_stream();
        let (mut ended, ending) = Self::heard(running);
        let record = ended.visit.record();
        match ending {
            Ending::Open if is_stream && says_its_end(ended.rating.endpoint) => {
                ended.visit.blame(&Refusal::ProviderBrokeOff { provider: ended.rating.provider.slug });
            }
            Ending::Failed(_) => {
                record.outcome = Outcome::Failed;
                record.cause = "provider_error".to_owned();
            }
            Ending::Open | Ending::Complete => {}
        }
        ended
    }

    /// It could not go on.
    pub(super) fn broken(mut running: Running, refusal: &Refusal) -> Self {
        running.visit.blame(refusal);
        Self::heard(running).0
    }

    /// The caller did not wait for it.
    pub(super) fn left(mut running: Running) -> Self {
        running.visit.left();
        Self::heard(running).0
    }

    /// Rates what was used and closes the record: at once where the provider reported it, else when
    /// it was counted, which takes too long for the threads that serve others.
    pub fn close(self) {
        let Self { mut visit, rating, answer, produced } = self;
        let must_count = answer.tokens.is_none() && rating.is_countable(visit.record());
        rating.reported(visit.record(), answer);
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) if must_count => {
                runtime.spawn_blocking(move || {
                    rating.count(visit.record(), &produced);
                    visit.close();
                });
            }
            _ => visit.close(),
        }
    }

    fn heard(running: Running) -> (Self, Ending) {
        let Running { mut visit, tap, rating } = running;
        visit.last_byte();
        let Heard { answer, ending, text, text_bytes, .. } = tap.heard(rating.endpoint);
        (Self { visit, rating, answer, produced: Produced::Text { text, bytes: text_bytes } }, ending)
    }
}

/// Whether every stream of this operation says when it is complete, so that one which does not was
/// cut somewhere upstream.
fn says_its_end(endpoint: Endpoint) -> bool {
    matches!(endpoint, Endpoint::ChatCompletions | Endpoint::Completions | Endpoint::Responses)
}
