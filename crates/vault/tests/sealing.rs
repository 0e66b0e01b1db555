//! What sealing promises, tried from outside.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop where it fails")]

use model::id::{BoundKeyId, OperatorKeyId, ProviderKeyId, VaultSecretId};
use model::{AccountId, Secret};
use proptest::prelude::*;
use uuid::Uuid;
use vault::{ContentsBox, Context, Opener, RootRing, SealedKeys, Sealer, VaultError};

const PROVIDER: &str = "openai";

fn ring(names: &[&str]) -> RootRing {
    let keys: Vec<String> = names.iter().map(|name| key(name)).collect();
    RootRing::parse("KEYS", &keys.join(",")).unwrap()
}

/// The same name is the same key, so that rings of the tests share keys.
fn key(name: &str) -> String {
    use base64::Engine as _;
    let mut bytes = [0x5a; 32];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    format!("{name}:{}", base64::prelude::BASE64_STANDARD.encode(bytes))
}

fn account() -> AccountId {
    AccountId(Uuid::from_u128(1))
}

fn key_id() -> ProviderKeyId {
    ProviderKeyId(Uuid::from_u128(2))
}

fn sealed_secret(text: &str) -> (SealedKeys, Vec<u8>) {
    let sealer = Sealer::new(ring(&["old"]), ring(&["old-contents"]));
    let keys = sealer.new_account_keys(account()).unwrap();
    let sealed = sealer.seal_provider_key(&keys, account(), key_id(), PROVIDER, &Secret::new(text)).unwrap();
    (keys, sealed)
}

#[test]
fn a_proxy_opens_what_the_control_plane_sealed() {
    let (keys, sealed) = sealed_secret("sk-canary");
    let key = Opener::new(ring(&["old"])).credentials_key(account(), &keys.credentials).unwrap();
    assert_eq!(key.open_provider_key(key_id(), PROVIDER, &sealed).unwrap().expose(), "sk-canary");
}

#[test]
fn secrets_and_keys_of_tokens_open_for_their_own_record_alone() {
    let sealer = Sealer::new(ring(&["old"]), ring(&["old-contents"]));
    let keys = sealer.new_account_keys(account()).unwrap();
    let (id, canary) = (Uuid::from_u128(2), Secret::new("sk-canary"));
    let secret = sealer.seal_vault_secret(&keys, account(), VaultSecretId(id), &canary).unwrap();
    let bound = sealer.seal_bound_key(&keys, account(), BoundKeyId(id), PROVIDER, &canary).unwrap();
    let key = Opener::new(ring(&["old"])).credentials_key(account(), &keys.credentials).unwrap();
    assert_eq!(key.open_vault_secret(VaultSecretId(id), &secret).unwrap().expose(), "sk-canary");
    assert_eq!(key.open_bound_key(BoundKeyId(id), PROVIDER, &bound).unwrap().expose(), "sk-canary");

    let other = Uuid::from_u128(3);
    assert!(key.open_vault_secret(VaultSecretId(other), &secret).is_err());
    assert!(key.open_bound_key(BoundKeyId(other), PROVIDER, &bound).is_err());
    assert!(key.open_bound_key(BoundKeyId(id), "anthropic", &bound).is_err());
    assert!(key.open_vault_secret(VaultSecretId(id), &bound).is_err());
    assert!(key.open_provider_key(ProviderKeyId(id), PROVIDER, &bound).is_err());
}

#[test]
fn an_operators_key_opens_for_its_record_and_provider_and_with_the_installations_key_alone() {
    let sealer = Sealer::new(ring(&["old"]), ring(&["old-contents"]));
    let installation = sealer.new_account_keys(AccountId::INSTALLATION).unwrap();
    let id = OperatorKeyId(Uuid::from_u128(2));
    let sealed = sealer.seal_operator_key(&installation, id, PROVIDER, &Secret::new("sk-canary")).unwrap();
    let opener = Opener::new(ring(&["old"]));
    let key = opener.credentials_key(AccountId::INSTALLATION, &installation.credentials).unwrap();
    assert_eq!(key.open_operator_key(id, PROVIDER, &sealed).unwrap().expose(), "sk-canary");

    let other = OperatorKeyId(Uuid::from_u128(3));
    assert!(key.open_operator_key(other, PROVIDER, &sealed).is_err());
    assert!(key.open_operator_key(id, "anthropic", &sealed).is_err());
    assert!(key.open_provider_key(key_id(), PROVIDER, &sealed).is_err());
    let tenant = sealer.new_account_keys(account()).unwrap();
    let tenant = opener.credentials_key(account(), &tenant.credentials).unwrap();
    assert!(tenant.open_operator_key(id, PROVIDER, &sealed).is_err());
}

#[test]
fn rotation_serves_before_and_after_and_without_the_old_key() {
    let (keys, sealed) = sealed_secret("sk-canary");
    let opens = |ring: RootRing, keys: &SealedKeys| {
        let key = Opener::new(ring).credentials_key(account(), &keys.credentials)?;
        key.open_provider_key(key_id(), PROVIDER, &sealed).map(|secret| secret.expose() == "sk-canary")
    };
    let rotating = Sealer::new(ring(&["new", "old"]), ring(&["new-contents", "old-contents"]));
    let rewrapped = rotating.rewrapped(account(), &keys).unwrap().unwrap();

    assert_eq!(opens(ring(&["new", "old"]), &keys), Ok(true));
    assert_eq!(opens(ring(&["new", "old"]), &rewrapped), Ok(true));
    assert_eq!(opens(ring(&["new"]), &rewrapped), Ok(true));
    assert_eq!(opens(ring(&["new"]), &keys), Err(VaultError::UnknownKey("old".to_owned())));
    assert_eq!(rotating.rewrapped(account(), &rewrapped), Ok(None), "rotation is safe to repeat");
}

