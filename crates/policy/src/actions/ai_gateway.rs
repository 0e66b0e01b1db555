//! `ai-gateway`: sends the request to a provider. This is its configuration, and what of it must be computed
//! for each request; which provider it becomes is decided where providers are known.

mod address;
mod model;
mod names;
mod provider;
pub mod report;

use std::fmt;
use std::time::Duration;

use http::HeaderMap;

pub use self::address::BaseUrl;
pub use self::model::{Modality, Model};
pub use self::provider::{Format, Provider, Surface, SurfaceName};
use super::Next;
use super::headers::Headers;
use crate::actions::texts::short_text;
use crate::document::compiled::Tree;
use crate::document::place::{Place, all};
use crate::expression::{Expression, Scope};
use crate::run::{Effect, Exchange, Failure, Outcome};
use crate::template::Template;

/// Which providers and models a gateway offers, and how it chooses among them.
pub struct AiGateway {
    /// A prompt may be estimated at so many tokens.
    pub max_input_tokens: Option<u64>,
    /// A completion may have so many tokens.
    pub max_output_tokens: Option<u64>,
    /// What follows when all candidates have failed.
    pub on_error: OnError,
    /// How long all attempts may take together.
    pub total_timeout: Duration,
    /// How long one attempt may take.
    pub per_request_timeout: Duration,
    /// What is said of providers, in the order in which they are preferred.
    pub providers: Vec<Provider>,
    /// Whether the providers of the catalogue that are not listed stay out.
    pub only_allow_configured_providers: bool,
    /// Whether the models that are not listed stay out.
    pub only_allow_configured_models: bool,
    /// How models are chosen: the first strategy that comes to any wins.
    pub model_selection: Vec<Expression>,
    /// How a provider's keys are chosen, likewise.
    pub api_key_selection: Vec<Expression>,
    headers: Headers,
    query_params: Vec<(String, Template)>,
    body: Vec<(String, Tree)>,
}

/// What follows when all candidates have failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// The caller is told.
    Halt,
    /// The next action is looked at.
    Continue,
}

/// What is to be sent beside what the caller wrote.
#[derive(Clone, Default)]
pub struct Dispatch {
    /// Headers for the provider.
    pub headers: HeaderMap,
    /// Parameters for the query.
    pub query_params: Vec<(String, String)>,
    /// Members of the body, in the place of the caller's.
    pub body: Vec<(String, serde_json::Value)>,
}

/// What is computed may be a secret.
impl fmt::Debug for Dispatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatch")
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("query_params", &self.query_params.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("body", &self.body.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .finish()
    }
}

/// How long a parameter of the query may become, and how much the members of the body may weigh together.
const MOST_PARAMETER: usize = 8192;
const MOST_BODY: u32 = 4 << 20;
/// The most tokens that a limit may say.
const MOST_TOKENS: i64 = 500_000;

