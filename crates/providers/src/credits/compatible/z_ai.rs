//! Z.ai.

use super::super::Credits;
use super::super::shape::Shape::{Flag, Text};
use super::super::shape::field;
use super::members::{CHAT, THINKING};
use super::{COMPATIBLE, chat, with};

/// Thoughts are within the limit, as was seen of its models. Its tools `web_search` and `retrieval` have no
/// price here, and read what is kept in the operator's account.
pub(crate) const Z_AI: Credits = Credits {
    operations: &[chat(with!(
        &[THINKING, field("do_sample", Flag), field("request_id", Text), field("tool_stream", Flag)],
        CHAT
    ))],
    ..COMPATIBLE
};
