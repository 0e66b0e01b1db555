//! `tollgate login`: a token is tried, and kept in a profile if it is good.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use model::Secret;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::address::Address;
use super::api::Api;
use super::config::{Config, DEFAULT, Profile};
use super::input;
use super::output::print;
use super::session::Place;

/// Where to log in.
#[derive(Debug, Args)]
pub(crate) struct Login {
    /// Where the management API is
    #[arg(long)]
    url: Address,
    /// Read the API token from standard input, for scripts; otherwise it is asked for
    #[arg(long)]
    token_stdin: bool,
    #[command(flatten)]
    place: Place,
}

impl Login {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let Self { url, token_stdin, place } = self;
        let token = match token_stdin {
            true => input::secret(Path::new("-"))?,
            false => asked()?,
        };
        let token = Secret::new(token.expose().trim());
        ensure!(!token.expose().is_empty(), "there is no token");
        if url.is_overheard() {
            eprintln!(
                "tollgate: the token goes to {url} in the open, where others may read it; use https://"
            );
        }
        let verified = Api::new(url.clone(), &token)?.get("/client/v4/user/tokens/verify").await?;
        match verified.pointer("/result/status").and_then(serde_json::Value::as_str) {
            Some("active") => {}
            Some(other) => bail!("this token is {other}"),
            None => bail!("{url} does not say whether the token is good; is this a management API?"),
        }
        let (file, name) = (place.file()?, place.profile.as_deref().unwrap_or(DEFAULT).to_owned());
        let mut config = Config::read(&file)?;
        config.profiles.insert(name.clone(), Profile { url: url.clone(), token });
        config.current = Some(name.clone());
        config.write(&file)?;
        print(&format!(
            "Logged in at {url}. The profile `{name}` in {} is now the current one.\n",
            file.display()
        ))
    }
}

/// Asks for the token, and does not show what is typed.
fn asked() -> anyhow::Result<Secret> {
    ensure!(io::stdin().is_terminal(), "nobody is there to be asked for the token: use --token-stdin");
    eprint!("API token: ");
    io::stderr().flush()?;
    let mut line = zeroize::Zeroizing::new(String::new());
    let read = {
        let _silence = Silence::begin().context("the terminal cannot be kept from showing the token")?;
        io::stdin().read_line(&mut line)
    };
    eprintln!();
    read.context("the token cannot be read")?;
    Ok(Secret::new(line.as_str()))
}

/// While it lives, the terminal does not show what is typed.
struct Silence(Termios);

impl Silence {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Now, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // There is nobody to tell, and the shell sets its terminal right too.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}
