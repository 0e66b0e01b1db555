//! Reading the streams beside everything else that the desk does: a read that waits for entries is not
//! given up when something else comes first.

use std::time::Duration;

use meter::desk::{Desk, DeskError, Entry, Place};
use tokio::task::{JoinError, JoinHandle};

/// A connection that reads: it is idle, or with the read under way.
pub(super) struct Reader {
    idle: Option<Box<Desk>>,
    reading: Option<JoinHandle<Read>>,
}

/// What a read found, and after which places it looked.
pub(super) struct Read {
    desk: Box<Desk>,
    from: Vec<Place>,
    entries: Result<Vec<Entry>, DeskError>,
}

/// Why there are no entries.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error(transparent)]
    Redis(#[from] DeskError),
    #[error("the reading task ended")]
    Ended(#[from] JoinError),
}

impl Reader {
    pub(super) fn of(desk: Desk) -> Self {
        Self { idle: Some(Box::new(desk)), reading: None }
    }

    /// The entries after these places, once there are some or the patience is at its end. Whoever stops
    /// waiting and asks again joins the same read; what it finds of shards that have moved meanwhile is
    /// left out, and read again.
    pub(super) async fn entries(
        &mut self,
        places: &[Place],
        patience: Duration,
    ) -> Result<Vec<Entry>, ReadError> {
        // While no era is open there is nothing to read.
        if places.is_empty() {
            tokio::time::sleep(patience).await;
            return Ok(Vec::new());
        }
        if let Some(mut desk) = self.idle.take() {
            let from = places.to_vec();
            self.reading = Some(tokio::spawn(async move {
                let entries = desk.read(&from, patience).await;
                Read { desk, from, entries }
            }));
        }
        let Some(reading) = &mut self.reading else { return Ok(Vec::new()) };
        let Read { desk, from, entries } = reading.await?;
        (self.idle, self.reading) = (Some(desk), None);
        let mut entries = entries?;
        entries.retain(|entry| {
            let place = |places: &[Place]| places.iter().find(|place| place.shard == entry.shard).copied();
            place(&from) == place(places)
        });
        Ok(entries)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(reading) = &self.reading {
            reading.abort();
        }
    }
}
