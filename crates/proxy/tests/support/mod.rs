//! A gateway on a real socket before a tiny provider on another, with a hand-built snapshot. Usage
//! records are read where the ledger would read them.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test binary includes this and uses its part of it"
)]

pub mod fed;
mod keys;
pub mod provider;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use egress::{EgressConfig, TrustedHosts};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use keys::Keys;
use meter::desk::{Desk, Figures, Load, Place};
use meter::{Meter, MeterConfig, Position};
use model::gateway::{Budget, GatewaySettings};
use model::id::GatewayInternalId;
use model::operator_key::Cancel;
use model::prices::PriceRule;
use model::terms::{AccountTerms, Terms};
use model::usage::UsageRecord;
use model::{AccountId, Nanos, Revision, Secret, Shard};
use process::TrustedProxies;
use provider::Provider;
use providers::path::BaseUrls;
use proxy::config::{Bounds, Policies};
use proxy::deps::Deps;
use proxy::effects::Effects;
use proxy::limits::local::LocalLimits;
use proxy::listener::{bind, serve_callers};
use proxy::metrics::Metrics;
use proxy::operator_keys::OperatorKeys;
use proxy::origins::Origins;
use proxy::policies::Compiler;
use proxy::relayed::Drains;
use proxy::snapshot::{Delta, Snapshot, SnapshotHandle};
use proxy::upstream::Connector;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub const GATEWAY: GatewayInternalId = GatewayInternalId(Uuid::from_u128(0x6a));
pub const OTHER_GATEWAY: GatewayInternalId = GatewayInternalId(Uuid::from_u128(0x6b));
pub const STORED_KEY: &str = "sk-stored-0123456789";
pub const OPERATORS_KEY: &str = "sk-operators-0123456789";
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
    /// Another token of the gateway, written in the second form.
    pub second_form: String,
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
    /// Whether the gateway `demo` keeps a key.
    pub stores_key: bool,
    /// The operator's keys.
    pub operator_keys: Vec<Operators>,
    /// The provider that they are for.
    pub sold: &'static str,
    pub terms: Option<Terms>,
    pub account_terms: AccountTerms,
    /// What the token of the gateway `demo` may spend.
    pub token_budget: Option<Budget>,
    pub operators_prices: Vec<PriceRule>,
    pub own_prices: Vec<PriceRule>,
    pub zero_retention: Vec<String>,
    /// What the account has; without it the desk says nothing of it.
    pub balance: Option<Nanos>,
    pub most_drains: usize,
    /// Where the proxy looks for Redis, if not where it is.
    pub redis_url: Option<Secret>,
    /// The traffic policy of the gateway `demo`.
    pub policy: Option<&'static str>,
    /// What its account keeps in vaults: vault, name, secret.
    pub secrets: Vec<(&'static str, &'static str, &'static str)>,
    /// The host that is bound to the gateway `demo`.
    pub host: Option<&'static str>,
    /// Where the policy's own providers may be.
    pub trusted_hosts: TrustedHosts,
    /// Which addresses others than the operator's may be at.
    pub egress: EgressConfig,
    /// Keys that are bound to its token: provider and secret, the oldest first.
    pub bound_keys: Vec<(&'static str, &'static str)>,
    /// Whose word is taken on where requests come from.
    pub trusted: TrustedProxies,
    /// Where others than OpenAI are.
    pub others: Vec<(&'static str, SocketAddr)>,
}

/// A key of the operator's.
pub struct Operators {
    pub secret: &'static str,
    pub priority: u32,
    pub cancel: Option<Cancel>,
}

impl Setup {
    /// An account with credits, an operator with a key, and a gateway without one.
    pub fn on_credits(balance: i64) -> Self {
        let key = Operators { secret: OPERATORS_KEY, priority: 0, cancel: None };
        Self {
            stores_key: false,
            operator_keys: vec![key],
            terms: Some(Terms::default()),
            balance: Some(Nanos(balance)),
            ..Self::default()
        }
    }
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
        Self {
            settings: GatewaySettings::default(),
            bounds,
            drain: Duration::from_secs(5),
            is_current: true,
            stores_key: true,
            operator_keys: Vec::new(),
            sold: "openai",
            terms: None,
            account_terms: AccountTerms::default(),
            token_budget: None,
            operators_prices: Vec::new(),
            own_prices: Vec::new(),
            zero_retention: Vec::new(),
            balance: None,
            most_drains: 64,
            redis_url: None,
            policy: None,
            secrets: Vec::new(),
            host: None,
            trusted_hosts: TrustedHosts::default(),
            egress: EgressConfig { allow: vec!["127.0.0.0/8".parse().unwrap()] },
            bound_keys: Vec::new(),
            trusted: TrustedProxies::default(),
            others: Vec::new(),
        }
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
        let (mut desk, place) = open_desk(account.shard()).await;
        if let Some(balance) = setup.balance {
            let load = Load { account, balance, sequence: 0, counters: Vec::new() };
            desk.load(place, &[load]).await.unwrap();
        }
        let spool = tempfile::tempdir().unwrap();
        let meter = Meter::start(MeterConfig {
            directory: spool.path().to_owned(),
            spool_bytes: 1 << 20,
            redis_url: setup.redis_url.clone().unwrap_or_else(redis_url),
        });
        let keys = Keys::new(account);
        let snapshot =
            Snapshot::of(Revision { timeline: Uuid::nil(), number: 1 }, keys.resources(account, &setup));
        let snapshot = Arc::new(SnapshotHandle::from_pointee(snapshot.with_current(setup.is_current)));
        let metrics = Metrics::new(&prometheus::Registry::new()).unwrap();
        let connector = Connector::new(setup.bounds.connect, metrics.upstream_connections.clone());
        let others = setup.others.iter().map(|(slug, address)| format!(",{slug}=http://{address}/v1"));
        let base_urls = format!("openai=http://{provider}/v1{}", others.collect::<String>());
        let base_urls = BaseUrls::parse(&base_urls).unwrap();
        let policies = Policies { egress: setup.egress.clone(), calls: 64, buckets: 64, key_bytes: 1 << 20 };
        let deps = Arc::new(Deps {
            snapshot: Arc::clone(&snapshot),
            interests: None,
            meter: meter.unwrap(),
            opener: keys.opener.clone(),
            origins: Origins::new(base_urls, &connector).unwrap(),
            bounds: setup.bounds,
            compiler: Compiler::new(&setup.trusted_hosts, &policies.egress, &connector),
            effects: Effects::new(&policies, &prometheus::Registry::new()).unwrap(),
            operator_keys: OperatorKeys::default(),
            zero_retention: setup.zero_retention,
            local_limits: LocalLimits::default(),
            drains: Drains::new(setup.most_drains, metrics.drained_answers.clone()),
            metrics,
            spans: None,
            ending: CancellationToken::new(),
        });
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let served = tokio::spawn(serve_callers(
            listener,
            None,
            setup.trusted,
            Arc::clone(&deps),
            shutdown.clone(),
            setup.drain,
        ));
        Self {
            address,
            account,
            token: keys.token.0,
            second_form: keys.second_form.0,
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

    /// Sends a request and reads the answer, on a connection of its own. As any caller would, it comes
    /// again when it is told that Redis was too slow to spend credits.
    pub async fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Told {
        for _ in 0..20 {
            let told = self.call_once(method, path, headers, body).await;
            if !is_too_slow(told.status, &told.body) {
                return told;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("Redis is too slow");
    }

    /// The same, whatever it is told.
    pub async fn call_once(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Told {
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

    /// Sends bytes as they are and reads until the gateway closes, or has been silent for a while; again
    /// if it is told that Redis was too slow.
    pub async fn raw(&self, bytes: &[u8], silence: Duration) -> String {
        for _ in 0..20 {
            let told = self.raw_once(bytes, silence).await;
            if !told.contains("credits_unavailable") {
                return told;
            }
        }
        panic!("Redis is too slow");
    }

    async fn raw_once(&self, bytes: &[u8], silence: Duration) -> String {
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
                // Who was told to come again has done so.
                let records = entry.records.into_iter();
                self.unread.extend(records.filter(|record| record.cause != "credits_unavailable"));
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

    /// A chat completion that credits pay for.
    pub async fn on_credits(&self, body: &str) -> Told {
        self.on_credits_at("openai/chat/completions", body).await
    }

    /// A `POST` that credits pay for.
    pub async fn on_credits_at(&self, rest: &str, body: &str) -> Told {
        let token = format!("Bearer {}", self.token);
        let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
        self.call("POST", &self.path(rest), &headers, body).await
    }

    /// A chat completion that credits pay for, whatever it is told.
    pub async fn on_credits_once(&self, body: &str) -> Told {
        let token = format!("Bearer {}", self.token);
        let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
        self.call_once("POST", &self.path("openai/chat/completions"), &headers, body).await
    }

    /// Says what the account has, as the desk does when it is asked.
    pub async fn load(&mut self, balance: Nanos) {
        let load = Load { account: self.account, balance, sequence: 0, counters: Vec::new() };
        self.desk.load(self.place, &[load]).await.unwrap();
    }

    /// What Redis says of the account.
    pub async fn figures(&mut self) -> Figures {
        let Place { shard, era, .. } = self.place;
        self.desk.figures(shard, era, &[self.account]).await.unwrap()[0]
    }

    /// Waits until nothing is held any more, but for leases, and says what was paid by then.
    pub async fn paid(&mut self) -> Nanos {
        for _ in 0..400 {
            let figures = self.figures().await;
            if figures.held == figures.leased {
                return figures.unposted;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("something is still held: {:?}", self.figures().await);
    }

    /// Begins another era, as the desk does when Redis has lost the present one; nobody's account is
    /// loaded in it.
    pub async fn begin_era(&mut self) {
        self.desk.end(&[(self.place.shard, self.place.era)]).await.unwrap();
        self.place = Place { era: self.place.era + 1, position: Position::default(), ..self.place };
        self.desk.open(&[(self.place.shard, self.place.era)]).await.unwrap();
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

fn is_too_slow(status: u16, body: &[u8]) -> bool {
    status == 503 && String::from_utf8_lossy(body).contains("credits_unavailable")
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
