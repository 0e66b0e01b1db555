//! What an endpoint can say, before anything decides how it is delivered.

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

pub(crate) use crate::error::Refusal;

/// An endpoint's answer.
pub(crate) enum Answer {
    /// A document of known length.
    Document {
        /// Its media type.
        content_type: &'static str,
        /// The whole of it.
        bytes: Bytes,
    },
    /// Server-sent events.
    Events(Vec<Event>),
}

/// One server-sent event.
pub(crate) struct Event {
    /// Its frame, as it is sent.
    pub(crate) frame: Bytes,
    /// Whether it carries content, rather than announcing or closing something.
    pub(crate) is_content: bool,
}

impl Answer {
    /// A JSON document.
    pub(crate) fn json<T: Serialize>(document: &T) -> Self {
        Self::Document { content_type: "application/json", bytes: encoded(document).into() }
    }

    /// A document of any other type.
    pub(crate) fn document(content_type: &'static str, bytes: impl Into<Bytes>) -> Self {
        Self::Document { content_type, bytes: bytes.into() }
    }
}

impl Event {
    /// An event without a name, as chat completions send them.
    pub(crate) fn unnamed<T: Serialize>(payload: &T) -> Self {
        let mut frame = b"data: ".to_vec();
        frame.extend(encoded(payload));
        frame.extend(b"\n\n");
        Self { frame: frame.into(), is_content: false }
    }

    /// An event whose name is also its payload's `type`, as responses send them.
    pub(crate) fn named(name: &str, payload: &Value) -> Self {
        let mut frame = format!("event: {name}\ndata: ").into_bytes();
        frame.extend(encoded(payload));
        frame.extend(b"\n\n");
        Self { frame: frame.into(), is_content: false }
    }

    /// The end of a chat completion's stream.
    pub(crate) fn done() -> Self {
        Self { frame: Bytes::from_static(b"data: [DONE]\n\n"), is_content: false }
    }

    /// The same event, marked as carrying content.
    pub(crate) fn content(self) -> Self {
        Self { is_content: true, ..self }
    }
}

/// Documents are made of strings, numbers and lists; those always encode.
pub(crate) fn encoded<T: Serialize>(document: &T) -> Vec<u8> {
    serde_json::to_vec(document).unwrap_or_default()
}
