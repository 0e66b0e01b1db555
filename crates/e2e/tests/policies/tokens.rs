//! Tokens that an identity provider signs: its keys are brought from where it publishes them, with TLS.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::ensure;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::KeyPair;
use serde_json::{Value, json};

use crate::outside::{Outside, Said};
use crate::stage::{OF_GATEWAY, Stage};

/// The option that the documentation of protected endpoints gives for tokens.
const POLICY: &str = r#"
on_http_request:
  - actions:
      - type: jwt-validation
        config:
          issuer: { allow_list: [ { value: "https://idp.example/" } ] }
          audience: { allow_list: [ { value: "your-ai-gateway" } ] }
          http: { tokens: [ { type: access_token, method: header, name: Authorization, prefix: "Bearer " } ] }
          jws:
            allowed_algorithms: [ES256]
            keys: { sources: { additional_jkus: ["KEYS"] } }
  - actions:
      - type: rate-limit
        config: { name: per-person, algorithm: sliding_window, capacity: 1000, rate: 60s, bucket_key: ["actions.ngrok.jwt_validation.tokens[0].payload.sub"] }
  - type: ai-gateway
    config: {}
"#;

/// A key of the identity provider's.
struct Key {
    id: &'static str,
    pair: KeyPair,
}

impl Key {
    fn new(id: &'static str) -> anyhow::Result<Self> {
        Ok(Self { id, pair: KeyPair::generate()? })
    }

    /// As it is published.
    fn published(&self) -> Value {
        // Uncompressed: a byte that says so, and two coordinates.
        let point = self.pair.public_key_raw();
        let [x, y] = [&point[1..33], &point[33..]].map(|coordinate| URL_SAFE_NO_PAD.encode(coordinate));
        json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.id, "x": x, "y": y})
    }

    fn signed(&self, claims: &Value) -> anyhow::Result<String> {
        let header = Header { kid: Some(self.id.to_owned()), ..Header::new(Algorithm::ES256) };
        let key = EncodingKey::from_ec_pem(self.pair.serialize_pem().as_bytes())?;
        Ok(jsonwebtoken::encode(&header, claims, &key)?)
    }
}

/// Who may come in.
fn claims(changes: Value) -> anyhow::Result<Value> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let mut claims =
        json!({"iss": "https://idp.example/", "aud": ["your-ai-gateway"], "sub": "ada", "exp": now + 600});
    if let (Some(claims), Value::Object(changes)) = (claims.as_object_mut(), changes) {
        claims.extend(changes);
    }
    Ok(claims)
}

/// Plays everything about tokens on a stage whose proxies trust the certificate of `keys`.
pub(crate) async fn are_checked(stage: &mut Stage, keys: &Outside) -> anyhow::Result<()> {
    let (known, new, stranger) = (Key::new("known")?, Key::new("new")?, Key::new("known")?);
    let tenant = stage.tenant(&BTreeMap::new()).await?;
    let host = stage.gateway(&tenant, &POLICY.replace("KEYS", &format!("{}/jwks.json", keys.url))).await?;
    let silent = POLICY.replace("KEYS", "https://localhost:9/jwks.json");
    let silent = stage.gateway(&tenant, &silent).await?;
    stage.until_known().await?;

    let set = |keys: &[&Key]| {
        let keys: Vec<Value> = keys.iter().map(|key| key.published()).collect();
        Said::json(200, &json!({"keys": keys}).to_string())
    };
    keys.begin(vec![set(&[&known])]);
    let past = json!({"exp": 1_700_000_000});
    let cases = [
        ("a valid one", known.signed(&claims(json!({}))?)?, 200),
        ("one that has expired", known.signed(&claims(past)?)?, 401),
        ("another issuer's", known.signed(&claims(json!({"iss": "https://idp.example"}))?)?, 401),
        ("one for somebody else", known.signed(&claims(json!({"aud": "other"}))?)?, 401),
        ("one that a stranger signed", stranger.signed(&claims(json!({}))?)?, 401),
        ("half of one", "eyJhbGciOiJFUzI1NiJ9.e30.".to_owned(), 401),
    ];
    for (what, token, status) in cases {
        is_answered(stage, &host, Some(&token), status).await.map_err(|error| error.context(what))?;
    }
    is_answered(stage, &host, None, 401).await.map_err(|error| error.context("none"))?;
    ensure!(keys.seen().len() == 1, "the keys were brought {} times", keys.seen().len());

    // Whose key is not in the set yet lets nobody in who cannot show that it is in the next one.
    let token = new.signed(&claims(json!({}))?)?;
    is_answered(stage, &host, Some(&token), 401).await.map_err(|error| error.context("an unknown key"))?;
    let valid = known.signed(&claims(json!({}))?)?;
    is_answered(stage, &silent, Some(&valid), 503).await.map_err(|error| error.context("no keys"))
}

async fn is_answered(stage: &Stage, host: &str, token: Option<&str>, status: u16) -> anyhow::Result<()> {
    stage.provider.begin(Vec::new());
    let body = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello!"}]});
    let call = e2e::http::call("POST", format!("{}/v1/chat/completions", stage.system.url()));
    let call = call.header("host", host).json(&body);
    let call = match token {
        Some(token) => call.bearer(token),
        None => call,
    };
    let answer = call.send().await?;
    let seen = stage.provider.seen();
    ensure!(answer.status == status, "{} and not {status}: {}", answer.status, answer.text());
    ensure!(seen.len() == usize::from(status == 200), "the provider was asked {} times", seen.len());
    for request in seen {
        let shown = request.header("authorization");
        ensure!(shown == Some(format!("Bearer {OF_GATEWAY}")), "the provider was shown {shown:?}");
    }
    Ok(())
}
