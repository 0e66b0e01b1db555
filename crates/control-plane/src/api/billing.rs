//! What an account has, how it buys more, and who is told when it runs low. Every amount in cents stands
//! beside the exact one, as a decimal string of dollars.

mod auto_topup;
mod balance;
mod invoices;
mod notices;
pub mod stripe_webhook;
mod topup;
mod usage;
mod vouchers;

use model::Nanos;
use store::{Store, StoreError};
use utoipa_axum::router::OpenApiRouter;

use super::ApiState;
use super::error::ApiError;
use crate::payments::purchase::PurchaseError;
use crate::payments::stripe::StripeError;
use crate::payments::{CENT, Off};

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .merge(balance::routes())
        .merge(invoices::routes())
        .merge(usage::routes())
        .merge(topup::routes())
        .merge(auto_topup::routes())
        .merge(vouchers::routes())
        .merge(notices::routes())
}

/// What so many cents are.
fn of_cents(cents: u64) -> Nanos {
    Nanos(i64::try_from(cents).ok().and_then(|cents| cents.checked_mul(CENT)).unwrap_or(i64::MAX))
}

/// What can be bought at once, in cents.
async fn bounds(store: &Store) -> Result<std::ops::RangeInclusive<u64>, StoreError> {
    let settings = store::operator_settings::get(&mut *store.pool.acquire().await?).await?;
    let cents = |amount: Nanos| u64::try_from(crate::payments::cents(amount)).unwrap_or_default();
    Ok(cents(settings.minimum_topup)..=cents(settings.maximum_topup))
}

impl From<Off> for ApiError {
    fn from(_: Off) -> Self {
        Self::Forbidden(Off::MESSAGE)
    }
}

impl From<StripeError> for ApiError {
    fn from(error: StripeError) -> Self {
        match error {
            StripeError::Declined { message, .. } => Self::PaymentRequired(message),
            StripeError::Refused(_) => {
                Self::PaymentProvider(format!("The payment provider refused: {error}"))
            }
            StripeError::Unavailable(_) => {
                tracing::warn!(%error, "A management call failed: {error}");
                Self::PaymentProvider("The payment provider cannot be reached, try again shortly".to_owned())
            }
        }
    }
}

impl From<PurchaseError> for ApiError {
    fn from(error: PurchaseError) -> Self {
        match error {
            PurchaseError::Ledger(error) => error.into(),
            PurchaseError::Stripe(error) => error.into(),
            PurchaseError::Amount(..) => Self::body("amount", error.to_string()),
            PurchaseError::TooManyUnfinished => {
                Self::Conflict("Too many purchases are unfinished; finish one of them or wait a day")
            }
        }
    }
}
