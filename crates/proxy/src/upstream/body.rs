//! The body that goes to a provider.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep};

/// What went wrong, for whoever only passes it on.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A request's body: read already, or passed on as it comes.
pub enum UpstreamBody {
    /// Known as a whole; empty once sent.
    Whole(Bytes),
    /// Passed on frame by frame.
    Streamed(Box<Streamed>),
}

/// A body that is passed on as it comes, within bounds.
pub struct Streamed {
    /// Frames that were read to look at the beginning.
    peeked: std::vec::IntoIter<Bytes>,
    rest: Incoming,
    passed: Arc<AtomicU64>,
    limit: u64,
    idle: Duration,
    last_frame: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

/// What is wrong with a body that was passed on while it came. It is the caller's doing, though it is
/// the connection to the provider that breaks of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallersBody {
    /// It went beyond this many bytes.
    #[error("the body is larger than {0} bytes")]
    TooLarge(u64),
    /// Nothing came for this long.
    #[error("the body stood still for {0:?}")]
    Still(Duration),
}

impl Streamed {
    /// A body of which some was read already.
    pub fn new(peeked: Vec<Bytes>, rest: Incoming, limit: u64, idle: Duration) -> Self {
        let (passed, last_frame) = (Arc::default(), Instant::now());
        Self { peeked: peeked.into_iter(), rest, passed, limit, idle, last_frame, timer: None }
    }

    /// How many bytes have been passed on.
    pub fn passed(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.passed)
    }

    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(bytes) = self.peeked.next() {
            return Poll::Ready(Some(self.counted(Frame::data(bytes))));
        }
        match Pin::new(&mut self.rest).poll_frame(context) {
            // Trailers stay here: nobody has looked for credentials in them.
            Poll::Ready(Some(Ok(frame))) if !frame.is_data() => Poll::Ready(None),
            Poll::Ready(frame) => {
                self.last_frame = Instant::now();
                Poll::Ready(frame.map(|frame| self.counted(frame?)))
            }
            Poll::Pending => self.poll_still(context).map(|still| Some(Err(still.into()))),
        }
    }

    fn counted(&self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, BoxError> {
        let length = frame.data_ref().map_or(0, Bytes::len) as u64;
        let passed = self.passed.fetch_add(length, Ordering::Relaxed) + length;
        if passed > self.limit { Err(CallersBody::TooLarge(self.limit).into()) } else { Ok(frame) }
    }

    fn poll_still(&mut self, context: &mut Context<'_>) -> Poll<CallersBody> {
        let idle = self.idle;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(idle)));
        loop {
            ready!(timer.as_mut().poll(context));
            let deadline = self.last_frame + idle;
            if Instant::now() >= deadline {
                return Poll::Ready(CallersBody::Still(idle));
            }
            timer.as_mut().reset(deadline);
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Streamed(streamed) => streamed.poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Streamed(streamed) => streamed.peeked.len() == 0 && streamed.rest.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Streamed(streamed) => {
                let peeked: usize = streamed.peeked.as_slice().iter().map(Bytes::len).sum();
                let rest = streamed.rest.size_hint().exact();
                rest.map_or(SizeHint::default(), |rest| SizeHint::with_exact(peeked as u64 + rest))
            }
        }
    }
}
