//! The command-line client: what people and their scripts say to the management API, and what they can find
//! out without it.

mod address;
mod agent_config;
mod api;
mod config;
mod input;
mod listing;
mod login;
mod models;
mod notes;
mod output;
mod policies;
mod profiles;
mod resources;
mod session;

use std::process::ExitCode;

use clap::{CommandFactory, Subcommand};
use clap_complete::Shell;

use self::api::CallFailed;
use self::output::Output;
use self::resources::Resource;

/// An errand of a person or a script.
#[derive(Debug, Subcommand)]
pub(crate) enum Client {
    /// Log in at a management API with an API token, and remember both in a profile
    #[command(after_help = "Examples:
  tollgate login --url https://api.example.com
  tollgate login --url http://127.0.0.1:8081 --profile home --token-stdin < token.txt")]
    Login(login::Login),
    /// The profiles that `tollgate login` made
    #[command(after_help = "Example:\n  tollgate profiles list")]
    Profiles(session::On<profiles::Verb>),
    #[command(flatten)]
    Resource(Box<Resource>),
    /// The same resources for scripts: answers are JSON unless --output says otherwise
    #[command(subcommand, after_help = "Example:\n  tollgate api endpoints list")]
    Api(Box<Resource>),
    /// Search the models that this release knows
    #[command(after_help = "Example:\n  tollgate models --provider anthropic --feature tool-calling")]
    Models(models::Search),
    /// Check traffic policies, and see what they do
    #[command(subcommand)]
    Policy(policies::Verb),
    /// Print a script that completes commands in a shell
    #[command(
        after_help = "Example:\n  tollgate completions bash > ~/.local/share/bash-completion/completions/tollgate"
    )]
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// What the exit codes mean, for `--help`.
pub(crate) const EXIT_CODES: &str = "Exit codes: 0 done, 1 refused or failed, 2 the command makes no sense, \
3 the API cannot be reached, 4 the token is not accepted, 5 there is no such thing.";

impl Client {
    /// Does it. A failure is told here, because its kind decides the exit code.
    pub(crate) async fn run<Program: CommandFactory>(self) -> ExitCode {
        match self.done::<Program>().await {
            Ok(code) => code,
            Err(error) => {
                eprintln!("tollgate: {error:#}");
                exit_code(&error)
            }
        }
    }

    async fn done<Program: CommandFactory>(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Login(login) => login.run().await?,
            Self::Profiles(on) => profiles::run(on)?,
            Self::Resource(resource) => resource.run(Output::Table).await?,
            Self::Api(resource) => resource.run(Output::Json).await?,
            Self::Models(search) => search.run()?,
            Self::Policy(verb) => return policies::run(verb),
            Self::Completions { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut Program::command(), "tollgate", &mut script);
                output::print(&String::from_utf8(script)?)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn exit_code(error: &anyhow::Error) -> ExitCode {
    match error.downcast_ref() {
        Some(CallFailed::Unreachable { .. } | CallFailed::Strange { .. }) => ExitCode::from(3),
        Some(CallFailed::Refused { status: 401 | 403, .. }) => ExitCode::from(4),
        Some(CallFailed::Refused { status: 404, .. }) => ExitCode::from(5),
        Some(CallFailed::Refused { .. }) | None => ExitCode::FAILURE,
    }
}
