//! `custom-response`: an answer written in the policy.

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};

use super::Next;
use super::deny::status;
use super::headers::Headers;
use crate::document::place::Place;
use crate::problem::Code;
use crate::run::{Exchange, Failure, Written};
use crate::template::Template;

/// An answer whose body and headers may be computed.
pub struct CustomResponse {
    status: StatusCode,
    headers: Headers,
    body: Option<Template>,
}

impl CustomResponse {
    pub(crate) fn read(place: &Place<'_>) -> Option<Self> {
        let fields = place.fields(&["status_code", "headers", "body"])?;
        let code = fields.or("status_code", StatusCode::OK, |place| status(place, 200..=599));
        let headers = fields.or("headers", Headers::none(), |place| Headers::read(place, 0..=10));
        let body = fields.maybe("body", |place| {
            if code.is_some_and(bodiless) && !place.text()?.is_empty() {
                return place.wrong(Code::Shape, "An answer with this status has no body (ERR_NGROK_3604).");
            }
            place.template()
        });
        Some(Self { status: code?, headers: headers?, body: body? })
    }

    pub(crate) fn act(&self, exchange: &mut Exchange) -> Result<Next, Failure> {
        let (mut headers, body) = exchange.look(|facts| {
            let headers = self.headers.render(facts)?;
            let body = match &self.body {
                Some(body) => Bytes::copy_from_slice(body.render_text(facts)?.as_str().as_bytes()),
                None => Bytes::new(),
            };
            Ok::<_, Failure>((headers, body))
        })?;
        if !body.is_empty() && !headers.contains_key(header::CONTENT_TYPE) {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(&body)));
        }
        Ok(Next::Reply(Written { status: self.status, headers, body, compress: None }))
    }
}

/// Whether answers with this status have no body.
fn bodiless(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED)
}

/// What a body seems to be, if nobody says.
fn content_type(body: &[u8]) -> &'static str {
    let begins = body.trim_ascii_start();
    let lower: Vec<u8> = begins.iter().take(14).map(u8::to_ascii_lowercase).collect();
    if lower.starts_with(b"<!doctype html") || lower.starts_with(b"<html") {
        "text/html; charset=utf-8"
    } else if begins.starts_with(b"{") || begins.starts_with(b"[") {
        match serde_json::from_slice::<serde::de::IgnoredAny>(body) {
            Ok(_) => "application/json",
            Err(_) => "text/plain; charset=utf-8",
        }
    } else {
        "text/plain; charset=utf-8"
    }
}
