//! With which credential the provider is asked: the caller's own, else the one that is stored, else one
//! of the operator's, which is paid from credits.

use std::borrow::Cow;
use std::sync::Arc;

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use model::Secret;
use model::gateway::{KeyPrecedence, StoredKeys};
use model::resource::{BoundKey, ProviderKey};
use model::token;
use model::usage::KeySource;
use providers::Endpoint;
use providers::catalog::{self, Provider};

use super::authenticate::Caller;
use super::resolve::Place;
use crate::deps::Deps;
use crate::headers::{CF_AIG_BYOK_ALIAS, CF_AIG_NO_WHOLESALE, CF_AIG_ZDR, flag};
use crate::refusal::Refusal;
use crate::servers::Server;

/// Where the credential comes from.
#[derive(Debug, Clone)]
pub enum Credential {
    /// None is wanted.
    None,
    /// The caller brought it; here is the header where the provider expects it.
    Request(HeaderName, HeaderValue),
    /// The gateway keeps it.
    Stored(Arc<ProviderKey>),
    /// The gateway keeps it for the caller's token.
    Bound(Arc<BoundKey>),
    /// The gateway's traffic policy has it.
    Policy(Secret),
    /// The operator keeps it, and credits pay. Which of his keys it is, is decided when it is needed.
    Credits,
}

impl Credential {
    /// The word for it in usage records.
    pub fn source(&self) -> Option<KeySource> {
        match self {
            Self::None => None,
            Self::Request(..) => Some(KeySource::Request),
            Self::Stored(_) | Self::Bound(_) | Self::Policy(_) => Some(KeySource::StoredKey),
            Self::Credits => Some(KeySource::Credits),
        }
    }

    /// The stored key's alias, or the id of one that has none.
    pub fn alias(&self) -> Cow<'_, str> {
        match self {
            Self::None | Self::Request(..) | Self::Policy(_) | Self::Credits => Cow::Borrowed(""),
            Self::Stored(key) => Cow::Borrowed(&key.alias),
            Self::Bound(key) => Cow::Owned(key.id.to_string()),
        }
    }
}

/// Where a key counts that the caller brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Brought {
    /// Nowhere: it is another provider's.
    Never,
    /// Where this provider's clients send it.
    WhereItIsRead,
    /// Wherever clients send keys, because the caller does not know who will be asked.
    Anywhere,
}

/// The first credential for a provider.
pub fn credential(
    deps: &Deps,
    place: &Place,
    caller: &Caller,
    headers: &HeaderMap,
    whom: (&Server, Endpoint),
) -> Result<Credential, Refusal> {
    let all = credentials(deps, place, caller, headers, whom, Brought::WhereItIsRead, Vec::new())?;
    all.into_iter().next().ok_or_else(|| Refusal::NoCredential { provider: whom.0.name() })
}

/// The credentials for a provider, in the order in which they are tried: those that are bound to the
/// caller's token, and nothing else if there are any; else the caller's own, if it may be shown to this
/// provider; else those of the gateway's policy, and nothing else; else the stored one; else credits. That is the order that Cloudflare documents, with what
/// is narrower than its gateways in front. A gateway may put what it stores before what callers bring. A
/// request that names a stored key by its alias means that key and nothing else.
pub fn credentials(
    deps: &Deps,
    place: &Place,
    caller: &Caller,
    headers: &HeaderMap,
    (server, endpoint): (&Server, Endpoint),
    counts: Brought,
    of_policy: Vec<Secret>,
) -> Result<Vec<Credential>, Refusal> {
    let of_gateway = caller.token().and_then(|token| token.of_gateway);
    let may_have_kept = server.may_have_kept_keys();
    let of_gateway = of_gateway.filter(|_| may_have_kept);
    let bound = of_gateway.into_iter().flat_map(|token| place.account.bound_keys(token, server.slug()));
    let bound: Vec<_> = bound.map(|key| Credential::Bound(Arc::clone(key))).collect();
    if !bound.is_empty() {
        return Ok(bound);
    }
    let brought = || brought(headers, server, endpoint, counts);
    let stored_first = place.gateway.gateway.key_precedence == KeyPrecedence::Stored;
    if !stored_first && let Some(brought) = brought() {
        return Ok(vec![brought]);
    }
    if !of_policy.is_empty() {
        if caller.token().is_none() && place.gateway.gateway.stored_keys != StoredKeys::Open {
            return Err(Refusal::StoredKeyNeedsToken { provider: server.name() });
        }
        return Ok(of_policy.into_iter().map(Credential::Policy).collect());
    }
    let kept = match may_have_kept {
        true => kept(deps, place, caller, headers, server),
        false => Ok(Credential::None),
    };
    match kept {
        Ok(Credential::None) => Ok(brought().unwrap_or(Credential::None)),
        // What is missing here, the caller may have.
        Err(
            refusal @ (Refusal::NoCredential { .. }
            | Refusal::CreditsForbidden { .. }
            | Refusal::CreditsNeedToken { .. }
            | Refusal::NotInSync),
        ) if stored_first => brought().ok_or(refusal),
        kept => kept,
    }
    .map(|credential| vec![credential])
}

