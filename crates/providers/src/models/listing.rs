//! Lists of models: in OpenAI's and Anthropic's shapes for callers, and one that can be searched for
//! people.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::facts::pricing;
use super::{Candidate, Known, Model, Models};
use crate::catalog::Dialect;
use crate::prices::Catalogue;

/// The answer to OpenAI's `GET models`: each of these models once, in their order.
///
/// Nobody says when models were made, so `created` is a moment that is the same for all of them.
pub fn openai(candidates: &[Candidate<'_>], created: i64) -> Bytes {
    let data = once(candidates).map(|candidate| OpenAiModel::of(candidate, created));
    json(&OpenAiList { object: "list", data: data.collect() })
}

/// The answer to Anthropic's `GET models`, in one page.
pub fn anthropic(candidates: &[Candidate<'_>], created: i64) -> Bytes {
    let created_at = written(created);
    let data = once(candidates).map(|candidate| AnthropicModel::of(candidate, &created_at));
    let data: Vec<_> = data.collect();
    let (first_id, last_id) = (data.first().map(|model| model.id), data.last().map(|model| model.id));
    json(&AnthropicList { first_id, last_id, has_more: false, data })
}

/// The answer to `GET models/{id}` of a format.
pub fn one(candidate: &Candidate<'_>, dialect: Dialect, created: i64) -> Bytes {
    match dialect {
        // Google's clients find no gateway by its host, so nobody asks for this in their words.
        Dialect::OpenAi | Dialect::Google => json(&OpenAiModel::of(candidate, created)),
        Dialect::Anthropic => json(&AnthropicModel::of(candidate, &written(created))),
    }
}

fn written(created: i64) -> String {
    let created = OffsetDateTime::from_unix_timestamp(created).ok().and_then(|at| at.format(&Rfc3339).ok());
    created.unwrap_or_default()
}

fn once<'a, 'b>(candidates: &'b [Candidate<'a>]) -> impl Iterator<Item = &'b Candidate<'a>> {
    let mut seen = HashSet::new();
    candidates.iter().filter(move |candidate| seen.insert(candidate.id()))
}

fn owner<'a>(candidate: &Candidate<'a>) -> &'a str {
    let author = candidate.author();
    if author.is_empty() { candidate.host.id() } else { author }
}

#[derive(Serialize)]
struct OpenAiModel<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    owned_by: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    context_window: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
}

impl<'a> OpenAiModel<'a> {
    fn of(candidate: &'a Candidate<'_>, created: i64) -> Self {
        Self {
            id: candidate.id(),
            object: "model",
            created,
            owned_by: owner(candidate),
            context_window: candidate.context_window(),
            max_output_tokens: candidate.max_output_tokens(),
        }
    }
}

#[derive(Serialize)]
struct OpenAiList<'a> {
    object: &'static str,
    data: Vec<OpenAiModel<'a>>,
}

#[derive(Serialize)]
struct AnthropicModel<'a> {
    r#type: &'static str,
    id: &'a str,
    display_name: &'a str,
    created_at: &'a str,
}

impl<'a> AnthropicModel<'a> {
    fn of(candidate: &'a Candidate<'_>, created_at: &'a str) -> Self {
        Self { r#type: "model", id: candidate.id(), display_name: candidate.display_name(), created_at }
    }
}

#[derive(Serialize)]
struct AnthropicList<'a> {
    data: Vec<AnthropicModel<'a>>,
    has_more: bool,
    first_id: Option<&'a str>,
    last_id: Option<&'a str>,
}

fn json(value: &impl Serialize) -> Bytes {
    // Texts, integers and finite numbers have no way to fail.
    serde_json::to_vec(value).unwrap_or_default().into()
}

/// What is searched for; whatever is empty fits all.
#[derive(Debug, Clone, Copy, Default)]
pub struct Query<'a> {
    /// A provider, by any of its names.
    pub provider: &'a str,
    /// Who made the model.
    pub author: &'a str,
    /// Something that it reads or produces: `image`.
    pub modality: &'a str,
    /// Something that it can do: `tool-calling`.
    pub feature: &'a str,
    /// Text within one of its names.
    pub text: &'a str,
}

