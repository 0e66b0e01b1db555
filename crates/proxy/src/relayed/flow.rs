//! The frames of an answer: read from the provider, heard, and handed on.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use providers::openai::hide::HideUsageChunk;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::allowance::Allowance;
use super::drains::{drained, drained_within};
use super::ending::Departure;
use super::{Drain, Ended, Relayed, Running, Shown, Source};
use crate::refusal::Refusal;
use crate::stages::dispatch::ended;
use crate::upstream::BoxError;
use crate::watch::Alarm;

/// An answer under way.
pub(super) struct Flow {
    pub(super) source: Source,
    hide: Option<HideUsageChunk>,
    /// What the caller is shown of it, if that is not what comes.
    pub(super) shown: Option<Box<Shown>>,
    allowance: Option<Allowance>,
    /// Taken when the end is reported.
    pub(super) running: Option<Running>,
    /// The last frames of a stream that is not paid any further.
    cut: Option<JoinHandle<Bytes>>,
    /// Why nobody waits for the rest, which is read for its usage alone.
    departure: Option<Departure>,
}

impl Flow {
    pub(super) fn new(mut source: Source, mut running: Running, hides_usage: bool) -> Self {
        source.watch.expect_within(running.visit.deps().bounds.answer_idle);
        let paying = running.paying.take();
        let allowance = paying.map(|paying| Allowance::new(paying, running.rating.model()));
        let hide = hides_usage.then(HideUsageChunk::default);
        Self { source, hide, shown: None, allowance, running: Some(running), cut: None, departure: None }
    }

    /// Whether there is nothing more to come.
    pub(super) fn is_over(&self) -> bool {
        self.running.is_none() && self.cut.is_none() && self.shown.is_none()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        let is_whole = self.hide.is_none() && self.shown.is_none();
        let is_whole = is_whole && self.allowance.is_none() && self.cut.is_none();
        if is_whole { self.source.body.size_hint() } else { SizeHint::default() }
    }

