//! An answer as the gateway's traffic policy lets callers see it: with the messages of a stream looked at, and
//! compressed. All of that happens in front of the meter, which hears what the provider said.

use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};

use super::compressor::Compressor;
use super::messages::Messages;
use crate::refusal::Refusal;

/// What becomes of an answer's bytes.
pub struct Shown {
    messages: Option<Messages>,
    compressor: Option<Compressor>,
    /// What came and was not shown yet.
    came: Bytes,
    /// Nothing comes any more.
    is_ended: bool,
    /// All of it was shown.
    is_over: bool,
    /// Others are to have their turn.
    pauses: bool,
}

/// How much is compressed in a turn.
const SLICE: usize = 64 * 1024;

impl Shown {
    /// Nothing if an answer is shown as it comes.
    pub fn new(messages: Option<Messages>, compressor: Option<Compressor>) -> Option<Box<Self>> {
        let shows_all = messages.is_none() && compressor.is_none();
        let (came, is_ended, is_over, pauses) = (Bytes::new(), false, false, false);
        (!shows_all).then(|| Box::new(Self { messages, compressor, came, is_ended, is_over, pauses }))
    }

    /// Takes what came.
    pub(super) fn push(&mut self, bytes: Bytes) {
        if self.came.is_empty() {
            self.came = bytes;
        } else if !bytes.is_empty() {
            let mut all = BytesMut::from(&*self.came);
            all.extend_from_slice(&bytes);
            self.came = all.freeze();
        }
    }

    /// That was all.
    pub(super) fn end(&mut self) {
        self.is_ended = true;
    }

    /// Whether that was all, and all of it was shown.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// What the caller is sent next; `None` if more must come first.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Refusal>> {
        loop {
            if std::mem::take(&mut self.pauses) {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            if self.came.is_empty() && (self.is_over || !self.is_ended) {
                return Poll::Ready(Ok(None));
            }
            let bytes = self.next()?;
            self.pauses = !self.came.is_empty();
            if !bytes.is_empty() {
                return Poll::Ready(Ok(Some(bytes)));
            }
        }
    }

    fn next(&mut self) -> Result<Bytes, Refusal> {
        let mut left = match &mut self.messages {
            None => self.came.split_to(self.came.len().min(SLICE)),
            Some(messages) => {
                let mut left = Vec::with_capacity(self.came.len());
                messages.look(&mut self.came, &mut left)?;
                if self.is_ended && self.came.is_empty() {
                    messages.finish(&mut left)?;
                }
                left.into()
            }
        };
        self.is_over = self.is_ended && self.came.is_empty();
        if let Some(compressor) = &mut self.compressor {
            left = match self.is_over {
                true => compressor.last(&left),
                false if left.is_empty() => left,
                false => compressor.more(&left),
            };
        }
        Ok(left)
    }

    /// What is told in the place of all that was not shown yet.
    pub(super) fn last_words(&mut self, words: Bytes) -> Bytes {
        match &mut self.compressor {
            Some(compressor) => compressor.last(&words),
            None => words,
        }
    }
}
