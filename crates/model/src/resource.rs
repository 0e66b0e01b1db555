//! What a proxy is told: one resource at a time, each whole, each refused alone.

use uuid::Uuid;

use crate::gateway::{ErrorShape, GatewaySettings, StoredKeys};
use crate::id::{AccountId, ApiTokenId, GatewayId, GatewayInternalId, GatewayTokenId, ProviderKeyId};
use crate::token::TokenDigest;

/// The settings that this release's proxy obeys. A resource that needs another name here is
/// refused by the proxy rather than served with a protection missing.
pub const OBEYED: &[&str] = &["authentication", "byok_only", "error_shape", "stored_keys", "expiry"];

/// Which resource is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceKey {
    /// Whose it is.
    pub account: AccountId,
    /// What it is.
    pub kind: ResourceId,
}

/// The kinds of resource, each with its own id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ResourceId {
    /// The account itself.
    Account,
    /// A gateway.
    Gateway(GatewayInternalId),
    /// A token for one gateway.
    GatewayToken(GatewayTokenId),
    /// A management token that may run requests.
    ApiToken(ApiTokenId),
    /// A stored provider key.
    ProviderKey(ProviderKeyId),
}

/// A resource with its content.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// Whose it is.
    pub account: AccountId,
    /// What it says.
    pub body: Body,
}

/// What a resource says.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// The account's sealed data keys.
    Account {
        /// Sealed under the `credentials` ring.
        credentials_key: Vec<u8>,
        /// Sealed under the `contents` ring.
        contents_key: Vec<u8>,
    },
    /// A gateway with the settings that proxies obey.
    Gateway(Gateway),
    /// A gateway's own token.
    GatewayToken(GatewayToken),
    /// A management token with the permission to run requests.
    ApiToken(ApiToken),
    /// A stored key, sealed.
    ProviderKey(ProviderKey),
}

/// The part of a gateway that proxies obey.
#[derive(Debug, Clone, PartialEq)]
pub struct Gateway {
    /// The gateway for good.
    pub internal_id: GatewayInternalId,
    /// What callers call it.
    pub id: GatewayId,
    /// Whether callers must present a token.
    pub authentication: bool,
    /// Whether credits may never be spent here.
    pub byok_only: bool,
    /// Whether requests are shown in the log.
    pub collect_logs: bool,
    /// In whose shape our own errors are told.
    pub error_shape: ErrorShape,
    /// Who may use stored keys.
    pub stored_keys: StoredKeys,
}

impl Gateway {
    /// What a proxy is told of a gateway's settings.
    pub fn of(internal_id: GatewayInternalId, id: GatewayId, settings: &GatewaySettings) -> Self {
        Self {
            internal_id,
            id,
            authentication: settings.authentication,
            byok_only: settings.byok_only,
            collect_logs: settings.collect_logs,
            error_shape: settings.error_shape,
            stored_keys: settings.stored_keys,
        }
    }
}

/// A gateway's own token.
#[derive(Debug, Clone, PartialEq)]
pub struct GatewayToken {
    /// The token's id, which is inside the token.
    pub id: GatewayTokenId,
    /// The gateway it works for.
    pub gateway: GatewayInternalId,
    /// What it must hash to.
    pub digest: TokenDigest,
    /// Milliseconds since 1970.
    pub expires_at_ms: Option<i64>,
}

/// A management token with the permission to run requests.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiToken {
    /// The token's id, which is inside the token.
    pub id: ApiTokenId,
    /// What it must hash to.
    pub digest: TokenDigest,
    /// Milliseconds since 1970.
    pub not_before_ms: Option<i64>,
    /// Milliseconds since 1970.
    pub expires_at_ms: Option<i64>,
}

/// A stored key, sealed.
#[derive(Debug, Clone, PartialEq)]
pub struct ProviderKey {
    /// The key's id, part of what its sealing is bound to.
    pub id: ProviderKeyId,
    /// The gateway it belongs to.
    pub gateway: GatewayInternalId,
    /// The provider's slug.
    pub provider: String,
    /// What requests call it.
    pub alias: String,
    /// Whether it is used when a request names no alias.
    pub is_default: bool,
    /// Sealed under the account's credentials key.
    pub sealed: Vec<u8>,
}

/// Why a resource from the wire is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidResource {
    /// A field is missing or not what it should be.
    #[error("the resource has no valid `{0}`")]
    Field(&'static str),
    /// It depends on a setting that this release does not know.
    #[error("the resource needs the setting `{0}`, which this release does not obey")]
    Requires(String),
}

impl Resource {
    /// Which resource this is.
    pub fn key(&self) -> ResourceKey {
        let kind = match &self.body {
            Body::Account { .. } => ResourceId::Account,
            Body::Gateway(gateway) => ResourceId::Gateway(gateway.internal_id),
            Body::GatewayToken(token) => ResourceId::GatewayToken(token.id),
            Body::ApiToken(token) => ResourceId::ApiToken(token.id),
            Body::ProviderKey(key) => ResourceId::ProviderKey(key.id),
        };
        ResourceKey { account: self.account, kind }
    }

