//! The data plane.

pub mod snapshot;
