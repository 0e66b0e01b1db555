//! `tollgate vaults`.

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::client::api::{Api, Id};
use crate::client::listing::Part;
use crate::client::notes::Notes;
use crate::client::output::{Columns, Output};

const PATH: &str = "/vaults";
const COLUMNS: Columns =
    &[("ID", "/id"), ("NAME", "/name"), ("CREATED", "/created_at"), ("DESCRIPTION", "/description")];

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Make a vault
    #[command(after_help = "Example:\n  tollgate vaults create --name openai --description 'Keys at OpenAI'")]
    Create(New),
    /// List vaults, the newest first
    #[command(after_help = "Example:\n  tollgate vaults list --limit 10")]
    List(Part),
    /// Show a vault
    #[command(after_help = "Example:\n  tollgate vaults get vault_0197…")]
    Get {
        /// The vault's id
        id: Id,
    },
    /// List the secrets of a vault; their values are never shown
    #[command(after_help = "Example:\n  tollgate vaults secrets vault_0197…")]
    Secrets {
        /// The vault's id
        id: Id,
        #[command(flatten)]
        part: Part,
    },
    /// Change what is said here, and nothing else
    #[command(after_help = "Example:\n  tollgate vaults update vault_0197… --name anthropic")]
    Update {
        /// The vault's id
        id: Id,
        #[command(flatten)]
        change: Change,
    },
    /// Delete a vault that holds no secrets any more
    #[command(after_help = "Example:\n  tollgate vaults delete vault_0197…")]
    Delete {
        /// The vault's id
        id: Id,
    },
}

/// A vault to be made.
#[derive(Debug, Args, Serialize)]
pub(crate) struct New {
    /// What policies call it
    #[arg(long)]
    pub(super) name: String,
    #[command(flatten)]
    #[serde(flatten)]
    pub(super) notes: Notes,
}

/// What a vault is to be.
#[derive(Debug, Args, Serialize)]
pub(crate) struct Change {
    /// What policies call it from now on
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[command(flatten)]
    #[serde(flatten)]
    notes: Notes,
}

pub(super) async fn run(api: &Api, output: Output, verb: Verb) -> anyhow::Result<()> {
    match verb {
        Verb::Create(new) => output.one(&api.create(PATH, &new).await?),
        Verb::List(part) => output.list(&api.get(&part.path(PATH, &[])).await?, "vaults", COLUMNS),
        Verb::Get { id } => output.one(&api.get(&format!("{PATH}/{id}")).await?),
        Verb::Secrets { id, part } => {
            let secrets = api.get(&part.path(&format!("{PATH}/{id}/secrets"), &[])).await?;
            output.list(&secrets, "secrets", super::secrets::COLUMNS)
        }
        Verb::Update { id, change } => output.one(&api.change(&format!("{PATH}/{id}"), &change).await?),
        Verb::Delete { id } => {
            api.delete(&format!("{PATH}/{id}")).await?;
            output.done(&format!("The vault {id} is deleted."))
        }
    }
}
