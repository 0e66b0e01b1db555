//! Cookies, as they are sent and as they are set.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::HeaderMap;
use http::header::{COOKIE, SET_COOKIE};

use crate::value::{Key, Keys, List, Map, Value};

/// The names and values of cookies that were sent, in order.
pub(crate) fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(';')).filter_map(pair)
}

/// `name=value`, with or without quotes.
fn pair(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once('=')?;
    let value = value.trim();
    let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    Some((name.trim(), unquoted.unwrap_or(value))).filter(|(name, _)| !name.is_empty())
}

/// The cookies of a request by name; those that were not sent read as empty.
pub(crate) fn sent(headers: &HeaderMap) -> Value {
    by_name(pairs(headers).map(|(name, value)| {
        (name.to_owned(), Value::map([("name", Value::text(name)), ("value", Value::text(value))]))
    }))
}

/// The cookies that an answer sets, by name, with their attributes.
pub(crate) fn set(headers: &HeaderMap) -> Value {
    let lines = headers.get_all(SET_COOKIE).iter().filter_map(|line| line.to_str().ok());
    by_name(lines.filter_map(|line| {
        let (first, attributes) = line.split_once(';').unwrap_or((line, ""));
        let (name, value) = pair(first)?;
        Some((name.to_owned(), with_attributes(name, value, attributes)))
    }))
}

fn by_name(cookies: impl Iterator<Item = (String, Value)>) -> Value {
    let mut named: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    cookies.for_each(|(name, cookie)| named.entry(name).or_default().push(cookie));
    let list = |cookies| Value::List(Arc::new(List::with_absent(cookies, Keys::Cookies.absent())));
    let entries = named.into_iter().map(|(name, cookies)| (Key::from(name), list(cookies)));
    Value::Map(Arc::new(Map::with_keys(Keys::Cookies, entries)))
}

fn with_attributes(name: &str, value: &str, attributes: &str) -> Value {
    let mut cookie: Map = [("domain", ""), ("path", ""), ("expires", ""), ("same_site", "")]
        .into_iter()
        .map(|(name, nothing)| (Key::from(name), Value::text(nothing)))
        .collect();
    cookie.insert("name", Value::text(name));
    cookie.insert("value", Value::text(value));
    cookie.insert("max_age", Value::Int(0));
    cookie.insert("http_only", Value::Bool(false));
    cookie.insert("secure", Value::Bool(false));
    let mut others = Vec::new();
    for attribute in attributes.split(';').map(str::trim).filter(|attribute| !attribute.is_empty()) {
        let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        match name.as_str() {
            "domain" | "path" | "expires" => cookie.insert(name, Value::text(value)),
            "samesite" => cookie.insert("same_site", Value::text(value)),
            "max-age" => cookie.insert("max_age", Value::Int(value.parse().unwrap_or_default())),
            "httponly" => cookie.insert("http_only", Value::Bool(true)),
            "secure" => cookie.insert("secure", Value::Bool(true)),
            _ => others.push(Value::text(attribute)),
        }
    }
    cookie.insert("unparsed_attributes", Value::list(others));
    Value::Map(Arc::new(cookie))
}
