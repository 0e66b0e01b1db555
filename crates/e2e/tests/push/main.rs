//! Configuration on its way from Postgres to the proxies, with the real push desk and the real
//! subscription in between.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

mod eras;
mod installation;
mod narrowed;
mod operator;

use std::time::{Duration, Instant};

use installation::{ACCOUNT, Follower, GATEWAY, Installation, authority_pem, key, until};
use model::Secret;
use model::id::GatewayTokenId;
use model::resource::{OBEYED, ResourceId};
use proto::configuration_client::ConfigurationClient;
use proto::{Hello, ProxyMessage, control_message, proxy_message};
use proxy::identity::{Identity, JoinToken, NoIdentity};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use store::{outbox, proxies};
use tokio_stream::StreamExt as _;
use tonic::transport::Endpoint;
use uuid::Uuid;

#[sqlx::test(migrations = "../../migrations")]
async fn a_revocation_is_live_in_every_proxy_within_a_second(pool: PgPoolOptions, address: PgConnectOptions) {
    const CHANGES: usize = 200;
    let installation = Installation::new(pool, address).await;
    let followers = [Follower::joining(&installation).await, Follower::joining(&installation).await];
    until("both proxies are in sync", || followers.iter().all(Follower::is_current)).await;

    let (mut creations, mut revocations) = (Vec::new(), Vec::new());
    for _ in 0..CHANGES {
        let began = Instant::now();
        let id = installation.create_token().await;
        until("the token is known", || followers.iter().all(|follower| follower.token(id).is_some())).await;
        creations.push(began.elapsed());

        let tokens = followers.each_ref().map(|follower| follower.token(id).unwrap());
        let began = Instant::now();
        installation.revoke_token(id).await;
        for token in &tokens {
            token.revoked.cancelled().await;
        }
        revocations.push(began.elapsed());
    }
    for (what, times) in [("creation", &mut creations), ("revocation", &mut revocations)] {
        times.sort_unstable();
        let (p50, p99) = (times[CHANGES / 2], times[CHANGES * 99 / 100]);
        println!("{what} of a token, live in two proxies, {CHANGES} times: p50 {p50:.1?}, p99 {p99:.1?}");
    }
    assert!(revocations[CHANGES * 99 / 100] < Duration::from_secs(1), "the promise");
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_revoked_proxy_is_cut_off_and_does_not_come_back(pool: PgPoolOptions, address: PgConnectOptions) {
    let mut installation = Installation::new(pool, address).await;
    let follower = Follower::joining(&installation).await;
    until("the proxy is in sync", || follower.is_current()).await;
    assert!(proxies::revoke(&installation.store, installation.only_proxy().await).await.unwrap());
    until("the proxy is cut off", || !follower.is_current()).await;

    let id = installation.create_token().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(follower.token(id).is_none());
    // Nor at another control plane.
    installation.stop().await;
    installation.start().await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(!follower.is_current());

    let again = installation.join_token().await;
    let follower = Follower::start(&installation, Some(again), follower.stop().await);
    until("a new join token lets it in again", || follower.token(id).is_some()).await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_used_join_token_is_refused(pool: PgPoolOptions, address: PgConnectOptions) {
    let installation = Installation::new(pool, address).await;
    let join_token = JoinToken::read(&installation.join_token().await).unwrap();
    let endpoint = Endpoint::from_shared(format!("https://{}", installation.address)).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let join = || Identity::join(endpoint.clone(), &join_token, "test", directory.path());
    join().await.map(drop).unwrap();
    let Err(NoIdentity::Refused(status)) = join().await else { panic!("expected a refusal") };
    assert_eq!(status.code(), tonic::Code::Unauthenticated);
    assert_eq!(proxies::list(&installation.store, 10, 0).await.unwrap().1, 1);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_control_plane_with_another_authority_is_not_trusted(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let installation = Installation::new(pool, address).await;
    let genuine = installation.join_token().await;
    let (token, _) = genuine.expose().split_once('.').unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let impostor = rcgen::CertificateParams::default().self_signed(&key).unwrap();
    let der = base64::Engine::encode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, impostor.der());
    let join_token = JoinToken::read(&Secret::new(format!("{token}.{der}"))).unwrap();
    let endpoint = Endpoint::from_shared(format!("https://{}", installation.address)).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let joined = Identity::join(endpoint, &join_token, "test", directory.path()).await;
    assert!(matches!(joined, Err(NoIdentity::Unreachable(_))));
}

#[sqlx::test(migrations = "../../migrations")]
async fn nobody_subscribes_without_a_certificate(pool: PgPoolOptions, address: PgConnectOptions) {
    let installation = Installation::new(pool, address).await;
    let follower = Follower::joining(&installation).await;
    until("the proxy is in sync", || follower.is_current()).await;
    let authority = authority_pem(follower.directory.path());
    let tls = tonic::transport::ClientTlsConfig::new()
        .ca_certificate(tonic::transport::Certificate::from_pem(authority));
    let endpoint = Endpoint::from_shared(format!("https://{}", installation.address)).unwrap();
    let channel = endpoint.tls_config(tls).unwrap().connect().await.unwrap();
    let mut client = ConfigurationClient::new(channel);
    let refused = client.subscribe(tokio_stream::pending()).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unauthenticated);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_renewed_certificate_is_as_good_as_the_first(pool: PgPoolOptions, address: PgConnectOptions) {
    let installation = Installation::new(pool, address).await;
    let follower = Follower::joining(&installation).await;
    until("the proxy is in sync", || follower.is_current()).await;
    let directory = follower.stop().await;
    let identity = Identity::load(directory.path()).unwrap().unwrap();
    let endpoint = Endpoint::from_shared(format!("https://{}", installation.address)).unwrap();
    let channel = endpoint.tls_config(identity.tls()).unwrap().connect().await.unwrap();
    let renewed = identity.renewed(channel, directory.path()).await.unwrap();
    assert_eq!(renewed.proxy_id, identity.proxy_id);

    let follower = Follower::start(&installation, None, directory);
    until("the proxy is in sync again", || follower.is_current()).await;
    assert_eq!(proxies::list(&installation.store, 10, 0).await.unwrap().1, 1);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_proxy_that_was_away_is_told_what_it_missed(pool: PgPoolOptions, address: PgConnectOptions) {
    let mut installation = Installation::new(pool, address).await;
    let kept = installation.create_token().await;
    let revoked = installation.create_token().await;
    let follower = Follower::joining(&installation).await;
    until("the proxy is in sync", || follower.is_current()).await;
    let (kept_token, revoked_token) = (follower.token(kept).unwrap(), follower.token(revoked).unwrap());

    installation.stop().await;
    until("the proxy notices", || !follower.is_current()).await;
    installation.revoke_token(revoked).await;
    let created = installation.create_token().await;
    assert!(!revoked_token.revoked.is_cancelled());
    installation.start().await;
    until("the proxy has caught up", || follower.token(created).is_some()).await;
    assert!(revoked_token.revoked.is_cancelled());
    assert!(!kept_token.revoked.is_cancelled(), "what did not change is not interrupted");
    assert!(follower.is_current());
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_proxy_starts_from_disk_without_a_control_plane(pool: PgPoolOptions, address: PgConnectOptions) {
    let mut installation = Installation::new(pool, address).await;
    let token = installation.create_token().await;
    let follower = Follower::joining(&installation).await;
    assert_eq!(follower.readiness.waiting_for(), ["snapshot"]);
    until("the proxy is in sync", || follower.is_current()).await;
    assert!(follower.readiness.waiting_for().is_empty());
    let directory = follower.stop().await;
    installation.stop().await;

    let follower = Follower::start(&installation, None, directory);
    assert!(follower.readiness.waiting_for().is_empty());
    assert!(follower.token(token).is_some());
    assert!(!follower.is_current(), "what it does not know may exist");
    let created = installation.create_token().await;
    installation.start().await;
    until("the proxy has caught up", || follower.token(created).is_some()).await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_proxy_of_another_installation_joins_this_one_with_its_new_token(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let mut installation = Installation::new(pool, address).await;
    let follower = Follower::joining(&installation).await;
    until("the proxy is in sync", || follower.is_current()).await;
    let directory = follower.stop().await;
    // The database was thrown away, and with it the authority and all proxies.
    installation.stop().await;
    for sql in [
        "delete from proxy_certificates",
        "delete from join_tokens",
        "delete from proxies",
        "delete from certificate_authority",
    ] {
        sqlx::query(sql).execute(&installation.owner).await.unwrap();
    }
    installation.start().await;

    let follower = Follower::start(&installation, None, directory);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!follower.is_current());
    let token = installation.join_token().await;
    let follower = Follower::start(&installation, Some(token), follower.stop().await);
    until("the proxy is in sync with the new installation", || follower.is_current()).await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_subscriber_that_reads_slowly_misses_nothing(pool: PgPoolOptions, address: PgConnectOptions) {
    let installation = Installation::new(pool, address).await;
    let follower = Follower::joining(&installation).await;
    until("the proxy is in sync", || follower.is_current()).await;
    let directory = follower.stop().await;

    let identity = Identity::load(directory.path()).unwrap().unwrap();
    let endpoint = Endpoint::from_shared(format!("https://{}", installation.address)).unwrap();
    let endpoint = endpoint.initial_stream_window_size(1024).tls_config(identity.tls()).unwrap();
    let mut client = ConfigurationClient::new(endpoint.connect().await.unwrap());
    let hello = ProxyMessage { message: Some(proxy_message::Message::Hello(Hello::default())) };
    let outgoing = tokio_stream::iter([hello]).chain(tokio_stream::pending());
    let mut incoming = client.subscribe(outgoing).await.unwrap().into_inner();
    let mut at = None;
    while at.is_none() {
        let message = incoming.message().await.unwrap().unwrap().message.unwrap();
        let control_message::Message::FullState(part) = message else { panic!("expected a full state") };
        at = part.revision.filter(|_| part.last_part).map(|revision| revision.number);
    }

    // More than waits for anybody, while nothing is read.
    for _ in 0..600 {
        installation.create_token().await;
    }
    let head = outbox::newest(&installation.store).await.unwrap().number;
    let (mut messages, mut tokens) = (0, 0);
    while at != Some(head) {
        let message = incoming.message().await.unwrap().unwrap().message.unwrap();
        let control_message::Message::Delta(delta) = message else { panic!("expected a delta") };
        assert_eq!(Some(delta.after), at, "each follows the one before it");
        at = delta.revision.map(|revision| revision.number);
        messages += 1;
        tokens += delta.upserted.len();
    }
    assert!(tokens >= 600, "{tokens} tokens came");
    assert!(messages < 600, "what was not read in time came as one: {messages} messages");
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_database_that_was_set_back_starts_a_new_timeline(pool: PgPoolOptions, address: PgConnectOptions) {
    let mut installation = Installation::new(pool, address).await;
    let before = installation.create_token().await;
    let lost = installation.create_token().await;
    let follower = Follower::joining(&installation).await;
    until("the proxy is in sync", || follower.is_current()).await;
    let timeline = follower.snapshot.load().revision().unwrap().timeline;

    // As if a machine had been restored to the moment before the last change: no trace of it is left.
    installation.stop().await;
    let mut tx = installation.store.pool.begin().await.unwrap();
    for sql in [
        "delete from gateway_tokens where id = (select max(id::text)::uuid from gateway_tokens)",
        "delete from config_outbox where revision = (select number from config_revision)",
        "update config_revision set number = number - 1",
    ] {
        sqlx::query(sql).execute(&mut *tx).await.unwrap();
    }
    tx.commit().await.unwrap();
    installation.start().await;
    until("the proxy is in sync again", || follower.is_current()).await;
    assert!(follower.token(lost).is_none() && follower.token(before).is_some());
    assert_ne!(follower.snapshot.load().revision().unwrap().timeline, timeline);
    let after = installation.create_token().await;
    until("changes arrive again", || follower.token(after).is_some()).await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn thousands_of_resources_arrive_whole(pool: PgPoolOptions, address: PgConnectOptions) {
    let installation = Installation::new(pool, address).await;
    let insert = "insert into gateway_tokens (id, account_id, gateway_internal_id, name, digest)
        select gen_random_uuid(), $1, $2, 'token', decode(repeat('ab', 32), 'hex') from generate_series(1, 6000)
        returning id";
    let early = Follower::joining(&installation).await;
    until("the first proxy is in sync", || early.is_current()).await;
    let mut tx = installation.store.config_tx().await.unwrap();
    let ids: Vec<Uuid> =
        sqlx::query_scalar(insert).bind(ACCOUNT.0).bind(GATEWAY.0).fetch_all(&mut *tx).await.unwrap();
    ids.iter().for_each(|id| tx.touch(key(ResourceId::GatewayToken(GatewayTokenId(*id)))));
    tx.commit().await.unwrap();

    let late = Follower::joining(&installation).await;
    for follower in [&early, &late] {
        until("6,000 tokens, an account, a gateway and the operator's terms", || {
            follower.snapshot.load().resources().count() == 6003
        })
        .await;
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn the_operator_sees_how_far_each_proxy_has_come(pool: PgPoolOptions, address: PgConnectOptions) {
    let installation = Installation::new(pool, address).await;
    let follower = Follower::joining(&installation).await;
    until("the proxy is in sync", || follower.is_current()).await;
    let began = Instant::now();
    loop {
        let report = proxies::list(&installation.store, 1, 0).await.unwrap().0.remove(0).report;
        if report.as_ref().is_some_and(|report| report.serving == follower.snapshot.load().revision()) {
            let report = report.unwrap();
            assert_eq!(report.software_version, proxy::SOFTWARE_VERSION);
            assert_eq!(report.obeys.unwrap(), OBEYED);
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "the acknowledgement is not written down");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
