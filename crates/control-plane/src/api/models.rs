//! The model catalogue, to be searched: which models there are, who serves them, and at which price.

use std::collections::BTreeMap;

use providers::models::{Models, listing};
use providers::prices::Catalogue;
use serde::{Deserialize, Serialize};
use store::accounts::Account;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::authorized::{AiGatewayRead, Authorized};
use super::body::Query;
use super::envelope::{Paged, PagedResult};
use super::page::{Page, PageParams};

/// The routes of this noun.
pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list))
}

/// The model catalogue
///
/// Every model that can be asked for by its name alone, with who serves it and under which name. Others can
/// be asked for behind their provider's name, as in `openai:new-model`.
#[utoipa::path(get, path = "/accounts/{account_id}/ai-gateway/models", tag = "Models",
    params(PageParams, ModelSearch), responses((status = 200, body = Paged<ModelRow>)))]
async fn list(
    _: Authorized<Account, AiGatewayRead>,
    page: Page,
    Query(search): Query<ModelSearch>,
) -> PagedResult<ModelRow> {
    let ModelSearch { provider, author, modality, feature, search } = &search;
    let sought = |part: &Option<String>| part.clone().unwrap_or_default();
    let [provider, author, modality, feature, text] =
        [provider, author, modality, feature, search].map(sought);
    let query = listing::Query {
        provider: &provider,
        author: &author,
        modality: &modality,
        feature: &feature,
        text: &text,
    };
    let offset = usize::try_from(page.offset()).unwrap_or(usize::MAX);
    let found = listing::page(Models::current(), Catalogue::current(), query, offset, page.per_page as usize);
    let rows = found.rows.into_iter().map(ModelRow::of).collect();
    Ok(Paged::page(rows, page, i64::try_from(found.total).unwrap_or(i64::MAX)))
}

/// What to look for in the model catalogue; all of it must fit, in any case of letters.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ModelSearch {
    /// Only what this provider serves, by any of its names: `xai`, `grok`.
    provider: Option<String>,
    /// Only what this company made: `meta-llama`.
    author: Option<String>,
    /// Only what reads or produces this: `text`, `image`, `audio`, `video`, `file`.
    modality: Option<String>,
    /// Only what can do this: `tool-calling`, `vision`, `reasoning`.
    feature: Option<String>,
    /// A part of one of the model's names.
    search: Option<String>,
}

/// A model.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelRow {
    /// What clients call it.
    id: String,
    /// Who made it; empty if that is not known.
    author: String,
    /// Its other names.
    aliases: Vec<String>,
    /// `chat`, `embedding` and so on; empty if that is not known.
    mode: String,
    /// How many tokens it reads and writes at most, where that is known.
    context_window: Option<u64>,
    /// How many tokens it produces at most, where that is known.
    max_output_tokens: Option<u64>,
    /// What it reads.
    input_modalities: Vec<String>,
    /// What it produces.
    output_modalities: Vec<String>,
    /// What it can do.
    features: Vec<String>,
    /// Whether its maker advises against it.
    deprecated: bool,
    /// The day from which on it is gone, if one is set.
    retires: Option<String>,
    /// Where each fact is from: `table`, the catalogue's own, or `list`, the price list.
    sources: BTreeMap<String, String>,
    /// Who serves it, first where it is at home.
    providers: Vec<ModelProvider>,
}

/// Somebody who serves a model.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelProvider {
    /// What stands before the colon of a model, and in traffic policies.
    id: &'static str,
    /// What stands in gateway URLs, logs and prices.
    slug: &'static str,
    /// What the provider calls the model.
    model: String,
    /// The formats in which it can be asked: `openai`, `anthropic`.
    formats: Vec<&'static str>,
    /// How many tokens the model reads and writes at most there.
    context_window: Option<u64>,
    /// How many tokens it produces at most there.
    max_output_tokens: Option<u64>,
    /// Dollars per million tokens by what is paid for, such as `text.input`, as the price list says; to look
    /// at, for what an account is charged stands in `…/costs`. What is not there has no price, which never
    /// means free.
    pricing: BTreeMap<&'static str, f64>,
    /// The day from which on it is gone there, if one is set.
    retires: Option<String>,
    /// The page that tells of it.
    source: Option<String>,
}

impl ModelRow {
    fn of(row: listing::Row) -> Self {
        let listing::Row { id, author, aliases, mode, context_window, max_output_tokens, .. } = row;
        let listing::Row { input_modalities, output_modalities, features, deprecated, retires, .. } = row;
        Self {
            id,
            author,
            aliases,
            mode,
            context_window,
            max_output_tokens,
            input_modalities,
            output_modalities,
            features,
            deprecated,
            retires,
            sources: row.sources,
            providers: row.providers.into_iter().map(ModelProvider::of).collect(),
        }
    }
}

impl ModelProvider {
    fn of(provider: listing::RowProvider) -> Self {
        let listing::RowProvider { id, slug, model, formats, context_window, .. } = provider;
        let listing::RowProvider { max_output_tokens, pricing, retires, source, .. } = provider;
        Self { id, slug, model, formats, context_window, max_output_tokens, pricing, retires, source }
    }
}
