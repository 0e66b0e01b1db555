//! An installation whose providers are several simulators, and addresses where there is none.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context as _;
use e2e::http::{Call, call};
use e2e::process::{Recipe, Running, binary, free_port};
use e2e::system::{System, Wish};
use e2e::tenant::Tenant;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

/// Providers at which a simulator answers.
pub(crate) const ANSWERING: [&str; 3] = ["openai", "groq", "cerebras"];

/// Those that cannot be reached: nobody listens, no TLS is spoken, nobody trusts the certificate.
pub(crate) const UNREACHABLE: [&str; 3] = ["mistral", "together", "fireworks"];

/// Who is asked when the first has failed.
pub(crate) const SECOND: &str = "groq:openai/gpt-oss-120b";

/// A provider.
struct Simulated {
    _running: Running,
    url: String,
}

/// The installation.
pub(crate) struct Stage {
    pub(crate) system: System,
    pub(crate) untrusted: Untrusted,
    simulated: BTreeMap<&'static str, Simulated>,
    _logs: TempDir,
}

/// Somebody who speaks TLS with a certificate that nobody trusts.
pub(crate) struct Untrusted {
    port: u16,
    /// How often he was called.
    pub(crate) called: Arc<AtomicUsize>,
    /// How many bytes he was told.
    pub(crate) told: Arc<AtomicUsize>,
}

impl Stage {
    pub(crate) async fn set() -> anyhow::Result<Self> {
        let logs = tempfile::tempdir()?;
        let mut simulated = BTreeMap::new();
        for slug in ANSWERING {
            simulated.insert(slug, Simulated::start(slug, &logs).await?);
        }
        let untrusted = Untrusted::listen().await?;
        let closed = free_port();
        let openai = &simulated["openai"].url;
        let places = [
            format!("openai={openai}/v1"),
            format!("groq={}/v1", simulated["groq"].url),
            format!("cerebras={}/v1", simulated["cerebras"].url),
            format!("mistral=http://127.0.0.1:{closed}/v1"),
            format!("together={}/v1", openai.replace("http:", "https:")),
            format!("fireworks=https://localhost:{}/v1", untrusted.port),
        ];
        let environment = vec![("TOLLGATE_PROVIDER_BASE_URLS", places.join(","))];
        let system = System::start_with(Wish { environment, ..Wish::default() }).await?;
        Ok(Self { system, untrusted, simulated, _logs: logs })
    }

    /// What reached a provider, by what it is called.
    pub(crate) async fn arrivals(&self, provider: &str) -> anyhow::Result<Vec<Value>> {
        let Some(simulated) = self.simulated.get(provider) else { return Ok(Vec::new()) };
        let answer = e2e::http::get(&format!("{}/_simulator/requests", simulated.url)).await?;
        answer.json().as_array().cloned().context("the simulator's list of requests")
    }

    /// A question to a host, bearing an id that providers and records keep.
    pub(crate) fn ask(&self, host: &str, id: &str, models: &[&str], wishes: &str) -> (Call, Value) {
        let text = format!("[id:{id}] [simulator: words=20] What is a coin worth? {wishes}");
        let mut body =
            json!({"model": models[0], "max_tokens": 64, "messages": [{"role": "user", "content": text}]});
        if models.len() > 1 {
            body["models"] = json!(models[1..]);
        }
        let call = call("POST", format!("{}/v1/chat/completions", self.system.url()));
        (call.header("host", host).header("cf-aig-event-id", id), body)
    }

    /// Binds a host to a gateway.
    pub(crate) async fn bind(&self, tenant: &Tenant, gateway: &str, host: &str) -> anyhow::Result<()> {
        let bound = json!({"gateway_id": gateway, "url": format!("https://{host}")});
        tenant.ask("POST", "/ai-gateway/endpoints", Some(&bound)).await?;
        Ok(())
    }
}

impl Simulated {
    async fn start(slug: &'static str, logs: &TempDir) -> anyhow::Result<Self> {
        let address = format!("127.0.0.1:{}", free_port());
        let url = format!("http://{address}");
        let recipe = Recipe {
            name: slug.to_owned(),
            program: binary("simulator"),
            arguments: Vec::new(),
            environment: [
                ("TOLLGATE_SIMULATOR_ADDR".to_owned(), address),
                ("TOLLGATE_SIMULATOR_NAME".to_owned(), slug.to_owned()),
            ]
            .into(),
            log: logs.path().join(format!("{slug}.log")),
            ready: Some(format!("{url}/healthz")),
        };
        Ok(Self { _running: recipe.start().await?, url })
    }
}

impl Untrusted {
    async fn listen() -> anyhow::Result<Self> {
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der())
            .map_err(|reason| anyhow::anyhow!("the key: {reason}"))?;
        let chain: Vec<CertificateDer<'static>> = vec![certified.cert.der().clone()];
        let config =
            rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()?
                .with_no_client_auth()
                .with_single_cert(chain, key)?;
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (called, told) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (calls, bytes) = (Arc::clone(&called), Arc::clone(&told));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                calls.fetch_add(1, Ordering::Relaxed);
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut first = [0; 1024];
                bytes.fetch_add(stream.read(&mut first).await.unwrap_or(0), Ordering::Relaxed);
            }
        });
        Ok(Self { port, called, told })
    }
}
