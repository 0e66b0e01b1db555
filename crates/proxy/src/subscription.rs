//! Keeps the snapshot up to date: loads the last good one from disk, then follows the control plane
//! for as long as the process lives.

mod connection;
mod receiver;
mod saving;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use meter::Meter;
use model::Secret;
use process::Unready;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use vault::ContentsBox;

use crate::config::Accounts;
use crate::identity::{Identity, JoinToken, NoIdentity};
use crate::interests::Interests;
use crate::saved_snapshot::SavedSnapshot;
use crate::snapshot::SnapshotHandle;
use connection::{Connection, Ended};
use receiver::Receiver;
use saving::Saving;

/// Where the control plane is, and how this proxy gets in.
#[derive(Clone)]
pub struct SubscriptionConfig {
    /// Such as `https://127.0.0.1:8082`.
    pub control_plane_url: String,
    /// What `tollgate join-token create` printed; needed only until the proxy has joined.
    pub join_token: Option<Secret>,
    /// Where the identity and the last good snapshot are kept.
    pub directory: PathBuf,
    /// What people will know this proxy by, such as the host's name.
    pub name: String,
    /// Where requests ask for accounts, if only those in use are subscribed to.
    pub interests: Option<Arc<Interests>>,
    /// What is told in which era each money shard is.
    pub meter: Option<Meter>,
}

/// A configuration with which no proxy can ever be up to date.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSubscription {
    /// Plain text is not spoken, not even on loopback.
    #[error("TOLLGATE_CONTROL_PLANE_URL must be an https URL")]
    Url,
    /// The join token or the kept identity is of no use.
    #[error(transparent)]
    Identity(#[from] NoIdentity),
}

/// Loads the last good snapshot into `snapshot`, and begins to follow the control plane. `unready`
/// is dropped as soon as there is anything to serve. The task ends, and saves once more, after
/// `shutdown`.
pub fn start(
    config: SubscriptionConfig,
    contents: ContentsBox,
    snapshot: Arc<SnapshotHandle>,
    unready: Unready,
    shutdown: CancellationToken,
) -> Result<JoinHandle<()>, InvalidSubscription> {
    let endpoint = connection::endpoint(&config.control_plane_url).ok_or(InvalidSubscription::Url)?;
    let join_token = config.join_token.as_ref().map(JoinToken::read).transpose()?;
    let identity = Identity::load(&config.directory)?;
    if identity.is_none() && join_token.is_none() {
        return Err(NoIdentity::NoJoinToken.into());
    }

    let interests = config.interests.clone();
    let accounts = if interests.is_some() { Accounts::InUse } else { Accounts::All };
    let saved = SavedSnapshot::of(&config.directory, contents, accounts);
    let mut unready = Some(unready);
    match saved.load() {
        Ok(Some(loaded)) => {
            info!(revision = loaded.revision().map(|r| r.number), "Loaded the last good snapshot from disk");
            snapshot.store(Arc::new(loaded));
            unready = None;
        }
        Ok(None) => {}
        Err(error) => warn!(%error, "Starting without the snapshot on disk: {error}"),
    }

    let saving = Saving::start(saved, Arc::clone(&snapshot));
    let receiver = Receiver::new(Arc::clone(&snapshot), interests);
    let connection = Connection { endpoint, join_token, identity, config };
    Ok(tokio::spawn(async move {
        let follow = follow(connection, receiver, &saving, unready);
        tokio::select! {
            () = follow => {}
            () = shutdown.cancelled() => {}
        }
        saving.finish().await;
    }))
}

/// Connects again and again. Only success resets the pause between tries.
async fn follow(
    mut connection: Connection,
    mut receiver: Receiver,
    saving: &Saving,
    mut unready: Option<Unready>,
) {
    const FIRST_PAUSE: Duration = Duration::from_millis(50);
    const LONGEST_PAUSE: Duration = Duration::from_secs(5);
    let mut pause = FIRST_PAUSE;
    loop {
        let mut on_applied = || {
            pause = FIRST_PAUSE;
            unready = None;
            saving.changed();
        };
        let ended = connection.follow(&mut receiver, &mut on_applied).await;
        receiver.disconnected();
        match ended {
            Ended::Gap(gap) => warn!(%gap, "Asking for the configuration again: {gap}"),
            Ended::Idle => info!("Forgetting accounts that were not used for a day; connecting again"),
            Ended::Closed => info!("The control plane ended the subscription; connecting again"),
            Ended::Failed(error) => {
                warn!(%error, "Not connected to the control plane, serving what is known: {error}");
            }
        }
        tokio::time::sleep(jittered(pause)).await;
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

/// Between half the pause and the whole of it, so that a fleet does not come back in step.
fn jittered(pause: Duration) -> Duration {
    // The last bytes of a UUIDv7 are random; nothing here deserves a better source.
    let random = uuid::Uuid::now_v7().as_bytes()[15];
    pause.mul_f64(0.5 + f64::from(random) / 512.0)
}
