//! What may be done on credits. All tenants share the operator's account there, so a request is let
//! through only if it can be priced and bounded, keeps nothing at the provider, and reaches nothing
//! that another tenant left there. What is allowed is data, per provider; everything else is refused.

pub(crate) mod anthropic;
pub mod bound;
pub(crate) mod compatible;
mod facts;
mod headers;
mod input;
mod models;
pub(crate) mod openai;
mod pictures;
mod shape;
mod sold;
pub mod steps;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use http::{HeaderMap, Method};
use model::Nanos;

use crate::catalog::Provider;
use crate::endpoint::Endpoint;
use crate::prices::Found;
use crate::scan::{Cursor, Malformed};

pub use bound::{Bound, Unbounded};
pub use facts::Facts;
pub use headers::passes;
pub use models::{list_of_models, one_model};
pub use steps::Steps;

/// What a provider's entry in the catalogue says of credits.
#[derive(Debug, PartialEq, Eq)]
pub struct Credits {
    /// The operations that may be called; no other one may.
    operations: &'static [Operation],
    /// Models that are refused, by what their names contain, and why.
    refused_models: &'static [(&'static str, &'static str)],
    /// The most tokens that a picture is read as, by the beginning of the model's name.
    pictures: &'static [pictures::Read],
    /// The most tokens that a picture is made of, by the beginning of the model's name.
    painted: &'static [pictures::Made],
    /// What the limit of output is called in chat completions.
    limit: &'static str,
    /// Models that know it by its older name, `max_tokens`, by the beginning of theirs.
    older_limit: &'static [&'static str],
    /// The most tokens that the provider adds to a request's own words.
    added: u64,
    /// How many times over, at most, it tells the model again what is explained to it.
    retold: u64,
    /// How long a completion is that names no limit, if the provider ends it by itself.
    completion_output: Option<u64>,
    /// Whether the limit of output holds for what is thought out of sight too.
    limits_thought: bool,
    /// Models that can be told not to think, and then do not, by the beginning of their names.
    switchable: &'static [&'static str],
    /// Whether the operator's account may be set to a faster, dearer tier that the request does not name.
    may_be_fast: bool,
    /// Whether its models' tokenizers are known here, so that counting bounds a text.
    is_countable: bool,
    /// Headers of the provider's own that may be there, and what they may say.
    headers: &'static [(&'static str, headers::Rule)],
    /// What may stand behind the question mark.
    queries: &'static [&'static str],
    /// Whether answers are kept unless the request says that they are not to be.
    stores: bool,
}

impl Credits {
    /// What the limit of a conversation's output is called.
    pub(crate) fn limit(&self) -> &'static str {
        self.limit
    }

    /// How long a completion gets that names no limit, where that is known.
    pub(crate) fn completion_output(&self) -> Option<u64> {
        self.completion_output
    }
}

impl Credits {
    /// Whether its models' tokenizers are known here.
    pub(crate) fn knows_tokenizers(&self) -> bool {
        self.is_countable
    }
}

/// An operation that may be called on credits: by `POST`, with a JSON object.
#[derive(Debug, PartialEq, Eq)]
struct Operation {
    endpoint: Endpoint,
    /// The members that the object may have.
    members: &'static [shape::Field],
    /// The model that serves a request which names none.
    default_model: Option<&'static str>,
    /// The kinds of models that may be asked, as the price list calls them; whichever, if there are none.
    modes: &'static [&'static str],
}

/// What is permitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Permit {
    /// The call, of which this is known. What was read here must be what is sent: plain, with the
    /// splices of its [`Bound`].
    Call(Box<Facts>),
    /// To be told of the models that have a price, by us: the provider's own list names the operator's
    /// fine-tuned models.
    Models,
    /// To be told of one of them.
    Model(String),
}

/// Why something is refused; the message names it and says what would be right. Its status is 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// The operation.
    #[error("On credits `{operation}` is not available: {why}")]
    Operation {
        /// Method and path.
        operation: String,
        /// The reason, and what would do.
        why: &'static str,
    },
    /// Something in the URL.
    #[error("On credits the query `{0}` must be left out")]
    Query(String),
    /// A header.
    #[error("On credits the header `{name}` {rule}")]
    Header {
        /// Its name.
        name: String,
        /// What it must be.
        rule: &'static str,
    },
    /// A member of the body.
    #[error("On credits `{field}` {rule}")]
    Field {
        /// Where it stands, such as `messages[0].content`.
        field: String,
        /// What it must be.
        rule: Cow<'static, str>,
    },
    /// A body that we cannot read, so that nobody knows what it costs.
    #[error("On credits the body must be plain JSON, or JSON compressed by gzip or deflate")]
    Unreadable,
    /// A body that is not JSON.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

impl Forbidden {
    /// The member or header that is at fault, for the error's `param`.
    pub fn param(&self) -> Option<&str> {
        match self {
            Self::Header { name, .. } => Some(name),
            Self::Field { field, .. } => Some(field),
            Self::Malformed(Malformed::Twice(field)) => Some(field),
            _ => None,
        }
    }

