//! Every no of our own making, and how it is told: whose problem it is, the status and code that
//! follow, and the two shapes in which callers expect to read it.

mod shape;

use http::{HeaderValue, StatusCode, header};
use providers::catalog::UnknownProvider;
use providers::compat::InvalidModel;
use providers::openai::request::InvalidBody;
use providers::path::InvalidPath;

use crate::metadata::InvalidMetadata;
pub use shape::{Listener, Shape};

/// Whose problem a refusal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The request is wrong.
    Caller,
    /// The account lacks something: a gateway, a key, money.
    Account,
    /// The provider did not do its part.
    Provider,
    /// We did not.
    Tollgate,
}

impl Fault {
    /// The metric's label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Account => "account",
            Self::Provider => "provider",
            Self::Tollgate => "tollgate",
        }
    }
}

/// Why a request is not answered by a provider. The messages are written for callers.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Not an address of ours.
    #[error(
        "There is nothing at this address; gateways are at /v1/{{account_id}}/{{gateway_id}}/{{provider}}"
    )]
    NoSuchAddress,
    /// A method that is not about resources, such as `TRACE`, which asks the provider to send the
    /// credential back.
    #[error("The method is none of GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS")]
    NoSuchMethod,
    /// No gateway has this address.
    #[error("Please configure AI Gateway: no gateway has this address")]
    UnknownGateway,
    /// The slug or compat prefix names no provider.
    #[error("{0}")]
    UnknownProvider(#[from] UnknownProvider),
    /// What the caller named is unknown here, but the control plane may know it.
    #[error("This proxy is not in sync with its control plane and does not know what was named; try again")]
    NotInSync,
    /// No valid token where one is needed, or an invalid one where none is.
    #[error("Unauthorized: {0}")]
    Unauthorized(&'static str),
    /// A token of ours in a place from which it would have gone to the provider.
    #[error(
        "Unauthorized: a Tollgate token was sent in {place}, from where it would reach the provider; send it in `cf-aig-authorization`"
    )]
    TokenMisplaced {
        /// A header's name, the path or the query.
        place: String,
    },
    /// The path cannot be mapped to one at the provider.
    #[error("{0}")]
    InvalidPath(#[from] InvalidPath),
    /// The gateway's own address, without a provider.
    #[error("Invalid provider: this release has no universal endpoint; name a provider in the path")]
    Universal,
    /// Compat serves a few operations only.
    #[error("The compat endpoint serves POST chat/completions, POST embeddings and GET models")]
    NotCompat,
    /// A compat model that names no provider.
    #[error("{0}")]
    CompatModel(InvalidModel),
    /// A compat body that cannot be read, or not in one way only.
    #[error("Chat completion bad format: {0}")]
    CompatBody(InvalidBody),
    /// The body cannot be read, or not in one way only.
    #[error("{0}")]
    InvalidBody(#[from] InvalidBody),
    /// The body is larger than we take.
    #[error("The body is larger than {limit} bytes")]
    BodyTooLarge {
        /// The bound.
        limit: u64,
    },
    /// Others' bodies take all the memory that there is for bodies.
    #[error("This proxy is reading too many large bodies; try again")]
    TooManyBodies,
    /// The body says that it is compressed, and is not, or not in a way that we read.
    #[error("The body could not be inflated: `content-encoding` must be gzip or deflate, and true")]
    Inflation,
    /// The caller stopped sending.
    #[error("The body did not arrive within {seconds} s")]
    BodyTimeout {
        /// The bound.
        seconds: u64,
    },
    /// The caller's connection broke within the body.
    #[error("The body ended early")]
    BodyBroken,
    /// The caller's labels are not labels.
    #[error("{0}")]
    InvalidMetadata(#[from] InvalidMetadata),
    /// A header of ours has a value that means nothing.
    #[error("The header `{name}` must be {expected}")]
    InvalidHeader {
        /// The header.
        name: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// No stored key has this alias.
    #[error(
        "Provider '{provider}' has no BYOK credential named '{alias}'. Configured aliases: {}",
        quoted(.configured)
    )]
    UnknownAlias {
        /// The provider.
        provider: &'static str,
        /// What was asked for.
        alias: String,
        /// What there is.
        configured: Vec<String>,
    },
    /// There is a stored key, but this caller may not use it.
    #[error(
        "Stored keys are used for authenticated callers only: send a gateway token in `cf-aig-authorization`, or a key of `{provider}` in the request"
    )]
    StoredKeyNeedsToken {
        /// The provider.
        provider: &'static str,
    },
    /// No key, and credits are forbidden.
    #[error(
        "No credential for `{provider}`: {forbidden_by} forbids credits; send the provider's key in the request, or store one for this gateway"
    )]
    CreditsForbidden {
        /// The provider.
        provider: &'static str,
        /// Which switch.
        forbidden_by: &'static str,
    },
    /// No key.
    #[error(
        "No credential for `{provider}`: send the provider's key in the request, or store one for this gateway"
    )]
    NoCredential {
        /// The provider.
        provider: &'static str,
    },
    /// The provider could not be connected to.
    #[error("Failed to get response from provider: `{provider}` could not be reached")]
    ProviderUnreachable {
        /// The provider.
        provider: &'static str,
    },
    /// The provider hung up before its answer was complete.
    #[error("Failed to get response from provider: `{provider}` broke off")]
    ProviderBrokeOff {
        /// The provider.
        provider: &'static str,
    },
    /// The provider's answer did not begin in time.
    #[error(
        "Failed to get response from provider: `{provider}` did not begin to answer within {milliseconds} ms"
    )]
    ProviderTimeout {
        /// The provider.
        provider: &'static str,
        /// The bound.
        milliseconds: u64,
    },
    /// The provider's answer stood still.
    #[error("Failed to get response from provider: `{provider}` sent nothing for {seconds} s")]
    ProviderStill {
        /// The provider.
        provider: &'static str,
        /// The bound.
        seconds: u64,
    },
    /// The stored key is there and cannot be opened or sent.
    #[error("The stored key could not be used; the operator has been told")]
    KeyUnusable,
    /// We ended it: the token is no longer good.
    #[error("Unauthorized: the token was revoked while the request ran")]
    TokenRevoked,
    /// We ended it: the gateway is gone.
    #[error("Please configure AI Gateway: the gateway was deleted while the request ran")]
    GatewayDeleted,
    /// We ended it: the process has no more time.
    #[error("This proxy is stopping; try again")]
    Stopping,
    /// A mistake of ours.
    #[error("Tollgate made a mistake; quote the request id when you report it")]
    Bug,
}

