//! The history of the configuration, as its readers see it.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

use std::time::Duration;

use model::id::{ApiTokenId, GatewayInternalId};
use model::resource::{Body, ResourceId, ResourceKey};
use model::{AccountId, Revision};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, Executor as _, PgConnection};
use store::accounts::SealedKeys;
use store::outbox::{self, ConfigListener, Heard, Since};
use store::resources::Everything;
use store::{Store, accounts};
use uuid::Uuid;

const ACCOUNT: AccountId = AccountId(Uuid::from_u128(0xacc));
const GATEWAY: GatewayInternalId = GatewayInternalId(Uuid::from_u128(0x6a7e));
const LIMIT: usize = 100;

async fn store(pool: PgPoolOptions, address: PgConnectOptions) -> Store {
    Store::open(pool, address).await.unwrap()
}

async fn head(store: &Store) -> Revision {
    outbox::newest(store).await.unwrap()
}

async fn create_account(store: &Store) {
    let mut tx = store.config_tx().await.unwrap();
    let keys = SealedKeys { credentials: vec![1], contents: vec![2] };
    accounts::create(&mut tx, ACCOUNT, "acme", &keys).await.unwrap();
    tx.commit().await.unwrap();
}

/// A row and its outbox entry, as any change of configuration makes them.
async fn change(store: &Store, kind: ResourceId, sql: &'static str) {
    let mut tx = store.config_tx().await.unwrap();
    tx.execute(sql).await.unwrap();
    tx.touch(ResourceKey { account: ACCOUNT, kind });
    tx.commit().await.unwrap();
}

