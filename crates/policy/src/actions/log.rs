//! `log`: puts values into the usage record.

use super::Next;
use crate::document::Value as Written;
use crate::document::compiled::Tree;
use crate::document::place::Place;
use crate::run::{Exchange, Failure};

/// The most entries that one request may leave.
const MOST_ENTRIES: usize = 32;

/// Values to be kept with the request.
pub struct Log {
    metadata: Tree,
}

impl Log {
    pub(crate) fn read(place: &Place<'_>) -> Option<Self> {
        let fields = place.fields(&["metadata"])?;
        let metadata = fields.need("metadata", |place| match place.value() {
            Written::Map(_) => place.tree(),
            _ => place.entries(0..=0).and(None),
        })?;
        Some(Self { metadata })
    }

    pub(crate) fn act(&self, exchange: &mut Exchange) -> Result<Next, Failure> {
        // A secret that somebody logs by mistake is not logged.
        let metadata = exchange.look(|facts| self.metadata.render(facts))?.redacted();
        if !metadata.fits() {
            return Err(Failure::evaluation("the metadata is too large"));
        }
        if exchange.logs.len() < MOST_ENTRIES {
            exchange.logs.push(metadata.clone());
        }
        exchange.found("log", [("metadata", metadata)]);
        Ok(Next::Go)
    }
}