/// The caller's own key, in the header in which this provider reads one.
fn brought(headers: &HeaderMap, server: &Server, endpoint: Endpoint, counts: Brought) -> Option<Credential> {
    // A token of ours in a key's place, or beside it, is none.
    let is_key = |key: &str| !token::is_ours(key);
    let auth = server.auth_for(endpoint);
    if counts == Brought::Never {
        return None;
    }
    let anywhere = || {
        let key = Secret::new(catalog::callers_key(headers, is_key)?);
        Some((auth.header(), auth.value(&key).ok()?))
    };
    let found = auth.brought(headers, is_key);
    let (header, value) = found.or_else(|| (counts == Brought::Anywhere).then(anywhere).flatten())?;
    Some(Credential::Request(header, value))
}

/// What is kept here for a provider: the gateway's key, or else one of the operator's.
fn kept(
    deps: &Deps,
    place: &Place,
    caller: &Caller,
    headers: &HeaderMap,
    server: &Server,
) -> Result<Credential, Refusal> {
    let gateway = &place.gateway;
    let alias = headers.get(&CF_AIG_BYOK_ALIAS).map(|alias| String::from_utf8_lossy(alias.as_bytes()));
    let may_use = caller.token().is_some() || gateway.gateway.stored_keys == StoredKeys::Open;
    let key = gateway.provider_key(server.slug(), alias.as_deref());
    // Who may not use stored keys does not learn which there are either.
    if !may_use && (key.is_some() || alias.is_some()) {
        return Err(Refusal::StoredKeyNeedsToken { provider: server.name() });
    }
    match key {
        Some(key) => Ok(Credential::Stored(Arc::clone(key))),
        None if alias.is_some() => Err(unknown_alias(place, server, alias.as_deref())),
        None if server.is_operators() => credits(deps, place, caller, headers, server.provider),
        None => Ok(Credential::None),
    }
    .map_err(|refusal| match refusal {
        // It may have been stored since.
        Refusal::NoCredential { .. } | Refusal::UnknownAlias { .. } if !place.is_current => {
            Refusal::NotInSync
        }
        refusal => refusal,
    })
}

/// Credits, where the operator has a key, nobody forbids them, and the caller says who he is: they are
/// never spent by just anybody, whatever the gateway says of stored keys.
fn credits(
    deps: &Deps,
    place: &Place,
    caller: &Caller,
    headers: &HeaderMap,
    provider: &'static Provider,
) -> Result<Credential, Refusal> {
    let provider_slug = provider.slug;
    // A header cannot relax what the gateway forbids.
    let no_wholesale = protection(headers, &CF_AIG_NO_WHOLESALE, "cf-aig-no-wholesale")?;
    let forbidden_by = match (place.gateway.gateway.byok_only, no_wholesale) {
        (true, _) => Some("`byok_only`"),
        (false, Some(true)) => Some("`cf-aig-no-wholesale`"),
        (false, _) => None,
    };
    if let Some(forbidden_by) = forbidden_by {
        return Err(Refusal::CreditsForbidden { provider: provider_slug, forbidden_by });
    }
    if deps.snapshot.load().operator_keys(provider_slug).is_empty() {
        return Err(Refusal::NoCredential { provider: provider_slug.into() });
    }
    if caller.token().is_none() {
        return Err(Refusal::CreditsNeedToken { provider: provider_slug });
    }
    let asks = protection(headers, &CF_AIG_ZDR, "cf-aig-zdr")?.unwrap_or(place.gateway.gateway.zdr);
    if asks && retains(deps, provider_slug) {
        return Err(Refusal::NoZeroRetention { provider: provider_slug });
    }
    Ok(Credential::Credits)
}

/// Providers that offer to retain nothing of what they are asked, to those who have agreed it with them.
const ZERO_RETENTION: [&str; 2] = ["openai", "anthropic"];

/// Whether a provider that could retain nothing retains what it is asked with the operator's keys.
///
/// That is a matter of contract, not of any header, so only the operator knows. Cloudflare has such
/// contracts with two providers, and asks all others the normal way without a word; so do we. But where
/// there could be one and there is none, whoever asks for it is told: silence would cost him what he
/// wanted to keep to himself.
fn retains(deps: &Deps, provider: &'static str) -> bool {
    ZERO_RETENTION.contains(&provider) && !deps.zero_retention.iter().any(|agreed| agreed == provider)
}

/// What a header says that protects the caller. One that says neither yes nor no, or both, is refused,
/// because what its writer meant by it would go unheeded.
fn protection(headers: &HeaderMap, name: &HeaderName, text: &'static str) -> Result<Option<bool>, Refusal> {
    let mut said = headers.get_all(name).iter();
    let (Some(first), others) = (said.next(), said) else { return Ok(None) };
    let is_clear = others.into_iter().all(|other| other == first);
    let flag = flag(headers, name).filter(|_| is_clear);
    flag.map(Some).ok_or(Refusal::InvalidHeader { name: text, expected: "`true` or `false`" })
}

fn unknown_alias(place: &Place, server: &Server, alias: Option<&str>) -> Refusal {
    let configured = place.gateway.aliases(server.slug()).map(str::to_owned).collect();
    let alias = alias.unwrap_or_default().to_owned();
    Refusal::UnknownAlias { provider: server.name(), alias, configured }
}
