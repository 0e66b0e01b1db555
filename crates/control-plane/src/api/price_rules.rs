//! Prices that the operator sets in the place of the price list's.

mod row;

use axum::extract::State;
use model::AccountId;
use model::document::Exact;
use model::id::PriceRuleId;
use model::prices::{ModelRule, PriceRule};
use providers::catalog;
use serde::Deserialize;
use serde_json::Value;
use store::price_rules::{self, Filter};
use store::{Store, accounts};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::ApiState;
use super::authorized::PathIds;
use super::body::{Body, Query};
use super::envelope::{ApiResult, Envelope, Paged, PagedResult};
use super::error::ApiError;
use super::operator::Operator;
use super::page::{Page, PageParams};
use super::provider_keys::mistake;
pub(super) use row::{CostRow, CostTerms, NewCost};

/// Every proxy is told of all of them.
const MOST: i64 = 10_000;

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(show, change, delete))
}

/// Set a price
///
/// It holds in the place of the price list's, for all accounts or for one, from `effective_from` on.
/// Where several rules fit a model, the one for the account goes before the one for all; then `equals`
/// before `starts-with` before `contains`; then the longer name; then the later one.
#[utoipa::path(post, path = "/operator/price_rules", tag = "Operator",
    request_body(content = NewOperatorPrice, example = json!({
        "provider": "openai",
        "model": "gpt-4o",
        "token_pricing": {"input_tokens": 2.5, "input_cached_tokens": 1.25, "output_tokens": 10},
    })),
    responses((status = 200, body = Envelope<CostRow>)))]
async fn create(
    _: Operator,
    State(store): State<Store>,
    Body(Exact(body)): Body<Exact>,
) -> ApiResult<CostRow> {
    let id = PriceRuleId(Uuid::now_v7());
    let rule = checked(&store, PriceRule::of_operator(&body, id, OffsetDateTime::now_utc())?).await?;
    let mut tx = store.config_tx().await?;
    let created = price_rules::create(&mut tx, AccountId::INSTALLATION, &rule, MOST).await?;
    let created = created.ok_or(ApiError::Conflict("There are as many price rules as there may be"))?;
    tx.commit().await?;
    Ok(Envelope::of(CostRow::of_rule(created)))
}

/// List the operator's prices
#[utoipa::path(get, path = "/operator/price_rules", tag = "Operator", params(PageParams, Search),
    responses((status = 200, body = Paged<CostRow>)))]
async fn list(
    _: Operator,
    page: Page,
    Query(search): Query<Search>,
    State(store): State<Store>,
) -> PagedResult<CostRow> {
    let (found, total) =
        price_rules::list(&store, AccountId::INSTALLATION, &search.filter(), page.limit(), page.offset())
            .await?;
    Ok(Paged::page(found.into_iter().map(CostRow::of_rule).collect(), page, total))
}

/// Show a price of the operator's
#[utoipa::path(get, path = "/operator/price_rules/{price_rule_id}", tag = "Operator",
    responses((status = 200, body = Envelope<CostRow>)))]
async fn show(_: Operator, path: PathIds, State(store): State<Store>) -> ApiResult<CostRow> {
    let id = path.id("price_rule_id").ok_or(ApiError::NotFound)?;
    let found = price_rules::get(&store, AccountId::INSTALLATION, id).await?.ok_or(ApiError::NotFound)?;
    Ok(Envelope::of(CostRow::of_rule(found)))
}

/// Change a price
///
/// What the body leaves out stays; but prices are one thing: a body that names any of them says all of
/// them. Requests under way are charged what they began with, and what was charged stays charged; see
/// re-rating for corrections.
#[utoipa::path(patch, path = "/operator/price_rules/{price_rule_id}", tag = "Operator",
    request_body(content = OperatorPriceChange, example = json!({"enable": false})),
    responses((status = 200, body = Envelope<CostRow>)))]
