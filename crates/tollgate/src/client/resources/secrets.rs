//! `tollgate secrets`. Values go in and never come out.

mod create;

use clap::{Args, Subcommand};
use model::Secret;
use serde::Serialize;

use self::create::New;
use crate::client::api::{Api, Id};
use crate::client::input::SecretText;
use crate::client::listing::Part;
use crate::client::notes::Notes;
use crate::client::output::{Columns, Output};

const PATH: &str = "/vault_secrets";
pub(super) const COLUMNS: Columns = &[
    ("ID", "/id"),
    ("VAULT", "/vault_name"),
    ("NAME", "/name"),
    ("UPDATED", "/updated_at"),
    ("DESCRIPTION", "/description"),
];

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Keep secrets in a vault
    ///
    /// Either one secret in a vault that is there, or with --secret-data all members of a JSON object as
    /// secrets of the vault --name, which is made if it is not there. A traffic policy then reads them as
    /// ${secrets.get('vault', 'secret')}.
    #[command(after_help = EXAMPLES)]
    Create(New),
    /// List secrets, the newest first
    #[command(after_help = "Example:\n  tollgate secrets list --limit 10")]
    List(Part),
    /// Show what is known of a secret, but not its value
    #[command(after_help = "Example:\n  tollgate secrets get secret_0197…")]
    Get {
        /// The secret's id
        id: Id,
    },
    /// Change what is said here, and nothing else
    #[command(after_help = "Example:\n  tollgate secrets update secret_0197… --value-file new-key.txt")]
    Update {
        /// The secret's id
        id: Id,
        #[command(flatten)]
        change: Change,
    },
    /// Delete a secret; policies that read it refuse their requests from then on
    #[command(after_help = "Example:\n  tollgate secrets delete secret_0197…")]
    Delete {
        /// The secret's id
        id: Id,
    },
}

const EXAMPLES: &str = r#"Examples:
  tollgate secrets create --name openai --secret-data '{"api-key": "sk-proj-…"}'
  tollgate secrets create --name openai --secret-data - < keys.json
  tollgate secrets create --vault-name openai --name api-key --value-file key.txt"#;

/// What a secret is to be.
#[derive(Debug, Args)]
pub(crate) struct Change {
    /// What policies call it from now on
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    text: SecretText,
    #[command(flatten)]
    notes: Notes,
}

/// The same as it is sent.
#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vault_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vault_name: Option<&'a str>,
    #[serde(flatten)]
    notes: &'a Notes,
}

pub(super) async fn run(api: &Api, output: Output, verb: Verb) -> anyhow::Result<()> {
    match verb {
        Verb::Create(new) => create::run(api, output, new).await,
        Verb::List(part) => output.list(&api.get(&part.path(PATH, &[])).await?, "secrets", COLUMNS),
        Verb::Get { id } => output.one(&api.get(&format!("{PATH}/{id}")).await?),
        Verb::Update { id, change: Change { name, text, notes } } => {
            let value = text.read()?;
            let value = value.as_ref().map(Secret::expose);
            let body = Body { name: name.as_deref(), value, vault_id: None, vault_name: None, notes: &notes };
            output.one(&api.change(&format!("{PATH}/{id}"), &body).await?)
        }
        Verb::Delete { id } => {
            api.delete(&format!("{PATH}/{id}")).await?;
            output.done(&format!("The secret {id} is deleted."))
        }
    }
}
