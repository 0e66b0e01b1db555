//! `tollgate ai-gateway-provider-keys`: keys at providers that one caller's key brings along. Values go in
//! and never come out.

use anyhow::bail;
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::client::api::{Api, Id};
use crate::client::input::SecretText;
use crate::client::listing::Part;
use crate::client::notes::Notes;
use crate::client::output::{Columns, Output};

const PATH: &str = "/ai_gateway_provider_keys";
const COLUMNS: Columns = &[
    ("ID", "/id"),
    ("PROVIDER", "/provider_id"),
    ("KEY", "/display_name"),
    ("OF", "/ai_gateway_api_key/id"),
    ("DESCRIPTION", "/description"),
];

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Attach a key at a provider to a caller's key; the newest is tried first
    #[command(after_help = EXAMPLE)]
    Create(New),
    /// List attached keys, the newest first
    #[command(
        after_help = "Example:\n  tollgate ai-gateway-provider-keys list --ai-gateway-api-key-id aigk_0197…"
    )]
    List {
        /// Only what is attached to this key
        #[arg(long, value_name = "ID")]
        ai_gateway_api_key_id: Option<Id>,
        #[command(flatten)]
        part: Part,
    },
    /// Show what is known of an attached key, but not its value
    #[command(after_help = "Example:\n  tollgate ai-gateway-provider-keys get aigpk_0197…")]
    Get {
        /// The attached key's id
        id: Id,
    },
    /// Change what is said here; for another value, attach a new key and delete this one
    #[command(
        after_help = "Example:\n  tollgate ai-gateway-provider-keys update aigpk_0197… --description spare"
    )]
    Update {
        /// The attached key's id
        id: Id,
        #[command(flatten)]
        notes: Notes,
    },
    /// Take an attached key away
    #[command(after_help = "Example:\n  tollgate ai-gateway-provider-keys delete aigpk_0197…")]
    Delete {
        /// The attached key's id
        id: Id,
    },
}

const EXAMPLE: &str = "Example:
  tollgate ai-gateway-provider-keys create --ai-gateway-api-key-id aigk_0197… \\
    --provider-id openai --value-file key.txt";

/// A key to be attached.
#[derive(Debug, Args)]
pub(crate) struct New {
    /// The caller's key that it belongs to
    #[arg(long, value_name = "ID")]
    ai_gateway_api_key_id: Id,
    /// The provider that the key is for, such as `openai`
    #[arg(long, value_name = "NAME")]
    provider_id: String,
    #[command(flatten)]
    text: SecretText,
    #[command(flatten)]
    notes: Notes,
}

#[derive(Serialize)]
struct Body<'a> {
    ai_gateway_api_key_id: String,
    provider_id: &'a str,
    value: &'a str,
    #[serde(flatten)]
    notes: &'a Notes,
}

pub(super) async fn run(api: &Api, output: Output, verb: Verb) -> anyhow::Result<()> {
    match verb {
        Verb::Create(New { ai_gateway_api_key_id, provider_id, text, notes }) => {
            let Some(value) = text.read()? else {
                bail!("the key has no value: say it with --value-file or --value");
            };
            let body = Body {
                ai_gateway_api_key_id: ai_gateway_api_key_id.to_string(),
                provider_id: &provider_id,
                value: value.expose(),
                notes: &notes,
            };
            output.one(&api.create(PATH, &body).await?)
        }
        Verb::List { ai_gateway_api_key_id, part } => {
            let of = ai_gateway_api_key_id.map(|id| id.to_string());
            let of: Vec<_> = of.iter().map(|id| ("ai_gateway_api_key_id", id.as_str())).collect();
            output.list(&api.get(&part.path(PATH, &of)).await?, "ai_gateway_provider_keys", COLUMNS)
        }
        Verb::Get { id } => output.one(&api.get(&format!("{PATH}/{id}")).await?),
        Verb::Update { id, notes } => output.one(&api.change(&format!("{PATH}/{id}"), &notes).await?),
        Verb::Delete { id } => {
            api.delete(&format!("{PATH}/{id}")).await?;
            output.done(&format!("The key {id} is detached."))
        }
    }
}
