//! The one place where this face says no: its numbers, and the body that its clients index.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::collections::BTreeMap;
use store::StoreError;
use tracing::{error, warn};
use vault::VaultError;

use crate::api::error::ApiError;
use crate::traffic_policies::Problems;

/// A no, or a mishap.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Refusal {
    /// The header `ngrok-version` is missing or says something else.
    #[error("Send the header `ngrok-version: 2`: this address speaks that version of the API alone")]
    Version,
    /// No credentials.
    #[error("Send an API token as `Authorization: Bearer`")]
    NoCredentials,
    /// Credentials that nobody has. They are not repeated: answers are logged.
    #[error("The API token that was presented is not valid")]
    BadCredentials,
    /// A person's session, which does not say for which account it is used.
    #[error("A session belongs to a person and names no account; create an API token and present that")]
    Session,
    /// The token is good, but not for this.
    #[error("The API token that was presented does not have the permission `{0}`")]
    NotPermitted(&'static str),
    /// More than the account may ask.
    #[error("Too many requests in the last minute, try again later")]
    TooMany {
        /// How long to wait.
        retry_after_seconds: u64,
    },
    /// There is no such path, or not for this method.
    #[error("Not Found")]
    NoSuchPath(String),
    /// There is no such thing, or none that this caller may know of.
    #[error("There is no {noun} with this {by}")]
    NoSuch {
        /// What was looked for.
        noun: &'static str,
        /// By what.
        by: &'static str,
        /// The number that the noun has for it.
        code: Option<u16>,
    },
    /// This is no JSON content type.
    #[error("A body is JSON and says so: `content-type: application/json`")]
    ContentType,
    /// This is no JSON.
    #[error("The body is not a JSON document")]
    Unparsable,
    /// The body is larger than any needs to be.
    #[error("The request body is too large")]
    TooLarge,
    /// What was sent is not what is asked for.
    #[error("{message}")]
    Invalid {
        /// What is wrong with it.
        message: String,
        /// The number there is for it.
        code: Option<u16>,
    },
    /// It can be read, but not done.
    #[error("{message}")]
    Unprocessable {
        /// Why.
        message: String,
        /// The number there is for it.
        code: u16,
    },
    /// It is there already, or the state does not allow it.
    #[error("{message}")]
    Conflict {
        /// Why.
        message: &'static str,
        /// The number there is for it.
        code: Option<u16>,
    },
    /// The traffic policy has mistakes.
    #[error("The traffic policy cannot be used:\n{0}")]
    Policy(Problems),
    /// The expression in `filter` is none that is understood.
    #[error("The filter cannot be used: {0}")]
    Filter(String),
    /// This product has no such thing.
    #[error("{0}")]
    NotOffered(&'static str),
    /// Postgres is away.
    #[error("The database is not available, try again shortly")]
    Unavailable,
    /// Our own problem; the caller is told no more than that.
    #[error("Internal error")]
    Internal,
}

/// The body of every refusal. Clients index all but the code.
#[derive(Serialize)]
struct Body<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<String>,
    status_code: u16,
    msg: String,
    details: BTreeMap<&'static str, &'r str>,
}

impl Refusal {
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid { message: message.into(), code: None }
    }

    pub(super) fn no_such(noun: &'static str) -> Self {
        Self::NoSuch { noun, by: "id", code: None }
    }

    fn status_and_code(&self) -> (StatusCode, Option<u16>) {
        match self {
            Self::Version => (StatusCode::BAD_REQUEST, Some(218)),
            Self::NoCredentials => (StatusCode::FORBIDDEN, Some(200)),
            Self::BadCredentials => (StatusCode::FORBIDDEN, Some(202)),
            Self::Session => (StatusCode::FORBIDDEN, Some(206)),
            Self::NotPermitted(_) => (StatusCode::FORBIDDEN, Some(204)),
            Self::TooMany { .. } => (StatusCode::TOO_MANY_REQUESTS, Some(226)),
            Self::NoSuchPath(_) => (StatusCode::NOT_FOUND, None),
            Self::NoSuch { code, .. } => (StatusCode::NOT_FOUND, *code),
            Self::ContentType => (StatusCode::BAD_REQUEST, Some(210)),
            Self::Unparsable => (StatusCode::BAD_REQUEST, Some(213)),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, None),
            Self::Invalid { code, .. } => (StatusCode::BAD_REQUEST, *code),
            Self::Unprocessable { code, .. } => (StatusCode::UNPROCESSABLE_ENTITY, Some(*code)),
            Self::Conflict { code, .. } => (StatusCode::CONFLICT, *code),
            Self::Policy(_) => (StatusCode::BAD_REQUEST, Some(18002)),
            Self::Filter(_) | Self::NotOffered(_) => (StatusCode::BAD_REQUEST, None),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, None),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, None),
        }
    }

    /// The answer to the operation of this id.
    pub(super) fn answer(&self, operation: &str) -> Response {
        let (status, code) = self.status_and_code();
        let mut details = BTreeMap::from([("operation_id", operation)]);
        if let Self::NoSuchPath(path) = self {
            details = BTreeMap::from([("path", path.as_str())]);
        }
        let error_code = match self {
            Self::Filter(_) => Some("invalid_cel_expression".to_owned()),
            _ => code.map(|code| format!("ERR_NGROK_{code}")),
        };
        let body = Body { error_code, status_code: status.as_u16(), msg: self.to_string(), details };
        let mut response = (status, axum::Json(body)).into_response();
        let retry_after = match self {
            Self::TooMany { retry_after_seconds } => Some(*retry_after_seconds),
            Self::Unavailable => Some(1),
            _ => None,
        };
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// The answer itself is written where the operation's id is known.
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.status_and_code().0.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Invalid { path, message } => {
                let path = path.iter().skip(1).map(String::as_str).collect::<Vec<_>>().join(".");
                Self::invalid(if path.is_empty() { message } else { format!("{path}: {message}") })
            }
            ApiError::Mistakes(mistakes) => {
                let told = mistakes.iter().map(|mistake| {
                    format!("{}: {}", mistake.path.get(1..).unwrap_or_default().join("."), mistake.message)
                });
                Self::invalid(told.collect::<Vec<_>>().join("; "))
            }
            ApiError::Unauthenticated(_) => Self::BadCredentials,
            ApiError::Conflict(message) => Self::Conflict { message, code: None },
            ApiError::TooLarge => Self::TooLarge,
            ApiError::NotFound => Self::no_such("such thing"),
            ApiError::Unavailable(error) => {
                warn!(%error, "A call of the control API found no database: {error}");
                Self::Unavailable
            }
            other => {
                error!(error = format!("{other:#}"), "A call of the control API failed: {other:#}");
                Self::Internal
            }
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        ApiError::from(error).into()
    }
}

impl From<VaultError> for Refusal {
    fn from(error: VaultError) -> Self {
        ApiError::from(error).into()
    }
}

impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Self {
        ApiError::from(error).into()
    }
}
