//! What changes in a snapshot, and what must not.

use model::gateway::GatewaySettings;
use model::id::{ApiTokenId, GatewayInternalId, GatewayTokenId, ProviderKeyId};
use model::resource::{ApiToken, Gateway, GatewayToken, ProviderKey};
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

#[test]
fn a_snapshot_says_whether_it_is_current() {
    assert!(!Snapshot::empty().is_current());
    assert!(demo().is_current());
    assert!(!demo().with_current(false).is_current());
}
