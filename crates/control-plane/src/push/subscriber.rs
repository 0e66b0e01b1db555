//! One subscribed proxy: sends it what it lacks and then what is new, and keeps what it
//! acknowledges.

use std::time::Duration;

use model::id::ProxyId;
use model::{AccountId, Revision};
use proto::configuration_server::Configuration;
use proto::proxy_message::Message;
use proto::{Acknowledgement, ControlMessage, Hello, ProxyMessage};
use store::outbox::{self, Since};
use store::proxies::{self, Refused};
use store::{Store, StoreError};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};
use tracing::{debug, info, warn};

use super::enrolment::{authenticated, unavailable};
use super::eras::Told;
use super::feed::{Feed, LARGEST_DELTA, News};
use super::metrics::{self, Connected};
use super::narrowing::{Narrowing, account_ids};
use super::state::{self, FullStateParts};

/// Messages on their way to one proxy; what is more waits in the database.
const UNDER_WAY: usize = 4;
/// What a narrowed proxy may ask for before it is told of it, in messages.
const WAITING_INTERESTS: usize = 64;
/// A delta is one message, and must not grow too large for one.
const ACCOUNTS_A_DELTA: usize = 16;
/// A proxy that takes nothing for so long is cut off, and asks again when it can.
const SLOWEST: Duration = Duration::from_secs(30);
/// How often at most a proxy's acknowledgement is written down.
const REPORT: Duration = Duration::from_secs(1);
/// How many of those pass before a proxy that says nothing is noted as still there.
const SILENT_REPORTS: u32 = 15;

/// The configuration service.
pub(super) struct Subscribing {
    pub(super) store: Store,
    pub(super) feed: Feed,
    pub(super) shutdown: CancellationToken,
}

#[tonic::async_trait]
impl Configuration for Subscribing {
    type SubscribeStream = ReceiverStream<Result<ControlMessage, Status>>;

    async fn subscribe(
        &self,
        request: Request<Streaming<ProxyMessage>>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let proxy = authenticated(&self.store, &request).await?;
        let mut incoming = request.into_inner();
        let first = tokio::time::timeout(SLOWEST, incoming.message()).await;
        let first = first.map_err(|_| Status::deadline_exceeded("the hello did not come"))??;
        let Some(ProxyMessage { message: Some(Message::Hello(hello)) }) = first else {
            return Err(Status::invalid_argument("the first message must be a hello"));
        };
        let Hello { software_version, serving, obeys, narrowing, wants_eras } = hello;
        proxies::set_obeys(&self.store, proxy, &obeys).await.map_err(unavailable)?;
        let serving = serving.as_ref().and_then(Revision::from_wire);
        let (sender, outgoing) = mpsc::channel(UNDER_WAY);
        let said = listen(incoming);
        let connected = Connected::new(proxy);
        let store = self.store.clone();
        let subscriber = Subscriber {
            store,
            feed: self.feed.clone(),
            proxy,
            software_version,
            serving,
            refused: Vec::new(),
            at: serving,
            narrowing: narrowing.as_ref().map(Narrowing::from_wire),
            eras: wants_eras.then(|| self.feed.eras()),
            sender,
            connected,
        };
        tokio::spawn(subscriber.run(said, self.shutdown.clone()));
        Ok(Response::new(ReceiverStream::new(outgoing)))
    }
}

struct Subscriber {
    store: Store,
    feed: Feed,
    proxy: ProxyId,
    software_version: String,
    /// What it said that it serves.
    serving: Option<Revision>,
    refused: Vec<Refused>,
    /// What it serves once it has read everything that was sent.
    at: Option<Revision>,
    /// The only accounts that it is told of.
    narrowing: Option<Narrowing>,
    /// What it was told of the eras of money; nothing if it would not understand.
    eras: Option<Told>,
    sender: mpsc::Sender<Result<ControlMessage, Status>>,
    connected: Connected,
}

/// Why a subscription ends.
enum End {
    /// The proxy left, or this process does.
    Gone,
    /// The proxy is told why.
    Told(Status),
}

impl From<StoreError> for End {
    fn from(error: StoreError) -> Self {
        End::Told(unavailable(error))
    }
}

impl Subscriber {
    async fn run(mut self, said: Said, shutdown: CancellationToken) {
        let (proxy, version) = (self.proxy, self.software_version.clone());
        info!(proxy.id = %proxy, "Proxy `{proxy}` of release {version} subscribes");
        let end = tokio::select! {
            end = self.serve(said) => end,
            () = shutdown.cancelled() => End::Gone,
        };
        match end {
            End::Gone => info!(proxy.id = %proxy, "Proxy `{proxy}` is no longer subscribed"),
            End::Told(status) => {
                let reason = status.message().to_owned();
                warn!(proxy.id = %proxy, reason, "The subscription of proxy `{proxy}` ends: {reason}");
                // Does not wait: a proxy that reads nothing is not told, and sees the end all the same.
                let _unread = self.sender.try_send(Err(status));
            }
        }
    }

