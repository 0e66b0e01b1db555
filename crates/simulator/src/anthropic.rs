//! Anthropic's API: which endpoint answers which path below `/v1`, and its refusals.

mod events;
mod messages;
mod models;
mod prompt;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};

use crate::answer::{Answer, Refusal};
use crate::behaviour::Behaviour;
use crate::error::ErrorObject;
use crate::identity;
use crate::question::{Dialect, Question};

/// Answers what Anthropic would at this path.
pub(crate) fn answer(question: &Question, behaviour: &Behaviour) -> Result<Answer, Refusal> {
    if question.header("anthropic-version").is_none() {
        return Err(invalid("anthropic-version: header is required"));
    }
    let path = question.head.uri.path();
    let segments: Vec<&str> =
        path.strip_prefix("/v1/").unwrap_or_default().trim_end_matches('/').split('/').collect();
    let (get, post) = (
        question.head.method == Method::GET || question.head.method == Method::HEAD,
        question.head.method == Method::POST,
    );
    match segments[..] {
        ["messages"] if post => messages::create(question, behaviour),
        ["messages", "count_tokens"] if post => messages::count(question, behaviour),
        ["models"] if get => Ok(models::list()),
        ["models", id] if get => models::retrieve(id),
        ["messages"] | ["messages", "count_tokens"] | ["models", ..] => {
            let method = &question.head.method;
            Err(refusal(
                StatusCode::METHOD_NOT_ALLOWED,
                "invalid_request_error",
                format!("{method}: not allowed"),
            ))
        }
        _ => Err(refusal(StatusCode::NOT_FOUND, "not_found_error", "Not Found".to_owned())),
    }
}

/// The refusal that Anthropic gives with `status`, for tests that ask for one.
pub(crate) fn refused(status: StatusCode, model: &str) -> Refusal {
    let (kind, message) = match status.as_u16() {
        401 => return wrong_key("invalid x-api-key"),
        402 => ("billing_error", "Your credit balance is too low to access the Anthropic API.".to_owned()),
        403 => ("permission_error", "Your API key does not have permission to use this resource.".to_owned()),
        404 => return models::unknown(model),
        413 => ("request_too_large", "Request exceeds the maximum size".to_owned()),
        429 => (
            "rate_limit_error",
            format!(
                "This request would exceed your organization's rate limit of 50 requests per minute ({model})"
            ),
        ),
        529 => return overloaded(),
        504 => ("timeout_error", "Request timed out".to_owned()),
        500.. => ("api_error", "Internal server error".to_owned()),
        _ => ("invalid_request_error", "Your request was refused, as you asked.".to_owned()),
    };
    let retry_after = (status == StatusCode::TOO_MANY_REQUESTS).then(|| "1".to_owned());
    Refusal { retry_after, ..refusal(status, kind, message) }
}

/// What a provider says that has too much to do, which has a status of Anthropic's own.
pub(crate) fn overloaded() -> Refusal {
    let status = StatusCode::from_u16(529).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    refusal(status, "overloaded_error", "Overloaded".to_owned())
}

/// A key that is missing or not accepted.
pub(crate) fn wrong_key(message: &str) -> Refusal {
    refusal(StatusCode::UNAUTHORIZED, "authentication_error", message.to_owned())
}

fn invalid(message: impl Into<String>) -> Refusal {
    refusal(StatusCode::BAD_REQUEST, "invalid_request_error", message.into())
}

fn refusal(status: StatusCode, kind: &'static str, message: String) -> Refusal {
    let error = ErrorObject { message, kind, param: None, code: None };
    Refusal { dialect: Dialect::Anthropic, status, error, retry_after: None }
}

/// What every answer bears.
pub(crate) fn ordinary_headers(headers: &mut HeaderMap) {
    for (name, value) in [
        ("anthropic-organization-id", "00000000-0000-4000-8000-000000000000"),
        ("anthropic-ratelimit-requests-limit", "4000"),
        ("anthropic-ratelimit-requests-remaining", "3999"),
        ("anthropic-ratelimit-requests-reset", "2030-01-01T00:00:00Z"),
        ("anthropic-ratelimit-tokens-limit", "2000000"),
        ("anthropic-ratelimit-tokens-remaining", "1999000"),
        ("anthropic-ratelimit-tokens-reset", "2030-01-01T00:00:00Z"),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if let Ok(id) = HeaderValue::from_str(&identity::fresh("req_011C", 20)) {
        headers.insert(HeaderName::from_static("request-id"), id);
    }
}
