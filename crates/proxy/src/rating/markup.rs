//! What is charged above cost.

use model::Nanos;

/// Millionths that are charged on top of cost; below zero, a discount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Markup(pub i64);

impl Markup {
    /// What is charged for a cost.
    pub fn on(self, cost: Nanos) -> Nanos {
        cost.with_markup(self.0)
    }

    /// The highest cost for which no more than this is charged.
    pub fn before(self, charge: Nanos) -> Nanos {
        const WHOLE: i128 = 1_000_000;
        // Charges are rounded half up, so this one is reached by all that lies below its upper half.
        let per_cost = (WHOLE + i128::from(self.0)).max(1);
        let most = (i128::from(charge.0) * WHOLE + WHOLE / 2 - 1).div_euclid(per_cost);
        Nanos(i64::try_from(most.max(0)).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_affordable_is_charged_no_more_and_one_more_is(
            charge in 0..4_000_000_000_000_000_i64,
            ppm in -900_000..3_000_000_i64,
        ) {
            let markup = Markup(ppm);
            let cost = markup.before(Nanos(charge));
            prop_assert!(markup.on(cost) <= Nanos(charge));
            prop_assert!(markup.on(Nanos(cost.0 + 1)) > Nanos(charge));
        }
    }
}
