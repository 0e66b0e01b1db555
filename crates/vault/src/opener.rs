//! The proxies' side: it opens an account's data key once, and with it one credential per attempt.

use model::id::{BoundKeyId, OperatorKeyId, ProviderKeyId, VaultSecretId};
use model::{AccountId, Secret};

use crate::VaultError;
use crate::account_key::{Purpose, open_data_key};
use crate::cipher::{Context, Key};
use crate::ring::RootRing;

/// Opens data keys.
#[derive(Debug, Clone)]
pub struct Opener {
    credentials: RootRing,
}

impl Opener {
    /// An opener with the operator's `credentials` ring.
    pub fn new(credentials: RootRing) -> Self {
        Self { credentials }
    }

    /// Opens the data key of an account's credentials.
    pub fn credentials_key(&self, account: AccountId, sealed: &[u8]) -> Result<CredentialsKey, VaultError> {
        let key = open_data_key(&self.credentials, account, Purpose::Credentials, sealed)?;
        Ok(CredentialsKey { account, key })
    }
}

/// An account's data key for credentials, open in memory.
#[derive(Debug, Clone)]
pub struct CredentialsKey {
    account: AccountId,
    key: Key,
}

impl CredentialsKey {
    /// Opens a provider key that was sealed for this record and this provider.
    pub fn open_provider_key(
        &self,
        id: ProviderKeyId,
        provider: &str,
        sealed: &[u8],
    ) -> Result<Secret, VaultError> {
        let plaintext =
            with_provider_key_context(self.account, id, provider, |context| self.key.open(context, sealed))?;
        text(&plaintext)
    }

    /// Opens a key that was sealed for this record and this provider, and is bound to a gateway token.
    pub fn open_bound_key(
        &self,
        id: BoundKeyId,
        provider: &str,
        sealed: &[u8],
    ) -> Result<Secret, VaultError> {
        let plaintext =
            with_bound_key_context(self.account, id, provider, |context| self.key.open(context, sealed))?;
        text(&plaintext)
    }

    /// Opens a vault's secret that was sealed for this record.
    pub fn open_vault_secret(&self, id: VaultSecretId, sealed: &[u8]) -> Result<Secret, VaultError> {
        let plaintext =
            with_vault_secret_context(self.account, id, |context| self.key.open(context, sealed))?;
        text(&plaintext)
    }

    /// Opens a key of the operator's that was sealed for this record and this provider. Only the
    /// installation's key opens any.
    pub fn open_operator_key(
        &self,
        id: OperatorKeyId,
        provider: &str,
        sealed: &[u8],
    ) -> Result<Secret, VaultError> {
        let plaintext = with_operator_key_context(id, provider, |context| self.key.open(context, sealed))?;
        text(&plaintext)
    }
}

fn text(plaintext: &[u8]) -> Result<Secret, VaultError> {
    std::str::from_utf8(plaintext).map(Secret::new).map_err(|_| VaultError::Malformed)
}

/// The one place that says what a provider key's sealing is bound to.
pub(crate) fn with_provider_key_context<T>(
    account: AccountId,
    id: ProviderKeyId,
    provider: &str,
    then: impl FnOnce(Context<'_>) -> T,
) -> T {
    let purpose = format!("provider-key/{provider}");
    let record = id.to_string();
    then(Context { account: Some(account), purpose: &purpose, record: &record })
}

/// The one place that says what the sealing of a key of one gateway token is bound to.
pub(crate) fn with_bound_key_context<T>(
    account: AccountId,
    id: BoundKeyId,
    provider: &str,
    then: impl FnOnce(Context<'_>) -> T,
) -> T {
    let purpose = format!("bound-key/{provider}");
    let record = id.to_string();
    then(Context { account: Some(account), purpose: &purpose, record: &record })
}

/// The one place that says what the sealing of a vault's secret is bound to. Its names are not part of
/// it, because they can be changed.
pub(crate) fn with_vault_secret_context<T>(
    account: AccountId,
    id: VaultSecretId,
    then: impl FnOnce(Context<'_>) -> T,
) -> T {
    let record = id.to_string();
    then(Context { account: Some(account), purpose: "vault-secret", record: &record })
}

/// The one place that says what the sealing of an operator's key is bound to.
pub(crate) fn with_operator_key_context<T>(
    id: OperatorKeyId,
    provider: &str,
    then: impl FnOnce(Context<'_>) -> T,
) -> T {
    let purpose = format!("operator-key/{provider}");
    let record = id.to_string();
    then(Context { account: Some(AccountId::INSTALLATION), purpose: &purpose, record: &record })
}
