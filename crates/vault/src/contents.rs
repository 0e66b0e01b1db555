//! What the installation itself keeps sealed, and both planes may open: the key that signs
//! sessions, the certificate authority's key, a proxy's snapshot on disk.

use zeroize::Zeroizing;

use crate::VaultError;
use crate::cipher::Context;
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
}
