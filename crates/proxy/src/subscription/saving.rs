//! Writes the snapshot to disk when it changed, off the path of the changes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use model::Revision;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::saved_snapshot::SavedSnapshot;
use crate::snapshot::SnapshotHandle;

/// The task that saves.
pub(super) struct Saving {
    changed: Arc<Notify>,
    finish: CancellationToken,
    task: JoinHandle<()>,
}

impl Saving {
    pub(super) fn start(saved: SavedSnapshot, snapshot: Arc<SnapshotHandle>) -> Self {
        let (changed, finish) = (Arc::new(Notify::new()), CancellationToken::new());
        let task = tokio::spawn(run(saved, snapshot, Arc::clone(&changed), finish.clone()));
        Self { changed, finish, task }
    }

    /// There is a newer snapshot.
    pub(super) fn changed(&self) {
        self.changed.notify_one();
    }

    /// Saves what is not saved yet, and ends.
    pub(super) async fn finish(self) {
        self.finish.cancel();
        if let Err(error) = self.task.await {
            warn!(%error, "The task that saves the snapshot broke off: {error}");
        }
    }
}

async fn run(
    saved: SavedSnapshot,
    snapshot: Arc<SnapshotHandle>,
    changed: Arc<Notify>,
    finish: CancellationToken,
) {
    const PAUSE: Duration = Duration::from_millis(500);
    let mut last: Option<(Revision, usize)> = None;
    let mut not_before = tokio::time::Instant::now();
    while !finish.is_cancelled() {
        tokio::select! {
            () = changed.notified() => {}
            () = finish.cancelled() => {}
        }
        // The first change is saved at once. Changes come in bursts, and a large snapshot takes a
        // while to write: no more than a tenth of the time goes into it.
        tokio::select! {
            () = tokio::time::sleep_until(not_before) => {}
            () = finish.cancelled() => {}
        }
        let current = snapshot.load_full();
        // A narrowed snapshot gains accounts without a new revision.
        let saved_now = current.revision().map(|revision| (revision, current.account_count()));
        if saved_now == last || saved_now.is_none() {
            continue;
        }
        last = saved_now;
        let began = Instant::now();
        let to = saved.clone();
        match tokio::task::spawn_blocking(move || to.save(&current)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, "The snapshot was not saved to disk: {error}"),
            Err(error) => warn!(%error, "The snapshot was not saved to disk: {error}"),
        }
        not_before = tokio::time::Instant::now() + PAUSE.max(began.elapsed() * 10);
    }
}
