//! `cargo xtask up`: everything on this machine, in the foreground, until Ctrl-C.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use crate::checkout::Checkout;
use crate::children::{Child, Children, Exits, Program};
use crate::demo::{CREDITS_GATEWAY, Demo, GATEWAY, ProviderKey};
use crate::files;
use crate::first_call;
use crate::http::{Api, Http};
use crate::ports::Turn;
use crate::postgres::Durability;
use crate::progress::step;
use crate::services::{self, Services};
use crate::test::cargo;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Call the real providers, with the keys in `OPENAI_API_KEY` and its like, instead of the
    /// simulator.
    #[arg(long)]
    live: bool,
}

/// The providers that the demo has keys for, and where their real ones are found. The first call is for the first.
const KEYS: [(&str, &str); 2] = [("openai", "OPENAI_API_KEY"), ("anthropic", "ANTHROPIC_API_KEY")];

pub(crate) fn up(arguments: &Arguments) -> Result<()> {
    let keys = provider_keys(arguments.live)?;
    let checkout = Checkout::claim("up")?;
    // It says that everything answers, so it goes first and comes back last.
    let ready = checkout.state.join("dev.json");
    let _ = fs::remove_file(&ready);

    let children = Children::new()?;
    let up = Up { checkout, children, http: Http::new(), exits: Exits::new(), live: arguments.live, ready };
    let outcome = up.run(&keys);
    up.children.wait_if_stopping();
    up.children.stop();
    outcome
}

/// The real keys that the environment has, or one for the simulator, which takes any.
fn provider_keys(live: bool) -> Result<Vec<ProviderKey>> {
    let real = |variable| env::var(variable).ok().filter(|key| !key.is_empty());
    let key = |(slug, variable)| {
        let secret = if live { real(variable)? } else { "sk-simulated".to_owned() };
        Some(ProviderKey { slug, secret })
    };
    let keys: Vec<ProviderKey> = KEYS.into_iter().filter_map(key).collect();
    let variables = KEYS.map(|(_, variable)| variable).join(" and ");
    let is_first_there = keys.first().is_some_and(|key| key.slug == KEYS[0].0);
    ensure!(
        is_first_there,
        "--live calls real providers with your keys, OpenAI among them: put them into {variables}"
    );
    Ok(keys)
}

struct Up {
    checkout: Checkout,
    children: Children,
    http: Http,
    exits: Exits,
    live: bool,
    ready: PathBuf,
}

impl Up {
    fn run(&self, keys: &[ProviderKey]) -> Result<()> {
        let services = services::start(&self.checkout, &self.children, Durability::Kept)?;
        step("Building Tollgate (the first time takes minutes)", || {
            let build = ["build", "--package", "tollgate", "--package", "simulator"];
            self.children.run(cargo("cargo build", &self.checkout).arguments(build))
        })?;

        let setup_token = files::kept(&self.checkout.state.join("setup-token"), files::random_password)?;
        let mut demo = Demo::kept(&self.checkout.state.join("demo.json"))?;
        let addresses = step("Starting Tollgate", || {
            let mut turn = Turn::wait();
            let addresses = Addresses::choose(&mut turn, self.live)?;
            let environment = self.environment(&services, &addresses, &setup_token)?;
            if let Some(simulator) = &addresses.simulator {
                let child = self.start("simulator", "simulator", &[], &environment)?;
                self.http.wait_until_ready(&self.children, &child, &format!("http://{simulator}/healthz"))?;
            }
            let child = self.start("control-plane", "tollgate", &["control-plane"], &environment)?;
            self.http.wait_until_ready(
                &self.children,
                &child,
                &readiness(&addresses.control_plane_metrics),
            )?;

            let url = format!("http://{}", addresses.api);
            let mut api = Api { http: &self.http, url: &url, token: None };
            demo.complete(&mut api, &setup_token, keys)?;

            let environment = self.proxy_environment(&demo, environment)?;
            let child = self.start("proxy", "tollgate", &["proxy"], &environment)?;
            self.http.wait_until_ready(&self.children, &child, &readiness(&addresses.proxy_metrics))?;
            Ok(addresses)
        })?;
        step("Making a first call", || {
            first_call::make(&self.http, &format!("http://{}", addresses.gateway), &demo, self.live)
        })?;
        let development = development(&demo, &addresses);
        files::write_private(&self.checkout.state.join("dev.env"), &as_shell(&development, &demo))?;
        files::write_private(&self.ready, &format!("{development:#}\n"))?;
        tell(&demo, &addresses);

        if let Some(child) = self.exits.first() {
            self.children.wait_if_stopping();
            bail!("{} ended by itself. Its last words:\n{}", child.name, child.last_words());
        }
        Ok(())
    }

