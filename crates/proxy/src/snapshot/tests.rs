//! What changes in a snapshot, and what must not.

use model::gateway::{Budget, GatewaySettings};
use model::id::{
    ApiTokenId, BoundKeyId, EndpointId, GatewayInternalId, GatewayTokenId, OperatorKeyId, PriceRuleId,
    ProviderKeyId, VaultSecretId,
};
use model::limits::Period;
use model::resource::{
    ApiToken, BoundKey, Endpoint, Gateway, GatewayToken, OperatorKey, PriceRule, ProviderKey, VaultSecret,
};
use model::terms::{AccountTerms, Terms};
use model::token::TokenDigest;
use uuid::Uuid;

use super::*;

const ACCOUNT: AccountId = AccountId(Uuid::from_u128(0x1a));
const GATEWAY: GatewayInternalId = GatewayInternalId(Uuid::from_u128(0x2b));
const GATEWAY_TOKEN: GatewayTokenId = GatewayTokenId(Uuid::from_u128(0x3c));
const API_TOKEN: ApiTokenId = ApiTokenId(Uuid::from_u128(0x4d));

fn resource(body: Body) -> Resource {
    Resource { account: ACCOUNT, body }
}

fn revision(number: u64) -> Revision {
    Revision { timeline: Uuid::from_u128(1), number }
}

fn gateway(id: GatewayInternalId) -> Resource {
    let slug = "demo".parse().unwrap();
    resource(Body::Gateway(Gateway::of(id, slug, &GatewaySettings::default())))
}

fn gateway_token(digest: u8) -> Resource {
    let digest = TokenDigest([digest; 32]);
    resource(Body::GatewayToken(GatewayToken {
        id: GATEWAY_TOKEN,
        gateway: GATEWAY,
        digest,
        expires_at_ms: None,
        budget: None,
    }))
}

fn api_token() -> Resource {
    let digest = TokenDigest([7; 32]);
    resource(Body::ApiToken(ApiToken { id: API_TOKEN, digest, not_before_ms: None, expires_at_ms: None }))
}

fn provider_key(id: u128, alias: &str, is_default: bool) -> Resource {
    resource(Body::ProviderKey(ProviderKey {
        id: ProviderKeyId(Uuid::from_u128(id)),
        gateway: GATEWAY,
        provider: "openai".to_owned(),
        alias: alias.to_owned(),
        is_default,
        sealed: vec![1, 2, 3],
    }))
}

fn demo() -> Snapshot {
    let keys = [provider_key(1, "default", true), provider_key(2, "spare", false)];
    let resources = [gateway(GATEWAY), gateway_token(5), api_token()].into_iter().chain(keys);
    Snapshot::of(revision(1), resources.collect())
}

fn upsert(number: u64, upserted: Vec<Resource>) -> Delta {
    Delta { revision: revision(number), upserted, removed: vec![], refused: vec![] }
}

fn remove(number: u64, kind: ResourceId) -> Delta {
    let removed = vec![ResourceKey { account: ACCOUNT, kind }];
    Delta { revision: revision(number), upserted: vec![], removed, refused: vec![] }
}

fn gateway_token_of(snapshot: &Snapshot) -> Arc<LiveToken<GatewayToken>> {
    Arc::clone(snapshot.account(ACCOUNT).unwrap().gateway_token(GATEWAY_TOKEN).unwrap())
}

#[test]
fn a_gateway_is_found_by_its_slug_and_a_key_by_its_alias_or_as_the_default() {
    let snapshot = demo();
    let gateway = snapshot.gateway(ACCOUNT, "demo").unwrap();
    assert_eq!(gateway.provider_key("openai", None).unwrap().alias, "default");
    assert_eq!(gateway.provider_key("openai", Some("spare")).unwrap().alias, "spare");
    assert!(gateway.provider_key("openai", Some("other")).is_none());
    let snapshot = snapshot.apply(upsert(2, vec![provider_key(1, "default", false)]));
    let gateway = snapshot.gateway(ACCOUNT, "demo").unwrap();
    assert_eq!(gateway.provider_key("openai", None).unwrap().alias, "default");
    assert!(gateway.provider_key("anthropic", None).is_none());
    assert!(snapshot.gateway(ACCOUNT, "other").is_none());
}

#[test]
fn a_token_lives_through_a_change_that_does_not_concern_it() {
    let before = demo();
    let token = gateway_token_of(&before);
    let after = before.apply(upsert(2, vec![provider_key(3, "third", false), gateway_token(5)]));
    assert!(!token.revoked.is_cancelled());
    assert!(Arc::ptr_eq(&token, &gateway_token_of(&after)));
    assert_eq!(after.revision(), Some(revision(2)));
}

