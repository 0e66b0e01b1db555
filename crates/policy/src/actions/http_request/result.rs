//! What later rules read of an HTTP request that an action made.

use std::time::Duration;

use crate::actions::headers::told;
use crate::run::{Call, CallFailed, Called};
use crate::value::{Text, Value};

/// One try.
pub(super) struct Attempt {
    sent: Value,
    received: Option<Received>,
    pub(super) error: Option<&'static str>,
    pub(super) took: Duration,
}

struct Received {
    status: i64,
    headers: Value,
    body: Value,
    resolved_ip: Value,
}

impl Attempt {
    pub(super) fn new(call: &Call, outcome: Result<Called, CallFailed>) -> Self {
        // What was sent may have secrets in it, wherever the policy put them.
        let hidden = |text: &str| Value::Text(Text::new(text.to_owned(), true));
        let sent = Value::map([
            ("method", Value::from(call.method.as_str())),
            ("header", told(&call.headers)),
            ("url", hidden(&call.url)),
            ("body", hidden(&String::from_utf8_lossy(&call.body))),
        ]);
        match outcome {
            Err(CallFailed { reason, took }) => Self { sent, received: None, error: Some(reason), took },
            Ok(called) => {
                let resolved_ip = called.resolved_ip.map_or(Value::Null, |ip| ip.to_string().into());
                let received = Received {
                    status: i64::from(called.status.as_u16()),
                    headers: told(&called.headers),
                    body: String::from_utf8_lossy(&called.body).into_owned().into(),
                    resolved_ip,
                };
                Self { sent, received: Some(received), error: None, took: called.took }
            }
        }
    }

    fn took_ms(&self) -> i64 {
        i64::try_from(self.took.as_millis()).unwrap_or(i64::MAX)
    }

    /// As an entry of `attempts`.
    pub(super) fn told(&self) -> Value {
        let (ip, headers, status) = match &self.received {
            Some(received) => (received.resolved_ip.clone(), received.headers.clone(), received.status),
            None => (Value::Null, Value::Null, 0),
        };
        Value::map([
            ("resolved_ip", ip),
            ("response_header", headers),
            ("response_status_code", status.into()),
            ("response_time_ms", self.took_ms().into()),
        ])
    }

    fn response(&self) -> Value {
        match &self.received {
            Some(received) => Value::map([
                ("resolved_ip", received.resolved_ip.clone()),
                ("header", received.headers.clone()),
                ("status_code", received.status.into()),
                ("time_ms", self.took_ms().into()),
                ("body", received.body.clone()),
            ]),
            // A condition such as `last_attempt.res.status_code >= 500` has an answer after a failure too.
            None => Value::map([
                ("status_code", Value::Int(0)),
                ("time_ms", self.took_ms().into()),
                ("body", "".into()),
            ]),
        }
    }

    fn failure(&self) -> Value {
        match self.error {
            Some(reason) => {
                Value::map([("code", Value::from("ERR_NGROK_2253")), ("message", Value::from(reason))])
            }
            None => Value::Null,
        }
    }

    /// As `last_attempt`.
    pub(super) fn last(&self) -> Value {
        Value::map([("req", self.sent.clone()), ("res", self.response()), ("error", self.failure())])
    }
}

/// As `actions.ngrok.http_request`.
pub(super) fn result(last: &Attempt, attempts: Vec<Value>) -> Vec<(&'static str, Value)> {
    let mut result =
        vec![("req", last.sent.clone()), ("res", last.response()), ("attempts", Value::list(attempts))];
    if last.error.is_some() {
        result.push(("error", last.failure()));
    }
    result
}
