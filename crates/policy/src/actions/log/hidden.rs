//! What callers call themselves by. A policy may read it, and whoever reads logs may not.

use form_urlencoded::parse;
use http::HeaderMap;

use crate::run::Arrival;
use crate::value::{Key, Value};

/// The credentials of one request.
pub(super) struct Hidden(Vec<String>);

/// Where credentials stand.
const HEADERS: [&str; 7] = [
    "authorization",
    "proxy-authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "cf-aig-authorization",
    "cookie",
];
const PARAMETERS: [&str; 5] = ["key", "api_key", "api-key", "token", "access_token"];

/// What is shorter is no secret, and would be found everywhere.
const SHORTEST: usize = 8;

impl Hidden {
    pub(super) fn of(arrival: &Arrival) -> Self {
        let mut hidden = in_headers(&arrival.headers);
        let query = arrival.uri.query().unwrap_or_default();
        for (parameter, (name, value)) in
            query.split('&').filter(|parameter| !parameter.is_empty()).zip(parse(query.as_bytes()))
        {
            if PARAMETERS.contains(&&*name) {
                let written = parameter.split_once('=').map_or("", |(_, written)| written);
                hidden.extend([written.to_owned(), value.into_owned()]);
            }
        }
        hidden.retain(|text| text.len() >= SHORTEST);
        Self(hidden)
    }

    /// The value, with `****` in the place of texts that have a credential in them.
    pub(super) fn hide(&self, value: &Value) -> Value {
        if self.0.is_empty() { value.clone() } else { self.hidden(value) }
    }

    fn hidden(&self, value: &Value) -> Value {
        match value {
            Value::Text(text) if self.is_in(text.as_str()) => Value::text("****"),
            Value::Bytes(bytes) if self.is_in(&String::from_utf8_lossy(bytes)) => Value::text("****"),
            Value::List(list) => Value::list(list.items().iter().map(|item| self.hidden(item)).collect()),
            Value::Map(map) => Value::map(map.entries().map(|(key, value)| match key {
                Key::Text(name) if self.is_in(name) => (Key::from("****"), self.hidden(value)),
                key => (key.clone(), self.hidden(value)),
            })),
            value => value.clone(),
        }
    }

    fn is_in(&self, text: &str) -> bool {
        self.0.iter().any(|hidden| text.contains(hidden.as_str()))
    }
}

fn in_headers(headers: &HeaderMap) -> Vec<String> {
    let mut found = Vec::new();
    for value in HEADERS.iter().flat_map(|name| headers.get_all(*name)) {
        let Ok(value) = value.to_str() else { continue };
        found.push(value.trim().to_owned());
        // `Bearer …`, and a cookie's value.
        found.extend(value.split([' ', ';', '=']).map(str::to_owned));
    }
    found
}
