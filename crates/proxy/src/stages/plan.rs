//! Who is asked, and who else if that fails: each attempt is one provider, one model, one credential.

mod candidates;
mod chosen_keys;

use std::sync::Arc;

use http::request::Parts;
use model::Secret;

use super::authenticate::Caller;
use super::consult::Consulted;
use super::inspect::Inquiry;
use super::resolve::{Place, Target};
use super::route::{self, Brought, Credential};
use crate::deps::Deps;
use crate::effects::standing::Watched;
use crate::refusal::Refusal;
use crate::request_id::now_ms;
use crate::servers::Server;
use crate::strategies::told::Chosen;
use crate::strategies::{Unchosen, Watching, Why};
use candidates::Found;
pub use candidates::selection;
use chosen_keys::chosen;

/// One try at one provider.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Who is asked.
    pub server: Server,
    /// For which model, if that is not what the body says already.
    pub model: Option<String>,
    /// With which credential.
    pub credential: Credential,
    /// Under what it is counted how this goes, if strategies of the gateway's ask for that.
    pub watched: Option<Box<Watched>>,
}

/// What a plan is made of.
#[derive(Clone, Copy)]
struct Planning<'a> {
    deps: &'a Deps,
    place: &'a Place,
    head: &'a Parts,
    target: &'a Target,
    inquiry: &'a Inquiry,
    consulted: Option<&'a Consulted>,
}

/// No request is tried more often.
const MOST: usize = 10;

/// All attempts that a request may make, in their order, and what strategies did; there is at least one.
///
/// Where the address names the provider it is the only one, with each of its credentials. Else the models
/// that the caller names are looked up, each at everybody who serves it; strategies of the gateway's policy
/// have the last word on these. A key that the caller brought is for the first of them alone: nobody else is
/// shown it.
pub fn plan(
    deps: &Deps,
    place: &Place,
    caller: &Caller,
    head: &Parts,
    target: &Target,
    inquiry: &Inquiry,
    consulted: Option<&Consulted>,
) -> Result<(Vec<Attempt>, Chosen), Refusal> {
    let planning = Planning { deps, place, head, target, inquiry, consulted };
    let most = if inquiry.is_repeatable() { MOST } else { 1 };
    let (candidates, models) = planning.candidates()?;
    let mut told = Chosen { models, keys: Vec::new() };
    let (mut attempts, mut refused, mut first) = (Vec::new(), None, None::<Server>);
    let mut keys = Keys::default();
    for found in candidates {
        if attempts.len() >= most {
            break;
        }
        let is_first = first.get_or_insert_with(|| found.server.clone()).is(&found.server);
        let counts = match inquiry.server {
            Some(_) => Brought::WhereItIsRead,
            None if is_first => Brought::Anywhere,
            None => Brought::Never,
        };
        let of_policy = keys.of(consulted, &found)?;
        let whom = (&found.server, target.endpoint);
        let credentials = route::credentials(deps, place, caller, &head.headers, whom, counts, of_policy);
        let attempt = |credential, watched| Attempt {
            server: found.server.clone(),
            model: found.model.clone(),
            credential,
            watched,
        };
        let all = match (credentials, consulted) {
            (Ok(all), None) => {
                attempts.extend(all.into_iter().map(|credential| attempt(credential, None)));
                continue;
            }
            (Ok(all), Some(consulted)) => chosen(&planning, consulted, &found, all, &mut told.keys),
            (Err(refusal), _) => Err(refusal),
        };
        match all {
            Ok(all) => {
                attempts.extend(all.into_iter().map(|(credential, watched)| attempt(credential, watched)));
            }
            Err(refusal) => _ = refused.get_or_insert(refusal),
        }
    }
    attempts.truncate(most);
    match refused {
        _ if !attempts.is_empty() => Ok((attempts, told)),
        Some(Refusal::Unchosen(unchosen)) => Err(unchosen.why.refusal(told)),
        Some(refusal) => Err(refusal),
        None => Err(Refusal::Bug),
    }
}

impl<'a> Planning<'a> {
    /// Where strategies learn how models and keys have fared, if any of them asks.
    fn watching(&self) -> Option<Watching<'a>> {
        self.consulted.filter(|consulted| consulted.compiled.strategies.watch).map(|_| Watching {
            standing: self.deps.effects.standing(),
            whose: (self.place.account_id, self.place.gateway.gateway.internal_id),
            now_ms: now_ms(),
        })
    }
}

impl Why {
    fn refusal(self, chosen: Chosen) -> Refusal {
        Refusal::Unchosen(Box::new(Unchosen { why: self, chosen }))
    }
}

/// The policy's keys for its providers, each computed once: secrets are opened for it.
#[derive(Default)]
struct Keys {
    of: Vec<(usize, Arc<[Secret]>)>,
}

impl Keys {
    fn of(&mut self, consulted: Option<&Consulted>, found: &Found) -> Result<Vec<Secret>, Refusal> {
        let (Some(consulted), Some(provider)) = (consulted, found.place) else { return Ok(Vec::new()) };
        if let Some((_, keys)) = self.of.iter().find(|(of, _)| *of == provider) {
            return Ok(keys.to_vec());
        }
        let keys = consulted.keys(provider)?;
        self.of.push((provider, keys.as_slice().into()));
        Ok(keys)
    }
}
