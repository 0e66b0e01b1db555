//! Sends what a spool holds without starting a proxy on it: `tollgate spool replay`.

use std::time::Duration;

use crate::meter::{Meter, MeterConfig, MeterError};

/// What became of the records in a spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replayed {
    /// Records that the spool held.
    pub found: usize,
    /// Those that Postgres has by now; the others are still in the spool.
    pub posted: usize,
}

/// Sends everything in the spool and waits, at most for `patience`, until Postgres has it.
pub async fn replay(config: MeterConfig, patience: Duration) -> Result<Replayed, MeterError> {
    let meter = Meter::start(config)?;
    let found = meter.status().kept;
    meter.drain(patience).await;
    Ok(Replayed { found, posted: found - meter.status().kept })
}
