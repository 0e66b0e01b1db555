//! `tollgate endpoints`: a host, the gateway behind it and that gateway's traffic policy in one.

mod apply;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::client::api::{Api, Id};
use crate::client::input;
use crate::client::listing::Part;
use crate::client::notes::Notes;
use crate::client::output::{Columns, Output};

const PATH: &str = "/endpoints";
const COLUMNS: Columns = &[
    ("ID", "/id"),
    ("URL", "/url"),
    ("GATEWAY", "/name"),
    ("CREATED", "/created_at"),
    ("DESCRIPTION", "/description"),
];

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Make an endpoint: a host that callers can ask from now on
    #[command(after_help = EXAMPLES)]
    Create(New),
    /// List endpoints, the newest first
    #[command(after_help = "Example:\n  tollgate endpoints list --url https://ai.example.com")]
    List {
        /// Only the endpoint at this address
        #[arg(long)]
        url: Vec<String>,
        /// Only the endpoint with this id
        #[arg(long)]
        id: Vec<Id>,
        #[command(flatten)]
        part: Part,
    },
    /// Show an endpoint with its traffic policy
    #[command(after_help = "Example:\n  tollgate endpoints get ep_0197…")]
    Get {
        /// The endpoint's id
        id: Id,
    },
    /// Change what is said here, and nothing else
    #[command(
        after_help = "Example:\n  tollgate endpoints update ep_0197… --traffic-policy-file policy.yaml"
    )]
    Update {
        /// The endpoint's id
        id: Id,
        #[command(flatten)]
        change: Change,
    },
    /// Delete an endpoint with its gateway and its keys; callers are refused from then on
    #[command(after_help = "Example:\n  tollgate endpoints delete ep_0197…")]
    Delete {
        /// The endpoint's id
        id: Id,
    },
    /// Make the endpoints of an agent's configuration file (`version: 3`), and change those that are there
    ///
    /// Endpoints are recognised by their address. Those that the file does not name stay as they are.
    #[command(after_help = "Example:\n  tollgate endpoints apply ngrok.yml")]
    Apply {
        /// The file, `-` for standard input
        file: PathBuf,
    },
}

const EXAMPLES: &str = "Examples:
  tollgate endpoints create --url https://ai.example.com --traffic-policy-file policy.yaml
  tollgate endpoints create --url https://ai.example.com \\
    --traffic-policy '{\"on_http_request\": [{\"type\": \"ai-gateway\", \"config\": {}}]}'";

/// An endpoint to be made.
#[derive(Debug, Args)]
pub(crate) struct New {
    /// The address that callers will ask
    #[arg(long)]
    url: String,
    /// The kind of endpoint; there is only this one
    #[arg(long, default_value = "cloud")]
    r#type: String,
    #[command(flatten)]
    policy: PolicyText,
    #[command(flatten)]
    terms: Terms,
}

/// What an endpoint is to be.
#[derive(Debug, Args)]
pub(crate) struct Change {
    /// The address that callers ask from now on
    #[arg(long)]
    url: Option<String>,
    #[command(flatten)]
    policy: PolicyText,
    #[command(flatten)]
    terms: Terms,
}

/// A traffic policy, in one of the ways in which it is given.
#[derive(Debug, Args)]
#[group(required = false, multiple = false)]
struct PolicyText {
    /// The traffic policy itself, YAML or JSON
    #[arg(long, value_name = "POLICY")]
    traffic_policy: Option<String>,
    /// A file that holds the traffic policy, `-` for standard input
    #[arg(long, value_name = "FILE")]
    traffic_policy_file: Option<PathBuf>,
}

/// What else there is to say of an endpoint.
#[derive(Debug, Args, Serialize)]
struct Terms {
    /// Where it is bound, comma-separated; `public` unless said otherwise
    #[arg(long, value_name = "BINDINGS", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Option::is_none")]
    bindings: Option<Vec<String>>,
    /// Whether several endpoints may share the address
    #[arg(long, value_name = "BOOLEAN", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pooling_enabled: Option<bool>,
    #[command(flatten)]
    #[serde(flatten)]
    notes: Notes,
}

#[derive(Serialize)]
struct Body {
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traffic_policy: Option<String>,
    #[serde(flatten)]
    terms: Terms,
}

impl PolicyText {
    fn read(self) -> anyhow::Result<Option<String>> {
        match (self.traffic_policy, self.traffic_policy_file) {
            (Some(policy), _) => Ok(Some(policy)),
            (None, Some(file)) => input::text(&file).map(Some),
            (None, None) => Ok(None),
        }
    }
}

pub(super) async fn run(api: &Api, output: Output, verb: Verb) -> anyhow::Result<()> {
    match verb {
        Verb::Create(New { url, r#type, policy, terms }) => {
            let traffic_policy = policy.read()?;
            let body = Body { url: Some(url), r#type: Some(r#type), traffic_policy, terms };
            output.one(&api.create(PATH, &body).await?)
        }
        Verb::List { url, id, part } => {
            let ids: Vec<_> = id.iter().map(ToString::to_string).collect();
            let ids = ids.iter().map(|id| ("id", id.as_str()));
            let only: Vec<_> = url.iter().map(|url| ("url", url.as_str())).chain(ids).collect();
            output.list(&api.get(&part.path(PATH, &only)).await?, "endpoints", COLUMNS)
        }
        Verb::Get { id } => output.one(&api.get(&format!("{PATH}/{id}")).await?),
        Verb::Update { id, change: Change { url, policy, terms } } => {
            let body = Body { url, r#type: None, traffic_policy: policy.read()?, terms };
            output.one(&api.change(&format!("{PATH}/{id}"), &body).await?)
        }
        Verb::Delete { id } => {
            api.delete(&format!("{PATH}/{id}")).await?;
            output.done(&format!("The endpoint {id} is deleted."))
        }
        Verb::Apply { file } => apply::run(api, output, &file).await,
    }
}
