//! The caller's own labels: the header `cf-aig-metadata`, a flat JSON object.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

const MAX_BYTES: usize = 1024;
const MAX_ENTRIES: usize = 5;

/// Reads the header and gives the labels that are kept, as a JSON object: the first five, without
/// those whose names begin with `cf.`, which are reserved. What is no string, number or boolean is no
/// label and left out: the AI SDK's provider sends `null` for what it does not know.
pub fn metadata(header: &[u8]) -> Result<String, InvalidMetadata> {
    if header.len() > MAX_BYTES {
        return Err(InvalidMetadata::TooLong);
    }
    let Entries(entries) = serde_json::from_slice(header).map_err(|_| InvalidMetadata::NotAnObject)?;
    let is_label = |value: &Value| matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_));
    let labels = entries.into_iter().filter(|(name, value)| !name.starts_with("cf.") && is_label(value));
    let labels: serde_json::Map<_, _> = labels.take(MAX_ENTRIES).collect();
    Ok(if labels.is_empty() { String::new() } else { Value::Object(labels).to_string() })
}

/// Why metadata is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMetadata {
    /// Longer than we keep.
    #[error("`cf-aig-metadata` is longer than {MAX_BYTES} bytes")]
    TooLong,
    /// Not JSON, or not an object.
    #[error("`cf-aig-metadata` is not a JSON object")]
    NotAnObject,
}

/// The members in the order in which they were written, which decides which five are kept.
struct Entries(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_labels_are_kept_and_reserved_names_are_not_among_them() {
        let kept = metadata(
            br#"{"z":1,"cf.ip":"x","n":null,"b":true,"c":"d","o":{"b":1},"d":2.5,"e":"","f":"sixth"}"#,
        )
        .unwrap();
        assert_eq!(kept, r#"{"b":true,"c":"d","d":2.5,"e":"","z":1}"#);
        assert_eq!(metadata(b"{}").unwrap(), "");
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        assert_eq!(metadata(b"[1]"), Err(InvalidMetadata::NotAnObject));
        assert_eq!(metadata(b"{\"a\":"), Err(InvalidMetadata::NotAnObject));
        assert_eq!(metadata(&[b' '; 1025]), Err(InvalidMetadata::TooLong));
    }
}
