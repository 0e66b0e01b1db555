//! The one credential that an attempt needs, opened; and what the provider thinks of the operator's.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use hyper::body::Incoming;
use model::resource::OperatorKey;
use model::{AccountId, Secret};
use providers::blame;
use providers::catalog::{Auth, Provider};
use tracing::{error, warn};
use vault::{CredentialsKey, VaultError};

use super::Way;
use crate::deps::Deps;
use crate::operator_keys::{BUSY_RESTS, UNKNOWN_RESTS};
use crate::refusal::Refusal;
use crate::stages::authenticate::bears_token;
use crate::stages::route::Credential;
use crate::upstream::{AnswerBody, read};

/// A credential as the provider expects it.
pub(super) struct Opened {
    /// Nothing for a provider that wants none.
    pub(super) credential: Option<(HeaderName, HeaderValue)>,
    /// The same in another header, where the provider may read it too.
    pub(super) second: Option<(HeaderName, HeaderValue)>,
    /// Which of the operator's keys it is, if it is one.
    pub(super) operator_key: Option<Arc<OperatorKey>>,
}

/// Opens the credential of this attempt, which goes to this provider alone.
pub(super) fn opened(deps: &Deps, way: &Way<'_>) -> Result<Opened, Refusal> {
    let auth = way.server.auth_for(way.target.endpoint);
    let (header, credential, operator_key) = match &way.credential {
        Credential::None => return Ok(Opened { credential: None, second: None, operator_key: None }),
        Credential::Request(header, value) => (header.clone(), value.clone(), None),
        Credential::Stored(key) => {
            let open = |with: &CredentialsKey| with.open_provider_key(key.id, &key.provider, &key.sealed);
            (auth.header(), kept(deps, way, auth, &key.id, open)?, None)
        }
        Credential::Bound(key) => {
            let open = |with: &CredentialsKey| with.open_bound_key(key.id, &key.provider, &key.sealed);
            (auth.header(), kept(deps, way, auth, &key.id, open)?, None)
        }
        // It may have been made of what the caller sent.
        Credential::Policy(secret) if bears_token(secret.expose().as_bytes()) => {
            return Err(Refusal::TokenMisplaced { place: "a key of the gateway's policy".to_owned() });
        }
        Credential::Policy(secret) => {
            let value = auth.value(secret).map_err(|_| Refusal::KeyUnusable)?;
            (auth.header(), value, None)
        }
        Credential::Credits => {
            let (credential, key) = operators(deps, way.server.provider, auth)?;
            (auth.header(), credential, Some(key))
        }
    };
    let second = way.server.second_auth_for(way.target.endpoint);
    let second = second.and_then(|second| {
        let key = Secret::new(auth.key(&credential)?);
        Some((second.header(), second.value(&key).ok()?))
    });
    Ok(Opened { credential: Some((header, credential)), second, operator_key })
}

/// One of the account's own.
fn kept(
    deps: &Deps,
    way: &Way<'_>,
    auth: Auth,
    id: &dyn Display,
    open: impl FnOnce(&CredentialsKey) -> Result<Secret, VaultError>,
) -> Result<HeaderValue, Refusal> {
    let unusable = |reason: &dyn Display| {
        error!(
            account.id = %way.place.account_id, provider_key.id = %id,
            "The stored key `{id}` cannot be used: {reason}"
        );
        Refusal::KeyUnusable
    };
    let data_keys = way.place.account.data_keys().ok_or_else(|| unusable(&"the account has no data key"))?;
    let secret = data_keys
        .credentials_key(&deps.opener, way.place.account_id)
        .and_then(open)
        .map_err(|error| unusable(&error))?;
    auth.value(&secret).map_err(|_| unusable(&"it cannot stand in a header"))
}

/// The operator's key whose turn it is.
fn operators(
    deps: &Deps,
    provider: &'static Provider,
    auth: Auth,
) -> Result<(HeaderValue, Arc<OperatorKey>), Refusal> {
    let snapshot = deps.snapshot.load();
    let keys = snapshot.operator_keys(provider.slug);
    let key =
        deps.operator_keys.next(keys).ok_or(Refusal::NoCredential { provider: provider.slug.into() })?;
    let unusable = |reason: &dyn Display| {
        error!(operator_key.id = %key.id, "The operator's key `{}` cannot be used: {reason}", key.id);
        deps.operator_keys.rest(key.id, UNKNOWN_RESTS);
        Refusal::OperatorKeyRefused { provider: provider.slug }
    };
    let data_keys = snapshot.installation().and_then(|installation| installation.data_keys());
    let data_keys = data_keys.ok_or_else(|| unusable(&"the installation has no data key"))?;
    let secret = data_keys
        .credentials_key(&deps.opener, AccountId::INSTALLATION)
        .and_then(|opened| opened.open_operator_key(key.id, &key.provider, &key.sealed))
        .map_err(|error| unusable(&error))?;
    let value = auth.value(&secret).map_err(|_| unusable(&"it cannot stand in a header"))?;
    Ok((value, Arc::clone(key)))
}

/// A provider's answer, if it serves the operator's key. What it says if it does not is about the operator,
/// down to the names of his organisation and his key, and no tenant's business.
pub(super) async fn served(
    deps: &Deps,
    provider: &'static Provider,
    key: &OperatorKey,
    answer: Response<Incoming>,
) -> Result<Response<AnswerBody>, Refusal> {
    let (status, provider) = (answer.status(), provider.slug);
    let refused = || {
        warn!(operator_key.id = %key.id, %status, "`{provider}` refuses the operator's key `{}`", key.id);
        // Where it is forbidden, it may be this model or this place alone.
        if status != StatusCode::FORBIDDEN {
            deps.operator_keys.rest(key.id, UNKNOWN_RESTS);
        }
        Err(Refusal::OperatorKeyRefused { provider })
    };
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::PAYMENT_REQUIRED | StatusCode::FORBIDDEN => refused(),
        // Some tell in these words, too, that the key is not paid for or not known.
        StatusCode::BAD_REQUEST => {
            let read = tokio::time::timeout(REFUSAL_TAKES, read(answer, LONGEST_REFUSAL)).await;
            let seconds = REFUSAL_TAKES.as_secs();
            let read = read.map_err(|_| Refusal::ProviderStill { provider: provider.into(), seconds })?;
            let (answer, said) = read.ok_or(Refusal::ProviderBrokeOff { provider: provider.into() })?;
            if blame::is_of_the_key(&said) { refused() } else { Ok(answer) }
        }
        StatusCode::TOO_MANY_REQUESTS => {
            let said = answer.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
            let said = said.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
            let rests = said.unwrap_or(BUSY_RESTS);
            deps.operator_keys.rest(key.id, rests);
            Err(Refusal::OperatorKeyBusy { provider, seconds: rests.as_secs().max(1) })
        }
        _ => Ok(answer.map(AnswerBody::Left)),
    }
}

/// How long a refusal may take to come, once it has begun, and how long it may be: they are short.
const REFUSAL_TAKES: Duration = Duration::from_secs(10);
const LONGEST_REFUSAL: usize = 256 << 10;
