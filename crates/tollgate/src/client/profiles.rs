//! `tollgate profiles`: the APIs that this person has logged in at. Tokens are never shown.

use anyhow::ensure;
use clap::Subcommand;
use serde::Serialize;

use super::config::Config;
use super::output::{Output, print_json, table};
use super::session::On;

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List the profiles; `*` stands before the current one
    List,
    /// Make a profile the current one
    #[command(after_help = "Example:\n  tollgate profiles use work")]
    Use {
        /// Which one
        name: String,
    },
    /// Forget a profile and its token
    ///
    /// The token stays good: whoever has it can use it until it is deleted at the API.
    #[command(after_help = "Example:\n  tollgate profiles remove work")]
    Remove {
        /// Which one
        name: String,
    },
}

#[derive(Serialize)]
struct Shown<'a> {
    name: &'a str,
    url: String,
    current: bool,
}

pub(crate) fn run(On { place, output, verb }: On<Verb>) -> anyhow::Result<()> {
    let (file, output) = (place.file()?, output.output.unwrap_or(Output::Table));
    let mut config = Config::read(&file)?;
    match verb {
        Verb::List => list(&config, output),
        Verb::Use { name } => {
            config.profile(Some(&name))?;
            let sentence = format!("`{name}` is now the current profile.");
            config.current = Some(name);
            config.write(&file)?;
            output.done(&sentence)
        }
        Verb::Remove { name } => {
            ensure!(config.profiles.remove(&name).is_some(), "there is no profile `{name}`");
            if config.current.as_deref() == Some(&name) {
                config.current = None;
            }
            config.write(&file)?;
            output.done(&format!("The profile `{name}` is forgotten; its token is still good at its API."))
        }
    }
}

fn list(config: &Config, output: Output) -> anyhow::Result<()> {
    let shown = config.profiles.iter().map(|(name, profile)| Shown {
        name,
        url: profile.url.to_string(),
        current: config.current.as_deref() == Some(name.as_str()),
    });
    let shown: Vec<_> = shown.collect();
    match output {
        Output::Json => print_json(&shown),
        Output::Table => {
            let mark = |current: bool| if current { "*" } else { "" }.to_owned();
            let rows = shown.iter().map(|one| vec![mark(one.current), one.name.to_owned(), one.url.clone()]);
            super::output::print(&table(&["", "NAME", "URL"], &rows.collect::<Vec<_>>()))
        }
    }
}
