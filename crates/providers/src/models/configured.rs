//! What a gateway says of providers and models, in the words of this crate: whoever reads a policy
//! turns it into these.

use crate::catalog::custom::CustomBase;
use crate::catalog::{self, Dialect, Format, Provider};
use crate::path::InvalidBase;

/// A provider that a gateway names: one of the catalogue's, to which it adds, or one of its own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfiguredProvider {
    /// Its id; that of a provider of the catalogue, in any of its names, means that one.
    pub id: String,
    /// Its other names. They go before those of the catalogue.
    pub id_aliases: Vec<String>,
    /// A name for people.
    pub display_name: String,
    /// Where it is reached; `None` for where the catalogue says.
    pub base: Option<CustomBase>,
    /// Whether it is left out.
    pub disabled: bool,
    /// What it speaks; if nothing is said, what the catalogue says, or OpenAI's format.
    pub surfaces: Vec<ConfiguredSurface>,
    /// Its models.
    pub models: Vec<ConfiguredModel>,
}

/// What a provider of a gateway's speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfiguredSurface {
    /// The format.
    pub dialect: Dialect,
    /// The operation, such as `chat/completions`; `None` for all of the format.
    pub operation: Option<String>,
    /// The members of a body that are passed on; all if it is empty.
    pub supported_params: Vec<String>,
}

/// A model that a gateway names: one of the catalogue's, of which it says more, or one of its own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfiguredModel {
    /// What the provider calls it.
    pub id: String,
    /// Its other names.
    pub id_aliases: Vec<String>,
    /// Who made it.
    pub author_id: Option<String>,
    /// A name for people.
    pub display_name: Option<String>,
    /// A sentence for people.
    pub description: Option<String>,
    /// Whether it is left out.
    pub disabled: bool,
    /// What it reads; if nothing is said, what the catalogue says.
    pub input_modalities: Vec<String>,
    /// What it produces; if nothing is said, what the catalogue says.
    pub output_modalities: Vec<String>,
    /// How many tokens it reads and writes at most.
    pub max_context_window: Option<u64>,
    /// How many tokens it produces at most.
    pub max_output_tokens: Option<u64>,
    /// What it can do; if nothing is said, what the catalogue says.
    pub supported_features: Vec<String>,
    /// Members of a body that are not passed on for it.
    pub unsupported_params: Vec<String>,
}

/// Why what a gateway says cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSelection {
    /// A provider or model without a name.
    #[error("a provider or model has an empty id or alias")]
    Empty,
    /// Two providers of one name.
    #[error("two providers are called `{0}`")]
    ProviderTwice(String),
    /// Two models of one provider have one name, or an alias is that of another model.
    #[error("two models are called `{0}`")]
    ModelTwice(String),
    /// A provider that is not in the catalogue, and of which it is not said where it is.
    #[error("the provider `{0}` is not in the catalogue and needs a `base_url`")]
    NoBaseUrl(String),
    /// An address that leads nowhere.
    #[error("the `base_url` of the provider `{provider}` cannot be used: {reason}")]
    BaseUrl {
        /// Whose.
        provider: String,
        /// What is wrong with it.
        reason: InvalidBase,
    },
}

impl ConfiguredProvider {
    /// The provider of the catalogue that it adds to, if its id is one's name.
    pub fn built_in(&self) -> Option<&'static Provider> {
        catalog::named(&self.id)
    }

    pub(super) fn is_called(&self, name: &str) -> bool {
        names(&self.id, &self.id_aliases).any(|own| own.eq_ignore_ascii_case(name))
    }

    /// The model that goes by a name here.
    pub(super) fn model(&self, name: &str) -> Option<(usize, &ConfiguredModel)> {
        self.models.iter().enumerate().find(|(_, model)| model.is_called(name))
    }

    pub(super) fn speaks(&self, dialect: Dialect, built_in: Option<&Provider>) -> bool {
        if self.surfaces.is_empty() {
            let formats: &[Format] = built_in.map_or(&[Format::OPENAI_CHAT], |provider| provider.formats);
            return formats.iter().any(|format| format.dialect == dialect);
        }
        self.surfaces.iter().any(|surface| surface.dialect == dialect)
    }
}

impl ConfiguredModel {
    pub(super) fn is_called(&self, name: &str) -> bool {
        names(&self.id, &self.id_aliases).any(|own| own.eq_ignore_ascii_case(name))
    }
}

/// Whether every name is that of one provider, or of one model.
pub(super) fn check(providers: &[ConfiguredProvider]) -> Result<(), InvalidSelection> {
    let mut called = std::collections::HashMap::new();
    for (index, provider) in providers.iter().enumerate() {
        if provider.built_in().is_none() && provider.base.is_none() {
            return Err(InvalidSelection::NoBaseUrl(provider.id.clone()));
        }
        for name in names(&provider.id, &provider.id_aliases) {
            if name.is_empty() {
                return Err(InvalidSelection::Empty);
            }
            if called.insert(name.to_lowercase(), index).is_some_and(|other| other != index) {
                return Err(InvalidSelection::ProviderTwice(name.to_owned()));
            }
        }
    }
    let mut ids = std::collections::HashMap::new();
    let all = || {
        providers.iter().enumerate().flat_map(|(index, provider)| {
            provider.models.iter().enumerate().map(move |(place, model)| ((index, place), model))
        })
    };
    for ((provider, place), model) in all() {
        if names(&model.id, &model.id_aliases).any(str::is_empty) {
            return Err(InvalidSelection::Empty);
        }
        // Several providers may serve a model under one id; no two may share an alias.
        let of_provider = ids.entry(model.id.to_lowercase()).or_insert_with(Vec::new);
        if of_provider.iter().any(|(other, _)| *other == provider) {
            return Err(InvalidSelection::ModelTwice(model.id.clone()));
        }
        of_provider.push((provider, place));
    }
    let mut aliases = std::collections::HashMap::new();
    for (at, model) in all() {
        for alias in &model.id_aliases {
            let name = alias.to_lowercase();
            let is_an_id = ids.get(&name).is_some_and(|places| places.iter().any(|place| *place != at));
            if is_an_id || aliases.insert(name, at).is_some_and(|other| other != at) {
                return Err(InvalidSelection::ModelTwice(alias.clone()));
            }
        }
    }
    Ok(())
}

fn names<'a>(id: &'a str, aliases: &'a [String]) -> impl Iterator<Item = &'a str> {
    std::iter::once(id).chain(aliases.iter().map(String::as_str))
}
