//! Arrays of objects in a query string. There is no standard for them, so each client has its own way:
//! Cloudflare's JavaScript client, her Python client, JSON, and brackets.

use std::collections::BTreeMap;

use serde_json::Value;
use store::logs::Filter;

use crate::api::error::ApiError;

/// One condition before its words are understood.
#[derive(Debug, Default, PartialEq)]
struct Raw {
    key: Option<String>,
    operator: Option<String>,
    values: Vec<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Key,
    Operator,
    Value,
}

/// The filters among the parameters.
pub(super) fn of_pairs(pairs: &[(String, String)]) -> Result<Vec<Filter>, ApiError> {
    let (mut dotted, mut indexed, mut found) = (Vec::new(), BTreeMap::new(), Vec::new());
    for (name, value) in pairs {
        let Some(rest) = name.strip_prefix("filters") else { continue };
        // A bracketed name is a path: `[0][key]`, `[0].key`, `.0.key`, `[0][value][]`.
        let path: Vec<&str> = rest.split(['[', ']', '.']).filter(|segment| !segment.is_empty()).collect();
        match path.as_slice() {
            [] => found.append(&mut of_json(value)?),
            [part] => dotted.push((part_of(part)?, value.as_str())),
            [index, part, ..] => {
                let index = index.parse::<u32>().map_err(|_| unreadable(name))?;
                indexed.entry(index).or_insert_with(Raw::default).take(part_of(part)?, value);
            }
        }
    }
    found.extend(of_dotted(&dotted)?);
    found.extend(indexed.into_values());
    found.into_iter().map(Raw::understood).collect()
}

fn part_of(word: &str) -> Result<Part, ApiError> {
    match word {
        "key" => Ok(Part::Key),
        "operator" => Ok(Part::Operator),
        "value" => Ok(Part::Value),
        _ => Err(unreadable(word)),
    }
}

/// `filters=[{"key": …, "operator": …, "value": […]}]`, or one such object.
fn of_json(text: &str) -> Result<Vec<Raw>, ApiError> {
    let invalid = || ApiError::query("filters", "expected a JSON array of {key, operator, value}");
    let filters = match serde_json::from_str(text).map_err(|_| invalid())? {
        Value::Array(filters) => filters,
        filter => vec![filter],
    };
    filters
        .into_iter()
        .map(|filter| {
            let text = |name: &str| filter.get(name)?.as_str().map(str::to_owned);
            let values = match filter.get("value") {
                None => Vec::new(),
                Some(Value::Array(values)) => values.clone(),
                Some(value) => vec![value.clone()],
            };
            filter
                .is_object()
                .then(|| Raw { key: text("key"), operator: text("operator"), values })
                .ok_or_else(invalid)
        })
        .collect()
}

/// `filters.key=…`, repeated. JavaScript keeps the order of the filters, so whatever a filter has
/// already opens the next one. Python groups by name; then the values are dealt out one each, and what
/// is left over belongs to the first filter, because nothing says otherwise.
fn of_dotted(parts: &[(Part, &str)]) -> Result<Vec<Raw>, ApiError> {
    let all = |wanted: Part| -> Vec<&str> {
        parts.iter().filter(|(part, _)| *part == wanted).map(|(_, value)| *value).collect()
    };
    let (keys, operators, values) = (all(Part::Key), all(Part::Operator), all(Part::Value));
    let mut runs: Vec<Part> = parts.iter().map(|(part, _)| *part).collect();
    runs.dedup();
    let grouped = keys.len() > 1 && runs.len() <= 3;
    if !grouped {
        return Ok(in_order(parts));
    }
    if operators.len() != keys.len() || values.len() < keys.len() {
        return Err(ApiError::query("filters", "every filter needs key, operator and value"));
    }
    let surplus = values.len() - keys.len();
    let filters = keys.iter().zip(operators).enumerate().map(|(at, (key, operator))| {
        let (from, to) = if at == 0 { (0, surplus + 1) } else { (surplus + at, surplus + at + 1) };
        Raw {
            key: Some((*key).to_owned()),
            operator: Some(operator.to_owned()),
            values: values[from..to].iter().map(|value| Value::from(*value)).collect(),
        }
    });
    Ok(filters.collect())
}

