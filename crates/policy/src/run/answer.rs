//! What a policy answers instead of a provider.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::actions::compress_response::Algorithm;

/// An answer that no provider gave.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Written by the policy's author, to be sent as it is.
    Written(Written),
    /// A no of ours, to be worded in the caller's dialect.
    Refused(Refusal),
}

/// An answer of the policy's author.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// Its status.
    pub status: StatusCode,
    /// Its headers; `content-length` is the sender's to write.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// How it is to be compressed; the headers say so already.
    pub compress: Option<Algorithm>,
}

impl Written {
    /// An answer without a body.
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: Bytes::new(), compress: None }
    }
}

/// A refusal.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// Its status.
    pub status: StatusCode,
    /// The number behind `ERR_NGROK_`, where there is one for it.
    pub code: Option<u16>,
    /// What the caller is told.
    pub message: String,
    /// Headers that belong to it, such as `retry-after`.
    pub headers: HeaderMap,
    /// What happened and where, for the log of the gateway's owner; no secret is in it, nor what callers sent.
    pub detail: Option<String>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: Option<u16>, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), headers: HeaderMap::new(), detail: None }
    }

    pub(crate) fn with_header(mut self, name: header::HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    pub(crate) fn because(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

impl From<Written> for Answer {
    fn from(written: Written) -> Self {
        Self::Written(written)
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