    fn field(field: &str, rule: impl Into<Cow<'static, str>>) -> Self {
        Self::Field { field: field.to_owned(), rule: rule.into() }
    }

    /// The same, told from further out.
    fn within(mut self, outer: &str) -> Self {
        if let Self::Field { field, .. } = &mut self {
            let point = if field.is_empty() || field.starts_with('[') { "" } else { "." };
            *field = format!("{outer}{point}{field}");
        }
        self
    }
}

/// A request, as far as it decides what may be done.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The operation, by [`Endpoint::of`].
    pub endpoint: Endpoint,
    /// The method.
    pub method: &'a Method,
    /// The path without its version, by [`path::operation`](crate::path::operation).
    pub operation: &'a str,
    /// What stands behind the question mark.
    pub query: Option<&'a str>,
    /// The caller's headers.
    pub headers: &'a HeaderMap,
    /// The body in plain text, or `None` if it could not be read.
    pub body: Option<&'a [u8]>,
    /// The model as the provider knows it, where the body has another name for it, as compat bodies do.
    pub model: Option<&'a str>,
}

/// What a request may do on credits, or why it may not.
pub fn allowed(provider: &Provider, request: &Request<'_>) -> Result<Permit, Forbidden> {
    let refused =
        |why| Forbidden::Operation { operation: format!("{} {}", request.method, request.operation), why };
    let Some(credits) = provider.credits else {
        return Err(refused("this provider's prices and limits are not known here; use a key of your own"));
    };
    let is_forbidden = |query: &&str| !query.is_empty() && !credits.queries.contains(query);
    if let Some(query) = request.query.filter(is_forbidden) {
        return Err(Forbidden::Query(query.chars().take(64).collect()));
    }
    headers::check(request.headers, credits.headers)?;
    if request.endpoint == Endpoint::Models && request.method == Method::GET {
        return Ok(match request.operation.trim_end_matches('/').split_once('/') {
            None => Permit::Models,
            Some((_, model)) => Permit::Model(model.to_owned()),
        });
    }
    let operation = credits.operations.iter().find(|operation| operation.endpoint == request.endpoint);
    let operation =
        operation.filter(|_| request.method == Method::POST).ok_or_else(|| refused(why(request.endpoint)))?;
    let body = request.body.ok_or(Forbidden::Unreadable)?;
    headers::check_type(request.headers)?;
    let facts = facts(credits, operation, request.model, body)?;
    Ok(Permit::Call(Box::new(facts)))
}

/// The most that a call costs by these prices that makes pictures or speaks, whose question says it all;
/// nothing if that is not known, or if it is another call.
pub fn known_cost(provider: &Provider, endpoint: Endpoint, body: &[u8], found: &Found<'_>) -> Option<Nanos> {
    if !matches!(endpoint, Endpoint::ImageGenerations | Endpoint::Speech) {
        return None;
    }
    let credits = provider.credits?;
    let operation = credits.operations.iter().find(|operation| operation.endpoint == endpoint)?;
    let facts = facts(credits, operation, None, body).ok()?;
    Some(bound::bound(provider, &facts, found, bound::DEFAULT_OUTPUT, Nanos(i64::MAX)).ok()?.whole)
}

fn facts(
    credits: &'static Credits,
    operation: &Operation,
    model: Option<&str>,
    body: &[u8],
) -> Result<Facts, Forbidden> {
    let mut facts = Facts::new(credits, operation.endpoint, body.len() as u64);
    let mut cursor = Cursor::new(body)?;
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Malformed::NotAnObject.into());
    }
    shape::object(&mut cursor, operation.members, &mut facts)?;
    cursor.end()?;
    if let Some(model) = model.or(operation.default_model.filter(|_| facts.model.is_empty())) {
        model.clone_into(&mut facts.model);
    }
    if facts.model.is_empty() {
        return Err(Forbidden::field("model", "must be named"));
    }
    if facts.limit_tokens().zip(facts.budget).is_some_and(|(limit, budget)| budget >= limit) {
        let rule = "must be less than `max_tokens`: what is thought is a part of what is produced";
        return Err(Forbidden::field("thinking.budget_tokens", rule));
    }
    let refused = credits.refused_models.iter().find(|(part, _)| facts.model.contains(part));
    match refused {
        Some((_, rule)) => Err(Forbidden::field("model", *rule)),
        None => Ok(facts),
    }
}

fn why(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Files | Endpoint::Batches => {
            "it keeps data in an account at the provider that all tenants share; use a key of your own"
        }
        Endpoint::ImageEdits
        | Endpoint::ImageVariations
        | Endpoint::Transcriptions
        | Endpoint::Translations => {
            "what it costs is known only when it is over, and nothing bounds it before; use a key of your own"
        }
        Endpoint::Messages | Endpoint::CountTokens => {
            "its models are sold by `chat/completions`, if they are; or use a key of your own"
        }
        Endpoint::Responses => {
            "responses are kept at the provider, or may use its tools; ask by `chat/completions`, or use a key of \
             your own"
        }
        _ => {
            "it has no price, or no bound, or reaches what others keep at the provider; use a key of your own"
        }
    }
}
