//! Requests that credits pay for. What one can cost at most is set aside before its provider is called;
//! where that is more than there is, the answer is bounded more closely, and the provider is told.

use std::sync::Arc;

use meter::{Claim, Denied};
use model::Nanos;
use model::usage::Measure;
use providers::credits::bound::bound;
use providers::credits::{Bound, Facts, Steps, Unbounded};
use providers::prices::{Catalogue, Found};
use providers::request::Fields;

use super::{Admission, Asked, note, reached};
use crate::limits::Rule;
use crate::limits::local::Full;
use crate::rating::{Least, Markup, Rating};
use crate::refusal::{Refusal, Unpaid};
use crate::relayed::Paying;
use crate::stages::inspect::Inquiry;
use crate::visit::Visit;

/// So often a request is bounded more closely: for the balance, for limits, and once it is counted.
const TRIES: usize = 6;

const UNLISTED: &str =
    "anything: the price list has no model of this provider, so the operator would have to set its prices";

const NO_RECORD: Unpaid = Unpaid::NotNow { reason: "this proxy has no room for records" };

/// Admits a request that credits pay for.
pub(super) async fn admission(
    visit: &mut Visit,
    asked: Asked<'_>,
    facts: Facts,
    rules: Vec<Arc<Rule>>,
) -> Result<Admission, Refusal> {
    let Asked { place, inquiry, rating, .. } = asked;
    let markup = rating.markup().ok_or(Refusal::Bug)?;
    visit.record().markup_ppm = markup.0;
    let Some(found) = rating.price() else {
        let is_listed = Catalogue::current().models(rating.server.provider.slug).next().is_some();
        let what = if is_listed { "anything" } else { UNLISTED };
        let unpriced = Unbounded::Unpriced { model: rating.model().to_owned(), what };
        return Err(unpaid(visit, rating, &rules, unpriced, None));
    };
    let max_output_tokens = place.gateway.gateway.max_output_tokens.into();
    let mut offer = Offer { facts, found, max_output_tokens, affordable: Nanos(i64::MAX), is_counted: false };
    let mut short = None;
    for _ in 0..TRIES {
        let bound = match offer.bound(rating) {
            Ok(bound) => bound,
            Err(Unbounded::TooLittle { .. }) if offer.count(inquiry).await => continue,
            Err(unbounded) => return Err(unpaid(visit, rating, &rules, unbounded, short)),
        };
        let least = || Least::of(&offer.found, Some(markup), offer.facts.estimated(), bound.floor);
        if !visit.is_open() && !visit.open(least()) {
            return Err(NO_RECORD.into());
        }
        let claim = claim(&bound, markup, &rules);
        match visit.hold(&claim).await {
            Ok(standing) => {
                note(visit, &rules, &standing.remaining);
                visit.held = claim.amount;
                visit.output_limit = bound.output_limit.or(visit.output_limit);
                return Ok(admitted(bound, &offer.facts, markup, rules, inquiry, rating));
            }
            Err(Denied::Credits { free, .. }) => {
                short = Some(Short::Credits { free });
                offer.is_worth(markup.before(free));
            }
            Err(Denied::Limit { index, remaining, retry_after }) => {
                let full = Full { index, remaining, retry_after };
                short = Some(Short::Limit(full));
                match rules.get(index).map(|rule| rule.counter.measure) {
                    Some(Measure::Spend) => offer.is_worth(Nanos(remaining)),
                    Some(Measure::Tokens) => offer.is_worth(bound.up_to_tokens(remaining)),
                    Some(Measure::Requests) | None => return Err(reached(visit, rating, &rules, full)),
                }
            }
            Err(Denied::Unavailable { reason }) => return Err(Unpaid::NotNow { reason }.into()),
            Err(Denied::SpoolFull) => return Err(NO_RECORD.into()),
        }
    }
    let too_little = Unbounded::TooLittle { needed: Nanos::ZERO, available: offer.affordable };
    Err(unpaid(visit, rating, &rules, too_little, short))
}

