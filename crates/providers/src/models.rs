//! The model catalogue: what each model is called, who serves it and under which name, how much it
//! reads and writes, and what it can do. What it costs stands in the price catalogue.
//!
//! Its file is made by `cargo xtask models` and compiled in; an operator may put one of his own in its
//! place. A gateway's view of it, with providers and models of its own, is a [`Selection`].

mod candidate;
mod configured;
mod document;
mod facts;
pub mod listing;
mod names;
mod resolve;
mod selection;
mod suggestions;

use std::borrow::Cow;
use std::sync::{LazyLock, OnceLock};

pub use candidate::{Candidate, Host};
pub use configured::{ConfiguredModel, ConfiguredProvider, ConfiguredSurface, InvalidSelection};
pub use document::InvalidModels;
pub use facts::pricing;
pub use resolve::{Asked, NoModel, is_auto};
pub use selection::{Restrictions, Selection};

use crate::catalog::Provider;
use names::Names;

/// All models that are known.
#[derive(Debug)]
pub struct Models {
    models: Vec<Model>,
    names: Names,
    /// Every offer, by provider in the order of their ids, then in the file's order.
    by_provider: Vec<(usize, usize)>,
}

/// A model, whoever serves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// What clients call it: `gpt-4o`, `meta-llama/llama-3.3-70b-versatile`.
    pub id: String,
    /// Who made it; empty if that is not known.
    pub author: String,
    /// Other names, which its providers do not know.
    pub nicknames: Vec<String>,
    /// What it is for: `chat`, `responses`, `embedding` and so on; empty if that is not known.
    pub mode: String,
    /// How many tokens it reads and writes at most, where known.
    pub context_window: Option<u64>,
    /// How many tokens it produces at most, where known.
    pub max_output_tokens: Option<u64>,
    /// What it reads: `text`, `image`, `audio`, `video`, `file`.
    pub input: Vec<String>,
    /// What it produces.
    pub output: Vec<String>,
    /// What it can do: `tool-calling`, `vision` and so on.
    pub features: Vec<String>,
    /// Whether its maker advises against it.
    pub deprecated: bool,
    /// The day from which on it is gone where it is at home, if one is set: `2026-10-23`.
    pub retires: Option<String>,
    /// Where facts are from, by their names in the file: `table` or `list`.
    pub sources: Vec<(String, String)>,
    /// Who serves it: where it is at home first, then by the providers' ids.
    pub offers: Vec<Offer>,
}

/// A model at a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The provider.
    pub provider: &'static Provider,
    /// What the provider calls it, here and in the price catalogue.
    pub model: String,
    /// Other names that the provider understands.
    pub aliases: Vec<String>,
    /// How many tokens it reads and writes at most there, where that differs.
    pub context_window: Option<u64>,
    /// How many tokens it produces at most there, where that differs.
    pub max_output_tokens: Option<u64>,
    /// The operations that take it, where known: `chat/completions`.
    pub operations: Vec<String>,
    /// Members of a body that are refused for it.
    pub unsupported_params: Vec<String>,
    /// The day from which on it is gone there.
    pub retires: Option<String>,
    /// The page that says so.
    pub source: Option<String>,
}

/// A model that is known, at one of those who serve it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known<'a> {
    /// The model.
    pub model: &'a Model,
    /// Who serves it.
    pub offer: &'a Offer,
}

static COMPILED: LazyLock<Models> = LazyLock::new(|| {
    // A test reads it. Without it no model is known, and those of a named provider still pass.
    Models::read(include_str!("../data/models/catalogue.jsonl")).unwrap_or_else(|_| Models::of(Vec::new()))
});

static REPLACED: OnceLock<Models> = OnceLock::new();

