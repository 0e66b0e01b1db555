//! An account's secrets as its traffic policies find them: by the names of a vault and a secret, or by
//! the secret's alone.

use std::collections::HashMap;
use std::sync::Arc;

use model::id::VaultSecretId;
use model::resource::VaultSecret;
use model::vault_secret::DEFAULT_VAULT;

/// The sealed secrets of an account.
#[derive(Debug, Clone, Default)]
pub(super) struct Secrets {
    by_id: HashMap<VaultSecretId, Arc<VaultSecret>>,
    /// By the name of the secret and then by that of its vault. Shared by the account's states between
    /// which no secret changed.
    by_name: Arc<HashMap<String, HashMap<String, Arc<VaultSecret>>>>,
}

impl Secrets {
    /// The secret of this name in the vault of that one.
    pub(super) fn named(&self, vault: &str, name: &str) -> Option<&Arc<VaultSecret>> {
        self.by_name.get(name)?.get(vault)
    }

    /// The secret of this name in the vault `default`, or else the only one of this name.
    pub(super) fn lone(&self, name: &str) -> Option<&Arc<VaultSecret>> {
        let of_name = self.by_name.get(name)?;
        of_name.get(DEFAULT_VAULT).or_else(|| match of_name.len() {
            1 => of_name.values().next(),
            _ => None,
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<VaultSecret>> {
        self.by_id.values()
    }

    pub(super) fn remove(&mut self, id: VaultSecretId) {
        self.by_id.remove(&id);
    }

    pub(super) fn upsert(&mut self, secret: VaultSecret) {
        self.by_id.insert(secret.id, Arc::new(secret));
    }

    pub(super) fn index(&mut self) {
        let mut by_name: HashMap<String, HashMap<String, Arc<VaultSecret>>> = HashMap::new();
        let mut secrets: Vec<&Arc<VaultSecret>> = self.by_id.values().collect();
        // Ids are in order of creation: should two secrets bear the same names, the newer one has them.
        secrets.sort_unstable_by_key(|secret| secret.id);
        for secret in secrets {
            by_name.entry(secret.name.clone()).or_default().insert(secret.vault.clone(), Arc::clone(secret));
        }
        self.by_name = Arc::new(by_name);
    }
}
