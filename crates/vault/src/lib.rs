//! Sealing and opening secrets with AES-256-GCM; where ciphertext is kept is somebody else's affair.
//!
//! Two levels of keys. The operator's *root key rings* ([`RootRing`]), `credentials` and `contents`,
//! seal one *data key* per account and purpose ([`SealedKeys`]); the data key of `credentials` seals
//! the account's provider keys. Who throws an account's data keys away has made all they sealed
//! unreadable, whatever copies remain.
//!
//! - [`Sealer`], for the control plane, makes data keys, seals provider keys and re-wraps data keys.
//!   It has no function that returns a credential.
//! - [`Opener`], for proxies, opens data keys and with them provider keys.
//! - [`KeyRings`] reads both rings from the environment and makes of them what each plane needs.
//! - [`ContentsBox`], for both, seals and opens what the installation itself keeps, and opens the data
//!   key of an account's contents.
//!
//! # What sealed bytes look like
//!
//! ```text
//! 1 byte    version, 1
//! 1 byte    length n of the key's id, 1 to 32
//! n bytes   the key's id: a root key's name, or the 8 random bytes of a data key
//! 12 bytes  nonce, random
//! rest      ciphertext, then the tag of 16 bytes
//! ```
//!
//! The associated data is the sealed bytes' own header (version and key id) and then each part of
//! the [`Context`] with its length before it, so that no two contexts look alike. Nonces are
//! random, which is sound for 2³² sealings a key: a root key seals two small keys an account, a
//! data key one account's provider keys.

mod account_key;
mod cipher;
mod contents;
mod key_rings;
mod opener;
mod ring;
mod sealer;

pub use cipher::Context;
pub use contents::{ContentsBox, ContentsKey};
pub use key_rings::{InvalidRings, KeyRings};
pub use model::account::SealedKeys;
pub use opener::{CredentialsKey, Opener};
pub use ring::{InvalidRing, RootRing};
pub use sealer::Sealer;

/// Why something was not sealed or opened. It never says what was inside.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    NoRandomness,
    /// These bytes were never sealed by us, or were cut.
    #[error("the sealed bytes are malformed")]
    Malformed,
    /// A later release sealed this.
    #[error("the sealed bytes have version {0}, which this release does not know")]
    UnknownVersion(u8),
    /// The key that sealed this is not in the ring.
    #[error("sealed with the key {0:?}, which is not in the ring")]
    UnknownKey(String),
    /// A changed byte, or a different account, record or purpose than it was sealed for.
    #[error("the sealed bytes were changed, or belong to another record")]
    NotAuthentic,
}
