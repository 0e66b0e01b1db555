//! A server that says what the test wants, when the test wants it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// What was asked, once it was read as a whole.
    pub(crate) asked: mpsc::UnboundedReceiver<String>,
    answer: Arc<Mutex<String>>,
    /// Each answer takes a permit.
    gate: Arc<Semaphore>,
}

impl Server {
    /// Answers everybody at once.
    pub(crate) async fn saying(answer: String) -> Self {
        let server = Self::silent(answer).await;
        server.open();
        server
    }

    /// Answers nobody before it is opened.
    pub(crate) async fn silent(answer: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (told, asked) = mpsc::unbounded_channel();
        let answer = Arc::new(Mutex::new(answer));
        let gate = Arc::new(Semaphore::new(0));
        let server = Self { address, asked, answer: Arc::clone(&answer), gate: Arc::clone(&gate) };
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let (told, answer, gate) = (told.clone(), Arc::clone(&answer), Arc::clone(&gate));
                tokio::spawn(async move {
                    let mut request = Vec::new();
                    while !is_complete(&request) {
                        if stream.read_buf(&mut request).await.unwrap_or_default() == 0 {
                            return;
                        }
                    }
                    let _gone = told.send(String::from_utf8_lossy(&request).into_owned());
                    gate.acquire().await.unwrap().forget();
                    let answer = answer.lock().unwrap().clone();
                    let _gone = stream.write_all(answer.as_bytes()).await;
                    // Held open: an answer ends where its length says.
                    let _ = stream.read_buf(&mut request).await;
                });
            }
        });
        server
    }

    pub(crate) fn open(&self) {
        self.gate.add_permits(10_000);
    }

    /// Answers one request, and no more.
    pub(crate) fn release_one(&self) {
        self.gate.add_permits(1);
    }

    pub(crate) fn say(&self, answer: String) {
        *self.answer.lock().unwrap() = answer;
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How many requests came since this was asked last.
    pub(crate) fn times(&mut self) -> usize {
        std::iter::from_fn(|| self.asked.try_recv().ok()).count()
    }
}

fn is_complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.is_none_or(|length| body.len() >= length.parse().unwrap())
}

pub(crate) fn answer(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} Said\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

pub(crate) fn redirect(location: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n")
}
