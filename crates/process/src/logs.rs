//! Logs: for people on a terminal, as JSON for machines.

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

/// How the process writes its logs.
#[derive(Debug, Clone, Args)]
pub struct LogSettings {
    /// what is logged, such as `info` or `proxy=debug,info`
    #[arg(long, env = "TOLLGATE_LOG", default_value = "info", value_parser = filter)]
    pub log: String,
    /// `human` or `json`
    #[arg(long, env = "TOLLGATE_LOG_FORMAT", default_value = "human")]
    pub log_format: LogFormat,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For reading.
    Human,
    /// One JSON object a line.
    Json,
}

/// Starts logging to standard error. Only the first call in a process counts, so that tests which
/// start two planes in one process need not care.
pub fn start_logs(settings: &LogSettings) {
    let builder =
        tracing_subscriber::fmt().with_env_filter(EnvFilter::new(&settings.log)).with_writer(std::io::stderr);
    let _ = match settings.log_format {
        LogFormat::Human => {
            use std::io::IsTerminal as _;
            builder.with_ansi(std::io::stderr().is_terminal()).try_init()
        }
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}

fn filter(text: &str) -> Result<String, tracing_subscriber::filter::ParseError> {
    EnvFilter::builder().parse(text).map(|_| text.to_owned())
}
