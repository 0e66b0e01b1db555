//! What strategies know of a model: what the catalogues and the policy say.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use policy::Value;
use policy::actions::ai_gateway::AiGateway;
use policy::facts::ModelFacts;
use policy::value::{List, Map};
use providers::models::{Candidate, Host, Known, Models, Offer, pricing};
use providers::prices::Catalogue;

use crate::effects::standing::ModelAt;

/// A model of the catalogue at a provider of it, and what strategies know of it where a policy says nothing.
pub(super) struct Shared {
    pub(super) known: Known<'static>,
    facts: Arc<ModelFacts>,
}

/// By the place in memory of the catalogue's entry: they stay where they are.
static CATALOGUE: LazyLock<HashMap<usize, Shared>> = LazyLock::new(|| {
    let mut hosts = Hosts::default();
    let shared = |known: Known<'static>| {
        let host = Host { built_in: Some(known.offer.provider), configured: None };
        let upstream = known.offer.model.as_str().into();
        let candidate = Candidate { host, upstream, known: Some(known), configured: None };
        let facts = Arc::new(hosts.facts(&candidate, None));
        (address(known.offer), Shared { known, facts })
    };
    Models::current().offers().map(shared).collect()
});

pub(super) fn address(offer: &Offer) -> usize {
    std::ptr::from_ref(offer).addr()
}

pub(super) fn shared(known: Known<'_>) -> Option<&'static Shared> {
    CATALOGUE.get(&address(known.offer))
}

/// What is said of providers, written out once for all of their models.
#[derive(Default)]
pub(super) struct Hosts {
    hosts: HashMap<String, Hosted>,
}

struct Hosted {
    id: Arc<str>,
    aliases: Arc<List>,
    metadata: Arc<Map>,
}

impl Hosts {
    /// What is known of a candidate.
    pub(super) fn of(&mut self, candidate: &Candidate<'_>, gateway: Option<&AiGateway>) -> Arc<ModelFacts> {
        let is_plain = candidate.host.configured.is_none() && candidate.configured.is_none();
        let shared = candidate.known.filter(|_| is_plain).and_then(shared);
        match shared {
            Some(shared) => Arc::clone(&shared.facts),
            None => Arc::new(self.facts(candidate, gateway)),
        }
    }

    fn facts(&mut self, candidate: &Candidate<'_>, gateway: Option<&AiGateway>) -> ModelFacts {
        let said = candidate.host.configured.and_then(|(place, _)| gateway?.providers.get(place));
        let of_model = candidate.configured.and_then(|(place, _)| said?.models.get(place));
        let metadata = |value: Option<&Value>| match value {
            Some(Value::Map(map)) => Arc::clone(map),
            _ => Arc::clone(Map::empty()),
        };
        let host = candidate.host;
        let hosted = self.hosts.entry(host.id().to_owned()).or_insert_with(|| Hosted {
            id: host.id().into(),
            aliases: Arc::new(host.aliases().collect()),
            metadata: metadata(said.map(|provider| &provider.metadata)),
        });
        let names = |names: &[String]| Arc::new(names.iter().map(String::as_str).collect::<List>());
        let aliases = candidate.aliases();
        ModelFacts {
            id_aliases: Arc::new(aliases.iter().map(|alias| &**alias).collect()),
            provider_id: Arc::clone(&hosted.id),
            provider_id_aliases: Arc::clone(&hosted.aliases),
            provider_metadata: Arc::clone(&hosted.metadata),
            author_id: candidate.author().into(),
            display_name: candidate.display_name().into(),
            description: candidate.description().into(),
            known: candidate.known.is_some(),
            custom: candidate.configured.is_some(),
            metadata: metadata(of_model.map(|model| &model.metadata)),
            input_modalities: names(candidate.input_modalities()),
            output_modalities: names(candidate.output_modalities()),
            supported_features: names(candidate.features()),
            max_context_window: candidate.context_window(),
            max_output_tokens: candidate.max_output_tokens(),
            prices: prices(candidate),
            // Neither catalogue says where providers compute, nor how they keep what they are sent.
            ..ModelFacts::new(host.id(), candidate.id())
        }
    }
}

/// What the price list says. An operator's prices for some accounts are between him and them.
fn prices(candidate: &Candidate<'_>) -> Vec<(&'static str, f64)> {
    let names = [candidate.known.map(|known| known.offer.model.as_str()), Some(&*candidate.upstream)];
    let price = candidate.host.built_in.and_then(|provider| {
        names.into_iter().flatten().find_map(|model| Catalogue::current().find(provider.slug, model))
    });
    price.map(pricing).unwrap_or_default()
}

/// What a candidate is counted under; nothing for a model that neither the catalogue nor the policy knows.
pub fn model_at(candidate: &Candidate<'_>) -> Option<ModelAt> {
    let known = candidate.known.map(|known| known.offer.model.as_str());
    let model = known.or_else(|| candidate.configured.map(|(_, model)| model.id.as_str()))?;
    let is_elsewhere = candidate.host.configured.is_some_and(|(_, provider)| provider.base.is_some());
    Some(ModelAt::of(candidate.host.slug(), model, candidate.host.built_in.is_some() && !is_elsewhere))
}