#[test]
fn a_removed_token_ends_what_it_opened() {
    let before = demo();
    let token = gateway_token_of(&before);
    let after = before.apply(remove(2, ResourceId::GatewayToken(GATEWAY_TOKEN)));
    assert!(token.revoked.is_cancelled());
    assert!(after.account(ACCOUNT).unwrap().gateway_token(GATEWAY_TOKEN).is_none());
}

#[test]
fn a_changed_token_ends_what_its_former_self_opened() {
    let before = demo();
    let token = gateway_token_of(&before);
    let after = before.apply(upsert(2, vec![gateway_token(6)]));
    assert!(token.revoked.is_cancelled());
    assert!(!gateway_token_of(&after).revoked.is_cancelled());
}

#[test]
fn a_token_with_another_budget_keeps_what_it_opened() {
    let before = demo();
    let token = gateway_token_of(&before);
    let Body::GatewayToken(mut changed) = gateway_token(5).body else { panic!("expected a token") };
    changed.budget = Some(Budget { limit: model::Nanos(1), period: Period::Day, hard_stop: true });
    let after = before.apply(upsert(2, vec![resource(Body::GatewayToken(changed.clone()))]));
    assert!(!token.revoked.is_cancelled());
    assert_eq!(gateway_token_of(&after).token, changed);
    let after = after.apply(remove(3, ResourceId::GatewayToken(GATEWAY_TOKEN)));
    assert!(token.revoked.is_cancelled() && after.account(ACCOUNT).is_some());
}

#[test]
fn a_deleted_gateway_takes_its_tokens_and_keys_with_it_but_not_the_accounts() {
    let before = demo();
    let token = gateway_token_of(&before);
    let gateway = Arc::clone(before.gateway(ACCOUNT, "demo").unwrap());
    let after = before.apply(remove(2, ResourceId::Gateway(GATEWAY)));
    assert!(token.revoked.is_cancelled());
    assert!(gateway.deleted.is_cancelled());
    let account = after.account(ACCOUNT).unwrap();
    assert!(account.gateway_token(GATEWAY_TOKEN).is_none());
    assert!(!account.api_token(API_TOKEN).unwrap().revoked.is_cancelled());
    assert_eq!(after.resources().count(), 1);
}

#[test]
fn a_slug_that_is_used_again_means_the_new_gateway() {
    let again = GatewayInternalId(Uuid::from_u128(0x99));
    let mut delta = remove(2, ResourceId::Gateway(GATEWAY));
    delta.upserted.push(gateway(again));
    let after = demo().apply(delta);
    let gateway = after.gateway(ACCOUNT, "demo").unwrap();
    assert_eq!(gateway.gateway.internal_id, again);
    assert!(gateway.provider_key("openai", None).is_none());
}

#[test]
fn a_removed_account_leaves_nothing() {
    let before = demo();
    let token = gateway_token_of(&before);
    let after = before.apply(remove(2, ResourceId::Account));
    assert!(token.revoked.is_cancelled());
    assert!(after.account(ACCOUNT).is_none());
}

#[test]
fn a_resync_ends_only_what_is_gone() {
    let before = demo();
    let token = gateway_token_of(&before);
    let api_token = Arc::clone(before.account(ACCOUNT).unwrap().api_token(API_TOKEN).unwrap());
    let after = before.replaced(revision(9), vec![gateway(GATEWAY), gateway_token(5)], vec![]);
    assert!(!token.revoked.is_cancelled());
    assert!(api_token.revoked.is_cancelled());
    assert_eq!(after.resources().count(), 2);
}

#[test]
fn a_refused_resource_keeps_its_last_good_version_through_a_resync() {
    let before = demo();
    let refused = gateway_token(5).key();
    let after = before.replaced(revision(9), vec![gateway(GATEWAY)], vec![refused]);
    assert!(!gateway_token_of(&after).revoked.is_cancelled());
    assert!(after.refused().contains(&refused));
    let healed = after.apply(upsert(10, vec![gateway_token(6)]));
    assert!(healed.refused().is_empty());
}

fn of_installation(body: Body) -> Resource {
    Resource { account: AccountId::INSTALLATION, body }
}

fn operator_key(id: u128, provider: &str, priority: u32) -> Resource {
    of_installation(Body::OperatorKey(OperatorKey {
        id: OperatorKeyId(Uuid::from_u128(id)),
        provider: provider.to_owned(),
        alias: format!("key-{id}"),
        priority,
        cancel: None,
        sealed: vec![1],
    }))
}