    /// The settings without which a proxy would serve this resource with less protection than was
    /// asked for. Only settings that differ from "as before" count.
    fn requires(&self) -> Vec<&'static str> {
        match &self.body {
            Body::Account { .. } | Body::ProviderKey(_) => Vec::new(),
            Body::Gateway(gateway) => [
                ("authentication", gateway.authentication),
                ("byok_only", gateway.byok_only),
                ("error_shape", gateway.error_shape != ErrorShape::ByCaller),
                ("stored_keys", gateway.stored_keys != StoredKeys::Authenticated),
            ]
            .into_iter()
            .filter_map(|(name, used)| used.then_some(name))
            .collect(),
            Body::GatewayToken(token) => token.expires_at_ms.map(|_| "expiry").into_iter().collect(),
            Body::ApiToken(token) => {
                token.expires_at_ms.or(token.not_before_ms).map(|_| "expiry").into_iter().collect()
            }
        }
    }

    /// The wire form.
    pub fn to_wire(&self) -> proto::Resource {
        use proto::resource::Body as Wire;
        let body = match &self.body {
            Body::Account { credentials_key, contents_key } => Wire::Account(proto::Account {
                credentials_key: credentials_key.clone(),
                contents_key: contents_key.clone(),
            }),
            Body::Gateway(Gateway {
                internal_id,
                id,
                authentication,
                byok_only,
                collect_logs,
                error_shape,
                stored_keys,
            }) => Wire::Gateway(proto::Gateway {
                internal_id: internal_id.0.as_bytes().to_vec(),
                slug: id.to_string(),
                authentication: *authentication,
                byok_only: *byok_only,
                collect_logs: *collect_logs,
                error_shape: match error_shape {
                    ErrorShape::ByCaller => proto::ErrorShape::ByCaller,
                    ErrorShape::Gateway => proto::ErrorShape::Gateway,
                    ErrorShape::Provider => proto::ErrorShape::Provider,
                }
                .into(),
                stored_keys: match stored_keys {
                    StoredKeys::Authenticated => proto::StoredKeys::Authenticated,
                    StoredKeys::Open => proto::StoredKeys::Open,
                }
                .into(),
            }),
            Body::GatewayToken(GatewayToken { id: _, gateway, digest, expires_at_ms }) => {
                Wire::GatewayToken(proto::GatewayToken {
                    digest: digest.0.to_vec(),
                    gateway_internal_id: gateway.0.as_bytes().to_vec(),
                    expires_at_ms: expires_at_ms.unwrap_or(0),
                })
            }
            Body::ApiToken(ApiToken { id: _, digest, not_before_ms, expires_at_ms }) => {
                Wire::ApiToken(proto::ApiToken {
                    digest: digest.0.to_vec(),
                    not_before_ms: not_before_ms.unwrap_or(0),
                    expires_at_ms: expires_at_ms.unwrap_or(0),
                })
            }
            Body::ProviderKey(ProviderKey { id: _, gateway, provider, alias, is_default, sealed }) => {
                Wire::ProviderKey(proto::ProviderKey {
                    gateway_internal_id: gateway.0.as_bytes().to_vec(),
                    provider: provider.clone(),
                    alias: alias.clone(),
                    is_default: *is_default,
                    sealed: sealed.clone(),
                })
            }
        };
        proto::Resource {
            key: Some(self.key().to_wire()),
            requires: self.requires().into_iter().map(str::to_owned).collect(),
            body: Some(body),
        }
    }

    /// Reads the wire form, refusing what this release would serve with a protection missing.
    pub fn from_wire(wire: proto::Resource) -> Result<Self, InvalidResource> {
        use proto::resource::Body as Wire;
        if let Some(unknown) = wire.requires.iter().find(|name| !OBEYED.contains(&name.as_str())) {
            return Err(InvalidResource::Requires(unknown.clone()));
        }
        let field = InvalidResource::Field;
        let key = ResourceKey::from_wire(wire.key.ok_or(field("key"))?)?;
        let body = match (key.kind, wire.body.ok_or(field("body"))?) {
            (ResourceId::Account, Wire::Account(proto::Account { credentials_key, contents_key })) => {
                Body::Account { credentials_key, contents_key }
            }
            (ResourceId::Gateway(internal_id), Wire::Gateway(gateway)) => {
                if gateway.internal_id != internal_id.0.as_bytes() {
                    return Err(field("internal_id"));
                }
                let error_shape = match proto::ErrorShape::try_from(gateway.error_shape) {
                    Ok(proto::ErrorShape::ByCaller) => ErrorShape::ByCaller,
                    Ok(proto::ErrorShape::Gateway) => ErrorShape::Gateway,
                    Ok(proto::ErrorShape::Provider) => ErrorShape::Provider,
                    Err(_) => return Err(field("error_shape")),
                };
                let stored_keys = match proto::StoredKeys::try_from(gateway.stored_keys) {
                    Ok(proto::StoredKeys::Authenticated) => StoredKeys::Authenticated,
                    Ok(proto::StoredKeys::Open) => StoredKeys::Open,
                    Err(_) => return Err(field("stored_keys")),
                };
                Body::Gateway(Gateway {
                    internal_id,
                    id: gateway.slug.parse().map_err(|_| field("slug"))?,
                    authentication: gateway.authentication,
                    byok_only: gateway.byok_only,
                    collect_logs: gateway.collect_logs,
                    error_shape,
                    stored_keys,
                })
            }
            (ResourceId::GatewayToken(id), Wire::GatewayToken(token)) => Body::GatewayToken(GatewayToken {
                id,
                gateway: internal_id(&token.gateway_internal_id)?,
                digest: digest(token.digest)?,
                expires_at_ms: instant(token.expires_at_ms),
            }),
            (ResourceId::ApiToken(id), Wire::ApiToken(token)) => Body::ApiToken(ApiToken {
                id,
                digest: digest(token.digest)?,
                not_before_ms: instant(token.not_before_ms),
                expires_at_ms: instant(token.expires_at_ms),
            }),
            (ResourceId::ProviderKey(id), Wire::ProviderKey(key)) => Body::ProviderKey(ProviderKey {
                id,
                gateway: internal_id(&key.gateway_internal_id)?,
                provider: key.provider,
                alias: key.alias,
                is_default: key.is_default,
                sealed: key.sealed,
            }),
            _ => return Err(field("kind")),
        };
        Ok(Self { account: key.account, body })
    }
}

