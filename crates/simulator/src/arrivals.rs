//! What reached the simulator and what it billed for it, so that tests can compare both with what should have been.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use http::request::Parts;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::billing::Tokens;
use crate::credentials;
use crate::openai::limit;
use crate::question::Question;

/// Older requests are forgotten once there are this many.
const REMEMBERED: usize = 200_000;

/// The requests that arrived, oldest first.
#[derive(Default)]
pub(crate) struct Arrivals(Mutex<Ring>);

#[derive(Default)]
struct Ring {
    entries: VecDeque<Entry>,
    next: u64,
}

/// One request.
#[derive(Clone, Serialize)]
pub(crate) struct Entry {
    sequence: u64,
    method: String,
    path: String,
    /// What the test calls this request: the mark `[id:…]` in one of its texts, else `metadata.test_id`, else `user`,
    /// else `metadata.user_id`, else the header `x-test-id`.
    test_id: Option<String>,
    model: Option<String>,
    stream: bool,
    /// The names of the headers that came, in order.
    headers: Vec<HeaderText>,
    /// The first characters of the Authorization header's value, and the hash of all of it.
    authorization: Option<String>,
    authorization_sha256: Option<String>,
    /// The same of the header `x-api-key`.
    x_api_key: Option<String>,
    x_api_key_sha256: Option<String>,
    /// The first characters of the header `x-goog-api-key`.
    x_goog_api_key: Option<String>,
    /// Headers that carry one of the gateway's own tokens.
    leaks: Vec<HeaderText>,
    /// Nothing while the body has not come whole.
    body_bytes: Option<usize>,
    body_sha256: Option<String>,
    /// How many tokens the answer may have, if the request says so.
    output_limit: Option<u64>,
    /// The status of the answer, once its head was made.
    status: Option<u16>,
    state: State,
    /// What is billed for the request as it stands.
    billed: Tokens,
}

/// How far a request has come.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// Its body is on its way.
    Arriving,
    /// It waits for its answer's head.
    Waiting,
    /// The answer is on its way.
    Answering,
    /// The answer, or the refusal, was handed over whole.
    Answered,
    /// The client was gone before the answer ended.
    Cancelled,
    /// The simulator ended the answer early, because it was asked to.
    Broken,
}

/// A header's name. Standard names cost no memory of their own.
#[derive(Clone)]
struct HeaderText(HeaderName);

