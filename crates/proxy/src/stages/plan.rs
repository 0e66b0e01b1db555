//! Who is asked, and who else if that fails: each attempt is one provider, one model, one credential.

use std::sync::LazyLock;

use http::HeaderValue;
use http::request::Parts;
use providers::catalog::Dialect;
use providers::models::{Asked, Candidate, Models, Selection, is_auto};

use super::authenticate::Caller;
use super::consult::Consulted;
use super::inspect::Inquiry;
use super::resolve::{Address, Place, Target};
use super::route::{self, Brought, Credential};
use crate::deps::Deps;
use crate::headers::NGROK_AIG_PROVIDER;
use crate::policies::Compiled;
use crate::refusal::Refusal;
use crate::servers::{self, Server};

/// One try at one provider.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Who is asked.
    pub server: Server,
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
    let policy = consulted.map(|consulted| &*consulted.compiled);
    let candidates = match (&inquiry.server, &target.address) {
        (Some(server), _) => vec![named(selection, server, inquiry, target, policy.is_some())?],
        (None, Address::Open) => candidates(selection, policy, head, inquiry, target)?,
        (None, _) => return Err(Refusal::NotCompat),
    };
    let first = candidates.first().map(|candidate| candidate.server.clone());
    let (mut attempts, mut refused) = (Vec::new(), None);
    for Found { server, model, place: in_policy } in candidates {
        let of_policy = match (consulted, in_policy) {
            (Some(consulted), Some(in_policy)) => consulted.keys(in_policy)?,
            _ => Vec::new(),
        };
        let is_first = first.as_ref().is_some_and(|first| first.is(&server));
        let counts = match inquiry.server {
            Some(_) => Brought::WhereItIsRead,
            None if is_first => Brought::Anywhere,
            None => Brought::Never,
        };
        let whom = (&server, target.endpoint);
        match route::credentials(deps, place, caller, &head.headers, whom, counts, of_policy) {
            Ok(credentials) => attempts.extend(credentials.into_iter().map(|credential| Attempt {
                server: server.clone(),
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
    server: Server,
    model: Option<String>,
    /// His place in the gateway's policy, if that names him.
    place: Option<usize>,
}

impl Found {
    fn of(policy: Option<&Compiled>, candidate: Candidate<'_>) -> Option<Self> {
        let place = candidate.host.configured.map(|(place, _)| place);
        let model = Some(candidate.upstream.into_owned());
        Some(Self { server: servers::of(policy, candidate.host)?, model, place })
    }

    /// A provider, for whatever the body says.
    fn plain(selection: &Selection, server: &Server) -> Result<Self, Refusal> {
        let host = selection.host(server.id());
        if let Some(host) = host {
            selection.allows_host(host).map_err(|no_model| Refusal::NoModel(Box::new(no_model)))?;
        }
        let place = host.and_then(|host| host.configured).map(|(place, _)| place);
        Ok(Self { server: server.clone(), model: None, place })
    }
}

/// The provider that the address names, if the gateway allows what is asked of it.
fn named(
    selection: &Selection,
    server: &Server,
    inquiry: &Inquiry,
    target: &Target,
    may_be_restricted: bool,
) -> Result<Found, Refusal> {
    let refused = |no_model| Refusal::NoModel(Box::new(no_model));
    if may_be_restricted && target.endpoint.runs_a_model() {
        let dialect = server.dialect_of(target.endpoint);
        let asked = Asked { dialect, operation: target.path.trim_end_matches('/') };
        let name = format!("{}:{}", server.id(), inquiry.model);
        selection.resolve(&name, asked).map_err(refused)?;
    }
    Found::plain(selection, server)
}

/// The catalogue as gateways see it that say nothing of their own.
pub fn selection() -> &'static Selection {
    static SELECTION: LazyLock<Selection> = LazyLock::new(|| Selection::of(Models::current()));
    &SELECTION
}

/// Who can be asked for what, the first to be asked first.
fn candidates(
    selection: &Selection,
    policy: Option<&Compiled>,
    head: &Parts,
    inquiry: &Inquiry,
    target: &Target,
) -> Result<Vec<Found>, Refusal> {
    let spoken = target.endpoint.dialect();
    let operation = target.path.trim_end_matches('/');
    let asked = Asked { dialect: spoken.unwrap_or(Dialect::OpenAi), operation };
    let named = head.headers.get(&NGROK_AIG_PROVIDER).map(|named| said(policy, named)).transpose()?;
    let found = |candidate: Candidate<'_>| Found::of(policy, candidate);
    let names = std::iter::once(&inquiry.model_asked).chain(&inquiry.alternatives).map(String::as_str);
    let mut names = names.filter(|name| !is_auto(name)).peekable();
    if names.peek().is_none() {
        return match named {
            Some(server) => Found::plain(selection, &server).map(|found| vec![found]),
            None if target.endpoint.runs_a_model() => {
                Ok(selection.everything(asked).into_iter().filter_map(found).collect())
            }
            None => Err(Refusal::NobodyNamed),
        };
    }
    let (mut all, mut unknown) = (Vec::new(), None);
    for name in names {
        match selection.resolve(name, asked) {
            Ok(candidates) => all.extend(candidates.into_iter().filter_map(found)),
            Err(no_model) => _ = unknown.get_or_insert(no_model),
        }
    }
    if let Some(named) = named {
        all.retain(|found: &Found| found.server.is(&named));
    }
    match unknown {
        Some(no_model) if all.is_empty() => Err(Refusal::NoModel(Box::new(no_model))),
        _ if all.is_empty() => Err(Refusal::NobodyNamed),
        _ => Ok(all),
    }
}

/// Who is meant by the header.
fn said(policy: Option<&Compiled>, said: &HeaderValue) -> Result<Server, Refusal> {
    let selection = policy.map_or(selection(), |policy| &policy.selection);
    let host = said.to_str().ok().and_then(|name| selection.host(name.trim()));
    let found = host.and_then(|host| servers::of(policy, host));
    found.ok_or(Refusal::InvalidHeader { name: "ngrok-aig-provider", expected: "the name of a provider" })
}
