//! Purchases as invoices, and what this month's usage comes to so far.

use axum::extract::State;
use model::document::one_of;
use model::{AccountId, Nanos};
use serde::{Deserialize, Serialize};
use store::Store;
use store::accounts::Account;
use store::payments::usage::{self, OfModel};
use store::payments::{self, Origin, Payment, PaymentState};
use time::{OffsetDateTime, Time};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::ApiState;
use crate::api::authorized::{Authorized, BillingRead};
use crate::api::body::Query;
use crate::api::envelope::{ApiResult, Envelope};
use crate::api::error::ApiError;
use crate::api::page::{Page, PageParams};
use crate::payments::cents;

const CURRENCY: &str = "usd";

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(history)).routes(routes!(preview))
}

/// List purchases
///
/// Every top-up, the newest first, as an invoice over credits and fee.
#[utoipa::path(get, path = "/accounts/{account_id}/ai-gateway/billing/invoice-history", tag = "Billing",
    params(HistoryQuery, PageParams), responses((status = 200, body = Envelope<InvoiceHistory>)))]
async fn history(
    account: Authorized<Account, BillingRead>,
    page: Page,
    Query(query): Query<HistoryQuery>,
    State(store): State<Store>,
) -> ApiResult<InvoiceHistory> {
    let kind = query.r#type.unwrap_or_else(|| "all".to_owned());
    let kind: InvoiceKind = one_of("`auto`, `all` or `manual`")(&kind.into())
        .map_err(|message| ApiError::query("type", message))?;
    let origin = match kind {
        InvoiceKind::All => None,
        InvoiceKind::Auto => Some(Origin::Auto),
        InvoiceKind::Manual => Some(Origin::Manual),
    };
    let (found, total) = payments::list(&store, account.account, origin, page.limit(), page.offset()).await?;
    let pagination = InvoicePagination {
        has_more: page.offset() + page.limit() < total,
        page: page.page,
        per_page: page.per_page,
        total_count: total,
    };
    Ok(Envelope::of(InvoiceHistory { invoices: found.iter().map(Invoice::of).collect(), pagination }))
}

/// Preview this month's invoice
///
/// One line per model: what its requests took of the credits since the month began, in UTC. It is paid
/// already, so nothing remains of it.
#[utoipa::path(get, path = "/accounts/{account_id}/ai-gateway/billing/invoice-preview", tag = "Billing",
    responses((status = 200, body = Envelope<InvoicePreview>)))]
async fn preview(
    account: Authorized<Account, BillingRead>,
    State(store): State<Store>,
) -> ApiResult<InvoicePreview> {
    let now = OffsetDateTime::now_utc();
    let start =
        now.replace_day(1).map_err(|error| ApiError::Internal(error.into()))?.replace_time(Time::MIDNIGHT);
    let lines = usage::by_model(&store, account.account, start).await?;
    Ok(Envelope::of(InvoicePreview::of(account.account, &lines, start, now)))
}

/// Which purchases are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct HistoryQuery {
    /// `auto`, `all` or `manual`; `all` unless said.
    r#type: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum InvoiceKind {
    All,
    Auto,
    Manual,
}

/// A page of purchases.
#[derive(Debug, Serialize, ToSchema)]
struct InvoiceHistory {
    invoices: Vec<Invoice>,
    pagination: InvoicePagination,
}

/// Where the page stands.
#[derive(Debug, Serialize, ToSchema)]
struct InvoicePagination {
    has_more: bool,
    page: u32,
    per_page: u32,
    total_count: i64,
}

/// A purchase.
#[derive(Debug, Serialize, ToSchema)]
struct Invoice {
    id: String,
    /// Cents, the fee included.
    amount_due: i64,
    amount_due_usd: String,
    amount_paid: i64,
    amount_paid_usd: String,
    amount_remaining: i64,
    amount_remaining_usd: String,
    /// What went back to the buyer, in cents.
    amount_refunded: i64,
    /// The credits bought.
    credits_usd: String,
    fee_usd: String,
    currency: &'static str,
    attempted: bool,
    /// Seconds since 1970.
    created: i64,
    created_by: Option<String>,
    description: String,
    /// `auto` or `manual`.
    invoice_origin: &'static str,
    /// There is none.
    #[schema(value_type = Option<String>)]
    invoice_pdf: Option<()>,
    payment_intent_id: Option<String>,
    status: InvoiceStatus,
}

