//! An answer under way: it is passed on frame by frame, read beside, and its end is reported exactly
//! once, whether the provider ends it, breaks off or stands still, the caller leaves, or we end it.

mod ending;
mod tap;

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use providers::openai::hide::HideUsageChunk;

use crate::rating::Rating;
use crate::refusal::Refusal;
use crate::stages::dispatch::ended;
use crate::upstream::{BoxError, Connection};
use crate::visit::Visit;
use crate::watch::{Alarm, Watch};
pub use ending::Ended;
pub use tap::Tap;

/// A provider's answer on its way to the caller.
pub struct Relayed {
    source: Source,
    hide: Option<HideUsageChunk>,
    /// Taken when the end is reported.
    running: Option<Running>,
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
    pub rating: Rating,
}

impl Relayed {
    /// An answer whose head has arrived.
    pub fn new(mut source: Source, running: Running, hides_usage: bool) -> Self {
        source.watch.expect_within(running.visit.deps().bounds.answer_idle);
        Self { source, hide: hides_usage.then(HideUsageChunk::default), running: Some(running) }
    }

    /// Adds what every answer bears.
    pub fn mark(&mut self, headers: &mut HeaderMap) {
        if let Some(running) = &mut self.running {
            running.visit.mark(headers);
        }
    }

    /// Whether the end was reported.
    pub fn is_over(&self) -> bool {
        self.running.is_none()
    }

    /// The length, if it is known and nothing of it is hidden.
    pub fn size_hint(&self) -> SizeHint {
        if self.hide.is_some() { SizeHint::default() } else { self.source.body.size_hint() }
    }

    /// The whole answer, to be closed by whoever asked for it.
    pub async fn whole(mut self) -> Result<(Bytes, Ended), (Refusal, Visit)> {
        let (mut first, mut more) = (Bytes::new(), BytesMut::new());
        let mut broken = None;
        while !self.source.body.is_end_stream() && broken.is_none() {
            match poll_fn(|context| self.poll_source(context)).await {
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
        // It is there from the beginning, and only here is it taken before the body is polled.
        let running = self.running.take().expect("an answer's end is reported once");
        if let Some(refusal) = broken {
            return Err((refusal, running.visit));
        }
        self.keep_connection(&running);
        Ok((bytes.clone(), Ended::whole(running, bytes)))
    }

    /// The next frame for the caller.
    pub fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        while self.running.is_some() {
            match std::task::ready!(self.poll_source(context)) {
                Some(Ok(frame)) => {
                    let Some(frame) = self.passed(frame) else { continue };
                    if self.hide.is_none() && self.source.body.is_end_stream() {
                        self.complete();
                    }
                    return Poll::Ready(Some(Ok(frame)));
                }
                Some(Err(refusal)) => return Poll::Ready(Some(self.broken(&refusal))),
                None => {
                    let held = self.hide.as_mut().map(HideUsageChunk::finish).unwrap_or_default();
                    self.count(&held);
                    self.complete();
                    if !held.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(held))));
                    }
                }
            }
        }
        Poll::Ready(None)
    }

    /// The next frame of the provider, or why there is none.
    fn poll_source(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Refusal>>> {
        let Some(Running { visit, tap, rating }) = &mut self.running else { return Poll::Ready(None) };
        let (provider, idle) = (rating.provider.slug, visit.deps().bounds.answer_idle);
        match Pin::new(&mut self.source.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                self.source.watch.expect_within(idle);
                if let Some(data) = frame.data_ref() {
                    tap.hear(data);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(_))) => Poll::Ready(Some(Err(Refusal::ProviderBrokeOff { provider }))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => self.source.watch.poll_alarm(context).map(|alarm| {
                Some(Err(match alarm {
                    Alarm::Still => Refusal::ProviderStill { provider, seconds: idle.as_secs() },
                    alarm => ended(alarm),
                }))
            }),
        }
    }

    /// What of a frame the caller is sent; `None` if all of it is hidden.
    fn passed(&mut self, frame: Frame<Bytes>) -> Option<Frame<Bytes>> {
        let data = match (&mut self.hide, frame.into_data()) {
            (_, Err(trailers)) => return Some(trailers),
            (Some(hide), Ok(data)) => hide.filter(data),
            (None, Ok(data)) => data,
        };
        self.count(&data);
        (!data.is_empty()).then(|| Frame::data(data))
    }

    fn count(&mut self, sent: &Bytes) {
        if let Some(running) = &mut self.running {
            running.visit.record().response_bytes += sent.len() as u64;
        }
    }

    fn complete(&mut self) {
        if let Some(running) = self.running.take() {
            self.keep_connection(&running);
            Ended::complete(running).close();
        }
    }

    /// Ends an answer that cannot go on: a stream with an event that says so, anything else by breaking
    /// the caller's connection too, which is the only way left to say it.
    fn broken(&mut self, refusal: &Refusal) -> Result<Frame<Bytes>, BoxError> {
        self.source.connection = None;
        let Some(running) = self.running.take() else { return Err("the answer is over".into()) };
        let Running { visit, tap, rating } = &running;
        let last_words = tap
            .is_stream()
            .then(|| visit.listener().event(refusal, rating.provider.dialect, rating.endpoint));
        Ended::broken(running, refusal).close();
        last_words.map(|event| Frame::data(event.into())).ok_or_else(|| refusal.to_string().into())
    }

    fn keep_connection(&mut self, running: &Running) {
        let connection = self.source.connection.take();
        if let Some(connection) = connection.filter(|_| self.source.reusable) {
            running.visit.deps().origins.pool(running.rating.provider).keep(connection);
        }
    }
}

/// The caller left: the provider's connection closes with this, and what came is counted.
impl Drop for Relayed {
    fn drop(&mut self) {
        self.source.connection = None;
        if let Some(running) = self.running.take() {
            Ended::left(running).close();
        }
    }
}
