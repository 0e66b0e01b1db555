//! The price list for everybody to read, and the prices that an account has negotiated itself, by which
//! its requests with own keys are reported. What is charged from credits they never touch.

use axum::extract::State;
use model::AccountId;
use model::document::Exact;
use model::id::PriceRuleId;
use model::prices::{ModelRule, PriceRule};
use providers::catalog;
use providers::prices::{Catalogue, listing};
use serde::Deserialize;
use serde_json::Value;
use store::accounts::Account;
use store::price_rules;
use store::{Store, StoreError};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::ApiState;
use super::authorized::{AiGatewayRead, AiGatewayWrite, Authorized, Guarded, PathIds};
use super::body::{Body, Query};
use super::envelope::{ApiResult, Envelope, Paged, PagedResult};
use super::error::ApiError;
use super::page::{Page, PageParams};
use super::price_rules::{CostRow, CostTerms, NewCost, Search, overlaid};
use super::provider_keys::mistake;

/// Every proxy that serves the account is told of all of them.
const MOST: i64 = 1000;

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(own, create))
        .routes(routes!(show, change, delete))
}

/// A price of an account's own.
#[derive(Debug, Clone)]
pub struct OwnCost(price_rules::PriceRule);

impl Guarded for OwnCost {
    async fn find(store: &Store, account: AccountId, path: &PathIds) -> Result<Option<Self>, StoreError> {
        match path.id::<PriceRuleId>("cost_id") {
            Some(id) => Ok(price_rules::get(store, account, id).await?.map(Self)),
            None => Ok(None),
        }
    }
}

/// The price list
///
/// What providers cost, as this account is charged it on credits, before its markup: the catalogue's list
/// under the operator's prices. `version` says which of both a row is from.
#[utoipa::path(get, path = "/accounts/{account_id}/ai-gateway/costs", tag = "Prices",
    params(PageParams, ListSearch), responses((status = 200, body = Paged<CostRow>)))]
async fn list(
    account: Authorized<Account, AiGatewayRead>,
    page: Page,
    Query(ListSearch { search }): Query<ListSearch>,
    State(store): State<Store>,
) -> PagedResult<CostRow> {
    let search = search.unwrap_or_default().to_ascii_lowercase();
    let rules = price_rules::all(&store, AccountId::INSTALLATION).await?;
    let at = OffsetDateTime::now_utc();
    let catalogue = Catalogue::new(rules.iter().map(|rule| rule.rule.clone()));
    let (number, size) = (page.page as usize, page.per_page as usize);
    let listing::Page { rows, total } = listing::page(&catalogue, account.id, at, &search, number, size);
    // Rules for models that no list has come last; those for models that one has are in its rows.
    let beyond: Vec<_> =
        rules.into_iter().filter(|rule| is_beyond(&catalogue, &rule.rule, account.id, at, &search)).collect();
    let all = total + beyond.len();
    let skipped = (number - 1).saturating_mul(size).saturating_sub(total);
    let room = size - rows.len();
    let rest = beyond.into_iter().skip(skipped).take(room).map(CostRow::of_rule);
    let rows = rows.into_iter().map(CostRow::of_list).chain(rest).collect();
    Ok(Paged::page(rows, page, i64::try_from(all).unwrap_or(i64::MAX)))
}

/// Whether a rule holds for this account and no row of the list shows it.
fn is_beyond(
    catalogue: &Catalogue,
    rule: &PriceRule,
    account: AccountId,
    at: OffsetDateTime,
    search: &str,
) -> bool {
    let holds = rule.enable && rule.effective_from <= at && rule.account.is_none_or(|only| only == account);
    let name = format!("{}/{}", rule.provider, rule.model).to_ascii_lowercase();
    let is_listed = || {
        rule.model_rule == ModelRule::Equals
            && catalogue.at(at).is_some_and(|list| list.get(&rule.provider, &rule.model).is_some())
    };
    holds && name.contains(search) && !is_listed()
}

/// Report a price of one's own
///
/// By it the costs of requests with own keys are reported, in the place of the price list's: for a price
/// that was negotiated with a provider. Credits are charged as the operator says.
#[utoipa::path(post, path = "/accounts/{account_id}/ai-gateway/custom-providers/costs", tag = "Prices",
    request_body(content = NewOwnCost, example = json!({
        "provider": "openai",
        "model": "gpt-4o",
        "token_pricing": {"input_tokens": 2, "output_tokens": 8},
    })),
    responses((status = 200, body = Envelope<CostRow>)))]
async fn create(
    account: Authorized<Account, AiGatewayWrite>,
    State(store): State<Store>,
    Body(Exact(body)): Body<Exact>,
) -> ApiResult<CostRow> {
    let id = PriceRuleId(Uuid::now_v7());
    let rule = read(&body, id, account.id, None, OffsetDateTime::now_utc())?;
    let mut tx = store.config_tx().await?;
    let created = price_rules::create(&mut tx, account.id, &rule, MOST).await?;
    let created = created.ok_or(ApiError::Conflict("An account can have at most 1000 prices of its own"))?;
    tx.commit().await?;
    Ok(Envelope::of(CostRow::of_own(created)))
}

/// List the account's own prices
#[utoipa::path(get, path = "/accounts/{account_id}/ai-gateway/custom-providers/costs", tag = "Prices",
    params(PageParams, Search), responses((status = 200, body = Paged<CostRow>)))]
