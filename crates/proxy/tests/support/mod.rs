//! A gateway on a real socket before a tiny provider on another, with a hand-built snapshot. Usage
//! records are read where the ledger would read them.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test binary includes this and uses its part of it"
)]

pub mod provider;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use meter::desk::{Desk, Place};
use meter::{Meter, MeterConfig, Position};
use model::gateway::GatewaySettings;
use model::id::{ApiTokenId, GatewayInternalId, GatewayTokenId, ProviderKeyId};
use model::resource::{ApiToken, Body, Gateway as GatewayResource, GatewayToken, ProviderKey, Resource};
use model::token::{TokenKind, mint};
use model::usage::UsageRecord;
use model::{AccountId, Revision, Secret, Shard};
use providers::path::BaseUrls;
use proxy::config::Bounds;
use proxy::deps::Deps;
use proxy::listener::{bind, serve_callers};
use proxy::metrics::Metrics;
use proxy::origins::Origins;
use proxy::snapshot::{Delta, Snapshot, SnapshotHandle};
use proxy::upstream::Connector;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use vault::{Opener, RootRing, Sealer};

use provider::Provider;

pub const GATEWAY: GatewayInternalId = GatewayInternalId(Uuid::from_u128(0x6a));
pub const OTHER_GATEWAY: GatewayInternalId = GatewayInternalId(Uuid::from_u128(0x6b));
pub const STORED_KEY: &str = "sk-stored-0123456789";
pub const COMPLETION: &str = r#"{"id":"c","object":"chat.completion","model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}"#;
pub const QUESTION: &str =
    r#"{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hello, world!"}]}"#;

/// For what must happen, and will be waited for no longer.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A gateway under test.
pub struct Gateway {
    pub address: SocketAddr,
    pub account: AccountId,
    pub token: String,
    pub other_gateways_token: String,
    pub expired_token: String,
    pub early_api_token: String,
    pub api_token: String,
    pub snapshot: Arc<SnapshotHandle>,
    pub deps: Arc<Deps>,
    pub shutdown: CancellationToken,
    pub served: tokio::task::JoinHandle<()>,
    desk: Desk,
    place: Place,
    unread: Vec<UsageRecord>,
    _spool: tempfile::TempDir,
}

/// How a gateway is set up.
pub struct Setup {
    pub settings: GatewaySettings,
    pub bounds: Bounds,
    pub drain: Duration,
    pub is_current: bool,
}

impl Default for Setup {
    fn default() -> Self {
        let bounds = Bounds {
            max_json_bytes: 1 << 20,
            max_buffered_bytes: 64 << 20,
            max_body_bytes: 4 << 20,
            header: Duration::from_secs(5),
            body_idle: Duration::from_secs(5),
            connect: Duration::from_secs(2),
            first_byte: Duration::from_secs(10),
            answer_idle: Duration::from_secs(10),
        };
        Self { settings: GatewaySettings::default(), bounds, drain: Duration::from_secs(5), is_current: true }
    }
}

impl Gateway {
    /// A gateway with the settings that are the default, before `provider`. Each test has a shard of
    /// its own, because they share a Redis.
    pub async fn before(provider: &Provider, shard: u8) -> Self {
        Self::start(provider.address, shard, Setup::default()).await
    }

