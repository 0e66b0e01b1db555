//! Proxies that are told of accounts in use only.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Request;
use model::AccountId;
use model::id::EndpointId;
use proxy::interests::{Answer, Interests};
use proxy::refusal::Refusal;
use proxy::stages::resolve;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use store::accounts::{self, SealedKeys};
use store::endpoints::{self, Terms};
use store::outbox;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::installation::{ACCOUNT, Follower, GATEWAY, Installation, until};

const OTHER: AccountId = AccountId(Uuid::from_u128(0xb0b));

async fn create_account(installation: &Installation, id: AccountId) {
    let mut tx = installation.store.config_tx().await.unwrap();
    let keys = SealedKeys { credentials: vec![1], contents: vec![2] };
    accounts::create(&mut tx, id, &id.to_string(), &keys).await.unwrap();
    tx.commit().await.unwrap();
}

/// An installation with two accounts, and a proxy that knows neither.
async fn installation(pool: PgPoolOptions, address: PgConnectOptions) -> (Installation, Follower) {
    let installation = Installation::new(pool, address).await;
    create_account(&installation, OTHER).await;
    let follower = Follower::joining_narrowed(&installation).await;
    until("the proxy is in sync", || follower.is_current()).await;
    assert_eq!(follower.snapshot.load().account_count(), 0);
    (installation, follower)
}

async fn has_come_to_the_newest_revision(installation: &Installation, follower: &Follower) {
    let head = outbox::newest(&installation.store).await.unwrap();
    until("the proxy is told of the revision", || follower.snapshot.load().revision() == Some(head)).await;
}

async fn request(follower: &Follower, account: AccountId) -> Result<resolve::Place, Refusal> {
    addressed(follower, "gateway", &format!("/v1/{account}/demo/openai/models")).await
}

async fn addressed(follower: &Follower, host: &str, path: &str) -> Result<resolve::Place, Refusal> {
    let head = Request::get(path).header("host", host).body(()).unwrap().into_parts().0;
    let interests = follower.interests.as_ref().unwrap();
    resolve::place_in_use(interests, &follower.snapshot, &head, 0).await.map(|(place, _)| place)
}

