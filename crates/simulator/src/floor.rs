//! A bare reverse proxy that only forwards: the floor that other proxies are compared with.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use http::uri::{PathAndQuery, Uri};
use http::{Request, Response, StatusCode};
use http_body_util::{Either, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

use crate::listener::{Unanswered, told_to_stop};

type Upstream = Client<HttpConnector, Incoming>;
type FloorBody = Either<Incoming, Empty<bytes::Bytes>>;

/// Forwards every request to the origin of `upstream` until the process is told to stop.
pub(crate) async fn run(addr: SocketAddr, upstream: Uri) -> anyhow::Result<()> {
    upstream.authority().context("The upstream must have a host")?;
    let upstream = Arc::new(upstream);
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Upstream = Client::builder(TokioExecutor::new()).build(connector);
    let listener = TcpListener::bind(addr).await.with_context(|| format!("Cannot listen on {addr}"))?;
    println!("Floor listens on http://{}", listener.local_addr()?);
    let mut stop = std::pin::pin!(told_to_stop()?);
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted?.0,
            () = &mut stop => return Ok(()),
        };
        stream.set_nodelay(true)?;
        let (client, upstream) = (client.clone(), Arc::clone(&upstream));
        let service = service_fn(move |request| forwarded(client.clone(), Arc::clone(&upstream), request));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn forwarded(
    client: Upstream,
    upstream: Arc<Uri>,
    mut request: Request<Incoming>,
) -> Result<Response<FloorBody>, Unanswered> {
    let path = request.uri().path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    let mut target = upstream.as_ref().clone().into_parts();
    target.path_and_query = Some(path);
    *request.uri_mut() = Uri::from_parts(target).map_err(|_| Unanswered)?;
    request.headers_mut().remove(http::header::HOST);
    match client.request(request).await {
        Ok(response) => Ok(response.map(Either::Left)),
        Err(_) => {
            let mut response = Response::new(Either::Right(Empty::new()));
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            Ok(response)
        }
    }
}