/// What a request is worth to those who pay for it.
struct Offer<'a> {
    facts: Facts,
    found: Found<'a>,
    max_output_tokens: u64,
    /// What the provider's bill may be at most.
    affordable: Nanos,
    is_counted: bool,
}

/// What there was too little of.
#[derive(Debug, Clone, Copy)]
enum Short {
    /// Credits.
    Credits { free: Nanos },
    /// A limit.
    Limit(Full),
}

impl Offer<'_> {
    fn bound(&self, rating: &Rating) -> Result<Bound, Unbounded> {
        bound(rating.server.provider, &self.facts, &self.found, self.max_output_tokens, self.affordable)
    }

    /// No more than this can be spent, as it turned out.
    fn is_worth(&mut self, affordable: Nanos) {
        self.affordable = affordable.min(self.affordable);
    }

    /// Counts the input, once, because its bytes are too many; that takes too long for the threads that
    /// serve others. Says whether it could be done.
    async fn count(&mut self, inquiry: &Inquiry) -> bool {
        if std::mem::replace(&mut self.is_counted, true) {
            return false;
        }
        let (mut facts, text) = (self.facts.clone(), inquiry.text.clone());
        let counting = tokio::task::spawn_blocking(move || facts.count(&text).then_some(facts));
        let Ok(Some(facts)) = counting.await else { return false };
        self.facts = facts;
        true
    }
}

fn claim(bound: &Bound, markup: Markup, rules: &[Arc<Rule>]) -> Claim {
    let output = bound.step.unwrap_or(bound.output_tokens).min(bound.output_tokens);
    let tokens = i64::try_from(bound.input_tokens.saturating_add(output)).unwrap_or(i64::MAX);
    let amount = markup.on(bound.hold);
    let counters = rules.iter().map(|rule| (rule.counter.clone(), rule.taken(bound.hold, tokens)));
    let floor = markup.on(bound.floor).min(amount);
    Claim { amount, on_credits: true, floor, counters: counters.collect() }
}

/// Tells the provider what was decided, and says how the answer is paid for.
fn admitted(
    bound: Bound,
    facts: &Facts,
    markup: Markup,
    rules: Vec<Arc<Rule>>,
    inquiry: &mut Inquiry,
    rating: &Arc<Rating>,
) -> Admission {
    bound.splice(facts, &inquiry.text, &mut inquiry.splices);
    // Usage was asked for already, unless the body came compressed.
    if inquiry.stream
        && !inquiry.hides_usage
        && !rating.server.provider.tells_usage
        && let Ok(fields) = Fields::read(&inquiry.text)
        && fields.lacks_usage(facts.endpoint())
    {
        fields.ask_for_usage(&mut inquiry.splices);
        inquiry.hides_usage = true;
    }
    let is_visible = bound.is_visible;
    let (answers, include_usage) = (facts.answers(), facts.include_usage());
    let steps = Steps::new(bound);
    let paying = steps.map(|steps| Paying { steps, rules, markup, answers, include_usage });
    Admission { paying, is_visible, owed: Some(Arc::clone(rating)) }
}

/// Why there is no bound that can be held, as it is told.
fn unpaid(
    visit: &mut Visit,
    rating: &Rating,
    rules: &[Arc<Rule>],
    unbounded: Unbounded,
    short: Option<Short>,
) -> Refusal {
    match (unbounded, short) {
        (Unbounded::TooLittle { .. }, Some(Short::Limit(full))) => reached(visit, rating, rules, full),
        (Unbounded::TooLittle { needed, available }, short) => {
            let markup = rating.markup().unwrap_or(Markup(0));
            let free = match short {
                Some(Short::Credits { free }) => free,
                _ => markup.on(available),
            };
            Unpaid::Short { needed: markup.on(needed), free }.into()
        }
        (Unbounded::Unpriced { what, .. }, _) => {
            let (provider, model) = (rating.server.provider.slug, rating.model().to_owned());
            Unpaid::NotAvailable { provider, model, what }.into()
        }
        (Unbounded::Forbidden(forbidden), _) => Unpaid::Forbidden(forbidden).into(),
    }
}
