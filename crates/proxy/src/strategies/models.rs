//! The choice of models: the first strategy counts that comes to any that the gateway allows and the caller named.

use std::sync::Arc;

use policy::expression::StrategyError;
use policy::facts::{Choice, Facts, Metrics, MetricsOf, ModelFacts};
use providers::models::{Asked, Candidate};

use super::facts::{Hosts, model_at};
use super::told::{ModelSelection, Named};
use super::universe::{Universe, name};
use super::{Watching, Why};
use crate::effects::standing::ModelAt;
use crate::policies::Compiled;

/// What is to be chosen.
pub struct Choosing<'a> {
    /// The policy with the strategies.
    pub compiled: &'a Compiled,
    /// What is asked for.
    pub asked: Asked<'a>,
    /// For each name that the caller gave those whom it means, all of them allowed; `None` if he gave none.
    pub clients: Option<Vec<Vec<Candidate<'a>>>>,
    /// How models have fared; `None` reads as if nobody had been asked yet.
    pub watching: Option<Watching<'a>>,
}

/// Models in the order in which they are to be tried.
pub struct Picks<'a> {
    compiled: &'a Compiled,
    universe: Arc<Universe>,
    places: Vec<usize>,
    /// As the caller named them, by their places.
    clients: Vec<(usize, Candidate<'a>)>,
}

impl<'a> Picks<'a> {
    /// The candidates, each made when it is asked for: there may be hundreds.
    pub fn candidates(self) -> impl Iterator<Item = Candidate<'a>> {
        let Self { compiled, universe, places, clients } = self;
        places.into_iter().filter_map(move |place| {
            let of_client =
                clients.iter().find(|(at, _)| *at == place).map(|(_, candidate)| candidate.clone());
            of_client.or_else(|| universe.candidate(compiled, place))
        })
    }
}

/// The models, and what each strategy did. The facts are those of the request.
pub fn choose<'a>(
    choosing: Choosing<'a>,
    facts: &Facts<'_>,
) -> (Result<Picks<'a>, Why>, Vec<ModelSelection>) {
    let Choosing { compiled, asked, clients, watching } = choosing;
    let gateway = compiled.policy.ai_gateway();
    let strategies = gateway.map_or(&[][..], |gateway| &gateway.model_selection);
    let all = All::of(compiled, asked, clients);
    let metrics = |place: usize, of: MetricsOf<'_>| match (watching, all.at(place)) {
        (Some(Watching { standing, whose, now_ms }), Some(at)) => standing.metrics(whose, at, of, now_ms),
        _ => Metrics::default(),
    };
    let metered_keys = |place: usize| match (watching, all.at(place)) {
        (Some(Watching { standing, whose, .. }), Some(at)) => standing.keys(whose.0, at),
        _ => Vec::new(),
    };
    let mut told = Vec::with_capacity(strategies.len());
    let mut failed: Vec<StrategyError> = Vec::new();
    for (at, strategy) in strategies.iter().enumerate() {
        let mut selection = ModelSelection { strategy: strategy.text().to_owned(), ..Default::default() };
        let choice = Choice {
            models: &all.universe.facts,
            named: &all.named,
            remembered: all.universe.remembered.get(at),
            metrics: &metrics,
            metered_keys: &metered_keys,
            keys: &[],
        };
        let returned = match strategy.choose(&Facts { choice: Some(&choice), ..*facts }) {
            Ok(returned) => returned,
            Err(error) => {
                selection.error = Some(error.to_string());
                told.push(selection);
                failed.push(error);
                continue;
            }
        };
        let allowed: Vec<usize> = returned.iter().copied().filter(|place| all.is_allowed(*place)).collect();
        let asked_for = all.asked_for(&allowed);
        selection.candidates_returned = all.called(&returned);
        selection.candidates_after_allowed_filter = all.called(&allowed);
        selection.candidates_after_client_filter = all.called(&asked_for);
        if asked_for.is_empty() {
            told.push(selection);
            continue;
        }
        selection.models_to_try = selection.candidates_after_client_filter.clone();
        told.push(selection);
        let All { universe, clients, .. } = all;
        let clients = clients.unwrap_or_default().into_iter().flatten().collect();
        return (Ok(Picks { compiled, universe, places: asked_for, clients }), told);
    }
    let is_wrong = |error: &StrategyError| matches!(error, StrategyError::WrongType { .. });
    let why = match failed.iter().find(|error| is_wrong(error)).or(failed.first()) {
        Some(error) if failed.len() == strategies.len() && is_wrong(error) => {
            Why::WrongType(error.to_string())
        }
        Some(error) if failed.len() == strategies.len() => Why::Failed(error.to_string()),
        _ => Why::NoModel,
    };
    (Err(why), told)
}