fn aliases(snapshot: &Snapshot, provider: &str) -> Vec<String> {
    snapshot.operator_keys(provider).iter().map(|key| key.alias.clone()).collect()
}

#[test]
fn the_operators_keys_are_found_by_provider_in_the_order_in_which_they_are_used() {
    let keys = [operator_key(1, "openai", 5), operator_key(2, "openai", 0), operator_key(3, "groq", 0)];
    let snapshot = demo().apply(upsert(2, keys.to_vec()));
    assert_eq!(aliases(&snapshot, "openai"), ["key-2", "key-1"]);
    assert_eq!(aliases(&snapshot, "groq"), ["key-3"]);
    assert!(snapshot.operator_keys("anthropic").is_empty());

    let removed = vec![keys[1].key()];
    let snapshot =
        snapshot.apply(Delta { revision: revision(3), upserted: vec![], removed, refused: vec![] });
    assert_eq!(aliases(&snapshot, "openai"), ["key-1"]);
    assert_eq!(snapshot.resources().count(), demo().resources().count() + 2);
}

#[test]
fn the_operators_terms_are_known_or_are_not() {
    let terms = Terms { default_markup_ppm: 50_000, calls_a_minute: Some(200) };
    assert!(demo().terms().is_none());
    let snapshot = demo().apply(upsert(2, vec![of_installation(Body::Terms(terms))]));
    assert_eq!(snapshot.terms(), Some(&terms));
    assert_eq!((snapshot.account_count(), snapshot.accounts().count()), (1, 1), "the installation is none");
    let key = ResourceKey { account: AccountId::INSTALLATION, kind: ResourceId::Terms };
    let gone = Delta { revision: revision(3), upserted: vec![], removed: vec![key], refused: vec![] };
    assert!(snapshot.apply(gone).installation().is_none());
}

#[test]
fn an_account_has_its_terms_and_its_price_rules() {
    let terms = AccountTerms { markup_ppm: Some(7), spending_limit: None };
    let rule = |id| {
        let body = serde_json::json!({"provider": "openai", "model": "m", "cost_in": 1});
        let (id, now) = (PriceRuleId(Uuid::from_u128(id)), std::time::UNIX_EPOCH.into());
        PriceRule::of_operator(&body, id, now).unwrap()
    };
    let account = Body::Account { credentials_key: vec![1], contents_key: vec![2], terms };
    let rules = [rule(2), rule(1)].map(|rule| Body::PriceRule(Box::new(rule)));
    let bodies = [account].into_iter().chain(rules);
    let snapshot = demo().apply(upsert(2, bodies.map(resource).collect()));
    let account = snapshot.account(ACCOUNT).unwrap();
    assert_eq!(account.terms(), &terms);
    let rules: Vec<&PriceRule> = account.price_rules().map(Arc::as_ref).collect();
    assert_eq!(rules, [&rule(1), &rule(2)]);
    let snapshot = snapshot.apply(remove(3, ResourceId::PriceRule(PriceRuleId(Uuid::from_u128(1)))));
    assert_eq!(snapshot.account(ACCOUNT).unwrap().price_rules().count(), 1);
}

#[test]
fn a_snapshot_says_whether_it_is_current() {
    assert!(!Snapshot::empty().is_current());
    assert!(demo().is_current());
    assert!(!demo().with_current(false).is_current());
}

fn endpoint(id: u128, host: &str) -> Resource {
    of_installation(Body::Endpoint(Endpoint {
        id: EndpointId(Uuid::from_u128(id)),
        account: ACCOUNT,
        gateway: GATEWAY,
        host: host.parse().unwrap(),
        url: format!("https://{host}"),
    }))
}

fn endpoint_of(snapshot: &Snapshot, host: &str) -> Option<u128> {
    snapshot.endpoint(host).map(|endpoint| endpoint.id.0.as_u128())
}

#[test]
fn a_host_is_found_by_itself_then_by_its_wildcard_then_as_the_default() {
    assert!(!demo().has_endpoints());
    let hosts = [endpoint(1, "a.example.com"), endpoint(2, "*.example.com")];
    let snapshot = demo().apply(upsert(2, hosts.to_vec()));
    assert!(snapshot.has_endpoints());
    assert_eq!(endpoint_of(&snapshot, "a.example.com"), Some(1));
    assert_eq!(endpoint_of(&snapshot, "b.example.com"), Some(2));
    for other in ["example.com", "a.b.example.com", "*.example.com.evil.test", ""] {
        assert_eq!(endpoint_of(&snapshot, other), None, "{other}");
    }
    let snapshot = snapshot.apply(upsert(3, vec![endpoint(3, "*")]));
    assert_eq!(endpoint_of(&snapshot, "a.b.example.com"), Some(3));
    assert_eq!(endpoint_of(&snapshot, "localhost"), Some(3));
    assert_eq!(snapshot.resources().count(), demo().resources().count() + 3);
    let gateway = snapshot.account(ACCOUNT).unwrap().gateway_by_internal_id(GATEWAY);
    assert_eq!(gateway.unwrap().gateway.internal_id, GATEWAY);
}

