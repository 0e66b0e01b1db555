//! Queries: names with one value or several.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::value::{Key, Keys, List, Map, Value};

/// The parameters of a query, each with its values in order; those that were not sent read as empty.
pub(crate) fn parameters(query: &str) -> Value {
    let mut values: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        values.entry(name.into_owned()).or_default().push(Value::text(value.as_ref()));
    }
    let list = |values| Value::List(Arc::new(List::with_absent(values, Keys::Parameters.absent())));
    let entries = values.into_iter().map(|(name, values)| (Key::from(name), list(values)));
    Value::Map(Arc::new(Map::with_keys(Keys::Parameters, entries)))
}

/// Whether a query has a parameter.
pub(crate) fn has(query: &str, name: &str) -> bool {
    form_urlencoded::parse(query.as_bytes()).any(|(each, _)| each == name)
}
