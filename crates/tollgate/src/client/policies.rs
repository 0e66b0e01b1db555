//! `tollgate policy`: traffic policies on this machine, before anybody else sees them.

pub(crate) mod check;
mod choice;
mod explain;
mod message;
mod play;

use std::process::ExitCode;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Say what is wrong with traffic policies, each problem with its place and what would be right
    ///
    /// Reads policies in YAML or JSON, and configuration files of agents with the policies of their
    /// endpoints. Ends with 1 if anything is wrong.
    #[command(after_help = "Example:\n  tollgate policy check policy.yaml")]
    Check(check::Check),
    /// Play a traffic policy on a request and say what it does, without asking anybody
    ///
    /// The request is a text as HTTP/1.1 has it: a request line, headers, an empty line, a body. What a
    /// policy would ask of the outside is named, with what is assumed instead of an answer.
    #[command(after_help = explain::EXAMPLE)]
    Explain(Box<explain::Explain>),
}

pub(super) fn run(verb: Verb) -> anyhow::Result<ExitCode> {
    match verb {
        Verb::Check(check) => check.run(),
        Verb::Explain(explain) => explain.run(),
    }
}
