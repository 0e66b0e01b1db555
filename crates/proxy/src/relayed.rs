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
    body: Incoming,
    connection: Option<Connection>,
    reusable: bool,
    watch: Watch,
    hide: Option<HideUsageChunk>,
    rating: Rating,
    /// Taken when the end is reported.
    running: Option<(Visit, Tap)>,
}

impl Relayed {
    /// An answer whose head has arrived.
    #[expect(clippy::too_many_arguments, reason = "one place puts together what the stages found out")]
    pub fn new(
        body: Incoming,
        connection: Connection,
        reusable: bool,
        mut watch: Watch,
        tap: Tap,
        hides_usage: bool,
        rating: Rating,
        visit: Visit,
    ) -> Self {
        watch.expect_within(visit.deps().bounds.answer_idle);
        let (connection, hide) = (Some(connection), hides_usage.then(HideUsageChunk::default));
        Self { body, connection, reusable, watch, hide, rating, running: Some((visit, tap)) }
    }

    /// Adds what every answer bears.
    pub fn mark(&mut self, headers: &mut HeaderMap) {
        if let Some((visit, _)) = &mut self.running {
            visit.mark(headers);
        }
    }

    /// Whether the end was reported.
    pub fn is_over(&self) -> bool {
        self.running.is_none()
    }

    /// The length, if it is known and nothing of it is hidden.
    pub fn size_hint(&self) -> SizeHint {
        if self.hide.is_some() { SizeHint::default() } else { self.body.size_hint() }
    }

    /// The whole answer, to be closed by whoever asked for it.
    pub async fn whole(mut self) -> Result<(Bytes, Ended), (Refusal, Visit)> {
        let (mut first, mut more) = (Bytes::new(), BytesMut::new());
        let mut result = Ok(());
        while !self.body.is_end_stream() {
            match poll_fn(|context| self.poll_upstream(context)).await {
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
                Some(Err(refusal)) => {
                    result = Err(refusal);
                    break;
                }
                None => break,
            }
        }
        let bytes = if more.is_empty() { first } else { more.freeze() };
        let (visit, tap) = self.take_running();
        match result {
            Ok(()) => {
                self.keep_connection(&visit);
                Ok((bytes.clone(), Ended::whole(visit, self.rating.clone(), &tap, bytes)))
            }
            Err(refusal) => Err((refusal, visit)),
        }
    }

    /// The next frame for the caller.
    pub fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        while self.running.is_some() {
            match std::task::ready!(self.poll_upstream(context)) {
                Some(Ok(frame)) => {
                    let Some(frame) = self.passed(frame) else { continue };
                    if self.hide.is_none() && self.body.is_end_stream() {
                        self.complete();
                    }
                    return Poll::Ready(Some(Ok(frame)));
                }
                Some(Err(refusal)) => return Poll::Ready(Some(self.broken(&refusal))),
                None => {
                    let held = self.hide.as_mut().map(HideUsageChunk::finish).unwrap_or_default();
                    self.sent(&held);
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
    fn poll_upstream(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Refusal>>> {
        let provider = self.rating.provider.slug;
        let Some((visit, tap)) = &mut self.running else { return Poll::Ready(None) };
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                self.watch.expect_within(visit.deps().bounds.answer_idle);
                if let Some(data) = frame.data_ref() {
                    tap.hear(data);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(_))) => Poll::Ready(Some(Err(Refusal::ProviderBrokeOff { provider }))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => self.watch.poll_alarm(context).map(|alarm| {
                Some(Err(match alarm {
                    Alarm::Still => {
                        let seconds = visit.deps().bounds.answer_idle.as_secs();
                        Refusal::ProviderStill { provider, seconds }
                    }
                    alarm => ended(alarm),
                }))
            }),
        }
    }

    /// What of a frame the caller is sent; `None` if all of it is hidden.
    fn passed(&mut self, frame: Frame<Bytes>) -> Option<Frame<Bytes>> {
        let frame = match (&mut self.hide, frame.into_data()) {
            (Some(hide), Ok(data)) => Frame::data(hide.filter(data)),
            (None, Ok(data)) => Frame::data(data),
            (_, Err(trailers)) => trailers,
        };
        if let Some(data) = frame.data_ref() {
            if data.is_empty() {
                return None;
            }
            let sent = data.len() as u64;
            if let Some((visit, _)) = &mut self.running {
                visit.record().response_bytes += sent;
            }
        }
        Some(frame)
    }

    fn sent(&mut self, data: &Bytes) {
        if let Some((visit, _)) = &mut self.running {
            visit.record().response_bytes += data.len() as u64;
        }
    }

    fn complete(&mut self) {
        if let Some((visit, tap)) = self.running.take() {
            self.keep_connection(&visit);
            Ended::complete(visit, self.rating.clone(), tap).close();
        }
    }

    /// Ends an answer that cannot go on: a stream with an event that says so, anything else by breaking
    /// the caller's connection too, which is the only way left to say it.
    fn broken(&mut self, refusal: &Refusal) -> Result<Frame<Bytes>, BoxError> {
        self.connection = None;
        let Some((visit, tap)) = self.running.take() else { return Err("the answer is over".into()) };
        let event = tap.is_stream().then(|| {
            Bytes::from(visit.listener().event(refusal, self.rating.provider.dialect, self.rating.endpoint))
        });
        Ended::broken(visit, self.rating.clone(), tap, refusal).close();
        event.map(Frame::data).ok_or_else(|| refusal.to_string().into())
    }

    fn keep_connection(&mut self, visit: &Visit) {
        if let Some(connection) = self.connection.take().filter(|_| self.reusable) {
            visit.deps().origins.pool(self.rating.provider).keep(connection);
        }
    }

    fn take_running(&mut self) -> (Visit, Tap) {
        // It is there from the beginning and taken by whoever reports the end.
        self.running.take().expect("an answer's end is reported once")
    }
}

/// The caller left: the provider's connection closes with this, and what came is counted.
impl Drop for Relayed {
    fn drop(&mut self) {
        self.connection = None;
        if let Some((visit, tap)) = self.running.take() {
            Ended::left(visit, self.rating.clone(), tap).close();
        }
    }
}
