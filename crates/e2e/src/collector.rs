//! A trace collector that keeps the bytes it is sent.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

/// Speaks as much gRPC as an exporter needs to believe that its spans were taken.
#[derive(Debug, Clone)]
pub struct Collector {
    /// For `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub url: String,
    taken: Arc<Mutex<Vec<u8>>>,
}

impl Collector {
    /// Listens on a free port for as long as the test's runtime lives.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let collector = Self { url: format!("http://{}", listener.local_addr()?), taken: Arc::default() };
        let taken = Arc::clone(&collector.taken);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let taken = Arc::clone(&taken);
                let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                    let taken = Arc::clone(&taken);
                    async move {
                        if let Ok(body) = request.into_body().collect().await {
                            taken.lock().unwrap_or_else(PoisonError::into_inner).extend(body.to_bytes());
                        }
                        // An empty `ExportTraceServiceResponse`, and the trailer that ends it well.
                        let trailers = HeaderMap::from_iter([(
                            "grpc-status".parse().expect("a name"),
                            HeaderValue::from_static("0"),
                        )]);
                        let body = Full::new(Bytes::from_static(&[0; 5]))
                            .with_trailers(async { Some(Ok(trailers)) });
                        let answer =
                            Response::builder().header("content-type", "application/grpc").body(body);
                        Ok::<_, Infallible>(answer.expect("an answer"))
                    }
                });
                let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                tokio::spawn(connection.serve_connection(TokioIo::new(socket), service));
            }
        });
        Ok(collector)
    }

    /// Everything that has arrived.
    pub fn taken(&self) -> Vec<u8> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
