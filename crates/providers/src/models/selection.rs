//! The catalogue as one gateway sees it: with its own providers and models, and without what it does
//! not allow. It holds what the gateway says and nothing of the catalogue, so that many fit in memory.

use std::borrow::Cow;

use super::configured::{self, ConfiguredModel, ConfiguredProvider, InvalidSelection};
use super::resolve::{Asked, NoModel};
use super::{Candidate, Host, Known, Models};
use crate::catalog::{self, Provider};

/// What a gateway lets its callers choose from.
#[derive(Debug)]
pub struct Selection {
    catalogue: &'static Models,
    providers: Vec<ConfiguredProvider>,
    /// For each of them the provider of the catalogue that it adds to.
    built_in: Vec<Option<&'static Provider>>,
    restrictions: Restrictions,
}

/// What a gateway allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Restrictions {
    /// Nobody but the providers that it names.
    pub only_configured_providers: bool,
    /// Nothing but the models that it names.
    pub only_configured_models: bool,
}

impl Selection {
    /// The catalogue as it is.
    pub fn of(catalogue: &'static Models) -> Self {
        Self { catalogue, providers: Vec::new(), built_in: Vec::new(), restrictions: Restrictions::default() }
    }

    /// The catalogue with what a gateway says.
    pub fn new(
        catalogue: &'static Models,
        providers: Vec<ConfiguredProvider>,
        restrictions: Restrictions,
    ) -> Result<Self, InvalidSelection> {
        configured::check(&providers)?;
        let built_in = providers.iter().map(ConfiguredProvider::built_in).collect();
        Ok(Self { catalogue, providers, built_in, restrictions })
    }

    /// What the gateway says.
    pub fn providers(&self) -> &[ConfiguredProvider] {
        &self.providers
    }

