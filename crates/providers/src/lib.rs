//! What we know about providers: where they are, how they are spoken to, what they charge, and how
//! their answers say what was used.
//!
//! Everything here is a pure function over bytes. Nothing opens a socket, knows an account or moves
//! money: of credits it knows what may be done on them, and how much that can cost.

pub mod answer;
mod anthropic;
pub mod blame;
pub mod catalog;
pub mod compat;
pub mod credits;
pub mod endpoint;
pub mod errors;
pub mod google;
mod list;
pub mod models;
pub mod openai;
pub mod path;
pub mod prices;
pub mod rated;
pub mod request;
pub mod scan;
pub mod slim;
pub mod splice;
pub mod sse;
pub mod stream;
pub mod tokens;

pub use catalog::Provider;
pub use endpoint::Endpoint;
