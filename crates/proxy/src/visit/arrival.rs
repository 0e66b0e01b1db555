//! When a request came.

use std::time::{Duration, Instant};

use time::OffsetDateTime;
use uuid::Uuid;

/// When a request came, and what it is called.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// The request's id, which is also its log's and its record's.
    pub id: Uuid,
    /// Milliseconds since 1970.
    pub at_ms: u64,
    pub(super) at: Instant,
}

impl Arrival {
    /// Now.
    pub fn now() -> Self {
        let at_ms = crate::request_id::now_ms();
        Self { id: crate::request_id::request_id(at_ms), at_ms, at: Instant::now() }
    }

    /// When it came, for what holds from a moment on.
    pub fn moment(&self) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + Duration::from_millis(self.at_ms)
    }
}
