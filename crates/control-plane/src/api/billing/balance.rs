//! What an account has.

use axum::extract::State;
use serde::Serialize;
use store::accounts::Account;
use store::payments::payers::{self, Card};
use store::payments::{self, auto_topups};
use store::{Store, ledger};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auto_topup::TopupConfig;
use crate::api::ApiState;
use crate::api::authorized::{Authorized, BillingRead};
use crate::api::envelope::{ApiResult, Envelope};
use crate::payments::cents;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(show))
}

/// Show the balance
///
/// What is posted. Requests under way have set aside some of it.
#[utoipa::path(get, path = "/accounts/{account_id}/ai-gateway/billing/credit-balance", tag = "Billing",
    responses((status = 200, body = Envelope<CreditBalance>)))]
async fn show(
    account: Authorized<Account, BillingRead>,
    State(store): State<Store>,
) -> ApiResult<CreditBalance> {
    let id = account.account;
    let balance = ledger::balance(&mut *store.pool.acquire().await?, id).await?;
    let card = payers::get(&store, id).await?.and_then(|payer| payer.card);
    Ok(Envelope::of(CreditBalance {
        balance: cents(balance.total()),
        balance_usd: balance.total().to_string(),
        credits_usd: balance.credits.to_string(),
        promotions_usd: balance.promotions.to_string(),
        owed_usd: balance.owed.to_string(),
        has_default_payment_method: card.is_some(),
        payment_method: card.map(PaymentMethod::from),
        topup_config: TopupConfig::of(auto_topups::get(&store, id).await?),
        first_topup_success: payments::any_succeeded(&store, id).await?,
    }))
}

/// What an account has.
#[derive(Debug, Serialize, ToSchema)]
struct CreditBalance {
    /// Cents, rounded down.
    balance: i64,
    balance_usd: String,
    /// What was paid for, of it.
    credits_usd: String,
    /// What was given and expires, of it.
    promotions_usd: String,
    /// What is owed beside it, because a payment was taken back.
    owed_usd: String,
    has_default_payment_method: bool,
    payment_method: Option<PaymentMethod>,
    topup_config: TopupConfig,
    /// Whether any top-up has succeeded yet.
    first_topup_success: bool,
}

/// A card, as far as it may be shown.
#[derive(Debug, Serialize, ToSchema)]
struct PaymentMethod {
    brand: String,
    last4: String,
}

impl From<Card> for PaymentMethod {
    fn from(card: Card) -> Self {
        let Card { payment_method: _, brand, last4 } = card;
        Self { brand, last4 }
    }
}
