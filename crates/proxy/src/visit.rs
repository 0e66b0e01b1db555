//! A request from its arrival to its end, with the usage record that it leaves. However it ends, by
//! an answer, a refusal, a hang-up or a mistake of ours, the record is closed exactly once.

mod arrival;
mod closing;
mod first_words;
mod logged;
mod marks;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::header::{self, HeaderMap};
use http::request::Parts;
use http::{Response, StatusCode};
use http_body::Body as _;
use meter::{Claim, Denied, OpenRecord, Standing};
use model::usage::{Outcome, UsageRecord};
use model::{AccountId, Nanos};
use process::failpoint;
use providers::catalog::QuotaHeaders;

use crate::answer::Answer;
use crate::deps::Deps;
use crate::effects::standing::Watched;
use crate::limits::Left;
use crate::limits::local::LocalHold;
use crate::rating::{Least, Rating};
use crate::refusal::{Fault, Listener, Refusal, Shape};
use crate::request_id::now_ms;
use crate::spans::Trace;
use crate::stages::resolve::Place;
pub use arrival::Arrival;
use closing::Closing;
pub use first_words::bounded;
use first_words::first_words;
pub use marks::told;

/// A request at a known gateway.
pub struct Visit {
    deps: Arc<Deps>,
    record: Box<UsageRecord>,
    open: Option<OpenRecord>,
    arrival: Arrival,
    /// In which shape the caller reads errors.
    pub shape: Shape,
    /// The trace that the request belongs to.
    pub trace: Option<Trace>,
    fault: &'static str,
    /// How long the caller's body was waited for, which is not our time.
    pub waited: Duration,
    /// Counts a body that is passed on while it comes.
    pub passed: Option<Arc<AtomicU64>>,
    /// What is left of its limits, for the answer's headers.
    pub left: Left,
    /// The bound on output that it was given.
    pub output_limit: Option<u64>,
    /// What is set aside of credits.
    pub held: Nanos,
    /// Who was asked for what, where the address does not say it: `openai:gpt-4o`.
    pub asked: Option<String>,
    /// Members of the body that were not sent on.
    pub removed: Vec<String>,
    /// Models that were not tried though they were asked for.
    rejected: Vec<String>,
    /// How often anybody was asked.
    attempts: u16,
    /// What it took of the local limits.
    pub local: Option<LocalHold>,
    /// Under what it is counted how the attempt goes, if anybody wants to know.
    pub watched: Option<Box<Watched>>,
    /// What its input is rated by, should we give it up before the provider's first byte.
    pub owed: Option<Arc<Rating>>,
    /// Whether it was we or the caller who gave it up.
    is_abandoned: bool,
    /// The record as every attempt begins it, where there may be more than one.
    beginning: Option<Box<UsageRecord>>,
    dispatched: Option<Instant>,
    first_byte: Option<Instant>,
    is_closed: bool,
}

impl Visit {
    /// Begins the record with what the request's head says.
    pub fn begin(deps: &Arc<Deps>, arrival: Arrival, place: &Place, head: &Parts, shape: Shape) -> Self {
        let trace = Trace::of(&head.headers, arrival.id, deps.spans.is_some());
        deps.metrics.in_flight.inc();
        Self {
            deps: Arc::clone(deps),
            record: Box::new(first_words(arrival, place, head, trace)),
            open: None,
            arrival,
            shape,
            trace,
            fault: "none",
            waited: Duration::ZERO,
            passed: None,
            left: Left::default(),
            output_limit: None,
            held: Nanos::ZERO,
            asked: None,
            removed: Vec::new(),
            rejected: Vec::new(),
            attempts: 0,
            local: None,
            watched: None,
            owed: None,
            is_abandoned: false,
            beginning: None,
            dispatched: None,
            first_byte: None,
            is_closed: false,
        }
    }

    /// How long it took until now, but for the waiting for its body.
    pub fn age(&self) -> Duration {
        self.arrival.at.elapsed().saturating_sub(self.waited)
    }

    /// A model is not tried though it was asked for.
    pub fn rejected(&mut self, model: String) {
        if !self.rejected.contains(&model) {
            self.rejected.push(model);
        }
    }

