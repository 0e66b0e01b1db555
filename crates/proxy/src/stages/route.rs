//! With which credential the provider is asked: the caller's own, else the one that is stored, else
//! credits, which this release does not have yet.

use std::sync::Arc;

use http::HeaderMap;
use http::header::HeaderValue;
use model::gateway::StoredKeys;
use model::resource::ProviderKey;
use model::token::OWN_PREFIX;
use model::usage::KeySource;
use providers::catalog::Provider;

use super::authenticate::Caller;
use super::resolve::Place;
use crate::headers::{CF_AIG_BYOK_ALIAS, CF_AIG_NO_WHOLESALE};
use crate::refusal::Refusal;

/// Where the credential comes from.
#[derive(Debug, Clone)]
pub enum Credential {
    /// The caller brought it, in the header where the provider expects it.
    Request(HeaderValue),
    /// The gateway keeps it.
    Stored(Arc<ProviderKey>),
}

impl Credential {
    /// The word for it in usage records.
    pub fn source(&self) -> KeySource {
        match self {
            Self::Request(_) => KeySource::Request,
            Self::Stored(_) => KeySource::StoredKey,
        }
    }

    /// The stored key's alias.
    pub fn alias(&self) -> &str {
        match self {
            Self::Request(_) => "",
            Self::Stored(key) => &key.alias,
        }
    }
}

/// The credential for a provider, in the order that Cloudflare documents.
pub fn credential(
    place: &Place,
    caller: &Caller,
    headers: &HeaderMap,
    provider: &'static Provider,
) -> Result<Credential, Refusal> {
    if let Some(value) = request_key(headers, provider) {
        return Ok(Credential::Request(value));
    }
    let gateway = &place.gateway;
    let alias = headers.get(&CF_AIG_BYOK_ALIAS).map(|alias| String::from_utf8_lossy(alias.as_bytes()));
    let may_use = caller.token().is_some() || gateway.gateway.stored_keys == StoredKeys::Open;
    let key = gateway.provider_key(provider.slug, alias.as_deref());
    // Who may not use stored keys does not learn which there are either.
    if !may_use && (key.is_some() || alias.is_some()) {
        return Err(Refusal::StoredKeyNeedsToken { provider: provider.slug });
    }
    match key {
        Some(key) => Ok(Credential::Stored(Arc::clone(key))),
        None if !place.is_current => Err(Refusal::NotInSync),
        None => Err(missing(place, headers, provider, alias.as_deref())),
    }
}

/// The provider's key in the request; a token of ours in its place is none.
fn request_key(headers: &HeaderMap, provider: &Provider) -> Option<HeaderValue> {
    let value = headers.get(provider.auth.header())?;
    let key = provider.auth.key(value)?;
    (!key.starts_with(OWN_PREFIX)).then(|| value.clone())
}

fn missing(place: &Place, headers: &HeaderMap, provider: &'static Provider, alias: Option<&str>) -> Refusal {
    let provider_slug = provider.slug;
    if let Some(alias) = alias {
        let configured = place.gateway.aliases(provider_slug).map(str::to_owned).collect();
        return Refusal::UnknownAlias { provider: provider_slug, alias: alias.to_owned(), configured };
    }
    let no_wholesale = headers.get(&CF_AIG_NO_WHOLESALE).is_some_and(|value| value.as_bytes() == b"true");
    let forbidden_by = match (place.gateway.gateway.byok_only, no_wholesale) {
        (true, _) => Some("`byok_only`"),
        (false, true) => Some("`cf-aig-no-wholesale`"),
        (false, false) => None,
    };
    match forbidden_by {
        Some(forbidden_by) => Refusal::CreditsForbidden { provider: provider_slug, forbidden_by },
        None => Refusal::NoCredential { provider: provider_slug },
    }
}
