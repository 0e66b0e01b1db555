//! One connection to the control plane at a time: joining, subscribing, renewing.

use std::time::{Duration, SystemTime};

use proto::configuration_client::ConfigurationClient;
use proto::proxy_message::Message;
use proto::{ControlMessage, ProxyMessage};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};
use tracing::{info, warn};

use super::SubscriptionConfig;
use super::receiver::{Gap, Received, Receiver};
use crate::identity::{Identity, JoinToken, NoIdentity};

/// A full state comes in parts of about 1 MiB, but one change may concern many resources.
const LARGEST_MESSAGE: usize = 64 * 1024 * 1024;
/// The control plane sends something at once, if only a delta without changes.
const FIRST_MESSAGE: Duration = Duration::from_secs(30);
/// How often the certificate's age, and that of accounts, is looked at.
const HOUR: Duration = Duration::from_secs(3600);

/// What is needed to connect.
pub(super) struct Connection {
    pub(super) endpoint: Endpoint,
    pub(super) join_token: Option<JoinToken>,
    pub(super) identity: Option<Identity>,
    pub(super) config: SubscriptionConfig,
}

/// Why a connection is over.
pub(super) enum Ended {
    /// Something was missed; the next hello will say what is served.
    Gap(Gap),
    /// Some accounts lie idle; the next hello will not name them.
    Idle,
    /// The control plane closed it in good order.
    Closed,
    /// It could not be made, or broke.
    Failed(NoIdentity),
}

/// The control plane's endpoint; `None` for anything but an `https` URL.
pub(super) fn endpoint(url: &str) -> Option<Endpoint> {
    let endpoint = Endpoint::from_shared(url.to_owned()).ok()?;
    (endpoint.uri().scheme_str() == Some("https")).then(|| {
        endpoint
            .connect_timeout(Duration::from_secs(5))
            .http2_keep_alive_interval(Duration::from_secs(10))
            .keep_alive_timeout(Duration::from_secs(5))
            .keep_alive_while_idle(true)
            .tcp_nodelay(true)
    })
}

impl Connection {
    /// Connects, and hands what comes to `receiver` until it ends. `on_applied` is called after
    /// each new snapshot.
    pub(super) async fn follow(&mut self, receiver: &mut Receiver, on_applied: &mut impl FnMut()) -> Ended {
        match self.subscribed(receiver, on_applied).await {
            Ok(ended) => ended,
            Err(error) => {
                if error.is_final() && self.may_join_again() {
                    info!("This proxy's identity is worth nothing here; joining again with the join token");
                    self.identity = None;
                }
                Ended::Failed(error)
            }
        }
    }

    async fn subscribed(
        &mut self,
        receiver: &mut Receiver,
        on_applied: &mut impl FnMut(),
    ) -> Result<Ended, NoIdentity> {
        let channel = self.channel().await?;
        let mut hourly = tokio::time::interval(HOUR);
        // One hello and one acknowledgement a message: a control plane that does not read them is
        // waited for, which is what slows it down in turn.
        let (sender, outgoing) = mpsc::channel(16);
        say(&sender, Message::Hello(receiver.hello())).await;
        let (mut incoming, mut message) = begin(channel.clone(), outgoing).await?;
        while let Some(current) = message {
            match receiver.receive(current) {
                Ok(Received::Served(acknowledgement)) => {
                    on_applied();
                    say(&sender, Message::Acknowledgement(acknowledgement)).await;
                }
                Ok(Received::Part) => {}
                Ok(Received::Eras(eras)) => {
                    if let Some(meter) = &self.config.meter {
                        meter.eras_are(&eras);
                    }
                }
                Err(gap) => return Ok(Ended::Gap(gap)),
            }
            message = loop {
                tokio::select! {
                    message = incoming.message() => break message?,
                    interest = receiver.interest() => say(&sender, Message::Interest(interest)).await,
                    _ = hourly.tick() => {
                        if receiver.knows_idle_accounts() {
                            return Ok(Ended::Idle);
                        }
                        self.renew(&channel).await;
                    }
                }
            };
        }
        Ok(Ended::Closed)
    }

    /// A connection under this proxy's own identity, which is got or renewed on the way.
    async fn channel(&mut self) -> Result<Channel, NoIdentity> {
        let directory = &self.config.directory;
        let identity = match self.identity.take() {
            Some(identity) => identity,
            None => {
                let join_token = self.join_token.as_ref().ok_or(NoIdentity::NoJoinToken)?;
                let identity =
                    Identity::join(self.endpoint.clone(), join_token, &self.config.name, directory).await?;
                info!(proxy.id = identity.proxy_id, "Joined as `{}`", identity.proxy_id);
                identity
            }
        };
        let identity = self.identity.insert(identity);
        Ok(self.endpoint.clone().tls_config(identity.tls())?.connect().await?)
    }

    /// Replaces the certificate when it is time; this connection goes on under the present one,
    /// which is good for a while yet.
    async fn renew(&mut self, channel: &Channel) {
        let Some(identity) = self.identity.as_mut() else { return };
        if identity.is_due_for_renewal(SystemTime::now()) {
            match identity.renewed(channel.clone(), &self.config.directory).await {
                Ok(renewed) => *identity = renewed,
                Err(error) => warn!(%error, "The certificate was not renewed: {error}"),
            }
        }
    }

    fn may_join_again(&self) -> bool {
        self.join_token
            .as_ref()
            .zip(self.identity.as_ref())
            .is_some_and(|(join_token, identity)| identity.predates(join_token))
    }
}

/// Subscribes and waits for the first message.
async fn begin(
    channel: Channel,
    outgoing: mpsc::Receiver<ProxyMessage>,
) -> Result<(Streaming<ControlMessage>, Option<ControlMessage>), Status> {
    let mut client = ConfigurationClient::new(channel).max_decoding_message_size(LARGEST_MESSAGE);
    let first = async {
        let mut incoming = client.subscribe(ReceiverStream::new(outgoing)).await?.into_inner();
        let message = incoming.message().await?;
        Ok((incoming, message))
    };
    let silent = || Status::deadline_exceeded("the control plane said nothing");
    tokio::time::timeout(FIRST_MESSAGE, first).await.unwrap_or_else(|_| Err(silent()))
}

/// Nobody listens any more once the connection has ended, which its reader learns too.
async fn say(sender: &mpsc::Sender<ProxyMessage>, message: Message) {
    if sender.send(ProxyMessage { message: Some(message) }).await.is_err() {
        tracing::debug!("The control plane no longer reads what this proxy says");
    }
}