    /// The record, to be added to.
    pub fn record(&mut self) -> &mut UsageRecord {
        &mut self.record
    }

    /// Whose request it is.
    pub fn account(&self) -> AccountId {
        self.record.account
    }

    /// When it came.
    pub fn arrival(&self) -> Arrival {
        self.arrival
    }

    /// Whom a refusal would be told.
    pub fn listener(&self) -> Listener {
        Listener { shape: self.shape, request_id: self.arrival.id }
    }

    /// What the request shares with all others.
    pub fn deps(&self) -> &Arc<Deps> {
        &self.deps
    }

    /// Writes the record down before the provider is called, as it is to be read if nobody hears of the
    /// request again. Says whether there was room; the meter counts what is missed.
    pub fn open(&mut self, least: Least) -> bool {
        least.stand_in(&mut self.record);
        self.open = self.deps.meter.open(&self.record).ok();
        Least::default().stand_in(&mut self.record);
        failpoint("spool_opened");
        self.open.is_some()
    }

    /// Whether it is written down.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Sets aside what the request may come to.
    pub async fn hold(&mut self, claim: &Claim) -> Result<Standing, Denied> {
        let held = match &mut self.open {
            Some(open) => open.hold(claim).await,
            None => Err(Denied::SpoolFull),
        };
        self.deps.metrics.held(&held);
        held
    }

    /// Notes what was produced so far, in money: what is charged if nobody hears of the request again.
    pub fn produced(&mut self, so_far: Nanos) {
        if let Some(open) = &mut self.open {
            open.produced(so_far);
        }
    }

    /// Gives the open record away for a while. A request that ends meanwhile waits for it.
    pub fn lend(&mut self) -> Option<OpenRecord> {
        self.open.take()
    }

    /// Takes the open record back.
    pub fn take_back(&mut self, open: OpenRecord) {
        self.open = Some(open);
    }

    /// The request leaves for the provider.
    pub fn dispatched(&mut self) {
        let now = Instant::now();
        self.dispatched = Some(now);
        self.attempts = self.attempts.saturating_add(1);
        if let Some(open) = &mut self.open {
            open.dispatched();
        }
        let queue = now.duration_since(self.arrival.at).saturating_sub(self.waited);
        self.record.timings.queue = microseconds(queue);
        self.record.timings.own = self.record.timings.queue;
    }

    /// The provider's answer began.
    pub fn first_byte(&mut self) {
        let now = Instant::now();
        self.first_byte = Some(now);
        self.owed = None;
        if let Some(dispatched) = self.dispatched {
            self.record.timings.upstream_first_byte = microseconds(now - dispatched);
        }
        failpoint("first_byte");
    }

    /// The provider answers so.
    pub fn answered(&mut self, quota: QuotaHeaders, status: StatusCode, headers: &HeaderMap) {
        if let Some(watched) = &mut self.watched {
            watched.answered(self.deps.effects.standing(), quota, status, headers, now_ms());
        }
    }

    /// The provider's answer ended.
    pub fn last_byte(&mut self) {
        if let Some(dispatched) = self.dispatched {
            self.record.timings.upstream_last_byte = microseconds(dispatched.elapsed());
        }
        failpoint("last_byte");
    }

    /// Ends the request with a refusal, and says what the caller is told.
    pub fn refused(mut self, refusal: &Refusal) -> Response<Answer> {
        let listener = self.listener();
        let mut response = told(listener, refusal);
        self.mark(response.headers_mut());
        self.record.status = response.status().as_u16();
        self.record.response_bytes = response.body().size_hint().lower();
        self.record.response_content_type = "application/json".to_owned();
        self.blame(refusal);
        self.close();
        response
    }

    /// Notes that the request did not end well, and why.
    pub fn blame(&mut self, refusal: &Refusal) {
        self.record.outcome = match refusal {
            ended if ended.ends_what_ran() => Outcome::Ended,
            _ if refusal.fault() == Fault::Provider || self.dispatched.is_some() => Outcome::Failed,
            _ => Outcome::Refused,
        };
        // Nor is it undone by what is told in the end of all attempts together.
        self.is_abandoned |= refusal.abandons();
        self.deps.metrics.refused(refusal.cause());
        if let Some(watched) = &mut self.watched {
            watched.refused(refusal);
        }
        if let Refusal::TokenMisplaced { .. } = refusal {
            self.forget_texts();
        }
        self.record.error_code = refusal.code();
        self.record.cause = refusal.cause().to_owned();
        self.fault = refusal.fault().as_str();
        // Whatever else is our own fault was logged where it came up.
        if matches!(refusal, Refusal::Bug) {
            tracing::error!(request.id = %self.arrival.id, "A mistake of ours broke request {}", self.arrival.id);
        }
    }

