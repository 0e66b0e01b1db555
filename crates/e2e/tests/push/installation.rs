//! An installation as far as the configuration is concerned, and proxies that follow it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use control_plane::join_token;
use control_plane::push::{self, PushConfig};
use model::id::{GatewayInternalId, GatewayTokenId, ProxyId};
use model::resource::{GatewayToken, ResourceId, ResourceKey};
use model::{AccountId, Secret};
use process::Readiness;
use proxy::interests::Interests;
use proxy::snapshot::{LiveToken, Snapshot, SnapshotHandle};
use proxy::subscription::{self, SubscriptionConfig};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use store::accounts::{self, SealedKeys};
use store::{Store, proxies};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use vault::{ContentsBox, RootRing};

pub(crate) const ACCOUNT: AccountId = AccountId(Uuid::from_u128(0xacc));
pub(crate) const GATEWAY: GatewayInternalId = GatewayInternalId(Uuid::from_u128(0x6a7e));

/// A database with an account and a gateway, and a push desk that can be stopped and started.
pub(crate) struct Installation {
    pub(crate) store: Store,
    /// May do what the processes may not.
    pub(crate) owner: PgPool,
    pub(crate) contents: ContentsBox,
    pub(crate) address: SocketAddr,
    desk: Option<(CancellationToken, JoinHandle<anyhow::Result<()>>)>,
}

impl Installation {
    pub(crate) async fn new(pool: PgPoolOptions, address: PgConnectOptions) -> Self {
        let owner = PgPool::connect_lazy_with(address.clone());
        let store = Store::open(pool, address).await.unwrap();
        let ring = RootRing::generate("one").unwrap();
        let contents = ContentsBox::new(RootRing::parse("TOLLGATE_CONTENTS_KEYS", ring.expose()).unwrap());
        let mut tx = store.config_tx().await.unwrap();
        let keys = SealedKeys { credentials: vec![1], contents: vec![2] };
        accounts::create(&mut tx, ACCOUNT, "acme", &keys).await.unwrap();
        sqlx::query(
            "insert into gateways (internal_id, account_id, id, settings) values ($1, $2, 'demo', '{}')",
        )
        .bind(GATEWAY.0)
        .bind(ACCOUNT.0)
        .execute(&mut *tx)
        .await
        .unwrap();
        tx.touch(key(ResourceId::Gateway(GATEWAY)));
        tx.commit().await.unwrap();
        let mut installation =
            Self { store, owner, contents, address: "127.0.0.1:0".parse().unwrap(), desk: None };
        installation.start().await;
        installation
    }

    pub(crate) async fn start(&mut self) {
        let config = PushConfig { grpc: self.address, grpc_names: vec!["tollgate.example".to_owned()] };
        let shutdown = CancellationToken::new();
        let push = push::open(&config, self.store.clone(), &self.contents, shutdown.clone()).await.unwrap();
        self.address = push.address;
        self.desk = Some((shutdown, tokio::spawn(push.serving)));
    }

    pub(crate) async fn stop(&mut self) {
        let (shutdown, serving) = self.desk.take().unwrap();
        shutdown.cancel();
        serving.await.unwrap().unwrap();
    }

    pub(crate) async fn join_token(&self) -> Secret {
        join_token::create(&self.store, &self.contents, "test", join_token::LIFETIME).await.unwrap().0
    }

    /// Creates a gateway token as the API does, but for its secret.
    pub(crate) async fn create_token(&self) -> GatewayTokenId {
        let id = GatewayTokenId(Uuid::now_v7());
        let mut tx = self.store.config_tx().await.unwrap();
        sqlx::query(
            "insert into gateway_tokens (id, account_id, gateway_internal_id, name, digest)
             values ($1, $2, $3, 'token', decode(repeat('ab', 32), 'hex'))",
        )
        .bind(id.0)
        .bind(ACCOUNT.0)
        .bind(GATEWAY.0)
        .execute(&mut *tx)
        .await
        .unwrap();
        tx.touch(key(ResourceId::GatewayToken(id)));
        tx.commit().await.unwrap();
        id
    }

