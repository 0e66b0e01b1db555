//! What a request used and what that costs: as reported, else counted, else unknown. The prices are
//! those that held when it came, whatever is changed until it ends.

mod least;
mod markup;

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use model::AccountId;
use model::prices::Tier;
use model::usage::{Provenance, Tokens, UsageRecord};
use providers::answer::Answer;
use providers::catalog::Dialect;
use providers::openai::units;
use providers::prices::{Catalogue, Found, Price, Rules, custom_cost};
use providers::rated::{Rated, Served};
use providers::{Endpoint, tokens};
use time::OffsetDateTime;

use crate::headers::CF_AIG_CUSTOM_COST;
use crate::refusal::{Refusal, Unpaid};
use crate::servers::Server;
use crate::snapshot::Snapshot;
use crate::stages::authenticate::Caller;
use crate::stages::inspect::Inquiry;
use crate::stages::resolve::Place;
use crate::stages::route::Credential;
use crate::visit::Arrival;
pub use least::Least;
pub use markup::Markup;

static X_GEMINI_SERVICE_TIER: HeaderName = HeaderName::from_static("x-gemini-service-tier");

/// What a model produced, where nobody says how many tokens it is.
#[derive(Debug)]
pub enum Produced {
    /// The text of a stream, or its beginning, and the length of all of it.
    Text {
        /// The beginning.
        text: String,
        /// All of it.
        bytes: u64,
    },
    /// An answer in one piece.
    Document(Bytes),
}

/// What must be kept of a request to rate it when its answer is over.
#[derive(Debug)]
pub struct Rating {
    /// Who serves it.
    pub server: Server,
    /// The operation.
    pub endpoint: Endpoint,
    /// The model as the provider knows it.
    model: String,
    service_tier: Option<String>,
    /// The tier that an answer's head names, which need not be the one that was asked for.
    tier_served: OnceLock<String>,
    units: units::Asked,
    text: Bytes,
    account: AccountId,
    at: OffsetDateTime,
    /// The price list under the operator's rules, if he has any.
    catalogue: Option<Arc<Catalogue>>,
    reporting: Reporting,
    /// What is charged on top, if credits pay.
    markup: Option<Markup>,
}

/// By whose prices a request is reported: the caller's, else the account's, else the price list's. On
/// credits these are always the price list's.
#[derive(Debug, Default)]
struct Reporting {
    /// Those that came with the request.
    callers: Option<Box<Price>>,
    /// Those of the account, which need not have one for the model.
    accounts: Option<Arc<Rules>>,
    /// Whether spending is limited. Then the caller's own can make a request dearer and not cheaper, or
    /// whoever is limited could say that nothing costs anything.
    is_limited: bool,
}

impl Rating {
    /// What `inquiry` asks of `server`.
    pub fn new(
        snapshot: &Snapshot,
        arrival: Arrival,
        place: &Place,
        caller: &Caller,
        payer: (&Server, Endpoint, &Credential),
        inquiry: &mut Inquiry,
        headers: &HeaderMap,
    ) -> Result<Self, Refusal> {
        let (server, endpoint, credential) = payer;
        let callers = headers.get(&CF_AIG_CUSTOM_COST).map(|said| custom_cost(said.as_bytes())).transpose();
        let callers = callers.map_err(Refusal::CustomCost)?.map(Box::new);
        let on_credits = matches!(credential, Credential::Credits);
        let reporting = match on_credits {
            true => Reporting::default(),
            false => {
                let (accounts, is_limited) = (place.account.own_rules().cloned(), is_limited(place, caller));
                Reporting { callers, accounts, is_limited }
            }
        };
        let unknown = Unpaid::NotNow { reason: "this proxy does not know the operator's terms yet" };
        let markup = || {
            let terms = snapshot.terms().ok_or(unknown)?;
            Ok::<_, Refusal>(Markup(place.account.terms().markup_ppm(terms)))
        };
        let markup = if on_credits { Some(markup()?) } else { None };
        Ok(Self {
            server: server.clone(),
            endpoint,
            model: std::mem::take(&mut inquiry.model),
            service_tier: inquiry.service_tier.take(),
            tier_served: OnceLock::new(),
            units: units::Asked::read(endpoint, &inquiry.text),
            text: inquiry.text.clone(),
            account: place.account_id,
            at: arrival.moment(),
            catalogue: snapshot.installation().and_then(|installation| installation.catalogue().cloned()),
            reporting,
            markup,
        })
    }

    /// The model as the provider knows it.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Notes the tier that an answer's head names. Only Google's do.
    pub fn note_tier(&self, headers: &HeaderMap) {
        if self.endpoint.dialect() != Some(Dialect::Google) {
            return;
        }
        let named = headers.get(&X_GEMINI_SERVICE_TIER).and_then(|tier| tier.to_str().ok());
        if let Some(tier) = named.filter(|tier| tier.len() <= 64) {
            // There is one answer to each attempt, so that nothing was noted before.
            self.tier_served.get_or_init(|| tier.to_ascii_lowercase());
        }
    }

    /// What is charged on top of cost, if credits pay.
    pub fn markup(&self) -> Option<Markup> {
        self.markup
    }

