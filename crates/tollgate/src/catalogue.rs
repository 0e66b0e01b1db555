//! The model catalogue, if the operator has one of his own.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use providers::models::Models;
use tracing::info;

/// Where the model catalogue is.
#[derive(Debug, Clone, Args)]
pub(crate) struct CatalogueSettings {
    /// a model catalogue in the place of the one that this release came with
    #[arg(long, env = "TOLLGATE_MODEL_CATALOGUE")]
    model_catalogue: Option<PathBuf>,
}

impl CatalogueSettings {
    /// Reads the catalogue before anything is served, so that no caller waits for it.
    pub(crate) fn read(&self) -> anyhow::Result<()> {
        let Some(file) = &self.model_catalogue else {
            _ = Models::current();
            return Ok(());
        };
        let at = || format!("TOLLGATE_MODEL_CATALOGUE is {}", file.display());
        let text = std::fs::read_to_string(file).with_context(at)?;
        Models::replace(&text).with_context(at)?;
        let count = Models::current().all().len();
        info!(models = count, "Read {count} models from the operator's catalogue");
        Ok(())
    }
}