async fn own(
    account: Authorized<Account, AiGatewayRead>,
    page: Page,
    Query(search): Query<Search>,
    State(store): State<Store>,
) -> PagedResult<CostRow> {
    let (found, total) =
        price_rules::list(&store, account.id, &search.filter(), page.limit(), page.offset()).await?;
    Ok(Paged::page(found.into_iter().map(CostRow::of_own).collect(), page, total))
}

/// Show a price of the account's own
#[utoipa::path(get, path = "/accounts/{account_id}/ai-gateway/custom-providers/costs/{cost_id}",
    tag = "Prices", responses((status = 200, body = Envelope<CostRow>)))]
async fn show(cost: Authorized<OwnCost, AiGatewayRead>) -> ApiResult<CostRow> {
    Ok(Envelope::of(CostRow::of_own(cost.0.clone())))
}

/// Change a price of the account's own
///
/// What the body leaves out stays; but prices are one thing: a body that names any of them says all of
/// them.
#[utoipa::path(patch, path = "/accounts/{account_id}/ai-gateway/custom-providers/costs/{cost_id}",
    tag = "Prices",
    request_body(content = OwnCostChange, example = json!({
        "token_pricing": {"input_tokens": 1.8, "output_tokens": 7.5},
    })),
    responses((status = 200, body = Envelope<CostRow>)))]
async fn change(
    cost: Authorized<OwnCost, AiGatewayWrite>,
    State(store): State<Store>,
    Body(Exact(body)): Body<Exact>,
) -> ApiResult<CostRow> {
    let (account, id) = (cost.account, cost.0.rule.id);
    let mut tx = store.config_tx().await?;
    let before = price_rules::lock(&mut tx, account, id).await?.ok_or(ApiError::NotFound)?.rule;
    let body = overlaid(&before, body)?;
    let rule = read(&body, id, account, Some(&before.provider), before.effective_from)?;
    let changed = price_rules::update(&mut tx, account, &rule).await?.ok_or(ApiError::NotFound)?;
    tx.commit().await?;
    Ok(Envelope::of(CostRow::of_own(changed)))
}

/// Take a price of the account's own back
#[utoipa::path(delete, path = "/accounts/{account_id}/ai-gateway/custom-providers/costs/{cost_id}",
    tag = "Prices", responses((status = 200, body = Envelope<CostRow>)))]
async fn delete(cost: Authorized<OwnCost, AiGatewayWrite>, State(store): State<Store>) -> ApiResult<CostRow> {
    let mut tx = store.config_tx().await?;
    if !price_rules::delete(&mut tx, cost.account, cost.0.rule.id).await? {
        return Err(ApiError::NotFound);
    }
    tx.commit().await?;
    Ok(Envelope::of(CostRow::of_own(cost.0.clone())))
}

/// Reads a rule of the account's. Its provider is said by `provider`, or is the one `before`.
fn read(
    body: &Value,
    id: PriceRuleId,
    account: AccountId,
    before: Option<&str>,
    now: OffsetDateTime,
) -> Result<PriceRule, ApiError> {
    let provider = provider(body, before);
    let named = provider.as_ref().map_or("", |provider| provider);
    let read = PriceRule::of_account(body, id, account, named, now);
    match (provider, read) {
        (Ok(_), Ok(rule)) => Ok(rule),
        (provider, read) => {
            let mistakes = provider.err().into_iter().chain(read.err().unwrap_or_default());
            Err(ApiError::Mistakes(mistakes.collect()))
        }
    }
}

fn provider(body: &Value, before: Option<&str>) -> Result<String, model::document::Mistake> {
    if body.get("account_provider_id").is_some_and(|id| !id.is_null()) {
        let unknown = "is not the id of a custom provider of this account; the price of a built-in one is \
                       reported by its slug, as `provider`";
        return Err(mistake("account_provider_id", unknown));
    }
    match body.get("provider") {
        Some(said) => {
            let slug = said.as_str().and_then(catalog::slug).map(str::to_owned);
            slug.ok_or_else(|| mistake("provider", "is not the slug of a provider, such as `openai`"))
        }
        None => {
            let required = "is required, or `account_provider_id` for a custom provider";
            before.map(str::to_owned).ok_or_else(|| mistake("provider", required))
        }
    }
}

/// What to look for in the price list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListSearch {
    /// A part of the model's id, with or without its provider, as in `openai/gpt-4o`.
    search: Option<String>,
}

/// A price of one's own to be reported.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `PriceRule::of_account` reads")]
pub struct NewOwnCost {
    /// A custom provider's id. An id that this account has not is unknown.
    account_provider_id: Option<Uuid>,
    /// A built-in provider's slug, such as `openai`. One of both is required.
    provider: Option<String>,
    #[schema(inline)]
    #[serde(flatten)]
    cost: NewCost,
}

/// What may be changed of a price. What is absent stays, but for prices, which are one thing.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `PriceRule::of_account` reads")]
pub struct OwnCostChange {
    /// A built-in provider's slug.
    provider: Option<String>,
    /// A model's name or a part of it.
    model: Option<String>,
    #[schema(inline)]
    #[serde(flatten)]
    terms: CostTerms,
}
