//! With which of the policy's keys a model is tried, and in which order.

use std::sync::Arc;

use super::candidates::Found;
use super::{Planning, Watched};
use crate::refusal::Refusal;
use crate::stages::consult::Consulted;
use crate::stages::route::Credential;
use crate::strategies::Why;
use crate::strategies::keys::{PolicyKey, choose};
use crate::strategies::told::{Chosen, KeysOfModel};

type Credentials = Vec<(Credential, Option<Box<Watched>>)>;

/// The credentials that are to be tried for one of those who can be asked. Strategies choose among keys of the
/// policy's; what is counted of whom, if anything is, stands beside them.
pub(super) fn chosen(
    planning: &Planning<'_>,
    consulted: &Consulted,
    found: &Found,
    credentials: Vec<Credential>,
    told: &mut Vec<KeysOfModel>,
) -> Result<Credentials, Refusal> {
    let strategies = &consulted.compiled.strategies;
    if !strategies.keys && !strategies.watch {
        return Ok(credentials.into_iter().map(|credential| (credential, None)).collect());
    }
    let account = planning.place.account_id;
    let keys: Vec<PolicyKey> = credentials
        .iter()
        .filter_map(|credential| match credential {
            Credential::Policy(secret) => Some(PolicyKey::of(account, secret.clone())),
            _ => None,
        })
        .collect();
    let watched = |key: Option<Arc<str>>| {
        let whose = (account, planning.place.gateway.gateway.internal_id);
        strategies.watch.then(|| Box::new(Watched::new(whose, found.at, key)))
    };
    if keys.is_empty() {
        let named = |credential: Credential| {
            let key = match &credential {
                Credential::Stored(key) => Some(key.id.to_string().into()),
                Credential::Bound(key) => Some(key.id.to_string().into()),
                _ => None,
            };
            (credential, watched(key))
        };
        return Ok(credentials.into_iter().map(named).collect());
    }
    let gateway = consulted.compiled.policy.ai_gateway().filter(|_| strategies.keys);
    let places = match gateway {
        Some(gateway) => {
            let (expressions, watching) = (&gateway.api_key_selection, planning.watching());
            let (places, selections) =
                consulted.run.look(|facts| choose(expressions, &keys, found.at, watching, facts));
            let model = found.model.as_deref().unwrap_or(&planning.inquiry.model);
            let model = format!("{}:{model}", found.server.id()).into();
            told.push(KeysOfModel { model, selections });
            let provider = || found.server.name();
            places.ok_or_else(|| Why::NoKey { provider: provider() }.refusal(Chosen::default()))?
        }
        None => (0..keys.len()).collect(),
    };
    let to_try = places.into_iter().filter_map(|place| keys.get(place)).map(|PolicyKey { id, secret }| {
        (Credential::Policy(Clone::clone(&**secret)), watched(Some(Arc::clone(id))))
    });
    Ok(to_try.collect())
}
