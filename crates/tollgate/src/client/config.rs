//! The file of profiles: which management APIs there are, and the token for each. It is its owner's alone.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use model::Secret;
use serde::{Deserialize, Serialize, Serializer};

use super::address::Address;

/// What the profile is called if nobody says otherwise.
pub(crate) const DEFAULT: &str = "default";

/// All that is in the file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The profile that is used if none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) current: Option<String>,
    /// Profiles by their names.
    #[serde(default)]
    pub(crate) profiles: BTreeMap<String, Profile>,
}

/// An API and the token that it is called with.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    /// Where the API is.
    pub(crate) url: Address,
    /// The token.
    #[serde(serialize_with = "exposed")]
    pub(crate) token: Secret,
}

/// This file, readable by its owner alone, is where tokens are kept.
fn exposed<S: Serializer>(token: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(token.expose())
}

impl Config {
    /// Reads the file; one that is not there has no profiles.
    pub(crate) fn read(file: &Path) -> anyhow::Result<Self> {
        let text = match fs::read_to_string(file) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            read => read.with_context(|| format!("cannot read {}", file.display()))?,
        };
        if fs::metadata(file).is_ok_and(|about| about.permissions().mode() & 0o077 != 0) {
            eprintln!("tollgate: others can read the tokens in {0}: chmod 600 {0}", file.display());
        }
        // The parser's own message could quote a token.
        serde_json::from_str(&text).map_err(|error| {
            anyhow::anyhow!(
                "{}:{}:{}: this is not as it should be",
                file.display(),
                error.line(),
                error.column()
            )
        })
    }

    /// Writes the file anew. Whoever reads it meanwhile reads the old one.
    pub(crate) fn write(&self, file: &Path) -> anyhow::Result<()> {
        let cannot = || format!("cannot write {}", file.display());
        let directory = file.parent().with_context(cannot)?;
        DirBuilder::new().recursive(true).mode(0o700).create(directory).with_context(cannot)?;
        let new = file.with_extension(format!("{}.new", std::process::id()));
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        let mut options = OpenOptions::new();
        let opened = options.write(true).create_new(true).mode(0o600).open(&new);
        let written = opened.and_then(|mut opened| {
            opened.write_all(text.as_bytes())?;
            opened.sync_all()?;
            fs::rename(&new, file)
        });
        if written.is_err() {
            // What is half written is of no use to anybody.
            let _ = fs::remove_file(&new);
        }
        written.with_context(cannot)
    }

    /// The profile of this name, or the current one.
    pub(crate) fn profile(&self, named: Option<&str>) -> anyhow::Result<Option<&Profile>> {
        let Some(name) = named.or(self.current.as_deref()) else { return Ok(None) };
        match self.profiles.get(name) {
            Some(profile) => Ok(Some(profile)),
            None if self.profiles.is_empty() => {
                bail!("there is no profile `{name}`: `tollgate login --url … --profile {name}` makes it")
            }
            None => {
                let known: Vec<_> = self.profiles.keys().map(|known| format!("`{known}`")).collect();
                bail!("there is no profile `{name}`, only {}", known.join(", "))
            }
        }
    }
}

/// Where the file is unless somebody says otherwise.
pub(crate) fn usual_place() -> anyhow::Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")));
    let folder = folder.context("neither XDG_CONFIG_HOME nor HOME says where configuration is kept")?;
    Ok(folder.join("tollgate").join("config.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(url: &str) -> Profile {
        Profile { url: url.parse().unwrap(), token: Secret::new("token-of-a-test") }
    }

    fn two() -> Config {
        let profiles = [("home", "http://127.0.0.1:8081"), ("work", "https://api.example.com")];
        let profiles = profiles.map(|(name, url)| (name.to_owned(), profile(url)));
        Config { current: Some("work".to_owned()), profiles: profiles.into() }
    }

    #[test]
    fn what_is_written_is_read_again_and_is_nobody_elses() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new").join("config.json");
        assert!(Config::read(&file).unwrap().profiles.is_empty());
        two().write(&file).unwrap();
        two().write(&file).unwrap();
        let read = Config::read(&file).unwrap();
        assert_eq!(read.current.as_deref(), Some("work"));
        assert_eq!(read.profile(Some("home")).unwrap().unwrap().token.expose(), "token-of-a-test");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1, "nothing else is left there");
    }

    #[test]
    fn a_broken_file_is_told_with_its_place_and_without_its_tokens() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.json");
        for text in [
            r#"{"profiles": {"a": {"url": "https://a.example", "token": "hush", }}}"#,
            r#"{"profiles": {"a": {"url": "hush", "token": "hush"}}}"#,
            r#"{"profiles": {"a": "hush"}}"#,
        ] {
            fs::write(&file, text).unwrap();
            let told = format!("{:#}", Config::read(&file).unwrap_err());
            assert!(told.contains("config.json:1:") && !told.contains("hush"), "{told}");
        }
    }

    #[test]
    fn a_profile_is_the_named_one_or_the_current_one() {
        let config = two();
        let url = |named| config.profile(named).map(|found| found.map(|profile| profile.url.to_string()));
        assert_eq!(url(None).unwrap().as_deref(), Some("https://api.example.com"));
        assert_eq!(url(Some("home")).unwrap().as_deref(), Some("http://127.0.0.1:8081"));
        let told = url(Some("play")).unwrap_err().to_string();
        assert_eq!(told, "there is no profile `play`, only `home`, `work`");
        assert!(Config::default().profile(None).unwrap().is_none());
    }
}
