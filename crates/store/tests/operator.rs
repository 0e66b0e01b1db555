//! What belongs to the whole installation, on real Postgres and as the runtime role.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop where it fails")]

use std::collections::BTreeSet;

use model::id::{OperatorKeyId, PriceRuleId};
use model::operator_key::Cancel;
use model::prices::{ModelRule, Price, PriceRule, TokenPrices};
use model::resource::{Body, Resource, ResourceId, ResourceKey};
use model::terms::{AccountTerms, LimitDuration, SpendingLimit};
use model::{AccountId, Nanos, Picos};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use store::accounts::{self, SealedKeys};
use store::operator_keys::{self, ALIAS_TAKEN, Terms};
use store::outbox::{self, Since};
use store::price_rules::{self, Filter};
use store::provider_keys::SealedSecret;
use store::resources::{self, Everything};
use store::{Store, operator_settings};
use time::OffsetDateTime;
use uuid::Uuid;

const ACCOUNT: AccountId = AccountId(Uuid::from_u128(0xacc));
const OTHER: AccountId = AccountId(Uuid::from_u128(0xb0b));
const MOST: i64 = 3;

async fn store(pool: PgPoolOptions, address: PgConnectOptions) -> Store {
    let store = Store::open(pool, address).await.unwrap();
    let mut tx = store.config_tx().await.unwrap();
    for id in [ACCOUNT, OTHER] {
        let keys = SealedKeys { credentials: vec![1], contents: vec![2] };
        accounts::create(&mut tx, id, "acme", &keys).await.unwrap();
    }
    tx.commit().await.unwrap();
    store
}

fn key_id(id: u128) -> OperatorKeyId {
    OperatorKeyId(Uuid::from_u128(id))
}

async fn add_key(store: &Store, id: u128, alias: &str, priority: u32) -> Result<(), store::StoreError> {
    let secret = SealedSecret { sealed: vec![7], preview: "****".to_owned() };
    let terms = Terms { alias: alias.to_owned(), priority, cancel: Some(Cancel::Drain) };
    let mut tx = store.config_tx().await?;
    operator_keys::create(&mut tx, key_id(id), "openai", &terms, &secret).await?;
    tx.commit().await.map(drop)
}

fn rule(id: u128, model: &str) -> PriceRule {
    let tokens = TokenPrices { input: Some(Picos(5)), ..TokenPrices::default() };
    PriceRule {
        id: PriceRuleId(Uuid::from_u128(id)),
        provider: "openai".to_owned(),
        model: model.to_owned(),
        model_rule: ModelRule::Equals,
        account: None,
        effective_from: OffsetDateTime::UNIX_EPOCH,
        enable: true,
        price: Price { tokens, ..Price::default() },
    }
}

async fn add_rule(store: &Store, owner: AccountId, rule: &PriceRule) -> bool {
    let mut tx = store.config_tx().await.unwrap();
    let created = price_rules::create(&mut tx, owner, rule, MOST).await.unwrap();
    tx.commit().await.unwrap();
    created.is_some()
}

async fn told(store: &Store) -> Vec<Resource> {
    let mut everything = Everything::begin(store).await.unwrap();
    let mut resources = Vec::new();
    while let Some(part) = everything.next_part(1).await.unwrap() {
        assert!(part.unreadable.is_empty() && part.resources.len() <= 1);
        resources.extend(part.resources);
    }
    resources
}

fn keys(resources: &[Resource]) -> BTreeSet<ResourceKey> {
    resources.iter().map(Resource::key).collect()
}

