//! Accounts, members, sessions and the config transaction, as the runtime role sees them.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop where it fails")]

use model::AccountId;
use model::account::Role;
use model::id::{ApiTokenId, MemberId, SessionId, UserId};
use model::permission::{Permission, Permissions};
use model::resource::{ResourceId, ResourceKey};
use model::token::TokenDigest;
use sqlx::Executor as _;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use store::accounts::SealedKeys;
use store::api_tokens::{self, Terms};
use store::members::{self, Member, MemberChange};
use store::sessions::{self, Refresh};
use store::{Store, accounts, installation, users};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

const ACCOUNT: AccountId = AccountId(Uuid::from_u128(0xacc));

async fn store(pool: PgPoolOptions, address: PgConnectOptions) -> Store {
    Store::open(pool, address).await.unwrap()
}

async fn create_account(store: &Store) {
    let mut tx = store.config_tx().await.unwrap();
    let keys = SealedKeys { credentials: vec![1], contents: vec![2] };
    accounts::create(&mut tx, ACCOUNT, "Acme", &keys).await.unwrap();
    tx.commit().await.unwrap();
}

async fn create_user(store: &Store, email: &str) -> UserId {
    let mut connection = store.pool.acquire().await.unwrap();
    users::create(&mut connection, UserId(Uuid::now_v7()), email, "hash").await.unwrap().id
}

async fn create_owner(store: &Store, email: &str) -> Member {
    let user = create_user(store, email).await;
    let mut connection = store.pool.acquire().await.unwrap();
    let id = MemberId(Uuid::now_v7());
    members::create(&mut connection, id, ACCOUNT, user, email, Role::Owner).await.unwrap()
}

async fn outbox(store: &Store) -> Vec<(i64, String)> {
    sqlx::query_as("select revision, kind from config_outbox order by revision, kind")
        .fetch_all(&store.pool)
        .await
        .unwrap()
}

