//! Prices beside those of the price list: the operator's, which go before the list's for everybody, and
//! an account's, which decide what its requests on own keys are reported to cost. Put in order once for
//! each snapshot.

use std::sync::{Arc, OnceLock};

use model::prices::PriceRule;
use providers::prices::{Catalogue, Rules};

/// The price rules of an account or of the installation, put in order when first asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct OwnPrices {
    catalogue: OnceLock<Option<Arc<Catalogue>>>,
    rules: OnceLock<Option<Arc<Rules>>>,
}

impl OwnPrices {
    /// The price list under these rules; `None` if there are none.
    pub(crate) fn catalogue<'a>(
        &self,
        rules: impl Iterator<Item = &'a Arc<PriceRule>>,
    ) -> Option<&Arc<Catalogue>> {
        let ordered = || {
            let rules: Vec<PriceRule> = read(rules).collect();
            (!rules.is_empty()).then(|| Arc::new(Catalogue::new(rules)))
        };
        self.catalogue.get_or_init(ordered).as_ref()
    }

    /// These rules by themselves; `None` if there are none.
    pub(crate) fn rules<'a>(&self, rules: impl Iterator<Item = &'a Arc<PriceRule>>) -> Option<&Arc<Rules>> {
        let ordered = || {
            let rules = Rules::new(read(rules));
            (!rules.is_empty()).then(|| Arc::new(rules))
        };
        self.rules.get_or_init(ordered).as_ref()
    }
}

fn read<'a>(rules: impl Iterator<Item = &'a Arc<PriceRule>>) -> impl Iterator<Item = PriceRule> {
    rules.map(|rule| PriceRule::clone(rule))
}
