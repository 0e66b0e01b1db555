//! What a request counts in, and what is left.

pub mod local;
mod window;