async fn change(
    _: Operator,
    path: PathIds,
    State(store): State<Store>,
    Body(Exact(body)): Body<Exact>,
) -> ApiResult<CostRow> {
    let id = path.id("price_rule_id").ok_or(ApiError::NotFound)?;
    let mut tx = store.config_tx().await?;
    let before =
        price_rules::lock(&mut tx, AccountId::INSTALLATION, id).await?.ok_or(ApiError::NotFound)?.rule;
    let body = row::overlaid(row::document(&before), body)?;
    let rule = checked(&store, PriceRule::of_operator(&body, id, before.effective_from)?).await?;
    let changed = price_rules::update(&mut tx, AccountId::INSTALLATION, &rule).await?;
    let changed = changed.ok_or(ApiError::NotFound)?;
    tx.commit().await?;
    Ok(Envelope::of(CostRow::of_rule(changed)))
}

/// Take a price back
///
/// The price list's holds again.
#[utoipa::path(delete, path = "/operator/price_rules/{price_rule_id}", tag = "Operator",
    responses((status = 200, body = Envelope<CostRow>)))]
async fn delete(_: Operator, path: PathIds, State(store): State<Store>) -> ApiResult<CostRow> {
    let id = path.id("price_rule_id").ok_or(ApiError::NotFound)?;
    let mut tx = store.config_tx().await?;
    let gone = price_rules::lock(&mut tx, AccountId::INSTALLATION, id).await?.ok_or(ApiError::NotFound)?;
    price_rules::delete(&mut tx, AccountId::INSTALLATION, id).await?;
    tx.commit().await?;
    Ok(Envelope::of(CostRow::of_rule(gone)))
}

/// What the document alone does not show: whether the provider and the account are there.
pub(super) async fn checked(store: &Store, mut rule: PriceRule) -> Result<PriceRule, ApiError> {
    let mut mistakes = Vec::new();
    match catalog::slug(&rule.provider).map(str::to_owned) {
        Some(slug) => rule.provider = slug,
        None => mistakes.push(mistake("provider", "is not the slug of a provider, such as `openai`")),
    }
    if let Some(account) = rule.account
        && accounts::get(store, account).await?.is_none()
    {
        mistakes.push(mistake("account_id", "is not the id of an account"));
    }
    if mistakes.is_empty() { Ok(rule) } else { Err(mistakes.into()) }
}

/// The same for a rule of an account's own; see `costs.rs`.
pub(super) fn overlaid(before: &PriceRule, change: Value) -> Result<Value, ApiError> {
    let mut document = row::document(before);
    document.retain(|name, _| !matches!(name.as_str(), "provider" | "account_id"));
    row::overlaid(document, change)
}

/// Which prices to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Search {
    /// Whether they hold at all.
    enable: Option<bool>,
    /// How they compare names.
    model_rule: Option<ModelRule>,
    /// `tokens`; there is no other.
    cost_type: Option<String>,
    /// The provider's slug.
    provider: Option<String>,
    /// A custom provider; no price is of one yet.
    pub(super) account_provider_id: Option<String>,
    /// A part of the model's or the provider's name.
    search: Option<String>,
}

impl Search {
    pub(super) fn filter(self) -> Filter {
        let Self { enable, model_rule, cost_type, provider, account_provider_id, search } = self;
        // What no price can have is asked for as a provider that none is.
        let nothing = account_provider_id.is_some() || cost_type.is_some_and(|word| word != "tokens");
        Filter {
            enable,
            model_rule: model_rule.map(|rule| row::word(rule).to_owned()),
            provider: if nothing { Some(String::new()) } else { provider },
            search,
        }
    }
}

/// A price to be set.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `PriceRule::of_operator` reads")]
pub struct NewOperatorPrice {
    /// The provider's slug, such as `openai`.
    provider: String,
    /// The only account for which it holds; null or absent for all.
    account_id: Option<String>,
    #[schema(inline)]
    #[serde(flatten)]
    cost: NewCost,
}

/// What may be changed of a price. What is absent stays, but for prices, which are one thing.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `PriceRule::of_operator` reads")]
pub struct OperatorPriceChange {
    /// The provider's slug.
    provider: Option<String>,
    /// The only account for which it holds; null for all.
    account_id: Option<String>,
    /// A model's name or a part of it.
    model: Option<String>,
    #[schema(inline)]
    #[serde(flatten)]
    terms: CostTerms,
}