async fn ask(follower: &Follower, account: AccountId) -> Answer {
    follower.interests.as_ref().unwrap().ask(&follower.snapshot, account).await
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_narrowed_proxy_knows_only_what_it_was_asked_for(pool: PgPoolOptions, address: PgConnectOptions) {
    let (installation, follower) = installation(pool, address).await;
    let token = installation.create_token().await;
    has_come_to_the_newest_revision(&installation, &follower).await;
    assert_eq!(follower.snapshot.load().account_count(), 0);

    let place = request(&follower, ACCOUNT).await.unwrap();
    assert!(place.account.gateway_token(token).is_some(), "it is told all of the account at once");
    assert!(matches!(request(&follower, OTHER).await, Err(Refusal::UnknownGateway)));
    assert_eq!(follower.snapshot.load().account_count(), 2);

    let third = AccountId(Uuid::from_u128(0xca7));
    create_account(&installation, third).await;
    let token = installation.create_token().await;
    until("a change of the account arrives", || follower.token(token).is_some()).await;
    has_come_to_the_newest_revision(&installation, &follower).await;
    assert!(follower.snapshot.load().account(third).is_none());
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_host_names_the_account_that_is_asked_for(pool: PgPoolOptions, address: PgConnectOptions) {
    let (installation, follower) = installation(pool, address).await;
    let mut tx = installation.store.config_tx().await.unwrap();
    let (id, url) = (EndpointId(Uuid::now_v7()), "https://*.example.com".parse().unwrap());
    let made = endpoints::create(&mut tx, ACCOUNT, GATEWAY, id, &url, &Terms::default()).await.unwrap();
    assert!(made.is_some());
    tx.commit().await.unwrap();
    has_come_to_the_newest_revision(&installation, &follower).await;
    assert_eq!(follower.snapshot.load().account_count(), 0);

    let path = "/v1/chat/completions";
    let place = addressed(&follower, "A.example.com:8080", path).await.unwrap();
    assert_eq!((place.account_id, place.endpoint.map(|endpoint| endpoint.id)), (ACCOUNT, Some(id)));
    let stranger = addressed(&follower, "example.com", path).await;
    assert!(matches!(stranger, Err(Refusal::UnboundHost)));
    assert_eq!(follower.snapshot.load().account_count(), 1);
}

#[sqlx::test(migrations = "../../migrations")]
async fn requests_for_one_account_wait_for_one_answer(pool: PgPoolOptions, address: PgConnectOptions) {
    let (_installation, follower) = installation(pool, address).await;
    let (interests, snapshot) = (follower.interests.clone().unwrap(), Arc::clone(&follower.snapshot));
    let mut requests = JoinSet::new();
    for _ in 0..500 {
        let (interests, snapshot) = (Arc::clone(&interests), Arc::clone(&snapshot));
        requests.spawn(async move { interests.ask(&snapshot, ACCOUNT).await });
    }
    assert!(requests.join_all().await.into_iter().all(|answer| answer == Answer::Known));
}

#[sqlx::test(migrations = "../../migrations")]
async fn accounts_that_do_not_exist_keep_out_nobody(pool: PgPoolOptions, address: PgConnectOptions) {
    let (installation, follower) = installation(pool, address).await;
    let (interests, snapshot) = (follower.interests.clone().unwrap(), Arc::clone(&follower.snapshot));
    let mut requests = JoinSet::new();
    for _ in 0..5000 {
        let (interests, snapshot) = (Arc::clone(&interests), Arc::clone(&snapshot));
        requests.spawn(async move { interests.ask(&snapshot, AccountId(Uuid::now_v7())).await });
    }
    let answers = requests.join_all().await;
    let nonexistent = answers.iter().filter(|answer| **answer == Answer::Nonexistent).count();
    assert!(answers.iter().all(|answer| *answer != Answer::Known));
    assert!(nonexistent < 5000, "not all were asked for");
    assert_eq!(ask(&follower, ACCOUNT).await, Answer::Known);
    assert_eq!(follower.snapshot.load().account_count(), 1);

    let new = AccountId(Uuid::now_v7());
    assert!(matches!(request(&follower, new).await, Err(Refusal::UnknownGateway)));
    let began = Instant::now();
    assert_eq!(ask(&follower, new).await, Answer::Nonexistent);
    assert!(began.elapsed() < Duration::from_millis(5), "it is remembered");
    create_account(&installation, new).await;
    while ask(&follower, new).await != Answer::Known {
        assert!(began.elapsed() < Duration::from_secs(10), "but not for long");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_revocation_is_live_in_a_narrowed_proxy(pool: PgPoolOptions, address: PgConnectOptions) {
    let (installation, follower) = installation(pool, address).await;
    let id = installation.create_token().await;
    assert_eq!(ask(&follower, ACCOUNT).await, Answer::Known);
    let token = follower.token(id).unwrap();
    let began = Instant::now();
    installation.revoke_token(id).await;
    token.revoked.cancelled().await;
    assert!(began.elapsed() < Duration::from_secs(1));
    assert!(follower.token(id).is_none());
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_changes_while_an_account_is_asked_for_is_not_lost(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let (installation, _) = installation(pool, address).await;
    for _ in 0..10 {
        let follower = Follower::joining_narrowed(&installation).await;
        until("the proxy is in sync", || follower.is_current()).await;
        let ids = async {
            let kept = installation.create_token().await;
            let revoked = installation.create_token().await;
            installation.revoke_token(revoked).await;
            (kept, revoked)
        };
        let ((kept, revoked), answer) = tokio::join!(ids, ask(&follower, ACCOUNT));
        assert_eq!(answer, Answer::Known);
        has_come_to_the_newest_revision(&installation, &follower).await;
        assert!(follower.token(kept).is_some() && follower.token(revoked).is_none());
        follower.stop().await;
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_resync_keeps_the_narrowing(pool: PgPoolOptions, address: PgConnectOptions) {
    let (mut installation, follower) = installation(pool, address).await;
    let revoked = installation.create_token().await;
    assert_eq!(ask(&follower, ACCOUNT).await, Answer::Known);
    let token = follower.token(revoked).unwrap();
    for is_forgotten in [false, true] {
        installation.stop().await;
        until("the proxy notices", || !follower.is_current()).await;
        assert!(matches!(request(&follower, OTHER).await, Err(Refusal::NotInSync)));
        installation.revoke_token(revoked).await;
        let created = installation.create_token().await;
        if is_forgotten {
            // A proxy that was away for so long is told everything of its accounts.
            sqlx::query("delete from config_outbox").execute(&installation.owner).await.unwrap();
        }
        installation.start().await;
        until("the proxy has caught up", || follower.token(created).is_some()).await;
        assert!(token.revoked.is_cancelled());
        assert_eq!(follower.snapshot.load().account_count(), 1);
    }
    let created = installation.create_token().await;
    until("changes arrive again", || follower.token(created).is_some()).await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_narrowed_proxy_starts_with_the_accounts_that_it_knew(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let (installation, follower) = installation(pool, address).await;
    assert_eq!(ask(&follower, ACCOUNT).await, Answer::Known);
    let directory = follower.stop().await;
    let revoked = installation.create_token().await;

    let interests = Some(Arc::new(Interests::default()));
    let follower = Follower::start_with(&installation, None, directory, interests);
    assert!(follower.snapshot.load().account(ACCOUNT).is_some());
    until("what it missed arrives", || follower.token(revoked).is_some()).await;
    assert_eq!(follower.snapshot.load().account_count(), 1);

    let follower = Follower::start(&installation, None, follower.stop().await);
    until("who is narrowed no longer learns the others", || {
        follower.snapshot.load().account(OTHER).is_some()
    })
    .await;
}