/// How a purchase stands, in Stripe's words for invoices.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum InvoiceStatus {
    /// Not paid yet.
    Open,
    /// Paid.
    Paid,
    /// The card was declined.
    Uncollectible,
    /// Called off.
    Void,
}

impl Invoice {
    fn of(payment: &Payment) -> Self {
        let due = payment.amount + payment.fee;
        let (status, paid) = match payment.state {
            PaymentState::Pending => (InvoiceStatus::Open, Nanos::ZERO),
            PaymentState::Succeeded | PaymentState::Stranded => (InvoiceStatus::Paid, due),
            PaymentState::Failed => (InvoiceStatus::Uncollectible, Nanos::ZERO),
            PaymentState::Canceled => (InvoiceStatus::Void, Nanos::ZERO),
        };
        let remaining = if let InvoiceStatus::Open = status { due } else { Nanos::ZERO };
        Self {
            id: payment.id.to_string(),
            amount_due: cents(due),
            amount_due_usd: due.to_string(),
            amount_paid: cents(paid),
            amount_paid_usd: paid.to_string(),
            amount_remaining: cents(remaining),
            amount_remaining_usd: remaining.to_string(),
            amount_refunded: payment.refunded,
            credits_usd: payment.amount.to_string(),
            fee_usd: payment.fee.to_string(),
            currency: CURRENCY,
            attempted: payment.intent.is_some(),
            created: payment.created_at.unix_timestamp(),
            created_by: payment.created_by.clone(),
            description: match payment.origin {
                Origin::Manual => "Top-up".to_owned(),
                Origin::Auto => "Automatic top-up".to_owned(),
            },
            invoice_origin: payment.origin.as_str(),
            invoice_pdf: None,
            payment_intent_id: payment.intent.clone(),
            status,
        }
    }
}

/// This month's usage so far.
#[derive(Debug, Serialize, ToSchema)]
struct InvoicePreview {
    id: String,
    /// Cents, rounded down.
    amount_due: i64,
    amount_due_usd: String,
    amount_paid: i64,
    amount_paid_usd: String,
    amount_remaining: i64,
    amount_remaining_usd: String,
    currency: &'static str,
    /// Seconds since 1970.
    period_start: i64,
    period_end: i64,
    /// Always `draft`: the month is not over.
    status: &'static str,
    invoice_lines: Vec<InvoicePreviewLine>,
}

/// One model's usage.
#[derive(Debug, Serialize, ToSchema)]
struct InvoicePreviewLine {
    /// Cents, rounded down.
    amount: i64,
    amount_usd: String,
    currency: &'static str,
    description: String,
    /// Requests.
    quantity: i64,
    period: InvoicePeriod,
    pricing: InvoicePricing,
}

/// Seconds since 1970.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
struct InvoicePeriod {
    start: i64,
    end: i64,
}

/// Null: a request has no price of its own.
#[derive(Debug, Serialize, ToSchema)]
struct InvoicePricing {
    unit_amount_decimal: Option<String>,
}

impl InvoicePreview {
    fn of(account: AccountId, models: &[OfModel], start: OffsetDateTime, now: OffsetDateTime) -> Self {
        let paid: Nanos = models.iter().map(|of| of.paid).sum();
        let period = InvoicePeriod { start: start.unix_timestamp(), end: now.unix_timestamp() };
        Self {
            id: format!("preview_{account}_{:04}{:02}", start.year(), u8::from(start.month())),
            amount_due: cents(paid),
            amount_due_usd: paid.to_string(),
            amount_paid: cents(paid),
            amount_paid_usd: paid.to_string(),
            amount_remaining: 0,
            amount_remaining_usd: Nanos::ZERO.to_string(),
            currency: CURRENCY,
            period_start: period.start,
            period_end: period.end,
            status: "draft",
            invoice_lines: models.iter().map(|of| InvoicePreviewLine::of(of, period)).collect(),
        }
    }
}

impl InvoicePreviewLine {
    fn of(of: &OfModel, period: InvoicePeriod) -> Self {
        let OfModel { provider, model, requests, paid } = of;
        Self {
            amount: cents(*paid),
            amount_usd: paid.to_string(),
            currency: CURRENCY,
            description: format!("{provider}/{model}"),
            quantity: *requests,
            period,
            pricing: InvoicePricing { unit_amount_decimal: None },
        }
    }
}
