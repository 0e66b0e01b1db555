//! All models that can be asked in a format for an operation, in the order in which they would be tried without
//! a strategy, those among them that the gateway does not allow.

use std::collections::HashMap;
use std::sync::Arc;

use policy::facts::{ModelFacts, Remembered};
use providers::catalog::Provider;
use providers::models::{Asked, Candidate, Host, Known};

use super::facts::{Hosts, address, model_at, shared};
use crate::effects::standing::ModelAt;
use crate::policies::Compiled;

/// All models that strategies choose from.
#[derive(Debug)]
pub(super) struct Universe {
    pub(super) facts: Vec<Arc<ModelFacts>>,
    pub(super) entries: Vec<Entry>,
    /// For each strategy what it comes to as far as that depends on nothing else.
    pub(super) remembered: Vec<Remembered>,
    /// The places of models of the catalogue.
    known: HashMap<usize, u32>,
    /// The places of models of the policy, by the provider's place there and their own.
    configured: HashMap<(usize, usize), u32>,
}

/// A model that can be asked.
#[derive(Debug)]
pub(super) struct Entry {
    /// `openai:gpt-4o`
    pub(super) name: Arc<str>,
    pub(super) is_allowed: bool,
    pub(super) at: Option<ModelAt>,
    built_in: Option<&'static Provider>,
    known: Option<Known<'static>>,
    upstream: Box<str>,
    /// The provider's place in the policy, and the model's there.
    provider: Option<usize>,
    model: Option<usize>,
}

impl Universe {
    pub(super) fn of(compiled: &Compiled, asked: Asked<'_>) -> Self {
        let gateway = compiled.policy.ai_gateway();
        let strategies = gateway.map_or(0, |gateway| gateway.model_selection.len());
        let mut universe = Self {
            facts: Vec::new(),
            entries: Vec::new(),
            remembered: (0..strategies).map(|_| Remembered::default()).collect(),
            known: HashMap::new(),
            configured: HashMap::new(),
        };
        let mut hosts = Hosts::default();
        for (place, candidate) in (0..).zip(compiled.selection.universe(asked)) {
            let (provider, model) = places(&candidate);
            if let Some(known) = candidate.known {
                universe.known.insert(address(known.offer), place);
            }
            if let (Some(provider), Some(model)) = (provider, model) {
                universe.configured.insert((provider, model), place);
            }
            universe.facts.push(hosts.of(&candidate, gateway));
            universe.entries.push(Entry {
                name: name(&candidate),
                is_allowed: compiled.selection.allows(&candidate, asked).is_ok(),
                at: model_at(&candidate),
                built_in: candidate.host.built_in,
                known: candidate.known.and_then(shared).map(|shared| shared.known),
                upstream: candidate.upstream.into(),
                provider,
                model,
            });
        }
        universe
    }

    /// The place of a candidate, if it is one of these.
    pub(super) fn place(&self, candidate: &Candidate<'_>) -> Option<u32> {
        let configured = match places(candidate) {
            (Some(provider), Some(model)) => self.configured.get(&(provider, model)),
            _ => None,
        };
        let known = || self.known.get(&address(candidate.known?.offer));
        configured.or_else(known).copied()
    }

    /// The candidate at a place.
    pub(super) fn candidate<'a>(&self, compiled: &'a Compiled, place: usize) -> Option<Candidate<'a>> {
        let Entry { built_in, known, upstream, provider, model, .. } = self.entries.get(place)?;
        let of_policy = |place: usize| Some((place, compiled.selection.providers().get(place)?));
        let configured = provider.and_then(of_policy);
        Some(Candidate {
            host: Host { built_in: *built_in, configured },
            upstream: upstream.to_string().into(),
            known: *known,
            configured: model.and_then(|model| Some((model, configured?.1.models.get(model)?))),
        })
    }
}

fn places(candidate: &Candidate<'_>) -> (Option<usize>, Option<usize>) {
    (candidate.host.configured.map(|(place, _)| place), candidate.configured.map(|(place, _)| place))
}

/// `openai:gpt-4o`
pub(super) fn name(candidate: &Candidate<'_>) -> Arc<str> {
    format!("{}:{}", candidate.host.id(), candidate.id()).into()
}
