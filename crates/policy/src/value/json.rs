//! Values as JSON and back. Only values that fit are walked, so that nothing here runs long or deep.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Number, Value as Json};

use super::{Key, List, Map, Value, duration, timestamp};

/// A value that is too large or too deep to be walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the value is too large or nested too deeply")]
pub struct TooLarge;

impl Value {
    /// The value as JSON. Bytes are written in base64, times as strings, numbers that JSON has not as
    /// null. What came from a secret is in it in plain: see [`redacted`](Self::redacted).
    pub fn to_json(&self) -> Result<Json, TooLarge> {
        if self.fits() { Ok(self.as_json()) } else { Err(TooLarge) }
    }

    fn as_json(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Bool(value) => Json::Bool(*value),
            Self::Int(number) => Json::from(*number),
            Self::Uint(number) => Json::from(*number),
            // A fraction that is whole is written as whole, as others do who write for JavaScript.
            Self::Double(number) if number.fract() == 0.0 && number.abs() < 9.0e15 => {
                Json::from(*number as i64)
            }
            Self::Double(number) => Number::from_f64(*number).map_or(Json::Null, Json::Number),
            Self::Text(text) => Json::from(text.as_str()),
            Self::Bytes(bytes) => Json::from(STANDARD.encode(bytes)),
            Self::List(list) => Json::Array(list.items().iter().map(Self::as_json).collect()),
            Self::Map(map) => Json::Object(map.entries().map(member).collect()),
            Self::Timestamp(at) => Json::from(timestamp(*at)),
            Self::Duration(length) => Json::from(duration(*length)),
            Self::Item(item) => Json::from(format!("{item:?}")),
        }
    }

    /// The value that a document is.
    pub fn from_json(json: Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(value),
            Json::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(whole), _) => Self::Int(whole),
                (None, Some(whole)) => Self::Uint(whole),
                (None, None) => Self::Double(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Self::text(text),
            Json::Array(items) => {
                Self::List(Arc::new(List::new(items.into_iter().map(Self::from_json).collect())))
            }
            Json::Object(members) => Self::Map(Arc::new(
                members
                    .into_iter()
                    .map(|(name, value)| (Key::from(name), Self::from_json(value)))
                    .collect::<Map>(),
            )),
        }
    }
}

fn member((key, value): (&Key, &Value)) -> (String, Json) {
    let name = match key {
        Key::Bool(value) => value.to_string(),
        Key::Int(number) => number.to_string(),
        Key::Uint(number) => number.to_string(),
        Key::Text(text) => text.to_string(),
    };
    (name, value.as_json())
}
