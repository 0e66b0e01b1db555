//! A port that speaks TLS: who is answered with which certificate, and what callers notice when
//! certificates change.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop where it fails")]

mod connections;
mod renewal;
mod selection;
mod start;
mod support;