#[test]
fn without_its_data_key_nothing_of_an_account_opens() {
    let (deleted, sealed) = sealed_secret("sk-canary");
    drop(deleted);
    let sealer = Sealer::new(ring(&["old"]), ring(&["old-contents"]));
    let recreated = sealer.new_account_keys(account()).unwrap();
    let key = Opener::new(ring(&["old"])).credentials_key(account(), &recreated.credentials).unwrap();
    let opened = key.open_provider_key(key_id(), PROVIDER, &sealed);
    assert!(matches!(opened, Err(VaultError::UnknownKey(_))));
}

#[test]
fn what_an_account_keeps_opens_for_its_purpose_and_record_and_through_a_rotation() {
    let (keys, _) = sealed_secret("sk-canary");
    let key =
        |names: &[&str], sealed: &[u8]| ContentsBox::new(ring(names)).contents_key(account(), sealed).ok();
    let sealed = key(&["old-contents"], &keys.contents).unwrap().seal("hook", "1", b"whsec").unwrap();
    let rotating = Sealer::new(ring(&["new", "old"]), ring(&["new-contents", "old-contents"]));
    let rewrapped = rotating.rewrapped(account(), &keys).unwrap().unwrap();
    assert!(key(&["new-contents"], &keys.contents).is_none());
    let opened = key(&["new-contents"], &rewrapped.contents).unwrap();
    assert_eq!(opened.open("hook", "1", &sealed).unwrap().as_slice(), b"whsec");
    assert_eq!(opened.open("hook", "2", &sealed), Err(VaultError::NotAuthentic));
    assert_eq!(opened.open("other", "1", &sealed), Err(VaultError::NotAuthentic));
}

#[test]
fn nothing_that_holds_a_key_prints_it() {
    let (keys, _) = sealed_secret("sk-canary");
    let opener = Opener::new(ring(&["old"]));
    let key = opener.credentials_key(account(), &keys.credentials).unwrap();
    let sealer = Sealer::new(ring(&["old"]), ring(&["old-contents"]));
    let printed = format!("{keys:?} {opener:?} {key:?} {sealer:?} {:?}", ContentsBox::new(ring(&["old"])));
    for forbidden in ["Wlpa", "5a5a", "90, 90", "old"] {
        assert!(!printed.contains(forbidden), "{printed}");
    }
}

proptest! {
    #[test]
    fn any_flipped_bit_fails_to_open(text in "\\PC{0,64}", at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let (keys, mut sealed) = sealed_secret(&text);
        let key = Opener::new(ring(&["old"])).credentials_key(account(), &keys.credentials).unwrap();
        let at = at.index(sealed.len());
        sealed[at] ^= 1 << bit;
        prop_assert!(key.open_provider_key(key_id(), PROVIDER, &sealed).is_err());
    }

    #[test]
    fn any_cut_fails_to_open(text in "\\PC{0,64}", at in any::<prop::sample::Index>()) {
        let (keys, sealed) = sealed_secret(&text);
        let key = Opener::new(ring(&["old"])).credentials_key(account(), &keys.credentials).unwrap();
        let cut = &sealed[..at.index(sealed.len())];
        prop_assert!(key.open_provider_key(key_id(), PROVIDER, cut).is_err());
    }

    #[test]
    fn a_flipped_bit_of_a_data_key_fails_to_open(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let (mut keys, _) = sealed_secret("sk-canary");
        let at = at.index(keys.credentials.len());
        keys.credentials[at] ^= 1 << bit;
        prop_assert!(Opener::new(ring(&["old"])).credentials_key(account(), &keys.credentials).is_err());
    }

    #[test]
    fn another_account_record_or_provider_fails_to_open(other in 3u128.., provider in "[a-z-]{1,20}") {
        prop_assume!(provider != PROVIDER);
        let (keys, sealed) = sealed_secret("sk-canary");
        let opener = Opener::new(ring(&["old"]));
        let stranger = AccountId(Uuid::from_u128(other));
        let refused = Err(VaultError::NotAuthentic);
        prop_assert_eq!(opener.credentials_key(stranger, &keys.credentials).map(|_| ()), refused.clone());
        let key = opener.credentials_key(account(), &keys.credentials).unwrap();
        let opened = |id, provider: &str| key.open_provider_key(id, provider, &sealed).map(|_| ());
        prop_assert_eq!(opened(ProviderKeyId(Uuid::from_u128(other)), PROVIDER), refused.clone());
        prop_assert_eq!(opened(key_id(), &provider), refused);
        prop_assert_eq!(opened(key_id(), PROVIDER), Ok(()));
    }

    #[test]
    fn contexts_that_differ_never_open_each_other(
        sealed_for in (any::<Option<u128>>(), "[a-c]{0,3}", "[a-c]{0,3}"),
        opened_for in (any::<Option<u128>>(), "[a-c]{0,3}", "[a-c]{0,3}"),
    ) {
        let contents = ContentsBox::new(ring(&["old"]));
        fn context(of: &(Option<u128>, String, String)) -> Context<'_> {
            let account = of.0.map(|id| AccountId(Uuid::from_u128(id)));
            Context { account, purpose: &of.1, record: &of.2 }
        }
        let sealed = contents.seal(context(&sealed_for), b"canary").unwrap();
        let opened = contents.open(context(&opened_for), &sealed);
        prop_assert_eq!(opened.is_ok(), sealed_for == opened_for);
    }
}
