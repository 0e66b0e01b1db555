//! In which era each money shard is, on its way from Postgres to proxies of this release and of the last.

use proto::configuration_client::ConfigurationClient;
use proto::{ControlMessage, Hello, ProxyMessage, ShardEra, control_message, proxy_message};
use proxy::identity::{Identity, JoinToken};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use store::shards;
use tokio_stream::StreamExt as _;
use tonic::Streaming;
use tonic::transport::Endpoint;

use crate::installation::Installation;

/// What a proxy is sent that says this.
async fn subscribed(installation: &Installation, hello: Hello) -> Streaming<ControlMessage> {
    let directory = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::from_shared(format!("https://{}", installation.address)).unwrap();
    let join_token = JoinToken::read(&installation.join_token().await).unwrap();
    let identity = Identity::join(endpoint.clone(), &join_token, "test", directory.path()).await.unwrap();
    let channel = endpoint.tls_config(identity.tls()).unwrap().connect().await.unwrap();
    let hello = ProxyMessage { message: Some(proxy_message::Message::Hello(hello)) };
    let saying = tokio_stream::iter([hello]).chain(tokio_stream::pending());
    ConfigurationClient::new(channel).subscribe(saying).await.unwrap().into_inner()
}

async fn next(messages: &mut Streaming<ControlMessage>) -> control_message::Message {
    messages.message().await.unwrap().unwrap().message.unwrap()
}

/// The next that is told of eras; configuration is passed over.
async fn eras(messages: &mut Streaming<ControlMessage>) -> Vec<ShardEra> {
    loop {
        if let control_message::Message::Eras(eras) = next(messages).await {
            return eras.eras;
        }
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_proxy_is_told_of_every_era_if_it_asks(pool: PgPoolOptions, address: PgConnectOptions) {
    let installation = Installation::new(pool, address).await;
    let mut told = subscribed(&installation, Hello { wants_eras: true, ..Hello::default() }).await;
    // A release that would take them for a broken stream.
    let mut former = subscribed(&installation, Hello::default()).await;
    let all = eras(&mut told).await;
    assert_eq!(all, (0..256).map(|shard| ShardEra { shard, era: 0 }).collect::<Vec<_>>());

    let (fence, mut rows) = shards::take_over(&installation.store).await.unwrap();
    rows.retain(|row| row.shard.0 == 7);
    for era in [1, 2] {
        rows[0].era = era;
        shards::raise(&installation.store, fence, &rows).await.unwrap();
        assert_eq!(eras(&mut told).await, [ShardEra { shard: 7, era }]);
    }

    let control_message::Message::FullState(_) = next(&mut former).await else { panic!("expected all") };
    let token = installation.create_token().await;
    let control_message::Message::Delta(delta) = next(&mut former).await else { panic!("expected a delta") };
    assert_eq!(delta.upserted.len(), 1, "the token {token} and nothing else");
}