    /// The prices of the model that is asked for, if there are any.
    pub fn price(&self) -> Option<Found<'_>> {
        self.prices().next()
    }

    /// The same, and where the dearer of two prices holds, the other one.
    pub fn prices(&self) -> impl Iterator<Item = Found<'_>> {
        let Reporting { callers, accounts, is_limited } = &self.reporting;
        let (provider, model) = (self.server.slug(), self.model.as_str());
        let callers = callers.as_deref().map(|price| Found::of(price, "", ""));
        let accounts = || accounts.as_ref()?.find(self.account, provider, model, self.at);
        let listed = || self.catalogue().price(self.account, provider, model, self.at);
        let others = (callers.is_none() || *is_limited).then(|| accounts().or_else(listed)).flatten();
        callers.into_iter().chain(others).filter(|found| found.price.is_priced())
    }

    /// Whether an answer says enough to be rated, as it does where pictures or characters are billed.
    pub fn is_rated(&self, answer: &Answer) -> bool {
        self.endpoint.runs_a_model() && self.rated(answer).is_some()
    }

    /// Whether there is anything to count, should nobody report it.
    pub fn is_countable(&self, record: &UsageRecord) -> bool {
        self.endpoint.runs_a_model() && has_succeeded(record) && !self.text.is_empty()
    }

    /// Counts the tokens of what was asked. Loads a tokenizer at the first call, and is work.
    pub fn count_input(&self) -> u64 {
        tokens::counted(self.endpoint, &self.model, &self.text, "").input
    }

    /// Counts what was asked and what was produced, for an answer that does not say it. Work, as
    /// [`count_input`](Self::count_input).
    pub fn count(&self, record: &mut UsageRecord, mut answer: Answer, produced: &Produced) {
        let (text, bytes) = match produced {
            Produced::Text { text, bytes } => (Cow::Borrowed(text.as_str()), *bytes),
            Produced::Document(body) => {
                let text = tokens::answer_text(body);
                let bytes = text.len() as u64;
                (Cow::Owned(text), bytes)
            }
        };
        let mut counted = tokens::counted(self.endpoint, &self.model, &self.text, &text);
        record.provenance = match tokens::is_estimate(self.server.provider, self.endpoint) {
            true => Provenance::Estimated,
            false => Provenance::Counted,
        };
        // What the provider said of its input is known better than we can count it.
        if let Some(read) = answer.read {
            counted = Tokens { output: counted.output, ..read };
        }
        // Only the beginning of a very long text is kept; the rest is taken to be like it.
        if bytes > text.len() as u64 && !text.is_empty() {
            let output = u128::from(counted.output) * u128::from(bytes) / text.len() as u128;
            counted.output = u64::try_from(output).unwrap_or(u64::MAX);
            record.provenance = Provenance::Estimated;
        }
        answer.tokens = Some(counted);
        self.rate(record, &answer);
    }

    /// Counts what was asked of a provider that was given up before it answered.
    pub fn input(&self, record: &mut UsageRecord) {
        let produced = Produced::Text { text: String::new(), bytes: 0 };
        self.count(record, Answer::default(), &produced);
    }

    /// Notes what the provider reported. What it refused it does not bill, unless it says that it does:
    /// pictures and characters that were asked for did not come.
    pub fn reported(&self, record: &mut UsageRecord, answer: &Answer) {
        if answer.tokens.is_some() {
            record.provenance = Provenance::Reported;
        } else if !has_succeeded(record) {
            return;
        }
        self.rate(record, answer);
    }

    fn rate(&self, record: &mut UsageRecord, answer: &Answer) {
        record.tokens = answer.tokens.unwrap_or_default();
        record.model_served = answer.model.clone().unwrap_or_default();
        if !self.endpoint.runs_a_model() {
            return;
        }
        let Some((rated, is_custom)) = self.rated(answer) else { return };
        let Rated { cost, units, tier, name, version } = rated;
        record.cost = Some(cost);
        record.units = units;
        record.tier = if tier == Tier::Standard { String::new() } else { tier.as_str().to_owned() };
        record.price_model = name;
        record.price_version = version;
        record.custom_cost = is_custom;
        if let Some(markup) = self.markup {
            record.markup_ppm = markup.0;
            record.charge = markup.on(cost);
        }
    }

    fn rated(&self, answer: &Answer) -> Option<(Rated, bool)> {
        let named;
        let answer = match self.tier_served.get() {
            Some(tier) => {
                named = Answer { service_tier: Some(tier.clone()), ..answer.clone() };
                &named
            }
            None => answer,
        };
        let served = Served {
            account: self.account,
            provider: self.server.slug(),
            endpoint: self.endpoint,
            model: &self.model,
            service_tier: self.service_tier.as_deref(),
            asked: &self.units,
            at: self.at,
        };
        let Reporting { callers, accounts, is_limited } = &self.reporting;
        let by_callers = |price| Some((served.by(&Found::of(price, "", ""), answer)?, true));
        let by_callers = callers.as_deref().and_then(by_callers);
        if callers.is_some() && !is_limited {
            return by_callers;
        }
        let names = [answer.model.as_deref().unwrap_or_default(), &self.model];
        let find = |name| accounts.as_ref()?.find(self.account, self.server.slug(), name, self.at);
        let others = match names.into_iter().find_map(find) {
            Some(found) => served.by(&found, answer).map(|rated| (rated, true)),
            None => served.rated(self.catalogue(), answer).map(|rated| (rated, false)),
        };
        by_callers.into_iter().chain(others).max_by_key(|(rated, _)| rated.cost)
    }

    fn catalogue(&self) -> &Catalogue {
        self.catalogue.as_deref().unwrap_or(Catalogue::current())
    }
}

/// Whether anything limits what the request may cost.
fn is_limited(place: &Place, caller: &Caller) -> bool {
    !place.gateway.gateway.spend_rules.is_empty()
        || place.account.terms().spending_limit.is_some()
        || caller.token().is_some_and(|token| token.bounded.is_some())
}

fn has_succeeded(record: &UsageRecord) -> bool {
    (200..300).contains(&record.status)
}
