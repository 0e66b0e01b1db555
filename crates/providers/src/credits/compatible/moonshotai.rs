//! Moonshot AI.

use super::super::Credits;
use super::super::shape::Shape::{Flag, List, Object};
use super::super::shape::{Field, field};
use super::members::{CHAT, MAX_COMPLETION_TOKENS, SEVERAL, THINKING};
use super::messages::MESSAGE;
use super::{COMPATIBLE, chat, with};

/// Thoughts are within the limit: with one of 200 tokens, 199 were seen to be thought and none left over.
/// Pictures from its file store, and what was put into its cache by name, lie in the operator's account.
pub(crate) const MOONSHOTAI: Credits = Credits {
    operations: &[chat(with!(
        &[field("messages", List(&Object(MESSAGES))).required(), MAX_COMPLETION_TOKENS, SEVERAL, THINKING,],
        CHAT
    ))],
    ..COMPATIBLE
};

// The answer goes on from here.
const MESSAGES: &[Field] = with!(&[field("partial", Flag)], MESSAGE);