/// A model as people look it up.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// What clients call it.
    pub id: String,
    /// Who made it.
    pub author: String,
    /// Its other names.
    pub aliases: Vec<String>,
    /// What it is for: `chat`, `embedding` and so on.
    pub mode: String,
    /// How many tokens it reads and writes at most.
    pub context_window: Option<u64>,
    /// How many tokens it produces at most.
    pub max_output_tokens: Option<u64>,
    /// What it reads.
    pub input_modalities: Vec<String>,
    /// What it produces.
    pub output_modalities: Vec<String>,
    /// What it can do.
    pub features: Vec<String>,
    /// Whether its maker advises against it.
    pub deprecated: bool,
    /// The day from which on it is gone.
    pub retires: Option<String>,
    /// Where each fact is from: `table`, the catalogue's own, or `list`, the price list.
    pub sources: BTreeMap<String, String>,
    /// Who serves it, where it is at home first.
    pub providers: Vec<RowProvider>,
}

/// Somebody who serves a model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RowProvider {
    /// What policies call it.
    pub id: &'static str,
    /// What gateway URLs, records and prices call it.
    pub slug: &'static str,
    /// What it calls the model.
    pub model: String,
    /// The formats in which it can be asked.
    pub formats: Vec<&'static str>,
    /// How many tokens it lets the model read and write at most.
    pub context_window: Option<u64>,
    /// How many tokens it lets the model produce at most.
    pub max_output_tokens: Option<u64>,
    /// Dollars per million tokens by what is paid for; empty if there is no price.
    pub pricing: BTreeMap<&'static str, f64>,
    /// The day from which on it is gone there.
    pub retires: Option<String>,
    /// The page that says so.
    pub source: Option<String>,
}

/// A page of rows, and how many there are in all.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The rows.
    pub rows: Vec<Row>,
    /// How many fit.
    pub total: usize,
}

/// The models that fit, in the catalogue's order, but for the first `offset`, and at most `limit`.
pub fn page(models: &Models, prices: &Catalogue, query: Query<'_>, offset: usize, limit: usize) -> Page {
    let fitting: Vec<_> = models.all().iter().filter(|model| query.fits(model)).collect();
    let rows = fitting.iter().skip(offset).take(limit).map(|model| Row::of(model, prices));
    Page { rows: rows.collect(), total: fitting.len() }
}

impl Query<'_> {
    fn fits(self, model: &Model) -> bool {
        let among =
            |sought: &str, values: &[String]| values.iter().any(|value| value.eq_ignore_ascii_case(sought));
        let offers = |known: Known<'_>| known.offer.provider.is_called(self.provider);
        (self.provider.is_empty() || known(model).any(offers))
            && (self.author.is_empty() || model.author.eq_ignore_ascii_case(self.author))
            && (self.modality.is_empty()
                || among(self.modality, &model.input)
                || among(self.modality, &model.output))
            && (self.feature.is_empty() || among(self.feature, &model.features))
            && (self.text.is_empty() || {
                let text = self.text.to_lowercase();
                known(model).flat_map(Known::names).any(|name| name.to_lowercase().contains(&text))
            })
    }
}

fn known(model: &Model) -> impl Iterator<Item = Known<'_>> {
    model.offers.iter().map(move |offer| Known { model, offer })
}

impl Row {
    /// A model with what it costs at each provider.
    pub fn of(model: &Model, prices: &Catalogue) -> Self {
        let mut aliases: Vec<String> = Vec::new();
        for name in known(model).flat_map(Known::names).skip(1) {
            if *name != *model.id && !aliases.iter().any(|alias| *alias == name) {
                aliases.push(name.into_owned());
            }
        }
        Self {
            id: model.id.clone(),
            author: model.author.clone(),
            aliases,
            mode: model.mode.clone(),
            context_window: model.context_window,
            max_output_tokens: model.max_output_tokens,
            input_modalities: model.input.clone(),
            output_modalities: model.output.clone(),
            features: model.features.clone(),
            deprecated: model.deprecated,
            retires: model.retires.clone(),
            sources: model.sources.iter().cloned().collect(),
            providers: known(model).map(|known| RowProvider::of(known, prices)).collect(),
        }
    }
}

impl RowProvider {
    fn of(known: Known<'_>, prices: &Catalogue) -> Self {
        let provider = known.offer.provider;
        let price = prices.find(provider.slug, &known.offer.model);
        Self {
            id: provider.id,
            slug: provider.slug,
            model: known.offer.model.clone(),
            formats: provider.formats.iter().map(|format| format.dialect.as_str()).collect(),
            context_window: known.context_window(),
            max_output_tokens: known.max_output_tokens(),
            pricing: price.map(pricing).unwrap_or_default().into_iter().collect(),
            retires: known.offer.retires.clone(),
            source: known.offer.source.clone(),
        }
    }
}
