//! New secrets: one in a vault that is there, or several in a vault that is made for them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use model::Secret;
use serde::Serialize;
use serde_json::Value;

use super::{Body, COLUMNS, PATH};
use crate::client::api::{Api, CallFailed};
use crate::client::input::{self, SecretText};
use crate::client::notes::Notes;
use crate::client::output::Output;
use crate::client::resources::vaults;

const NO_SUCH_VAULT: u16 = 24009;
const VAULT_TAKEN: u16 = 23004;

/// A secret to be kept, or several.
#[derive(Debug, Args)]
pub(crate) struct New {
    /// What policies call the secret; with --secret-data, the vault
    #[arg(long)]
    name: String,
    #[command(flatten)]
    text: SecretText,
    /// A JSON object whose members are secrets, `-` for standard input
    #[arg(long, value_name = "JSON", conflicts_with_all = ["value", "value_file", "vault_id", "vault_name"])]
    secret_data: Option<Secret>,
    /// The vault that the secret goes to, by its id
    #[arg(long, value_name = "ID", conflicts_with = "vault_name")]
    vault_id: Option<String>,
    /// The vault that the secret goes to, by its name
    #[arg(long, value_name = "NAME")]
    vault_name: Option<String>,
    #[command(flatten)]
    notes: Notes,
}

/// What was made of an object.
#[derive(Default, Serialize)]
struct Made {
    secrets: Vec<Value>,
}

pub(super) async fn run(api: &Api, output: Output, new: New) -> anyhow::Result<()> {
    let New { name, text, secret_data, vault_id, vault_name, notes } = new;
    if let Some(data) = secret_data {
        return several(api, output, &name, &data, &notes).await;
    }
    let Some(value) = text.read()? else {
        bail!("the secret has no value: say it with --value-file, --value or --secret-data");
    };
    ensure!(
        vault_id.is_some() || vault_name.is_some(),
        "say in which vault: --vault-name or --vault-id, or use --secret-data, which makes one"
    );
    let body = Body {
        name: Some(&name),
        value: Some(value.expose()),
        vault_id: vault_id.as_deref(),
        vault_name: vault_name.as_deref(),
        notes: &notes,
    };
    output.one(&api.create(PATH, &body).await?)
}

async fn several(api: &Api, output: Output, vault: &str, data: &Secret, notes: &Notes) -> anyhow::Result<()> {
    let data = match data.expose() {
        "-" => members(input::secret(Path::new("-"))?.expose())?,
        text => members(text)?,
    };
    let mut made = Made::default();
    let mut ended = Ok(());
    for (name, value) in &data {
        match kept(api, vault, name, value, notes).await {
            Ok(secret) => made.secrets.push(secret),
            Err(error) => {
                ended = Err(error).with_context(|| format!("secret `{name}` of vault `{vault}`"));
                break;
            }
        }
    }
    // What was kept before something went wrong is kept, and is told.
    if ended.is_ok() || !made.secrets.is_empty() {
        output.list(&serde_json::to_value(&made)?, "secrets", COLUMNS)?;
    }
    ended
}

/// Keeps a secret in the vault of this name. The vault is made only when it is needed, so that an account
/// that can have no more vaults can still use those that it has.
async fn kept(
    api: &Api,
    vault: &str,
    name: &str,
    value: &Secret,
    notes: &Notes,
) -> Result<Value, CallFailed> {
    let body = Body {
        name: Some(name),
        value: Some(value.expose()),
        vault_id: None,
        vault_name: Some(vault),
        notes,
    };
    match api.create(PATH, &body).await {
        Err(refused) if refused.is(NO_SUCH_VAULT) => {
            let notes = Notes { description: None, metadata: None };
            match api.create("/vaults", &vaults::New { name: vault.to_owned(), notes }).await {
                // Somebody else has made it meanwhile.
                Err(refused) if !refused.is(VAULT_TAKEN) => return Err(refused),
                _ => {}
            }
            api.create(PATH, &body).await
        }
        answered => answered,
    }
}

/// The members of a JSON object. What is wrong with it is told without quoting it.
fn members(text: &str) -> anyhow::Result<BTreeMap<String, Secret>> {
    let read: Result<BTreeMap<String, Secret>, _> = serde_json::from_str(text);
    let members = read.map_err(|error| {
        let (line, column) = (error.line(), error.column());
        anyhow::anyhow!(
            "--secret-data is no JSON object of texts (line {line}, column {column}); expected {}",
            r#"{"api-key": "sk-…"}"#
        )
    })?;
    ensure!(!members.is_empty(), "--secret-data has no members");
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_members_of_an_object_are_secrets() {
        let read = members(r#"{"api-key": "sk-proj-1", "second": "sk-proj-2"}"#).unwrap();
        let read: Vec<_> = read.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
        assert_eq!(read, [("api-key", "sk-proj-1"), ("second", "sk-proj-2")]);
    }

    #[test]
    fn what_is_no_such_object_is_told_without_its_secrets() {
        for text in ["hush", "\"hush\"", "{}", "[\"hush\"]", r#"{"a": {"b": "hush"}}"#, r#"{"a": "hush"#] {
            let told = members(text).unwrap_err().to_string();
            assert!(told.starts_with("--secret-data") && !told.contains("hush"), "{told}");
        }
    }
}
