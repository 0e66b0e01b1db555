//! Automatic top-up: credits are bought when the balance falls below a threshold.

use axum::extract::State;
use model::Nanos;
use model::document::{self, Mistake, integer};
use serde::Serialize;
use serde_json::Value;
use store::Store;
use store::accounts::Account;
use store::payments::auto_topups::{self, AutoTopup};
use store::payments::payers;
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{bounds, of_cents};
use crate::api::ApiState;
use crate::api::authorized::{Authorized, BillingRead, BillingWrite};
use crate::api::body::Body;
use crate::api::envelope::{ApiResult, Envelope};
use crate::api::error::ApiError;
use crate::payments::{Payments, cents};

/// The least threshold, in cents.
const LEAST_THRESHOLD: u64 = 500;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(show, set, remove))
}

/// Set up automatic top-up
///
/// When the balance falls below `threshold`, `amount` is bought with the card of the last top-up. Setting
/// it up again forgets earlier failures. Only a person can do this.
#[utoipa::path(post, path = "/accounts/{account_id}/ai-gateway/billing/topup/config", tag = "Billing",
    request_body(content = NewTopupConfig, example = json!({"amount": 2500, "threshold": 1000})),
    responses((status = 200, body = Envelope<TopupConfig>)))]
async fn set(
    account: Authorized<Account, BillingWrite>,
    State(store): State<Store>,
    State(payments): State<Payments>,
    Body(body): Body<Value>,
) -> ApiResult<TopupConfig> {
    account.caller.person()?;
    payments.provider.stripe()?;
    let NewTopupConfig { amount, threshold } = NewTopupConfig::of(&body, bounds(&store).await?)?;
    let payer = payers::get(&store, account.account).await?;
    if payer.and_then(|payer| payer.card).is_none() {
        return Err(ApiError::Conflict("There is no card to charge yet: top up once, and it is kept"));
    }
    let now = OffsetDateTime::now_utc();
    let (amount, threshold) = (of_cents(amount), of_cents(threshold));
    let set = auto_topups::set(&store, account.account, amount, threshold, now).await?;
    Ok(Envelope::of(TopupConfig::of(Some(set))))
}

/// Show automatic top-up
#[utoipa::path(get, path = "/accounts/{account_id}/ai-gateway/billing/topup/config", tag = "Billing",
    responses((status = 200, body = Envelope<TopupConfig>)))]
async fn show(
    account: Authorized<Account, BillingRead>,
    State(store): State<Store>,
) -> ApiResult<TopupConfig> {
    Ok(Envelope::of(TopupConfig::of(auto_topups::get(&store, account.account).await?)))
}

/// End automatic top-up
///
/// The answer says what it was. Only a person can do this.
#[utoipa::path(delete, path = "/accounts/{account_id}/ai-gateway/billing/topup/config", tag = "Billing",
    responses((status = 200, body = Envelope<TopupConfig>)))]
async fn remove(
    account: Authorized<Account, BillingWrite>,
    State(store): State<Store>,
) -> ApiResult<TopupConfig> {
    account.caller.person()?;
    let removed = auto_topups::remove(&store, account.account).await?.ok_or(ApiError::NotFound)?;
    Ok(Envelope::of(TopupConfig::of(Some(removed))))
}

/// An automatic top-up to be set up.
#[derive(Debug, ToSchema)]
struct NewTopupConfig {
    /// How much is bought, in cents.
    amount: u64,
    /// Below which balance, in cents; at least 500.
    threshold: u64,
}

impl NewTopupConfig {
    fn of(body: &Value, bounds: std::ops::RangeInclusive<u64>) -> Result<Self, Vec<Mistake>> {
        document::read(body, |document| {
            let threshold = document.required("threshold", integer(LEAST_THRESHOLD..=*bounds.end()));
            let amount = document.required("amount", integer(bounds));
            Some(Self { amount: amount?, threshold: threshold? })
        })
    }
}

/// Automatic top-up as it is shown; all null where it is not set up.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TopupConfig {
    /// Cents.
    amount: Option<i64>,
    amount_usd: Option<String>,
    /// Cents.
    threshold: Option<i64>,
    threshold_usd: Option<String>,
    /// Why it is not tried any more: `too_many_failures`, `authentication_required` or
    /// `no_payment_method`.
    #[serde(rename = "disabledReason")]
    disabled_reason: Option<String>,
    /// What went wrong last.
    error: Option<String>,
    /// When, in milliseconds since 1970.
    #[serde(rename = "lastFailedAt")]
    last_failed_at: Option<i64>,
}

impl TopupConfig {
    pub(super) fn of(set: Option<AutoTopup>) -> Self {
        let (amount, threshold) = (set.as_ref().map(|set| set.amount), set.as_ref().map(|set| set.threshold));
        let milliseconds = |at: OffsetDateTime| at.unix_timestamp() * 1000 + i64::from(at.millisecond());
        let last_failed_at = set.as_ref().and_then(|set| set.last_failed_at).map(milliseconds);
        let (error, disabled_reason) = set.map_or((None, None), |set| (set.error, set.disabled_reason));
        let usd = |amount: Option<Nanos>| amount.map(|amount| amount.to_string());
        Self {
            amount: amount.map(cents),
            amount_usd: usd(amount),
            threshold: threshold.map(cents),
            threshold_usd: usd(threshold),
            disabled_reason,
            error,
            last_failed_at,
        }
    }
}
