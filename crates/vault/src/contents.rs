//! What the installation itself keeps sealed, and both planes may open: the key that signs
//! sessions, the certificate authority's key, a proxy's snapshot on disk.

use model::AccountId;
use zeroize::Zeroizing;

use crate::VaultError;
use crate::account_key::{Purpose, open_data_key};
use crate::cipher::{Context, Key};
use crate::ring::RootRing;

/// Seals and opens under the `contents` root ring.
#[derive(Debug, Clone)]
pub struct ContentsBox {
    contents: RootRing,
}

impl ContentsBox {
    /// A box with the operator's `contents` ring.
    pub fn new(contents: RootRing) -> Self {
        Self { contents }
    }

    /// Seals for exactly this context.
    pub fn seal(&self, context: Context<'_>, plaintext: &[u8]) -> Result<Vec<u8>, VaultError> {
        self.contents.seal(context, plaintext)
    }

    /// Opens what was sealed for exactly this context.
    pub fn open(&self, context: Context<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        self.contents.open(context, sealed)
    }

    /// The same under the ring's first key; nothing when it is there already.
    pub fn rewrapped(&self, context: Context<'_>, sealed: &[u8]) -> Result<Option<Vec<u8>>, VaultError> {
        self.contents.rewrapped(context, sealed)
    }

    /// Opens the data key of an account's contents.
    pub fn contents_key(&self, account: AccountId, sealed: &[u8]) -> Result<ContentsKey, VaultError> {
        let key = open_data_key(&self.contents, account, Purpose::Contents, sealed)?;
        Ok(ContentsKey { account, key })
    }
}

/// An account's data key for contents, open in memory. What it sealed goes with the account.
#[derive(Debug, Clone)]
pub struct ContentsKey {
    account: AccountId,
    key: Key,
}

impl ContentsKey {
    /// Seals for exactly this purpose and record of the account.
    pub fn seal(&self, purpose: &str, record: &str, plaintext: &[u8]) -> Result<Vec<u8>, VaultError> {
        self.key.seal(Context { account: Some(self.account), purpose, record }, plaintext)
    }

    /// Opens what was sealed for exactly this purpose and record of the account.
    pub fn open(&self, purpose: &str, record: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        self.key.open(Context { account: Some(self.account), purpose, record }, sealed)
    }
}
