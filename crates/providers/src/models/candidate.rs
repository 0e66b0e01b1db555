//! A model at a provider, as a gateway sees it: who would be asked, and under which name.

use std::borrow::Cow;

use super::resolve::Asked;
use super::{ConfiguredModel, ConfiguredProvider, Known};
use crate::catalog::{Dialect, Provider};

/// A provider, of the catalogue, of the gateway, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Host<'a> {
    /// The catalogue's.
    pub built_in: Option<&'static Provider>,
    /// What the gateway says of it, and its place there.
    pub configured: Option<(usize, &'a ConfiguredProvider)>,
}

/// A model at a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// The provider.
    pub host: Host<'a>,
    /// What the provider is to be asked for.
    pub upstream: Cow<'a, str>,
    /// What the catalogue knows of the model; `None` if it does not know it.
    pub known: Option<Known<'a>>,
    /// What the gateway says of it, and its place among the provider's models.
    pub configured: Option<(usize, &'a ConfiguredModel)>,
}

impl<'a> Host<'a> {
    /// What policies call it.
    pub fn id(self) -> &'a str {
        match (self.configured, self.built_in) {
            (Some((_, configured)), _) => &configured.id,
            (None, Some(built_in)) => built_in.id,
            (None, None) => "",
        }
    }

    /// What records and prices call it.
    pub fn slug(self) -> &'a str {
        self.built_in.map_or_else(|| self.id(), |built_in| built_in.slug)
    }

    /// Its names other than the id.
    pub fn aliases(self) -> impl Iterator<Item = &'a str> {
        let configured = self.configured.into_iter().flat_map(|(_, configured)| &configured.id_aliases);
        let built_in = self.built_in.into_iter().flat_map(Provider::names).map(|name| -> &'a str { name });
        let id = self.id();
        configured.map(String::as_str).chain(built_in.filter(move |name| *name != id))
    }

    /// Whether it speaks a format.
    pub fn speaks(self, dialect: Dialect) -> bool {
        match (self.configured, self.built_in) {
            (Some((_, configured)), built_in) => configured.speaks(dialect, built_in),
            (None, Some(built_in)) => built_in.formats.iter().any(|format| format.dialect == dialect),
            (None, None) => false,
        }
    }

    /// The only members of a body that are passed on, if a gateway says so of what is asked.
    pub fn supported_params(self, asked: Asked<'_>) -> Option<&'a [String]> {
        let (_, configured) = self.configured?;
        let is_asked = |operation: &String| operation == asked.operation.trim_end_matches('/');
        let mut surfaces = configured.surfaces.iter();
        let surface = surfaces.find(|surface| {
            surface.dialect == asked.dialect && surface.operation.as_ref().is_some_and(is_asked)
        })?;
        (!surface.supported_params.is_empty()).then_some(&surface.supported_params)
    }

    /// Whether what a gateway says of the surfaces leaves this one in. Those of a format that are named leave out
    /// the others that could have been.
    fn has_surface(self, operation: &str) -> bool {
        let operation = operation.trim_end_matches('/');
        let dialect = match operation {
            "chat/completions" | "responses" => Dialect::OpenAi,
            "messages" => Dialect::Anthropic,
            _ => return true,
        };
        let surfaces = self.configured.into_iter().flat_map(|(_, configured)| &configured.surfaces);
        let mut named = surfaces.filter(|surface| surface.dialect == dialect).map(|one| &one.operation);
        let Some(first) = named.next() else { return true };
        let leaves_in = |said: &Option<String>| said.as_ref().is_none_or(|said| said == operation);
        leaves_in(first) || named.any(leaves_in)
    }

    /// Whether both are the same provider.
    pub fn is(self, other: Host<'_>) -> bool {
        let place = |host: Host<'_>| host.configured.map(|(place, _)| place);
        self.slug() == other.slug() && place(self) == place(other)
    }

    pub(super) fn place(self) -> usize {
        self.configured.map_or(usize::MAX, |(place, _)| place)
    }
}

impl<'a> Candidate<'a> {
    /// What clients call the model: the gateway's id, else the catalogue's, else what was asked for.
    pub fn id(&self) -> &str {
        match (self.configured, self.known) {
            (Some((_, configured)), _) => &configured.id,
            (None, Some(known)) => &known.model.id,
            (None, None) => &self.upstream,
        }
    }