fn in_order(parts: &[(Part, &str)]) -> Vec<Raw> {
    let mut filters: Vec<Raw> = Vec::new();
    let mut last = None;
    for (part, value) in parts {
        let full = filters.last().is_none_or(|filter| match part {
            Part::Key => filter.key.is_some(),
            Part::Operator => filter.operator.is_some(),
            Part::Value => !filter.values.is_empty() && last != Some(Part::Value),
        });
        if full {
            filters.push(Raw::default());
        }
        if let Some(filter) = filters.last_mut() {
            filter.take(*part, value);
        }
        last = Some(*part);
    }
    filters
}

impl Raw {
    fn take(&mut self, part: Part, value: &str) {
        match part {
            Part::Key => self.key = Some(value.to_owned()),
            Part::Operator => self.operator = Some(value.to_owned()),
            Part::Value => self.values.push(Value::from(value)),
        }
    }

    fn understood(self) -> Result<Filter, ApiError> {
        let missing = || ApiError::query("filters", "every filter needs key, operator and value");
        let (key, operator) = (self.key.ok_or_else(missing)?, self.operator.ok_or_else(missing)?);
        Ok(Filter::parse(&key, &operator, &self.values)?)
    }
}

fn unreadable(name: &str) -> ApiError {
    ApiError::query("filters", format!("`{name}` is no part of a filter; there are key, operator and value"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filters(query: &str) -> Result<Vec<Filter>, ApiError> {
        of_pairs(&serde_urlencoded::from_str::<Vec<(String, String)>>(query).unwrap())
    }

    fn expected() -> Vec<Filter> {
        vec![
            Filter::parse("provider", "eq", &[json!("openai"), json!("anthropic")]).unwrap(),
            Filter::parse("cost", "gt", &[json!("0.5")]).unwrap(),
        ]
    }

    #[test]
    fn every_client_is_understood() {
        for query in [
            // Cloudflare's JavaScript client 7.3.0.
            "filters.key=provider&filters.operator=eq&filters.value=openai&filters.value=anthropic&filters.key=cost&filters.operator=gt&filters.value=0.5",
            // Her Python client 5.9.0.
            "filters.key=provider&filters.key=cost&filters.operator=eq&filters.operator=gt&filters.value=openai&filters.value=anthropic&filters.value=0.5",
            // JSON, percent-encoded.
            "filters=%5B%7B%22key%22%3A%22provider%22%2C%22operator%22%3A%22eq%22%2C%22value%22%3A%5B%22openai%22%2C%22anthropic%22%5D%7D%2C%7B%22key%22%3A%22cost%22%2C%22operator%22%3A%22gt%22%2C%22value%22%3A0.5%7D%5D",
            // Brackets.
            "filters[0][key]=provider&filters[0][operator]=eq&filters[0][value][]=openai&filters[0][value][]=anthropic&filters[1][key]=cost&filters[1][operator]=gt&filters[1][value]=0.5",
            // Members in another order.
            "filters.value=openai&filters.value=anthropic&filters.operator=eq&filters.key=provider&filters.value=0.5&filters.operator=gt&filters.key=cost",
        ] {
            assert_eq!(filters(query).unwrap(), expected(), "{query}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        for (query, word) in [
            ("filters.key=colour&filters.operator=eq&filters.value=red", "unknown filter key `colour`"),
            ("filters.key=cost&filters.operator=like&filters.value=1", "eq, neq, lt, gt"),
            ("filters.key=cost&filters.operator=eq&filters.value=cheap", "a number"),
            ("filters.key=success&filters.operator=eq&filters.value=perhaps", "true or false"),
            ("filters.key=created_at&filters.operator=gt&filters.value=yesterday", "a time such as"),
            ("filters.key=cost&filters.operator=eq", "needs a value"),
            ("filters.key=cost", "every filter needs"),
            ("filters.colour=red", "no part of a filter"),
            ("filters=%7B", "JSON array"),
        ] {
            let message = filters(query).unwrap_err().to_string();
            assert!(message.contains(word), "{query}: {message}");
        }
    }
}
