//! `tollgate policy check`: what the management API would say of a policy.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::ensure;
use clap::Args;
use egress::TrustedHosts;
use model::traffic_policy::LONGEST;
use policy::problem::{Code, Position};
use policy::{Operator, Policy, Problem};
use process::from_environment;
use serde::Serialize;

use crate::client::agent_config;
use crate::client::input;
use crate::client::output::{Output, print, print_json};
use crate::client::session::OutputChoice;

/// Which policies.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Policies, or configuration files of agents; `-` for standard input
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    output: OutputChoice,
}

/// A policy that was looked at.
#[derive(Serialize)]
struct Checked {
    file: String,
    /// The endpoint that it stands in, in the configuration file of an agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<String>,
    problems: Vec<Problem>,
    /// What is as it should be and may not be meant.
    warnings: Vec<String>,
}

impl Check {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let mut checked = Vec::new();
        for file in &self.files {
            let name = if file.as_os_str() == "-" { "stdin".to_owned() } else { file.display().to_string() };
            checked.extend(policies_of(&name, &input::text(file)?)?);
        }
        match self.output.output.unwrap_or(Output::Table) {
            Output::Json => print_json(&checked)?,
            Output::Table => {
                let told: Vec<_> = checked.iter().flat_map(Checked::lines).collect();
                print(&(told.join("\n") + "\n"))?;
                checked
                    .iter()
                    .flat_map(|checked| &checked.warnings)
                    .for_each(|warning| eprintln!("{warning}"));
            }
        }
        let is_right = checked.iter().all(|checked| checked.problems.is_empty());
        Ok(if is_right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn policies_of(name: &str, text: &str) -> anyhow::Result<Vec<Checked>> {
    let read = agent_config::endpoints(text).map_err(|wrong| anyhow::anyhow!("{name}:{wrong}"))?;
    let Some(endpoints) = read else {
        let (problems, warnings) = (problems(text), warnings(name, text));
        return Ok(vec![Checked { file: name.to_owned(), endpoint: None, problems, warnings }]);
    };
    let checked: Vec<_> = endpoints
        .into_iter()
        .filter_map(|endpoint| {
            let text = &endpoint.policy.as_ref()?.in_place;
            let (problems, warnings) = (problems(text), warnings(name, text));
            Some(Checked { file: name.to_owned(), endpoint: Some(endpoint.called()), problems, warnings })
        })
        .collect();
    ensure!(!checked.is_empty(), "{name}: none of the endpoints has a `traffic_policy`");
    Ok(checked)
}

/// Why the management API would not keep a policy.
pub(crate) fn problems(text: &str) -> Vec<Problem> {
    // In the file of an agent a policy stands below others, which are not counted.
    if text.trim_start().len() > LONGEST {
        let message = format!("A traffic policy has at most {LONGEST} bytes.");
        let (code, at, path) = (Code::TooLong, Position::START, String::new());
        return vec![Problem { code, at, path, message, advice: None }];
    }
    policy(text).err().unwrap_or_default()
}

/// What an endpoint with this policy is warned of: keys that it brings for whoever comes.
fn warnings(file: &str, text: &str) -> Vec<String> {
    let Some(policy) = policy(text).ok().filter(|policy| !policy.keeps_callers_out()) else {
        return Vec::new();
    };
    let keys: Vec<_> = policy.providers_with_keys().map(|name| format!("`{name}`")).collect();
    if keys.is_empty() {
        return Vec::new();
    }
    let keys = keys.join(", ");
    vec![format!(
        "{file}: warning: nothing here keeps strangers out, so whoever reaches an endpoint with this policy may use \
         its keys for {keys}. Begin with `jwt-validation`, `basic-auth`, `restrict-ips` or a rule that denies."
    )]
}

/// Reads a policy.
pub(crate) fn policy(text: &str) -> Result<Policy, Vec<Problem>> {
    let trusted = from_environment::<TrustedHosts>().ok();
    Policy::parse(text, &operator(trusted.as_ref())).map_err(|problems| problems.iter().cloned().collect())
}

/// What policies may name. Which hosts the operator trusts is for the installation to say: where its variables
/// are not set here, none is refused.
fn operator(trusted: Option<&TrustedHosts>) -> Operator {
    let known = providers::catalog::all().iter().map(|provider| (provider.id, provider.names()));
    let operator = Operator { ip_policies: None, ..Operator::of(known) };
    match trusted.filter(|trusted| **trusted != TrustedHosts::default()) {
        Some(TrustedHosts { plain, internal }) => {
            operator.trusting(plain, internal.iter().map(|host| (&*host.name, &*host.url)))
        }
        None => Operator { hosts_unknown: true, ..operator },
    }
}

/// Problems as compilers write them, so that editors find the place.
pub(crate) fn lines(file: &str, problems: &[Problem]) -> Vec<String> {
    let line = |problem: &Problem| {
        let Problem { code, at: Position { line, column }, path, message, advice } = problem;
        let path = if path.is_empty() { String::new() } else { format!("{path}: ") };
        let advice = advice.as_ref().map(|advice| format!(" {advice}")).unwrap_or_default();
        format!("{file}:{line}:{column}: {path}{message}{advice} ({code})")
    };
    problems.iter().map(line).collect()
}

impl Checked {
    fn lines(&self) -> Vec<String> {
        if !self.problems.is_empty() {
            return lines(&self.file, &self.problems);
        }
        let endpoint = self.endpoint.as_ref().map(|name| format!(" (endpoint `{name}`)")).unwrap_or_default();
        vec![format!("{}{endpoint}: the policy is as it should be", self.file)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_refused_only_where_it_is_known_whom_the_operator_trusts() {
        let read = |trusted: Option<&TrustedHosts>, url: &str| {
            let text = format!(
                "on_http_request: [{{type: ai-gateway, config: {{providers: [{{id: box, base_url: '{url}'}}]}}}}]"
            );
            Policy::parse(&text, &operator(trusted)).is_ok()
        };
        let trusted = TrustedHosts { plain: vec!["localhost:11434".to_owned()], internal: Vec::new() };
        for (url, is_trusted) in [
            ("https://api.example.com/v1", true),
            ("http://localhost:11434", true),
            ("http://localhost:8081", false),
            ("https://ollama.internal", false),
        ] {
            assert!(read(None, url) && read(Some(&TrustedHosts::default()), url), "{url}");
            assert_eq!(read(Some(&trusted), url), is_trusted, "{url}");
        }
    }

    #[test]
    fn problems_are_told_with_place_field_code_and_remedy() {
        let text = "on_http_request:\n  - type: ai-gatway\n";
        let checked = policies_of("policy.yaml", text).unwrap();
        let told = checked[0].lines().join("\n");
        assert!(told.starts_with("policy.yaml:2:"), "{told}");
        for part in ["on_http_request[0]", "`ai-gateway`", "ERR_NGROK_2201"] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }

    #[test]
    fn a_policy_within_an_agents_file_is_told_with_the_places_of_the_file() {
        let text = "version: 3\nendpoints:\n  - name: chat\n    traffic_policy:\n      on_http_request:\n        - type: ai-gatway\n  - url: https://b.example\n    traffic_policy: |\n      on_http_request:\n        - type: ai-gateway\n          confg: {}\n";
        let checked = policies_of("ngrok.yml", text).unwrap();
        let told: Vec<_> = checked.iter().flat_map(Checked::lines).collect();
        assert_eq!(checked[0].endpoint.as_deref(), Some("chat"));
        assert!(told[0].starts_with("ngrok.yml:6:17: "), "{told:?}");
        assert!(told[1].starts_with("ngrok.yml:11:11: "), "{told:?}");
    }

    #[test]
    fn keys_that_anybody_may_use_are_warned_of() {
        let with_key =
            "  - type: ai-gateway\n    config: {providers: [{id: openai, api_keys: [{value: sk-kept}]}]}\n";
        let guard = "  - type: restrict-ips\n    config: {allow: [10.0.0.0/8]}\n";
        for (guard, warned) in [("", 1), (guard, 0)] {
            let text = format!("on_http_request:\n{guard}{with_key}");
            let checked = policies_of("policy.yaml", &text).unwrap();
            assert_eq!((checked[0].problems.len(), checked[0].warnings.len()), (0, warned), "{text}");
        }
    }

    #[test]
    fn a_policy_in_order_has_no_problems() {
        let text = "on_http_request:\n  - type: ai-gateway\n    config: {}\n";
        let checked = policies_of("policy.yaml", text).unwrap();
        assert_eq!(checked[0].lines(), ["policy.yaml: the policy is as it should be"]);
        assert!(checked[0].warnings.is_empty());
        assert!(policies_of("a", "endpoints: []").is_err());
        let long = format!("{text}#{}\n", "x".repeat(LONGEST));
        assert!(problems(&long)[0].message.contains("at most"));
    }
}
