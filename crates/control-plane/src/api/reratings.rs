//! Re-rating: a price was wrong from a date on. What changes is computed and shown, and posted only when
//! the operator says so.

use axum::extract::State;
use model::AccountId;
use model::prices::{ModelRule, PriceRule};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::Store;
use store::reratings::{self, AccountChange, Rerating};
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::ApiState;
use super::authorized::PathIds;
use super::body::Body;
use super::envelope::{ApiResult, Envelope, Paged, PagedResult};
use super::error::ApiError;
use super::operator::Operator;
use super::page::{Page, PageParams};
use crate::rerating;

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(show)).routes(routes!(post))
}

/// Correct a price from a date on
///
/// Computes what requests since then should have cost, and posts nothing yet. The price is written as in
/// a price rule. Records are looked at in the background: show the re-rating until it is `computed`.
#[utoipa::path(post, path = "/operator/reratings", tag = "Operator", request_body = Wanted,
    responses((status = 200, body = Envelope<Shown>)))]
async fn create(_: Operator, State(store): State<Store>, Body(wanted): Body<Wanted>) -> ApiResult<Shown> {
    let Wanted { rule, since, until, charges, description } = wanted;
    let now = OffsetDateTime::now_utc();
    let until = until.unwrap_or(now).min(now);
    if since >= until {
        return Err(ApiError::body("since", "must be before `until`, and in the past"));
    }
    let id = Uuid::now_v7();
    let PriceRule { provider, model, model_rule, account, price, .. } =
        PriceRule::of_operator(&rule, model::id::PriceRuleId(id), now)?;
    let rerating = Rerating {
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
    responses((status = 200, body = Paged<Shown>)))]
async fn list(_: Operator, page: Page, State(store): State<Store>) -> PagedResult<Shown> {
    let (found, total) = reratings::list(&store, page.limit(), page.offset()).await?;
    let shown = found.into_iter().map(|rerating| Shown::of(rerating, Vec::new())).collect();
    Ok(Paged::page(shown, page, total))
}

/// Show a re-rating
///
/// With what changes for each account. One whose computing was broken off goes on.
#[utoipa::path(get, path = "/operator/reratings/{rerating_id}", tag = "Operator",
    responses((status = 200, body = Envelope<Shown>)))]
async fn show(_: Operator, path: PathIds, State(store): State<Store>) -> ApiResult<Shown> {
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
    responses((status = 200, body = Envelope<Shown>)))]
async fn post(_: Operator, path: PathIds, State(store): State<Store>) -> ApiResult<Shown> {
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

async fn found(store: &Store, path: &PathIds) -> Result<Rerating, ApiError> {
    let id: Uuid = path.id("rerating_id").ok_or(ApiError::NotFound)?;
    reratings::get(store, id).await?.ok_or(ApiError::NotFound)
}

async fn shown(store: &Store, rerating: Rerating) -> ApiResult<Shown> {
    let mut connection = store.pool.acquire().await?;
    let changes = reratings::changes(&mut connection, rerating.id).await?;
    Ok(Envelope::of(Shown::of(rerating, changes)))
}

/// A price to be corrected.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// The price as it should have been, for which models, and for which account if not for all: as in an
    /// operator's price rule.
    #[schema(value_type = Object)]
    rule: Value,
    /// Requests from then on.
    #[serde(with = "time::serde::rfc3339")]
    since: OffsetDateTime,
    /// Requests before then; until now unless said.
    #[serde(default, with = "time::serde::rfc3339::option")]
    until: Option<OffsetDateTime>,
    /// Whether customers also pay what they were charged too little.
    #[serde(default)]
    charges: bool,
    /// Shown on statements.
    #[serde(default)]
    description: String,
}

/// A re-rating as it is shown.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Shown {
    id: Uuid,
    /// `computing`, `computed` or `posted`.
    state: &'static str,
    provider: String,
    model: String,
    model_rule: ModelRule,
    #[schema(value_type = Option<String>)]
    account_id: Option<AccountId>,
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
    changes: Vec<Change>,
}

/// What changes for an account. Amounts are decimals of dollars, exact.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Change {
    #[schema(value_type = String)]
    account_id: AccountId,
    records: i64,
    /// By how much the cost grows, on its own keys too.
    cost_usd: String,
    /// What the customer pays more; below zero for what is given back.
    due_usd: String,
}

impl Shown {
    fn of(rerating: Rerating, changes: Vec<AccountChange>) -> Self {
        let Rerating {
            id,
            provider,
            model,
            model_rule,
            price: _,
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
            (_, Some(_)) => "posted",
            (Some(_), None) => "computed",
            (None, None) => "computing",
        };
        let change = |change: AccountChange| Change {
            account_id: change.account,
            records: change.records,
            cost_usd: change.cost.to_string(),
            due_usd: change.due.to_string(),
        };
        Self {
            id,
            state,
            provider,
            model,
            model_rule,
            account_id: account,
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
