//! The demo installation: one user, one account with a gateway that has a stored key and one that
//! is paid from credits, and the tokens to call them, made through the management API as anybody
//! would, and kept in `.tollgate` from run to run.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::files;
use crate::first_call;
use crate::http::{Api, Http, text};

/// How `docker compose up` gets its demo; `cargo xtask up` makes its own.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The control plane's address.
    #[arg(long)]
    api_url: String,
    /// The gateway's address from here, for the first call.
    #[arg(long)]
    gateway_url: String,
    /// The gateway's address for callers, to print.
    #[arg(long)]
    public_gateway_url: String,
    /// Where to keep the login and the tokens.
    #[arg(long)]
    file: PathBuf,
    /// What sets a new installation up.
    #[arg(long, env = "TOLLGATE_SETUP_TOKEN", hide_env_values = true)]
    setup_token: String,
    /// The key to store for OpenAI.
    #[arg(long, env = "OPENAI_API_KEY", hide_env_values = true, default_value = "sk-simulated")]
    openai_key: String,
    /// The key to store for Anthropic.
    #[arg(long, env = "ANTHROPIC_API_KEY", hide_env_values = true, default_value = "sk-simulated")]
    anthropic_key: String,
}

/// Makes the demo on a running installation, calls it and prints the call.
pub(crate) fn demo(arguments: &Arguments) -> Result<()> {
    let Arguments { api_url, gateway_url, public_gateway_url, file, setup_token, .. } = arguments;
    let http = Http::new();
    let mut demo = Demo::kept(file)?;
    let keys = [("openai", &arguments.openai_key), ("anthropic", &arguments.anthropic_key)];
    let keys = keys.map(|(slug, secret)| ProviderKey { slug, secret: secret.clone() });
    demo.complete(&mut Api { http: &http, url: api_url, token: None }, setup_token, &keys)?;
    first_call::make(&http, gateway_url, &demo, false)?;
    let Demo { email, password, account_id, .. } = &demo;
    let at = format!("{public_gateway_url}/v1/{account_id}");
    println!(
        "Login: {email}  {password}\n\nWith a stored key: {at}/{GATEWAY}\nOn credits, ten dollars to begin with: \
         {at}/{CREDITS_GATEWAY}\n\nCall it:\n\n{}",
        first_call::as_curl(public_gateway_url, &demo)
    );
    Ok(())
}

/// The id of the gateway that has a stored key.
pub(crate) const GATEWAY: &str = "demo";

/// The id of the gateway that has none: its calls are paid from credits.
pub(crate) const CREDITS_GATEWAY: &str = "credits";

/// What the account starts with: ten dollars, in nano-dollars.
const CREDITS: i64 = 10_000_000_000;

/// A key for a provider, that of the account as well as the operator's.
pub(crate) struct ProviderKey {
    /// The provider's name in addresses.
    pub(crate) slug: &'static str,
    pub(crate) secret: String,
}

/// What is kept of it.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Demo {
    /// Where it is kept.
    #[serde(skip)]
    file: PathBuf,
    pub(crate) email: String,
    pub(crate) password: String,
    #[serde(default)]
    pub(crate) account_id: String,
    #[serde(default)]
    pub(crate) api_token: String,
    #[serde(default)]
    pub(crate) gateway_token: String,
}

impl Demo {
    /// What an earlier run kept, or the beginning of a new one.
    pub(crate) fn kept(file: &Path) -> Result<Self> {
        let text = files::kept(file, || {
            let email = "demo@example.com".to_owned();
            let new = Self { email, password: files::random_password()?, ..Self::default() };
            Ok(serde_json::to_string_pretty(&new)?)
        })?;
        let demo: Self =
            serde_json::from_str(&text).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(Self { file: file.to_owned(), ..demo })
    }

    fn keep(&self) -> Result<()> {
        files::write_private(&self.file, &serde_json::to_string_pretty(self)?)
    }

    /// Makes whatever of it is not there yet, and stores `keys` as the account's and as the
    /// operator's, who pays with them for what is spent from credits.
    pub(crate) fn complete(
        &mut self,
        api: &mut Api<'_>,
        setup_token: &str,
        keys: &[ProviderKey],
    ) -> Result<()> {
        api.token = Some(self.session(api, setup_token)?);
        self.account_id = text(&api.result("GET", "/accounts", None)?[0], "id")?.to_owned();
        let account = format!("/accounts/{}", self.account_id);
        let gateways = format!("{account}/ai-gateway/gateways");
        let gateway = format!("{gateways}/{GATEWAY}");

        for id in [GATEWAY, CREDITS_GATEWAY] {
            if api.answer("GET", &format!("{gateways}/{id}"), None)?.status == 404 {
                api.result("POST", &gateways, Some(&gateway_settings(id)))?;
            }
        }
        for key in keys {
            store_key(api, &format!("{gateway}/provider_configs"), key)?;
            store_key(api, "/operator/provider_keys", key)?;
        }
        api.grant(&self.account_id, CREDITS, "demo")?;
        self.complete_api_token(api, &account)?;
        if !self.gateway_token_exists(api, &gateway)? {
            let created =
                api.result("POST", &format!("{gateway}/tokens"), Some(&json!({"name": "cargo xtask up"})))?;
            self.gateway_token = text(&created, "value")?.to_owned();
        }
        self.keep()
    }

