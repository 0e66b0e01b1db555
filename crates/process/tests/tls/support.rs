//! An authority of the test's own, a port with its certificates, and clients that trust it.

use std::convert::Infallible;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Request, Response};
use http_body_util::BodyExt as _;
use http_body_util::channel::{Channel, Sender};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use process::{Leaving, Peer, Port, Tls, TrustedProxies, bind};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

/// What a caller gets for each step; short, so that tests which wait for it are.
pub(crate) const HEAD: Duration = Duration::from_millis(300);
/// For what must happen, but nobody knows when.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// An authority that only the test's clients trust.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
}

/// A certificate as files hold it.
pub(crate) struct Issued {
    pub(crate) chain: String,
    pub(crate) key: String,
    pub(crate) der: CertificateDer<'static>,
    /// In Unix time.
    pub(crate) until: i64,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "A test's authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().clone();
        Self { issuer: Issuer::new(params, key), der }
    }

    /// A certificate that counts from an hour ago for ten days.
    pub(crate) fn certify(&self, hosts: &[&str]) -> Issued {
        self.certify_for(hosts, -1, 240)
    }

    /// A certificate that counts from some hours from now until others.
    pub(crate) fn certify_for(&self, hosts: &[&str], from: i64, until: i64) -> Issued {
        let hosts: Vec<_> = hosts.iter().map(|&host| host.to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        let in_hours = |hours| OffsetDateTime::now_utc() + time::Duration::hours(hours);
        (params.not_before, params.not_after) = (in_hours(from), in_hours(until));
        let key = KeyPair::generate().unwrap();
        let until = params.not_after.unix_timestamp();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Issued { chain: certificate.pem(), key: key.serialize_pem(), der: certificate.der().clone(), until }
    }

    /// A client that takes sessions up again.
    pub(crate) fn client(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        alpn: &[&str],
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let mut client =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_protocol_versions(versions)
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
        client.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        client
    }
}

impl Issued {
    pub(crate) fn write(&self, directory: &Path, name: &str) {
        fs::write(directory.join(format!("{name}.key")), &self.key).unwrap();
        fs::write(directory.join(format!("{name}.crt")), &self.chain).unwrap();
    }
}

/// A port that answers `/peer` with what it knows of who asks, `/stream` with what the test says, and
/// everything else with its path.
pub(crate) struct Served {
    pub(crate) authority: Authority,
    pub(crate) directory: TempDir,
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    pub(crate) serving: JoinHandle<()>,
    streamed: Arc<Mutex<Option<Channel<Bytes, Infallible>>>>,
}

impl Served {
    /// Serves the certificates that `fill` puts into a directory.
    pub(crate) fn start(port: &'static str, fill: impl FnOnce(&Authority, &Path)) -> Self {
        let (authority, directory) = (Authority::new(), TempDir::new().unwrap());
        fill(&authority, directory.path());
        let tls = Some(Tls::open(directory.path(), port).unwrap());
        let listener = bind("127.0.0.1:0".parse().unwrap(), "a test").unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let ending = CancellationToken::new();
        let leaving = Leaving { shutdown: shutdown.clone(), drain: PATIENCE, ending };
        let streamed: Arc<Mutex<Option<Channel<Bytes, Infallible>>>> = Arc::default();
        let to_stream = Arc::clone(&streamed);
        let answers_for = move |peer: Peer| {
            let to_stream = Arc::clone(&to_stream);
            move |request: Request<Incoming>| {
                let (peer, to_stream) = (peer.clone(), Arc::clone(&to_stream));
                async move {
                    Response::new(match request.uri().path() {
                        "/peer" => Body::from(format!("{:?}", peer.tls)),
                        "/stream" => Body::new(to_stream.lock().await.take().unwrap()),
                        path => Body::from(path.to_owned()),
                    })
                }
            }
        };
        let trusted = TrustedProxies::default();
        let port = Port { listener, head: HEAD, most: 100, open: None, tls, trusted };
        let serving = tokio::spawn(port.serve(leaving, answers_for));
        Self { authority, directory, address, shutdown, serving, streamed }
    }

    /// What the next request for `/stream` is answered with.
    pub(crate) async fn stream(&self) -> Sender<Bytes, Infallible> {
        let (sender, channel) = Channel::new(1);
        *self.streamed.lock().await = Some(channel);
        sender
    }

    /// Shakes hands as somebody who asks for a host.
    pub(crate) async fn connect_as(
        &self,
        client: &Arc<ClientConfig>,
        host: &str,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.address).await?;
        let host = ServerName::try_from(host.to_owned()).unwrap();
        TlsConnector::from(Arc::clone(client)).connect(host, stream).await
    }

    /// The same with a client of today.
    pub(crate) async fn connect(&self, host: &str) -> std::io::Result<TlsStream<TcpStream>> {
        let client = self.authority.client(rustls::ALL_VERSIONS, &[]);
        self.connect_as(&Arc::new(client), host).await
    }

    /// Whose certificate answers for a host.
    pub(crate) async fn answering(&self, host: &str) -> CertificateDer<'static> {
        let stream = self.connect(host).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].clone()
    }

    /// Waits until a certificate answers for a host.
    pub(crate) async fn until_answered_with(&self, host: &str, issued: &Issued) {
        let looking = async {
            while self.answering(host).await != issued.der {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, looking).await.expect("the certificate is renewed");
    }
}

/// The answer to a request over HTTP/1.1.
pub(crate) async fn asked(stream: TlsStream<TcpStream>, path: &str) -> Response<Incoming> {
    let (mut asking, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get(path).header("host", "x").body(String::new()).unwrap();
    asking.send_request(request).await.unwrap()
}

/// The text of an answer.
pub(crate) async fn text(answer: Response<Incoming>) -> String {
    String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}