    /// One of our binaries, in the background; if it ends, so does everything.
    fn start(
        &self,
        name: &'static str,
        binary: &str,
        arguments: &[&str],
        environment: &BTreeMap<&str, String>,
    ) -> Result<Child> {
        let mut program =
            Program::new(name, self.checkout.binaries()?.join(binary)).arguments(arguments.iter().copied());
        for (variable, value) in environment {
            program = program.environment(variable, value);
        }
        program.log = Some(self.checkout.logs.join(format!("{name}.log")));
        program.pid_file = Some(self.checkout.pids.join(format!("{name}.pid")));
        program.removes = Some(self.ready.clone());
        // Real keys are stored with the account and the operator, sealed; no process needs to find
        // them here.
        for (_, variable) in KEYS {
            program = program.without_environment(variable);
        }
        self.children.start(program, Some(&self.exits))
    }

    fn environment(
        &self,
        services: &Services,
        addresses: &Addresses,
        setup_token: &str,
    ) -> Result<BTreeMap<&'static str, String>> {
        let Services { database_url, redis_url } = services;
        let Addresses { gateway, api, grpc, simulator, control_plane_metrics, proxy_metrics } = addresses;
        let keys = self.checkout.state.join("keys");
        fs::create_dir_all(&keys)?;
        let mut environment = BTreeMap::from([
            ("DATABASE_URL", database_url.clone()),
            ("REDIS_URL", redis_url.clone()),
            ("TOLLGATE_API_ADDR", api.clone()),
            ("TOLLGATE_GRPC_ADDR", grpc.clone()),
            ("TOLLGATE_METRICS_ADDR", control_plane_metrics.clone()),
            ("TOLLGATE_GATEWAY_ADDR", gateway.clone()),
            ("TOLLGATE_PROXY_METRICS_ADDR", proxy_metrics.clone()),
            ("TOLLGATE_CONTROL_PLANE_URL", format!("https://{grpc}")),
            ("TOLLGATE_PUBLIC_API_URL", format!("http://{api}")),
            ("TOLLGATE_PUBLIC_GATEWAY_URL", format!("http://{gateway}")),
            ("TOLLGATE_SETUP_TOKEN", setup_token.to_owned()),
            ("TOLLGATE_CREDENTIALS_KEYS", files::kept(&keys.join("credentials"), files::random_key_ring)?),
            ("TOLLGATE_CONTENTS_KEYS", files::kept(&keys.join("contents"), files::random_key_ring)?),
            ("TOLLGATE_DRAIN_SECONDS", "5".to_owned()),
        ]);
        let overrides = env::var("TOLLGATE_PROVIDER_BASE_URLS").unwrap_or_default();
        environment
            .insert("TOLLGATE_PROVIDER_BASE_URLS", provider_base_urls(&overrides, simulator.as_deref()));
        if let Some(simulator) = simulator {
            environment.insert("TOLLGATE_SIMULATOR_ADDR", simulator.clone());
        }
        Ok(environment)
    }

    /// The proxy joins an installation with a token and keeps who it then is in its folder; there
    /// is one folder for each installation that it ever joined.
    fn proxy_environment(
        &self,
        demo: &Demo,
        mut environment: BTreeMap<&'static str, String>,
    ) -> Result<BTreeMap<&'static str, String>> {
        let folder = self.checkout.state.join("proxy").join(&demo.account_id);
        fs::create_dir_all(&folder)?;
        environment.insert("TOLLGATE_PROXY_DIR", folder.to_string_lossy().into_owned());
        let created = Command::new(self.checkout.binaries()?.join("tollgate"))
            .args(["join-token", "create"])
            .envs(&environment)
            .output()
            .context("cannot run tollgate")?;
        if !created.status.success() {
            bail!("`tollgate join-token create` failed: {}", String::from_utf8_lossy(&created.stderr));
        }
        let token = String::from_utf8(created.stdout)?.trim().to_owned();
        // A gibibyte is for a fleet that loses its Redis for hours.
        let spool = env::var("TOLLGATE_SPOOL_BYTES").unwrap_or_else(|_| (64 << 20).to_string());
        environment.insert("TOLLGATE_SPOOL_BYTES", spool);
        environment.insert("TOLLGATE_JOIN_TOKEN", token);
        Ok(environment)
    }
}

/// Where everything listens.
struct Addresses {
    gateway: String,
    api: String,
    grpc: String,
    simulator: Option<String>,
    control_plane_metrics: String,
    proxy_metrics: String,
}

impl Addresses {
    fn choose(turn: &mut Turn, live: bool) -> Result<Self> {
        let mut address = |usual| turn.free_port(usual).map(|port| format!("127.0.0.1:{port}"));
        Ok(Self {
            gateway: address(8080)?,
            api: address(8081)?,
            grpc: address(8082)?,
            simulator: if live { None } else { Some(address(8089)?) },
            control_plane_metrics: address(9101)?,
            proxy_metrics: address(9102)?,
        })
    }
}

