//! What is true of every call here: its version is named, its answer bears an id, and browsers of other
//! origins may read it, as it takes a token that no browser sends by itself.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use uuid::Uuid;

use super::refusal::Refusal;

const OPERATION: HeaderName = HeaderName::from_static("ngrok-operation-id");
const VERSION: HeaderName = HeaderName::from_static("ngrok-version");

pub(super) async fn keep(request: Request, next: Next) -> Response {
    let operation = format!("op_{}", Uuid::now_v7().simple());
    let origin = request.headers().get(header::ORIGIN).cloned();
    let mut response = if is_preflight(&request) {
        preflight(request.headers())
    } else if request.headers().get(VERSION).is_some_and(|version| version == "2") {
        next.run(request).await
    } else {
        Refusal::Version.into_response()
    };
    if let Some(refusal) = response.extensions_mut().remove::<Refusal>() {
        response = refusal.answer(&operation);
    }
    let headers = response.headers_mut();
    if let Ok(operation) = HeaderValue::try_from(operation) {
        headers.insert(OPERATION, operation);
    }
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
    response
}

/// Paths that there are not, for callers who speak this face's language.
pub(crate) async fn no_such_path(uri: Uri) -> Response {
    let refusal = Refusal::NoSuchPath(uri.path().to_owned());
    let mut response = refusal.answer("");
    response.extensions_mut().insert(refusal);
    response
}

fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

fn preflight(asked: &HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, POST, PATCH, PUT, DELETE"),
    );
    if let Some(names) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    response
}
