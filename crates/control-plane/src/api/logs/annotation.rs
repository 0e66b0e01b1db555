//! What a gateway's owner may write on a log.

use std::ops::RangeInclusive;

use model::document::{self, Mistake, nullable};
use serde_json::Value;
use store::logs::Annotation;
use utoipa::ToSchema;

/// What to write; what is left out stays as it is.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `read` reads")]
pub(super) struct LogPatch {
    /// From −1 to 1.
    #[schema(minimum = -1, maximum = 1)]
    feedback: Option<f64>,
    /// From 0 to 100.
    #[schema(minimum = 0, maximum = 100)]
    score: Option<f64>,
    /// Strings, numbers and booleans by name, in place of what the caller sent.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
}

/// Bytes of metadata that a log can have, as for callers.
const METADATA: usize = 1024;

/// Reads the body, telling all mistakes together.
pub(super) fn read(body: &Value) -> Result<Annotation, Vec<Mistake>> {
    document::read(body, |document| {
        let feedback = document.optional("feedback", None, said(number(-1.0..=1.0)));
        let score = document.optional("score", None, said(number(0.0..=100.0)));
        document.each_of("metadata", label);
        let metadata = document.optional("metadata", None, said(labels));
        Some(Annotation { feedback: feedback?, score: score?, metadata: metadata? })
    })
}

/// A member that is there: null, or the value.
fn said<T>(
    value: impl FnOnce(&Value) -> Result<T, String>,
) -> impl FnOnce(&Value) -> Result<Option<Option<T>>, String> {
    move |given| nullable(value)(given).map(Some)
}

fn number(bounds: RangeInclusive<f64>) -> impl Fn(&Value) -> Result<f64, String> {
    move |value| {
        let number = value.as_f64().filter(|number| bounds.contains(number));
        number.ok_or_else(|| format!("must be a number from {} to {}", bounds.start(), bounds.end()))
    }
}

fn label(value: &Value) -> Result<(), String> {
    let flat = value.is_string() || value.is_number() || value.is_boolean();
    if flat { Ok(()) } else { Err("must be a string, a number or a boolean".to_owned()) }
}

fn labels(value: &Value) -> Result<Value, String> {
    let text = value.to_string();
    if text.len() > METADATA || text.contains("\\u0000") {
        return Err(format!("must have at most {METADATA} bytes, none of them NUL"));
    }
    Ok(value.clone())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn null_empties_and_absence_keeps() {
        let annotation = read(&json!({"feedback": -1, "score": null})).unwrap();
        assert_eq!(annotation, Annotation { feedback: Some(Some(-1.0)), score: Some(None), metadata: None });
    }

    #[test]
    fn every_mistake_is_told_with_its_path() {
        let body = json!({"feedback": 2, "score": "x", "metadata": {"a": [1]}, "cost": 0});
        let mut paths: Vec<_> = read(&body).unwrap_err().into_iter().map(|m| m.path.join(".")).collect();
        paths.sort();
        assert_eq!(paths, ["body.cost", "body.feedback", "body.metadata.a", "body.score"]);
    }
}