    pub async fn start(provider: SocketAddr, shard: u8, setup: Setup) -> Self {
        let account = AccountId(Uuid::from_u128(Uuid::now_v7().as_u128() & !0xff | u128::from(shard)));
        let (desk, place) = open_desk(account.shard()).await;
        let spool = tempfile::tempdir().unwrap();
        let meter = Meter::start(MeterConfig {
            directory: spool.path().to_owned(),
            spool_bytes: 1 << 20,
            redis_url: redis_url(),
        });
        let keys = Keys::new(account);
        let snapshot =
            Snapshot::of(Revision { timeline: Uuid::nil(), number: 1 }, keys.resources(account, &setup));
        let snapshot = Arc::new(SnapshotHandle::from_pointee(snapshot.with_current(setup.is_current)));
        let metrics = Metrics::new(&prometheus::Registry::new()).unwrap();
        let connector = Connector::new(setup.bounds.connect, metrics.upstream_connections.clone());
        let base_urls = BaseUrls::parse(&format!("openai=http://{provider}/v1")).unwrap();
        let deps = Arc::new(Deps {
            snapshot: Arc::clone(&snapshot),
            interests: None,
            meter: meter.unwrap(),
            opener: keys.opener.clone(),
            origins: Origins::new(base_urls, &connector).unwrap(),
            bounds: setup.bounds,
            metrics,
            spans: None,
            ending: CancellationToken::new(),
        });
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let served = tokio::spawn(serve_callers(listener, Arc::clone(&deps), shutdown.clone(), setup.drain));
        Self {
            address,
            account,
            token: keys.token.0,
            other_gateways_token: keys.other_gateways_token.0,
            expired_token: keys.expired_token.0,
            early_api_token: keys.early_api_token.0,
            api_token: keys.api_token.0,
            snapshot,
            deps,
            shutdown,
            served,
            desk,
            place,
            unread: Vec::new(),
            _spool: spool,
        }
    }

    /// The path of the gateway, with what goes on behind it.
    pub fn path(&self, rest: &str) -> String {
        format!("/v1/{}/demo/{rest}", self.account)
    }

    /// Sends a request and reads the answer, on a connection of its own.
    pub async fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Told {
        let mut request = Request::builder().method(method).uri(path).header("host", "gateway");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(self.connect().await)).await.unwrap();
        let driver = tokio::spawn(connection);
        let answer = sender.send_request(request).await.unwrap();
        let (head, body) = answer.into_parts();
        let collected = body.collect().await;
        driver.abort();
        let broke = collected.is_err();
        let body = collected.map(|body| body.to_bytes()).unwrap_or_default();
        Told { status: head.status.as_u16(), headers: head.headers, body, broke }
    }

    /// A chat completion with the caller's own key.
    pub async fn chat(&self, body: &str) -> Told {
        let key = [("authorization", "Bearer sk-own"), ("content-type", "application/json")];
        self.call("POST", &self.path("openai/chat/completions"), &key, body).await
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes as they are and reads until the gateway closes, or has been silent for a while.
    pub async fn raw(&self, bytes: &[u8], silence: Duration) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        let mut told = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(Ok(length)) = tokio::time::timeout(silence, stream.read(&mut buffer)).await {
            if length == 0 {
                break;
            }
            told.extend_from_slice(&buffer[..length]);
        }
        String::from_utf8_lossy(&told).into_owned()
    }

    /// Sends bytes as they are and reads until the gateway closes, which it must.
    pub async fn raw_until_closed(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        let mut told = Vec::new();
        let closed = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut told)).await;
        // A reset is a close too: the gateway has not read all that was sent.
        let _closed_or_reset = closed.expect("the gateway closes");
        String::from_utf8_lossy(&told).into_owned()
    }

    /// The next usage record.
    pub async fn record(&mut self) -> UsageRecord {
        for _ in 0..100 {
            let entries = self.desk.read(&[self.place], Duration::from_millis(100)).await.unwrap();
            if let Some(entry) = entries.into_iter().next() {
                self.place.position = entry.position;
                self.unread.extend(entry.records);
            }
            if !self.unread.is_empty() {
                return self.unread.remove(0);
            }
        }
        panic!("no record came");
    }

    /// Whether nothing more is recorded.
    pub async fn no_record(&mut self) -> bool {
        self.desk.read(&[self.place], Duration::from_millis(200)).await.unwrap().is_empty()
    }

    /// Revokes the gateway's token, as a push from the control plane does.
    pub fn revoke_token(&self) {
        let before = self.snapshot.load_full();
        let key = before
            .resources()
            .map(|resource| resource.key())
            .find(|key| self.token.contains(&token_id(key)))
            .unwrap();
        let revision = Revision { timeline: Uuid::nil(), number: 2 };
        let delta = Delta { revision, upserted: vec![], removed: vec![key], refused: vec![] };
        self.snapshot.store(Arc::new(before.apply(delta)));
    }
}

fn token_id(key: &model::resource::ResourceKey) -> String {
    match key.kind {
        model::resource::ResourceId::GatewayToken(id) => id.0.simple().to_string(),
        _ => "-".to_owned(),
    }
}