    /// A token stood where we keep what callers write, and logs have more readers than tokens.
    fn forget_texts(&mut self) {
        let UsageRecord { path, user_agent, event_id, metadata, request_content_type, policy_logs, .. } =
            &mut *self.record;
        for text in [path, user_agent, event_id, metadata, request_content_type, policy_logs] {
            text.clear();
        }
    }

    /// Notes that the caller did not wait for the end.
    pub fn left(&mut self) {
        self.record.outcome = Outcome::HungUp;
        self.record.cause = "caller_left".to_owned();
        self.is_abandoned = true;
        self.fault = Fault::Caller.as_str();
    }

    /// Keeps what the gateway's policy has logged, if anybody may see it.
    pub fn log(&mut self, logs: Vec<policy::Value>) {
        if self.record.collect_log {
            logged::add(&mut self.record.policy_logs, logs);
        }
    }

    /// Notes that the gateway's policy has told the caller something else than the provider's answer.
    pub fn replaced(&mut self) {
        self.record.outcome = Outcome::Answered;
        self.record.cause = "policy".to_owned();
    }

    /// Keeps what every attempt has in common, should there be more than one.
    pub fn may_try_again(&mut self) {
        self.beginning = Some(self.record.clone());
    }

    /// Closes the record of an attempt that failed and begins the next one's. Whatever the failed one is
    /// charged or gives back is settled like that of any request.
    pub fn again(&mut self) {
        let Some(beginning) = self.beginning.clone() else { return };
        let attempt = self.record.attempt + 1;
        self.end();
        self.is_closed = false;
        self.deps.metrics.in_flight.inc();
        let now = Arrival::now();
        self.arrival.at = now.at;
        *self.record = UsageRecord { id: now.id, attempt, ..*beginning };
        (self.waited, self.passed) = (Duration::ZERO, None);
        (self.held, self.output_limit) = (Nanos::ZERO, None);
        (self.owed, self.is_abandoned, self.fault) = (None, false, "none");
        (self.dispatched, self.first_byte) = (None, None);
    }

    /// Closes the record as it stands.
    pub fn close(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if std::mem::replace(&mut self.is_closed, true) {
            return;
        }
        if let Some(passed) = &self.passed {
            self.record.request_bytes = passed.load(Ordering::Relaxed);
        }
        self.record.timings.total = microseconds(self.arrival.at.elapsed());
        let asked = self.dispatched;
        let closing = Closing {
            deps: Arc::clone(&self.deps),
            open: self.open.take(),
            local: self.local.take(),
            held: self.held,
            removed: std::mem::take(&mut self.removed),
            trace: self.trace,
            fault: self.fault,
            watched: self
                .watched
                .take()
                .map(|watched| (watched, asked.map(|at| at.elapsed()).unwrap_or_default())),
        };
        let owed = self.owed.take().filter(|_| self.is_abandoned);
        match (owed, tokio::runtime::Handle::try_current()) {
            // Counting takes too long for the threads that serve others.
            (Some(rating), Ok(runtime)) => {
                let mut record = self.record.clone();
                runtime.spawn_blocking(move || {
                    rating.input(&mut record);
                    closing.close(&record);
                });
            }
            _ => closing.close(&self.record),
        }
    }
}

/// Whatever is dropped before its end was left by its caller, or by a panic of ours.
impl Drop for Visit {
    fn drop(&mut self) {
        if self.is_closed {
            return;
        }
        if std::thread::panicking() {
            self.record.status = 500;
            self.blame(&Refusal::Bug);
            self.record.outcome = Outcome::Failed;
        } else {
            self.left();
        }
        self.end();
    }
}

/// A part of an answer's content type: what stands before its parameters.
pub fn content_type(headers: &HeaderMap) -> &str {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
