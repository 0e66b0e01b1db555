//! What a gateway's owner may write on a log.

use model::document::Mistake;
use serde_json::{Map, Value};
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
    let Some(body) = body.as_object() else {
        return Err(vec![mistake(&[], "expected an object")]);
    };
    let mut mistakes = Vec::new();
    for name in body.keys().filter(|name| !["feedback", "score", "metadata"].contains(&name.as_str())) {
        mistakes.push(mistake(&[name], "unknown field"));
    }
    let annotation = Annotation {
        feedback: number(body, "feedback", -1.0, 1.0, &mut mistakes),
        score: number(body, "score", 0.0, 100.0, &mut mistakes),
        metadata: metadata(body, &mut mistakes),
    };
    if mistakes.is_empty() { Ok(annotation) } else { Err(mistakes) }
}

fn number(
    body: &Map<String, Value>,
    name: &str,
    least: f64,
    most: f64,
    mistakes: &mut Vec<Mistake>,
) -> Option<Option<f64>> {
    match body.get(name)? {
        Value::Null => Some(None),
        value => match value.as_f64().filter(|number| (least..=most).contains(number)) {
            Some(number) => Some(Some(number)),
            None => {
                mistakes
                    .push(mistake(&[name], &format!("expected a number from {least} to {most}, or null")));
                None
            }
        },
    }
}

fn metadata(body: &Map<String, Value>, mistakes: &mut Vec<Mistake>) -> Option<Option<Value>> {
    let value = body.get("metadata")?;
    if value.is_null() {
        return Some(None);
    }
    let Some(labels) = value.as_object() else {
        mistakes.push(mistake(&["metadata"], "expected an object, or null"));
        return None;
    };
    for (name, label) in labels {
        if label.is_null() || label.is_array() || label.is_object() {
            mistakes.push(mistake(&["metadata", name], "expected a string, a number or a boolean"));
        }
    }
    let text = value.to_string();
    if text.len() > METADATA || text.contains("\\u0000") {
        mistakes.push(mistake(&["metadata"], "expected at most 1024 bytes, none of them NUL"));
    }
    Some(Some(value.clone()))
}

fn mistake(path: &[&str], message: &str) -> Mistake {
    let path = ["body"].iter().chain(path).map(|part| (*part).to_owned()).collect();
    Mistake { path, message: message.to_owned() }
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
