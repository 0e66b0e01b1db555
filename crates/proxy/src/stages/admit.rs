//! Permission to call the provider. It exists only once the request is in the spool, fits into every
//! limit that it falls under, and, if credits pay for it, its bound is set aside.

mod credits;
mod own;

use std::sync::Arc;
use std::time::Duration;

use providers::credits::Facts;

use super::authenticate::Caller;
use super::inspect::Inquiry;
use super::resolve::Place;
use super::route::Credential;
use crate::limits::local::Full;
use crate::limits::{Left, Rule};
use crate::rating::Rating;
use crate::refusal::{Reached, Refusal};
use crate::relayed::Paying;
use crate::visit::Visit;

/// Evidence that a request was admitted.
#[derive(Debug)]
pub struct Admission {
    /// How its stream is paid for, if that is done as it comes.
    pub paying: Option<Paying>,
    /// Whether all that is billed of a stream is seen in it.
    pub is_visible: bool,
    /// What the input is rated by, should the attempt be given up before its first byte. Only where
    /// something was set aside.
    pub owed: Option<Arc<Rating>>,
}

/// What is asked, of whom and at whose expense.
pub struct Asked<'a> {
    /// Where.
    pub place: &'a Place,
    /// By whom.
    pub caller: &'a Caller,
    /// With which credential.
    pub credential: &'a Credential,
    /// What is known of a request that credits pay for.
    pub facts: Option<Box<Facts>>,
    /// The request's body.
    pub inquiry: &'a mut Inquiry,
    /// What it is rated by.
    pub rating: &'a Arc<Rating>,
}

/// Writes down what is about to be asked, and sets aside what it needs.
pub async fn admission(visit: &mut Visit, mut asked: Asked<'_>) -> Result<Admission, Refusal> {
    let record = visit.record();
    record.key_source = asked.credential.source();
    record.key_alias = asked.credential.alias().into_owned();
    let rules = rules(visit, &asked);
    match asked.facts.take() {
        Some(facts) => credits::admission(visit, asked, *facts, rules).await,
        None => own::admission(visit, &asked, &rules).await,
    }
}

/// The limits that the request falls under.
fn rules(visit: &mut Visit, asked: &Asked<'_>) -> Vec<Arc<Rule>> {
    let Asked { place, rating, .. } = asked;
    let metadata = &visit.record().metadata;
    let of_gateway =
        place.gateway.limits.rules(&place.gateway.gateway, rating.server.name(), rating.model(), metadata);
    let of_account = place.account.spending_rule(place.account_id);
    let bounded = asked.caller.token().and_then(|token| token.bounded.as_ref());
    let of_token =
        bounded.and_then(|live| place.gateway.limits.of_token(&place.gateway.gateway, &live.token));
    let of_operator = match asked.credential {
        Credential::Credits => {
            let snapshot = visit.deps().snapshot.load();
            let calls = snapshot.terms().and_then(|terms| terms.calls_a_minute);
            calls.map(|calls| Arc::new(Rule::wholesale(&place.gateway.gateway, calls)))
        }
        Credential::None
        | Credential::Request(..)
        | Credential::Stored(_)
        | Credential::Bound(_)
        | Credential::Policy(_) => None,
    };
    let all = of_gateway.iter().cloned().chain(of_account.cloned()).chain(of_token).chain(of_operator);
    // However often a request is tried, it is one call.
    let is_counted = visit.record().attempt > 0;
    all.filter(|rule| !(is_counted && rule.counts_calls())).collect()
}

/// Notes what is left of each limit, for the answer's headers.
fn note(visit: &mut Visit, rules: &[Arc<Rule>], remaining: &[i64]) {
    let now = Duration::from_millis(visit.arrival().at_ms);
    visit.left = Left::of(rules.iter().zip(remaining.iter().copied()), now);
}

/// A limit that has no room, as it is told.
fn reached(visit: &mut Visit, rating: &Rating, rules: &[Arc<Rule>], full: Full) -> Refusal {
    let Full { index, remaining, retry_after } = full;
    let Some(rule) = rules.get(index) else { return Refusal::Bug };
    note(visit, &rules[index..=index], &[remaining]);
    Refusal::Reached(Box::new(Reached {
        rule: Arc::clone(rule),
        remaining,
        retry_after,
        provider: rating.server.name(),
        model: rating.model().to_owned(),
    }))
}
