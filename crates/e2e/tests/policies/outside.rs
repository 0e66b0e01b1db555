//! Everything that a proxy may ask, played from a list: a provider, and a server that policies call.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{CertifiedKey, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;

/// A server that answers what it is told to.
#[derive(Clone)]
pub(crate) struct Outside {
    /// Such as `http://127.0.0.1:9000`.
    pub(crate) url: String,
    script: Arc<Mutex<Script>>,
}

#[derive(Default)]
struct Script {
    answers: VecDeque<Said>,
    seen: Vec<Seen>,
}

/// What is answered.
#[derive(Clone)]
pub(crate) enum Said {
    /// This.
    Answer { status: u16, headers: Vec<(String, String)>, body: Bytes },
    /// Nothing: the connection ends.
    Nothing,
}

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    /// The values of a header, joined.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        joined(&self.headers, name)
    }
}

/// The values of a header, joined.
pub(crate) fn joined(headers: &HeaderMap, name: &str) -> Option<String> {
    let values: Vec<_> =
        headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    (!values.is_empty()).then(|| values.join(" | "))
}

impl Said {
    /// A chat completion, for whoever is not told what to say.
    fn usual() -> Self {
        let body = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant","content":"Hello!"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;
        Self::json(200, body)
    }

    /// A JSON document.
    pub(crate) fn json(status: u16, body: &str) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self::Answer { status, headers, body: Bytes::from(body.to_owned()) }
    }
}

impl Outside {
    /// Listens on a free port for as long as the test's runtime lives.
    pub(crate) async fn listen() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let outside = Self { url: format!("http://{}", listener.local_addr()?), script: Arc::default() };
        let script = Arc::clone(&outside.script);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(served(TokioIo::new(socket), Arc::clone(&script)));
            }
        });
        Ok(outside)
    }

    /// The same with TLS, as `localhost`.
    pub(crate) async fn listen_with(certified: &CertifiedKey<KeyPair>) -> anyhow::Result<Self> {
        let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der())
            .map_err(|reason| anyhow::anyhow!("the key: {reason}"))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key)?;
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("https://localhost:{}", listener.local_addr()?.port());
        let outside = Self { url, script: Arc::default() };
        let script = Arc::clone(&outside.script);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let Ok(socket) = acceptor.accept(socket).await else { continue };
                tokio::spawn(served(TokioIo::new(socket), Arc::clone(&script)));
            }
        });
        Ok(outside)
    }

    /// Forgets what came, and says these things next, then the usual.
    pub(crate) fn begin(&self, answers: Vec<Said>) {
        *self.lock() = Script { answers: answers.into(), seen: Vec::new() };
    }

    /// What came since.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.lock().seen.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn served(
    socket: impl hyper::rt::Read + hyper::rt::Write + Unpin,
    script: Arc<Mutex<Script>>,
) -> hyper::Result<()> {
    let service = service_fn(move |request| answered(Arc::clone(&script), request));
    hyper::server::conn::http1::Builder::new().serve_connection(socket, service).await
}

async fn answered(
    script: Arc<Mutex<Script>>,
    request: Request<Incoming>,
) -> anyhow::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let seen = Seen { method: head.method, uri: head.uri, headers: head.headers, body };
    let said = {
        let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
        script.seen.push(seen);
        script.answers.pop_front().unwrap_or_else(Said::usual)
    };
    let Said::Answer { status, headers, body } = said else { anyhow::bail!("nothing is said") };
    let mut answer = Response::builder().status(status);
    for (name, value) in headers {
        answer = answer.header(name, value);
    }
    Ok(answer.body(Full::new(body))?)
}
