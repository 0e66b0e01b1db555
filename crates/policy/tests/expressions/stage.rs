//! A request to evaluate expressions against, and what they should come to.

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, Method, StatusCode, Uri, Version};
use model::Secret;
use policy::facts::{
    Choice, Connection, Endpoint, Facts, Randomness, Request, Response, Retry, Secrets, Tls,
};
use policy::value::Map;
use policy::{Expression, Scope, Value};
use time::macros::datetime;

/// Everything that facts borrow.
pub(crate) struct Stage {
    pub(crate) random: Randomness,
    pub(crate) headers: HeaderMap,
    pub(crate) answer: HeaderMap,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) connection: Connection,
    pub(crate) endpoint: Endpoint,
    pub(crate) vars: Arc<Map>,
    pub(crate) actions: Arc<Map>,
    pub(crate) retry: Retry,
}

pub(crate) const NOW: time::OffsetDateTime = datetime!(2026-11-22 07:05:09.25 UTC);

impl Default for Stage {
    fn default() -> Self {
        let headers = [
            ("authorization", "Bearer letmein"),
            ("content-type", "application/json; charset=utf-8"),
            ("content-length", "42"),
            ("content-encoding", "gzip, br"),
            ("x-tag", "one"),
            ("x-tag", "two"),
            ("user-agent", "curl/8.5.0"),
            ("cookie", "session=abc; theme=\"dark\"; session=def"),
        ];
        let answer = [
            ("content-type", "text/event-stream"),
            ("location", "/elsewhere"),
            ("set-cookie", "id=7; Path=/; Max-Age=60; HttpOnly; Secure; SameSite=Lax; Priority=High"),
        ];
        Self {
            random: Randomness::seeded(7),
            headers: map(&headers),
            answer: map(&answer),
            method: Method::POST,
            uri: Uri::from_static("/v1/chat%20room?tag=a&tag=b&q=x%26y"),
            connection: Connection {
                client_ip: IpAddr::from([203, 0, 113, 9]),
                client_port: 50123,
                server_ip: IpAddr::from([10, 0, 0, 1]),
                server_port: 443,
                started_at: datetime!(2026-11-22 07:05:00 UTC),
                tls: Some(Tls {
                    sni: Some("ai.example.com".into()),
                    version: Some("1.3".into()),
                    cipher_suite: Some("TLS_AES_128_GCM_SHA256".into()),
                    alpn: Some("h2".into()),
                }),
            },
            endpoint: Endpoint {
                id: "ep_1".into(),
                url: "https://ai.example.com".into(),
                host: "ai.example.com".into(),
                port: 443,
                protocol: "https",
            },
            vars: Map::empty().clone(),
            actions: Map::empty().clone(),
            retry: Retry {
                attempts: 2,
                last_attempt: Value::map([("res", Value::map([("status_code", Value::Int(503))]))]),
            },
        }
    }
}

fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, http::HeaderValue::from_static(value));
    }
    headers
}

/// The secrets that the tests know.
pub(crate) fn secret(vault: Option<&str>, name: &str) -> Option<Arc<Secret>> {
    let text = match (vault, name) {
        (Some("gateway-auth"), "access-token") => "letmein",
        (Some("gateway-auth"), "client-a-token") => "token-of-a",
        (Some("gateway-auth"), "client-b-token") => "letmein",
        (Some("openai"), "api-key") => "sk-0123456789",
        (Some("gateway-auth"), "empty") => "",
        (None, "the-only-one") => "alone",
        _ => return None,
    };
    Some(Arc::new(Secret::new(text)))
}

impl Stage {
    /// Calls back with all of it as facts.
    pub(crate) fn with<T>(&self, choice: Option<&Choice<'_>>, run: impl FnOnce(&Facts<'_>) -> T) -> T {
        let request = Request {
            id: "req_1",
            method: &self.method,
            scheme: "https",
            authority: "ai.example.com:8443",
            uri: &self.uri,
            version: Version::HTTP_11,
            headers: &self.headers,
            received_at: datetime!(2026-11-22 07:05:09 UTC),
            body_received_at: None,
        };
        let response = Response { status: StatusCode::OK, headers: &self.answer };
        let facts = Facts {
            secrets: Secrets::new(&secret),
            vars: &self.vars,
            actions: &self.actions,
            connection: Some(&self.connection),
            endpoint: Some(&self.endpoint),
            request: Some(&request),
            response: Some(&response),
            retry: Some(&self.retry),
            choice,
            ..Facts::new(NOW, &self.random)
        };
        run(&facts)
    }

    pub(crate) fn value(&self, text: &str, scope: Scope) -> Result<Value, String> {
        let expression = Expression::compile(text, scope).map_err(|error| error.to_string())?;
        self.with(None, |facts| expression.evaluate(facts)).map_err(|error| error.to_string())
    }
}

/// Each of these comes to what stands beside it, which is itself written in the language.
pub(crate) fn come_to(stage: &Stage, scope: Scope, table: &[(&str, &str)]) {
    let mut wrong = Vec::new();
    for (text, expected) in table {
        let expected = stage.value(expected, scope).unwrap_or_else(|error| panic!("{expected}: {error}"));
        let found = stage.value(text, scope);
        // Numbers are equal across kinds in the language; here their kinds count as well.
        if found.as_ref() != Ok(&expected) || found.as_ref().is_ok_and(|f| f.kind() != expected.kind()) {
            wrong.push(format!("`{text}` came to {found:?}, expected {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// Each of these fails, when read or when evaluated, with a message that has this in it.
pub(crate) fn fail(stage: &Stage, scope: Scope, table: &[(&str, &str)]) {
    let mut wrong = Vec::new();
    for (text, expected) in table {
        match stage.value(text, scope) {
            Err(message) if message.contains(expected) => {}
            other => wrong.push(format!("`{text}` came to {other:?}, expected an error with `{expected}`")),
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}
