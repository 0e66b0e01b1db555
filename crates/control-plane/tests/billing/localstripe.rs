//! localstripe, from PyPI: Stripe as far as its clients can tell, one for each test.

use std::path::Path;
use std::process::Stdio;

use bytes::Bytes;
use control_plane::payments::PaymentsConfig;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use model::Secret;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// What signs its webhooks.
pub(crate) const WEBHOOK_SECRET: &str = "whsec_of_the_test";

/// Cards of Stripe's test mode, by what becomes of them.
pub(crate) const GOOD: &str = "4242424242424242";
pub(crate) const DECLINED: &str = "4000000000000341";
pub(crate) const ASKS_ITS_OWNER: &str = "4000002500003155";

pub(crate) struct LocalStripe {
    // Ends with its standard input, so with the test, however that ends.
    _process: Child,
    output: Lines<BufReader<ChildStdout>>,
    port: u64,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl LocalStripe {
    pub(crate) async fn start() -> Self {
        let python =
            std::env::var("TOLLGATE_TEST_PYTHON").expect("TOLLGATE_TEST_PYTHON: run `cargo xtask test`");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/billing/stripe_server.py");
        let mut process = Command::new(python)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap()).lines();
        let first = output.next_line().await.unwrap().expect("localstripe did not start: is it installed?");
        let port = serde_json::from_str::<Value>(&first).unwrap()["port"].as_u64().unwrap();
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { _process: process, output, port, client }
    }

    /// What points Tollgate here.
    pub(crate) fn config(&self) -> PaymentsConfig {
        PaymentsConfig {
            stripe_secret_key: Some(Secret::new("sk_test_12345")),
            stripe_webhook_secret: Some(Secret::new(format!("whsec_of_tomorrow, {WEBHOOK_SECRET}"))),
            stripe_publishable_key: Some("pk_test_12345".to_owned()),
            stripe_url: format!("http://127.0.0.1:{}/", self.port),
            ..PaymentsConfig::default()
        }
    }

    /// Has its events sent to an address.
    pub(crate) async fn tell(&self, address: &str) {
        let form = [("url", address), ("secret", WEBHOOK_SECRET)];
        self.post("/_config/webhooks/tollgate", &form).await;
    }

    /// Waits until an event of this kind has been delivered.
    pub(crate) async fn delivered(&mut self, kind: &str) {
        let expected = format!("webhook \"{kind}\" successfully delivered");
        loop {
            let line = self.output.next_line().await.unwrap().expect("localstripe has ended");
            assert!(!line.contains("failed"), "{line}");
            if line == expected {
                return;
            }
        }
    }

    /// Loses its answer to the next request with this in its path.
    pub(crate) async fn lose(&self, path: &str) {
        let body = serde_json::json!({"path": path}).to_string();
        self.send(Method::POST, "/_config/lose", "application/json", body).await;
    }

    /// A card with this number.
    pub(crate) async fn card(&self, number: &str) -> String {
        let form = [
            ("type", "card"),
            ("card[number]", number),
            ("card[exp_month]", "12"),
            ("card[exp_year]", "2040"),
            ("card[cvc]", "123"),
        ];
        self.post("/v1/payment_methods", &form).await["id"].as_str().unwrap().to_owned()
    }

    /// What was charged, in cents, by every charge that succeeded.
    pub(crate) async fn charged(&self) -> Vec<i64> {
        let charges = self.get("/v1/charges?limit=100").await;
        let succeeded =
            charges["data"].as_array().unwrap().iter().filter(|charge| charge["status"] == "succeeded");
        succeeded.map(|charge| charge["amount"].as_i64().unwrap()).collect()
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.send(Method::GET, path, "", String::new()).await.1
    }

    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)]) -> Value {
        let body = serde_urlencoded::to_string(form).unwrap();
        let (status, body) = self.send(Method::POST, path, "application/x-www-form-urlencoded", body).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: String,
    ) -> (StatusCode, Value) {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://127.0.0.1:{}{path}", self.port))
            .header("authorization", "Bearer sk_test_12345")
            .header("content-type", content_type)
            .body(Full::from(body))
            .unwrap();
        let answer = self.client.request(request).await.unwrap();
        let status = answer.status();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }
}
