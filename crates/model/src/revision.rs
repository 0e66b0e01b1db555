//! A point in the history of the configuration.

use uuid::Uuid;

/// A timeline and a number on it. A restored database starts a new timeline, so that a number
/// never means two states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Revision {
    /// The history that the number belongs to.
    pub timeline: Uuid,
    /// How far along it is.
    pub number: u64,
}

impl Revision {
    /// The wire form.
    pub fn to_wire(self) -> proto::Revision {
        let Self { timeline, number } = self;
        proto::Revision { timeline: timeline.as_bytes().to_vec(), number }
    }

    /// Reads the wire form; `None` if its timeline is not a UUID.
    pub fn from_wire(wire: &proto::Revision) -> Option<Self> {
        let proto::Revision { timeline, number } = wire;
        Some(Self { timeline: Uuid::from_slice(timeline).ok()?, number: *number })
    }
}