    /// Logs in; on a new installation, sets it up first.
    fn session(&self, api: &Api<'_>, setup_token: &str) -> Result<String> {
        let Self { email, password, .. } = self;
        let login = json!({"email": email, "password": password});
        let mut answer = api.answer("POST", "/auth/login", Some(&login))?;
        if answer.status != 200 {
            let setup = json!({
                "token": setup_token, "email": email, "password": password, "account_name": "Demo",
            });
            let answer_to_setup = api.answer("POST", "/setup", Some(&setup))?;
            if answer_to_setup.status != 200 {
                bail!(
                    "the database has an installation already that the login in {} does not open ({}). Name an \
                     empty database in DATABASE_URL, or restore the file",
                    self.file.display(),
                    answer_to_setup.body
                );
            }
            answer = api.answer("POST", "/auth/login", Some(&login))?;
        }
        Ok(text(&answer.body["result"], "access_token")?.to_owned())
    }

    /// Makes the token, or gives one that an earlier release made the rights that this one grants.
    fn complete_api_token(&mut self, api: &Api<'_>, account: &str) -> Result<()> {
        let terms = api_token_terms(api, account, &self.account_id)?;
        match self.api_token_id(api)? {
            Some(id) => {
                api.result("PUT", &format!("{account}/tokens/{id}"), Some(&terms))?;
            }
            None => {
                let created = api.result("POST", &format!("{account}/tokens"), Some(&terms))?;
                self.api_token = text(&created, "value")?.to_owned();
            }
        }
        Ok(())
    }

    /// The id of the token that was kept, if it is still good.
    fn api_token_id(&self, api: &Api<'_>) -> Result<Option<String>> {
        if self.api_token.is_empty() {
            return Ok(None);
        }
        let with_token = Api { http: api.http, url: api.url, token: Some(self.api_token.clone()) };
        let answer = with_token.answer("GET", "/user/tokens/verify", None)?;
        if answer.status != 200 {
            return Ok(None);
        }
        Ok(Some(text(&answer.body["result"], "id")?.to_owned()))
    }

    /// A token is found by the id inside it.
    fn gateway_token_exists(&self, api: &Api<'_>, gateway: &str) -> Result<bool> {
        let listed = api.result("GET", &format!("{gateway}/tokens?per_page=100"), None)?;
        let ids = listed.as_array().into_iter().flatten().filter_map(|token| token["id"].as_str());
        let digits = |id: &str| id.rsplit('_').next().unwrap_or_default().replace('-', "");
        Ok(!self.gateway_token.is_empty()
            && ids.map(digits).any(|id| !id.is_empty() && self.gateway_token.contains(&id)))
    }
}

fn gateway_settings(id: &str) -> Value {
    json!({
        "id": id,
        "cache_invalidate_on_update": false,
        "cache_ttl": 0,
        "collect_logs": true,
        "rate_limiting_interval": 0,
        "rate_limiting_limit": 0,
        "authentication": true,
    })
}

/// The key changes with the mode: the simulator takes any, the real provider only a real one.
pub(crate) fn store_key(api: &Api<'_>, path: &str, key: &ProviderKey) -> Result<()> {
    let ProviderKey { slug, secret } = key;
    let stored = api.result("GET", path, None)?;
    let stored = stored.as_array().into_iter().flatten();
    match stored.into_iter().find(|key| key["provider_slug"] == *slug && key["alias"] == "default") {
        Some(key) => {
            let id = text(key, "id")?;
            api.result("PUT", &format!("{path}/{id}"), Some(&json!({"secret": secret})))?;
        }
        None => {
            let mut key = json!({"provider_slug": slug, "alias": "default", "secret": secret});
            if path.ends_with("/provider_configs") {
                key["default_config"] = json!(true);
            }
            api.result("POST", path, Some(&key))?;
        }
    }
    Ok(())
}

/// What the demo's token may do: all that the README does with it.
const GROUPS: [&str; 5] =
    ["AI Gateway Read", "AI Gateway Write", "AI Gateway Run", "Billing Read", "Billing Write"];

fn api_token_terms(api: &Api<'_>, account: &str, account_id: &str) -> Result<Value> {
    let groups = api.result("GET", &format!("{account}/tokens/permission_groups"), None)?;
    let groups: Vec<Value> = groups
        .as_array()
        .into_iter()
        .flatten()
        .filter(|group| group["name"].as_str().is_some_and(|name| GROUPS.contains(&name)))
        .map(|group| json!({"id": group["id"]}))
        .collect();
    let resource = format!("com.cloudflare.api.account.{account_id}");
    Ok(json!({
        "name": "cargo xtask up",
        "policies": [{"effect": "allow", "permission_groups": groups, "resources": {resource: "*"}}],
    }))
}
