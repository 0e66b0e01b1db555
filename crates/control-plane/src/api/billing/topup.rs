//! Top-ups by card.

use axum::extract::State;
use model::Nanos;
use model::document::{self, Mistake, integer, text};
use serde::Serialize;
use serde_json::Value;
use store::accounts::Account;
use store::payments::payers::{self, Card};
use store::{Store, operator_settings, payments};
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
use crate::payments::purchase::{self, Begun, Purchase};
use crate::payments::settling::Came;
use crate::payments::stripe::StripeError;
use crate::payments::{Off, Payments, cents};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(top_up))
        .routes(routes!(status))
        .routes(routes!(limits))
        .routes(routes!(eligibility))
}

/// Top up
///
/// Buys credits with the card that is named, or else with the one of the last top-up. Where there is
/// neither, or the card's owner has to be asked, the answer has a `client_secret`, with which the buyer's
/// browser goes on at Stripe. A card that is declined is answered with 402. Only a person can do this.
#[utoipa::path(post, path = "/accounts/{account_id}/ai-gateway/billing/topup", tag = "Billing",
    request_body(content = NewTopUp, example = json!({"amount": 2500})),
    responses((status = 200, body = Envelope<TopUp>)))]
async fn top_up(
    account: Authorized<Account, BillingWrite>,
    State(store): State<Store>,
    State(payments): State<Payments>,
    Body(body): Body<Value>,
) -> ApiResult<TopUp> {
    let buyer = account.caller.person()?;
    let stripe = payments.provider.stripe()?;
    let NewTopUp { amount, payment_method_id } = NewTopUp::of(&body, bounds(&store).await?)?;
    let amount = of_cents(amount);
    let purchase = Purchase {
        account: account.account,
        account_name: &account.name,
        email: Some(&buyer.email),
        amount,
        payment_method: payment_method_id,
    };
    let begun = purchase::begin(&store, stripe, purchase, OffsetDateTime::now_utc()).await?;
    Ok(Envelope::of(TopUp::of(begun, amount)))
}

/// See what became of a top-up
///
/// `completed` once the credits are there, `pending` before. One that failed is answered with 402 and the
/// reason.
#[utoipa::path(post, path = "/accounts/{account_id}/ai-gateway/billing/topup/status", tag = "Billing",
    request_body(content = StatusQuestion, example = json!({"payment_intent_id": "pi_3Q1"})),
    responses((status = 200, body = Envelope<TopUpStatus>)))]
async fn status(
    account: Authorized<Account, BillingRead>,
    State(store): State<Store>,
    State(payments): State<Payments>,
    Body(body): Body<Value>,
) -> ApiResult<TopUpStatus> {
    let StatusQuestion { payment_intent_id } = StatusQuestion::of(&body)?;
    let found = payments::by_intent(&store, account.account, &payment_intent_id).await?;
    let payment = found.ok_or(ApiError::NotFound)?;
    let stripe = payments.provider.stripe().ok();
    let status = match purchase::status(&store, stripe, &payment, OffsetDateTime::now_utc()).await? {
        Came::Credited => TopUpState::Completed,
        Came::Open => TopUpState::Pending,
        Came::Failed(reason) => return Err(ApiError::PaymentRequired(reason)),
        Came::Stranded => {
            let message = "The payment arrived but could not be credited; the operator has been told";
            return Err(ApiError::Conflict(message));
        }
    };
    Ok(Envelope::of(TopUpStatus { payment_intent_id, status }))
}

/// Show what can be bought
///
/// Also says whether cards can be charged here at all.
#[utoipa::path(get, path = "/accounts/{account_id}/ai-gateway/billing/topup/limits", tag = "Billing",
    responses((status = 200, body = Envelope<TopUpLimits>)))]
async fn limits(
    _: Authorized<Account, BillingRead>,
    State(store): State<Store>,
    State(payments): State<Payments>,
) -> ApiResult<TopUpLimits> {
    let settings = operator_settings::get(&mut *store.pool.acquire().await?).await?;
    let stripe = payments.provider.stripe();
    Ok(Envelope::of(TopUpLimits {
        enabled: stripe.is_ok(),
        reason: stripe.is_err().then_some(Off::MESSAGE),
        publishable_key: stripe.ok().and_then(|stripe| stripe.publishable_key()).map(str::to_owned),
        minimum: cents(settings.minimum_topup),
        minimum_usd: settings.minimum_topup.to_string(),
        maximum: cents(settings.maximum_topup),
        maximum_usd: settings.maximum_topup.to_string(),
        fee_percent: model::decimal::written(settings.purchase_fee_ppm, 4),
        currency: "usd",
    }))
}

/// Ask whether a card can be charged at once
///
/// With the card that is named, or else with the one of the last top-up.
#[utoipa::path(post, path = "/accounts/{account_id}/ai-gateway/billing/topup/eligibility", tag = "Billing",
    request_body(content = EligibilityQuestion, example = json!({"payment_method_id": "pm_1"})),
    responses((status = 200, body = Envelope<Eligibility>)))]
