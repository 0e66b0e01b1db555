//! What an answer says about itself, in whichever dialect it is.

use model::usage::Tokens;

use crate::catalog::Dialect;
use crate::endpoint::Endpoint;
use crate::scan::{self, Kind, Member};
use crate::{anthropic, google, openai};

/// What an answer says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// The model that served.
    pub model: Option<String>,
    /// What was used; `None` if the answer does not say, or not in tokens.
    pub tokens: Option<Tokens>,
    /// What was read, where that is said before it is known what was produced.
    pub read: Option<Tokens>,
    /// Which price applies, such as `flex`.
    pub service_tier: Option<String>,
    /// How long the sound was that was read, in seconds, where that is what is billed.
    pub seconds: Option<u64>,
    /// How many pictures came.
    pub images: Option<u64>,
    /// How often the provider searched the web.
    pub searches: u64,
    /// What makes it dearer than its model's usual prices, if anything does.
    pub premium: Option<Premium>,
}

/// What makes an answer dearer than the usual prices of its model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Premium {
    /// It was made faster than others.
    Speed,
    /// It was made in a place that was asked for.
    Place,
    /// Moving pictures were read.
    Video,
}

impl Answer {
    /// Reads an answer in one piece. What is no JSON object says nothing.
    pub fn whole(endpoint: Endpoint, body: &[u8]) -> Self {
        match endpoint.dialect() {
            Some(Dialect::Anthropic) => anthropic::usage::answer(body),
            Some(Dialect::Google) => google::usage::answer(endpoint, body),
            _ => openai::usage::answer(endpoint, body),
        }
    }

    /// Takes over what a later word says.
    pub(crate) fn hear(&mut self, later: Self) {
        let Self { model, tokens, read, service_tier, seconds, images, searches, premium } = later;
        self.model = model.or(self.model.take());
        self.tokens = tokens.or(self.tokens);
        self.read = read.or(self.read);
        self.service_tier = service_tier.or(self.service_tier.take());
        self.seconds = seconds.or(self.seconds);
        self.images = images.or(self.images);
        self.searches = searches.max(self.searches);
        self.premium = premium.or(self.premium);
    }
}

/// More tokens than this no request reads or produces: the longest contexts have a million or two. A
/// usage beyond it is a mistake of the provider's, which is as if it had said nothing: amounts that
/// come of it would be beyond all that is counted with.
pub(crate) const MOST_TOKENS: u64 = 1_000_000_000;

/// The text of a member, if it is a string of a sensible length.
pub(crate) fn text(object: &[u8], member: &Option<Member>) -> Option<String> {
    let member = member.as_ref().filter(|member| member.kind == Kind::String && member.span.len() <= 512)?;
    scan::unescaped(&object[member.span.clone()]).map(String::from)
}

/// The bytes of a member, if it is an object.
pub(crate) fn object<'a>(data: &'a [u8], member: &Option<Member>) -> Option<&'a [u8]> {
    let member = member.as_ref().filter(|member| member.kind == Kind::Object)?;
    Some(&data[member.span.clone()])
}
