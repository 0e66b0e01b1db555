//! The control plane: the management API, the push of configuration to proxies, and the ledger.

pub mod api;
