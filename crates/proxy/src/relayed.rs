//! An answer under way: it is passed on frame by frame, read beside, and its end is reported exactly
//! once, whether the provider ends it, breaks off or stands still, the caller leaves, or we end it.

mod allowance;
mod compressor;
mod drains;
mod ending;
mod flow;
mod messages;
mod shown;
mod tap;
mod whole;

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};

use providers::Endpoint;

use crate::rating::Rating;
use crate::refusal::Refusal;
use crate::upstream::{AnswerBody, BoxError, Connection};
use crate::visit::Visit;
use crate::watch::Watch;
pub use allowance::Paying;
pub use compressor::Compressor;
pub use drains::{Drain, Drains};
pub use ending::Ended;
use flow::Flow;
pub use messages::{Messages, unreadable};
pub use shown::Shown;
pub use tap::Tap;
pub use whole::NotWhole;

/// A provider's answer on its way to the caller.
pub struct Relayed {
    /// Taken when the caller leaves.
    flow: Option<Flow>,
}

/// Where an answer comes from.
pub struct Source {
    /// What is still to come.
    pub body: AnswerBody,
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

    /// Whether it is there as a whole once its head is.
    fn is_document(&self) -> bool {
        self.tap.is_document()
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
        if let Some(visit) = self.visit() {
            visit.mark(headers);
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

    /// The caller is told something else, as the gateway's policy says: nobody waits for the rest.
    pub fn replaced(mut self, instead: Option<Refusal>) {
        if let Some(flow) = self.flow.take() {
            flow.replaced(instead);
        }
    }

    /// It could not go on, and its caller was told so.
    pub fn broken(mut self, refusal: Refusal) {
        if let Some(flow) = self.flow.take() {
            flow.broken(refusal);
        }
    }

    /// Shows the caller something of it, or in other words.
    pub fn show(&mut self, shown: Option<Box<Shown>>) {
        if let Some(flow) = &mut self.flow {
            flow.shown = shown;
        }
    }

    /// The request that it answers, unless its end was reported.
    pub fn visit(&mut self) -> Option<&mut Visit> {
        self.flow.as_mut()?.running.as_mut().map(|running| &mut running.visit)
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
