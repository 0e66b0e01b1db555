//! Sets of public keys, as identity providers publish them.

use std::sync::Arc;

use jsonwebtoken::jwk::{Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, Header};

use super::seen::{self, Seen};

/// The most keys that a set may have.
const MOST_KEYS: usize = 200;

/// The keys that stood at an address: those of them that can check signatures. Parsed once, used for many
/// requests.
#[derive(Clone, Default)]
pub struct KeySet {
    keys: Vec<Key>,
    seen: Arc<Seen>,
}

#[derive(Clone)]
struct Key {
    id: Option<String>,
    algorithm: Option<Algorithm>,
    decoding: DecodingKey,
}

/// Its keys; which tokens it has seen is nobody's business.
impl std::fmt::Debug for KeySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(&self.keys).finish()
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({:?}, {:?})", self.id, self.algorithm)
    }
}

/// A document that is no key set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not a JSON Web Key Set")]
pub struct NoKeySet;

impl KeySet {
    /// What a set takes of memory at most, beside its keys.
    pub const OVERHEAD: usize = 1024 + seen::BYTES;

    /// Reads a key set. Keys of kinds that we do not know, and keys for encryption, are passed over.
    pub fn parse(document: &[u8]) -> Result<Self, NoKeySet> {
        #[derive(serde::Deserialize)]
        struct Document {
            keys: Vec<serde_json::Value>,
        }
        let Document { keys } = serde_json::from_slice(document).map_err(|_| NoKeySet)?;
        if keys.len() > MOST_KEYS {
            return Err(NoKeySet);
        }
        let keys = keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
        Ok(Self { keys: keys.filter_map(|key| Key::of(&key)).collect(), seen: Arc::default() })
    }

    /// The tokens that were signed with one of these keys.
    pub(super) fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Whether there is a key with this id.
    pub(super) fn has(&self, id: &str) -> bool {
        self.keys.iter().any(|key| key.id.as_deref() == Some(id))
    }

    /// The keys that a token with this header may have been signed with.
    pub(super) fn candidates<'k>(&'k self, header: &'k Header) -> impl Iterator<Item = &'k DecodingKey> {
        self.keys
            .iter()
            .filter(|key| match &header.kid {
                Some(id) => key.id.as_ref() == Some(id),
                None => true,
            })
            .filter(|key| key.algorithm.is_none_or(|algorithm| algorithm == header.alg))
            .filter(|key| key.decoding.family() == header.alg.family())
            .map(|key| &key.decoding)
    }
}

impl Key {
    fn of(key: &Jwk) -> Option<Self> {
        let common = &key.common;
        if common.public_key_use.as_ref().is_some_and(|purpose| *purpose != PublicKeyUse::Signature) {
            return None;
        }
        if common
            .key_operations
            .as_ref()
            .is_some_and(|operations| !operations.contains(&KeyOperations::Verify))
        {
            return None;
        }
        let algorithm = match common.key_algorithm {
            Some(algorithm) => Some(algorithm.to_string().parse().ok()?),
            None => None,
        };
        // A shared secret in a public document is nobody's proof.
        let decoding = DecodingKey::from_jwk(key).ok()?;
        (decoding.family() != AlgorithmFamily::Hmac).then(|| Self {
            id: common.key_id.clone(),
            algorithm,
            decoding,
        })
    }
}