impl Serialize for HeaderText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl Arrivals {
    /// Writes down the head of a request.
    pub(crate) fn begin(self: &Arc<Self>, head: &Parts) -> Arrival {
        let authorization = head.headers.get(AUTHORIZATION);
        let x_api_key = head.headers.get("x-api-key");
        let beginning =
            |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).chars().take(18).collect();
        let hash = |value: &HeaderValue| hex::encode(Sha256::digest(value.as_bytes()));
        let is_leak = |value: &HeaderValue| value.to_str().is_ok_and(credentials::is_leak);
        let mut entry = Entry {
            sequence: 0,
            method: head.method.to_string(),
            path: head.uri.path_and_query().map_or_else(String::new, ToString::to_string),
            test_id: head.headers.get("x-test-id").and_then(|value| value.to_str().ok()).map(str::to_owned),
            model: None,
            stream: false,
            headers: head.headers.keys().cloned().map(HeaderText).collect(),
            authorization: authorization.map(beginning),
            authorization_sha256: authorization.map(hash),
            x_api_key: x_api_key.map(beginning),
            x_api_key_sha256: x_api_key.map(hash),
            x_goog_api_key: head.headers.get("x-goog-api-key").map(beginning),
            leaks: head
                .headers
                .iter()
                .filter(|(_, value)| is_leak(value))
                .map(|(name, _)| HeaderText(name.clone()))
                .collect(),
            body_bytes: None,
            body_sha256: None,
            output_limit: None,
            status: None,
            state: State::Arriving,
            billed: Tokens::default(),
        };
        let mut ring = self.ring();
        let sequence = ring.next;
        ring.next += 1;
        entry.sequence = sequence;
        if ring.entries.len() == REMEMBERED {
            ring.entries.pop_front();
        }
        ring.entries.push_back(entry);
        drop(ring);
        Arrival {
            arrivals: Arc::clone(self),
            sequence,
            is_over: false,
            bill: Tokens::default(),
            delivered: 0,
            bills_on: false,
        }
    }

    /// The requests whose sequence number is at least `from`.
    pub(crate) fn since(&self, from: u64) -> Vec<Entry> {
        self.ring().entries.iter().filter(|entry| entry.sequence >= from).cloned().collect()
    }

    /// Forgets everything but the count.
    pub(crate) fn clear(&self) {
        self.ring().entries.clear();
    }

    fn change(&self, sequence: u64, change: impl FnOnce(&mut Entry)) {
        let mut ring = self.ring();
        let Some(first) = ring.entries.front().map(|entry| entry.sequence) else { return };
        let index = sequence.checked_sub(first).and_then(|index| usize::try_from(index).ok());
        if let Some(entry) = index.and_then(|index| ring.entries.get_mut(index)) {
            change(entry);
        }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request under way. Letting go of it before it is over means that the client has left.
pub(crate) struct Arrival {
    arrivals: Arc<Arrivals>,
    sequence: u64,
    is_over: bool,
    /// For the whole answer.
    bill: Tokens,
    /// How many tokens of the answer are on their way.
    delivered: u64,
    bills_on: bool,
}

impl Arrival {
    /// The body has come.
    pub(crate) fn received(&self, question: &Question) {
        let text = |pointer| question.json.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let test_id = question.mark("id").map(str::to_owned);
        let test_id = test_id.or_else(|| text("/metadata/test_id")).or_else(|| text("/user"));
        let test_id = test_id.or_else(|| text("/metadata/user_id"));
        let model = text("/model");
        let stream = question.json.get("stream").and_then(Value::as_bool).unwrap_or(false);
        let body_sha256 = hex::encode(Sha256::digest(&question.body));
        self.change(|entry| {
            entry.body_bytes = Some(question.body.len());
            entry.body_sha256 = Some(body_sha256);
            entry.test_id = test_id.or_else(|| entry.test_id.take());
            entry.model = model;
            entry.stream = stream;
            entry.output_limit = limit::named(&question.json);
            entry.state = State::Waiting;
        });
    }

    /// The request will be answered for this bill, and its input is owed from now on.
    pub(crate) fn accepted(&mut self, bill: Tokens, bills_on: bool) {
        self.bill = bill;
        self.bills_on = bills_on;
        self.change(|entry| entry.billed = bill.before_the_answer());
    }

    /// The head of the answer is made.
    pub(crate) fn answering(&self, status: http::StatusCode) {
        self.change(|entry| {
            entry.status = Some(status.as_u16());
            entry.state = State::Answering;
        });
    }

    /// A part of the answer with so many tokens is on its way.
    pub(crate) fn delivering(&mut self, tokens: u64) {
        self.delivered += tokens;
        let so_far = self.bill.so_far(self.delivered);
        self.change(|entry| entry.billed = so_far);
    }

    /// The answer has ended as it should.
    pub(crate) fn answered(&mut self) {
        if !self.is_over {
            self.end(State::Answered, Some(self.bill));
        }
    }

    /// We end the answer early, because we were asked to.
    pub(crate) fn broken(&mut self) {
        self.end(State::Broken, None);
    }

    fn end(&mut self, state: State, bill: Option<Tokens>) {
        self.is_over = true;
        self.change(|entry| {
            entry.state = state;
            entry.billed = bill.unwrap_or(entry.billed);
        });
    }

    fn change(&self, change: impl FnOnce(&mut Entry)) {
        self.arrivals.change(self.sequence, change);
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        if !self.is_over {
            self.end(State::Cancelled, self.bills_on.then_some(self.bill));
        }
    }
}
