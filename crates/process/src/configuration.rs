//! Configuration comes from the environment, one clap struct per concern, and whoever starts a
//! process with three mistakes is told of all three.

use std::error::Error as _;
use std::fmt;

use clap::builder::Resettable;
use clap::error::ErrorKind;
use clap::{Arg, Args, Command, FromArgMatches};

/// Reads a configuration whose fields name their variables with `#[arg(env = "…")]`. A variable
/// that is set to nothing counts as not set, which is what compose files and unit files mean by it.
pub fn from_environment<C: Args + FromArgMatches>() -> Result<C, Mistakes> {
    let command = C::augment_args(bare_command()).mut_args(without_empty_variable);
    let names = C::augment_args(bare_command());
    let mistakes: Vec<String> = command
        .get_arguments()
        .filter_map(|argument| {
            // Clap stops at the first mistake, so each argument is read once alone.
            let alone = bare_command().arg(argument.clone()).try_get_matches_from(NO_ARGUMENTS);
            let named = names.get_arguments().find(|original| original.get_id() == argument.get_id());
            alone.err().map(|error| describe(named.unwrap_or(argument), &error))
        })
        .collect();
    if !mistakes.is_empty() {
        return Err(Mistakes(mistakes));
    }
    let whole = command.try_get_matches_from(NO_ARGUMENTS);
    whole.and_then(|matches| C::from_arg_matches(&matches)).map_err(|error| Mistakes(vec![error.to_string()]))
}

/// Everything that is wrong with a configuration, one sentence each.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Mistakes(pub Vec<String>);

impl Mistakes {
    /// Joins the results of two configurations, so that the mistakes of both are told.
    pub fn both<A, B>(first: Result<A, Mistakes>, second: Result<B, Mistakes>) -> Result<(A, B), Mistakes> {
        match (first, second) {
            (Ok(first), Ok(second)) => Ok((first, second)),
            (Err(Mistakes(mut all)), Err(Mistakes(more))) => {
                all.extend(more);
                all.dedup();
                Err(Mistakes(all))
            }
            (Err(mistakes), _) | (_, Err(mistakes)) => Err(mistakes),
        }
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.0.len() == 1 { "mistake" } else { "mistakes" };
        write!(f, "the configuration has {} {noun}:", self.0.len())?;
        self.0.iter().try_for_each(|mistake| write!(f, "\n  - {mistake}"))
    }
}

impl std::error::Error for Mistakes {}

const NO_ARGUMENTS: [&str; 0] = [];

fn bare_command() -> Command {
    Command::new("environment").no_binary_name(true).disable_help_flag(true)
}

fn without_empty_variable(argument: Arg) -> Arg {
    let empty = |name| std::env::var_os(name).is_some_and(|value| value.is_empty());
    if argument.get_env().is_some_and(empty) { argument.env(Resettable::Reset) } else { argument }
}

/// Never repeats the value: it may be a secret.
fn describe(argument: &Arg, error: &clap::Error) -> String {
    let name = argument.get_env().unwrap_or_else(|| argument.get_id().as_str().as_ref()).to_string_lossy();
    let help = argument.get_help().map(|help| format!(" ({help})")).unwrap_or_default();
    match (error.kind(), error.source()) {
        (ErrorKind::MissingRequiredArgument, _) => format!("{name} is not set{help}"),
        (_, Some(reason)) => format!("{name} is not valid: {reason}{help}"),
        _ => format!("{name} is not valid{help}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Args)]
    struct Sample {
        /// where to listen
        #[arg(long, env = "TOLLGATE_TEST_UNSET")]
        _needed: String,
        #[arg(long, env = "TOLLGATE_TEST_PORT", default_value = "not a port")]
        _port: u16,
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let mistakes = from_environment::<Sample>().unwrap_err();
        assert_eq!(mistakes.0[0], "TOLLGATE_TEST_UNSET is not set (where to listen)");
        assert_eq!(mistakes.0[1], "TOLLGATE_TEST_PORT is not valid: invalid digit found in string");
    }
}