async fn create_gateway(store: &Store) {
    let sql = "insert into gateways (internal_id, account_id, id, settings) values
        ('00000000-0000-0000-0000-000000006a7e', '00000000-0000-0000-0000-000000000acc', 'demo', '{}')";
    change(store, ResourceId::Gateway(GATEWAY), sql).await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_reader_is_told_what_changed_and_what_is_gone(pool: PgPoolOptions, address: PgConnectOptions) {
    let store = store(pool, address).await;
    create_account(&store).await;
    let before = head(&store).await;
    assert!(matches!(outbox::since(&store, before, LIMIT).await.unwrap(), Since::Nothing));

    create_gateway(&store).await;
    let Since::Changes { head: after, upserted, removed } =
        outbox::since(&store, before, LIMIT).await.unwrap()
    else {
        panic!("expected changes")
    };
    assert_eq!(after.number, before.number + 1);
    assert!(
        matches!(&upserted[..], [resource] if matches!(&resource.body, Body::Gateway(gateway) if gateway.internal_id == GATEWAY))
    );
    assert!(removed.is_empty());

    change(&store, ResourceId::Gateway(GATEWAY), "delete from gateways").await;
    let Since::Changes { upserted, removed, .. } = outbox::since(&store, before, LIMIT).await.unwrap() else {
        panic!("expected changes")
    };
    assert!(upserted.is_empty());
    assert_eq!(removed, [ResourceKey { account: ACCOUNT, kind: ResourceId::Gateway(GATEWAY) }]);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_reader_who_lacks_too_much_is_sent_everything(pool: PgPoolOptions, address: PgConnectOptions) {
    let store = store(pool, address).await;
    let nothing = head(&store).await;
    create_account(&store).await;
    create_gateway(&store).await;
    assert!(matches!(outbox::since(&store, nothing, 1).await.unwrap(), Since::Everything));

    let other_timeline = Revision { timeline: Uuid::nil(), ..nothing };
    assert!(matches!(outbox::since(&store, other_timeline, LIMIT).await.unwrap(), Since::Everything));
    assert_eq!(outbox::prune(&store, Duration::from_secs(3600)).await.unwrap(), 0);
    assert_eq!(outbox::prune(&store, Duration::ZERO).await.unwrap(), 2);
    assert!(matches!(outbox::since(&store, nothing, LIMIT).await.unwrap(), Since::Everything));
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_reader_who_is_ahead_proves_that_the_database_was_set_back(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let store = store(pool, address).await;
    let before = head(&store).await;
    let ahead = Revision { number: before.number + 5, ..before };
    assert!(matches!(outbox::since(&store, ahead, LIMIT).await.unwrap(), Since::Unheard));

    outbox::abandon_timeline(&store, before.timeline).await.unwrap();
    let after = head(&store).await;
    assert_ne!(after.timeline, before.timeline);
    outbox::abandon_timeline(&store, before.timeline).await.unwrap();
    assert_eq!(head(&store).await, after, "the second to notice moves nothing");
    assert!(matches!(outbox::since(&store, ahead, LIMIT).await.unwrap(), Since::Everything));
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_copied_database_starts_a_new_timeline(pool: PgPoolOptions, address: PgConnectOptions) {
    let original = store(pool, address.clone()).await;
    assert!(!outbox::confirm_timeline(&original).await.unwrap());
    assert!(!outbox::confirm_timeline(&original).await.unwrap());
    let before = head(&original).await;
    original.pool.close().await;

    let name = address.get_database().unwrap();
    let copy = format!("copy_{}", Uuid::now_v7().simple());
    let mut server = PgConnection::connect_with(&address.clone().database("postgres")).await.unwrap();
    let create = format!("create database {copy} template \"{name}\"");
    server.execute(sqlx::AssertSqlSafe(create)).await.unwrap();

    let restored = store(PgPoolOptions::new(), address.database(&copy)).await;
    assert_eq!(head(&restored).await, before);
    assert!(outbox::confirm_timeline(&restored).await.unwrap());
    let after = head(&restored).await;
    assert_ne!(after.timeline, before.timeline);
    assert!(!outbox::confirm_timeline(&restored).await.unwrap());
    assert_eq!(head(&restored).await, after);
    restored.pool.close().await;
    server.execute(sqlx::AssertSqlSafe(format!("drop database {copy}"))).await.unwrap();
}

#[sqlx::test(migrations = "../../migrations")]
async fn everything_is_read_in_parts_of_one_moment(pool: PgPoolOptions, address: PgConnectOptions) {
    let store = store(pool, address).await;
    create_account(&store).await;
    create_gateway(&store).await;
    let mut everything = Everything::begin(&store).await.unwrap();
    assert_eq!(everything.revision(), head(&store).await);
    change(&store, ResourceId::Gateway(GATEWAY), "delete from gateways").await;

    let mut kinds = Vec::new();
    while let Some(part) = everything.next_part(1).await.unwrap() {
        assert!(part.resources.len() <= 1);
        kinds.extend(part.resources.iter().map(|resource| resource.key().kind));
    }
    assert_eq!(kinds, [ResourceId::Terms, ResourceId::Account, ResourceId::Gateway(GATEWAY)]);
}

#[sqlx::test(migrations = "../../migrations")]
async fn only_tokens_that_may_run_requests_are_told(pool: PgPoolOptions, address: PgConnectOptions) {
    let store = store(pool, address).await;
    create_account(&store).await;
    let before = head(&store).await;
    let id = |n| ResourceId::ApiToken(ApiTokenId(Uuid::from_u128(n)));
    let sql =
        "insert into api_tokens (id, account_id, name, digest, policies, permissions, disabled, condition)
        select lpad(n::text, 32, '0')::uuid, '00000000-0000-0000-0000-000000000acc', 'token',
               decode(repeat('ab', 32), 'hex'), '[]', permissions::text[], disabled, condition::jsonb
        from (values (1, '{ai_gateway_run}', false, null), (2, '{ai_gateway_read}', false, null),
                     (3, '{ai_gateway_run}', true, null),
                     (4, '{ai_gateway_run}', false, '{\"request_ip\": {\"in\": [\"10.0.0.0/8\"]}}'))
             as t (n, permissions, disabled, condition)";
    let mut tx = store.config_tx().await.unwrap();
    tx.execute(sql).await.unwrap();
    (1..=4).for_each(|n| tx.touch(ResourceKey { account: ACCOUNT, kind: id(n) }));
    tx.commit().await.unwrap();

    let Since::Changes { upserted, removed, .. } = outbox::since(&store, before, LIMIT).await.unwrap() else {
        panic!("expected changes")
    };
    assert!(matches!(&upserted[..], [token] if token.key().kind == id(1)));
    assert_eq!(removed.len(), 3);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_row_that_means_nothing_to_this_release_is_neither_told_nor_taken_away(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let store = store(pool, address).await;
    create_account(&store).await;
    create_gateway(&store).await;
    let before = head(&store).await;
    let sql = "update gateways set settings = '{\"authentication\": \"perhaps\"}'";
    change(&store, ResourceId::Gateway(GATEWAY), sql).await;
    let Since::Changes { upserted, removed, .. } = outbox::since(&store, before, LIMIT).await.unwrap() else {
        panic!("expected changes")
    };
    assert!(upserted.is_empty() && removed.is_empty());
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_listener_hears_of_each_revision(pool: PgPoolOptions, address: PgConnectOptions) {
    let store = store(pool, address).await;
    let mut listener = ConfigListener::connect(&store).await.unwrap();
    create_account(&store).await;
    assert_eq!(listener.heard().await.unwrap(), Heard::Revision);
}
