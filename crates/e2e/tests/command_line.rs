//! The command-line client against a running installation, as a person or a script would use it.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use e2e::process::binary;
use e2e::system::System;
use e2e::tenant::{Tenant, greeting};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

const INJECTING: &str = "on_http_request:
  - type: ai-gateway
    config:
      providers:
        - id: \"openai\"
          api_keys:
            - value: ${secrets.get('openai', 'api-key')}
";
const PLAIN: &str = "on_http_request:\n  - type: ai-gateway\n    config: {}\n";

/// Somebody at a shell: a home of their own, and nothing else in the environment than what is said.
struct Shell {
    home: PathBuf,
    environment: BTreeMap<&'static str, String>,
}

/// How a command ended.
#[derive(Debug)]
struct Ended {
    code: i32,
    printed: String,
    complained: String,
}

impl Shell {
    /// A new home on the installation's machine.
    fn at(system: &System, name: &str) -> anyhow::Result<Self> {
        let home = system.directory().join(name);
        std::fs::create_dir_all(&home)?;
        Ok(Self { home, environment: BTreeMap::new() })
    }

    async fn run(&self, arguments: &[&str], input: &str) -> anyhow::Result<Ended> {
        let mut command = Command::new(binary("tollgate"));
        command.args(arguments).env_clear().env("HOME", &self.home).envs(&self.environment);
        command.current_dir(&self.home).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let mut stdin = child.stdin.take().context("standard input")?;
        stdin.write_all(input.as_bytes()).await?;
        drop(stdin);
        let output = child.wait_with_output().await?;
        let text = |bytes: Vec<u8>| String::from_utf8(bytes);
        Ok(Ended {
            code: output.status.code().context("ended by a signal")?,
            printed: text(output.stdout)?,
            complained: text(output.stderr)?,
        })
    }

    /// What a command that must succeed prints.
    async fn done(&self, arguments: &[&str], input: &str) -> anyhow::Result<String> {
        let ended = self.run(arguments, input).await?;
        ensure!(ended.code == 0, "{arguments:?}: {ended:?}");
        Ok(ended.printed)
    }

    /// The same as JSON.
    async fn json(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&self.done(arguments, "").await?)?)
    }

    async fn log_in(&self, system: &System, tenant: &Tenant) -> anyhow::Result<String> {
        let groups = ["AI Gateway Read", "AI Gateway Write", "AI Gateway Run"];
        let (_, token) = tenant.api_token(&groups).await?;
        let told =
            self.done(&["login", "--url", system.api(), "--token-stdin"], &format!("{token}\n")).await?;
        ensure!(!told.contains(&token), "the token is printed back");
        Ok(token)
    }
}

