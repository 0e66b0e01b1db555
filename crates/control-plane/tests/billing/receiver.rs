//! A receiver of webhooks that answers as the test says and keeps what it was sent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use axum::Router;
use axum::extract::State;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// One call.
pub(crate) struct Call {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    answer: Arc<AtomicU16>,
    calls: mpsc::UnboundedReceiver<Call>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, calls) = mpsc::unbounded_channel();
        let answer = Arc::new(AtomicU16::new(200));
        let router = Router::new().fallback(receive).with_state((sender, answer.clone()));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, answer, calls }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Answers so from now on.
    pub(crate) fn answers(&self, status: StatusCode) {
        self.answer.store(status.as_u16(), Ordering::Relaxed);
    }

    /// The next call, whenever it comes.
    pub(crate) async fn next(&mut self) -> Call {
        self.calls.recv().await.unwrap()
    }

    /// The calls since the last time.
    pub(crate) fn received(&mut self) -> Vec<Call> {
        let mut calls = Vec::new();
        while let Ok(call) = self.calls.try_recv() {
            calls.push(call);
        }
        calls
    }
}

async fn receive(
    State((calls, answer)): State<(mpsc::UnboundedSender<Call>, Arc<AtomicU16>)>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    calls.send(Call { headers, body }).unwrap();
    StatusCode::from_u16(answer.load(Ordering::Relaxed)).unwrap()
}
