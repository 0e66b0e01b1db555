//! An account's data keys.

use std::sync::OnceLock;

use model::AccountId;
use vault::{CredentialsKey, Opener, VaultError};

/// An account's data keys, each sealed under the root ring of its name.
#[derive(Debug)]
pub struct DataKeys {
    /// Opens provider keys.
    pub credentials: Vec<u8>,
    /// Opens bodies, caches and snapshots.
    pub contents: Vec<u8>,
    open: OnceLock<CredentialsKey>,
}

impl DataKeys {
    pub(super) fn new(credentials: Vec<u8>, contents: Vec<u8>) -> Self {
        Self { credentials, contents, open: OnceLock::new() }
    }

    /// What opens the account's credentials: opened for the first that asks, and gone with this snapshot's
    /// account.
    pub fn credentials_key(
        &self,
        opener: &Opener,
        account: AccountId,
    ) -> Result<&CredentialsKey, VaultError> {
        if let Some(open) = self.open.get() {
            return Ok(open);
        }
        let open = opener.credentials_key(account, &self.credentials)?;
        Ok(self.open.get_or_init(|| open))
    }
}
