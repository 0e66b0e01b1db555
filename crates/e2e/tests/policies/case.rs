//! The folder of policies and cases that the policy crate keeps, read for playing it over sockets.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::Value;

/// A policy as its author wrote it, and what is said of it.
pub(crate) struct Folder {
    pub(crate) name: String,
    pub(crate) policy: String,
    /// What is wrong with it, a problem a line; empty for one that can be obeyed.
    pub(crate) problems: String,
    pub(crate) cases: Vec<Case>,
}

/// A request, what the outside answers, and what must come of it. What only a run of the policy itself can show is
/// not read.
#[derive(Deserialize)]
pub(crate) struct Case {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) request: Request,
    /// Secrets, as `vault/name`.
    #[serde(default = "secrets")]
    pub(crate) secrets: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) expect: Expect,
}

#[derive(Deserialize)]
#[serde(default)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) ip: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            method: "POST".into(),
            path: "/v1/chat/completions".into(),
            ip: "203.0.113.9".into(),
            headers: Vec::new(),
            body: r#"{"model":"gpt-4o"}"#.into(),
        }
    }
}

#[derive(Deserialize, Clone)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "of some kinds it is enough to know that they are meant")]
pub(crate) enum Outcome {
    Within,
    Exceeded(u64),
    Keys(Value),
    Called {
        status: u16,
        body: String,
    },
    Passage(String),
    Unavailable,
    Answered(Answered),
    NotDispatched(Value),
    /// Whatever is of a kind that is not known here.
    #[serde(untagged)]
    Other(Value),
}

#[derive(Deserialize, Clone, Default)]
#[serde(default)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    pub(crate) messages: Vec<String>,
}

#[derive(Deserialize)]
pub(crate) struct Expect {
    pub(crate) end: String,
    #[serde(default)]
    pub(crate) status: Option<u16>,
    #[serde(default)]
    pub(crate) code: Option<u16>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, Option<String>>,
    #[serde(default)]
    pub(crate) body: Option<String>,
    #[serde(default)]
    pub(crate) request_headers: BTreeMap<String, Option<String>>,
    #[serde(default)]
    pub(crate) request_url: Option<String>,
    #[serde(default)]
    pub(crate) request_body: Option<String>,
    #[serde(default)]
    pub(crate) consumed: Vec<String>,
    #[serde(default)]
    pub(crate) asked: Vec<String>,
    #[serde(default)]
    pub(crate) keys: Vec<String>,
    /// The keys that the provider was shown, one for each attempt.
    #[serde(default)]
    pub(crate) shown: Vec<String>,
    #[serde(default)]
    pub(crate) dispatched: Option<Dispatched>,
    #[serde(default)]
    pub(crate) messages: Option<Vec<String>>,
}

#[derive(Deserialize)]
pub(crate) struct Dispatched {
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) query_params: BTreeMap<String, String>,
    pub(crate) body: BTreeMap<String, Value>,
}

fn secrets() -> BTreeMap<String, String> {
    [
        ("gateway-auth/access-token", "let-me-in"),
        ("gateway-auth/client-a-token", "token-of-a"),
        ("gateway-auth/client-b-token", "token-of-b"),
        ("openai/api-key", "sk-stored"),
        ("openai/second-key", "sk-second"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

/// All of them, by name: those of the policy crate, and those that need a proxy.
pub(crate) fn folders() -> anyhow::Result<Vec<Folder>> {
    let mut paths = Vec::new();
    for cases in ["../policy/tests/policies/cases", "tests/policies/cases"] {
        for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(cases))? {
            paths.push(entry?.path());
        }
    }
    paths.sort();
    paths.iter().map(|path| folder(path).with_context(|| path.display().to_string())).collect()
}

fn folder(path: &Path) -> anyhow::Result<Folder> {
    let read = |name: &str| fs::read_to_string(path.join(name));
    let cases = match read("cases.json") {
        Ok(text) => serde_json::from_str(&text)?,
        Err(_) => Vec::new(),
    };
    Ok(Folder {
        name: path.file_name().context("a name")?.to_string_lossy().into_owned(),
        policy: read("policy.yaml").or_else(|_| read("policy.json"))?,
        problems: read("problems.txt").unwrap_or_default(),
        cases,
    })
}
