//! The codes under which clients of ngrok's know a refusal, and the statuses that they expect with them:
//! `ngrok.com/docs/errors` and, where that says no status, what the same mistake means elsewhere.

use http::{HeaderValue, StatusCode};
use policy::actions::ai_gateway::report;
use providers::credits::Forbidden;
use providers::models::NoModel;

use uuid::Uuid;

use super::{Refusal, Unpaid};
use crate::strategies::Why;

/// A request's id as those clients know ids.
pub(crate) fn ngrok_request_id(id: Uuid) -> HeaderValue {
    HeaderValue::try_from(format!("rq_{id}")).unwrap_or(HeaderValue::from_static(""))
}

impl Refusal {
    /// The code, such as 3804, where there is one.
    pub(super) fn ngrok_code(&self) -> Option<u16> {
        Some(match self {
            Self::Policy(refusal) => return refusal.code,
            Self::PolicyUnusable | Self::RewrittenAway => 2254,
            Self::UnboundHost => 3200,
            Self::ProviderUnreachable { .. } | Self::ProviderBrokeOff { .. } => 3800,
            Self::InvalidBody(_) | Self::Inflation | Self::ModelStaysAsWritten { .. } => 3801,
            Self::NoCredential { .. } | Self::CreditsForbidden { .. } => 3802,
            Self::NoModel(no_model) => match **no_model {
                NoModel::OtherFormat { .. } => 3813,
                _ => 3804,
            },
            Self::Unchosen(unchosen) => match unchosen.why {
                Why::Failed(_) => 3803,
                Why::NoModel => 3805,
                Why::WrongType(_) => 3806,
                Why::NoKey { .. } => 3808,
            },
            Self::AllFailed(_) => 3807,
            Self::ProviderTimeout { .. } | Self::ProviderStill { .. } | Self::OutOfTime(_) => 3810,
            Self::InputTooLarge { .. } => 3811,
            Self::StoredKeyNeedsToken { .. } | Self::CreditsNeedToken { .. } => 3817,
            Self::Unpaid(unpaid) => match &**unpaid {
                Unpaid::Short { .. } => 4026,
                Unpaid::NotAvailable { .. } => 3816,
                Unpaid::Forbidden(Forbidden::Field { field, .. }) if field == "service_tier" => 3815,
                Unpaid::Forbidden(_) => 3814,
                Unpaid::NotNow { .. } => return None,
            },
            Self::Unauthorized(_) | Self::TokenMisplaced { .. } => 27007,
            Self::OtherGatewaysToken => 27008,
            Self::NotInSync => 27009,
            Self::NobodyNamed => 27204,
            _ => return None,
        })
    }

    /// As traffic policies are told of it.
    pub(crate) fn reported(&self) -> report::Error {
        let code = self.ngrok_code().map(|code| format!("ERR_NGROK_{code}"));
        report::Error { code: code.unwrap_or_default(), message: self.to_string() }
    }

    /// The type that goes with the code, where one is documented: what a gateway's restrictions refuse.
    pub(super) fn ngrok_type(&self) -> Option<&'static str> {
        match self {
            Self::NoModel(no_model) => match **no_model {
                NoModel::ProviderNotAllowed { .. } => Some("provider_not_allowed"),
                NoModel::ModelNotAllowed { .. } => Some("model_not_allowed"),
                NoModel::Unknown { .. } | NoModel::OtherFormat { .. } => None,
            },
            _ => None,
        }
    }

    /// The status that goes with the code, where it is not our own.
    pub(super) fn ngrok_status(&self) -> StatusCode {
        match self.ngrok_code() {
            Some(4026) => StatusCode::FORBIDDEN,
            Some(3813) => StatusCode::UNPROCESSABLE_ENTITY,
            Some(27008) => StatusCode::FORBIDDEN,
            _ => self.status(),
        }
    }
}
