//! Formats that requests are written in.

pub(crate) mod cookies;
pub(crate) mod format;
pub(crate) mod hash;
pub(crate) mod query;
pub(crate) mod url;
pub(crate) mod user_agent;
pub(crate) mod zone;
