//! Messages of a streamed answer.

/// A message of a stream, as far as rules may change it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// What it says; the lines of several `data` fields, joined.
    pub data: String,
    /// How long to wait before connecting again, as it was written.
    pub retry: Option<String>,
}
