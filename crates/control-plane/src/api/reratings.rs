//! Re-rating: a price was wrong from a date on. What changes is computed and shown, and posted only when
//! the operator says so.

use axum::extract::State;
use model::AccountId;
use model::document::{Exact, Mistake};
use model::id::PriceRuleId;
use model::prices::{ModelRule, PriceRule};
use serde::{Deserialize, Serialize};
use store::Store;
use store::reratings::{self, AccountChange};
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::authorized::PathIds;
use super::body::{Body, instant, optional_instant};
use super::credits::checked_description;
use super::envelope::{ApiResult, Envelope, Paged, PagedResult};
use super::error::ApiError;
use super::operator::Operator;
use super::page::{Page, PageParams};
use super::price_rules::{self, CostRow, NewOperatorPrice};
use super::{ApiState, as_kept};
use crate::rerating;

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(show)).routes(routes!(post))
}

/// Correct a price from a date on
///
/// Computes what requests since then should have cost, and posts nothing yet. The price is written as in
/// a price rule. Records are looked at in the background: show the re-rating until it is `computed`.
#[utoipa::path(post, path = "/operator/reratings", tag = "Operator",
    request_body(content = NewRerating, example = json!({
        "rule": {
            "provider": "openai",
            "model": "gpt-4o-mini",
            "token_pricing": {"input_tokens": 0.15, "output_tokens": 0.6},
        },
        "since": "2026-11-01T00:00:00Z",
        "charges": false,
        "description": "The price of gpt-4o-mini was wrong since 1 November",
    })),
    responses((status = 200, body = Envelope<Rerating>)))]
async fn create(
    _: Operator,
    State(store): State<Store>,
    Body(wanted): Body<NewRerating>,
) -> ApiResult<Rerating> {
    let NewRerating { rule: Exact(rule), since, until, charges, description } = wanted;
    let now = super::now();
    let (since, until) = (as_kept(since), until.map_or(now, as_kept).min(now));
    if since >= until {
        return Err(ApiError::body("since", "must be before `until`, and in the past"));
    }
    let id = Uuid::now_v7();
    let description = checked_description(description)?;
    let rule = PriceRule::of_operator(&rule, PriceRuleId(id), now).map_err(in_rule)?;
    let rule = price_rules::checked(&store, rule).await.map_err(|error| match error {
        ApiError::Mistakes(mistakes) => in_rule(mistakes),
        error => error,
    })?;
    let PriceRule { provider, model, model_rule, account, price, .. } = rule;
    let rerating = reratings::Rerating {
        id,
        provider,
        model,
        model_rule,
        price,
        since,
        until,
        account,
        charges,
        description,
        computed_at: None,
        posted_at: None,
        created_at: now,
    };
    reratings::create(&store, &rerating).await?;
    rerating::begin(&store, id);
    shown(&store, rerating).await
}

/// List re-ratings
#[utoipa::path(get, path = "/operator/reratings", tag = "Operator", params(PageParams),
    responses((status = 200, body = Paged<Rerating>)))]
async fn list(_: Operator, page: Page, State(store): State<Store>) -> PagedResult<Rerating> {
    let (found, total) = reratings::list(&store, page.limit(), page.offset()).await?;
    let shown = found.into_iter().map(|rerating| Rerating::of(rerating, Vec::new())).collect();
    Ok(Paged::page(shown, page, total))
}

/// Show a re-rating
///
/// With what changes for each account. One whose computing was broken off goes on.
#[utoipa::path(get, path = "/operator/reratings/{rerating_id}", tag = "Operator",
    responses((status = 200, body = Envelope<Rerating>)))]
async fn show(_: Operator, path: PathIds, State(store): State<Store>) -> ApiResult<Rerating> {
    let rerating = found(&store, &path).await?;
    if rerating.computed_at.is_none() {
        rerating::begin(&store, rerating.id);
    }
    shown(&store, rerating).await
}

/// Post a re-rating
///
/// Gives back what customers were charged too much, and takes what they were charged too little if
/// `charges` says so; what is not there of it they owe. Each account's change is one transaction, posted
/// once however often this is repeated.
#[utoipa::path(post, path = "/operator/reratings/{rerating_id}/post", tag = "Operator",
    responses((status = 200, body = Envelope<Rerating>)))]