fn id(thing: &Value) -> &str {
    thing["id"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_key_is_stored_and_injected_as_the_quickstart_has_it() -> anyhow::Result<()> {
    let system = System::start().await?;
    let tenant = system.tenant("quickstart").await?;
    let shell = Shell::at(&system, "quickstart")?;
    shell.log_in(&system, &tenant).await?;

    let data = r#"{"api-key": "sk-proj-of-the-quickstart"}"#;
    let made = shell.done(&["secrets", "create", "--name", "openai", "--secret-data", data], "").await?;
    assert!(made.contains("openai") && made.contains("api-key") && !made.contains("sk-proj"), "{made}");
    std::fs::write(shell.home.join("policy.yaml"), INJECTING)?;
    let create = ["api", "endpoints", "create", "--url", "http://ai.example.com"];
    let file = ["--type", "cloud", "--bindings", "public", "--traffic-policy-file", "policy.yaml"];
    let endpoint = shell.json(&[&create[..], &file].concat()).await?;
    assert_eq!(
        (&endpoint["url"], &endpoint["traffic_policy"]),
        (&"http://ai.example.com".into(), &INJECTING.into())
    );

    let ask = || {
        let call = e2e::http::call("POST", format!("{}/v1/chat/completions", system.url()));
        call.header("host", "ai.example.com").bearer("unused").json(&greeting())
    };
    let answer = tenant.until(200, ask).await?;
    assert!(answer.json()["choices"].is_array(), "{}", answer.text());

    // A second key goes into the vault that is there, a second one of the same name does not.
    let again = ["secrets", "create", "--name", "openai", "--secret-data", "-"];
    shell.done(&again, r#"{"spare-key": "sk-proj-spare"}"#).await?;
    let refused = shell.run(&again, r#"{"spare-key": "sk-proj-spare"}"#).await?;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.complained.contains("secret `spare-key` of vault `openai`"), "{refused:?}");
    assert!(refused.complained.contains("ERR_NGROK_24005"), "{refused:?}");
    assert_eq!(shell.json(&["api", "vaults", "list"]).await?["vaults"].as_array().map(Vec::len), Some(1));

    let complaints = system.logs();
    assert!(!complaints.contains("sk-proj-of-the-quickstart"), "a secret is in the logs");
    Ok(())
}

#[tokio::test]
async fn vaults_secrets_endpoints_and_keys_are_made_listed_shown_changed_and_deleted() -> anyhow::Result<()> {
    let system = System::start().await?;
    let tenant = system.tenant("resources").await?;
    let shell = Shell::at(&system, "resources")?;
    shell.log_in(&system, &tenant).await?;

    let vault = shell.json(&["api", "vaults", "create", "--name", "work", "--description", "ours"]).await?;
    let vault = id(&vault);
    let value = shell.home.join("key.txt");
    std::fs::write(&value, "sk-of-a-file\n")?;
    let create = ["secrets", "create", "--name", "key", "--vault-id", vault, "--value-file", "key.txt"];
    let secret = shell.json(&[&create[..], &["-o", "json"]].concat()).await?;
    assert_eq!(
        (&secret["name"], &secret["vault_name"], &secret["value"]),
        (&"key".into(), &"work".into(), &Value::Null)
    );
    let by_name = ["secrets", "create", "--name", "other", "--vault-name", "work", "--value-file", "-"];
    shell.done(&by_name, "sk-of-a-pipe").await?;

    let newest = shell.json(&["api", "secrets", "list", "--limit", "1"]).await?;
    assert_eq!(newest["secrets"][0]["name"], "other");
    let older = ["api", "secrets", "list", "--before-id", id(&newest["secrets"][0])];
    assert_eq!(shell.json(&older).await?["secrets"], serde_json::json!([secret]));
    let table = shell.done(&["vaults", "secrets", vault], "").await?;
    assert!(table.starts_with("ID ") && table.contains("other") && table.lines().count() == 3, "{table}");

    let update = ["secrets", "update", id(&secret), "--name", "renamed", "--metadata", "m", "-o", "json"];
    let renamed = shell.json(&update).await?;
    assert_eq!((&renamed["name"], &renamed["metadata"]), (&"renamed".into(), &"m".into()));
    let full = shell.run(&["vaults", "delete", vault], "").await?;
    assert_eq!(full.code, 1);
    assert!(full.complained.contains("ERR_NGROK_23003"), "{full:?}");
    assert_eq!(shell.json(&["api", "vaults", "update", vault, "--name", "play"]).await?["name"], "play");
    assert_eq!(shell.json(&["api", "vaults", "get", vault]).await?["description"], "ours");

    let create = ["api", "endpoints", "create", "--url", "https://a.example.com", "--traffic-policy", PLAIN];
    let endpoint = shell.json(&create).await?;
    let endpoint = id(&endpoint);
    let update = ["api", "endpoints", "update", endpoint, "--pooling-enabled", "--description", "changed"];
    let changed = shell.json(&update).await?;
    assert_eq!((&changed["pooling_enabled"], &changed["traffic_policy"]), (&true.into(), &PLAIN.into()));
    let listed = shell.json(&["api", "endpoints", "list", "--url", "https://a.example.com"]).await?;
    assert_eq!(listed["endpoints"][0], changed);
    let none = shell.json(&["api", "endpoints", "list", "--url", "https://b.example.com"]).await?;
    assert_eq!(none["endpoints"], serde_json::json!([]));

    let keys = r#"[{"provider_id": "openai", "value": "sk-attached-with-it"}]"#;
    let create =
        ["ai-gateway-api-keys", "create", "--endpoint-id", endpoint, "--provider-keys", "-", "-o", "json"];
    let key: Value = serde_json::from_str(&shell.done(&create, keys).await?)?;
    let token = key["token"].as_str().unwrap_or_default();
    assert!(token.starts_with("ng-") && token.contains("-g1-"), "{key}");
    let key = id(&key);
    let attach =
        ["ai-gateway-provider-keys", "create", "--ai-gateway-api-key-id", key, "--provider-id", "anthropic"];
    shell.done(&[&attach[..], &["--value-file", "-"]].concat(), "sk-ant-attached-later\n").await?;
    let attached = ["api", "ai-gateway-provider-keys", "list", "--ai-gateway-api-key-id", key];
    let attached = shell.json(&attached).await?["ai_gateway_provider_keys"].take();
    let providers: Vec<_> =
        attached.as_array().into_iter().flatten().map(|key| &key["provider_id"]).collect();
    assert_eq!(providers, ["anthropic", "openai"]);
    shell.done(&["ai-gateway-provider-keys", "delete", id(&attached[0])], "").await?;
    let shown = shell.done(&["ai-gateway-api-keys", "get", key], "").await?;
    assert!(!shown.contains(token), "{shown}");

    for (noun, id) in [("ai-gateway-api-keys", key), ("endpoints", endpoint)] {
        shell.done(&[noun, "delete", id], "").await?;
        let gone = shell.run(&[noun, "get", id], "").await?;
        assert_eq!(gone.code, 5, "{gone:?}");
    }
    Ok(())
}

#[tokio::test]
async fn profiles_are_kept_for_their_owner_and_tokens_go_nowhere_else() -> anyhow::Result<()> {
    let system = System::start().await?;
    let tenant = system.tenant("profiles").await?;
    let mut shell = Shell::at(&system, "profiles")?;
    let lost = shell.run(&["vaults", "list"], "").await?;
    assert!(lost.complained.contains("tollgate login"), "{lost:?}");

    let token = shell.log_in(&system, &tenant).await?;
    let file = shell.home.join(".config/tollgate/config.json");
    assert_eq!(std::fs::metadata(&file)?.permissions().mode() & 0o777, 0o600);
    let again = ["login", "--url", system.api(), "--token-stdin", "--profile", "second"];
    shell.done(&again, &token).await?;
    let table = shell.done(&["profiles", "list"], "").await?;
    assert!(table.contains("*  second") && !table.contains(&token), "{table}");
    shell.done(&["profiles", "use", "default"], "").await?;
    shell.done(&["profiles", "remove", "second"], "").await?;
    let gone = shell.run(&["vaults", "list", "--profile", "second"], "").await?;
    assert!(gone.code == 1 && gone.complained.contains("only `default`"), "{gone:?}");

    // A wrong token is not remembered, and is told as what it is.
    let wrong = ["login", "--url", system.api(), "--token-stdin", "--profile", "wrong"];
    let refused = shell.run(&wrong, "not-a-token-of-anybody").await?;
    assert!(refused.code == 4 && !refused.complained.contains("not-a-token"), "{refused:?}");
    assert!(!std::fs::read_to_string(&file)?.contains("wrong"));

    // Without a home, as in a pipeline.
    let vaults = ["api", "vaults", "list"];
    let other = shell.run(&vaults, "").await?;
    assert_eq!(other.code, 0, "{other:?}");
    shell.environment.insert("TOLLGATE_API_URL", "http://127.0.0.1:9".to_owned());
    let kept = shell.run(&vaults, "").await?;
    assert!(kept.code == 1 && kept.complained.contains("no token is known"), "{kept:?}");
    shell.environment.insert("TOLLGATE_API_TOKEN", token);
    let unreachable = shell.run(&vaults, "").await?;
    assert!(unreachable.code == 3 && unreachable.complained.contains("cannot be reached"), "{unreachable:?}");
    shell.environment.insert("TOLLGATE_API_URL", system.api().to_owned());
    std::fs::remove_file(&file)?;
    shell.done(&vaults, "").await?;
    shell.environment.insert("TOLLGATE_API_TOKEN", "not-a-token-of-anybody".to_owned());
    assert_eq!(shell.run(&vaults, "").await?.code, 4);
    Ok(())
}

#[tokio::test]
async fn endpoints_of_an_agents_file_are_made_and_changed() -> anyhow::Result<()> {
    let system = System::start().await?;
    let tenant = system.tenant("apply").await?;
    let shell = Shell::at(&system, "apply")?;
    shell.log_in(&system, &tenant).await?;
    let file = |kind: &str, policy: &str| {
        format!(
            "version: 3\nagent:\n  authtoken: 2abc\nendpoints:\n  - name: chat\n    url: https://Chat.example.com\n    \
             upstream:\n      url: 8080\n    traffic_policy:\n      on_http_request:\n        - type: {kind}\n          \
             config: {{}}\n  - name: other\n    url: https://other.example.com\n    traffic_policy: |\n      {policy}\n"
        )
    };
    let apply = ["endpoints", "apply", "-"];
    let policy = r#"{"on_http_request": [{"type": "ai-gateway", "config": {}}]}"#;
    let wrong = shell.run(&apply, &file("ai-gatway", policy)).await?;
    assert!(wrong.code == 1 && wrong.complained.contains("-:11:17: "), "{wrong:?}");
    assert_eq!(shell.json(&["api", "endpoints", "list"]).await?["endpoints"], serde_json::json!([]));

    let words = |printed: &str| -> Vec<String> {
        let rows = printed.lines().skip(1);
        rows.filter_map(|row| row.split_whitespace().last()).map(str::to_owned).collect()
    };
    assert_eq!(words(&shell.done(&apply, &file("ai-gateway", policy)).await?), ["created", "created"]);
    assert_eq!(words(&shell.done(&apply, &file("ai-gateway", policy)).await?), ["unchanged", "unchanged"]);
    let policy = r#"{"on_http_request": [{"type": "deny"}]}"#;
    assert_eq!(words(&shell.done(&apply, &file("ai-gateway", policy)).await?), ["unchanged", "changed"]);
    let chat = shell.json(&["api", "endpoints", "list", "--url", "https://chat.example.com"]).await?;
    assert_eq!(chat["endpoints"][0]["traffic_policy"], PLAIN);

    // What this machine complains of, the API would complain of too.
    let broken = "on_http_request:\n  - type: ai-gatway\n";
    let here = shell.run(&["policy", "check", "-"], broken).await?;
    let create = ["endpoints", "create", "--url", "https://c.example.com", "--traffic-policy-file", "-"];
    let there = shell.run(&create, broken).await?;
    assert!(here.code == 1 && here.printed.starts_with("stdin:2:11: "), "{here:?}");
    assert!(there.code == 1 && there.complained.contains("line 2, column 11: "), "{there:?}");
    Ok(())
}
