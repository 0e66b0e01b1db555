//! Tollgate's vocabulary: what things are called, when they are valid and how they are written on
//! the wire between the planes.
//!
//! Nothing here reads a clock, draws a random number, or knows SQL, HTTP or Redis.

pub mod account;
pub mod decimal;
pub mod document;
pub mod gateway;
pub mod host;
pub mod id;
pub mod limits;
pub mod money;
pub mod operator_key;
pub mod permission;
pub mod prices;
pub mod provider_key;
pub mod resource;
pub mod revision;
#[doc(hidden)]
pub mod samples;
pub mod secret;
pub mod terms;
pub mod time_zone;
pub mod token;
pub mod traffic_policy;
pub mod usage;
pub mod vault_secret;

pub use id::{AccountId, GatewayId, Shard};
pub use money::{Nanos, Picos};
pub use revision::Revision;
pub use secret::Secret;
