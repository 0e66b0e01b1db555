//! Whether a model may be sold for what is asked of it, as far as its price decides that.

use super::{Facts, Forbidden, Operation, Unbounded};
use crate::prices::Found;

const KIND: &str =
    "must be a model that is made for this operation: what others make of it has no bound here";
const OTHER_UNITS: &str = "tokens alone: it bills other units beside them, which are not counted here";
const NOTHING: &str =
    "what is asked of it: the list has it for nothing, which the operator would have to confirm";

/// Why a model is not sold.
enum Unsold {
    /// It is of another kind.
    Kind,
    /// It has no price for this.
    Price(&'static str),
}

/// Refuses what is not sold.
pub(super) fn check(facts: &Facts, found: &Found<'_>) -> Result<(), Unbounded> {
    let operation = facts.credits.operations.iter().find(|operation| operation.endpoint == facts.endpoint);
    match operation.and_then(|operation| operation.unsold(found)) {
        None => Ok(()),
        Some(Unsold::Kind) => Err(Forbidden::field("model", KIND).into()),
        Some(Unsold::Price(what)) => Err(Unbounded::Unpriced { model: facts.model.clone(), what }),
    }
}

impl Operation {
    /// Whether a model is sold for this.
    pub(super) fn sells(&self, found: &Found<'_>) -> bool {
        self.unsold(found).is_none()
    }

    /// Models of another kind are not, nor those that bill what is not counted, nor those that the list has
    /// for nothing: whoever made it knew no price, or one of an introduction that is over.
    fn unsold(&self, found: &Found<'_>) -> Option<Unsold> {
        if self.modes.is_empty() {
            return None;
        }
        if !found.mode().is_empty() && !self.modes.contains(&found.mode()) {
            return Some(Unsold::Kind);
        }
        if found.price.units.values().any(|price| price.0 > 0) {
            return Some(Unsold::Price(OTHER_UNITS));
        }
        let tokens = &found.price.tokens;
        let is_paid = |price: Option<model::Picos>| price.is_some_and(|price| price.0 > 0);
        let is_free = !is_paid(tokens.input) && !is_paid(tokens.output);
        (is_free && !found.is_by_rule()).then_some(Unsold::Price(NOTHING))
    }
}
