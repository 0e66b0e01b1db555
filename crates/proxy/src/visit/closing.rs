//! The end of a request.

use std::sync::Arc;
use std::time::Duration;

use meter::OpenRecord;
use model::Nanos;
use model::usage::UsageRecord;

use crate::deps::Deps;
use crate::effects::standing::Watched;
use crate::limits::local::LocalHold;
use crate::request_id::now_ms;
use crate::spans::Trace;

/// What is left to do with a record once it is complete.
pub(super) struct Closing {
    pub(super) deps: Arc<Deps>,
    pub(super) open: Option<OpenRecord>,
    pub(super) local: Option<LocalHold>,
    pub(super) held: Nanos,
    /// Members of the body that were not sent on.
    pub(super) removed: Vec<String>,
    pub(super) trace: Option<Trace>,
    pub(super) fault: &'static str,
    /// Under what it is counted how the attempt went, and how long ago the provider was asked.
    pub(super) watched: Option<(Box<Watched>, Duration)>,
}

impl Closing {
    /// Sends the record, and tells everybody else who wants to know.
    pub(super) fn close(self, record: &UsageRecord) {
        let Self { deps, open, local, held, removed, trace, fault, watched } = self;
        match open {
            Some(open) => open.close(record),
            None => drop(deps.meter.record(record)),
        }
        if let Some(local) = local {
            let tokens = record.tokens.total_input() + record.tokens.total_output();
            local.settle(record.cost.unwrap_or_default().0, i64::try_from(tokens).unwrap_or(i64::MAX));
        }
        if let Some((watched, took)) = &watched {
            deps.effects.standing().ended(watched, record, *took, now_ms());
        }
        deps.metrics.in_flight.dec();
        deps.metrics.ended(record, fault);
        if let (Some(spans), Some(trace)) = (&deps.spans, &trace) {
            spans.ended(trace, record, held, removed);
        }
    }
}
