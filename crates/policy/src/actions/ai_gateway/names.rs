//! That every name means one provider, or one model.

use std::collections::HashMap;

use super::Provider;
use crate::document::place::Place;
use crate::problem::Code;

/// How many contradictions are told: each is looked up in the document once more.
const MOST_TOLD: usize = 10;

/// A name that something else has already: the steps to it below `providers`.
type Taken = Vec<Step>;

#[derive(Clone, Copy)]
enum Step {
    Field(&'static str),
    Item(usize),
}

/// Names have no case. Several providers may serve a model under one id, but an alias means one of them.
pub(super) fn check(providers: &[Provider], place: &Place<'_>) -> Option<()> {
    let of_providers = taken_by_providers(providers);
    let of_models = taken_by_models(providers);
    if of_providers.is_empty() && of_models.is_empty() {
        return Some(());
    }
    let said = [
        (of_providers, "Another provider has this id or alias already."),
        (of_models, "Another model has this id or alias already."),
    ];
    for (taken, message) in said {
        for steps in taken.into_iter().take(MOST_TOLD) {
            let at = steps.into_iter().try_fold(place.clone(), below).unwrap_or_else(|| place.clone());
            at.wrong::<()>(Code::Duplicate, message);
        }
    }
    None
}

fn taken_by_providers(providers: &[Provider]) -> Vec<Taken> {
    let mut owners = HashMap::new();
    let mut taken = Vec::new();
    for (index, provider) in providers.iter().enumerate() {
        for (name, step) in names(&provider.id, &provider.id_aliases) {
            if *owners.entry(name).or_insert(index) != index {
                taken.push([vec![Step::Item(index)], step].concat());
            }
        }
    }
    taken
}

fn taken_by_models(providers: &[Provider]) -> Vec<Taken> {
    let all = || {
        providers.iter().enumerate().flat_map(|(provider, of)| {
            of.models.iter().enumerate().map(move |(index, model)| ((provider, index), model))
        })
    };
    let steps = |(provider, index), step| {
        [vec![Step::Item(provider), Step::Field("models"), Step::Item(index)], step].concat()
    };
    let mut taken = Vec::new();
    // The models of each id, at most one of a provider: in the order of providers, so the last one tells.
    let mut ids: HashMap<String, Vec<(usize, usize)>> = HashMap::new();
    for (at, model) in all() {
        let with_id = ids.entry(model.id.to_lowercase()).or_default();
        if with_id.last().is_some_and(|(provider, _)| *provider == at.0) {
            taken.push(steps(at, vec![Step::Field("id")]));
        } else {
            with_id.push(at);
        }
    }
    let mut aliases = HashMap::new();
    for (at, model) in all() {
        for (name, step) in names(&model.id, &model.id_aliases).skip(1) {
            let is_an_id = ids.get(&name).is_some_and(|with_id| with_id.iter().any(|other| *other != at));
            if is_an_id || *aliases.entry(name).or_insert(at) != at {
                taken.push(steps(at, step));
            }
        }
    }
    taken
}

fn names<'a>(id: &'a str, aliases: &'a [String]) -> impl Iterator<Item = (String, Vec<Step>)> + 'a {
    let aliases = aliases.iter().enumerate();
    let aliases = aliases.map(|(index, alias)| (alias, vec![Step::Field("id_aliases"), Step::Item(index)]));
    std::iter::once((id, vec![Step::Field("id")]))
        .chain(aliases.map(|(alias, step)| (alias.as_str(), step)))
        .map(|(name, step)| (name.to_lowercase(), step))
}

fn below<'n>(place: Place<'n>, step: Step) -> Option<Place<'n>> {
    match step {
        Step::Item(index) => place.items(0..=usize::MAX)?.into_iter().nth(index),
        Step::Field(name) => {
            let entries = place.entries(0..=usize::MAX)?;
            entries.into_iter().find(|(found, _)| found == name).map(|(_, place)| place)
        }
    }
}
