//! What callers send: JSON, in which an empty text is as good as nothing where an id or a name is meant.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::refusal::Refusal;
use crate::api::body;

/// A body. Clients that have nothing to say send none at all. A field that nobody knows is refused: it
/// may have been meant to protect something.
pub(super) struct Fields<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Fields<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let is_json = is_json(request.headers());
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| {
            match rejection.into_response().status() {
                StatusCode::PAYLOAD_TOO_LARGE => Refusal::TooLarge,
                _ => Refusal::Unparsable,
            }
        })?;
        if bytes.is_empty() {
            return body::read(b"{}").map(Self).map_err(Refusal::from);
        }
        if !is_json {
            return Err(Refusal::ContentType);
        }
        if serde_json::from_slice::<IgnoredAny>(&bytes).is_err() {
            return Err(Refusal::Unparsable);
        }
        body::read(&bytes).map(Self).map_err(Refusal::from)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(said) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let kind = said.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

/// A text that says something.
pub(super) fn said(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// What people write beside everything.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) description: String,
    pub(super) metadata: String,
}

impl Notes {
    /// What is written now: what is said anew, and otherwise what was.
    pub(super) fn of(
        description: Option<String>,
        metadata: Option<String>,
        before: Self,
    ) -> Result<Self, Refusal> {
        Self::with_codes(description, metadata, before, |message, _| Refusal::invalid(message))
    }

    /// The same where too much is refused in the noun's own way, which is told which of the two it is.
    pub(super) fn with_codes(
        description: Option<String>,
        metadata: Option<String>,
        before: Self,
        refuse: impl Fn(String, bool) -> Refusal,
    ) -> Result<Self, Refusal> {
        const LONGEST_DESCRIPTION: usize = 255;
        const LONGEST_METADATA: usize = 4096;
        let this = Self {
            description: description.unwrap_or(before.description),
            metadata: metadata.unwrap_or(before.metadata),
        };
        if this.description.len() > LONGEST_DESCRIPTION {
            return Err(refuse(format!("description: at most {LONGEST_DESCRIPTION} bytes are kept"), true));
        }
        if this.metadata.len() > LONGEST_METADATA {
            return Err(refuse(format!("metadata: at most {LONGEST_METADATA} bytes are kept"), false));
        }
        Ok(this)
    }
}