    async fn serve(&mut self, said: Said) -> End {
        let Said { mut acknowledged, mut interests } = said;
        // Before the database is read, so that nothing falls between the two.
        let mut news = self.feed.subscribe();
        let mut report = tokio::time::interval(REPORT);
        let mut silent = SILENT_REPORTS;
        if let Err(end) = self.tell_eras().await {
            return end;
        }
        if let Err(end) = self.catch_up(true).await {
            return end;
        }
        loop {
            let done = tokio::select! {
                () = new_eras(&mut self.eras) => self.tell_eras().await,
                told = news.recv() => match told {
                    Ok(news) => self.tell(news).await,
                    Err(RecvError::Lagged(_)) => self.catch_up(false).await,
                    Err(RecvError::Closed) => Err(End::Gone),
                },
                changed = acknowledged.changed() => match changed {
                    Ok(()) => {
                        let latest = acknowledged.borrow_and_update().clone();
                        self.acknowledged(latest);
                        silent = SILENT_REPORTS;
                        Ok(())
                    }
                    Err(_) => Err(End::Gone),
                },
                Some(asked) = interests.recv() => self.interested(asked).await,
                _ = report.tick() => {
                    let due = silent >= SILENT_REPORTS;
                    silent = if due { 0 } else { silent + 1 };
                    if due { self.report().await } else { Ok(()) }
                }
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    /// Tells the proxy in which eras money shards are that it does not know to be there.
    async fn tell_eras(&mut self) -> Result<(), End> {
        match self.eras.as_mut().and_then(Told::message) {
            Some(message) => self.send(message).await,
            None => Ok(()),
        }
    }

    async fn tell(&mut self, news: News) -> Result<(), End> {
        match news {
            News::Delta(delta, revision) => match self.at {
                Some(at) if at.timeline != revision.timeline || at.number < delta.after => {
                    self.catch_up(false).await
                }
                Some(at) if at.number >= revision.number => Ok(()),
                Some(at) => {
                    let mut delta = match &self.narrowing {
                        Some(narrowing) => narrowing.of(&delta),
                        None => proto::Delta::clone(&delta),
                    };
                    // What was changed before that is in it too, as it is now.
                    delta.after = at.number;
                    self.at = Some(revision);
                    self.send(state::message(delta)).await
                }
                None => self.catch_up(false).await,
            },
            News::Look => self.catch_up(false).await,
            News::Revoked(proxy) if proxy == self.proxy => Err(revoked()),
            News::Revoked(_) => Ok(()),
            News::Reconnected => self.report().await,
        }
    }

    /// Sends whatever the proxy lacks; a proxy that lacks nothing is told so when it has just come.
    async fn catch_up(&mut self, just_came: bool) -> Result<(), End> {
        let Some(at) = self.at else { return self.send_everything().await };
        let since = match &self.narrowing {
            Some(narrowing) => {
                outbox::since_of(&self.store, at, LARGEST_DELTA, &narrowing.accounts(), &[]).await?.0
            }
            None => outbox::since(&self.store, at, LARGEST_DELTA).await?,
        };
        match since {
            Since::Nothing if just_came => {
                self.send(state::message(state::delta(at.number, at, &[], &[]))).await
            }
            Since::Nothing => Ok(()),
            Since::Changes { head, upserted, removed } => {
                self.at = Some(head);
                self.send(state::message(state::delta(at.number, head, &upserted, &removed))).await
            }
            Since::Everything => self.send_everything().await,
            Since::Unheard => {
                warn!(
                    revision = at.number,
                    "Proxy `{}` serves a revision that this database has lost: a new timeline begins",
                    self.proxy
                );
                outbox::abandon_timeline(&self.store, at.timeline).await?;
                self.feed.nudge();
                self.send_everything().await
            }
        }
    }

    /// Tells the proxy all that there is of accounts that it asks for, and of their changes from
    /// then on. While the database is away it is not answered, and asks again.
    async fn interested(&mut self, asked: Vec<AccountId>) -> Result<(), End> {
        for asked in asked.chunks(ACCOUNTS_A_DELTA) {
            self.tell_of(asked).await?;
        }
        Ok(())
    }

    async fn tell_of(&mut self, asked: &[AccountId]) -> Result<(), End> {
        loop {
            let Some((at, narrowing)) = self.at.zip(self.narrowing.as_mut()) else { return Ok(()) };
            let known = narrowing.accounts();
            let read = outbox::since_of(&self.store, at, LARGEST_DELTA, &known, asked).await;
            let (head, mut upserted, removed, found) = match read {
                Ok((Since::Nothing, found)) => (at, Vec::new(), Vec::new(), found),
                Ok((Since::Changes { head, upserted, removed }, found)) => (head, upserted, removed, found),
                Ok((Since::Everything | Since::Unheard, _)) => {
                    self.catch_up(false).await?;
                    continue;
                }
                Err(error) => {
                    warn!(proxy.id = %self.proxy, "Accounts that a proxy asks for cannot be read: {error}");
                    return Ok(());
                }
            };
            narrowing.widen(&found);
            upserted.extend(found.resources);
            let mut delta = state::delta(at.number, head, &upserted, &removed);
            delta.answered = asked.iter().map(|account| account.0.as_bytes().to_vec()).collect();
            self.at = Some(head);
            return self.send(state::message(delta)).await;
        }
    }

    async fn send_everything(&mut self) -> Result<(), End> {
        // Who waits for his turn is told of eras meanwhile, and so is who takes his time to read.
        let turns = self.feed.full_states.clone();
        let mut turn = std::pin::pin!(turns.acquire_owned());
        let permit = loop {
            tokio::select! {
                permit = &mut turn => break permit.map_err(|_| End::Gone)?,
                () = new_eras(&mut self.eras) => self.tell_eras().await?,
            }
        };
        metrics::full_state();
        let accounts = self.narrowing.as_ref().map(Narrowing::accounts);
        let mut parts = FullStateParts::begin(&self.store, accounts).await?;
        while let Some(part) = parts.next().await? {
            self.send(part).await?;
            self.tell_eras().await?;
        }
        self.at = Some(parts.revision());
        drop(permit);
        Ok(())
    }

    async fn send(&self, message: ControlMessage) -> Result<(), End> {
        match tokio::time::timeout(SLOWEST, self.sender.send(Ok(message))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(End::Told(Status::deadline_exceeded("the proxy reads too slowly"))),
        }
    }

    fn acknowledged(&mut self, acknowledgement: Option<Acknowledgement>) {
        let Some(Acknowledgement { serving, refused }) = acknowledgement else { return };
        self.serving = serving.as_ref().and_then(Revision::from_wire);
        let refused: Vec<Refused> = refused.into_iter().map(readable).collect();
        for Refused { account_id, kind, id, reason } in
            refused.iter().filter(|one| !self.refused.contains(one))
        {
            warn!(
                proxy.id = %self.proxy,
                account.id = account_id,
                "Proxy `{}` refused the {kind} `{id}`: {reason}", self.proxy
            );
        }
        self.refused = refused;
        if let Some((sent, serving)) = self.at.zip(self.serving) {
            self.connected.acknowledged(sent.number, serving.number, self.refused.len());
        }
    }

    /// A database that is away for a while is no reason to cut anybody off.
    async fn report(&self) -> Result<(), End> {
        let Self { store, proxy, software_version, serving, refused, .. } = self;
        match proxies::report(store, *proxy, software_version, *serving, refused).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(revoked()),
            Err(error) => {
                debug!(proxy.id = %proxy, "What proxy `{proxy}` said is not written down: {error}");
                Ok(())
            }
        }
    }
}

/// Waits until there may be news of eras for a proxy that wants them.
async fn new_eras(eras: &mut Option<Told>) {
    match eras {
        Some(told) => told.has_news().await,
        None => std::future::pending().await,
    }
}

/// What a proxy says after its hello. Both channels close with the connection.
struct Said {
    /// Only the newest counts.
    acknowledged: watch::Receiver<Option<Acknowledgement>>,
    interests: mpsc::Receiver<Vec<AccountId>>,
}

/// Reads what a proxy says beside what is sent to it, so that neither waits for the other.
fn listen(mut incoming: Streaming<ProxyMessage>) -> Said {
    let (acknowledge, acknowledged) = watch::channel(None);
    let (ask, interests) = mpsc::channel(WAITING_INTERESTS);
    tokio::spawn(async move {
        while let Ok(Some(message)) = incoming.message().await {
            match message.message {
                Some(Message::Acknowledgement(acknowledgement)) => {
                    if acknowledge.send(Some(acknowledgement)).is_err() {
                        break;
                    }
                }
                Some(Message::Interest(interest)) => {
                    // Who asks for more than can be told asks again.
                    let _too_many = ask.try_send(account_ids(&interest.account_ids).collect());
                }
                Some(Message::Hello(_)) | None => {}
            }
        }
    });
    Said { acknowledged, interests }
}

fn readable(refused: proto::RefusedResource) -> Refused {
    let proto::RefusedResource { key, reason } = refused;
    let key = key.unwrap_or_default();
    let kind = key.kind().as_str_name().trim_start_matches("RESOURCE_KIND_").to_lowercase();
    let account_id =
        uuid::Uuid::from_slice(&key.account_id).map(|id| id.simple().to_string()).unwrap_or_default();
    Refused { account_id, kind, id: key.id, reason }
}

fn revoked() -> End {
    End::Told(Status::unauthenticated("this proxy was revoked"))
}
