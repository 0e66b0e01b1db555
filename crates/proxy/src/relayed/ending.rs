//! How an answer ended, written into its record.

use bytes::Bytes;
use model::usage::Outcome;
use providers::Endpoint;
use providers::openai::stream::{Ending, Heard};
use providers::openai::usage;

use super::Tap;
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
    pub(super) fn whole(mut visit: Visit, rating: Rating, tap: &Tap, body: Bytes) -> Self {
        visit.last_byte();
        visit.record().outcome = Outcome::Answered;
        visit.record().response_bytes = body.len() as u64;
        let answer =
            if tap.is_json() { usage::answer(rating.endpoint, &body) } else { usage::Answer::default() };
        Self { visit, rating, answer, produced: Produced::Document(body) }
    }

    /// The provider ended its answer.
    pub(super) fn complete(mut visit: Visit, rating: Rating, tap: Tap) -> Self {
        visit.last_byte();
        let is_stream = tap.is_stream();
        let heard = tap.heard(rating.endpoint);
        visit.record().outcome = Outcome::Answered;
        match &heard.ending {
            Ending::Open if is_stream && says_its_end(rating.endpoint) => {
                visit.blame(&Refusal::ProviderBrokeOff { provider: rating.provider.slug });
            }
            Ending::Failed(_) => {
                visit.record().outcome = Outcome::Failed;
                visit.record().cause = "provider_error".to_owned();
            }
            _ => {}
        }
        Self::heard(visit, rating, heard)
    }

    /// It could not go on.
    pub(super) fn broken(mut visit: Visit, rating: Rating, tap: Tap, refusal: &Refusal) -> Self {
        visit.last_byte();
        visit.blame(refusal);
        let heard = tap.heard(rating.endpoint);
        Self::heard(visit, rating, heard)
    }

    /// The caller did not wait for it.
    pub(super) fn left(mut visit: Visit, rating: Rating, tap: Tap) -> Self {
        visit.last_byte();
        visit.left();
        let heard = tap.heard(rating.endpoint);
        Self::heard(visit, rating, heard)
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

    fn heard(visit: Visit, rating: Rating, heard: Heard) -> Self {
        let Heard { answer, text, text_bytes, .. } = heard;
        Self { visit, rating, answer, produced: Produced::Text { text, bytes: text_bytes } }
    }
}

/// Whether every stream of this operation says when it is complete, so that one which does not was
/// cut somewhere upstream.
fn says_its_end(endpoint: Endpoint) -> bool {
    matches!(endpoint, Endpoint::ChatCompletions | Endpoint::Completions | Endpoint::Responses)
}
