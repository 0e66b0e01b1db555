//! The wire between the two planes, generated from `proto/`.
//!
//! Nothing here knows what the messages mean; `model` gives them meaning.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated; the descriptions carry the comments"
)]

tonic::include_proto!("tollgate.v1");
