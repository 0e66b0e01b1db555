//! `tollgate ai-gateway-api-keys`: what callers present to an endpoint. The key itself is shown once, when
//! it is made.

use std::path::Path;

use anyhow::ensure;
use clap::{Args, Subcommand};
use model::Secret;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::client::api::{Api, Id};
use crate::client::input;
use crate::client::listing::Part;
use crate::client::notes::Notes;
use crate::client::output::{Columns, Output};

const PATH: &str = "/ai_gateway_api_keys";
const COLUMNS: Columns = &[
    ("ID", "/id"),
    ("KEY", "/display_name"),
    ("ENDPOINT", "/endpoint/id"),
    ("CREATED", "/created_at"),
    ("DESCRIPTION", "/description"),
];

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Make a key for callers of an endpoint; it is shown now and never again
    #[command(after_help = EXAMPLES)]
    Create(New),
    /// List keys, the newest first
    #[command(after_help = "Example:\n  tollgate ai-gateway-api-keys list --limit 10")]
    List(Part),
    /// Show what is known of a key
    #[command(after_help = "Example:\n  tollgate ai-gateway-api-keys get aigk_0197…")]
    Get {
        /// The key's id
        id: Id,
    },
    /// Change what is said here, and nothing else
    #[command(
        after_help = "Example:\n  tollgate ai-gateway-api-keys update aigk_0197… --description 'The shop'"
    )]
    Update {
        /// The key's id
        id: Id,
        #[command(flatten)]
        change: Change,
    },
    /// Delete a key; callers who present it are refused from then on
    #[command(after_help = "Example:\n  tollgate ai-gateway-api-keys delete aigk_0197…")]
    Delete {
        /// The key's id
        id: Id,
    },
}

const EXAMPLES: &str = r#"Examples:
  tollgate ai-gateway-api-keys create --endpoint-id ep_0197… --description 'The shop'
  echo '[{"provider_id": "openai", "value": "sk-…"}]' |
    tollgate ai-gateway-api-keys create --endpoint-id ep_0197… --provider-keys -"#;

/// A key to be made.
#[derive(Debug, Args)]
pub(crate) struct New {
    /// The endpoint that the key is for
    #[arg(long, value_name = "ID")]
    endpoint_id: Id,
    /// Keys at providers that belong to it, as a JSON list; `-` for standard input
    #[arg(long, value_name = "JSON")]
    provider_keys: Option<Secret>,
    #[command(flatten)]
    notes: Notes,
}

#[derive(Serialize)]
struct Body<'a> {
    endpoint_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_keys: Option<&'a RawValue>,
    #[serde(flatten)]
    notes: &'a Notes,
}

/// What a key is to be.
#[derive(Debug, Args)]
pub(crate) struct Change {
    /// The endpoint that the key is for from now on
    #[arg(long, value_name = "ID")]
    endpoint_id: Option<Id>,
    #[command(flatten)]
    notes: Notes,
}

#[derive(Serialize)]
struct ChangeBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint_id: Option<String>,
    #[serde(flatten)]
    notes: &'a Notes,
}

pub(super) async fn run(api: &Api, output: Output, verb: Verb) -> anyhow::Result<()> {
    match verb {
        Verb::Create(New { endpoint_id, provider_keys, notes }) => {
            let given = match provider_keys {
                Some(given) if given.expose() == "-" => Some(input::secret(Path::new("-"))?),
                given => given,
            };
            let provider_keys = given.as_ref().map(|given| list(given.expose())).transpose()?;
            let body = Body { endpoint_id: endpoint_id.to_string(), provider_keys, notes: &notes };
            output.one(&api.create(PATH, &body).await?)
        }
        Verb::List(part) => {
            output.list(&api.get(&part.path(PATH, &[])).await?, "ai_gateway_api_keys", COLUMNS)
        }
        Verb::Get { id } => output.one(&api.get(&format!("{PATH}/{id}")).await?),
        Verb::Update { id, change: Change { endpoint_id, notes } } => {
            let body = ChangeBody { endpoint_id: endpoint_id.map(|id| id.to_string()), notes: &notes };
            output.one(&api.change(&format!("{PATH}/{id}"), &body).await?)
        }
        Verb::Delete { id } => {
            api.delete(&format!("{PATH}/{id}")).await?;
            output.done(&format!("The key {id} is deleted."))
        }
    }
}

/// A JSON list, which goes to the API as it is: that knows what may stand in it, and says so.
fn list(text: &str) -> anyhow::Result<&RawValue> {
    let read: Option<&RawValue> = serde_json::from_str(text).ok();
    let list = read.filter(|read| read.get().starts_with('['));
    ensure!(
        list.is_some(),
        r#"--provider-keys is no JSON list; expected [{{"provider_id": "openai", "value": "sk-…"}}]"#
    );
    Ok(list.unwrap_or(RawValue::NULL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn provider_keys_are_a_list() {
        assert_eq!(
            list(" [ {\"provider_id\": \"openai\"} ] ").unwrap().get(),
            "[ {\"provider_id\": \"openai\"} ]"
        );
        for text in ["", "hush", "{}", "[", "\"hush\""] {
            let told = list(text).unwrap_err().to_string();
            assert!(told.starts_with("--provider-keys") && !told.contains("hush"), "{told}");
        }
    }
}
