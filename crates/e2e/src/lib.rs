//! Stories that need everything: real processes, real Postgres and Redis, the official clients.
//!
//! A [`System`](system::System) is one installation, private to a test: its own database, its own
//! Redis, a simulator, a control plane and as many proxies as the test wants. Everything ends with
//! it.

pub mod books;
pub mod collector;
pub mod credits;
mod deaths;
pub mod forwarder;
pub mod http;
pub mod postgres;
pub mod process;
pub mod provider;
pub mod records;
pub mod redis_server;
pub mod script;
pub mod system;
pub mod tenant;
pub mod traffic;