/// What a refusal comes to: status, code and a stable word.
struct Told {
    fault: Fault,
    status: StatusCode,
    code: u32,
    cause: &'static str,
}

impl Refusal {
    /// Whose problem it is.
    pub fn fault(&self) -> Fault {
        self.told().fault
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.told().status
    }

    /// The code: Cloudflare's where it has one, else ours, which begin at 9000.
    pub fn code(&self) -> u32 {
        self.told().code
    }

    /// A stable word for it.
    pub fn cause(&self) -> &'static str {
        self.told().cause
    }

    /// The member of the body that is at fault, if it is one.
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Self::InvalidBody(invalid) | Self::CompatBody(invalid) => invalid.field(),
            Self::CompatModel(_) => Some("model"),
            _ => None,
        }
    }

    /// When it makes sense to try again, where we know.
    pub fn retry_after(&self) -> Option<HeaderValue> {
        matches!(self, Self::NotInSync | Self::TooManyBodies | Self::Stopping)
            .then(|| HeaderValue::from_static("1"))
    }

    /// Whether it ended a request that was under way and might have gone on.
    pub(crate) fn ends_what_ran(&self) -> bool {
        matches!(self, Self::TokenRevoked | Self::GatewayDeleted | Self::Stopping)
    }

    /// Whether the rest of the caller's body is still to come and not worth waiting for.
    pub(crate) fn leaves_body_unread(&self) -> bool {
        use Refusal::{BodyBroken, BodyTimeout, BodyTooLarge, TooManyBodies};
        matches!(self, BodyTooLarge { .. } | TooManyBodies | BodyTimeout { .. } | BodyBroken)
    }

    #[rustfmt::skip]
    fn told(&self) -> Told {
        use Fault::{Account, Caller, Provider, Tollgate};
        use StatusCode as Status;
        let (fault, status, code, cause) = match self {
            Self::NoSuchAddress => (Caller, Status::NOT_FOUND, 9001, "no_such_address"),
            Self::UnknownGateway => (Account, Status::BAD_REQUEST, 2001, "unknown_gateway"),
            Self::UnknownProvider(_) => (Caller, Status::BAD_REQUEST, 2008, "unknown_provider"),
            Self::NotInSync => (Tollgate, Status::SERVICE_UNAVAILABLE, 9002, "not_in_sync"),
            Self::Unauthorized(_) => (Caller, Status::UNAUTHORIZED, 2009, "unauthorized"),
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
            Self::InvalidHeader { .. } => (Caller, Status::BAD_REQUEST, 9010, "invalid_header"),
            Self::UnknownAlias { .. } => (Account, Status::BAD_REQUEST, 2040, "unknown_alias"),
            Self::StoredKeyNeedsToken { .. } => (Caller, Status::UNAUTHORIZED, 2009, "stored_key_needs_token"),
            Self::CreditsForbidden { .. } => (Account, Status::BAD_REQUEST, 9011, "credits_forbidden"),
            Self::NoCredential { .. } => (Account, Status::BAD_REQUEST, 9012, "no_credential"),
            Self::ProviderUnreachable { .. } => (Provider, Status::BAD_GATEWAY, 2005, "provider_unreachable"),
            Self::ProviderBrokeOff { .. } => (Provider, Status::BAD_GATEWAY, 2005, "provider_broke_off"),
            Self::ProviderTimeout { .. } => (Provider, Status::GATEWAY_TIMEOUT, 2005, "provider_timeout"),
            Self::ProviderStill { .. } => (Provider, Status::GATEWAY_TIMEOUT, 2005, "provider_timeout"),
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

fn quoted(aliases: &[String]) -> String {
    if aliases.is_empty() {
        return "none".to_owned();
    }
    aliases.iter().map(|alias| format!("'{alias}'")).collect::<Vec<_>>().join(", ")
}

/// The headers of every refusal.
pub(crate) fn head(refusal: &Refusal) -> http::response::Builder {
    let mut head = http::Response::builder()
        .status(refusal.status())
        .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(retry_after) = refusal.retry_after() {
        head = head.header(header::RETRY_AFTER, retry_after);
    }
    if refusal.leaves_body_unread() {
        head = head.header(header::CONNECTION, HeaderValue::from_static("close"));
    }
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_alias_is_told_with_what_there_is() {
        let refusal = Refusal::UnknownAlias {
            provider: "openai",
            alias: "x".to_owned(),
            configured: vec!["default".to_owned(), "spare".to_owned()],
        };
        assert_eq!(
            refusal.to_string(),
            "Provider 'openai' has no BYOK credential named 'x'. Configured aliases: 'default', 'spare'"
        );
        assert_eq!((refusal.code(), refusal.status().as_u16()), (2040, 400));
    }
}
