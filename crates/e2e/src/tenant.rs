//! A person with an account, as they would set it up through the management API.

use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use serde_json::{Value, json};

use crate::http::{Answer, Call, call};
use crate::system::{System, text};

/// An account with a gateway `demo` that asks for a token.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// The account's id.
    pub account: String,
    /// The owner's session.
    pub session: String,
    api: String,
}

impl Tenant {
    /// Signs a person up and creates the gateway `demo` with authentication on.
    pub async fn sign_up(system: &System, name: &str) -> anyhow::Result<Self> {
        let api = system.api().to_owned();
        let person = json!({"email": format!("{name}@tollgate.test"), "password": "correct horse battery", "account_name": name});
        let answer = call("POST", format!("{api}/auth/sign-up")).json(&person).send().await?;
        ensure!(answer.status == 200, "sign up: {} {}", answer.status, answer.text());
        let session = text(&answer.json(), "/result/access_token")?;
        let accounts = call("GET", format!("{api}/accounts")).bearer(&session).send().await?;
        let account = text(&accounts.json(), "/result/0/id")?;
        let tenant = Self { account, session, api };
        tenant.create_gateway("demo", &json!({"authentication": true})).await?;
        Ok(tenant)
    }

    /// A call to this account's part of the management API as its owner.
    pub fn call(&self, method: &str, path: &str) -> Call {
        call(method, format!("{}/accounts/{}{path}", self.api, self.account)).bearer(&self.session)
    }

    /// Sends a call that must succeed and returns its result.
    pub async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let request = self.call(method, path);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = request.send().await?;
        ensure!(answer.status == 200, "{method} {path}: {} {}", answer.status, answer.text());
        Ok(answer.json()["result"].clone())
    }

    /// Creates a gateway; `settings` are added to the required ones.
    pub async fn create_gateway(&self, id: &str, settings: &Value) -> anyhow::Result<Value> {
        let mut body = json!({
            "id": id, "cache_invalidate_on_update": false, "cache_ttl": 0, "collect_logs": true,
            "rate_limiting_interval": 0, "rate_limiting_limit": 0,
        });
        merge(&mut body, settings);
        self.ask("POST", "/ai-gateway/gateways", Some(&body)).await
    }

    /// A token for one gateway, with its id.
    pub async fn gateway_token(&self, gateway: &str) -> anyhow::Result<(String, String)> {
        let path = format!("/ai-gateway/gateways/{gateway}/tokens");
        let made = self.ask("POST", &path, Some(&json!({"name": "e2e"}))).await?;
        Ok((text(&made, "/id")?, text(&made, "/value")?))
    }

    /// A management token with the named permission groups, with its id.
    pub async fn api_token(&self, permissions: &[&str]) -> anyhow::Result<(String, String)> {
        let groups = self.ask("GET", "/tokens/permission_groups", None).await?;
        let named =
            |name: &str| groups.as_array()?.iter().find(|group| group["name"] == name)?.get("id").cloned();
        let groups: Vec<Value> = permissions.iter().map(|name| json!({"id": named(name)})).collect();
        let resources = json!({format!("com.cloudflare.api.account.{}", self.account): "*"});
        let policy = json!({"effect": "allow", "permission_groups": groups, "resources": resources});
        let made = self.ask("POST", "/tokens", Some(&json!({"name": "e2e", "policies": [policy]}))).await?;
        Ok((text(&made, "/id")?, text(&made, "/value")?))
    }

    /// Stores a key of OpenAI's and returns its id.
    pub async fn store_key(&self, gateway: &str, secret: &str, alias: &str) -> anyhow::Result<String> {
        self.store_key_of(gateway, "openai", secret, alias).await
    }

    /// Stores a provider's key and returns its id.
    pub async fn store_key_of(
        &self,
        gateway: &str,
        provider: &str,
        secret: &str,
        alias: &str,
    ) -> anyhow::Result<String> {
        let path = format!("/ai-gateway/gateways/{gateway}/provider_configs");
        let body = json!({"alias": alias, "default_config": alias == "default", "provider_slug": provider, "secret": secret});
        text(&self.ask("POST", &path, Some(&body)).await?, "/id")
    }

    /// Where a proxy serves a provider for this account.
    pub fn provider_url(&self, proxy: &str, gateway: &str, provider: &str) -> String {
        format!("{proxy}/v1/{}/{gateway}/{provider}", self.account)
    }

    /// A chat completion through the gateway `demo`, without any credential yet.
    pub fn chat(&self, proxy: &str) -> Call {
        call("POST", format!("{}/chat/completions", self.provider_url(proxy, "demo", "openai")))
    }

    /// Repeats a call until it is answered with a status, for changes that are on their way to the
    /// proxies; at most ten seconds.
    pub async fn until(&self, status: u16, request: impl Fn() -> Call) -> anyhow::Result<Answer> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let answer = request().send().await?;
            if answer.status == status {
                return Ok(answer);
            }
            if Instant::now() > deadline {
                bail!("waited for {status}; the answer is {} {}", answer.status, answer.text());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// The body of a small chat completion.
pub fn greeting() -> Value {
    json!({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello, world!"}]})
}

fn merge(body: &mut Value, settings: &Value) {
    if let (Some(body), Some(settings)) = (body.as_object_mut(), settings.as_object()) {
        body.extend(settings.clone());
    }
}
