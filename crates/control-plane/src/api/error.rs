//! The one place where errors become HTTP: Cloudflare's envelope, her codes where she has one.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::document::Mistake;
use serde::Serialize;
use store::StoreError;
use tracing::{error, warn};
use utoipa::ToSchema;
use vault::VaultError;

/// A no, or a mishap.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// What was sent is not what is asked for.
    #[error("{message}")]
    Invalid {
        /// Where it stands, such as `["body", "name"]`.
        path: Vec<String>,
        /// What is wrong with it.
        message: String,
    },
    /// Several fields are not what is asked for; all are told together.
    #[error("the document has mistakes")]
    Mistakes(Vec<Mistake>),
    /// There is no such thing, or none that this caller may know of.
    #[error("Not Found")]
    NotFound,
    /// The object is there, but not this part of it.
    #[error("{0}")]
    NotKept(&'static str),
    /// The path exists, the method does not.
    #[error("Method Not Allowed")]
    MethodNotAllowed,
    /// Missing or bad credentials.
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// The caller may know why this is not allowed.
    #[error("{0}")]
    Forbidden(&'static str),
    /// The buyer's card, or the buyer, did not pay.
    #[error("{0}")]
    PaymentRequired(String),
    /// Whoever takes payments for us did not answer as we need.
    #[error("{0}")]
    PaymentProvider(String),
    /// It is there already, or the state does not allow it.
    #[error("{0}")]
    Conflict(&'static str),
    /// The body is larger than any of ours needs to be.
    #[error("The request body is too large")]
    TooLarge,
    /// It took too long.
    #[error("The request took too long")]
    TimedOut,
    /// Too many attempts.
    #[error("Too many attempts, try again later")]
    TooMany {
        /// How long to wait.
        retry_after_seconds: u64,
    },
    /// Postgres is away.
    #[error("The database is not available, try again shortly")]
    Unavailable(#[source] StoreError),
    /// Our own problem; the caller is told no more than that.
    #[error("Internal error")]
    Internal(#[source] anyhow::Error),
}

/// Missing or bad credentials, in Cloudflare's words.
pub const AUTHENTICATION_ERROR: ApiError = ApiError::Unauthenticated("Authentication error");

impl ApiError {
    /// A field of the body that is not what it should be.
    pub fn body(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid { path: vec!["body".to_owned(), field.into()], message: message.into() }
    }

    /// A query parameter that is not what it should be.
    pub fn query(parameter: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid { path: vec!["query".to_owned(), parameter.into()], message: message.into() }
    }

    fn status_and_code(&self) -> (StatusCode, u32) {
        match self {
            ApiError::Invalid { .. } | ApiError::Mistakes(_) => (StatusCode::BAD_REQUEST, 7001),
            ApiError::NotFound | ApiError::NotKept(_) => (StatusCode::NOT_FOUND, 7002),
            ApiError::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, 10405),
            ApiError::Unauthenticated(_) => (StatusCode::UNAUTHORIZED, 10000),
            ApiError::Forbidden(_) => (StatusCode::FORBIDDEN, 9109),
            ApiError::PaymentRequired(_) => (StatusCode::PAYMENT_REQUIRED, 10402),
            ApiError::PaymentProvider(_) => (StatusCode::BAD_GATEWAY, 10502),
            ApiError::Conflict(_) => (StatusCode::CONFLICT, 7009),
            ApiError::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, 10413),
            ApiError::TimedOut => (StatusCode::REQUEST_TIMEOUT, 10408),
            ApiError::TooMany { .. } => (StatusCode::TOO_MANY_REQUESTS, 971),
            ApiError::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, 10503),
            ApiError::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, 10500),
        }
    }
}

/// The body of every refusal.
#[derive(Debug, Serialize, ToSchema)]
pub struct Failure {
    /// Always false.
    pub success: bool,
    /// What went wrong.
    pub errors: Vec<FailureDetail>,
    /// Always empty.
    #[schema(value_type = Vec<Object>)]
    pub messages: [(); 0],
    /// Always null.
    #[schema(value_type = Option<Object>)]
    pub result: (),
}

/// One thing that went wrong.
#[derive(Debug, Serialize, ToSchema)]
pub struct FailureDetail {
    /// A stable number.
    pub code: u32,
    /// For people.
    pub message: String,
    /// Where it stands in what was sent, such as `["body", "name"]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<String>,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code) = self.status_and_code();
        match &self {
            ApiError::Internal(error) => {
                error!(error = format!("{error:#}"), "A management call failed: {error:#}");
            }
            ApiError::Unavailable(error) => warn!(%error, "A management call found no database: {error}"),
            _ => {}
        }
        let message = self.to_string();
        let retry_after = match self {
            ApiError::TooMany { retry_after_seconds } => {
                Some([(header::RETRY_AFTER, retry_after_seconds.to_string())])
            }
            ApiError::Unavailable(_) => Some([(header::RETRY_AFTER, "1".to_owned())]),
            _ => None,
        };
        let detail = |path, message| FailureDetail { code, message, path };
        let errors = match self {
            ApiError::Invalid { path, .. } => vec![detail(path, message)],
            ApiError::Mistakes(mistakes) => {
                mistakes.into_iter().map(|Mistake { path, message }| detail(path, message)).collect()
            }
            _ => vec![detail(Vec::new(), message)],
        };
        let failure = Failure { success: false, errors, messages: [], result: () };
        (status, retry_after, axum::Json(failure)).into_response()
    }
}

impl From<Vec<Mistake>> for ApiError {
    fn from(mistakes: Vec<Mistake>) -> Self {
        Self::Mistakes(mistakes)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        if error.is_away() {
            Self::Unavailable(error)
        } else if error.is_about_a_value() {
            let message = "a text with NUL, or a number beyond all measure, cannot be kept or looked for";
            Self::Invalid { path: Vec::new(), message: message.to_owned() }
        } else {
            Self::Internal(error.into())
        }
    }
}

impl From<VaultError> for ApiError {
    fn from(error: VaultError) -> Self {
        Self::Internal(error.into())
    }
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        StoreError::from(error).into()
    }
}

/// What a panic in a handler is answered with; the panic itself is logged by the hook.
pub(super) fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    ApiError::Internal(anyhow::anyhow!("a handler panicked")).into_response()
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use axum::routing::get;
    use tower::ServiceExt as _;
    use tower_http::catch_panic::CatchPanicLayer;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_internal_error_in_the_envelope() {
        async fn breaks() -> StatusCode {
            panic!("the secret is 42")
        }
        let router = Router::new().route("/", get(breaks)).layer(CatchPanicLayer::custom(panicked));
        let answer = router.oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = to_bytes(answer.into_body(), 1000).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["errors"], serde_json::json!([{"code": 10500, "message": "Internal error"}]));
    }

    #[test]
    fn a_database_that_is_away_is_no_bug_of_ours() {
        let away = ApiError::from(sqlx::Error::PoolTimedOut);
        assert_eq!(away.into_response().status(), StatusCode::SERVICE_UNAVAILABLE);
        let bug = ApiError::from(sqlx::Error::RowNotFound);
        assert_eq!(bug.into_response().status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
