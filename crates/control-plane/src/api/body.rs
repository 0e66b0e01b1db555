//! Bodies and queries as typed documents. What does not fit is answered with the path to it.

use axum::body::{Bytes, HttpBody as _};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use model::document;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize as _, Deserializer};
use serde_json::Value;
use serde_json::error::Category;
use serde_path_to_error::Segment;
use time::OffsetDateTime;

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
        read(&bytes).map(Self)
    }
}

/// Reads a whole body.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let deserializer = &mut serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut *deserializer).map_err(|e| invalid("body", &e))?;
    deserializer
        .end()
        .map_err(|error| ApiError::Invalid { path: vec!["body".to_owned()], message: error.to_string() })?;
    Ok(value)
}

/// Query parameters. Unknown ones are ignored, as clients add their own.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let query = parts.uri.query().unwrap_or_default();
        let pairs = form_urlencoded::parse(query.as_bytes());
        serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(pairs)).map(Self).map_err(
            |error| ApiError::Invalid {
                path: path("query", error.path()),
                message: of_parameter(&error.inner().to_string()),
            },
        )
    }
}

/// A moment of a body, as RFC 3339 writes it: `#[serde(deserialize_with = "instant")]`.
pub(super) fn instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OffsetDateTime, D::Error> {
    document::instant(&Value::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// The same where null is as good as nothing.
pub(super) fn optional_instant<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<OffsetDateTime>, D::Error> {
    document::nullable(document::instant)(&Value::deserialize(deserializer)?).map_err(D::Error::custom)
}

fn path(place: &str, below: &serde_path_to_error::Path) -> Vec<String> {
    let names = below.iter().filter_map(|segment| match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } => Some(key.clone()),
        Segment::Enum { .. } | Segment::Unknown => None,
    });
    [place.to_owned()].into_iter().chain(names).collect()
}

/// What is wrong with a parameter, in the words of whoever wrote it and not in Rust's.
fn of_parameter(text: &str) -> String {
    match text.rsplit_once(", expected ") {
        Some((_, expected)) => format!("must be {}", in_json(expected)),
        None if text.starts_with("provided string was not") => "must be `true` or `false`".to_owned(),
        None if ["digit", "integer", "number"].iter().any(|word| text.contains(word)) => {
            "must be a whole number".to_owned()
        }
        None => text.to_owned(),
    }
}

/// What was expected, as JSON calls it.
fn in_json(expected: &str) -> &str {
    match expected {
        "i64" | "i32" | "i16" | "i8" | "isize" => "a whole number",
        "u64" | "u32" | "u16" | "u8" | "usize" => "a whole number, not below zero",
        "f64" | "f32" => "a number",
        _ if expected.starts_with("struct ") || expected == "a map" => "an object",
        _ if expected == "a sequence" => "a list",
        _ => expected,
    }
}

fn invalid(place: &str, error: &serde_path_to_error::Error<serde_json::Error>) -> ApiError {
    let mut path = path(place, error.path());
    let inner = error.inner();
    if inner.classify() != Category::Data {
        let (line, column) = (inner.line(), inner.column());
        let message =
            format!("a JSON document is expected, and this is none at line {line}, column {column}");
        return ApiError::Invalid { path, message };
    }
    let text = inner.to_string();
    // Serde names a missing field only in its words.
    if let Some(field) = text.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
        path.push(field.to_owned());
    }
    let message = text.split(" at line ").next().unwrap_or(&text);
    // A secret may have been sent in the wrong place: what was expected is told, not what came.
    let message = match message.rsplit_once(", expected ") {
        Some((came, expected)) if !came.starts_with("unknown field") => {
            format!("expected {}", in_json(expected))
        }
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

    #[tokio::test]
    async fn what_was_expected_is_told_in_words_of_json() {
        for (body, expected) in [
            (r#"{"inner":{"number":"x"}}"#, "expected a whole number, not below zero"),
            (r#"{"inner":7}"#, "expected an object"),
            ("7", "expected an object"),
            ("nope", "a JSON document is expected, and this is none at line 1, column 2"),
            ("", "a JSON document is expected, and this is none at line 1, column 0"),
        ] {
            let request = Request::new(axum::body::Body::from(body));
            match Body::<Outer>::from_request(request, &()).await {
                Err(ApiError::Invalid { message, .. }) => assert_eq!(message, expected, "{body}"),
                other => panic!("{body}: {other:?}"),
            }
        }
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Parameters {
        number: Option<i64>,
        switch: Option<bool>,
        word: Option<Word>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Word {
        One,
        Two,
    }

    #[tokio::test]
    async fn a_parameter_that_does_not_fit_is_named() {
        for (query, name, expected) in [
            ("number=x", "number", "must be a whole number"),
            ("number=", "number", "must be a whole number"),
            ("number=99999999999999999999", "number", "must be a whole number"),
            ("switch=maybe", "switch", "must be `true` or `false`"),
            ("other=1&word=three", "word", "must be `one` or `two`"),
        ] {
            let request = axum::http::Request::builder().uri(format!("/?{query}")).body(()).unwrap();
            let mut parts = request.into_parts().0;
            match Query::<Parameters>::from_request_parts(&mut parts, &()).await {
                Err(ApiError::Invalid { path, message }) => {
                    assert_eq!(
                        (path, message.as_str()),
                        (vec!["query".to_owned(), name.to_owned()], expected)
                    );
                }
                other => panic!("{query}: {other:?}"),
            }
        }
    }
}
