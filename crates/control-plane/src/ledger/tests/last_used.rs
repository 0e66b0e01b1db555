//! When tokens and their provider keys were used last.

use model::account::SealedKeys;
use model::gateway::GatewaySettings;
use model::id::{BoundKeyId, GatewayInternalId, GatewayTokenId};
use model::token::TokenDigest;
use store::bound_keys::{self, NewKey};
use store::provider_keys::SealedSecret;
use store::{accounts, gateway_tokens, gateways};

use super::super::last_used::LastUsed;
use super::*;

/// An account with a gateway, a token and a key of the token's.
struct Tenant {
    account: AccountId,
    gateway: GatewayInternalId,
    token: GatewayTokenId,
    key: BoundKeyId,
}

impl Tenant {
    async fn of(store: &Store) -> Self {
        let id = Uuid::now_v7;
        let tenant = Self {
            account: AccountId(id()),
            gateway: GatewayInternalId(id()),
            token: GatewayTokenId(id()),
            key: BoundKeyId(id()),
        };
        let Self { account, gateway, token, key } = tenant;
        let mut tx = store.config_tx().await.unwrap();
        let keys = SealedKeys { credentials: vec![1], contents: vec![2] };
        accounts::create(&mut tx, account, "Acme", &keys).await.unwrap();
        let settings = GatewaySettings::default();
        gateways::create(&mut tx, account, gateway, &"demo".parse().unwrap(), &settings).await.unwrap();
        let terms = gateway_tokens::Terms { name: "app".to_owned(), budget: None };
        let digest = TokenDigest::of(&token.to_string());
        gateway_tokens::create(&mut tx, account, gateway, token, &digest, &terms, None).await.unwrap();
        let secret = SealedSecret { sealed: b"sealed".to_vec(), preview: "****".to_owned() };
        let terms = bound_keys::Terms::default();
        let new = NewKey { id: key, provider: "openai", terms: &terms, secret: &secret, by: "ada" };
        bound_keys::create(&mut tx, account, token, new).await.unwrap();
        tx.commit().await.unwrap();
        tenant
    }

    /// A record of a request at this moment.
    fn used_at(&self, at: OffsetDateTime) -> UsageRecord {
        let seconds = u64::try_from(at.unix_timestamp()).unwrap();
        let id = Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, at.nanosecond()));
        UsageRecord {
            token: self.token.to_string(),
            key_alias: self.key.to_string(),
            ..model::samples::usage_record(id, self.account)
        }
    }

    async fn last_used(&self, store: &Store) -> [Option<OffsetDateTime>; 2] {
        let token = gateway_tokens::get(store, self.account, self.gateway, self.token).await.unwrap();
        let key = bound_keys::get(store, self.account, self.key).await.unwrap();
        [token.unwrap().last_used_at, key.unwrap().last_used_at]
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_is_posted_says_when_tokens_and_keys_were_used(pool: PgPoolOptions, address: PgConnectOptions) {
    let system = System::start(pool, address).await;
    let tenant = Tenant::of(&system.store).await;
    assert_eq!(tenant.last_used(&system.store).await, [None, None]);
    let desk = system.desk();
    let meter = system.meter();
    let at = OffsetDateTime::now_utc().replace_nanosecond(0).unwrap();
    let record = tenant.used_at(at);
    meter.open(&record).unwrap().close(&record);
    assert!(meter.drain(PATIENCE).await);
    assert_eq!(tenant.last_used(&system.store).await, [Some(at), Some(at)]);
    desk.stop().await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_token_is_written_once_a_minute_and_never_backwards(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let store = Store::open(pool, address).await.unwrap();
    let (tenant, stranger) = (Tenant::of(&store).await, Tenant::of(&store).await);
    let begin = OffsetDateTime::from_unix_timestamp(1_795_327_200).unwrap();
    let at = |seconds| begin + time::Duration::seconds(seconds);
    let mut last_used = LastUsed::default();
    for (seconds, expected) in [(1, 1), (20, 1), (59, 1), (70, 70)] {
        let records = [tenant.used_at(at(seconds)), tenant.used_at(at(seconds - 30))];
        last_used.note(&store, at(seconds), records.iter()).await;
        assert_eq!(tenant.last_used(&store).await, [Some(at(expected)); 2], "{seconds}");
    }
    // What arrives late is about the past, and what names another's token is about nothing.
    let late = tenant.used_at(at(2));
    let foreign = UsageRecord { account: tenant.account, ..stranger.used_at(at(200)) };
    last_used.note(&store, at(200), [late, foreign].iter()).await;
    assert_eq!(tenant.last_used(&store).await, [Some(at(70)); 2]);
    assert_eq!(stranger.last_used(&store).await, [None, None]);
}
