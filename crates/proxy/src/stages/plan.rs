//! Who is asked, and who else if that fails: each attempt is one provider, one model, one credential.

use std::sync::LazyLock;

use http::HeaderValue;
use http::request::Parts;
use providers::catalog::{self, Dialect, Provider};
use providers::models::{Asked, Candidate, Models, Selection, is_auto};

use super::authenticate::Caller;
use super::consult::Consulted;
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
/// Where the address names the provider it is the only one, with each of its credentials. Else the models
/// that the caller names are looked up, each at everybody who serves it. A key that the caller brought is
/// for the first of them alone: nobody else is shown it.
pub fn plan(
    deps: &Deps,
    place: &Place,
    caller: &Caller,
    head: &Parts,
    target: &Target,
    inquiry: &Inquiry,
    consulted: Option<&Consulted>,
) -> Result<Vec<Attempt>, Refusal> {
    let selection = consulted.map_or(selection(), |consulted| &consulted.compiled.selection);
    let candidates = match (inquiry.provider, &target.address) {
        (Some(provider), _) => vec![named(selection, provider, inquiry, target, consulted.is_some())?],
        (None, Address::Open) => candidates(selection, head, inquiry, target)?,
        (None, _) => return Err(Refusal::NotCompat),
    };
    let first = candidates.first().map(|candidate| candidate.provider);
    let (mut attempts, mut refused) = (Vec::new(), None);
    for Found { provider, model, place: in_policy } in candidates {
        let of_policy = match (consulted, in_policy) {
            (Some(consulted), Some(in_policy)) => consulted.keys(in_policy)?,
            _ => Vec::new(),
        };
        let is_first = first.is_some_and(|first| first.slug == provider.slug);
        let counts = match inquiry.provider {
            Some(_) => Brought::WhereItIsRead,
            None if is_first => Brought::Anywhere,
            None => Brought::Never,
        };
        let whom = (provider, target.endpoint);
        match route::credentials(deps, place, caller, &head.headers, whom, counts, of_policy) {
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

/// Whoever can be asked for something.
struct Found {
    provider: &'static Provider,
    model: Option<String>,
    /// His place in the gateway's policy, if that names him.
    place: Option<usize>,
}

impl Found {
    /// Nothing for a provider of the gateway's own.
    fn of(candidate: Candidate<'_>) -> Option<Self> {
        let place = candidate.host.configured.map(|(place, _)| place);
        let model = Some(candidate.upstream.into_owned());
        Some(Self { provider: candidate.host.built_in?, model, place })
    }

    /// A provider, for whatever the body says.
    fn plain(selection: &Selection, provider: &'static Provider) -> Result<Self, Refusal> {
        let host = selection.host(provider.slug);
        if let Some(host) = host {
            selection.allows_host(host).map_err(|no_model| Refusal::NoModel(Box::new(no_model)))?;
        }
        let place = host.and_then(|host| host.configured).map(|(place, _)| place);
        Ok(Self { provider, model: None, place })
    }
}

/// The provider that the address names, if the gateway allows what is asked of it.
fn named(
    selection: &Selection,
    provider: &'static Provider,
    inquiry: &Inquiry,
    target: &Target,
    may_be_restricted: bool,
) -> Result<Found, Refusal> {
    let refused = |no_model| Refusal::NoModel(Box::new(no_model));
    if may_be_restricted && target.endpoint.runs_a_model() {
        let dialect = provider.dialect_of(target.endpoint);
        let asked = Asked { dialect, operation: target.path.trim_end_matches('/') };
        let name = format!("{}:{}", provider.slug, inquiry.model);
        selection.resolve(&name, asked).map_err(refused)?;
    }
    Found::plain(selection, provider)
}

/// The catalogue as gateways see it that say nothing of their own.
pub fn selection() -> &'static Selection {
    static SELECTION: LazyLock<Selection> = LazyLock::new(|| Selection::of(Models::current()));
    &SELECTION
}

/// Who can be asked for what, the first to be asked first.
fn candidates(
    selection: &Selection,
    head: &Parts,
    inquiry: &Inquiry,
    target: &Target,
) -> Result<Vec<Found>, Refusal> {
    let spoken = target.endpoint.dialect();
    let operation = target.path.trim_end_matches('/');
    let asked = Asked { dialect: spoken.unwrap_or(Dialect::OpenAi), operation };
    let named = head.headers.get(&NGROK_AIG_PROVIDER).map(said).transpose()?;
    let names = std::iter::once(&inquiry.model_asked).chain(&inquiry.alternatives).map(String::as_str);
    let mut names = names.filter(|name| !is_auto(name)).peekable();
    if names.peek().is_none() {
        return match named {
            Some(provider) => Found::plain(selection, provider).map(|found| vec![found]),
            None if target.endpoint.runs_a_model() => {
                Ok(selection.everything(asked).into_iter().filter_map(Found::of).collect())
            }
            None => Err(Refusal::NobodyNamed),
        };
    }
    let (mut found, mut unknown) = (Vec::new(), None);
    for name in names {
        match selection.resolve(name, asked) {
            Ok(candidates) => found.extend(candidates.into_iter().filter_map(Found::of)),
            Err(no_model) => _ = unknown.get_or_insert(no_model),
        }
    }
    if let Some(named) = named {
        found.retain(|found: &Found| found.provider.slug == named.slug);
    }
    match unknown {
        Some(no_model) if found.is_empty() => Err(Refusal::NoModel(Box::new(no_model))),
        _ if found.is_empty() => Err(Refusal::NobodyNamed),
        _ => Ok(found),
    }
}

/// Who is meant by the header.
fn said(said: &HeaderValue) -> Result<&'static Provider, Refusal> {
    let found = said.to_str().ok().and_then(|name| catalog::named(name.trim()));
    found.ok_or(Refusal::InvalidHeader { name: "ngrok-aig-provider", expected: "the name of a provider" })
}
