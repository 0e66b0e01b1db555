//! A small HTTP client: whole answers for most stories, streams where a story is about them.

use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// An answer that has arrived whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header as text, empty when it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// One request, put together word by word.
#[derive(Debug, Clone)]
pub struct Call {
    method: Method,
    url: String,
    headers: Vec<(String, String)>,
    body: Bytes,
}

/// A request with any method.
pub fn call(method: &str, url: impl Into<String>) -> Call {
    let method = method.parse().expect("an HTTP method");
    Call { method, url: url.into(), headers: Vec::new(), body: Bytes::new() }
}

/// Fetches a URL.
pub async fn get(url: &str) -> anyhow::Result<Answer> {
    call("GET", url).send().await
}

impl Call {
    /// Adds a header.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Presents a bearer token.
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// Sets a JSON body.
    pub fn json(mut self, body: &Value) -> Self {
        self.body = body.to_string().into();
        self.header("content-type", "application/json")
    }

    /// Sets a body of any kind.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends the request and waits for the whole answer, at most a minute.
    pub async fn send(self) -> anyhow::Result<Answer> {
        let url = self.url.clone();
        let whole = async {
            let (parts, body) = self.open().await?.into_parts();
            let body = body.collect().await.context("read the answer")?.to_bytes();
            Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
        };
        tokio::time::timeout(Duration::from_secs(60), whole)
            .await
            .unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within a minute")))
            .with_context(|| url)
    }

    /// Sends the request and returns once the answer's head has arrived.
    pub async fn open(self) -> anyhow::Result<Response<Incoming>> {
        let mut request = Request::builder().method(self.method).uri(&self.url);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        Ok(client().request(request.body(Full::new(self.body))?).await?)
    }
}

// Each test runs in a runtime of its own, and a pooled connection belongs to the runtime that made
// it, so nothing is pooled.
fn client() -> &'static Client<HttpConnector, Full<Bytes>> {
    static CLIENT: OnceLock<Client<HttpConnector, Full<Bytes>>> = OnceLock::new();
    CLIENT.get_or_init(|| Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http())
}
