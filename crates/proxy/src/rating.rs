//! What a request used and what that costs: as reported, else counted, else unknown.

use std::borrow::Cow;

use bytes::Bytes;
use http::HeaderMap;
use model::usage::{Provenance, UsageRecord};
use providers::catalog::Provider;
use providers::openai::usage::Answer;
use providers::prices::{Catalogue, Price, Tier};
use providers::{Endpoint, tokens};

use crate::custom_cost::custom_cost;
use crate::headers::CF_AIG_CUSTOM_COST;
use crate::refusal::Refusal;
use crate::stages::inspect::Inquiry;

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
#[derive(Debug, Clone)]
pub struct Rating {
    /// Who serves it.
    pub provider: &'static Provider,
    /// The operation.
    pub endpoint: Endpoint,
    /// The model as the provider knows it.
    model: String,
    service_tier: Option<String>,
    text: Bytes,
    /// The caller's own prices.
    custom: Option<Box<Price>>,
}

impl Rating {
    /// What `inquiry` asks of `provider`.
    pub fn new(
        provider: &'static Provider,
        endpoint: Endpoint,
        inquiry: &mut Inquiry,
        headers: &HeaderMap,
    ) -> Result<Self, Refusal> {
        let custom = headers.get(&CF_AIG_CUSTOM_COST).map(|said| custom_cost(said.as_bytes())).transpose()?;
        Ok(Self {
            provider,
            endpoint,
            model: std::mem::take(&mut inquiry.model),
            service_tier: inquiry.service_tier.take(),
            text: std::mem::take(&mut inquiry.text),
            custom: custom.map(Box::new),
        })
    }

    /// Whether there is anything to count, should nobody report it.
    pub fn is_countable(&self, record: &UsageRecord) -> bool {
        let succeeded = (200..300).contains(&record.status);
        self.endpoint.runs_a_model() && succeeded && !self.text.is_empty()
    }

    /// Counts what was asked and what was produced. Loads a tokenizer at the first call, and is work.
    pub fn count(&self, record: &mut UsageRecord, produced: &Produced) {
        let (text, bytes) = match produced {
            Produced::Text { text, bytes } => (Cow::Borrowed(text.as_str()), *bytes),
            Produced::Document(body) => {
                let text = tokens::answer_text(body);
                let bytes = text.len() as u64;
                (Cow::Owned(text), bytes)
            }
        };
        record.tokens = tokens::counted(self.endpoint, &self.model, &self.text, &text);
        record.provenance = Provenance::Counted;
        // Only the beginning of a very long text is kept; the rest is taken to be like it.
        if bytes > text.len() as u64 && !text.is_empty() {
            let output = u128::from(record.tokens.output) * u128::from(bytes) / text.len() as u128;
            record.tokens.output = u64::try_from(output).unwrap_or(u64::MAX);
            record.provenance = Provenance::Estimated;
        }
        self.price(record, None);
    }

    /// Notes what the provider reported.
    pub fn reported(&self, record: &mut UsageRecord, answer: Answer) {
        let Answer { model, tokens, service_tier, .. } = answer;
        if let Some(tokens) = tokens {
            record.tokens = tokens;
            record.provenance = Provenance::Reported;
        }
        record.model_served = model.unwrap_or_default();
        self.price(record, service_tier.as_deref());
    }

    /// Prices the record's tokens by the model that served if it is priced, else by the one asked.
    fn price(&self, record: &mut UsageRecord, service_tier: Option<&str>) {
        if !self.endpoint.runs_a_model() {
            return;
        }
        if let Some(custom) = &self.custom {
            record.cost = custom.rate(&record.tokens, Tier::Standard);
            record.custom_cost = record.cost.is_some();
            return;
        }
        let catalogue = Catalogue::current();
        let names = [record.model_served.as_str(), self.model.as_str()];
        let mut named = names.into_iter().filter(|name| !name.is_empty());
        let Some(price) = named.find_map(|name| catalogue.find(self.provider.slug, name)) else { return };
        let tier = service_tier.or(self.service_tier.as_deref()).map(Tier::from_word).unwrap_or_default();
        record.cost = price.rate(&record.tokens, tier);
        if record.cost.is_some() {
            catalogue.version().clone_into(&mut record.price_version);
        }
    }
}