    /// The next frame for the caller, or why there is none, which is to be told by
    /// [`last_words`](Self::last_words) before it [breaks](Self::broken).
    pub(super) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Refusal>>> {
        while self.running.is_some() {
            if let Some(shown) = &mut self.shown {
                match ready!(shown.poll_next(context)) {
                    Ok(Some(data)) => {
                        self.count(&data);
                        return Poll::Ready(Some(Ok(Frame::data(data))));
                    }
                    Ok(None) if shown.is_over() => {
                        self.shown = None;
                        self.complete();
                        break;
                    }
                    Ok(None) => {}
                    Err(refusal) => return Poll::Ready(Some(Err(refusal))),
                }
            }
            if ready!(self.poll_spent(context)) {
                self.cut_off();
                break;
            }
            match ready!(self.poll_source(context)) {
                Some(Ok(frame)) => {
                    let Some(frame) = self.passed(frame) else { continue };
                    if self.hide.is_none() && self.source.body.is_end_stream() {
                        self.complete();
                    }
                    return Poll::Ready(Some(Ok(frame)));
                }
                Some(Err(refusal)) => return Poll::Ready(Some(Err(refusal))),
                None => {
                    let held = self.hide.as_mut().map(HideUsageChunk::finish).unwrap_or_default();
                    if let Some(shown) = &mut self.shown {
                        shown.push(held);
                        shown.end();
                        continue;
                    }
                    self.count(&held);
                    self.complete();
                    if !held.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(held))));
                    }
                }
            }
        }
        if let Some(cut) = &mut self.cut {
            let last = ready!(Pin::new(cut).poll(context)).ok();
            self.cut = None;
            let Some(shown) = &mut self.shown else {
                return Poll::Ready(last.map(|frames| Ok(Frame::data(frames))));
            };
            shown.push(last.unwrap_or_default());
            shown.end();
        }
        let Some(shown) = &mut self.shown else { return Poll::Ready(None) };
        let last = ready!(shown.poll_next(context)).transpose();
        if last.is_none() {
            self.shown = None;
        }
        Poll::Ready(last.map(|last| last.map(Frame::data)))
    }

    /// The next frame of the provider, or why there is none.
    pub(super) fn poll_source(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Refusal>>> {
        let Some(Running { visit, tap, rating, .. }) = &mut self.running else { return Poll::Ready(None) };
        let (server, idle) = (&rating.server, visit.deps().bounds.answer_idle);
        match Pin::new(&mut self.source.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                self.source.watch.expect_within(idle);
                if let Some(data) = frame.data_ref() {
                    tap.hear(data);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(_))) => {
                Poll::Ready(Some(Err(Refusal::ProviderBrokeOff { provider: server.name() })))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => self.source.watch.poll_alarm(context).map(|alarm| {
                Some(Err(match alarm {
                    Alarm::Still => {
                        Refusal::ProviderStill { provider: server.name(), seconds: idle.as_secs() }
                    }
                    alarm => ended(alarm),
                }))
            }),
        }
    }

    /// The caller left: the provider's connection closes with this, and what came is counted; but where
    /// credits pay and the provider bills on, the rest is read for its usage, if there is room for that.
    pub(super) fn left(self) {
        self.departs(Departure::Left);
    }

    /// It cannot go on. Where it is we who send the caller away, who may have wanted just that, it is as
    /// if he had left.
    pub(super) fn broken(mut self, refusal: Refusal) {
        // What the policy says of an answer is its own, too, and no provider's fault.
        if refusal.sends_away() || matches!(refusal, Refusal::Policy(_)) {
            return self.departs(Departure::SentAway(refusal));
        }
        self.source.connection = None;
        match self.departure.take() {
            Some(departure) => self.ends(|running| Ended::gone(running, &departure)),
            None => self.ends(|running| Ended::broken(running, &refusal)),
        }
    }

    /// The caller is told something else, as the policy says.
    pub(super) fn replaced(self, instead: Option<Refusal>) {
        self.departs(Departure::Replaced(instead));
    }

    fn departs(mut self, departure: Departure) {
        let place = if self.departure.is_none() { self.place(&departure) } else { None };
        let departure = self.departure.take().unwrap_or(departure);
        let Some((place, runtime)) = place.zip(Handle::try_current().ok()) else {
            self.source.connection = None;
            return self.ends(|running| Ended::gone(running, &departure));
        };
        self.departure = Some(departure);
        (self.hide, self.shown) = (None, None);
        self.source.watch.is_unattended();
        let Some(running) = &self.running else { return };
        if running.bills_on() {
            runtime.spawn(drained(Relayed { flow: Some(self) }, place));
        } else {
            let bounds = &running.visit.deps().bounds;
            let (bytes, time) = (bounds.max_json_bytes, bounds.answer_idle);
            runtime.spawn(drained_within(Relayed { flow: Some(self) }, place, bytes, time));
        }
    }

    /// Room to read the rest, if that makes a difference.
    fn place(&self, departure: &Departure) -> Option<Drain> {
        let running = self.running.as_ref()?;
        // What was produced already is billed; only a stream that nobody reads may be spared.
        let is_there = matches!(departure, Departure::Replaced(_)) && running.is_document();
        if !is_there && !running.bills_on() {
            return None;
        }
        running.visit.deps().drains.place(running.visit.account())
    }

    fn poll_spent(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        let (Some(allowance), Some(running)) = (&mut self.allowance, &mut self.running) else {
            return Poll::Ready(false);
        };
        match running.tap.events() {
            Some(tap) => allowance.poll_spent(context, &mut running.visit, tap),
            None => Poll::Ready(false),
        }
    }

    /// Ends a stream that is not paid any further, as if its limit of output had been reached.
    fn cut_off(&mut self) {
        self.source.connection = None;
        let (Some(allowance), Some(running)) = (self.allowance.take(), self.running.take()) else { return };
        let departure = self.departure.take();
        let Ok(runtime) = Handle::try_current() else {
            return Ended::gone(running, &departure.unwrap_or(Departure::Left)).close();
        };
        let cut = move || Ended::cut_off(running, allowance.paying(), departure.as_ref());
        self.cut = Some(runtime.spawn_blocking(cut));
    }

    /// What of a frame the caller is sent; `None` if all of it is hidden.
    fn passed(&mut self, frame: Frame<Bytes>) -> Option<Frame<Bytes>> {
        let data = match (&mut self.hide, frame.into_data()) {
            // What they say of the body is said of the provider's.
            (_, Err(trailers)) => return self.shown.is_none().then_some(trailers),
            (Some(hide), Ok(data)) => hide.filter(data),
            (None, Ok(data)) => data,
        };
        if let Some(shown) = &mut self.shown {
            shown.push(data);
            return None;
        }
        self.count(&data);
        (!data.is_empty()).then(|| Frame::data(data))
    }

    fn count(&mut self, sent: &Bytes) {
        if let Some(running) = self.running.as_mut().filter(|_| self.departure.is_none()) {
            running.visit.record().response_bytes += sent.len() as u64;
        }
    }

    fn complete(&mut self) {
        self.keep_connection();
        let departure = self.departure.take();
        self.ends(|running| Ended::complete(running, departure.as_ref()));
    }

    /// What the caller is told of an answer that cannot go on: in a stream by an event that says so, else
    /// by breaking his connection too, which is the only way left to say it.
    pub(super) fn last_words(&mut self, refusal: &Refusal) -> Result<Frame<Bytes>, BoxError> {
        let Some(Running { visit, tap, rating, .. }) = &self.running else {
            return Err("the answer is over".into());
        };
        if !tap.takes_events() {
            return Err(refusal.to_string().into());
        }
        let dialect = rating.server.dialect_of(rating.endpoint);
        let event: Bytes = visit.listener().event(refusal, dialect, rating.endpoint).into();
        Ok(Frame::data(match &mut self.shown {
            Some(shown) => shown.last_words(event),
            None => event,
        }))
    }

    /// Reports the end: at once, or when the record is back that is away to ask for more.
    fn ends(&mut self, end: impl FnOnce(Running) -> Ended) {
        let Some(running) = self.running.take() else { return };
        let mut ended = end(running);
        let away = self.allowance.take().filter(Allowance::is_asking);
        match (away, Handle::try_current()) {
            (Some(allowance), Ok(runtime)) => {
                runtime.spawn(async move {
                    if let Some(open) = allowance.settled().await {
                        ended.visit.take_back(open);
                    }
                    ended.close();
                });
            }
            _ => ended.close(),
        }
    }

    /// The connection may serve another request: everything of this one was read.
    pub(super) fn keep_connection(&mut self) {
        let connection = self.source.connection.take().filter(|_| self.source.reusable);
        if let (Some(connection), Some(Running { visit, rating, .. })) = (connection, &self.running) {
            rating.server.pool(&visit.deps().origins).keep(connection);
        }
    }
}
