//! Provider keys of single gateway tokens as proxies are told of them.

use super::InvalidResource;
use crate::id::{BoundKeyId, GatewayTokenId};

/// A provider key that is used with one gateway token alone, before whatever the gateway has. Ids are
/// in the order of creation, and the newest key of a provider is used first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundKey {
    /// The key's id, part of what its sealing is bound to.
    pub id: BoundKeyId,
    /// The token it belongs to.
    pub gateway_token: GatewayTokenId,
    /// The provider's slug.
    pub provider: String,
    /// Sealed under the account's credentials key.
    pub sealed: Vec<u8>,
}

impl BoundKey {
    pub(super) fn to_wire(&self) -> proto::BoundKey {
        let Self { id: _, gateway_token, provider, sealed } = self;
        proto::BoundKey {
            gateway_token_id: gateway_token.to_string(),
            provider: provider.clone(),
            sealed: sealed.clone(),
        }
    }

    pub(super) fn from_wire(id: BoundKeyId, wire: proto::BoundKey) -> Result<Self, InvalidResource> {
        let proto::BoundKey { gateway_token_id, provider, sealed } = wire;
        let gateway_token =
            gateway_token_id.parse().map_err(|_| InvalidResource::Field("gateway_token_id"))?;
        Ok(Self { id, gateway_token, provider, sealed })
    }
}
