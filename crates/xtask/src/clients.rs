//! The official clients that the tests drive: Python's in an environment of their own below
//! `.tollgate`, JavaScript's beside the scripts that use them.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use crate::checkout::Checkout;
use crate::children::{Children, Program};
use crate::files;
use crate::packages::{self, Need, on_path};

/// Installs the Python clients, and answers with the Python that has them.
pub(crate) fn python(checkout: &Checkout, children: &Children) -> Result<PathBuf> {
    let folder = checkout.state.join("python");
    let python = folder.join("bin/python");
    let wanted = checkout.root.join("crates/e2e/clients/requirements.txt");
    let input = fs::read(&wanted).with_context(|| format!("cannot read {}", wanted.display()))?;
    if on_path("python3").is_none() {
        packages::install(children, &[Need::Python, Need::PythonVenv])?;
    }
    files::once_for(&checkout.state.join("python.installed"), &input, || {
        if !makes_environment(&folder) {
            // Debian keeps a part of `venv` in a package of its own.
            packages::install(children, &[Need::PythonVenv])?;
            children.run(
                Program::new("python3 -m venv", "python3")
                    .arguments(["-m", "venv", "--clear"])
                    .arguments([&folder]),
            )?;
        }
        let install = Program::new("pip", &python)
            .arguments(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"])
            .arguments([&wanted]);
        children.run(install)
    })?;
    Ok(python)
}

fn makes_environment(folder: &PathBuf) -> bool {
    let made = Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    made.is_ok_and(|status| status.success())
}

/// Installs the JavaScript clients, and answers with the folder that holds them.
pub(crate) fn node(checkout: &Checkout, children: &Children) -> Result<PathBuf> {
    let folder = checkout.root.join("crates/e2e/clients");
    let lock = folder.join("package-lock.json");
    let input = fs::read(&lock).with_context(|| format!("cannot read {}", lock.display()))?;
    if on_path("node").is_none() || on_path("npm").is_none() {
        packages::install(children, &[Need::Node])?;
    }
    let modules = folder.join("node_modules");
    files::once_for(&modules.join(".installed"), &input, || {
        let mut install = Program::new("npm ci", "npm").arguments(["ci", "--no-audit", "--no-fund"]);
        install.folder = Some(folder.clone());
        children.run(install)
    })?;
    Ok(modules)
}
