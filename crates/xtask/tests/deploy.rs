//! What is deployed agrees with the code: it cannot be run without a Docker engine, but it can be
//! read.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The code, without its tests, of all programs that are deployed.
fn our_programs() -> Vec<String> {
    let crates = fs::read_dir(root().join("crates")).expect("crates").flatten();
    let deployed = crates.filter(|krate| !["xtask", "e2e"].iter().any(|errand| krate.file_name() == *errand));
    let mut folders: Vec<PathBuf> = deployed.map(|krate| krate.path().join("src")).collect();
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = fs::read_to_string(path).expect("source is text");
                found.push(source.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned());
            }
        }
    }
    found
}

/// The variables that our programs read: those that stand in quotes in them, and those that the
/// errand `demo` reads. The other errands only hand variables on.
fn read_by_the_code() -> BTreeSet<String> {
    let demo = ["TOLLGATE_SETUP_TOKEN", "OPENAI_API_KEY"].map(str::to_owned);
    let is_name = |word: &str| is_ours(word) && word.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    let quoted = our_programs().into_iter().flat_map(|source| {
        source.split('"').filter(|word| is_name(word)).map(str::to_owned).collect::<Vec<_>>()
    });
    quoted.chain(demo).collect()
}

fn is_ours(variable: &str) -> bool {
    let others = ["DATABASE_URL", "REDIS_URL", "OPENAI_API_KEY", "OTEL_EXPORTER_OTLP_ENDPOINT"];
    ["TOLLGATE_", "STRIPE_"].iter().any(|prefix| variable.starts_with(prefix)) || others.contains(&variable)
}

/// All of our variables that a text names.
fn named_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_uppercase() && c != '_');
    words.filter(|word| is_ours(word) && !word.ends_with('_')).map(str::to_owned).collect()
}

/// What an operator sets: clap reads each from its `env = "…"`.
fn configuration() -> BTreeSet<String> {
    let named = our_programs().into_iter().flat_map(|source| {
        let variables = source.split("env = \"").skip(1).filter_map(|rest| rest.split('"').next());
        variables.filter(|name| is_ours(name)).map(str::to_owned).collect::<Vec<_>>()
    });
    named.collect()
}

/// The services of the compose file, each with its lines.
fn services() -> Vec<(String, String)> {
    let compose = text("docker-compose.yml");
    let (_, from_services) = compose.split_once("\nservices:\n").expect("services");
    let (services, _) = from_services.split_once("\nnetworks:\n").expect("networks come after services");
    let mut found: Vec<(String, String)> = Vec::new();
    for line in services.lines() {
        let is_name = line.starts_with("  ") && !line.starts_with("   ") && line.ends_with(':');
        if is_name {
            found.push((line.trim().trim_end_matches(':').to_owned(), String::new()));
        } else if let Some((_, lines)) = found.last_mut() {
            lines.push_str(line);
            lines.push('\n');
        }
    }
    found
}

#[test]
fn every_variable_that_a_deployment_sets_is_one_that_the_code_reads() {
    let read = read_by_the_code();
    for file in ["docker-compose.yml", "deploy/Dockerfile", "deploy/README.md", "README.md"] {
        let unknown: Vec<_> = named_in(&text(file)).difference(&read).cloned().collect();
        assert!(unknown.is_empty(), "{file} names {unknown:?}, which nothing reads");
    }
}

#[test]
fn every_variable_that_the_code_reads_is_in_the_readme() {
    let told = named_in(&text("README.md"));
    let silent: Vec<_> = configuration().difference(&told).cloned().collect();
    assert!(silent.is_empty(), "the README's table lacks {silent:?}");
}

/// The variables in the README's tables under these headings.
fn in_the_tables_of(headings: &[&str]) -> BTreeSet<String> {
    let readme = text("README.md");
    let (_, configuration) = readme.split_once("\n## Configuration\n").expect("a section on configuration");
    let configuration = configuration.split("\n## ").next().unwrap_or_default();
    let tables = configuration.split("\n### ").skip(1).filter(|table| {
        let heading = table.lines().next().unwrap_or_default();
        headings.contains(&heading)
    });
    let rows = tables.flat_map(|table| table.lines().filter_map(|line| line.strip_prefix("| `")));
    rows.filter_map(|row| row.split('`').next()).map(str::to_owned).collect()
}

#[test]
fn every_setting_in_the_readme_reaches_its_container() {
    // Compose hands these over in files.
    let in_files = ["TOLLGATE_CREDENTIALS_KEYS", "TOLLGATE_CONTENTS_KEYS", "TOLLGATE_JOIN_TOKEN"];
    let dockerfile = text("deploy/Dockerfile");
    for (service, heading) in [("control-plane", "Control plane"), ("proxy", "Proxy")] {
        let (_, lines) = services().into_iter().find(|(name, _)| name == service).expect(service);
        let target = dockerfile.split(&format!("FROM base AS {service}\n")).nth(1).expect(service);
        let target = target.split("\nFROM ").next().unwrap_or_default();
        let known = |variable: &String| {
            let is_set = lines.lines().any(|line| line.trim().starts_with(&format!("{variable}:")));
            is_set || target.contains(&format!("{variable}=")) || in_files.contains(&variable.as_str())
        };
        let settings = in_the_tables_of(&[heading, "Both"]);
        assert!(settings.len() > 15, "{settings:?}");
        let lost: Vec<_> = settings.iter().filter(|variable| !known(variable)).collect();
        assert!(lost.is_empty(), "{service} in docker-compose.yml is not handed {lost:?}");
    }
}

#[test]
fn a_proxys_spool_is_on_a_volume() {
    let (_, lines) = services().into_iter().find(|(name, _)| name == "proxy").expect("proxy");
    assert!(lines.contains("proxy:/var/lib/tollgate]"), "{lines}");
    assert!(text("deploy/Dockerfile").contains("TOLLGATE_PROXY_DIR=/var/lib/tollgate\n"));
}

#[test]
fn every_service_has_a_health_check_and_a_limit() {
    let services = services();
    let names: Vec<_> = services.iter().map(|(name, _)| name.as_str()).collect();
    for needed in ["postgres", "redis", "control-plane", "proxy", "simulator"] {
        assert!(names.contains(&needed), "{needed} is not in {names:?}");
    }
    for (name, lines) in &services {
        assert!(lines.contains("mem_limit:"), "{name} has no limit");
        let runs_once = lines.contains("restart: \"no\"");
        assert!(runs_once || lines.contains("healthcheck:"), "{name} has no health check");
    }
}

#[test]
fn every_image_that_is_built_is_a_target_and_not_root() {
    let dockerfile = text("deploy/Dockerfile");
    assert!(dockerfile.contains("distroless/cc-debian12:nonroot AS base"));
    for (name, lines) in services() {
        let Some((_, target)) = lines.split_once("target: ") else { continue };
        let target = target.split([' ', '}']).next().unwrap_or_default();
        assert!(dockerfile.contains(&format!("FROM base AS {target}\n")), "{name} wants {target}");
    }
}

#[test]
fn compose_accepts_its_file_where_it_is_installed() {
    let installed = Command::new("docker").args(["compose", "version"]).output();
    if !installed.is_ok_and(|output| output.status.success()) {
        eprintln!("docker compose is not installed here");
        return;
    }
    let checked = Command::new("docker")
        .args(["compose", "--file", "docker-compose.yml", "config", "--quiet"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}
