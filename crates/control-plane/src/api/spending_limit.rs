//! The most that all of an account's gateways may spend together. Cloudflare has closed this door in
//! favour of the gateways' own rules; here it stays open.

use axum::extract::State;
use axum::http::StatusCode;
use model::document::Exact;
use model::gateway::Technique;
use model::terms::{LimitDuration, SpendingLimit};
use serde::Serialize;
use serde_json::value::RawValue;
use store::Store;
use store::accounts::{self, Account};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::authorized::{Authorized, BillingRead, BillingWrite};
use super::body::Body;
use super::envelope::{ApiResult, Envelope};
use super::error::ApiError;
use super::operator_settings::cents;

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(show, set, delete))
}

/// Show the account's spending limit
#[utoipa::path(get, path = "/accounts/{account_id}/ai-gateway/billing/spending-limit", tag = "Billing",
    responses((status = 200, body = Envelope<AccountSpendingLimit>)))]
async fn show(
    account: Authorized<Account, BillingRead>,
    State(store): State<Store>,
) -> ApiResult<AccountSpendingLimit> {
    let terms = accounts::terms(&mut *store.pool.acquire().await?, account.id).await?;
    Ok(Envelope::of(AccountSpendingLimit::of(terms.ok_or(ApiError::NotFound)?.spending_limit.as_ref())?))
}

/// Set the account's spending limit
///
/// It holds for requests on credits and with own keys alike, beside the rules of each gateway: a request
/// must fit into all. It takes the place of the one before; where only the amount is another, what was
/// spent so far still counts.
#[utoipa::path(post, path = "/accounts/{account_id}/ai-gateway/billing/spending-limit", tag = "Billing",
    request_body(content = NewSpendingLimit, example = json!({
        "amount": 5000,
        "duration": "daily",
        "strategy": "fixed",
    })),
    responses((status = 201, body = Envelope<AccountSpendingLimit>)))]
async fn set(
    account: Authorized<Account, BillingWrite>,
    State(store): State<Store>,
    Body(Exact(body)): Body<Exact>,
) -> Result<(StatusCode, Envelope<AccountSpendingLimit>), ApiError> {
    let limit = SpendingLimit::of_request(&body)?;
    let mut tx = store.config_tx().await?;
    let mut terms = accounts::lock_terms(&mut tx, account.id).await?.ok_or(ApiError::NotFound)?;
    terms.spending_limit = Some(limit);
    accounts::set_terms(&mut tx, account.id, &terms).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Envelope::of(AccountSpendingLimit::of(Some(&limit))?)))
}

/// Take the account's spending limit away
#[utoipa::path(delete, path = "/accounts/{account_id}/ai-gateway/billing/spending-limit", tag = "Billing",
    responses((status = 200, body = Envelope<AccountSpendingLimit>)))]
async fn delete(
    account: Authorized<Account, BillingWrite>,
    State(store): State<Store>,
) -> ApiResult<AccountSpendingLimit> {
    let mut tx = store.config_tx().await?;
    let mut terms = accounts::lock_terms(&mut tx, account.id).await?.ok_or(ApiError::NotFound)?;
    let gone = terms.spending_limit.take().ok_or(ApiError::NotFound)?;
    accounts::set_terms(&mut tx, account.id, &terms).await?;
    tx.commit().await?;
    Ok(Envelope::of(AccountSpendingLimit::of(Some(&gone))?))
}

/// A spending limit to be set.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `SpendingLimit::of_request` reads")]
pub struct NewSpendingLimit {
    /// Cents, at least 100; or `amount_usd`.
    amount: Option<f64>,
    /// The same in dollars, exactly.
    amount_usd: Option<String>,
    /// A month has thirty days.
    duration: LimitDuration,
    strategy: Technique,
}

/// The account's spending limit, if it has one.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountSpendingLimit {
    config: Option<Limit>,
    /// Whether there is one.
    enabled: bool,
}

impl AccountSpendingLimit {
    fn of(limit: Option<&SpendingLimit>) -> Result<Self, ApiError> {
        Ok(Self { config: limit.map(Limit::of).transpose()?, enabled: limit.is_some() })
    }
}

/// A spending limit as it is shown.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SpendingLimit)]
pub struct Limit {
    /// Cents.
    #[schema(value_type = f64)]
    amount: Box<RawValue>,
    /// The same in dollars, exactly.
    amount_usd: String,
    duration: LimitDuration,
    strategy: Technique,
}

impl Limit {
    pub(super) fn of(limit: &SpendingLimit) -> Result<Self, ApiError> {
        let SpendingLimit { amount, duration, strategy } = *limit;
        Ok(Self { amount: cents(amount)?, amount_usd: amount.to_string(), duration, strategy })
    }
}