#[test]
fn a_host_that_changes_hands_is_its_new_owners_alone() {
    let snapshot = demo().apply(upsert(2, vec![endpoint(1, "a.example.com"), endpoint(2, "b.example.com")]));
    let swapped = snapshot.apply(upsert(3, vec![endpoint(1, "b.example.com"), endpoint(2, "a.example.com")]));
    assert_eq!(endpoint_of(&swapped, "a.example.com"), Some(2));
    assert_eq!(endpoint_of(&swapped, "b.example.com"), Some(1));
    let moved = snapshot.apply(upsert(3, vec![endpoint(1, "c.example.com")]));
    assert_eq!(endpoint_of(&moved, "a.example.com"), None);
    let resynced = moved.replaced(revision(4), vec![endpoint(2, "b.example.com")], vec![]);
    assert_eq!((endpoint_of(&resynced, "b.example.com"), resynced.resources().count()), (Some(2), 1));
}

#[test]
fn hosts_outlive_accounts_that_are_forgotten() {
    let snapshot = demo().apply(upsert(2, vec![endpoint(1, "a.example.com")]));
    assert_eq!(endpoint_of(&snapshot.without(&[ACCOUNT]), "a.example.com"), Some(1));
}

fn bound_key(id: u128, provider: &str) -> Resource {
    resource(Body::BoundKey(BoundKey {
        id: BoundKeyId(Uuid::from_u128(id)),
        gateway_token: GATEWAY_TOKEN,
        provider: provider.to_owned(),
        sealed: vec![1],
    }))
}

#[test]
fn the_newest_key_of_a_token_comes_first_and_goes_with_it() {
    let keys = [bound_key(2, "openai"), bound_key(7, "openai"), bound_key(9, "groq")];
    let snapshot = demo().apply(upsert(2, keys.to_vec()));
    let of = |snapshot: &Snapshot, provider| -> Vec<u128> {
        let account = snapshot.account(ACCOUNT).unwrap();
        account.bound_keys(GATEWAY_TOKEN, provider).map(|key| key.id.0.as_u128()).collect()
    };
    assert_eq!(of(&snapshot, "openai"), [7, 2]);
    assert_eq!(of(&snapshot, "groq"), [9]);
    for kind in [ResourceId::GatewayToken(GATEWAY_TOKEN), ResourceId::Gateway(GATEWAY)] {
        assert!(of(&snapshot.apply(remove(3, kind)), "openai").is_empty());
    }
}

fn secret(id: u128, vault: &str, name: &str) -> Resource {
    resource(Body::VaultSecret(VaultSecret {
        id: VaultSecretId(Uuid::from_u128(id)),
        vault: vault.to_owned(),
        name: name.to_owned(),
        sealed: vec![1],
    }))
}

#[test]
fn a_secret_is_found_by_two_names_and_by_one_if_that_is_clear() {
    let secrets = [secret(1, "openai", "key"), secret(2, "groq", "key"), secret(3, "groq", "other")];
    let snapshot = demo().apply(upsert(2, secrets.to_vec()));
    let account = snapshot.account(ACCOUNT).unwrap();
    let id = |secret: Option<&Arc<VaultSecret>>| secret.map(|secret| secret.id.0.as_u128());
    assert_eq!(id(account.secret("groq", "key")), Some(2));
    assert_eq!(id(account.secret("groq", "missing")), None);
    assert_eq!((id(account.lone_secret("key")), id(account.lone_secret("other"))), (None, Some(3)));

    let snapshot = snapshot.apply(upsert(3, vec![secret(4, "default", "key"), secret(3, "groq", "renamed")]));
    let account = snapshot.account(ACCOUNT).unwrap();
    assert_eq!((id(account.lone_secret("key")), id(account.lone_secret("other"))), (Some(4), None));
    let snapshot = snapshot.apply(remove(4, ResourceId::VaultSecret(VaultSecretId(Uuid::from_u128(4)))));
    assert_eq!(id(snapshot.account(ACCOUNT).unwrap().secret("default", "key")), None);
}
