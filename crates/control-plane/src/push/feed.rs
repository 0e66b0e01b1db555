//! Follows the outbox and the eras of money once for all subscribers, and tells them what is new.

use std::sync::Arc;
use std::time::Duration;

use model::Revision;
use model::id::ProxyId;
use store::outbox::{self, ConfigListener, Heard, Since};
use store::{Store, StoreError, shards};
use tokio::sync::{Notify, Semaphore, broadcast, watch};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::eras::{Eras, Told};
use super::metrics;

/// More changes at once than this are told as a full state.
pub(super) const LARGEST_DELTA: usize = 4096;
/// What a subscriber may lag behind before it is resynced from the database.
const WAITING_NEWS: usize = 256;
/// Notifications can be lost with their connection; the outbox cannot.
const POLL: Duration = Duration::from_secs(5);
const PRUNE: Duration = Duration::from_secs(600);
/// Who was away for longer gets a full state.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// A fleet that comes back at once must not take every connection of the database.
const FULL_STATES_AT_ONCE: usize = 4;

/// What all subscribers are told.
#[derive(Debug, Clone)]
pub(super) enum News {
    /// The configuration changed.
    Delta(Arc<proto::Delta>, Revision),
    /// It changed in a way that is not told as a delta: look for yourself.
    Look,
    /// This proxy was revoked.
    Revoked(ProxyId),
    /// Proxies may have been revoked unheard: look whether you were.
    Reconnected,
}

/// Where subscribers learn what is new.
#[derive(Clone)]
pub(super) struct Feed {
    news: broadcast::Sender<News>,
    nudge: Arc<Notify>,
    eras: watch::Sender<Eras>,
    pub(super) full_states: Arc<Semaphore>,
}

impl Feed {
    /// Begins at the newest revision, after making sure of its timeline.
    pub(super) async fn start(store: Store, shutdown: CancellationToken) -> Result<Self, StoreError> {
        confirm_timeline(&store).await?;
        let at = outbox::newest(&store).await?;
        metrics::head(at);
        let feed = Self {
            news: broadcast::Sender::new(WAITING_NEWS),
            nudge: Arc::new(Notify::new()),
            eras: watch::Sender::new(Eras::default()),
            full_states: Arc::new(Semaphore::new(FULL_STATES_AT_ONCE)),
        };
        let mut reader = Reader { store, feed: feed.clone(), at };
        tokio::spawn(async move {
            tokio::select! {
                () = reader.run() => {}
                () = shutdown.cancelled() => {}
            }
        });
        Ok(feed)
    }

    /// News from now on. Who subscribes before reading the database misses nothing.
    pub(super) fn subscribe(&self) -> broadcast::Receiver<News> {
        self.news.subscribe()
    }

    /// What there is to tell a proxy of eras, from the beginning.
    pub(super) fn eras(&self) -> Told {
        Told::nothing(self.eras.subscribe())
    }

    /// Makes the feed look at the database now.
    pub(super) fn nudge(&self) {
        self.nudge.notify_one();
    }
}

/// Starts a new timeline where this database is not the one that it remembers to be.
async fn confirm_timeline(store: &Store) -> Result<(), StoreError> {
    if outbox::confirm_timeline(store).await? {
        warn!("The database was restored, copied or promoted: a new timeline of the configuration begins");
    }
    Ok(())
}

struct Reader {
    store: Store,
    feed: Feed,
    at: Revision,
}

impl Reader {
    async fn run(&mut self) {
        loop {
            if let Err(error) = self.follow().await {
                error!(
                    error = &error as &dyn std::error::Error,
                    "The outbox cannot be followed; proxies serve what they know: {error}"
                );
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    async fn follow(&mut self) -> Result<(), StoreError> {
        let mut listener = ConfigListener::connect(&self.store).await?;
        self.reconnected().await?;
        let mut poll = tokio::time::interval(POLL);
        let mut prune = tokio::time::interval(PRUNE);
        let nudge = Arc::clone(&self.feed.nudge);
        loop {
            tokio::select! {
                heard = listener.heard() => match heard? {
                    Heard::Revision => self.look().await?,
                    Heard::RevokedProxy(proxy) => self.tell(News::Revoked(proxy)),
                    Heard::Eras => self.look_at_eras().await?,
                    Heard::Reconnected => self.reconnected().await?,
                },
                () = nudge.notified() => self.look().await?,
                _ = poll.tick() => {
                    self.look_at_eras().await?;
                    self.look().await?;
                }
                _ = prune.tick() => {
                    let pruned = outbox::prune(&self.store, KEPT).await?;
                    if pruned > 0 {
                        info!(pruned, "Forgot {pruned} old entries of the outbox");
                    }
                }
            }
        }
    }

    /// The database may be another one by now, and things may have happened unheard.
    async fn reconnected(&mut self) -> Result<(), StoreError> {
        confirm_timeline(&self.store).await?;
        self.tell(News::Reconnected);
        self.look_at_eras().await?;
        self.look().await
    }

    /// Says what Postgres says, also if that is less than before.
    async fn look_at_eras(&self) -> Result<(), StoreError> {
        let eras = Arc::new(shards::eras(&self.store).await?.into_iter().collect());
        self.feed.eras.send_if_modified(|known| {
            let is_new = *known != eras;
            *known = eras;
            is_new
        });
        Ok(())
    }

    async fn look(&mut self) -> Result<(), StoreError> {
        match outbox::since(&self.store, self.at, LARGEST_DELTA).await? {
            Since::Nothing => return Ok(()),
            Since::Changes { head, upserted, removed } => {
                let delta = super::state::delta(self.at.number, head, &upserted, &removed);
                self.at = head;
                self.tell(News::Delta(Arc::new(delta), head));
            }
            Since::Unheard => {
                warn!("The database has lost revisions: a new timeline of the configuration begins");
                outbox::abandon_timeline(&self.store, self.at.timeline).await?;
                self.skip().await?;
            }
            Since::Everything => self.skip().await?,
        }
        metrics::head(self.at);
        Ok(())
    }

    async fn skip(&mut self) -> Result<(), StoreError> {
        self.at = outbox::newest(&self.store).await?;
        self.tell(News::Look);
        Ok(())
    }

    fn tell(&self, news: News) {
        // Fails when nobody subscribes, who then misses nothing.
        let _nobody = self.feed.news.send(news);
    }
}
