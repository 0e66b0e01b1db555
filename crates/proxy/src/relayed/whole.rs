//! An answer that is read before anything of it is sent.

use std::future::poll_fn;

use bytes::{Bytes, BytesMut};
use http_body::Body as _;

use super::flow::Flow;
use super::{Ended, Relayed, Running};
use crate::buffered::Buffered;
use crate::config::Bounds;
use crate::refusal::Refusal;
use crate::visit::Visit;

/// Why an answer was not read as a whole.
pub enum NotWhole {
    /// There is no room for it.
    TooLong(Relayed),
    /// It could not go on.
    Broken(Refusal, Relayed),
}

enum Gap {
    TooLong,
    Broken(Refusal),
}

impl Relayed {
    /// The whole answer, which is a small one, to be closed by whoever asked for it.
    pub async fn whole(mut self) -> Result<(Bytes, Ended), (Refusal, Visit)> {
        let gathered = self.gathered(None).await;
        let mut flow = self.flow.take().expect("an answer is taken once");
        let bytes = match gathered {
            Ok(bytes) => bytes,
            Err(gap) => {
                let refusal = match gap {
                    Gap::Broken(refusal) => refusal,
                    Gap::TooLong => Refusal::TooManyBodies,
                };
                let running = flow.running.take().expect("an answer's end is reported once");
                let Running { mut visit, rating, .. } = running;
                // The provider bills what it has read, unless it was he who gave up.
                visit.owed = (refusal.abandons() && rating.markup().is_some()).then_some(rating);
                return Err((refusal, visit));
            }
        };
        Ok((bytes.clone(), over(flow, bytes)))
    }

    /// The whole answer, however long it is within the bounds; to be closed by whoever asked for it.
    pub async fn whole_within(mut self, bounds: &Bounds) -> Result<(Bytes, Ended), NotWhole> {
        match self.gathered(Some(bounds)).await {
            Err(Gap::TooLong) => Err(NotWhole::TooLong(self)),
            Err(Gap::Broken(refusal)) => Err(NotWhole::Broken(refusal, self)),
            Ok(bytes) => {
                let flow = self.flow.take().expect("an answer is taken once");
                Ok((bytes.clone(), over(flow, bytes)))
            }
        }
    }

    async fn gathered(&mut self, bounds: Option<&Bounds>) -> Result<Bytes, Gap> {
        let (mut first, mut more) = (Bytes::new(), BytesMut::new());
        let mut memory = Buffered::default();
        // It is there from the beginning, and is taken only when the answer is over or left.
        let Some(flow) = self.flow.as_mut() else { return Ok(first) };
        if bounds.is_some_and(|bounds| flow.source.body.size_hint().lower() > bounds.max_json_bytes) {
            return Err(Gap::TooLong);
        }
        while !flow.source.body.is_end_stream() {
            let frame = match poll_fn(|context| flow.poll_source(context)).await {
                None => break,
                Some(Err(refusal)) => return Err(Gap::Broken(refusal)),
                Some(Ok(frame)) => frame,
            };
            let Ok(data) = frame.into_data() else { continue };
            if first.is_empty() {
                first = data;
                continue;
            }
            if more.is_empty() {
                more.extend_from_slice(&first);
            }
            more.extend_from_slice(&data);
            let Some(bounds) = bounds else { continue };
            let fits = more.len() as u64 <= bounds.max_json_bytes;
            if !fits || memory.grow(more.capacity(), bounds.max_buffered_bytes).is_err() {
                return Err(Gap::TooLong);
            }
        }
        Ok(match (more.is_empty(), bounds) {
            (true, _) => first,
            (false, None) => more.freeze(),
            (false, Some(_)) => memory.keep(more.freeze()),
        })
    }
}

/// Everything was read.
fn over(mut flow: Flow, bytes: Bytes) -> Ended {
    flow.keep_connection();
    let running = flow.running.take().expect("an answer's end is reported once");
    Ended::whole(running, bytes)
}