    pub(crate) async fn revoke_token(&self, id: GatewayTokenId) {
        let mut tx = self.store.config_tx().await.unwrap();
        sqlx::query("delete from gateway_tokens where id = $1").bind(id.0).execute(&mut *tx).await.unwrap();
        tx.touch(key(ResourceId::GatewayToken(id)));
        tx.commit().await.unwrap();
    }

    pub(crate) async fn only_proxy(&self) -> ProxyId {
        proxies::list(&self.store, 1, 0).await.unwrap().0[0].id
    }
}

impl Drop for Installation {
    /// The desk lets go of the database, which is about to be dropped.
    fn drop(&mut self) {
        if let Some((shutdown, _)) = &self.desk {
            shutdown.cancel();
        }
    }
}

pub(crate) fn key(kind: ResourceId) -> ResourceKey {
    ResourceKey { account: ACCOUNT, kind }
}

/// A proxy as far as it follows the configuration.
pub(crate) struct Follower {
    pub(crate) snapshot: Arc<SnapshotHandle>,
    pub(crate) interests: Option<Arc<Interests>>,
    pub(crate) readiness: Readiness,
    pub(crate) shutdown: CancellationToken,
    pub(crate) task: JoinHandle<()>,
    pub(crate) directory: TempDir,
}

impl Follower {
    pub(crate) async fn joining(installation: &Installation) -> Self {
        let join_token = installation.join_token().await;
        Self::start(installation, Some(join_token), tempfile::tempdir().unwrap())
    }

    /// A proxy that is told of accounts in use only.
    pub(crate) async fn joining_narrowed(installation: &Installation) -> Self {
        let join_token = Some(installation.join_token().await);
        let interests = Some(Arc::new(Interests::default()));
        Self::start_with(installation, join_token, tempfile::tempdir().unwrap(), interests)
    }

    pub(crate) fn start(installation: &Installation, join_token: Option<Secret>, directory: TempDir) -> Self {
        Self::start_with(installation, join_token, directory, None)
    }

    pub(crate) fn start_with(
        installation: &Installation,
        join_token: Option<Secret>,
        directory: TempDir,
        interests: Option<Arc<Interests>>,
    ) -> Self {
        let snapshot = Arc::new(SnapshotHandle::from_pointee(Snapshot::empty()));
        let (readiness, shutdown) = (Readiness::new(), CancellationToken::new());
        let config = SubscriptionConfig {
            control_plane_url: format!("https://{}", installation.address),
            join_token,
            directory: directory.path().to_owned(),
            name: "test".to_owned(),
            interests: interests.clone(),
            meter: None,
        };
        let unready = readiness.unready("snapshot");
        let contents = installation.contents.clone();
        let task =
            subscription::start(config, contents, Arc::clone(&snapshot), unready, shutdown.clone()).unwrap();
        Self { snapshot, interests, readiness, shutdown, task, directory }
    }

    pub(crate) async fn stop(self) -> TempDir {
        self.shutdown.cancel();
        self.task.await.unwrap();
        self.directory
    }

    pub(crate) fn token(&self, id: GatewayTokenId) -> Option<Arc<LiveToken<GatewayToken>>> {
        self.snapshot.load().account(ACCOUNT)?.gateway_token(id).cloned()
    }

    pub(crate) fn is_current(&self) -> bool {
        self.snapshot.load().is_current()
    }
}

pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(20), "not within 20 seconds: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

pub(crate) fn authority_pem(directory: &Path) -> String {
    let text = std::fs::read_to_string(directory.join("identity.json")).unwrap();
    let identity: serde_json::Value = serde_json::from_str(&text).unwrap();
    identity["authority_pem"].as_str().unwrap().to_owned()
}
