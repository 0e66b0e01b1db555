//! `tollgate policy explain`: a policy at work on one request, told step by step. Nothing outside is asked;
//! for each thing that would be, it is said what is assumed.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use model::Secret;
use policy::Policy;
use policy::facts::Connection;
use policy::run::{Arrival, FindSecret, Run};
use serde::Serialize;
use time::OffsetDateTime;

use super::check;
use super::message::{RequestText, ResponseText};
use super::play::{Assumptions, Step, play};
use crate::client::agent_config;
use crate::client::input;
use crate::client::output::{Output, print, print_json};
use crate::client::session::OutputChoice;

pub(super) const EXAMPLE: &str = r#"Example:
  printf 'POST /v1/chat/completions HTTP/1.1\nHost: ai.example.com\n\n{"model": "gpt-4o"}' |
    tollgate policy explain policy.yaml --request -"#;

/// Which policy, and what comes.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The policy, or the configuration file of an agent
    file: PathBuf,
    /// A file with the request, `-` for standard input
    #[arg(long, value_name = "FILE")]
    request: PathBuf,
    /// A file with a provider's answer, on which the rules for answers are played
    #[arg(long, value_name = "FILE")]
    response: Option<PathBuf>,
    /// The endpoint whose policy is meant, if the file has several
    #[arg(long, value_name = "NAME")]
    endpoint: Option<String>,
    /// The address that the request comes from
    #[arg(long, value_name = "ADDRESS", default_value = "203.0.113.9")]
    client_ip: IpAddr,
    /// A JSON file with secrets, {"vault/name": "value"}; others are assumed to be there and to be text
    #[arg(long, value_name = "FILE")]
    secrets: Option<PathBuf>,
    #[command(flatten)]
    assumptions: Assumptions,
    #[command(flatten)]
    output: OutputChoice,
}

/// What a policy does with a request.
#[derive(Serialize)]
struct Explained {
    steps: Vec<Step>,
}

impl Explain {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Self { file, request, response, endpoint, client_ip, secrets, assumptions, output } = self;
        let is_stdin = |file: &PathBuf| file.as_os_str() == "-";
        let from_stdin = [Some(&file), Some(&request), response.as_ref()]
            .into_iter()
            .flatten()
            .filter(|file| is_stdin(file));
        ensure!(from_stdin.count() < 2, "standard input can be read once");
        let policy = match policy_of(&file, endpoint.as_deref())? {
            Ok(policy) => Arc::new(policy),
            Err(told) => {
                print(&(told.join("\n") + "\n"))?;
                return Ok(ExitCode::FAILURE);
            }
        };
        let at = |file: &Path| file.display().to_string();
        let request = RequestText::read(&input::text(&request)?).with_context(|| at(&request))?;
        let response = response
            .map(|file| ResponseText::read(&input::text(&file)?).with_context(|| at(&file)))
            .transpose()?;
        let secrets = secrets.map(|file| secrets_of(&file)).transpose()?.unwrap_or_default();
        let body = request.body.clone();
        let run = Run::new(policy.clone(), arrival(request, client_ip, secrets));
        let explained = Explained { steps: play(&policy, run, &body, response.as_ref(), &assumptions) };
        match output.output.unwrap_or(Output::Table) {
            Output::Json => print_json(&explained)?,
            Output::Table => {
                let told: Vec<_> = explained.steps.iter().map(ToString::to_string).collect();
                print(&(told.join("\n") + "\n"))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The policy of a file, or what is wrong with it.
fn policy_of(file: &Path, endpoint: Option<&str>) -> anyhow::Result<Result<Policy, Vec<String>>> {
    let (name, text) = (file.display().to_string(), input::text(file)?);
    let read = agent_config::endpoints(&text).map_err(|wrong| anyhow::anyhow!("{name}:{wrong}"))?;
    let text = match read {
        None => {
            ensure!(endpoint.is_none(), "{name} is a policy alone and has no endpoints");
            text
        }
        Some(endpoints) => {
            let meant = |called: &str| endpoint.is_none_or(|endpoint| endpoint == called);
            let mut meant: Vec<_> = endpoints.into_iter().filter(|one| meant(&one.called())).collect();
            ensure!(meant.len() < 2, "{name} has several endpoints: say which with --endpoint");
            let Some(endpoint) = meant.pop() else { bail!("{name} has no such endpoint") };
            endpoint
                .policy
                .with_context(|| format!("{name}: this endpoint has no `traffic_policy`"))?
                .in_place
        }
    };
    Ok(check::policy(&text).map_err(|problems| check::lines(&name, &problems)))
}

/// Secrets by `vault/name`. What is wrong is told without quoting them.
fn secrets_of(file: &Path) -> anyhow::Result<BTreeMap<String, Arc<Secret>>> {
    let text = input::secret(file)?;
    let read: BTreeMap<String, Secret> = serde_json::from_str(text.expose()).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        anyhow::anyhow!("{}:{line}:{column}: expected {{\"vault/name\": \"value\"}}", file.display())
    })?;
    Ok(read.into_iter().map(|(name, value)| (name, Arc::new(value))).collect())
}

pub(super) fn arrival(
    request: RequestText,
    client_ip: IpAddr,
    secrets: BTreeMap<String, Arc<Secret>>,
) -> Arrival {
    let RequestText { method, uri, host, headers, body: _ } = request;
    let now = OffsetDateTime::now_utc();
    let secrets: FindSecret = Arc::new(move |vault, name| {
        let known = match vault {
            Some(vault) => secrets.get(&format!("{vault}/{name}")),
            None => {
                secrets.iter().find(|(at, _)| at.rsplit('/').next() == Some(name)).map(|(_, value)| value)
            }
        };
        // Whether a secret is there only the API knows.
        Some(known.cloned().unwrap_or_else(|| Arc::new(Secret::new(format!("the-secret-{name}")))))
    });
    Arrival {
        now,
        seed: 0,
        id: "explained".to_owned(),
        connection: Connection {
            client_ip,
            client_port: 50_000,
            server_ip: [192, 0, 2, 1].into(),
            server_port: 443,
            started_at: now,
            tls: None,
        },
        endpoint: None,
        method,
        scheme: "https",
        authority: host,
        uri,
        version: http::Version::HTTP_11,
        headers,
        secrets,
    }
}
