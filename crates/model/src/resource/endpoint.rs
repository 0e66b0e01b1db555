//! Hosts as proxies are told of them.

use uuid::Uuid;

use super::InvalidResource;
use super::wire::internal_id;
use crate::host::Host;
use crate::id::{AccountId, EndpointId, GatewayInternalId};

/// A host that is bound to a gateway. It belongs to an account and travels as the installation's: a
/// proxy that is told of some accounts only must know whose a host is before it can ask for more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The endpoint's id.
    pub id: EndpointId,
    /// Whose it is.
    pub account: AccountId,
    /// The gateway that requests for this host are for.
    pub gateway: GatewayInternalId,
    /// The host; no two endpoints have the same.
    pub host: Host,
    /// The address as its owner wrote it.
    pub url: String,
}

impl Endpoint {
    pub(super) fn to_wire(&self) -> proto::Endpoint {
        let Self { id: _, account, gateway, host, url } = self;
        proto::Endpoint {
            account_id: account.0.as_bytes().to_vec(),
            gateway_internal_id: gateway.0.as_bytes().to_vec(),
            host: host.to_string(),
            url: url.clone(),
        }
    }

    pub(super) fn from_wire(id: EndpointId, wire: proto::Endpoint) -> Result<Self, InvalidResource> {
        let proto::Endpoint { account_id, gateway_internal_id, host, url } = wire;
        let account = Uuid::from_slice(&account_id).map_err(|_| InvalidResource::Field("account_id"))?;
        Ok(Self {
            id,
            account: AccountId(account),
            gateway: internal_id(&gateway_internal_id)?,
            host: host.parse().map_err(|_| InvalidResource::Field("host"))?,
            url,
        })
    }
}