async fn post(_: Operator, path: PathIds, State(store): State<Store>) -> ApiResult<Rerating> {
    let rerating = found(&store, &path).await?;
    if rerating.computed_at.is_none() {
        return Err(ApiError::Conflict("The re-rating is still being computed; show it, and post it then"));
    }
    if rerating.posted_at.is_none() && reratings::is_overtaken(&store, rerating.id).await? {
        return Err(ApiError::Conflict(
            "Another re-rating of the same requests was posted meanwhile; create this one again",
        ));
    }
    rerating::post(&store, &rerating).await?;
    let posted = found(&store, &path).await?;
    shown(&store, posted).await
}

/// The rule stands one deeper than where a price rule is the whole body.
fn in_rule(mut mistakes: Vec<Mistake>) -> ApiError {
    for Mistake { path, .. } in &mut mistakes {
        path.insert(1, "rule".to_owned());
    }
    ApiError::Mistakes(mistakes)
}

async fn found(store: &Store, path: &PathIds) -> Result<reratings::Rerating, ApiError> {
    let id: Uuid = path.id("rerating_id").ok_or(ApiError::NotFound)?;
    reratings::get(store, id).await?.ok_or(ApiError::NotFound)
}

async fn shown(store: &Store, rerating: reratings::Rerating) -> ApiResult<Rerating> {
    let mut connection = store.pool.acquire().await?;
    let changes = reratings::changes(&mut connection, rerating.id).await?;
    Ok(Envelope::of(Rerating::of(rerating, changes)))
}

/// A price to be corrected.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRerating {
    /// The price as it should have been, for which models, and for which account if not for all: as in an
    /// operator's price rule.
    #[schema(value_type = NewOperatorPrice)]
    rule: Exact,
    /// Requests from then on.
    #[serde(deserialize_with = "instant")]
    since: OffsetDateTime,
    /// Requests before then; until now unless said.
    #[serde(default, deserialize_with = "optional_instant")]
    until: Option<OffsetDateTime>,
    /// Whether customers also pay what they were charged too little.
    #[serde(default)]
    charges: bool,
    /// Shown on statements; at most 500 characters.
    #[serde(default)]
    #[schema(max_length = 500)]
    description: String,
}

/// A re-rating as it is shown.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Rerating {
    id: Uuid,
    state: ReratingState,
    provider: String,
    model: String,
    model_rule: ModelRule,
    /// The only account whose requests are looked at; null for all.
    #[schema(value_type = Option<String>)]
    account_id: Option<AccountId>,
    /// The price as it should have been.
    rule: CostRow,
    #[serde(with = "time::serde::rfc3339")]
    since: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    until: OffsetDateTime,
    charges: bool,
    description: String,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    posted_at: Option<OffsetDateTime>,
    /// By account; left out of lists.
    changes: Vec<ReratingChange>,
}

/// How far a re-rating has come.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum ReratingState {
    /// Records are being looked at.
    Computing,
    /// What changes is known, and nothing is posted.
    Computed,
    /// It is in the ledger.
    Posted,
}

/// What changes for an account. Amounts are decimals of dollars, exact.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReratingChange {
    #[schema(value_type = String)]
    account_id: AccountId,
    records: i64,
    /// By how much the cost grows, on its own keys too.
    cost_usd: String,
    /// What the customer pays more; below zero for what is given back.
    due_usd: String,
}

impl Rerating {
    fn of(rerating: reratings::Rerating, changes: Vec<AccountChange>) -> Self {
        let reratings::Rerating {
            id,
            provider,
            model,
            model_rule,
            price,
            since,
            until,
            account,
            charges,
            description,
            computed_at,
            posted_at,
            created_at,
        } = rerating;
        let state = match (computed_at, posted_at) {
            (_, Some(_)) => ReratingState::Posted,
            (Some(_), None) => ReratingState::Computed,
            (None, None) => ReratingState::Computing,
        };
        let change = |change: AccountChange| ReratingChange {
            account_id: change.account,
            records: change.records,
            cost_usd: change.cost.to_string(),
            due_usd: change.due.to_string(),
        };
        let rule = PriceRule {
            id: PriceRuleId(id),
            provider: provider.clone(),
            model: model.clone(),
            model_rule,
            account,
            effective_from: since,
            enable: true,
            price,
        };
        let rule = store::price_rules::PriceRule { rule, created_at, modified_at: created_at };
        Self {
            id,
            state,
            provider,
            model,
            model_rule,
            account_id: account,
            rule: CostRow::of_rule(rule),
            since,
            until,
            charges,
            description,
            created_at,
            posted_at,
            changes: changes.into_iter().map(change).collect(),
        }
    }
}
