//! What people write beside everything.

use clap::Args;
use serde::Serialize;

/// A description and metadata.
#[derive(Debug, Clone, Args, Serialize)]
pub(crate) struct Notes {
    /// A sentence for people, at most 255 bytes
    #[arg(long, value_name = "TEXT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    /// Whatever your programs want to keep with it, at most 4096 bytes
    #[arg(long, value_name = "TEXT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) metadata: Option<String>,
}
