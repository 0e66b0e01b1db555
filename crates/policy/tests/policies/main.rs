//! Whole policies at work: a folder for each under `cases/`, with the policy as its author wrote it and
//!
//! - `cases.json`: requests, what the outside answers to the policy's effects, and what must come of it; or
//! - `problems.txt`: what is wrong with it, a problem a line.
//!
//! Adding a case is adding files. Beside them stand the properties that hold for every policy.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop where it fails")]

mod case;
mod closed;
mod drive;
mod fuzz;
mod reports;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use policy::Policy;

/// With how many cases a property is tried: so many, unless `PROPTEST_CASES` says how many.
pub(crate) fn cases(many: u32) -> proptest::test_runner::Config {
    let said = std::env::var_os("PROPTEST_CASES").is_some();
    let config = proptest::test_runner::Config::default();
    if said { config } else { proptest::test_runner::Config { cases: many, ..config } }
}

/// Every folder of `cases/`.
fn folders() -> Vec<PathBuf> {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policies/cases");
    let mut folders: Vec<PathBuf> = fs::read_dir(cases).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders
}

/// The policy in a folder, as text.
fn policy(folder: &Path) -> String {
    ["policy.yaml", "policy.json"]
        .into_iter()
        .find_map(|name| fs::read_to_string(folder.join(name)).ok())
        .unwrap_or_else(|| panic!("no policy in {}", folder.display()))
}

#[test]
fn every_policy_does_what_its_folder_says() {
    let mut failures = String::new();
    for folder in folders() {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let parsed = Policy::parse(&policy(&folder), &drive::operator());
        if let Ok(expected) = fs::read_to_string(folder.join("problems.txt")) {
            let found = parsed.map_or_else(|problems| problems.to_string(), |_| "nothing".to_owned());
            if found.trim() != expected.trim() {
                let _ = writeln!(failures, "{name}: expected\n{expected}\nfound\n{found}\n");
            }
            continue;
        }
        let policy = match parsed {
            Ok(policy) => Arc::new(policy),
            Err(problems) => {
                let _ = writeln!(failures, "{name}: {problems}");
                continue;
            }
        };
        let cases = fs::read_to_string(folder.join("cases.json")).unwrap();
        let cases: Vec<case::Case> =
            serde_json::from_str(&cases).unwrap_or_else(|error| panic!("{name}: {error}"));
        // The second time with what sets of keys remember of the first.
        for case in cases.iter().chain(&cases) {
            if let Err(failure) = case.check(&policy) {
                let _ = writeln!(failures, "{name}, {}: {failure}", case.name);
            }
        }
    }
    assert!(failures.is_empty(), "\n{failures}");
}

#[test]
fn a_stream_ends_where_a_message_cannot_be_looked_at() {
    let text = "
on_http_response:
  - type: set-vars
    config: { vars: [{ name: ada }] }
on_event_stream_message:
  - type: sse-find-replace
    config: { replacements: [{ from: '${vars.name}', to: x }] }
";
    let policy = Arc::new(Policy::parse(text, &drive::operator()).unwrap());
    let mut run = drive::Drive::new(&policy, &case::Request::default(), &Default::default()).run;
    run.start();
    run.response(http::StatusCode::OK, http::HeaderMap::new(), None);
    // Variables belong to the phase that set them, and this is another one.
    let failed = case::pass(&mut run, &["ada".to_owned()]);
    assert!(failed.unwrap_err().contains("on_event_stream_message[0]"));
}

#[test]
fn a_policy_tells_whether_it_keeps_callers_out_and_which_secrets_it_needs() {
    let parsed = |name: &str| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policies/cases").join(name);
        Policy::parse(&policy(&folder), &drive::operator()).unwrap()
    };
    for guarded in ["shared-bearer-token", "api-key-header", "ip-deny-list", "jwt", "basic-auth", "webhook"] {
        assert!(parsed(guarded).keeps_callers_out(), "{guarded}");
    }
    for open in ["minimal", "modifying-requests", "rate-limit-not-enforced", "circuit-breaker"] {
        assert!(!parsed(open).keeps_callers_out(), "{open}");
    }
    let shared = parsed("shared-bearer-token");
    let secrets: Vec<_> = shared.uses().secrets.iter().map(|secret| secret.name.as_str()).collect();
    assert_eq!(secrets, ["access-token", "api-key"]);
    assert!(shared.ai_gateway().unwrap().providers[0].has_keys());
}