    /// The model's other names, each once.
    pub fn aliases(&self) -> Vec<Cow<'a, str>> {
        let configured = self.configured.into_iter().flat_map(|(_, configured)| &configured.id_aliases);
        let configured = configured.map(|alias| Cow::Borrowed(alias.as_str()));
        let mut aliases: Vec<Cow<'a, str>> = Vec::new();
        for name in configured.chain(self.known.into_iter().flat_map(Known::names)) {
            if name != self.id() && !aliases.contains(&name) {
                aliases.push(name);
            }
        }
        aliases
    }

    /// Who made the model; empty if that is not known.
    pub fn author(&self) -> &'a str {
        let said = self.configured.and_then(|(_, configured)| configured.author_id.as_deref());
        said.or_else(|| self.known.map(|known| known.model.author.as_str())).unwrap_or_default()
    }

    /// A name for people.
    pub fn display_name(&self) -> &str {
        let said = self.configured.and_then(|(_, configured)| configured.display_name.as_deref());
        said.unwrap_or_else(|| self.id())
    }

    /// A sentence for people; empty unless the gateway says one.
    pub fn description(&self) -> &'a str {
        self.configured.and_then(|(_, configured)| configured.description.as_deref()).unwrap_or_default()
    }

    /// How many tokens it reads and writes at most, where known.
    pub fn context_window(&self) -> Option<u64> {
        let said = self.configured.and_then(|(_, configured)| configured.max_context_window);
        said.or_else(|| self.known?.context_window())
    }

    /// How many tokens it produces at most, where known.
    pub fn max_output_tokens(&self) -> Option<u64> {
        let said = self.configured.and_then(|(_, configured)| configured.max_output_tokens);
        said.or_else(|| self.known?.max_output_tokens())
    }

    /// What it reads.
    pub fn input_modalities(&self) -> &'a [String] {
        let said = self.configured.map(|(_, configured)| configured.input_modalities.as_slice());
        said.filter(|said| !said.is_empty())
            .or(self.known.map(|known| known.model.input.as_slice()))
            .unwrap_or_default()
    }

    /// What it produces.
    pub fn output_modalities(&self) -> &'a [String] {
        let said = self.configured.map(|(_, configured)| configured.output_modalities.as_slice());
        said.filter(|said| !said.is_empty())
            .or(self.known.map(|known| known.model.output.as_slice()))
            .unwrap_or_default()
    }

    /// What it can do.
    pub fn features(&self) -> &'a [String] {
        let said = self.configured.map(|(_, configured)| configured.supported_features.as_slice());
        said.filter(|said| !said.is_empty())
            .or(self.known.map(|known| known.model.features.as_slice()))
            .unwrap_or_default()
    }

    /// Whether a member of a body is passed on: what the gateway says of the provider, then of the
    /// model, then what the catalogue says. The model itself always is.
    pub fn passes_param(&self, asked: Asked<'_>, name: &str) -> bool {
        if name == "model" {
            return true;
        }
        let among = |names: &[String]| names.iter().any(|param| param == name);
        let is_refused = self.configured.is_some_and(|(_, configured)| among(&configured.unsupported_params))
            || self.known.is_some_and(|known| among(&known.offer.unsupported_params))
            || self.host.built_in.is_some_and(|provider| provider.unsupported_params.contains(&name));
        !is_refused && self.host.supported_params(asked).is_none_or(among)
    }

    /// Whether an operation takes the model, as far as is known.
    pub fn takes(&self, operation: &str) -> bool {
        let offers = |provider: &Provider| provider.formats.iter().any(|format| format.offers(operation));
        self.known.is_none_or(|known| known.takes(operation))
            && self.host.has_surface(operation)
            && (self.configured.is_some()
                || self.host.configured.is_some()
                || self.host.built_in.is_none_or(offers))
    }

    /// Whether both ask the same provider for the same model.
    pub fn is(&self, other: &Candidate<'_>) -> bool {
        self.host.is(other.host) && self.upstream == other.upstream
    }
}
