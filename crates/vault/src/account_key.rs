//! Data keys: one per account and purpose, kept sealed under the root ring of that purpose.

use model::AccountId;
use zeroize::Zeroizing;

use crate::VaultError;
use crate::cipher::{Context, KEY_BYTES, Key, random};
use crate::ring::RootRing;

const ID_BYTES: usize = 8;

/// What a data key is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    Credentials,
    Contents,
}

/// A new data key, sealed: its id and its bytes are drawn together and kept together, so that
/// re-wrapping changes neither.
pub(crate) fn new_data_key(
    ring: &RootRing,
    account: AccountId,
    purpose: Purpose,
) -> Result<Vec<u8>, VaultError> {
    let plaintext = Zeroizing::new(random::<{ ID_BYTES + KEY_BYTES }>()?);
    ring.seal(context(account, purpose), plaintext.as_slice())
}

pub(crate) fn open_data_key(
    ring: &RootRing,
    account: AccountId,
    purpose: Purpose,
    sealed: &[u8],
) -> Result<Key, VaultError> {
    let plaintext = ring.open(context(account, purpose), sealed)?;
    let (id, bytes) = plaintext.split_at_checked(ID_BYTES).ok_or(VaultError::Malformed)?;
    let bytes: &[u8; KEY_BYTES] = bytes.try_into().map_err(|_| VaultError::Malformed)?;
    Ok(Key::new(id, bytes))
}

pub(crate) fn rewrap_data_key(
    ring: &RootRing,
    account: AccountId,
    purpose: Purpose,
    sealed: &[u8],
) -> Result<Option<Vec<u8>>, VaultError> {
    ring.rewrapped(context(account, purpose), sealed)
}

fn context(account: AccountId, purpose: Purpose) -> Context<'static> {
    let record = match purpose {
        Purpose::Credentials => "credentials",
        Purpose::Contents => "contents",
    };
    Context { account: Some(account), purpose: "data-key", record }
}
