//! Who is asked, and who else if that fails: each attempt is one provider, one model, one credential.

use std::sync::LazyLock;

use http::HeaderValue;
use http::request::Parts;
use providers::catalog::{self, Dialect, Provider};
use providers::models::{Asked, Candidate, Models, Selection, is_auto};

use super::authenticate::Caller;
use super::inspect::Inquiry;
use super::resolve::{Address, Place, Target};
use super::route::{self, Brought, Credential};
use crate::deps::Deps;
use crate::headers::NGROK_AIG_PROVIDER;
use crate::refusal::Refusal;

/// One try at one provider.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Who is asked.
    pub provider: &'static Provider,
    /// For which model, if that is not what the body says already.
    pub model: Option<String>,
    /// With which credential.
    pub credential: Credential,
}

/// No request is tried more often.
const MOST: usize = 10;

/// All attempts that a request may make, in their order; there is at least one.
///
/// Where the address names the provider there is one. Else the models that the caller names are looked
/// up, each at everybody who serves it, and each of these is asked with each credential that there is for
/// him. A key that the caller brought is for the first of them alone: nobody else is shown it.
pub fn plan(
    deps: &Deps,
    place: &Place,
    caller: &Caller,
    head: &Parts,
    target: &Target,
    inquiry: &Inquiry,
) -> Result<Vec<Attempt>, Refusal> {
    if let Some(provider) = inquiry.provider {
        let credential = route::credential(deps, place, caller, &head.headers, (provider, target.endpoint))?;
        return Ok(vec![Attempt { provider, model: None, credential }]);
    }
    let Address::Open = target.address else { return Err(Refusal::NotCompat) };
    let candidates = candidates(head, inquiry, target)?;
    let first = candidates.first().map(|(provider, _)| *provider);
    let mut attempts = Vec::new();
    let mut refused = None;
    for (provider, model) in candidates {
        let is_first = first.is_some_and(|first| first.slug == provider.slug);
        let counts = if is_first { Brought::Anywhere } else { Brought::Never };
        let whom = (provider, target.endpoint);
        match route::credentials(deps, place, caller, &head.headers, whom, counts) {
            Ok(credentials) => attempts.extend(credentials.into_iter().map(|credential| Attempt {
                provider,
                model: model.clone(),
                credential,
            })),
            Err(refusal) => _ = refused.get_or_insert(refusal),
        }
    }
    attempts.truncate(if inquiry.is_repeatable() { MOST } else { 1 });
    match refused {
        Some(refusal) if attempts.is_empty() => Err(refusal),
        _ if attempts.is_empty() => Err(Refusal::Bug),
        _ => Ok(attempts),
    }
}

/// The catalogue as gateways see it that say nothing of their own.
pub fn selection() -> &'static Selection {
    static SELECTION: LazyLock<Selection> = LazyLock::new(|| Selection::of(Models::current()));
    &SELECTION
}

/// Who can be asked for what, the first to be asked first.
fn candidates(
    head: &Parts,
    inquiry: &Inquiry,
    target: &Target,
) -> Result<Vec<(&'static Provider, Option<String>)>, Refusal> {
    let spoken = target.endpoint.dialect();
    let operation = target.path.trim_end_matches('/');
    let asked = Asked { dialect: spoken.unwrap_or(Dialect::OpenAi), operation };
    let named = head.headers.get(&NGROK_AIG_PROVIDER).map(|said| named(said)).transpose()?;
    let names = std::iter::once(&inquiry.model_asked).chain(&inquiry.alternatives).map(String::as_str);
    let mut names = names.filter(|name| !is_auto(name)).peekable();
    if names.peek().is_none() {
        return match named {
            Some(provider) => Ok(vec![(provider, None)]),
            None if target.endpoint.runs_a_model() => {
                Ok(selection().everything(asked).into_iter().filter_map(attempted).collect())
            }
            None => Err(Refusal::NobodyNamed),
        };
    }
    let (mut found, mut unknown) = (Vec::new(), None);
    for name in names {
        match selection().resolve(name, asked) {
            Ok(candidates) => found.extend(candidates.into_iter().filter_map(attempted)),
            Err(no_model) => _ = unknown.get_or_insert(no_model),
        }
    }
    if let Some(named) = named {
        found.retain(|(provider, _)| provider.slug == named.slug);
    }
    match unknown {
        Some(no_model) if found.is_empty() => Err(Refusal::NoModel(Box::new(no_model))),
        _ if found.is_empty() => Err(Refusal::NobodyNamed),
        _ => Ok(found),
    }
}

fn attempted(candidate: Candidate<'_>) -> Option<(&'static Provider, Option<String>)> {
    Some((candidate.host.built_in?, Some(candidate.upstream.into_owned())))
}

fn named(said: &HeaderValue) -> Result<&'static Provider, Refusal> {
    let found = said.to_str().ok().and_then(|name| catalog::named(name.trim()));
    found.ok_or(Refusal::InvalidHeader { name: "ngrok-aig-provider", expected: "the name of a provider" })
}
