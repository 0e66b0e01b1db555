//! A tiny provider on a socket of its own.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt as _, Channel, Either, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

pub type ProvidersBody = Either<Full<Bytes>, Channel<Bytes, std::io::Error>>;
pub type Sender = http_body_util::channel::Sender<Bytes, std::io::Error>;

/// What reached the provider.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// A provider that answers as the test says.
pub struct Provider {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Provider {
    /// Answers each request, read whole, with what `answer` makes of it.
    pub async fn answering<F>(answer: F) -> Self
    where
        F: Fn(Asked) -> BoxFuture<'static, Response<ProvidersBody>> + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (answer, log) = (Arc::new(answer), Arc::clone(&asked));
        tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                let service = service_fn(move |request: Request<Incoming>| {
                    let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                    async move {
                        let (head, body) = request.into_parts();
                        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
                        let path = head.uri.path_and_query().unwrap().as_str().to_owned();
                        let asked = Asked { method: head.method, path, headers: head.headers, body };
                        log.lock().unwrap().push(asked.clone());
                        Ok::<_, Infallible>(answer(asked).await)
                    }
                });
                tokio::spawn(async move {
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { address, asked }
    }

    /// Answers every request with this JSON.
    pub async fn saying(json: &'static str) -> Self {
        Self::answering(move |_| Box::pin(async move { whole(200, "application/json", json) })).await
    }

    /// Answers every request with these bytes, whatever they are, and closes.
    pub async fn raw(bytes: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let Ok((mut stream, _)) = listener.accept().await else { return };
                tokio::spawn(async move {
                    let mut buffer = [0; 65536];
                    let _ = stream.read(&mut buffer).await;
                    let _ = stream.write_all(bytes).await;
                    let _ = stream.flush().await;
                });
            }
        });
        Self { address, asked: Arc::default() }
    }

    /// The last request that came.
    pub fn asked(&self) -> Asked {
        self.asked.lock().unwrap().last().cloned().expect("the provider was asked")
    }

    /// How many requests came.
    pub fn times_asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

pub fn whole(status: u16, content_type: &str, body: &str) -> Response<ProvidersBody> {
    Response::builder()
        .status(status)
        .header("content-type", content_type)
        .body(Either::Left(Full::new(Bytes::copy_from_slice(body.as_bytes()))))
        .unwrap()
}

/// A stream, and the hand that feeds it.
pub fn stream() -> (Sender, Response<ProvidersBody>) {
    let (sender, body) = Channel::new(16);
    let response =
        Response::builder().header("content-type", "text/event-stream").body(Either::Right(body)).unwrap();
    (sender, response)
}
