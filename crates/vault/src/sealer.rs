//! The control plane's side: it seals, and nothing in it returns what was sealed.

use model::account::SealedKeys;
use model::id::{BoundKeyId, OperatorKeyId, ProviderKeyId, VaultSecretId};
use model::{AccountId, Secret};

use crate::VaultError;
use crate::account_key::{Purpose, new_data_key, open_data_key, rewrap_data_key};
use crate::opener::{
    with_bound_key_context, with_operator_key_context, with_provider_key_context, with_vault_secret_context,
};
use crate::ring::RootRing;

/// Makes data keys, seals provider keys with them, and re-wraps them to the rings' first keys.
///
/// There is no way from here to a credential:
///
/// ```compile_fail
/// fn open(sealer: &vault::Sealer, account: model::AccountId, sealed: &[u8]) {
///     let _ = sealer.credentials_key(account, sealed);
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Sealer {
    credentials: RootRing,
    contents: RootRing,
}

impl Sealer {
    /// A sealer with both of the operator's rings.
    pub fn new(credentials: RootRing, contents: RootRing) -> Self {
        Self { credentials, contents }
    }

    /// The data keys of an account that is being created.
    pub fn new_account_keys(&self, account: AccountId) -> Result<SealedKeys, VaultError> {
        Ok(SealedKeys {
            credentials: new_data_key(&self.credentials, account, Purpose::Credentials)?,
            contents: new_data_key(&self.contents, account, Purpose::Contents)?,
        })
    }

    /// Seals a provider key under its account's data key, for this record and this provider alone:
    /// a row that is pointed at another provider no longer opens, so its key cannot be sent there.
    pub fn seal_provider_key(
        &self,
        keys: &SealedKeys,
        account: AccountId,
        id: ProviderKeyId,
        provider: &str,
        secret: &Secret,
    ) -> Result<Vec<u8>, VaultError> {
        let key = open_data_key(&self.credentials, account, Purpose::Credentials, &keys.credentials)?;
        with_provider_key_context(account, id, provider, |context| {
            key.seal(context, secret.expose().as_bytes())
        })
    }

    /// Seals a provider key that is bound to a gateway token, likewise.
    pub fn seal_bound_key(
        &self,
        keys: &SealedKeys,
        account: AccountId,
        id: BoundKeyId,
        provider: &str,
        secret: &Secret,
    ) -> Result<Vec<u8>, VaultError> {
        let key = open_data_key(&self.credentials, account, Purpose::Credentials, &keys.credentials)?;
        with_bound_key_context(account, id, provider, |context| key.seal(context, secret.expose().as_bytes()))
    }

    /// Seals a vault's secret under its account's data key, for this record alone.
    pub fn seal_vault_secret(
        &self,
        keys: &SealedKeys,
        account: AccountId,
        id: VaultSecretId,
        secret: &Secret,
    ) -> Result<Vec<u8>, VaultError> {
        let key = open_data_key(&self.credentials, account, Purpose::Credentials, &keys.credentials)?;
        with_vault_secret_context(account, id, |context| key.seal(context, secret.expose().as_bytes()))
    }

    /// Seals a key of the operator's under the installation's data key, likewise for this record and this
    /// provider alone.
    pub fn seal_operator_key(
        &self,
        keys: &SealedKeys,
        id: OperatorKeyId,
        provider: &str,
        secret: &Secret,
    ) -> Result<Vec<u8>, VaultError> {
        let installation = AccountId::INSTALLATION;
        let key = open_data_key(&self.credentials, installation, Purpose::Credentials, &keys.credentials)?;
        with_operator_key_context(id, provider, |context| key.seal(context, secret.expose().as_bytes()))
    }

    /// The same data keys under the rings' first keys; nothing when they are there already.
    pub fn rewrapped(&self, account: AccountId, keys: &SealedKeys) -> Result<Option<SealedKeys>, VaultError> {
        let SealedKeys { credentials, contents } = keys;
        let new_credentials = rewrap_data_key(&self.credentials, account, Purpose::Credentials, credentials)?;
        let new_contents = rewrap_data_key(&self.contents, account, Purpose::Contents, contents)?;
        Ok((new_credentials.is_some() || new_contents.is_some()).then(|| SealedKeys {
            credentials: new_credentials.unwrap_or_else(|| credentials.clone()),
            contents: new_contents.unwrap_or_else(|| contents.clone()),
        }))
    }
}