/// An answer as the caller got it.
#[derive(Debug)]
pub struct Told {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Whether the connection broke within the body.
    pub broke: bool,
}

impl Told {
    pub fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

/// A token with its id.
struct Minted(String, Uuid, model::token::TokenDigest);

struct Keys {
    opener: Opener,
    sealed_account_key: Vec<u8>,
    sealed_provider_key: Vec<u8>,
    provider_key: ProviderKeyId,
    token: Minted,
    other_gateways_token: Minted,
    expired_token: Minted,
    api_token: Minted,
    early_api_token: Minted,
}

impl Keys {
    fn new(account: AccountId) -> Self {
        let ring = || RootRing::parse("TEST", RootRing::generate("test").unwrap().expose()).unwrap();
        let (credentials, contents) = (ring(), ring());
        let sealer = Sealer::new(credentials.clone(), contents);
        let sealed = sealer.new_account_keys(account).unwrap();
        let provider_key = ProviderKeyId(Uuid::from_u128(0x77));
        let sealed_provider_key = sealer
            .seal_provider_key(&sealed, account, provider_key, "openai", &Secret::new(STORED_KEY))
            .unwrap();
        let minted = |kind, id| {
            let id = Uuid::from_u128(id);
            let (token, digest) = mint(kind, id, [id.as_bytes()[15]; 32]);
            Minted(token.expose().to_owned(), id, digest)
        };
        Self {
            opener: Opener::new(credentials),
            sealed_account_key: sealed.credentials,
            sealed_provider_key,
            provider_key,
            token: minted(TokenKind::Gateway, 1),
            other_gateways_token: minted(TokenKind::Gateway, 2),
            expired_token: minted(TokenKind::Gateway, 3),
            api_token: minted(TokenKind::Api, 4),
            early_api_token: minted(TokenKind::Api, 5),
        }
    }

    fn resources(&self, account: AccountId, setup: &Setup) -> Vec<Resource> {
        let gateway_token = |minted: &Minted, gateway, expires_at_ms| {
            Body::GatewayToken(GatewayToken {
                id: GatewayTokenId(minted.1),
                gateway,
                digest: minted.2,
                expires_at_ms,
                budget: None,
            })
        };
        let api_token = |minted: &Minted, not_before_ms| {
            Body::ApiToken(ApiToken {
                id: ApiTokenId(minted.1),
                digest: minted.2,
                not_before_ms,
                expires_at_ms: None,
            })
        };
        let gateway =
            |id, slug: &str| Body::Gateway(GatewayResource::of(id, slug.parse().unwrap(), &setup.settings));
        let in_an_hour = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64 + 3_600_000;
        [
            Body::Account {
                credentials_key: self.sealed_account_key.clone(),
                contents_key: vec![],
                terms: model::terms::AccountTerms::default(),
            },
            gateway(GATEWAY, "demo"),
            gateway(OTHER_GATEWAY, "other"),
            gateway_token(&self.token, GATEWAY, None),
            gateway_token(&self.other_gateways_token, OTHER_GATEWAY, None),
            gateway_token(&self.expired_token, GATEWAY, Some(1)),
            api_token(&self.api_token, Some(1)),
            api_token(&self.early_api_token, Some(in_an_hour)),
            Body::ProviderKey(ProviderKey {
                id: self.provider_key,
                gateway: GATEWAY,
                provider: "openai".to_owned(),
                alias: "default".to_owned(),
                is_default: true,
                sealed: self.sealed_provider_key.clone(),
            }),
        ]
        .into_iter()
        .map(|body| Resource { account, body })
        .collect()
    }
}

async fn open_desk(shard: Shard) -> (Desk, Place) {
    let mut desk = Desk::connect(&redis_url()).await.unwrap();
    let era = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    desk.open(&[(shard, era)]).await.unwrap();
    (desk, Place { shard, era, position: Position::default() })
}

/// A database of these tests' own.
fn redis_url() -> Secret {
    let url = std::env::var("REDIS_URL").expect("REDIS_URL is set");
    Secret::new(format!("{}/13", url.trim_end_matches('/')))
}
