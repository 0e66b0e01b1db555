//! Inception Labs.

use super::super::Credits;
use super::members::CHAT;
use super::{COMPATIBLE, chat};

/// The price list has none of its models: they can be sold at prices that the operator sets. Whether the
/// limit holds for what they think is not documented.
pub(crate) const INCEPTIONLABS: Credits =
    Credits { operations: &[chat(CHAT)], limits_thought: false, ..COMPATIBLE };