impl Models {
    /// The catalogue: the operator's, or the one that this release came with.
    pub fn current() -> &'static Self {
        REPLACED.get().unwrap_or_else(|| &COMPILED)
    }

    /// Puts an operator's catalogue in the place of the compiled one, for the rest of the process. Only
    /// the first one counts, so it is called before anything is served.
    pub fn replace(text: &str) -> Result<(), InvalidModels> {
        let models = Self::read(text)?;
        _ = REPLACED.set(models);
        Ok(())
    }

    /// Reads a catalogue: a JSON object a line, each a model.
    pub fn read(text: &str) -> Result<Self, InvalidModels> {
        let models = document::models(text)?;
        Names::check(&models)?;
        Ok(Self::of(models))
    }

    fn of(mut models: Vec<Model>) -> Self {
        for model in &mut models {
            if let Some((_, others)) = model.offers.split_first_mut() {
                others.sort_by_key(|offer| offer.provider.id);
            }
        }
        let offers =
            |(index, model): (usize, &Model)| (0..model.offers.len()).map(move |offer| (index, offer));
        let mut by_provider: Vec<_> = models.iter().enumerate().flat_map(offers).collect();
        by_provider.sort_by_key(|(model, offer)| models[*model].offers[*offer].provider.id);
        Self { names: Names::of(&models), models, by_provider }
    }

    /// All models, in the file's order.
    pub fn all(&self) -> &[Model] {
        &self.models
    }

    /// Every model at everyone who serves it, by provider.
    pub fn offers(&self) -> impl Iterator<Item = Known<'_>> {
        self.by_provider.iter().map(|(model, offer)| self.known(*model, *offer))
    }

    /// Who serves what goes by a name, in any case: where the model is at home first.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Known<'a>> {
        self.names.meanings(name).flat_map(|meaning| {
            let model = &self.models[meaning.model];
            let only = meaning.offer.map_or(0..model.offers.len(), |offer| offer..offer + 1);
            // Whoever is about to stop serving a model, or has stopped, is nobody to fall back to.
            let stays = move |place: &usize| {
                *place == 0 || meaning.offer.is_some() || model.offers[*place].retires.is_none()
            };
            only.filter(stays).map(move |place| Known { model, offer: &model.offers[place] })
        })
    }

    /// What goes by a name, in any case, at one provider.
    pub fn at<'a>(&'a self, provider: &'a Provider, name: &'a str) -> Option<Known<'a>> {
        let offered = self.names.offered(provider, name).map(|(model, offer)| self.known(model, offer));
        offered.or_else(|| self.named(name).find(|known| known.offer.provider.slug == provider.slug))
    }

    fn known(&self, model: usize, offer: usize) -> Known<'_> {
        let model = &self.models[model];
        Known { model, offer: &model.offers[offer] }
    }
}

impl<'a> Known<'a> {
    /// What to call the model upstream when a caller calls it `name`: a name that the provider
    /// understands is left, as the catalogue writes it; any other becomes the provider's own.
    pub fn upstream(self, name: &str) -> &'a str {
        let understood = self.offer.aliases.iter().find(|alias| alias.eq_ignore_ascii_case(name));
        understood.unwrap_or(&self.offer.model)
    }

    /// Whether both are one model at one provider.
    pub fn is(self, other: Known<'_>) -> bool {
        std::ptr::eq(self.offer, other.offer)
    }

    /// How many tokens the model reads and writes at most there, where known.
    pub fn context_window(self) -> Option<u64> {
        self.offer.context_window.or(self.model.context_window)
    }

    /// How many tokens the model produces at most there, where known.
    pub fn max_output_tokens(self) -> Option<u64> {
        self.offer.max_output_tokens.or(self.model.max_output_tokens)
    }

    /// Whether an operation, such as `chat/completions`, takes the model there, as far as is known.
    pub fn takes(self, operation: &str) -> bool {
        let takes = |taken: &str| self.offer.operations.iter().any(|operation| operation == taken);
        if !self.offer.operations.is_empty() {
            // Whoever can be asked for chat completions can be asked for messages, where they are offered.
            return takes(operation) || operation.starts_with("messages") && takes("chat/completions");
        }
        let chats = matches!(operation, "chat/completions" | "completions" | "responses");
        match self.model.mode.as_str() {
            "chat" => chats || operation.starts_with("messages"),
            "responses" => operation == "responses",
            "completion" => operation == "completions",
            "embedding" => operation == "embeddings",
            "moderation" => operation == "moderations",
            "image_generation" | "image_edit" => operation.starts_with("images/"),
            "audio_speech" => operation == "audio/speech",
            "audio_transcription" => matches!(operation, "audio/transcriptions" | "audio/translations"),
            _ => true,
        }
    }

    /// Every name that the model goes by there, the public one first.
    pub fn names(self) -> impl Iterator<Item = Cow<'a, str>> {
        let Self { model, offer } = self;
        let full = (!model.author.is_empty() && !model.id.contains('/'))
            .then(|| Cow::Owned(format!("{}/{}", model.author, model.id)));
        let own = (offer.model != model.id).then_some(&offer.model);
        let others = model.nicknames.iter().chain(own).chain(&offer.aliases);
        std::iter::once(Cow::Borrowed(model.id.as_str()))
            .chain(full)
            .chain(others.map(|name| Cow::Borrowed(name.as_str())))
    }
}

#[cfg(test)]
mod tests;
