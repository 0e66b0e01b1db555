//! An instance of a JSON schema: what a model answers that is held to one.

use serde_json::{Map, Number, Value, json};

/// How deep a schema that contains itself is followed before its optional parts are left out.
const DEEP: usize = 6;

/// A valid instance of `schema`; free texts are `word`.
pub(crate) fn instance(schema: &Value, word: &str) -> Value {
    Maker { root: schema, word }.instance(schema, 0)
}

struct Maker<'a> {
    root: &'a Value,
    word: &'a str,
}

impl Maker<'_> {
    fn instance(&self, schema: &Value, depth: usize) -> Value {
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            let target = target.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
            // Deeper than any honest schema: it refers to itself and nothing else.
            return target
                .filter(|_| depth < 40)
                .map_or(Value::Null, |target| self.instance(target, depth + 1));
        }
        if let Some(constant) = schema.get("const") {
            return constant.clone();
        }
        if let Some(first) = schema.get("enum").and_then(|values| values.get(0)) {
            return first.clone();
        }
        for choice in ["anyOf", "oneOf"] {
            if let Some(choices) = schema.get(choice).and_then(Value::as_array).filter(|all| !all.is_empty())
            {
                let is_null = |schema: &&Value| schema.get("type").is_some_and(|kind| kind == "null");
                let easiest = if depth > DEEP { choices.iter().find(is_null) } else { None };
                return self.instance(easiest.unwrap_or(&choices[0]), depth + 1);
            }
        }
        if let Some(parts) = schema.get("allOf").and_then(Value::as_array) {
            return self.merged(schema, parts, depth);
        }
        match self.kind(schema, depth) {
            "object" => self.object(schema, depth),
            "array" => self.array(schema, depth),
            "integer" => number(schema, true),
            "number" => number(schema, false),
            "boolean" => Value::Bool(true),
            "null" => Value::Null,
            _ => Value::String(self.string(schema)),
        }
    }

    fn kind<'s>(&self, schema: &'s Value, depth: usize) -> &'s str {
        match schema.get("type") {
            Some(Value::String(kind)) => kind,
            Some(Value::Array(kinds)) => {
                let mut kinds = kinds.iter().filter_map(Value::as_str);
                if depth > DEEP && kinds.clone().any(|kind| kind == "null") {
                    return "null";
                }
                kinds.find(|kind| *kind != "null").unwrap_or("null")
            }
            _ if schema.get("properties").is_some() => "object",
            _ if schema.get("items").is_some() => "array",
            _ => "string",
        }
    }

    fn object(&self, schema: &Value, depth: usize) -> Value {
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let mut object = Map::new();
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            for (name, property) in properties {
                if depth <= DEEP || required.contains(&name.as_str()) {
                    object.insert(name.clone(), self.instance(property, depth + 1));
                }
            }
        }
        Value::Object(object)
    }

    fn array(&self, schema: &Value, depth: usize) -> Value {
        let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0);
        let most = schema.get("maxItems").and_then(Value::as_u64).unwrap_or(u64::MAX);
        let wanted = if depth > DEEP { least } else { least.max(2).min(most) };
        let any = json!({});
        let items = schema.get("items").unwrap_or(&any);
        (0..wanted).map(|_| self.instance(items, depth + 1)).collect()
    }

    /// Every part speaks about the same object, so their members are put together.
    fn merged(&self, schema: &Value, parts: &[Value], depth: usize) -> Value {
        let mut merged = Map::new();
        let rest: Map<String, Value> = schema
            .as_object()
            .map(|members| members.clone().into_iter().filter(|(name, _)| name != "allOf").collect())
            .unwrap_or_default();
        let own = rest.contains_key("properties").then_some(Value::Object(rest));
        for part in parts.iter().chain(own.as_ref()) {
            match self.instance(part, depth + 1) {
                Value::Object(members) => merged.extend(members),
                other => return other,
            }
        }
        Value::Object(merged)
    }

    /// A text of the wanted format and length. A `pattern` is not obeyed: that takes a generator of its own.
    fn string(&self, schema: &Value) -> String {
        let text = match schema.get("format").and_then(Value::as_str).unwrap_or_default() {
            "date-time" => "2026-01-31T12:00:00Z",
            "date" => "2026-01-31",
            "time" => "12:00:00Z",
            "duration" => "PT1H",
            "email" => "someone@example.com",
            "hostname" => "example.com",
            "ipv4" => "192.0.2.1",
            "ipv6" => "2001:db8::1",
            "uuid" => "6f9619ff-8b86-4011-b42d-00c04fc964ff",
            "uri" | "url" => "https://example.com/",
            _ => self.word,
        };
        let length = |member| schema.get(member).and_then(Value::as_u64).map(|length| length as usize);
        let mut text: String = text.chars().take(length("maxLength").unwrap_or(usize::MAX)).collect();
        while text.chars().count() < length("minLength").unwrap_or(0) {
            text.push('.');
        }
        text
    }
}

fn number(schema: &Value, is_whole: bool) -> Value {
    let bound = |member| schema.get(member).and_then(Value::as_f64);
    let step = bound("multipleOf").filter(|step| *step > 0.0);
    let nudge = step.unwrap_or(if is_whole { 1.0 } else { 0.5 });
    let least = bound("minimum").or(bound("exclusiveMinimum").map(|bound| bound + nudge));
    let most = bound("maximum").or(bound("exclusiveMaximum").map(|bound| bound - nudge));
    let mut value = 42.0_f64.max(least.unwrap_or(f64::MIN)).min(most.unwrap_or(f64::MAX));
    if let Some(step) = step {
        value = (value / step).floor() * step;
        if least.is_some_and(|least| value < least) {
            value += step;
        }
    }
    if is_whole {
        return Value::from(value.round() as i64);
    }
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_property_has_its_type() {
        let schema = json!({
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "age": {"type": "integer", "minimum": 0, "maximum": 30},
                "mood": {"enum": ["calm", "wild"]},
                "when": {"type": ["string", "null"], "format": "date"},
                "steps": {"type": "array", "items": {"$ref": "#/$defs/step"}, "maxItems": 1},
            },
            "required": ["name", "age", "mood", "when", "steps"],
            "$defs": {"step": {"type": "object", "properties": {"done": {"type": "boolean"}}}},
        });
        let expected = json!({"name": "Ada", "age": 30, "mood": "calm", "when": "2026-01-31", "steps": [{"done": true}]});
        assert_eq!(instance(&schema, "Ada"), expected);
    }

    #[test]
    fn a_schema_that_contains_itself_ends() {
        let schema = json!({
            "type": "object",
            "properties": {"value": {"type": "number"}, "next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
            "required": ["value", "next"],
        });
        let mut list = &instance(&schema, "");
        let mut length = 0;
        while let Some(next) = list.get("next") {
            list = next;
            length += 1;
        }
        assert!(list.is_null() && length > 0 && length < 10);
    }
}
