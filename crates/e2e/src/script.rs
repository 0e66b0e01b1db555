//! Runs the official clients, which live in `clients/`.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, bail};
use tokio::process::Command;

/// Runs `clients/<name>` with an environment of its own and returns what it printed.
///
/// Python scripts run in the environment that `TOLLGATE_TEST_PYTHON` names, JavaScript ones with
/// the packages installed beside them; `cargo xtask test` prepares both.
pub async fn run(name: &str, environment: &[(&str, &str)]) -> anyhow::Result<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(name);
    let interpreter = match script.extension().and_then(|extension| extension.to_str()) {
        Some("py") => {
            std::env::var("TOLLGATE_TEST_PYTHON").context("TOLLGATE_TEST_PYTHON: run `cargo xtask test`")?
        }
        Some("mjs") => "node".to_owned(),
        _ => bail!("{name} is neither Python nor JavaScript"),
    };
    let mut command = Command::new(interpreter);
    command.arg(&script).envs(environment.iter().copied()).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.with_context(|| name.to_owned())?;
    let (printed, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        bail!("{name} ended with {}:\n{printed}\n{complained}", output.status);
    }
    Ok(printed.into_owned())
}
