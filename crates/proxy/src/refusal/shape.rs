//! In which shape one caller reads errors: Cloudflare's, whose `error` is a list, or that of the
//! provider's own SDK, whose `error` is an object.

use http::StatusCode;
use model::gateway::ErrorShape;
use providers::catalog::Dialect;
use providers::{Endpoint, errors};
use uuid::Uuid;

use super::Refusal;

/// The shape in which one caller reads errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `{"success":false,"error":[…]}`.
    Gateway,
    /// `{"error":{…}}` as the provider says it.
    Provider(Dialect),
    /// The same with ngrok's codes and statuses.
    Ngrok(Dialect),
}

/// Who is told, and under which request id.
#[derive(Debug, Clone, Copy)]
pub struct Listener {
    /// The shape to tell it in.
    pub shape: Shape,
    /// The request's id.
    pub request_id: Uuid,
}

impl Shape {
    /// The gateway's choice; by default, whoever speaks to the gateway in `cf-aig-*` headers is
    /// answered in its own shape.
    pub fn of(setting: ErrorShape, speaks_to_gateway: bool, dialect: Dialect) -> Self {
        match setting {
            ErrorShape::Gateway => Self::Gateway,
            ErrorShape::Provider => Self::Provider(dialect),
            ErrorShape::Ngrok => Self::Ngrok(dialect),
            ErrorShape::ByCaller if speaks_to_gateway => Self::Gateway,
            ErrorShape::ByCaller => Self::Provider(dialect),
        }
    }
}

impl Listener {
    /// The status of a refusal.
    pub fn status(&self, refusal: &Refusal) -> StatusCode {
        match self.shape {
            Shape::Ngrok(_) => refusal.ngrok_status(),
            Shape::Gateway | Shape::Provider(_) => refusal.status(),
        }
    }

    /// The code by which this caller knows a refusal, if that is not ours.
    pub fn known_as(&self, refusal: &Refusal) -> Option<String> {
        let code = matches!(self.shape, Shape::Ngrok(_)).then(|| refusal.ngrok_code()).flatten()?;
        Some(format!("ERR_NGROK_{code}"))
    }

    /// The body of a refusal.
    pub fn body(&self, refusal: &Refusal) -> Vec<u8> {
        self.with(refusal, |told| match self.shape {
            Shape::Gateway => told.gateway_body(),
            Shape::Provider(dialect) | Shape::Ngrok(dialect) => told.provider_body(dialect),
        })
    }

    /// What a stream ends with when it cannot go on: an event in the provider's dialect, because its
    /// SDK is reading.
    pub fn event(&self, refusal: &Refusal, dialect: Dialect, endpoint: Endpoint) -> Vec<u8> {
        // The blank line first closes an event that was cut in its middle.
        let mut event = b"\n\n".to_vec();
        let responses = endpoint == Endpoint::Responses;
        event.extend(self.with(refusal, |told| told.stream_frame(dialect, responses)));
        event
    }

    fn with<T>(&self, refusal: &Refusal, then: impl FnOnce(errors::Refusal<'_>) -> T) -> T {
        let known_as = self.known_as(refusal);
        // Their clients look for the code in the message.
        let message = match &known_as {
            Some(code) => format!("[{code}] {refusal}"),
            None => refusal.to_string(),
        };
        then(errors::Refusal {
            status: self.status(refusal).as_u16(),
            known_as: known_as.as_deref(),
            kind: known_as.as_ref().and_then(|_| refusal.ngrok_type()),
            code: refusal.code(),
            cause: refusal.cause(),
            message: &message,
            param: refusal.field(),
            request_id: &self.request_id.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_default_the_caller_decides() {
        let of = |speaks| Shape::of(ErrorShape::ByCaller, speaks, Dialect::OpenAi);
        assert_eq!(of(true), Shape::Gateway);
        assert_eq!(of(false), Shape::Provider(Dialect::OpenAi));
    }
}
