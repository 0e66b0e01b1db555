//! Rows of what requests to a host need: endpoints, vaults' secrets, and keys of single gateway tokens.

use model::AccountId;
use model::id::{BoundKeyId, EndpointId, GatewayInternalId, GatewayTokenId, VaultSecretId};
use model::resource::{Body, BoundKey, Endpoint, ResourceId, ResourceKey, VaultSecret};
use sqlx::FromRow;
use uuid::Uuid;

use super::ResourceRow;
use crate::StoreError;

#[derive(FromRow)]
pub(in crate::resources) struct EndpointRow {
    id: Uuid,
    account_id: Uuid,
    gateway_internal_id: Uuid,
    host: String,
    url: String,
}

impl ResourceRow for EndpointRow {
    const BY_IDS: &'static str =
        "select id, account_id, gateway_internal_id, host, url from endpoints where id = any($1)";
    // They travel as the installation's.
    const BY_ACCOUNTS: &'static str = "select id, account_id, gateway_internal_id, host, url from endpoints
         where '00000000-0000-0000-0000-000000000000' = any($1)";
    const PAGE: &'static str = "select id, account_id, gateway_internal_id, host, url from endpoints
         where id > $1 order by id limit $2";

    fn key(&self) -> ResourceKey {
        ResourceKey { account: AccountId::INSTALLATION, kind: ResourceId::Endpoint(EndpointId(self.id)) }
    }

    fn body(self) -> Result<Body, StoreError> {
        let Self { id, account_id, gateway_internal_id, host, url } = self;
        Ok(Body::Endpoint(Endpoint {
            id: EndpointId(id),
            account: AccountId(account_id),
            gateway: GatewayInternalId(gateway_internal_id),
            host: host.parse().map_err(|_| StoreError::Unreadable("host"))?,
            url,
        }))
    }

    fn id(&self) -> Uuid {
        self.id
    }
}

#[derive(FromRow)]
pub(in crate::resources) struct VaultSecretRow {
    id: Uuid,
    account_id: Uuid,
    vault: String,
    name: String,
    sealed: Vec<u8>,
}

impl ResourceRow for VaultSecretRow {
    const BY_IDS: &'static str =
        "select secret.id, secret.account_id, vaults.name as vault, secret.name, secret.sealed
         from vault_secrets secret join vaults on vaults.id = secret.vault_id where secret.id = any($1)";
    const BY_ACCOUNTS: &'static str =
        "select secret.id, secret.account_id, vaults.name as vault, secret.name, secret.sealed
         from vault_secrets secret join vaults on vaults.id = secret.vault_id
         where secret.account_id = any($1)";
    const PAGE: &'static str =
        "select secret.id, secret.account_id, vaults.name as vault, secret.name, secret.sealed
         from vault_secrets secret join vaults on vaults.id = secret.vault_id
         where secret.id > $1 order by secret.id limit $2";

    fn key(&self) -> ResourceKey {
        let kind = ResourceId::VaultSecret(VaultSecretId(self.id));
        ResourceKey { account: AccountId(self.account_id), kind }
    }

    fn body(self) -> Result<Body, StoreError> {
        let Self { id, account_id: _, vault, name, sealed } = self;
        Ok(Body::VaultSecret(VaultSecret { id: VaultSecretId(id), vault, name, sealed }))
    }

    fn id(&self) -> Uuid {
        self.id
    }
}

#[derive(FromRow)]
pub(in crate::resources) struct BoundKeyRow {
    id: Uuid,
    account_id: Uuid,
    gateway_token_id: Uuid,
    provider: String,
    sealed: Vec<u8>,
}

impl ResourceRow for BoundKeyRow {
    const BY_IDS: &'static str =
        "select id, account_id, gateway_token_id, provider, sealed from bound_keys where id = any($1)";
    const BY_ACCOUNTS: &'static str =
        "select id, account_id, gateway_token_id, provider, sealed from bound_keys
         where account_id = any($1)";
    const PAGE: &'static str = "select id, account_id, gateway_token_id, provider, sealed from bound_keys
         where id > $1 order by id limit $2";

    fn key(&self) -> ResourceKey {
        let kind = ResourceId::BoundKey(BoundKeyId(self.id));
        ResourceKey { account: AccountId(self.account_id), kind }
    }

    fn body(self) -> Result<Body, StoreError> {
        let Self { id, account_id: _, gateway_token_id, provider, sealed } = self;
        let gateway_token = GatewayTokenId(gateway_token_id);
        Ok(Body::BoundKey(BoundKey { id: BoundKeyId(id), gateway_token, provider, sealed }))
    }

    fn id(&self) -> Uuid {
        self.id
    }
}
