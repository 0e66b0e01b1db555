//! What stands before every refusal's body.

use http::{HeaderValue, header};

use super::{Listener, Refusal};
use crate::headers::NGROK_ERROR_CODE;

/// The headers of every refusal.
pub(crate) fn head(listener: Listener, refusal: &Refusal) -> http::response::Builder {
    let mut head = http::Response::builder()
        .status(listener.status(refusal))
        .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(code) = listener.known_as(refusal) {
        head = head.header(&NGROK_ERROR_CODE, code);
    }
    if let Some(retry_after) = refusal.retry_after() {
        head = head.header(header::RETRY_AFTER, retry_after);
    }
    if refusal.leaves_body_unread() {
        head = head.header(header::CONNECTION, HeaderValue::from_static("close"));
    }
    head
}