    /// The catalogue below it.
    pub fn catalogue(&self) -> &'static Models {
        self.catalogue
    }

    /// The provider that goes by a name, in any case. The gateway's own names go before the catalogue's.
    pub fn host(&self, name: &str) -> Option<Host<'_>> {
        if let Some(place) = self.providers.iter().position(|provider| provider.is_called(name)) {
            return Some(self.configured(place));
        }
        Some(self.built_in(catalog::named(name)?))
    }

    /// All providers: the gateway's in its order, then the others by id.
    pub fn hosts(&self) -> Vec<Host<'_>> {
        let mut others: Vec<_> = catalog::all().iter().map(|provider| self.built_in(provider)).collect();
        others.retain(|host| host.configured.is_none());
        others.sort_by_key(|host| host.id());
        (0..self.providers.len()).map(|place| self.configured(place)).chain(others).collect()
    }

    /// Every model that may be asked in a format for an operation: those of the gateway's providers in
    /// its order, then those of others by the provider's id.
    pub fn everything(&self, asked: Asked<'_>) -> Vec<Candidate<'_>> {
        let mut all = self.universe(asked);
        all.retain(|candidate| self.allows(candidate, asked).is_ok());
        all
    }

    /// The same with those that the gateway does not allow.
    pub fn universe(&self, asked: Asked<'_>) -> Vec<Candidate<'_>> {
        let own = (0..self.providers.len()).flat_map(|place| {
            let host = self.configured(place);
            let models = &self.providers[place].models;
            models.iter().enumerate().map(move |(index, model)| own(self.catalogue, host, index, model))
        });
        let mut all: Vec<_> = own.collect();
        for known in self.catalogue.offers() {
            let candidate = self.offered(known, &known.model.id);
            // What the gateway names stands in its own place already.
            if candidate.configured.is_none() {
                all.push(candidate);
            }
        }
        let can = |candidate: &Candidate<'_>| {
            candidate.host.speaks(asked.dialect) && candidate.takes(asked.operation)
        };
        all.retain(can);
        all.sort_by_key(|candidate| candidate.host.place());
        all
    }

    /// What goes by a name at one provider: what the gateway or the catalogue calls so, or else the name
    /// itself, because providers have models that neither knows.
    pub fn at<'a>(&'a self, host: Host<'a>, name: &'a str) -> Candidate<'a> {
        let configured = host.configured.and_then(|(_, provider)| provider.model(name));
        if let Some((index, model)) = configured {
            return own(self.catalogue, host, index, model);
        }
        match host.built_in.and_then(|provider| self.catalogue.at(provider, name)) {
            Some(known) => self.offered(known, name),
            None => Candidate { host, upstream: Cow::Borrowed(name), known: None, configured: None },
        }
    }

    /// What goes by a name anywhere: at the gateway's providers in its order, then where the catalogue
    /// has the model at home, then by the provider's id.
    pub(super) fn anywhere<'a>(&'a self, name: &'a str) -> Vec<Candidate<'a>> {
        let own = self.providers.iter().enumerate().filter_map(|(place, provider)| {
            let (index, model) = provider.model(name)?;
            Some(own(self.catalogue, self.configured(place), index, model))
        });
        let mut found: Vec<_> = own.collect();
        for known in self.catalogue.named(name) {
            let candidate = self.offered(known, name);
            let is_found = |found: &Candidate<'_>| {
                found.host.is(candidate.host) && found.known.is_some_and(|other| other.is(known))
            };
            if !found.iter().any(is_found) {
                found.push(candidate);
            }
        }
        found.sort_by_key(|candidate| candidate.host.place());
        found
    }

    /// Why a provider may not be asked for anything, if he may not.
    pub fn allows_host(&self, host: Host<'_>) -> Result<(), NoModel> {
        if host.configured.is_some_and(|(_, provider)| provider.disabled)
            || self.restrictions.only_configured_providers && host.configured.is_none()
        {
            return Err(NoModel::ProviderNotAllowed { provider: host.id().to_owned() });
        }
        Ok(())
    }

    /// Why a candidate may not be asked, if it may not.
    pub fn allows(&self, candidate: &Candidate<'_>, asked: Asked<'_>) -> Result<(), NoModel> {
        let host = candidate.host;
        let (provider, model) = (|| host.id().to_owned(), || candidate.id().to_owned());
        self.allows_host(host)?;
        if candidate.configured.is_some_and(|(_, model)| model.disabled)
            || self.restrictions.only_configured_models && candidate.configured.is_none()
        {
            return Err(NoModel::ModelNotAllowed { model: model() });
        }
        if host.speaks(asked.dialect) {
            Ok(())
        } else {
            Err(NoModel::OtherFormat { model: model(), provider: provider(), dialect: asked.dialect })
        }
    }

    fn configured(&self, place: usize) -> Host<'_> {
        Host { built_in: self.built_in[place], configured: Some((place, &self.providers[place])) }
    }

    fn built_in(&self, provider: &'static Provider) -> Host<'_> {
        let is_it = |own: &Option<&Provider>| own.is_some_and(|other| other.slug == provider.slug);
        match self.built_in.iter().position(is_it) {
            Some(place) => self.configured(place),
            None => Host { built_in: Some(provider), configured: None },
        }
    }

    /// A model of the catalogue, with what the gateway says of it.
    fn offered<'a>(&'a self, known: Known<'a>, name: &str) -> Candidate<'a> {
        let host = self.built_in(known.offer.provider);
        let upstream = known.upstream(name);
        let full = || format!("{}/{}", known.model.author, known.model.id);
        let said = host.configured.and_then(|(_, provider)| {
            let names = [upstream, &known.model.id, &known.offer.model, &full()];
            let is_it =
                |model: &ConfiguredModel| names.iter().any(|name| model.id.eq_ignore_ascii_case(name));
            provider.models.iter().enumerate().find(|(_, model)| is_it(model))
        });
        Candidate { host, upstream: Cow::Borrowed(upstream), known: Some(known), configured: said }
    }
}

/// A model that the gateway names.
fn own<'a>(catalogue: &'a Models, host: Host<'a>, index: usize, model: &'a ConfiguredModel) -> Candidate<'a> {
    let known = host.built_in.and_then(|provider| catalogue.at(provider, &model.id));
    // What the gateway calls the model's id is what the provider understands, or a name that the
    // catalogue translates.
    let upstream = known.map_or(model.id.as_str(), |known| known.upstream(&model.id));
    Candidate { host, upstream: Cow::Borrowed(upstream), known, configured: Some((index, model)) }
}
