//! Requests on the caller's or the gateway's own key. Nothing is spliced there, so what is set aside of
//! limits on money and tokens is what can be read in the request, and what it came to takes its place.
//!
//! Where the caller names a limit of output, a request that might go beyond what is left is refused.
//! Where he names none, hardly any would fit at the end of a window, though most answers are short: then
//! what is left is set aside as it is, if it pays for the input and a short answer. As all of it is set
//! aside, one such request runs at a time, and what it may cost more is all that a limit can be passed
//! by.

use std::sync::Arc;
use std::time::Duration;

use meter::{Claim, Denied};
use model::gateway::Unpriced;
use model::{AccountId, Nanos};
use tracing::debug;

use super::{Admission, Asked, note, reached};
use crate::limits::bound::Estimate;
use crate::limits::local::Full;
use crate::limits::{Kind, Rule};
use crate::refusal::Refusal;
use crate::visit::Visit;

/// Admits a request that its own key pays for.
pub(super) async fn admission(
    visit: &mut Visit,
    asked: &Asked<'_>,
    rules: &[Arc<Rule>],
) -> Result<Admission, Refusal> {
    let mut estimate = match rules.iter().all(|rule| rule.counts_calls()) {
        true => Estimate::default(),
        false => {
            let max_output_tokens = asked.place.gateway.gateway.max_output_tokens;
            Estimate::of(asked.rating, asked.inquiry, &visit.record().method, max_output_tokens)?
        }
    };
    priced(asked, rules, &estimate)?;
    // When there is no room, it goes on without a record; the meter counts what is missed.
    visit.open(estimate.floor(asked.rating));
    if !rules.is_empty() {
        limited(visit, asked, rules, &mut estimate).await?;
    }
    let owed = (!rules.is_empty()).then(|| Arc::clone(asked.rating));
    Ok(Admission { paying: None, is_visible: false, owed })
}

async fn limited(
    visit: &mut Visit,
    asked: &Asked<'_>,
    rules: &[Arc<Rule>],
    estimate: &mut Estimate,
) -> Result<(), Refusal> {
    let rating = asked.rating;
    let wanted = |estimate: &Estimate| {
        let counters = rules.iter().map(|rule| (rule.counter.clone(), estimate.taken(rule)));
        Claim { amount: Nanos::ZERO, on_credits: false, floor: Nanos::ZERO, counters: counters.collect() }
    };
    let mut claim = wanted(estimate);
    // Each limit can give way once, and once more when the input is counted.
    let mut tries = rules.len();
    loop {
        let full = match taken(visit, asked.place.account_id, &claim).await {
            Ok(remaining) => {
                note(visit, rules, &remaining);
                return Ok(());
            }
            Err(full) => full,
        };
        let Some(rule) = rules.get(full.index).filter(|rule| !rule.counts_calls()) else {
            return Err(reached(visit, rating, rules, full));
        };
        let amount = claim.counters[full.index].1;
        if estimate.count(rating).await {
            claim = wanted(estimate);
        } else if tries > 0 && (estimate.least(rule)..amount).contains(&full.remaining) {
            claim.counters[full.index].1 = full.remaining;
            tries -= 1;
        } else {
            return Err(reached(visit, rating, rules, full));
        }
    }
}

/// Takes what is wanted of the limits and says what remains of each: as Redis counts, or by ourselves
/// where it is away, does not know the account yet, or where there is no room for a record.
async fn taken(visit: &mut Visit, account: AccountId, claim: &Claim) -> Result<Vec<i64>, Full> {
    let now = Duration::from_millis(visit.arrival().at_ms);
    let locals = visit.deps().local_limits.clone();
    if !locals.stand_in_for(account, now) {
        match visit.hold(claim).await {
            Ok(standing) => return Ok(standing.remaining),
            Err(Denied::Limit { index, remaining, retry_after }) => {
                return Err(Full { index, remaining, retry_after });
            }
            Err(denied) => {
                debug!(?denied, "Limits are counted by this proxy alone");
                if let Denied::Unavailable { .. } = denied {
                    locals.stand_in(account, now);
                }
            }
        }
    }
    let (hold, remaining) = locals.hold(&claim.counters, now)?;
    visit.local = Some(hold);
    Ok(remaining)
}

/// A gateway may want to know what requests cost that its limits concern.
fn priced(asked: &Asked<'_>, rules: &[Arc<Rule>], estimate: &Estimate) -> Result<(), Refusal> {
    if rules.is_empty() || estimate.is_priced() || asked.place.gateway.gateway.unpriced == Unpriced::Allow {
        return Ok(());
    }
    let concerned = rules.iter().find_map(|rule| match &rule.kind {
        Kind::Spend { rule } => Some(rule.clone()),
        Kind::Account => Some("account".to_owned()),
        Kind::Token => Some("token".to_owned()),
        Kind::Rate | Kind::Wholesale | Kind::Tokens => None,
    });
    let Some(rule) = concerned else { return Ok(()) };
    let (provider, model) = (asked.rating.server.slug(), asked.rating.model());
    if let Some(member) = estimate.unpriced() {
        let what = format!("`{member}` as it is asked for");
        return Err(Refusal::Unpriced { rule, what, field: Some(member) });
    }
    let (field, what) = match (estimate.is_later(), asked.rating.endpoint.runs_a_model()) {
        (true, _) => (Some("background"), "a response in the `background`".to_owned()),
        (false, true) => (Some("model"), format!("`{model}` of `{provider}`")),
        (false, false) => (None, format!("what is begun at this endpoint of `{provider}`")),
    };
    Err(Refusal::Unpriced { rule, what, field })
}
