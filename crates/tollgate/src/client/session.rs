//! Which API is called, with which token, and in which form the answer is shown.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use model::Secret;

use super::address::Address;
use super::api::Api;
use super::config::{self, Config};
use super::output::Output;

/// A resource with what is to be done, where, and how it is told.
#[derive(Debug, Args)]
pub(crate) struct On<V: Subcommand> {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) output: OutputChoice,
    #[command(subcommand)]
    pub(crate) verb: V,
}

/// Where the API is.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// The profile to use in the place of the current one
    #[arg(long, global = true, value_name = "NAME", env = "TOLLGATE_PROFILE", help_heading = "Where")]
    pub(crate) profile: Option<String>,
    /// The file of profiles, otherwise tollgate/config.json where the system keeps configuration
    #[arg(long, global = true, value_name = "FILE", env = "TOLLGATE_CONFIG", help_heading = "Where")]
    pub(crate) config: Option<PathBuf>,
}

/// How answers are shown.
#[derive(Debug, Args)]
pub(crate) struct OutputChoice {
    /// A table for people, or the API's own objects as JSON
    #[arg(long, short, global = true, value_enum, value_name = "FORM")]
    pub(crate) output: Option<Output>,
}

/// What the environment says, which goes before profiles.
#[derive(Debug, Default)]
struct Environment {
    url: Option<String>,
    token: Option<Secret>,
}

impl Place {
    /// The file of profiles.
    pub(crate) fn file(&self) -> anyhow::Result<PathBuf> {
        match &self.config {
            Some(file) => Ok(file.clone()),
            None => config::usual_place(),
        }
    }

    /// The API that is meant, ready to be called.
    pub(crate) fn api(&self) -> anyhow::Result<Api> {
        let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let environment =
            Environment { url: set("TOLLGATE_API_URL"), token: set("TOLLGATE_API_TOKEN").map(Secret::new) };
        let config = match (&environment, &self.profile) {
            // Nothing of the file is needed, so nothing can be wrong with it.
            (Environment { url: Some(_), token: Some(_) }, None) => Config::default(),
            _ => Config::read(&self.file()?)?,
        };
        let (address, token) = chosen(&config, self.profile.as_deref(), environment)?;
        Api::new(address, &token)
    }
}

/// Whom to call, and with which token. The token of a profile is for the API of that profile alone.
fn chosen(
    config: &Config,
    named: Option<&str>,
    environment: Environment,
) -> anyhow::Result<(Address, Secret)> {
    let profile = config.profile(named)?;
    let Environment { url, token } = environment;
    let url: Option<Address> =
        url.map(|url| url.parse()).transpose().context("TOLLGATE_API_URL is no address of an API")?;
    match (url, token, profile) {
        (Some(url), Some(token), _) => Ok((url, token)),
        (None, Some(token), Some(profile)) => Ok((profile.url.clone(), token)),
        (None, None, Some(profile)) => Ok((profile.url.clone(), profile.token.clone())),
        (Some(url), None, Some(profile)) if profile.url == url => Ok((url, profile.token.clone())),
        (Some(url), None, _) => {
            bail!(
                "no token is known for {url}: log in there, or set TOLLGATE_API_TOKEN beside TOLLGATE_API_URL"
            )
        }
        (None, Some(_), None) => {
            bail!("TOLLGATE_API_TOKEN is for an API whose address TOLLGATE_API_URL says")
        }
        (None, None, None) => {
            bail!("no API is known: `tollgate login --url …`, or set TOLLGATE_API_URL and TOLLGATE_API_TOKEN")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::config::Profile;

    fn config() -> Config {
        let profile = Profile { url: "https://a.example".parse().unwrap(), token: Secret::new("of-a") };
        Config { current: Some("a".to_owned()), profiles: [("a".to_owned(), profile)].into() }
    }

    fn choose(config: &Config, url: Option<&str>, token: Option<&str>) -> Result<(String, String), String> {
        let environment = Environment { url: url.map(str::to_owned), token: token.map(Secret::new) };
        let chosen = chosen(config, None, environment);
        let told = chosen.map(|(address, token)| (address.to_string(), token.expose().to_owned()));
        told.map_err(|error| error.to_string())
    }

    #[test]
    fn the_environment_goes_before_the_profile() {
        let config = config();
        let pair = |url: &str, token: &str| Ok((url.to_owned(), token.to_owned()));
        assert_eq!(choose(&config, None, None), pair("https://a.example", "of-a"));
        assert_eq!(choose(&config, None, Some("other")), pair("https://a.example", "other"));
        assert_eq!(choose(&config, Some("http://b.example"), Some("of-b")), pair("http://b.example", "of-b"));
        assert_eq!(choose(&config, Some("https://a.example/"), None), pair("https://a.example", "of-a"));
    }

    #[test]
    fn a_token_is_not_sent_to_another_api_than_its_own() {
        let told = choose(&config(), Some("https://b.example"), None).unwrap_err();
        assert!(told.contains("no token is known for https://b.example"), "{told}");
    }

    #[test]
    fn what_is_missing_is_said() {
        let nothing = Config::default();
        assert!(choose(&nothing, None, None).unwrap_err().contains("tollgate login"));
        assert!(choose(&nothing, None, Some("x")).unwrap_err().contains("TOLLGATE_API_URL"));
        assert!(choose(&nothing, Some("nowhere"), Some("x")).unwrap_err().contains("TOLLGATE_API_URL"));
    }
}
