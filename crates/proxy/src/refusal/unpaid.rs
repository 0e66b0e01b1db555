//! Why credits do not pay for a request.

use http::StatusCode;
use model::Nanos;
use providers::credits::Forbidden;

use super::Fault;

/// Why credits do not pay. Cloudflare has one code for all that is for good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unpaid {
    /// There is too little.
    #[error(
        "Insufficient balance; add money to your gateway or use BYOK: this request needs ${needed}, and ${free} \
         is available"
    )]
    Short {
        /// What would have had to be there.
        needed: Nanos,
        /// What is there.
        free: Nanos,
    },
    /// The model has no price, and what has no price is not free.
    #[error(
        "Model not available via unified billing: `{model}` of `{provider}` has no price for {what}; use a key of \
         your own (BYOK)"
    )]
    NotAvailable {
        /// The provider.
        provider: &'static str,
        /// The model, as the caller wrote it.
        model: String,
        /// What has no price.
        what: &'static str,
    },
    /// The request does what can be neither priced nor bounded, or would leave something in the account
    /// that all tenants share.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The account's money is not at hand at this moment.
    #[error("Credits cannot be spent at this moment: {reason}; try again")]
    NotNow {
        /// Why.
        reason: &'static str,
    },
}

impl Unpaid {
    /// The member or header that is at fault, if it is one.
    pub(super) fn field(&self) -> Option<&str> {
        match self {
            Self::NotAvailable { .. } => Some("model"),
            Self::Forbidden(forbidden) => forbidden.param(),
            Self::Short { .. } | Self::NotNow { .. } => None,
        }
    }

    /// Whether it may be otherwise in a moment.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::NotNow { .. })
    }

    pub(super) fn told(&self) -> (Fault, StatusCode, u32, &'static str) {
        match self {
            Self::Short { .. } => {
                (Fault::Account, StatusCode::PAYMENT_REQUIRED, 2021, "insufficient_credits")
            }
            Self::NotAvailable { .. } => {
                (Fault::Account, StatusCode::PAYMENT_REQUIRED, 2021, "not_on_credits")
            }
            Self::Forbidden(_) => (Fault::Caller, StatusCode::BAD_REQUEST, 9020, "forbidden_on_credits"),
            Self::NotNow { .. } => {
                (Fault::Tollgate, StatusCode::SERVICE_UNAVAILABLE, 9021, "credits_unavailable")
            }
        }
    }
}
