//! An installation with a gateway for each policy, as its author would set it up.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use e2e::http::{Answer, call};
use e2e::system::{System, Wish, text};
use e2e::tenant::Tenant;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::json;

use crate::case::{self, Case};
use crate::outside::Outside;

/// The key that gateways keep for those whose policies bring none.
pub(crate) const OF_GATEWAY: &str = "sk-of-the-gateway";

/// The installation.
pub(crate) struct Stage {
    pub(crate) system: System,
    pub(crate) provider: Outside,
    /// The servers that policies call.
    pub(crate) called: Outside,
    /// Somebody for every set of secrets.
    tenants: BTreeMap<BTreeMap<String, String>, Tenant>,
    gateways: usize,
}

impl Stage {
    /// Sets it up; `trusted` is a file with the authorities that proxies trust.
    pub(crate) async fn set(trusted: &Path) -> anyhow::Result<Self> {
        let (provider, called) = (Outside::listen().await?, Outside::listen().await?);
        let environment = vec![
            ("SSL_CERT_FILE", trusted.display().to_string()),
            ("TOLLGATE_PROVIDER_BASE_URLS", format!("openai={}/v1", provider.url)),
            ("TOLLGATE_EGRESS_ALLOW", "127.0.0.0/8".to_owned()),
            ("TOLLGATE_PLAIN_HOSTS", "localhost:11434".to_owned()),
            ("TOLLGATE_INTERNAL_HOSTS", format!("ollama.internal={0},vllm.internal={0}", provider.url)),
        ];
        let system = System::start_with(Wish { environment, ..Wish::default() }).await?;
        Ok(Self { system, provider, called, tenants: BTreeMap::new(), gateways: 0 })
    }

    /// Somebody who keeps these secrets.
    pub(crate) async fn tenant(&mut self, secrets: &BTreeMap<String, String>) -> anyhow::Result<Tenant> {
        if let Some(tenant) = self.tenants.get(secrets) {
            return Ok(tenant.clone());
        }
        let tenant = self.system.tenant(&format!("tenant-{}", self.tenants.len())).await?;
        let mut vaults = BTreeMap::new();
        for (secret, value) in secrets {
            let (vault, name) = secret.split_once('/').context("`vault/name`")?;
            if !vaults.contains_key(vault) {
                let made = tenant.ask("POST", "/ai-gateway/vaults", Some(&json!({"name": vault}))).await?;
                vaults.insert(vault, text(&made, "/id")?);
            }
            let path = format!("/ai-gateway/vaults/{}/secrets", vaults[vault]);
            tenant.ask("POST", &path, Some(&json!({"name": name, "value": value}))).await?;
        }
        self.tenants.insert(secrets.clone(), tenant.clone());
        Ok(tenant)
    }

    /// What the API says of a policy; nothing if it keeps it.
    pub(crate) async fn keep(
        &self,
        tenant: &Tenant,
        gateway: &str,
        policy: &str,
    ) -> anyhow::Result<Option<String>> {
        let path = format!("/ai-gateway/gateways/{gateway}/traffic_policy");
        let answer = tenant.call("PUT", &path).body(self.localized(policy)).send().await?;
        Ok((answer.status != 200).then(|| answer.text()))
    }

    /// Sets a gateway up behind a host of its own, and says which host that is.
    pub(crate) async fn gateway(&mut self, tenant: &Tenant, policy: &str) -> anyhow::Result<String> {
        self.gateways += 1;
        let gateway = format!("policy-{}", self.gateways);
        let host = format!("{gateway}.gateway.example");
        let settings = json!({
            "authentication": false, "error_shape": "ngrok", "stored_keys": "open", "key_precedence": "stored",
        });
        tenant.create_gateway(&gateway, &settings).await?;
        if let Some(refusal) = self.keep(tenant, &gateway, policy).await? {
            bail!("the API does not keep it: {refusal}");
        }
        tenant.store_key(&gateway, OF_GATEWAY, "default").await?;
        let bound = json!({"gateway_id": gateway, "url": format!("https://{host}")});
        tenant.ask("POST", "/ai-gateway/endpoints", Some(&bound)).await?;
        Ok(host)
    }

    /// Waits until the proxies know everything that was set up.
    pub(crate) async fn until_known(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let proxies = call("GET", format!("{}/operator/proxies", self.system.api()));
            let proxies = proxies.bearer(self.system.operator()).send().await?.json();
            let listed = proxies["result"].as_array().context("the proxies")?;
            if listed.iter().all(|proxy| proxy["lag"] == 0) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "the proxies lag behind: {proxies}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A policy with the addresses of this machine in the place of those that only stand in books.
    pub(crate) fn localized(&self, policy: &str) -> String {
        let policy = ["https://authz.example", "http://notes.example", "https://judge.example"]
            .iter()
            .fold(policy.to_owned(), |policy, server| policy.replace(server, &self.called.url));
        policy.replace("203.0.113.", "127.113.0.").replace("198.51.100.", "127.51.100.")
    }

    /// Sends a case's request to a host, from the case's address, or the one of this machine that stands for it.
    pub(crate) async fn send(&self, host: &str, case: &Case) -> anyhow::Result<Answer> {
        let case::Request { method, path, ip, headers, body } = &case.request;
        let from: Ipv4Addr = self.localized(ip).parse()?;
        let mut request = Request::builder()
            .method(&**method)
            .uri(format!("{}{path}", self.system.url()))
            .header("host", host);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            request = request.header("content-type", "application/json");
        }
        let mut connector = HttpConnector::new();
        connector.set_local_address(Some(from.into()));
        let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
        let whole = async {
            let answer = client.request(request.body(Full::new(Bytes::from(body.clone())))?).await?;
            let (head, body) = answer.into_parts();
            let body = body.collect().await.context("read the answer")?.to_bytes();
            Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
        };
        tokio::time::timeout(Duration::from_secs(60), whole).await.context("no answer within a minute")?
    }
}
