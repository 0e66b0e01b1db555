//! An answer under way: it is passed on frame by frame, read beside, and its end is reported exactly
//! once, whether the provider ends it, breaks off or stands still, the caller leaves, or we end it.

mod allowance;
mod drains;
mod ending;
mod flow;
mod tap;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;

use providers::Endpoint;

use crate::rating::Rating;
use crate::refusal::Refusal;
use crate::upstream::{BoxError, Connection};
use crate::visit::Visit;
use crate::watch::Watch;
pub use allowance::Paying;
pub use drains::{Drain, Drains};
pub use ending::Ended;
use flow::Flow;
pub use tap::Tap;

/// A provider's answer on its way to the caller.
pub struct Relayed {
    /// Taken when the caller leaves.
    flow: Option<Flow>,
}

/// Where an answer comes from.
pub struct Source {
    /// What is still to come.
    pub body: Incoming,
    /// The connection on which it comes; dropping it closes the socket.
    pub connection: Option<Connection>,
    /// Whether the connection can serve another request after this one.
    pub reusable: bool,
    /// What watches over it.
    pub watch: Watch,
}

/// What the end of an answer is written into, and from.
pub struct Running {
    /// The request.
    pub visit: Visit,
    /// What listens.
    pub tap: Tap,
    /// What it is rated by.
    pub rating: Arc<Rating>,
    /// How it is paid for, if that is done as it comes.
    pub paying: Option<Paying>,
    /// Whether the provider shows all that it bills, as it comes.
    pub shows_all: bool,
    /// Whether it stops billing when it is left, and shows all that it bills until then.
    pub stops_billing: bool,
}

impl Running {
    /// Whether credits pay for what is produced after the caller has left.
    fn bills_on(&self) -> bool {
        self.rating.markup().is_some() && !self.stops_billing && self.tap.listens()
    }

    /// Whether what came does not tell what is billed, because some of what is produced is not seen, or
    /// only once all of it has come.
    fn hides_some(&self) -> bool {
        let endpoint = self.rating.endpoint;
        let produces = endpoint.writes_text() || endpoint == Endpoint::ImageGenerations;
        produces && !self.shows_all
    }
}

impl Relayed {
    /// An answer whose head has arrived.
    pub fn new(source: Source, running: Running, hides_usage: bool) -> Self {
        Self { flow: Some(Flow::new(source, running, hides_usage)) }
    }

    /// Adds what every answer bears.
    pub fn mark(&mut self, headers: &mut HeaderMap) {
        if let Some(running) = self.flow.as_mut().and_then(|flow| flow.running.as_mut()) {
            running.visit.mark(headers);
        }
    }

    /// Whether the end was reported.
    pub fn is_over(&self) -> bool {
        self.flow.as_ref().is_none_or(Flow::is_over)
    }

    /// The length, if it is known and nothing of it is hidden.
    pub fn size_hint(&self) -> SizeHint {
        self.flow.as_ref().map(Flow::size_hint).unwrap_or_default()
    }

    /// The whole answer, to be closed by whoever asked for it.
    pub async fn whole(mut self) -> Result<(Bytes, Ended), (Refusal, Visit)> {
        let (mut first, mut more) = (Bytes::new(), BytesMut::new());
        let mut broken = None;
        // It is there from the beginning, and is taken only when the answer is over or left.
        while let Some(flow) = self.flow.as_mut()
            && !flow.source.body.is_end_stream()
            && broken.is_none()
        {
            match poll_fn(|context| flow.poll_source(context)).await {
                None => break,
                Some(Err(refusal)) => broken = Some(refusal),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if first.is_empty() => first = data,
                    Ok(data) => {
                        if more.is_empty() {
                            more.extend_from_slice(&first);
                        }
                        more.extend_from_slice(&data);
                    }
                    Err(_trailers) => {}
                },
            }
        }
        let bytes = if more.is_empty() { first } else { more.freeze() };
        let mut flow = self.flow.take().expect("an answer is taken once");
        if broken.is_none() {
            flow.keep_connection();
        }
        let running = flow.running.take().expect("an answer's end is reported once");
        match broken {
            Some(refusal) => {
                let Running { mut visit, rating, .. } = running;
                // The provider bills what it has read, unless it was he who gave up.
                visit.owed = (refusal.abandons() && rating.markup().is_some()).then_some(rating);
                Err((refusal, visit))
            }
            None => Ok((bytes.clone(), Ended::whole(running, bytes))),
        }
    }

    /// The next frame for the caller.
    pub fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(flow) = self.flow.as_mut() else { return Poll::Ready(None) };
        let refusal = match ready!(flow.poll_frame(context)) {
            Some(Err(refusal)) => refusal,
            Some(Ok(frame)) => return Poll::Ready(Some(Ok(frame))),
            None => return Poll::Ready(None),
        };
        let last_words = flow.last_words(&refusal);
        if let Some(flow) = self.flow.take() {
            flow.broken(refusal);
        }
        Poll::Ready(Some(last_words))
    }
}

/// The caller left.
impl Drop for Relayed {
    fn drop(&mut self) {
        if let Some(flow) = self.flow.take() {
            flow.left();
        }
    }
}