impl AiGateway {
    pub(crate) fn read(place: &Place<'_>) -> Option<Self> {
        let known = &[
            "max_input_tokens",
            "max_output_tokens",
            "headers",
            "query_params",
            "body",
            "on_error",
            "total_timeout",
            "per_request_timeout",
            "providers",
            "only_allow_configured_providers",
            "only_allow_configured_models",
            "model_selection",
            "api_key_selection",
        ];
        let fields = place.fields(known)?;
        let tokens = |place: &Place<'_>| place.integer(1..=MOST_TOKENS).map(i64::unsigned_abs);
        let max_input_tokens = fields.maybe("max_input_tokens", tokens);
        let max_output_tokens = fields.maybe("max_output_tokens", tokens);
        let headers = fields.or("headers", Headers::none(), |place| Headers::read(place, 0..=50));
        let query_params = fields.or("query_params", Vec::new(), |place| {
            all(place.entries(0..=50)?.into_iter().map(|(name, place)| Some((name, place.template()?))))
        });
        let body = fields.or("body", Vec::new(), |place| {
            all(place.entries(0..=50)?.into_iter().map(|(name, place)| Some((name, place.tree()?))))
        });
        let on_error = [("halt", OnError::Halt), ("continue", OnError::Continue)];
        let on_error = fields.or("on_error", OnError::Halt, |place| place.choice(&on_error));
        let hour = Duration::from_millis(1)..=Duration::from_hours(1);
        let total = fields.maybe("total_timeout", |place| place.duration(hour.clone()));
        let each = fields.maybe("per_request_timeout", |place| place.duration(hour));
        let providers = fields.or("providers", Vec::new(), providers);
        let only_providers = fields.or("only_allow_configured_providers", false, Place::boolean);
        let only_models = fields.or("only_allow_configured_models", false, Place::boolean);
        let models =
            fields.or("model_selection", Vec::new(), |place| strategies(place, Scope::ModelStrategy));
        let keys = fields.or("api_key_selection", Vec::new(), |place| strategies(place, Scope::KeyStrategy));
        let (total_timeout, per_request_timeout) = (total?, each?);
        Some(Self {
            max_input_tokens: max_input_tokens?,
            max_output_tokens: max_output_tokens?,
            on_error: on_error?,
            // Whoever gives one attempt longer than all of them would have means that.
            total_timeout: total_timeout
                .unwrap_or(place.operator().total_timeout.max(per_request_timeout.unwrap_or_default())),
            per_request_timeout: per_request_timeout.unwrap_or(place.operator().per_request_timeout),
            providers: providers?,
            only_allow_configured_providers: only_providers?,
            only_allow_configured_models: only_models?,
            model_selection: models?,
            api_key_selection: keys?,
            headers: headers?,
            query_params: query_params?,
            body: body?,
        })
    }

    pub(crate) fn act(
        &self,
        exchange: &mut Exchange,
        answered: Option<(Effect, Outcome)>,
    ) -> Result<Next, Failure> {
        let Some((_, Outcome::NotDispatched(result))) = answered else {
            return Ok(Next::Ask(Effect::Dispatch(self.dispatch(exchange)?)));
        };
        exchange.found_value("ai_gateway", result);
        match self.on_error {
            OnError::Continue => Ok(Next::Go),
            // Whoever brought this outcome should have answered; nobody else will.
            OnError::Halt => Err(Failure::unavailable("all providers have failed")),
        }
    }

    fn dispatch(&self, exchange: &Exchange) -> Result<Dispatch, Failure> {
        if self.headers.is_empty() && self.query_params.is_empty() && self.body.is_empty() {
            return Ok(Dispatch::default());
        }
        exchange.look(|facts| {
            let mut dispatch = Dispatch { headers: self.headers.render(facts)?, ..Dispatch::default() };
            for (name, template) in &self.query_params {
                let value = short_text(template, facts, MOST_PARAMETER)?;
                dispatch.query_params.push((name.clone(), value.as_str().to_owned()));
            }
            let mut weight = 0u32;
            for (name, tree) in &self.body {
                let value = tree.render(facts)?;
                weight = weight.saturating_add(value.weight());
                if weight > MOST_BODY {
                    return Err(Failure::evaluation("what `body` adds is too large"));
                }
                dispatch.body.push((name.clone(), value.to_json()?));
            }
            Ok(dispatch)
        })
    }
}

/// `{strategy: […]}`
fn strategies(place: &Place<'_>, scope: Scope) -> Option<Vec<Expression>> {
    let fields = place.fields(&["strategy"])?;
    fields.need("strategy", |place| place.list(0..=20, |place| place.strategy(scope)))
}

fn providers(place: &Place<'_>) -> Option<Vec<Provider>> {
    let places = place.items(0..=100)?;
    let providers = all(places.iter().map(Provider::read))?;
    names::check(&providers, place)?;
    Some(providers)
}
