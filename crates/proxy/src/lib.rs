//! The data plane: a request walks through the stages of [`serve`]; what it must know of accounts and
//! gateways arrives by [`subscription`] and lies in the [`snapshot`].

pub mod answer;
mod attributes;
mod buffered;
pub mod config;
pub mod deps;
pub mod effects;
pub mod headers;
pub mod identity;
pub mod interests;
pub mod limits;
pub mod listener;
pub mod metadata;
pub mod metrics;
mod models;
pub mod operator_keys;
pub mod origins;
mod own_prices;
pub mod policies;
pub mod rating;
pub mod refusal;
pub mod relayed;
pub mod request_id;
mod run;
pub mod saved_snapshot;
pub mod serve;
pub mod servers;
pub mod snapshot;
pub mod spans;
pub mod stages;
pub mod strategies;
pub mod subscription;
pub mod upstream;
pub mod visit;
pub mod watch;

pub use config::Config;
pub use run::run;

/// This release, as it tells the control plane.
pub const SOFTWARE_VERSION: &str = env!("CARGO_PKG_VERSION");
