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
    let mut is_last = false;
    while !is_last {
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
        // Read before the snapshot is: what changes while this one is being written is saved in another round.
        is_last = finish.is_cancelled();
        let current = snapshot.load_full();
        // A narrowed snapshot gains accounts without a new revision.
        let saved_now = current.revision().map(|revision| (revision, current.account_count()));
        if saved_now == last || saved_now.is_none() {
            continue;
        }
        let began = Instant::now();
        let to = saved.clone();
        match tokio::task::spawn_blocking(move || to.save(&current)).await {
            Ok(Ok(())) => last = saved_now,
            Ok(Err(error)) => warn!(%error, "The snapshot was not saved to disk: {error}"),
            Err(error) => warn!(%error, "The snapshot was not saved to disk: {error}"),
        }
        not_before = tokio::time::Instant::now() + PAUSE.max(began.elapsed() * 10);
    }
}

#[cfg(test)]
mod tests {
    use model::AccountId;
    use model::resource::{Body, Resource};
    use model::terms::AccountTerms;
    use uuid::Uuid;
    use vault::{ContentsBox, RootRing};

    use super::*;
    use crate::config::Accounts;
    use crate::snapshot::Snapshot;

    const REVISION: Revision = Revision { timeline: Uuid::from_u128(1), number: 4 };

    fn snapshot(accounts: u128) -> Arc<Snapshot> {
        let body = || Body::Account {
            credentials_key: vec![1],
            contents_key: vec![2],
            terms: AccountTerms::default(),
        };
        let account = |id| Resource { account: AccountId(Uuid::from_u128(id)), body: body() };
        Arc::new(Snapshot::of(REVISION, (1..=accounts).map(account).collect()))
    }

    #[tokio::test]
    async fn what_came_while_the_last_one_was_written_is_saved_at_the_end() {
        let ring = RootRing::generate("one").unwrap();
        let contents = ContentsBox::new(RootRing::parse("TOLLGATE_CONTENTS_KEYS", ring.expose()).unwrap());
        for _ in 0..20 {
            let directory = tempfile::tempdir().unwrap();
            let saved = SavedSnapshot::of(directory.path(), contents.clone(), Accounts::InUse);
            let handle = Arc::new(SnapshotHandle::from(snapshot(1)));
            let saving = Saving::start(saved.clone(), Arc::clone(&handle));
            saving.changed();
            // The task takes the first one, and waits for the disk.
            tokio::task::yield_now().await;
            handle.store(snapshot(2));
            saving.changed();
            saving.finish().await;
            assert_eq!(saved.load().unwrap().unwrap().account_count(), 2);
        }
    }
}
