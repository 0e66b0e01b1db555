//! Secrets as proxies are told of them.

use crate::id::VaultSecretId;

/// A secret in a vault, sealed. Traffic policies know it by the two names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultSecret {
    /// The secret's id, part of what its sealing is bound to.
    pub id: VaultSecretId,
    /// The name of its vault.
    pub vault: String,
    /// Its own name.
    pub name: String,
    /// Sealed under the account's credentials key.
    pub sealed: Vec<u8>,
}

impl VaultSecret {
    pub(super) fn to_wire(&self) -> proto::VaultSecret {
        let Self { id: _, vault, name, sealed } = self;
        proto::VaultSecret { vault: vault.clone(), name: name.clone(), sealed: sealed.clone() }
    }

    pub(super) fn from_wire(id: VaultSecretId, wire: proto::VaultSecret) -> Self {
        let proto::VaultSecret { vault, name, sealed } = wire;
        Self { id, vault, name, sealed }
    }
}
