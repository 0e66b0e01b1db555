//! The catalogue's file: a JSON object a line. It is read tolerantly, but for providers, which have to
//! be those that are served.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Model, Offer};
use crate::catalog;

/// Why a catalogue cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidModels {
    /// A line is not a model.
    #[error("line {line} is no model: {error}")]
    Line {
        /// Which one.
        line: usize,
        /// What is wrong with it.
        error: serde_json::Error,
    },
    /// A model without a name, or that nobody serves.
    #[error("line {line} names no model, or nobody who serves it")]
    Nothing {
        /// Which one.
        line: usize,
    },
    /// Somebody who is not served.
    #[error("line {line}: `{provider}` is no provider that this release serves")]
    UnknownProvider {
        /// Which line.
        line: usize,
        /// What it says.
        provider: String,
    },
    /// Two models of one name.
    #[error("`{0}` names two models")]
    Twice(String),
}

#[derive(Deserialize)]
struct ModelLine {
    id: String,
    #[serde(default)]
    author: String,
    #[serde(default)]
    nicknames: Vec<String>,
    #[serde(default)]
    mode: String,
    context_window: Option<u64>,
    max_output_tokens: Option<u64>,
    #[serde(default)]
    input: Vec<String>,
    #[serde(default)]
    output: Vec<String>,
    #[serde(default)]
    features: Vec<String>,
    #[serde(default)]
    deprecated: bool,
    retires: Option<String>,
    #[serde(default)]
    sources: BTreeMap<String, String>,
    offers: Vec<OfferLine>,
}

#[derive(Deserialize)]
struct OfferLine {
    provider: String,
    model: String,
    #[serde(default)]
    aliases: Vec<String>,
    context_window: Option<u64>,
    max_output_tokens: Option<u64>,
    #[serde(default)]
    operations: Vec<String>,
    #[serde(default)]
    unsupported_params: Vec<String>,
    retires: Option<String>,
    source: Option<String>,
}

/// The models of a file.
pub(super) fn models(text: &str) -> Result<Vec<Model>, InvalidModels> {
    let lines = text.lines().enumerate().filter(|(_, text)| !text.trim().is_empty());
    lines.map(|(index, text)| model(index + 1, text)).collect()
}

fn model(line: usize, text: &str) -> Result<Model, InvalidModels> {
    let read: ModelLine = serde_json::from_str(text).map_err(|error| InvalidModels::Line { line, error })?;
    let ModelLine { id, author, nicknames, mode, context_window, max_output_tokens, .. } = read;
    let ModelLine { input, output, features, deprecated, retires, sources, offers, .. } = read;
    let offers = offers.into_iter().map(|offer| offer.read(line)).collect::<Result<Vec<_>, _>>()?;
    if id.is_empty() || offers.is_empty() {
        return Err(InvalidModels::Nothing { line });
    }
    let sources = sources.into_iter().collect();
    Ok(Model {
        id,
        author,
        nicknames,
        mode,
        context_window,
        max_output_tokens,
        input,
        output,
        features,
        deprecated,
        retires,
        sources,
        offers,
    })
}

impl OfferLine {
    fn read(self, line: usize) -> Result<Offer, InvalidModels> {
        let Self { provider, model, aliases, context_window, max_output_tokens, .. } = self;
        let Self { operations, unsupported_params, retires, source, .. } = self;
        let Some(provider) = catalog::named(&provider) else {
            return Err(InvalidModels::UnknownProvider { line, provider });
        };
        Ok(Offer {
            provider,
            model,
            aliases,
            context_window,
            max_output_tokens,
            operations,
            unsupported_params,
            retires,
            source,
        })
    }
}
