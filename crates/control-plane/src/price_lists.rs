//! Prices as they were when a request was rated.

use model::id::PriceRuleId;
use model::prices::{Price, PriceRule};
use providers::prices::Catalogue;
use store::receipts::{self, Evidence};
use store::{Store, StoreError};

/// The price that a record was rated by: its rule's at that moment, or its version of the price list's.
/// `None` where it was rated by nothing that is kept, such as prices in a header of the request.
pub(crate) async fn price_then(store: &Store, evidence: &Evidence) -> Result<Option<Price>, StoreError> {
    if let Ok(rule) = evidence.price_version.parse::<PriceRuleId>() {
        let said = receipts::rule_then(store, rule, evidence.at).await?;
        let rule = said.map(serde_json::from_value::<PriceRule>).transpose();
        return Ok(rule.map_err(|_| StoreError::Unreadable("price rule"))?.map(|rule| rule.price));
    }
    let lists = Catalogue::current().lists();
    let list = lists.iter().find(|list| list.version() == evidence.price_version);
    Ok(list.and_then(|list| list.get(&evidence.provider, &evidence.price_model)).cloned())
}
