//! Which models a name means. Case does not matter.

use std::collections::HashMap;

use super::document::InvalidModels;
use super::{Model, Provider};

/// What a name means: a model, or a model at one of those who serve it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meaning {
    pub(super) model: usize,
    pub(super) offer: Option<usize>,
}

/// All names, in lower case.
#[derive(Debug, Default)]
pub(super) struct Names {
    meanings: HashMap<String, Vec<Meaning>>,
    /// What each provider calls its models.
    offered: HashMap<&'static str, HashMap<String, (usize, usize)>>,
}

impl Names {
    /// The names of these models. What is said by the catalogue goes before what follows from it: an id
    /// or nickname, then an id behind its author's name, then what providers call a model, then an id
    /// without its author's name.
    pub(super) fn of(models: &[Model]) -> Self {
        let mut names = Self::default();
        for pass in [own, full, offered, short] {
            let mut found: Vec<(String, Meaning)> = Vec::new();
            for (index, model) in models.iter().enumerate() {
                pass(index, model, &mut found);
            }
            found.retain(|(name, _)| !names.meanings.contains_key(name));
            for (name, meaning) in found {
                let meanings = names.meanings.entry(name).or_default();
                if !meanings.contains(&meaning) {
                    meanings.push(meaning);
                }
            }
        }
        for (index, model) in models.iter().enumerate() {
            for (place, offer) in model.offers.iter().enumerate() {
                let known = names.offered.entry(offer.provider.slug).or_default();
                for name in std::iter::once(&offer.model).chain(&offer.aliases) {
                    known.entry(name.to_lowercase()).or_insert((index, place));
                }
            }
        }
        names
    }

    /// Whether every id and nickname is that of one model.
    pub(super) fn check(models: &[Model]) -> Result<(), InvalidModels> {
        let mut names = HashMap::new();
        for (index, model) in models.iter().enumerate() {
            for name in std::iter::once(&model.id).chain(&model.nicknames) {
                if names.insert(name.to_lowercase(), index).is_some_and(|other| other != index) {
                    return Err(InvalidModels::Twice(name.clone()));
                }
            }
        }
        Ok(())
    }

    /// What a name means.
    pub(super) fn meanings(&self, name: &str) -> impl Iterator<Item = Meaning> {
        self.meanings.get(&name.to_lowercase()).map_or(&[][..], Vec::as_slice).iter().copied()
    }

    /// What a provider calls by a name.
    pub(super) fn offered(&self, provider: &Provider, name: &str) -> Option<(usize, usize)> {
        self.offered.get(provider.slug)?.get(&name.to_lowercase()).copied()
    }

    /// All names, to be searched for what was meant.
    pub(super) fn all(&self) -> impl Iterator<Item = &str> {
        self.meanings.keys().map(String::as_str)
    }
}

type Found = Vec<(String, Meaning)>;

fn own(index: usize, model: &Model, found: &mut Found) {
    let names = std::iter::once(&model.id).chain(&model.nicknames);
    found.extend(names.map(|name| (name.to_lowercase(), Meaning { model: index, offer: None })));
}

fn full(index: usize, model: &Model, found: &mut Found) {
    if !model.author.is_empty() && !model.id.contains('/') {
        let name = format!("{}/{}", model.author, model.id).to_lowercase();
        found.push((name, Meaning { model: index, offer: None }));
    }
}

fn offered(index: usize, model: &Model, found: &mut Found) {
    for (place, offer) in model.offers.iter().enumerate() {
        let meaning = Meaning { model: index, offer: Some(place) };
        let names = std::iter::once(&offer.model).chain(&offer.aliases);
        found.extend(names.map(|name| (name.to_lowercase(), meaning)));
        for alias in offer.aliases.iter().filter(|alias| !alias.contains('/') && !model.author.is_empty()) {
            found.push((format!("{}/{alias}", model.author).to_lowercase(), meaning));
        }
    }
}

fn short(index: usize, model: &Model, found: &mut Found) {
    if let Some((_, name)) = model.id.rsplit_once('/').filter(|(_, name)| !name.is_empty()) {
        found.push((name.to_lowercase(), Meaning { model: index, offer: None }));
    }
}