/// All models: those that are known, and behind them those that the caller named besides.
struct All<'a> {
    universe: Arc<Universe>,
    named: Vec<Arc<ModelFacts>>,
    /// Of those who are named besides: what they are called, and counted under.
    besides: Vec<(Arc<str>, Option<ModelAt>)>,
    /// For each name that the caller gave whom it means, and their places.
    clients: Option<Vec<Vec<(usize, Candidate<'a>)>>>,
}

impl<'a> All<'a> {
    fn of(compiled: &'a Compiled, asked: Asked<'_>, clients: Option<Vec<Vec<Candidate<'a>>>>) -> Self {
        let universe = compiled.strategies.universe(compiled, asked);
        let mut all = Self { universe, named: Vec::new(), besides: Vec::new(), clients: None };
        let Some(clients) = clients else { return all };
        let (gateway, mut hosts) = (compiled.policy.ai_gateway(), Hosts::default());
        let mut placed: Vec<Vec<(usize, Candidate<'a>)>> = Vec::with_capacity(clients.len());
        for of_name in clients {
            let mut of_this = Vec::with_capacity(of_name.len());
            for candidate in of_name {
                let earlier = || {
                    let mut earlier = placed.iter().flatten().chain(&of_this);
                    earlier.find(|(_, other)| other.is(&candidate)).map(|(place, _)| *place)
                };
                let known = all.universe.place(&candidate).map(|place| place as usize);
                let place = known.or_else(earlier).unwrap_or_else(|| {
                    all.named.push(hosts.of(&candidate, gateway));
                    all.besides.push((name(&candidate), model_at(&candidate)));
                    all.universe.facts.len() + all.named.len() - 1
                });
                of_this.push((place, candidate));
            }
            placed.push(of_this);
        }
        all.clients = Some(placed);
        all
    }

    fn at(&self, place: usize) -> Option<ModelAt> {
        match self.universe.entries.get(place) {
            Some(entry) => entry.at,
            None => self.besides.get(place.checked_sub(self.universe.entries.len())?)?.1,
        }
    }

    /// Whatever the caller names besides was looked up, and would have been refused.
    fn is_allowed(&self, place: usize) -> bool {
        self.universe.entries.get(place).is_none_or(|entry| entry.is_allowed)
    }

    /// Those of them that the caller named, in the order of his names; whom one name means, in the order given.
    fn asked_for(&self, places: &[usize]) -> Vec<usize> {
        let Some(clients) = &self.clients else { return places.to_vec() };
        let mut asked_for = Vec::new();
        for of_name in clients {
            let is_meant = |place: &&usize| of_name.iter().any(|(meant, _)| meant == *place);
            for place in places.iter().filter(is_meant) {
                if !asked_for.contains(place) {
                    asked_for.push(*place);
                }
            }
        }
        asked_for
    }

    fn called(&self, places: &[usize]) -> Named {
        let called = |place: &usize| match self.universe.entries.get(*place) {
            Some(entry) => &entry.name,
            None => &self.besides[*place - self.universe.entries.len()].0,
        };
        Named::of(places.iter().map(called))
    }
}
