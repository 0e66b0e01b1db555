//! `cargo xtask test`: real Postgres, Redis, processes and clients, and then every test.

use std::ffi::OsString;
use std::fs;

use anyhow::{Context as _, Result, ensure};

use crate::checkout::Checkout;
use crate::children::{Children, Program};
use crate::clients;
use crate::packages::on_path;
use crate::postgres::{self, Durability};
use crate::progress::step;
use crate::redis;
use crate::services;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Handed to `cargo nextest run`, such as a part of a test's name.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    nextest: Vec<OsString>,
}

pub(crate) fn test(arguments: &Arguments) -> Result<()> {
    let checkout = Checkout::claim("test")?;
    let children = Children::new()?;
    let outcome = run(&checkout, &children, arguments);
    children.wait_if_stopping();
    children.stop();
    // CI clones into ever new folders; nobody wants the data of the last.
    let _ = fs::remove_dir_all(&checkout.data);
    outcome
}

fn run(checkout: &Checkout, children: &Children, arguments: &Arguments) -> Result<()> {
    let services = services::start(checkout, children, Durability::Expendable)?;
    let python = step("Official clients for Python", || clients::python(checkout, children))?;
    let modules = step("Official clients for JavaScript", || clients::node(checkout, children))?;
    if on_path("cargo-nextest").is_none() {
        step("Installing cargo-nextest", || install_nextest(children))?;
    }
    // The end-to-end tests start these by path, so cargo does not know that they need them.
    let programs = ["build", "--package", "tollgate", "--package", "simulator", "--package", "xtask"];
    step("Building what the end-to-end tests start", || {
        children.run(cargo("cargo build", checkout).arguments(programs))
    })?;

    let with_services = |program: Program| {
        let mut program = program
            .environment("DATABASE_URL", &services.database_url)
            .environment("REDIS_URL", &services.redis_url)
            .environment("TOLLGATE_TEST_PYTHON", python.to_string_lossy())
            .environment("TOLLGATE_TEST_NODE_MODULES", modules.to_string_lossy());
        if let Some(binaries) = postgres::binaries(&checkout.data.join("postgres")) {
            program = program.environment("TOLLGATE_POSTGRES_BIN", binaries.to_string_lossy());
        }
        if let Some(server) = redis::server() {
            program = program.environment("TOLLGATE_REDIS_SERVER", server.to_string_lossy());
        }
        program
    };
    let nextest = cargo("cargo nextest", checkout)
        .arguments(["nextest", "run", "--workspace"])
        .arguments(&arguments.nextest);
    step("Running the tests", || children.run(with_services(nextest)))?;
    if arguments.nextest.is_empty() {
        let examples =
            cargo("cargo test --doc", checkout).arguments(["test", "--workspace", "--doc", "--quiet"]);
        step("Running the examples in the documentation", || children.run(with_services(examples)))?;
    }
    Ok(())
}

fn install_nextest(children: &Children) -> Result<()> {
    let install = Program::new("cargo install", "cargo").arguments(["install", "--locked", "cargo-nextest"]);
    children.run(install)?;
    let folder =
        std::env::var_os("CARGO_HOME").map(Into::into).or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let installed = folder.context("no home folder")?.join("bin/cargo-nextest");
    ensure!(installed.exists(), "cargo-nextest was installed, but not into {}", installed.display());
    Ok(())
}

/// Cargo, free of what the cargo that runs us has set for us alone.
pub(crate) fn cargo(name: &'static str, checkout: &Checkout) -> Program {
    let mut program = Program::new(name, "cargo");
    for (variable, _) in std::env::vars_os() {
        let variable = variable.to_string_lossy().into_owned();
        if variable.starts_with("CARGO_PKG_") || variable.starts_with("CARGO_MANIFEST_") {
            program = program.without_environment(&variable);
        }
    }
    program.folder = Some(checkout.root.clone());
    program
}
