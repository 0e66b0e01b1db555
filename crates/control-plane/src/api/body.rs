//! Bodies and queries as typed documents. What does not fit is answered with the path to it.

use axum::body::{Bytes, HttpBody as _};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

use super::error::ApiError;

/// No document of ours is nearly as large, in bytes.
pub(super) const LARGEST: usize = 1024 * 1024;

/// A JSON body, whatever the content type says: nothing else is ever sent here.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        // A body that is announced as too large is not waited for.
        if request.body().size_hint().lower() > LARGEST as u64 {
            return Err(ApiError::TooLarge);
        }
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| {
            match rejection.into_response().status() {
                StatusCode::PAYLOAD_TOO_LARGE => ApiError::TooLarge,
                _ => ApiError::Invalid {
                    path: vec!["body".to_owned()],
                    message: "the body could not be read".to_owned(),
                },
            }
        })?;
        let deserializer = &mut serde_json::Deserializer::from_slice(&bytes);
        let value = serde_path_to_error::deserialize(&mut *deserializer).map_err(|e| invalid("body", &e))?;
        deserializer.end().map_err(|error| ApiError::Invalid {
            path: vec!["body".to_owned()],
            message: error.to_string(),
        })?;
        Ok(Self(value))
    }
}

/// Query parameters. Unknown ones are ignored, as clients add their own.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let query = parts.uri.query().unwrap_or_default();
        serde_urlencoded::from_str(query)
            .map(Self)
            .map_err(|error| ApiError::Invalid { path: vec!["query".to_owned()], message: error.to_string() })
    }
}

fn invalid(place: &str, error: &serde_path_to_error::Error<serde_json::Error>) -> ApiError {
    let mut path = vec![place.to_owned()];
    path.extend(error.path().iter().filter_map(|segment| match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } => Some(key.clone()),
        Segment::Enum { .. } | Segment::Unknown => None,
    }));
    let text = error.inner().to_string();
    // Serde names a missing field only in its words.
    if let Some(field) = text.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
        path.push(field.to_owned());
    }
    let message = text.split(" at line ").next().unwrap_or(&text);
    // A secret may have been sent in the wrong place: what was expected is told, not what came.
    let message = match message.rsplit_once(", expected ") {
        Some((came, expected)) if !came.starts_with("unknown field") => format!("expected {expected}"),
        _ => message.to_owned(),
    };
    ApiError::Invalid { path, message }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Outer {
        inner: Inner,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Inner {
        number: u32,
    }

    #[tokio::test]
    async fn what_does_not_fit_is_answered_with_the_path_to_it() {
        for (body, path) in [
            (r#"{"inner":{"number":"x"}}"#, vec!["body", "inner", "number"]),
            (r#"{"inner":{}}"#, vec!["body", "inner", "number"]),
            (r#"{"inner":{"number":1},"outer":2}"#, vec!["body", "outer"]),
            ("{", vec!["body"]),
            ("", vec!["body"]),
            (r#"{"inner":{"number":1}} x"#, vec!["body"]),
        ] {
            let request = Request::new(axum::body::Body::from(body));
            match Body::<Outer>::from_request(request, &()).await {
                Err(ApiError::Invalid { path: found, .. }) => assert_eq!(found, path, "{body}"),
                other => panic!("{body}: {other:?}"),
            }
        }
    }
}
