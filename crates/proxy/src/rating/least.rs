//! What a request is taken to have cost if its process dies and nobody hears of it again: its input.

use model::Nanos;
use model::usage::{Provenance, Tokens, UsageRecord};
use providers::prices::Found;

use super::Markup;

/// The least that a request comes to once its provider was called.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Least {
    input: u64,
    cost: Option<Nanos>,
    charge: Nanos,
    price: Option<(String, String)>,
}

impl Least {
    /// An input of about so many tokens, at about this cost by these prices.
    pub fn of(found: &Found<'_>, markup: Option<Markup>, input: u64, cost: Nanos) -> Self {
        Self {
            input,
            cost: Some(cost),
            charge: markup.map_or(Nanos::ZERO, |markup| markup.on(cost)),
            price: Some((found.name.to_owned(), found.version.to_owned())),
        }
    }

    /// Writes it into a record, in the place of what will be known in the end.
    pub fn stand_in(self, record: &mut UsageRecord) {
        let Self { input, cost, charge, price } = self;
        record.tokens = Tokens { input, ..Tokens::default() };
        record.provenance = if input > 0 { Provenance::Estimated } else { Provenance::None };
        record.cost = cost;
        record.charge = charge;
        (record.price_model, record.price_version) = price.unwrap_or_default();
    }
}