impl ResourceKey {
    /// The wire form.
    pub fn to_wire(self) -> proto::ResourceKey {
        use proto::ResourceKind as Kind;
        let (kind, id) = match self.kind {
            ResourceId::Account => (Kind::Account, String::new()),
            ResourceId::Gateway(id) => (Kind::Gateway, id.to_string()),
            ResourceId::GatewayToken(id) => (Kind::GatewayToken, id.to_string()),
            ResourceId::ApiToken(id) => (Kind::ApiToken, id.to_string()),
            ResourceId::ProviderKey(id) => (Kind::ProviderKey, id.to_string()),
        };
        proto::ResourceKey { kind: kind.into(), account_id: self.account.0.as_bytes().to_vec(), id }
    }

    /// Reads the wire form.
    pub fn from_wire(wire: proto::ResourceKey) -> Result<Self, InvalidResource> {
        use proto::ResourceKind as Kind;
        let bad_id = |_| InvalidResource::Field("id");
        let kind = match wire.kind() {
            Kind::Unspecified => return Err(InvalidResource::Field("kind")),
            Kind::Account => ResourceId::Account,
            Kind::Gateway => ResourceId::Gateway(wire.id.parse().map_err(bad_id)?),
            Kind::GatewayToken => ResourceId::GatewayToken(wire.id.parse().map_err(bad_id)?),
            Kind::ApiToken => ResourceId::ApiToken(wire.id.parse().map_err(bad_id)?),
            Kind::ProviderKey => ResourceId::ProviderKey(wire.id.parse().map_err(bad_id)?),
        };
        let account = Uuid::from_slice(&wire.account_id).map_err(|_| InvalidResource::Field("account_id"))?;
        Ok(Self { account: AccountId(account), kind })
    }
}

fn internal_id(bytes: &[u8]) -> Result<GatewayInternalId, InvalidResource> {
    Uuid::from_slice(bytes).map(GatewayInternalId).map_err(|_| InvalidResource::Field("gateway_internal_id"))
}

fn digest(bytes: Vec<u8>) -> Result<TokenDigest, InvalidResource> {
    bytes.try_into().map(TokenDigest).map_err(|_| InvalidResource::Field("digest"))
}

fn instant(milliseconds: i64) -> Option<i64> {
    (milliseconds != 0).then_some(milliseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gateway() -> Resource {
        let internal_id = GatewayInternalId(Uuid::from_u128(2));
        let settings = GatewaySettings { authentication: true, ..GatewaySettings::default() };
        let gateway = Gateway::of(internal_id, "demo".parse().unwrap(), &settings);
        Resource { account: AccountId(Uuid::from_u128(1)), body: Body::Gateway(gateway) }
    }

    #[test]
    fn a_resource_reads_back_what_it_writes() {
        assert_eq!(Resource::from_wire(gateway().to_wire()), Ok(gateway()));
    }

    #[test]
    fn a_resource_that_needs_an_unknown_setting_is_refused() {
        let mut wire = gateway().to_wire();
        wire.requires.push("guardrails".to_owned());
        assert_eq!(Resource::from_wire(wire), Err(InvalidResource::Requires("guardrails".to_owned())));
    }
}
