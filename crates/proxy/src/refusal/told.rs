//! What each refusal comes to: whose problem it is, the status, the code and a stable word.

use http::StatusCode;

use super::{Fault, Refusal};

/// What a refusal comes to: status, code and a stable word.
pub(super) struct Told {
    pub(super) fault: Fault,
    pub(super) status: StatusCode,
    pub(super) code: u32,
    pub(super) cause: &'static str,
}

impl Refusal {
    #[rustfmt::skip]
    pub(super) fn told(&self) -> Told {
        use Fault::{Account, Caller, Provider, Tollgate};
        use StatusCode as Status;
        let (fault, status, code, cause) = match self {
            Self::NoSuchAddress => (Caller, Status::NOT_FOUND, 9001, "no_such_address"),
            Self::UnboundHost => (Caller, Status::NOT_FOUND, 9026, "unbound_host"),
            Self::NobodyNamed => (Caller, Status::NOT_FOUND, 9027, "nobody_named"),
            Self::NoModel(_) => (Caller, Status::UNPROCESSABLE_ENTITY, 9028, "no_model"),
            Self::ModelStaysAsWritten { .. } => (Caller, Status::BAD_REQUEST, 9029, "model_as_written"),
            Self::Unchosen(_) => (Account, Status::UNPROCESSABLE_ENTITY, 9042, "nothing_chosen"),
            Self::Policy(refusal) => (Account, refusal.status, 9031, "policy"),
            Self::PolicyUnusable => (Account, Status::INTERNAL_SERVER_ERROR, 9032, "policy_unusable"),
            Self::PolicyLoop => (Account, Status::LOOP_DETECTED, 9034, "policy_loop"),
            Self::RewrittenAway => (Account, Status::INTERNAL_SERVER_ERROR, 9033, "rewritten_away"),
            Self::AllFailed(_) => (Provider, Status::SERVICE_UNAVAILABLE, 9030, "all_failed"),
            Self::OutOfTime(_) => (Provider, Status::GATEWAY_TIMEOUT, 9040, "out_of_time"),
            Self::InputTooLarge { .. } => (Caller, Status::PAYLOAD_TOO_LARGE, 9041, "input_too_large"),
            Self::NothingBoundsIt => (Caller, Status::BAD_REQUEST, 9043, "nothing_bounds_it"),
            Self::UnknownGateway => (Account, Status::BAD_REQUEST, 2001, "unknown_gateway"),
            Self::UnknownProvider(_) => (Caller, Status::BAD_REQUEST, 2008, "unknown_provider"),
            Self::NotInSync => (Tollgate, Status::SERVICE_UNAVAILABLE, 9002, "not_in_sync"),
            Self::Unauthorized(_) => (Caller, Status::UNAUTHORIZED, 2009, "unauthorized"),
            Self::OtherGatewaysToken => (Caller, Status::UNAUTHORIZED, 2009, "other_gateways_token"),
            Self::TokenMisplaced { .. } => (Caller, Status::UNAUTHORIZED, 2009, "token_misplaced"),
            Self::InvalidPath(_) => (Caller, Status::BAD_REQUEST, 9003, "invalid_path"),
            Self::Universal => (Caller, Status::BAD_REQUEST, 2008, "universal_endpoint"),
            Self::NotCompat => (Caller, Status::BAD_REQUEST, 2008, "not_compat"),
            Self::CompatModel(invalid) => (Caller, Status::BAD_REQUEST, invalid.code(), "compat_model"),
            Self::CompatBody(_) => (Caller, Status::BAD_REQUEST, 2019, "compat_body"),
            Self::InvalidBody(_) => (Caller, Status::BAD_REQUEST, 9004, "invalid_body"),
            Self::BodyTooLarge { .. } => (Caller, Status::PAYLOAD_TOO_LARGE, 9005, "body_too_large"),
            Self::Inflation => (Caller, Status::BAD_REQUEST, 9006, "invalid_encoding"),
            Self::BodyTimeout { .. } => (Caller, Status::REQUEST_TIMEOUT, 9007, "body_timeout"),
            Self::BodyBroken => (Caller, Status::BAD_REQUEST, 9008, "body_broken"),
            Self::InvalidMetadata(_) => (Caller, Status::BAD_REQUEST, 9009, "invalid_metadata"),
            Self::CustomCost(_) => (Caller, Status::BAD_REQUEST, 9010, "invalid_header"),
            Self::InvalidHeader { .. } => (Caller, Status::BAD_REQUEST, 9010, "invalid_header"),
            Self::UnknownAlias { .. } => (Account, Status::BAD_REQUEST, 2040, "unknown_alias"),
            Self::StoredKeyNeedsToken { .. } => (Caller, Status::UNAUTHORIZED, 2009, "stored_key_needs_token"),
            Self::CreditsForbidden { .. } => (Account, Status::BAD_REQUEST, 9011, "credits_forbidden"),
            Self::NoCredential { .. } => (Account, Status::BAD_REQUEST, 9012, "no_credential"),
            Self::ProviderUnreachable { .. } => (Provider, Status::BAD_GATEWAY, 2005, "provider_unreachable"),
            Self::ProviderBrokeOff { .. } => (Provider, Status::BAD_GATEWAY, 2005, "provider_broke_off"),
            Self::ProviderTimeout { .. } => (Provider, Status::GATEWAY_TIMEOUT, 2005, "provider_timeout"),
            Self::ProviderStill { .. } => (Provider, Status::GATEWAY_TIMEOUT, 2005, "provider_timeout"),
            Self::CreditsNeedToken { .. } => (Caller, Status::UNAUTHORIZED, 2009, "credits_need_token"),
            Self::Unpaid(unpaid) => unpaid.told(),
            Self::NoZeroRetention { .. } => (Account, Status::BAD_REQUEST, 9025, "no_zero_retention"),
            Self::NoSuchModel { .. } => (Caller, Status::NOT_FOUND, 9024, "model_not_found"),
            Self::Reached(reached) => reached.told(),
            Self::Unpriced { .. } => (Account, Status::BAD_REQUEST, 9023, "unpriced"),
            Self::OperatorKeyRefused { .. } => (Tollgate, Status::BAD_GATEWAY, 2005, "operator_key_refused"),
            Self::OperatorKeyBusy { .. } => (Tollgate, Status::TOO_MANY_REQUESTS, 2005, "operator_key_busy"),
            Self::KeyUnusable => (Tollgate, Status::INTERNAL_SERVER_ERROR, 9013, "key_unusable"),
            Self::TokenRevoked => (Caller, Status::UNAUTHORIZED, 2009, "token_revoked"),
            Self::GatewayDeleted => (Account, Status::BAD_REQUEST, 2001, "gateway_deleted"),
            Self::Stopping => (Tollgate, Status::SERVICE_UNAVAILABLE, 9014, "stopping"),
            Self::NoSuchMethod => (Caller, Status::METHOD_NOT_ALLOWED, 9016, "no_such_method"),
            Self::TooManyBodies => (Tollgate, Status::SERVICE_UNAVAILABLE, 9019, "too_many_bodies"),
            Self::Bug => (Tollgate, Status::INTERNAL_SERVER_ERROR, 9015, "bug"),
        };
        Told { fault, status, code, cause }
    }
}