async fn eligibility(
    account: Authorized<Account, BillingWrite>,
    State(store): State<Store>,
    State(payments): State<Payments>,
    Body(body): Body<Value>,
) -> ApiResult<Eligibility> {
    let EligibilityQuestion { payment_method_id } = EligibilityQuestion::of(&body)?;
    let no = |reason| Ok(Envelope::of(Eligibility { eligible: false, reason: Some(reason) }));
    let Ok(stripe) = payments.provider.stripe() else { return no(Ineligible::PaymentsOff) };
    let kept = payers::get(&store, account.account).await?.and_then(|payer| payer.card);
    match (payment_method_id, kept) {
        (None, None) => no(Ineligible::NoPaymentMethod),
        (None, Some(_)) => Ok(Envelope::of(Eligibility { eligible: true, reason: None })),
        (Some(named), _) => match stripe.card(&named).await {
            Ok(_) => Ok(Envelope::of(Eligibility { eligible: true, reason: None })),
            Err(StripeError::Refused(_)) => no(Ineligible::UnknownPaymentMethod),
            Err(error) => Err(error.into()),
        },
    }
}

/// A top-up to be made.
#[derive(Debug, ToSchema)]
struct NewTopUp {
    /// The credits to be bought, in cents. The fee comes on top of them.
    amount: u64,
    /// The card to charge, by Stripe's name for it.
    #[schema(value_type = Option<String>)]
    payment_method_id: Option<String>,
}

impl NewTopUp {
    fn of(body: &Value, bounds: std::ops::RangeInclusive<u64>) -> Result<Self, Vec<Mistake>> {
        document::read(body, |document| {
            let amount = document.required("amount", integer(bounds));
            let card = document.optional("payment_method_id", None, document::nullable(payment_method));
            Some(Self { amount: amount?, payment_method_id: card? })
        })
    }
}

/// Stripe's names have these characters; anything else could lead a request elsewhere at Stripe.
fn payment_method(value: &Value) -> Result<String, String> {
    let name = text(1..=255)(value)?;
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if plain { Ok(name) } else { Err("must be the id of a payment method, such as `pm_1`".to_owned()) }
}

/// A top-up that was made, or that the buyer has to go on with.
#[derive(Debug, Serialize, ToSchema)]
struct TopUp {
    /// With which the buyer's browser goes on; null if there is nothing left to do.
    client_secret: Option<String>,
    /// Whether a card was known before.
    onboarding: bool,
    payment_intent_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    brand: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last4: Option<String>,
    /// The credits, in cents.
    amount: i64,
    amount_usd: String,
    /// What is paid on top of them, in cents.
    fee: i64,
    fee_usd: String,
}

impl TopUp {
    fn of(begun: Begun, amount: Nanos) -> Self {
        let Begun { intent, client_secret, onboarded, fee, card } = begun;
        let (brand, last4) = card.map(|Card { brand, last4, .. }| (brand, last4)).unzip();
        Self {
            client_secret,
            onboarding: onboarded,
            payment_intent_id: intent,
            brand,
            last4,
            amount: cents(amount),
            amount_usd: amount.to_string(),
            fee: cents(fee),
            fee_usd: fee.to_string(),
        }
    }
}

/// Which top-up is asked about.
#[derive(Debug, ToSchema)]
#[schema(as = TopUpStatusQuestion)]
struct StatusQuestion {
    payment_intent_id: String,
}

impl StatusQuestion {
    fn of(body: &Value) -> Result<Self, Vec<Mistake>> {
        document::read(body, |document| {
            let payment_intent_id = document.required("payment_intent_id", text(1..=255))?;
            Some(Self { payment_intent_id })
        })
    }
}

/// How a top-up stands.
#[derive(Debug, Serialize, ToSchema)]
struct TopUpStatus {
    payment_intent_id: String,
    status: TopUpState,
}

/// Whether the credits are there.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum TopUpState {
    /// They are.
    Completed,
    /// Not yet.
    Pending,
}

/// What can be bought.
#[derive(Debug, Serialize, ToSchema)]
struct TopUpLimits {
    /// Whether cards can be charged here.
    enabled: bool,
    /// Why not.
    reason: Option<&'static str>,
    /// What the buyer's browser shows Stripe's form with.
    publishable_key: Option<String>,
    /// The least that can be bought at once, in cents.
    minimum: i64,
    minimum_usd: String,
    /// The most, in cents.
    maximum: i64,
    maximum_usd: String,
    /// What is paid on top, in percent of the credits.
    fee_percent: String,
    currency: &'static str,
}

/// Which card is asked about.
#[derive(Debug, ToSchema)]
#[schema(as = TopUpEligibilityQuestion)]
struct EligibilityQuestion {
    /// The card, by Stripe's name for it; the one of the last top-up unless said.
    #[schema(value_type = Option<String>)]
    payment_method_id: Option<String>,
}

impl EligibilityQuestion {
    fn of(body: &Value) -> Result<Self, Vec<Mistake>> {
        document::read(body, |document| {
            let card = document.optional("payment_method_id", None, document::nullable(payment_method))?;
            Some(Self { payment_method_id: card })
        })
    }
}

/// Whether a card can be charged at once.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TopUpEligibility)]
struct Eligibility {
    eligible: bool,
    reason: Option<Ineligible>,
}

/// Why not.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = IneligibleReason)]
#[serde(rename_all = "snake_case")]
enum Ineligible {
    /// No card can be charged here.
    PaymentsOff,
    /// There is none yet: a top-up has to be finished in the buyer's browser.
    NoPaymentMethod,
    /// Stripe does not know it.
    UnknownPaymentMethod,
}
