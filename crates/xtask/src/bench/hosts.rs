//! Gateways at hosts of their own, with traffic policies: the smallest that sends anything on, and one that looks at
//! every request five times before it does.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use crate::demo::{ProviderKey, store_key};
use crate::http::{Api, text};

/// A gateway at a host.
pub(super) struct Hosted {
    pub(super) name: &'static str,
    pub(super) host: &'static str,
    /// What lets the load generator in.
    authorization: String,
}

const KEY: ProviderKey = ProviderKey { slug: "openai", secret: String::new() };
/// A key set with one RSA key of 2,048 bits, as identity providers publish theirs.
const KEY_SET: &str = include_str!("hosts/keys.json");
/// A token by that key, good until the year 2100. Nobody has the key's other half any more.
const TOKEN: &str = include_str!("hosts/token.txt");

impl Hosted {
    /// Makes both, with a key set that is served at `key_set`.
    pub(super) fn both(
        api: &Api<'_>,
        account_id: &str,
        secret: &str,
        key_set: SocketAddr,
    ) -> Result<[Self; 2]> {
        let minimal = json!({"on_http_request": [{"type": "ai-gateway", "config": {}}]});
        let gateway = Self::gateway(api, account_id, "minimal", true, &minimal)?;
        store_key(
            api,
            &format!("{gateway}/provider_configs"),
            &ProviderKey { secret: secret.to_owned(), ..KEY },
        )?;
        let token = api.result("POST", &format!("{gateway}/tokens"), Some(&json!({"name": "bench"})))?;
        let minimal = Self {
            name: "host, least policy",
            host: "minimal.bench.example",
            authorization: format!("Bearer {}", text(&token, "value")?),
        };
        minimal.bind(api, account_id, "minimal")?;

        let vaults = format!("/accounts/{account_id}/ai-gateway/vaults");
        let vault = api.result("POST", &vaults, Some(&json!({"name": "bench"})))?;
        let secrets = format!("{vaults}/{}/secrets", text(&vault, "id")?);
        api.result("POST", &secrets, Some(&json!({"name": "key", "value": secret})))?;
        Self::gateway(api, account_id, "five", false, &five_rules(key_set))?;
        let five = Self {
            name: "host, five rules",
            host: "five.bench.example",
            authorization: format!("Bearer {}", TOKEN.trim()),
        };
        five.bind(api, account_id, "five")?;
        Ok([minimal, five])
    }

    pub(super) fn headers(&self) -> Vec<(&'static str, String)> {
        vec![("authorization", self.authorization.clone())]
    }

    /// Makes a gateway with a policy.
    fn gateway(
        api: &Api<'_>,
        account_id: &str,
        id: &str,
        authentication: bool,
        policy: &Value,
    ) -> Result<String> {
        let gateways = format!("/accounts/{account_id}/ai-gateway/gateways");
        let settings = json!({
            "id": id, "authentication": authentication, "stored_keys": if authentication { "authenticated" } else { "open" },
            "collect_logs": true, "cache_invalidate_on_update": false, "cache_ttl": 0, "rate_limiting_interval": 0,
            "rate_limiting_limit": 0,
        });
        api.result("POST", &gateways, Some(&settings))?;
        let gateway = format!("{gateways}/{id}");
        api.result("PUT", &format!("{gateway}/traffic_policy"), Some(policy))?;
        Ok(gateway)
    }

    fn bind(&self, api: &Api<'_>, account_id: &str, gateway: &str) -> Result<()> {
        let endpoint = json!({"gateway_id": gateway, "url": format!("https://{}", self.host)});
        api.result("POST", &format!("/accounts/{account_id}/ai-gateway/endpoints"), Some(&endpoint))?;
        Ok(())
    }
}

/// A token of an identity provider, an address, a rate limit, a header, and a choice among models.
fn five_rules(key_set: SocketAddr) -> Value {
    let rules = [
        json!({"type": "jwt-validation", "config": {
            "issuer": {"allow_list": [{"value": "https://idp.example/"}]},
            "audience": {"allow_list": [{"value": "your-ai-gateway"}]},
            "http": {"tokens": [{"type": "access_token", "method": "header", "name": "Authorization", "prefix": "Bearer "}]},
            "jws": {"allowed_algorithms": ["RS256"], "keys": {"sources": {"additional_jkus": [format!("http://{key_set}/")]}}},
        }}),
        json!({"type": "restrict-ips", "config": {"enforce": true, "allow": ["127.0.0.0/8", "10.0.0.0/8"]}}),
        json!({"type": "rate-limit", "config": {
            "name": "everybody", "algorithm": "sliding_window", "capacity": 100_000_000, "rate": "60s",
            "bucket_key": ["conn.client_ip"],
        }}),
        json!({"type": "add-headers", "config": {"headers": {"x-subject": "${conn.client_ip}"}}}),
        json!({"type": "ai-gateway", "config": {
            "providers": [{"id": "openai", "api_keys": [{"value": "${secrets.get('bench', 'key')}"}]}],
            "model_selection": {"strategy": ["ai.models.filter(m, m.provider_id == 'openai').sortBy('price')"]},
        }}),
    ];
    let rules: Vec<Value> = rules.into_iter().map(|action| json!({"actions": [action]})).collect();
    json!({"on_http_request": rules})
}

/// Serves the key set, for as long as the bench runs.
pub(super) fn serve_key_set() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Whoever does not get it asks again.
            let _ = answer(stream);
        }
    });
    Ok(address)
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    let length = KEY_SET.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(KEY_SET.as_bytes())
}
