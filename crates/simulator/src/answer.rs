//! What an endpoint can say, before anything decides how it is delivered.

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use crate::billing::Tokens;
pub(crate) use crate::error::Refusal;

/// An endpoint's answer, and what it bills if it is delivered whole.
pub(crate) struct Answer {
    pub(crate) content: Content,
    pub(crate) bill: Tokens,
}

/// What is said.
pub(crate) enum Content {
    /// A document of known length.
    Document {
        /// Its media type.
        content_type: &'static str,
        /// The whole of it.
        bytes: Bytes,
    },
    /// Server-sent events.
    Events(Vec<Event>),
    /// The elements of a JSON list, with its brackets and commas, as they come.
    List(Vec<Event>),
}

/// One server-sent event.
pub(crate) struct Event {
    /// Its frame, as it is sent.
    pub(crate) frame: Bytes,
    /// The tokens of the content that it carries; nothing if it only announces or closes something.
    pub(crate) content: Option<u64>,
}

impl Answer {
    /// A JSON document.
    pub(crate) fn json<T: Serialize>(document: &T) -> Self {
        Self::document("application/json", encoded(document))
    }

    /// A document of any other type.
    pub(crate) fn document(content_type: &'static str, bytes: impl Into<Bytes>) -> Self {
        let content = Content::Document { content_type, bytes: bytes.into() };
        Self { content, bill: Tokens::default() }
    }

    /// Server-sent events.
    pub(crate) fn events(events: Vec<Event>) -> Self {
        Self { content: Content::Events(events), bill: Tokens::default() }
    }

    /// A JSON list whose elements come as events do.
    pub(crate) fn list(elements: Vec<Event>) -> Self {
        Self { content: Content::List(elements), bill: Tokens::default() }
    }

    /// The same, for these tokens.
    pub(crate) fn billed(self, bill: Tokens) -> Self {
        Self { bill, ..self }
    }
}

impl Event {
    /// An event without a name, as chat completions send them.
    pub(crate) fn unnamed<T: Serialize>(payload: &T) -> Self {
        let mut frame = b"data: ".to_vec();
        frame.extend(encoded(payload));
        frame.extend(b"\n\n");
        Self { frame: frame.into(), content: None }
    }

    /// An event whose name is also its payload's `type`, as responses send them.
    pub(crate) fn named(name: &str, payload: &Value) -> Self {
        let mut frame = format!("event: {name}\ndata: ").into_bytes();
        frame.extend(encoded(payload));
        frame.extend(b"\n\n");
        Self { frame: frame.into(), content: None }
    }

    /// An event as it is written.
    pub(crate) fn verbatim(frame: impl Into<Bytes>) -> Self {
        Self { frame: frame.into(), content: None }
    }

    /// The end of a chat completion's stream.
    pub(crate) fn done() -> Self {
        Self { frame: Bytes::from_static(b"data: [DONE]\n\n"), content: None }
    }

    /// The same event, carrying content of so many tokens.
    pub(crate) fn carrying(self, tokens: u64) -> Self {
        Self { content: Some(tokens), ..self }
    }
}

/// Documents are made of strings, numbers and lists; those always encode.
pub(crate) fn encoded<T: Serialize>(document: &T) -> Vec<u8> {
    serde_json::to_vec(document).unwrap_or_default()
}
