//! The unified endpoint's words: how its models name their provider, and the list of models.

use std::sync::LazyLock;

use bytes::Bytes;
use model::Picos;
use serde::Serialize;

use crate::catalog::{self, Provider, UnknownProvider};
use crate::models::Models;
use crate::prices::{Catalogue, Price};

/// A compat model, cut into provider and model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompatModel<'a> {
    /// Who serves it.
    pub provider: &'static Provider,
    /// What the provider calls it; may contain slashes.
    pub model: &'a str,
}

/// Why a compat model names nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidModel {
    /// No slash, or nothing before or after it.
    #[error(
        "Chat completion bad format: `model` must be written as `provider/model`, such as `openai/gpt-4o`"
    )]
    BadFormat,
    /// Nobody by that name.
    #[error(transparent)]
    UnknownProvider(#[from] UnknownProvider),
}

impl InvalidModel {
    /// The refusal's code; its HTTP status is 400.
    pub const fn code(&self) -> u32 {
        match self {
            Self::BadFormat => 2019,
            Self::UnknownProvider(_) => 2008,
        }
    }
}

/// Reads `openai/gpt-4o`.
pub fn model(text: &str) -> Result<CompatModel<'_>, InvalidModel> {
    let (prefix, model) = parts(text)?;
    Ok(CompatModel { provider: catalog::compat_name(prefix)?, model })
}

/// The name of a provider, whoever knows it, and of its model.
pub fn parts(text: &str) -> Result<(&str, &str), InvalidModel> {
    let parts = text.split_once('/').filter(|(prefix, model)| !prefix.is_empty() && !model.is_empty());
    parts.ok_or(InvalidModel::BadFormat)
}

/// The answer to `GET /compat/models`: every model of the served providers, with its price if it has
/// one.
pub fn models() -> Bytes {
    static MODELS: LazyLock<Bytes> = LazyLock::new(|| list(Models::current(), Catalogue::current()));
    MODELS.clone()
}

fn list(models: &Models, prices: &Catalogue) -> Bytes {
    let of = |provider: &'static Provider| {
        let model = move |model: &str, price: Option<&Price>| Model {
            id: format!("{}/{model}", provider.slug),
            object: "model",
            created_at: prices.effective_from(),
            owned_by: provider.slug,
            cost_in: price.and_then(|price| price.tokens.input).map(dollars),
            cost_out: price.and_then(|price| price.tokens.output).map(dollars),
        };
        // Rows that are no models price sizes of pictures, or models by how large they are.
        let is_known =
            move |name: &str| models.at(provider, name).is_some_and(|known| known.upstream(name) == name);
        let priced = prices.models(provider.slug).filter(move |(name, _)| is_known(name));
        let priced = priced.map(move |(name, price)| model(name, Some(price)));
        let offered = models.offers().filter(move |known| known.offer.provider.slug == provider.slug);
        let unpriced =
            offered.filter(|known| prices.find(known.offer.provider.slug, &known.offer.model).is_none());
        priced.chain(unpriced.map(move |known| model(&known.offer.model, None)))
    };
    let data: Vec<_> = catalog::all().iter().copied().flat_map(of).collect();
    // A list of texts and finite numbers has no way to fail.
    serde_json::to_vec(&List { object: "list", data }).unwrap_or_default().into()
}

/// The catalogue does not know when models were made, so `created_at` is when its prices took effect.
#[derive(Serialize)]
struct Model {
    id: String,
    object: &'static str,
    created_at: i64,
    owned_by: &'static str,
    cost_in: Option<f64>,
    cost_out: Option<f64>,
}

#[derive(Serialize)]
struct List {
    object: &'static str,
    data: Vec<Model>,
}

/// Dollars per token, to be shown and never computed with.
fn dollars(price: Picos) -> f64 {
    price.0 as f64 / 1e12
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_names_its_provider() {
        let found = model("openai/ft:gpt-4o:a/b").unwrap();
        assert_eq!((found.provider.slug, found.model), ("openai", "ft:gpt-4o:a/b"));
        assert_eq!(["gpt-4o", "/gpt-4o", "openai/"].map(|text| model(text).unwrap_err().code()), [2019; 3]);
        assert_eq!(["aws-bedrock/claude", "nobody/x"].map(|text| model(text).unwrap_err().code()), [2008; 2]);
    }

    #[test]
    fn the_list_has_prices_per_token() {
        let list: serde_json::Value = serde_json::from_slice(&models()).unwrap();
        let data = list["data"].as_array().unwrap();
        let found = |id: &str| data.iter().find(|model| model["id"] == id).unwrap();
        let model = found("openai/gpt-4o");
        assert_eq!((&model["cost_in"], &model["cost_out"]), (&2.5e-6.into(), &1e-5.into()));
        assert_eq!((&model["object"], &model["owned_by"]), (&"model".into(), &"openai".into()));
        assert!(found("openai/whisper-1")["cost_in"].is_null());
        assert!(data.iter().all(|model| model["created_at"].is_i64()));
        // Every provider's, under a name that leads back to it, and each once.
        for provider in catalog::all().iter().filter(|provider| provider.slug != "openrouter") {
            assert!(data.iter().any(|model| model["owned_by"] == provider.slug), "{}", provider.slug);
        }
        let ids: std::collections::HashSet<_> =
            data.iter().map(|model| model["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), data.len());
        assert!(ids.iter().all(|id| super::model(id).is_ok()));
        assert!(ids.contains("anthropic/claude-opus-4-1") && ids.contains("openai/gpt-4o-2024-08-06"));
        assert!(!ids.iter().any(|id| id.contains("-x-") || id.contains("together-ai-")));
    }
}