#[sqlx::test(migrations = "../../migrations")]
async fn all_that_is_the_installations_is_told_whole_and_as_it_changes(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let store = store(pool, address).await;
    let before = outbox::newest(&store).await.unwrap();
    let mut tx = store.config_tx().await.unwrap();
    assert!(operator_keys::installation_keys(&mut tx).await.unwrap().is_none());
    let sealed = SealedKeys { credentials: vec![3], contents: vec![4] };
    operator_keys::set_installation_keys(&mut tx, &sealed).await.unwrap();
    let mut settings = operator_settings::lock(&mut tx).await.unwrap();
    settings.terms.default_markup_ppm = 5;
    operator_settings::set(&mut tx, &settings).await.unwrap();
    tx.commit().await.unwrap();
    add_key(&store, 1, "main", 0).await.unwrap();
    assert!(add_rule(&store, AccountId::INSTALLATION, &rule(2, "m")).await);

    let kinds = [
        ResourceId::Account,
        ResourceId::Terms,
        ResourceId::OperatorKey(key_id(1)),
        ResourceId::PriceRule(PriceRuleId(Uuid::from_u128(2))),
    ];
    let installation = kinds.map(|kind| ResourceKey { account: AccountId::INSTALLATION, kind });
    let of_accounts = [ACCOUNT, OTHER].map(|account| ResourceKey { account, kind: ResourceId::Account });
    let everything = told(&store).await;
    assert_eq!(keys(&everything), installation.into_iter().chain(of_accounts).collect());
    assert!(everything.iter().any(|resource| {
        matches!(&resource.body, Body::Account { credentials_key, .. } if *credentials_key == sealed.credentials)
    }));

    let mut connection = store.pool.acquire().await.unwrap();
    let found = resources::of_accounts(&mut connection, &[AccountId::INSTALLATION]).await.unwrap();
    assert_eq!(keys(&found.resources), installation.into_iter().collect());
    let found = resources::of_accounts(&mut connection, &[ACCOUNT]).await.unwrap();
    assert_eq!(keys(&found.resources), [of_accounts[0]].into_iter().collect());

    let Since::Changes { upserted, removed, .. } = outbox::since(&store, before, 100).await.unwrap() else {
        panic!("expected changes")
    };
    assert_eq!((keys(&upserted), removed), (installation.into_iter().collect(), vec![]));
    let mut tx = store.config_tx().await.unwrap();
    assert!(operator_keys::delete(&mut tx, key_id(1)).await.unwrap());
    tx.commit().await.unwrap();
    let Since::Changes { removed, .. } = outbox::since(&store, before, 100).await.unwrap() else {
        panic!("expected changes")
    };
    assert_eq!(removed, [installation[2]]);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_provider_has_several_keys_under_different_aliases(pool: PgPoolOptions, address: PgConnectOptions) {
    let store = store(pool, address).await;
    add_key(&store, 1, "spare", 9).await.unwrap();
    add_key(&store, 2, "main", 0).await.unwrap();
    let taken = add_key(&store, 3, "main", 0).await.unwrap_err();
    assert_eq!(taken.constraint(), Some(ALIAS_TAKEN));
    let (found, total) = operator_keys::list(&store, 10, 0).await.unwrap();
    let aliases: Vec<&str> = found.iter().map(|key| key.terms.alias.as_str()).collect();
    assert_eq!((aliases, total), (vec!["main", "spare"], 2));

    let terms = Terms { alias: "other".to_owned(), priority: 1, cancel: None };
    let mut tx = store.config_tx().await.unwrap();
    let updated = operator_keys::update(&mut tx, key_id(1), &terms, None).await.unwrap().unwrap();
    assert_eq!((updated.terms, updated.preview.as_str()), (terms, "****"));
    tx.commit().await.unwrap();
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_rule_belongs_to_its_owner_alone(pool: PgPoolOptions, address: PgConnectOptions) {
    let store = store(pool, address).await;
    let mine = rule(1, "m");
    assert!(add_rule(&store, ACCOUNT, &mine).await);
    for owner in [OTHER, AccountId::INSTALLATION] {
        assert!(price_rules::get(&store, owner, mine.id).await.unwrap().is_none());
        let mut tx = store.config_tx().await.unwrap();
        assert!(price_rules::lock(&mut tx, owner, mine.id).await.unwrap().is_none());
        assert!(price_rules::update(&mut tx, owner, &mine).await.unwrap().is_none());
        assert!(!price_rules::delete(&mut tx, owner, mine.id).await.unwrap());
    }
    assert_eq!(price_rules::get(&store, ACCOUNT, mine.id).await.unwrap().unwrap().rule, mine);

    let before = outbox::newest(&store).await.unwrap();
    let mut tx = store.config_tx().await.unwrap();
    assert!(accounts::delete(&mut tx, ACCOUNT).await.unwrap());
    tx.commit().await.unwrap();
    let Since::Changes { removed, .. } = outbox::since(&store, before, 100).await.unwrap() else {
        panic!("expected changes")
    };
    assert!(removed.contains(&ResourceKey { account: ACCOUNT, kind: ResourceId::PriceRule(mine.id) }));
}

#[sqlx::test(migrations = "../../migrations")]
async fn rules_are_found_by_what_they_say_and_there_are_only_so_many(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let store = store(pool, address).await;
    let off = PriceRule { enable: false, ..rule(1, "gpt-4o") };
    let beginning = PriceRule { model_rule: ModelRule::StartsWith, ..rule(2, "claude") };
    let elsewhere = PriceRule { provider: "groq".to_owned(), ..rule(3, "llama") };
    for rule in [&off, &beginning, &elsewhere] {
        assert!(add_rule(&store, ACCOUNT, rule).await);
    }
    let head = outbox::newest(&store).await.unwrap();
    assert!(!add_rule(&store, ACCOUNT, &rule(4, "m")).await, "one too many");
    assert_eq!(outbox::newest(&store).await.unwrap(), head, "nobody is told of what did not happen");
    assert!(add_rule(&store, OTHER, &rule(5, "m")).await, "others have room of their own");

    let text = |text: &str| Some(text.to_owned());
    for (filter, expected) in [
        (Filter::default(), vec![&off, &beginning, &elsewhere]),
        (Filter { enable: Some(false), ..Filter::default() }, vec![&off]),
        (Filter { enable: Some(true), ..Filter::default() }, vec![&beginning, &elsewhere]),
        (Filter { model_rule: text("starts-with"), ..Filter::default() }, vec![&beginning]),
        (Filter { provider: text("groq"), ..Filter::default() }, vec![&elsewhere]),
        (Filter { search: text("gpt"), ..Filter::default() }, vec![&off]),
        (Filter { search: text("%"), ..Filter::default() }, vec![]),
    ] {
        let (found, total) = price_rules::list(&store, ACCOUNT, &filter, 10, 0).await.unwrap();
        let found: Vec<&PriceRule> = found.iter().map(|found| &found.rule).collect();
        assert_eq!((&found, total), (&expected, expected.len() as i64), "{filter:?}");
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_accounts_terms_are_kept_to_the_nano_dollar(pool: PgPoolOptions, address: PgConnectOptions) {
    let store = store(pool, address).await;
    let limit = SpendingLimit {
        amount: Nanos(3_999_999_999_999_999),
        duration: LimitDuration::Daily,
        strategy: model::gateway::Technique::Fixed,
    };
    let terms = AccountTerms { markup_ppm: Some(-1), spending_limit: Some(limit) };
    let mut tx = store.config_tx().await.unwrap();
    assert_eq!(accounts::lock_terms(&mut tx, ACCOUNT).await.unwrap(), Some(AccountTerms::default()));
    accounts::set_terms(&mut tx, ACCOUNT, &terms).await.unwrap();
    tx.commit().await.unwrap();
    let mut connection = store.pool.acquire().await.unwrap();
    assert_eq!(accounts::terms(&mut connection, ACCOUNT).await.unwrap(), Some(terms));
    assert_eq!(accounts::terms(&mut connection, AccountId::INSTALLATION).await.unwrap(), None);
    let told = told(&store).await;
    assert!(
        told.iter().any(|resource| {
            matches!(&resource.body, Body::Account { terms: told, .. } if *told == terms)
        })
    );
}