fn readiness(metrics_address: &str) -> String {
    format!("http://{metrics_address}/readyz")
}

/// What the operator says wins over the simulator.
fn provider_base_urls(overrides: &str, simulator: Option<&str>) -> String {
    let is_named = |slug: &str| {
        let mut named = overrides.split(',').filter_map(|part| part.split_once('='));
        named.any(|(name, _)| name.trim() == slug)
    };
    let simulated = |slug| Some(format!("{slug}=http://{}/v1", simulator.filter(|_| !is_named(slug))?));
    let simulated = ["openai", "anthropic", "google-ai-studio"].into_iter().filter_map(simulated);
    let parts = simulated.chain((!overrides.is_empty()).then(|| overrides.to_owned()));
    parts.collect::<Vec<_>>().join(",")
}

/// What `.tollgate/dev.json` says.
fn development(demo: &Demo, addresses: &Addresses) -> Value {
    let Addresses { gateway, api, grpc: _, simulator, control_plane_metrics, proxy_metrics } = addresses;
    json!({
        "gateway_url": format!("http://{gateway}"),
        "api_url": format!("http://{api}"),
        "account_id": demo.account_id,
        "gateway_id": GATEWAY,
        "credits_gateway_id": CREDITS_GATEWAY,
        "api_token": demo.api_token,
        "gateway_token": demo.gateway_token,
        "simulator_url": simulator.as_ref().map(|address| format!("http://{address}")),
        "metrics_urls": [
            format!("http://{control_plane_metrics}/metrics"),
            format!("http://{proxy_metrics}/metrics"),
        ],
    })
}

/// What `.tollgate/dev.env` says: the same for a shell, and the login.
fn as_shell(development: &Value, demo: &Demo) -> String {
    let members = development.as_object().into_iter().flatten();
    let texts = members.filter_map(|(name, value)| Some((name.to_uppercase(), value.as_str()?)));
    let login = [("EMAIL", &demo.email), ("PASSWORD", &demo.password)];
    let login = login.into_iter().map(|(name, value)| (name.to_owned(), value.as_str()));
    texts.chain(login).map(|(name, value)| format!("export {name}='{value}'\n")).collect()
}

fn tell(demo: &Demo, addresses: &Addresses) {
    let Demo { email, password, account_id, .. } = demo;
    let Addresses { gateway, api, .. } = addresses;
    let call = first_call::as_curl(&format!("http://{gateway}"), demo);
    let providers = match &addresses.simulator {
        Some(address) => format!("answered by the simulator at http://{address}"),
        None => "the real ones, with the keys in OPENAI_API_KEY and its like".to_owned(),
    };
    let credits = match &addresses.simulator {
        Some(_) => "ten simulated dollars to begin with",
        None => "ten dollars to begin with, spent with your keys",
    };
    println!(
        "
Tollgate is up. Ctrl-C stops it.

  API and its documentation   http://{api}/docs
  Login                       {email}  {password}
  Gateway with a stored key   http://{gateway}/v1/{account_id}/{GATEWAY}
  Gateway on credits          http://{gateway}/v1/{account_id}/{CREDITS_GATEWAY}
  Credits                     {credits}
  Providers                   {providers}
  Tokens and addresses        .tollgate/dev.json, and for a shell .tollgate/dev.env
  Logs                        .tollgate/logs/up/

Call it:

{call}
"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_operator_says_of_a_provider_wins_over_the_simulator() {
        let simulator = Some("127.0.0.1:8089");
        let simulated = "openai=http://127.0.0.1:8089/v1,anthropic=http://127.0.0.1:8089/v1,google-ai-studio=http://127.0.0.1:8089/v1";
        assert_eq!(provider_base_urls("", simulator), simulated);
        assert_eq!(
            provider_base_urls("openai=http://a/v1", simulator),
            "anthropic=http://127.0.0.1:8089/v1,google-ai-studio=http://127.0.0.1:8089/v1,openai=http://a/v1"
        );
        assert_eq!(
            provider_base_urls("anthropic=http://a", simulator),
            "openai=http://127.0.0.1:8089/v1,google-ai-studio=http://127.0.0.1:8089/v1,anthropic=http://a"
        );
        assert_eq!(provider_base_urls("", None), "");
    }

    #[test]
    fn a_shell_reads_the_same_as_whoever_reads_json() {
        let demo: Demo = serde_json::from_value(json!({"email": "a@b", "password": "p"})).unwrap();
        let development =
            json!({"api_url": "http://127.0.0.1:8081", "simulator_url": null, "metrics_urls": []});
        assert_eq!(
            as_shell(&development, &demo),
            "export API_URL='http://127.0.0.1:8081'\nexport EMAIL='a@b'\nexport PASSWORD='p'\n"
        );
    }
}
