//! Lists of models that we answer ourselves on credits: the provider's own ones would name what the
//! operator keeps there.

use bytes::Bytes;
use http::HeaderName;
use http::request::Parts;
use providers::Endpoint;
use providers::catalog::{Dialect, Provider};
use providers::credits::{self, Permit};
use providers::models::{Asked, Candidate, Host, listing};
use providers::prices::Catalogue;

use crate::deps::Deps;
use crate::refusal::Refusal;
use crate::servers;
use crate::stages::authenticate::Caller;
use crate::stages::consult::Consulted;
use crate::stages::plan::selection;
use crate::stages::resolve::Place;
use crate::stages::route::{self, Brought};
use crate::visit::Visit;

/// The models that credits can pay for, or the one that is asked about.
pub(crate) fn on_credits(
    visit: &Visit,
    place: &Place,
    provider: &'static Provider,
    permit: Permit,
) -> Result<Bytes, Refusal> {
    let (snapshot, at) = (visit.deps().snapshot.load(), visit.arrival().moment());
    let ruled = snapshot.installation().and_then(|installation| installation.catalogue());
    let catalogue = ruled.map_or(Catalogue::current(), |ruled| ruled);
    let account = place.account_id;
    let Permit::Model(model) = permit else {
        return Ok(credits::list_of_models(provider, catalogue, account, at));
    };
    credits::one_model(provider, catalogue, account, &model, at).ok_or(Refusal::NoSuchModel { model })
}

static ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// What takes a model, in each format.
const OPENAI: [&str; 8] = [
    "chat/completions",
    "responses",
    "completions",
    "embeddings",
    "images/generations",
    "audio/speech",
    "audio/transcriptions",
    "moderations",
];
const ANTHROPIC: [&str; 1] = ["messages"];

/// The models that this caller can ask for, in the format that he speaks, or the one of this name.
pub(crate) fn open(
    deps: &Deps,
    place: &Place,
    caller: &Caller,
    head: &Parts,
    name: Option<&str>,
    consulted: Option<&Consulted>,
) -> Result<Bytes, Refusal> {
    let speaks_anthropic = head.headers.contains_key(&ANTHROPIC_VERSION);
    let (dialect, operations, endpoint) = match speaks_anthropic {
        true => (Dialect::Anthropic, &ANTHROPIC[..], Endpoint::Messages),
        false => (Dialect::OpenAi, &OPENAI[..], Endpoint::ChatCompletions),
    };
    let selection = consulted.map_or(selection(), |consulted| &consulted.compiled.selection);
    let may_ask = |host: &Host<'_>| {
        let Some(server) = servers::of(consulted.map(|consulted| &*consulted.compiled), *host) else {
            return false;
        };
        let of_policy = match (consulted, host.configured) {
            (Some(consulted), Some((in_policy, _))) => consulted.keys(in_policy).unwrap_or_default(),
            _ => Vec::new(),
        };
        let whom = (&server, endpoint);
        route::credentials(deps, place, caller, &head.headers, whom, Brought::Anywhere, of_policy).is_ok()
    };
    let hosts: Vec<Host<'_>> = selection.hosts().into_iter().filter(may_ask).collect();
    let asked = |operation: &&'static str| Asked { dialect, operation };
    let mut candidates: Vec<Candidate<'_>> =
        operations.iter().flat_map(|operation| selection.everything(asked(operation))).collect();
    candidates.retain(|candidate| hosts.iter().any(|host| host.is(candidate.host)));
    let created = Catalogue::current().effective_from();
    let Some(name) = name else {
        return Ok(match dialect {
            Dialect::OpenAi | Dialect::Google => listing::openai(&candidates, created),
            Dialect::Anthropic => listing::anthropic(&candidates, created),
        });
    };
    let is_called = |candidate: &&Candidate<'_>| {
        candidate.id() == name || candidate.aliases().iter().any(|alias| alias == name)
    };
    let found = candidates.iter().find(is_called);
    let found = found.ok_or_else(|| Refusal::NoSuchModel { model: name.chars().take(256).collect() })?;
    Ok(listing::one(found, dialect, created))
}
