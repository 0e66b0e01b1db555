//! Keeps a stream within what is set aside for it. More is asked for in steps, beside the stream and
//! before it is needed; a stream waits only where nothing is left and no answer is there yet.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use meter::{Denied, OpenRecord};
use model::Nanos;
use model::usage::Measure;
use providers::credits::Steps;
use providers::credits::steps::Extension;
use providers::stream::{Ending, SseTap};
use providers::tokens::Encoding;
use tracing::debug;

use crate::limits::Rule;
use crate::rating::Markup;
use crate::visit::Visit;

/// How a stream is paid for while it comes.
#[derive(Debug)]
pub struct Paying {
    /// How much of it is paid for.
    pub steps: Steps,
    /// What it counts in.
    pub rules: Vec<Arc<Rule>>,
    /// What is charged on top.
    pub markup: Markup,
    /// How many answers it has.
    pub answers: u64,
    /// Whether the caller wants to be told the usage.
    pub include_usage: bool,
}

/// What a stream may still produce.
pub(super) struct Allowance {
    paying: Paying,
    encoding: Encoding,
    asking: Option<Asking>,
    /// Not before so much was produced, after Redis did not answer.
    not_before: u64,
    /// How much was produced when it was last noted.
    noted: u64,
}

/// The record is away while more is asked for.
type Asking = Pin<Box<dyn Future<Output = (OpenRecord, Extension, Result<(), Denied>)> + Send>>;

/// Bytes of output after which the meter is told what was produced, should this process die.
const NOTED_EVERY: u64 = 1024;
/// Tokens until Redis is asked again that did not answer.
const PATIENCE: u64 = 128;

impl Allowance {
    pub(super) fn new(paying: Paying, model: &str) -> Self {
        Self { paying, encoding: Encoding::of(model), asking: None, not_before: 0, noted: 0 }
    }

    /// Whether the stream must end here.
    pub(super) fn poll_spent(
        &mut self,
        context: &mut Context<'_>,
        visit: &mut Visit,
        tap: &mut SseTap,
    ) -> Poll<bool> {
        loop {
            if let Some(asking) = &mut self.asking
                && let Poll::Ready((open, extension, answer)) = asking.as_mut().poll(context)
            {
                self.asking = None;
                visit.take_back(open);
                self.answered(visit, &extension, answer, tap.produced_at_most());
            }
            let produced = self.produced(visit, tap);
            if self.asking.is_none()
                && produced >= self.not_before
                && let Some(extension) = self.paying.steps.due(produced)
                && let Some(open) = visit.lend()
            {
                self.asking = Some(self.asks(open, extension));
                continue;
            }
            let is_spent = self.paying.steps.must_end(produced) && !is_over(tap);
            return match (is_spent, &self.asking) {
                (true, Some(_)) => Poll::Pending,
                // What is cut in the middle of an event cannot be ended in order.
                (is_spent, _) => Poll::Ready(is_spent && tap.is_between_events()),
            };
        }
    }

    /// The record, should it be away when the stream ends.
    pub(super) async fn settled(self) -> Option<OpenRecord> {
        Some(self.asking?.await.0)
    }

    pub(super) fn is_asking(&self) -> bool {
        self.asking.is_some()
    }

    pub(super) fn paying(&self) -> &Paying {
        &self.paying
    }

    /// How much was produced at most, counted only where it matters, and noted now and then.
    fn produced(&mut self, visit: &mut Visit, tap: &mut SseTap) -> u64 {
        let produced = tap.produced_at_most();
        let Paying { steps, markup, .. } = &self.paying;
        let is_close = steps.due(produced).is_some() || steps.must_end(produced);
        if !is_close && produced < self.noted + NOTED_EVERY {
            return produced;
        }
        tap.count(self.encoding);
        self.noted = tap.produced_at_most();
        visit.produced(markup.on(steps.reported(self.noted)));
        self.noted
    }

    fn asks(&self, mut open: OpenRecord, extension: Extension) -> Asking {
        let Paying { rules, markup, .. } = &self.paying;
        let more = charged(*markup, &extension);
        let reported = markup.on(extension.reported);
        let tokens = i64::try_from(extension.tokens).unwrap_or(i64::MAX);
        let counters = rules.iter().map(|rule| match rule.counter.measure {
            Measure::Requests => 0,
            Measure::Spend | Measure::Tokens => rule.taken(extension.more, tokens),
        });
        let counters: Vec<i64> = counters.collect();
        Box::pin(async move {
            let answer = open.extend(more, &counters, reported).await;
            (open, extension, answer)
        })
    }

    fn answered(
        &mut self,
        visit: &mut Visit,
        extension: &Extension,
        answer: Result<(), Denied>,
        produced: u64,
    ) {
        visit.deps().metrics.extended(&answer);
        let steps = &mut self.paying.steps;
        match answer {
            Ok(()) => {
                steps.granted(extension);
                visit.held += charged(self.paying.markup, extension);
            }
            Err(Denied::Unavailable { .. }) if !steps.must_end(produced) => {
                self.not_before = produced + PATIENCE;
            }
            Err(denied) => {
                debug!(?denied, "A stream ends with what is set aside for it");
                steps.refused();
            }
        }
    }
}

/// What an extension costs with its markup. Each step's charge is rounded, and together they must not
/// be less than that of the whole.
fn charged(markup: Markup, extension: &Extension) -> Nanos {
    markup.on(extension.more) + Nanos(i64::from(markup.0 != 0))
}

/// Whether the stream has said all there is to say.
fn is_over(tap: &SseTap) -> bool {
    let heard = tap.so_far();
    heard.ending != Ending::Open || heard.answer.tokens.is_some()
}