fn terms() -> Terms {
    Terms {
        name: "token".to_owned(),
        policies: serde_json::json!([]),
        condition: None,
        permissions: Permissions::from([Permission::AiGatewayRun]),
        disabled: false,
        not_before: None,
        expires_on: None,
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_change_is_announced_with_it_or_not_at_all(pool: PgPoolOptions, address: PgConnectOptions) {
    let store = store(pool, address).await;
    create_account(&store).await;
    let id = ApiTokenId(Uuid::now_v7());
    let digest = TokenDigest::of("token");

    let mut dropped = store.config_tx().await.unwrap();
    api_tokens::create(&mut dropped, ACCOUNT, id, &digest, &terms(), None).await.unwrap();
    drop(dropped);
    assert!(api_tokens::find(&store, id).await.unwrap().is_none());

    let mut tx = store.config_tx().await.unwrap();
    let created = api_tokens::create(&mut tx, ACCOUNT, id, &digest, &terms(), None).await.unwrap();
    assert_eq!(created.terms.permissions, terms().permissions);
    // Touched twice, told once.
    tx.touch(ResourceKey { account: ACCOUNT, kind: ResourceId::ApiToken(id) });
    assert_eq!(tx.commit().await.unwrap(), Some(2));
    assert_eq!(outbox(&store).await, [(1, "account".to_owned()), (2, "api_token".to_owned())]);

    let nothing = store.config_tx().await.unwrap();
    assert!(nothing.commit().await.unwrap().is_none(), "no revision for no change");
}

#[sqlx::test(migrations = "../../migrations")]
async fn revisions_are_numbered_in_the_order_of_their_commits(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let store = store(pool, address).await;
    create_account(&store).await;
    let change = async |index: u128| {
        let mut tx = store.config_tx().await.unwrap();
        tx.touch(ResourceKey {
            account: ACCOUNT,
            kind: ResourceId::ApiToken(ApiTokenId(Uuid::from_u128(index))),
        });
        tx.commit().await.unwrap().unwrap()
    };
    let (a, b, c) = tokio::join!(change(1), change(2), change(3));
    let mut revisions = [a, b, c];
    revisions.sort_unstable();
    assert_eq!(revisions, [2, 3, 4]);
}

#[sqlx::test(migrations = "../../migrations")]
async fn two_owners_who_leave_at_once_do_not_both_go(pool: PgPoolOptions, address: PgConnectOptions) {
    let store = store(pool, address).await;
    create_account(&store).await;
    let (one, two) = (create_owner(&store, "one@x").await, create_owner(&store, "two@x").await);
    let (first, second) =
        tokio::join!(members::delete(&store, &one), members::set_role(&store, &two, Role::Viewer));
    assert!(first.is_ok() != second.is_ok());
    let refused = first.and(second).unwrap_err();
    assert!(matches!(refused, MemberChange::LastOwner));
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_invited_owner_is_no_owner_yet(pool: PgPoolOptions, address: PgConnectOptions) {
    let store = store(pool, address).await;
    create_account(&store).await;
    let owner = create_owner(&store, "one@x").await;
    let invitation = members::Invitation {
        id: MemberId(Uuid::now_v7()),
        account: ACCOUNT,
        email: "two@x",
        role: Role::Owner,
        digest: TokenDigest::of("invitation"),
        expires_at: OffsetDateTime::now_utc() + Duration::days(1),
    };
    members::invite(&store, &invitation).await.unwrap();
    assert!(matches!(members::delete(&store, &owner).await, Err(MemberChange::LastOwner)));
    let again = members::Invitation { id: MemberId(Uuid::now_v7()), ..invitation };
    let refused = members::invite(&store, &again).await.unwrap_err();
    assert_eq!(refused.constraint(), Some(members::ALREADY_MEMBER));
}

#[sqlx::test(migrations = "../../migrations")]
async fn of_two_who_present_one_refresh_token_one_is_renewed_and_the_session_ends(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let store = store(pool, address).await;
    let user = create_user(&store, "one@x").await;
    let session = SessionId(Uuid::now_v7());
    let first = TokenDigest::of("first");
    let end = OffsetDateTime::now_utc() + Duration::hours(1);
    sessions::create(&store, session, user, &first, end).await.unwrap();
    let (second, third) = (TokenDigest::of("second"), TokenDigest::of("third"));
    let (one, two) = tokio::join!(
        sessions::refresh(&store, session, &first, &second),
        sessions::refresh(&store, session, &first, &third),
    );
    let mut outcomes = [one.unwrap(), two.unwrap()];
    outcomes.sort_by_key(|outcome| *outcome == Refresh::Reused);
    assert_eq!(outcomes, [Refresh::Renewed(user), Refresh::Reused]);
    assert!(sessions::user(&store, session).await.unwrap().is_none());
    assert_eq!(sessions::refresh(&store, session, &second, &third).await.unwrap(), Refresh::Over);
}

#[sqlx::test(migrations = "../../migrations")]
async fn the_setup_token_is_taken_once_by_two_who_come_at_once(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let store = store(pool, address).await;
    installation::offer_setup(&store, &TokenDigest::of("setup")).await.unwrap();
    let take = async || {
        let mut tx = store.config_tx().await.unwrap();
        let taken = installation::take_setup(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
        taken
    };
    let (one, two) = tokio::join!(take(), take());
    assert_eq!([one, two].into_iter().flatten().count(), 1);
}

#[sqlx::test(migrations = "../../migrations")]
async fn the_runtime_role_owns_nothing_and_cannot_rewrite_history(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let store = store(pool, address).await;
    let role: String = sqlx::query_scalar("select current_user::text").fetch_one(&store.pool).await.unwrap();
    assert_eq!(role, store::RUNTIME_ROLE);
    let owned: i64 =
        sqlx::query_scalar("select count(*) from pg_class where relowner = current_user::regrole")
            .fetch_one(&store.pool)
            .await
            .unwrap();
    assert_eq!(owned, 0);
    for forbidden in [
        "drop table users",
        "truncate accounts",
        "update config_outbox set revision = 0",
        "delete from installation",
        "alter table members disable trigger all",
        "create table mine ()",
    ] {
        let refused = store.pool.execute(forbidden).await.unwrap_err();
        assert_eq!(refused.as_database_error().unwrap().code().unwrap(), "42501", "{forbidden}");
    }
}

#[sqlx::test(migrations = false)]
async fn processes_that_start_at_once_migrate_once(_: PgPoolOptions, address: PgConnectOptions) {
    use sqlx::ConnectOptions as _;
    let url = address.to_url_lossy().to_string();
    let (one, two, three) = tokio::join!(store::migrate(&url), store::migrate(&url), store::migrate(&url));
    for migrated in [one, two, three] {
        migrated.unwrap();
    }
    assert!(!installation::has_users(&Store::connect(&url).await.unwrap()).await.unwrap());
}
