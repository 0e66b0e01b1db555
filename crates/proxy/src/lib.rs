//! The data plane.

pub mod identity;
pub mod saved_snapshot;
pub mod snapshot;
pub mod subscription;

/// This release, as it tells the control plane.
pub const SOFTWARE_VERSION: &str = env!("CARGO_PKG_VERSION");
