//! `log`: puts values into the usage record.

mod hidden;

use self::hidden::Hidden;
use super::Next;
use crate::document::Value as Written;
use crate::document::compiled::Tree;
use crate::document::place::Place;
use crate::run::{Exchange, Failure};
use crate::value::Value;

/// The most entries that one request may leave.
const MOST_ENTRIES: usize = 32;

/// How much one entry may weigh, in bytes.
const MOST_WEIGHT: u32 = 16 << 10;

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
        let metadata = if metadata.weight() > MOST_WEIGHT || !metadata.fits() {
            Value::map([("error", Value::from("the metadata was too large to be kept"))])
        } else {
            Hidden::of(&exchange.arrival).hide(&metadata)
        };
        if exchange.logs.len() < MOST_ENTRIES {
            exchange.logs.push(metadata.clone());
        }
        exchange.found("log", [("metadata", metadata)]);
        Ok(Next::Go)
    }
}
