//! Streams that a test feeds, and callers who read them at their own pace.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;

use super::Gateway;
use super::provider::{Provider, Sender, stream};

pub const ASK: &str =
    r#"{"model":"gpt-4o-mini","stream":true,"messages":[{"role":"user","content":"Hello"}]}"#;
pub const FIRST: &str = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"gpt-4o-mini-2024-07-18\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hello there\"}}],\"usage\":null}\n\n";
pub const LAST: &str = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n";
pub const USAGE: &str = "data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":8,\"completion_tokens\":2,\"total_tokens\":10}}\n\n";
pub const DONE: &str = "data: [DONE]\n\n";

/// A provider whose streams the test feeds.
pub async fn fed() -> (Provider, Arc<Mutex<Vec<Sender>>>) {
    let senders: Arc<Mutex<Vec<Sender>>> = Arc::default();
    let kept = Arc::clone(&senders);
    let provider = Provider::answering(move |_| {
        let (sender, response) = stream();
        kept.lock().unwrap().push(sender);
        Box::pin(async { response })
    })
    .await;
    (provider, senders)
}

/// A caller who reads at his own pace.
pub struct Caller {
    pub answer: Response<Incoming>,
    driver: tokio::task::JoinHandle<()>,
}

impl Caller {
    /// A stream with a key of one's own.
    pub async fn asks(gateway: &Gateway, body: &'static str) -> Self {
        Self::calls(gateway, "openai/chat/completions", Some("Bearer sk-own"), body).await
    }

    /// A stream that credits pay for.
    pub async fn asks_on_credits(gateway: &Gateway, body: &'static str) -> Self {
        Self::calls(gateway, "openai/chat/completions", None, body).await
    }

    /// Asks for a stream, and waits until it begins; again if it is told that Redis was too slow.
    pub async fn calls(gateway: &Gateway, rest: &str, key: Option<&'static str>, body: &'static str) -> Self {
        loop {
            let caller = Self::calls_once(gateway, rest, key, body).await;
            if caller.answer.status() != 503 {
                return caller;
            }
            eprintln!("told to come again: {}", caller.rest().await);
        }
    }

    async fn calls_once(
        gateway: &Gateway,
        rest: &str,
        key: Option<&'static str>,
        body: &'static str,
    ) -> Self {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(gateway.connect().await)).await.unwrap();
        let driver = tokio::spawn(async move { drop(connection.await) });
        let mut request = Request::post(gateway.path(rest)).header("host", "x");
        if let Some(key) = key {
            request = request.header("authorization", key);
        }
        let request = request
            .header("cf-aig-authorization", format!("Bearer {}", gateway.token))
            .body(Full::new(Bytes::from_static(body.as_bytes())))
            .unwrap();
        let answer = sender.send_request(request).await.unwrap();
        // The connection lives as long as its sender or its body.
        drop(sender);
        Self { answer, driver }
    }

    pub async fn next(&mut self) -> Option<String> {
        let frame = tokio::time::timeout(Duration::from_secs(3), self.answer.frame()).await.expect("a frame");
        let data = frame?.ok()?.into_data().ok()?;
        Some(String::from_utf8(data.to_vec()).unwrap())
    }

    pub async fn rest(mut self) -> String {
        let mut all = String::new();
        while let Some(text) = self.next().await {
            all.push_str(&text);
        }
        all
    }

    pub fn hangs_up(self) {
        self.driver.abort();
    }
}

pub async fn feed(senders: &Mutex<Vec<Sender>>, text: &'static str) {
    let mut sender = senders.lock().unwrap().pop().expect("a stream runs");
    sender.send_data(Bytes::from_static(text.as_bytes())).await.unwrap();
    senders.lock().unwrap().push(sender);
}
