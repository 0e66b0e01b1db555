//! What a request may say of a gateway's limits.

use std::collections::HashSet;

use serde_json::Value;

use crate::document::{Document, boolean, decimal, integer, one_of, text, texts};
use crate::gateway::{
    Budget, LARGEST_LIMIT, LimitType, SpendLimits, SpendRule, Split, Technique, TokenBudget, Unpriced,
};
use crate::money::Nanos;

pub(super) fn spend_limits(limits: &mut Document<'_>) -> Option<SpendLimits> {
    let enabled = limits.optional("enabled", false, boolean);
    let mut ids = HashSet::new();
    let rules = limits.list("rules", 20, |rule| spend_rule(rule, &mut ids));
    let unpriced = limits.optional("unpriced", Unpriced::Allow, one_of("`allow` or `refuse`"));
    Some(SpendLimits { enabled: enabled?, rules: rules?, unpriced: unpriced? })
}

fn spend_rule(rule: &mut Document<'_>, ids: &mut HashSet<String>) -> Option<SpendRule> {
    let id = rule.optional("id", String::new(), text(1..=64));
    if id.as_ref().is_some_and(|id| !id.is_empty() && !ids.insert(id.clone())) {
        rule.mistake("id", "`id` is that of an earlier rule");
    }
    let enabled = rule.optional("enabled", true, boolean);
    let limit_type = rule.required("limitType", one_of("`cost`"));
    let limit = rule.required("limit", dollars);
    let window = rule.required("window", integer(1..=u64::from(u32::MAX)));
    let technique = rule.optional("technique", Technique::Sliding, one_of("`fixed` or `sliding`"));
    let metadata = rule.values_of("metadata", split);
    let model = rule.optional("model", None, optional_split);
    let provider = rule.optional("provider", None, optional_split);
    let limit_type: LimitType = limit_type?;
    Some(SpendRule {
        id: id?,
        enabled: enabled?,
        limit_type,
        limit: Nanos(limit?),
        window: u32::try_from(window?).ok()?,
        technique: technique?,
        metadata,
        model: model?,
        provider: provider?,
    })
}

pub(super) fn token_budget(budget: &mut Document<'_>) -> Option<TokenBudget> {
    let limit = budget.required("limit", integer(1..=LARGEST_LIMIT.unsigned_abs()));
    let period = budget.required("period", one_of("`hour`, `day`, `week` or `month`"));
    let hard_stop = budget.optional("hard_stop", true, boolean);
    Some(TokenBudget { limit: limit?, period: period?, hard_stop: hard_stop? })
}

impl Budget {
    /// Reads what a request says of a budget.
    pub fn of(budget: &mut Document<'_>) -> Option<Self> {
        let limit = budget.required("limit", dollars);
        let period = budget.required("period", one_of("`hour`, `day`, `week` or `month`"));
        let hard_stop = budget.optional("hard_stop", true, boolean);
        Some(Self { limit: Nanos(limit?), period: period?, hard_stop: hard_stop? })
    }
}

fn dollars(value: &Value) -> Result<i64, String> {
    let expected = "a number of US dollars above 0, of at most 4,000,000 and nine decimals";
    decimal(9, 1..=LARGEST_LIMIT, expected)(value)
}

fn split(value: &Value) -> Result<Split, String> {
    match value.get("mode").and_then(Value::as_str) {
        Some("partition") => Ok(Split::Partition),
        Some("filter") => match value.get("values").map(texts(256)) {
            Some(Ok(values)) => Ok(Split::Filter { values }),
            _ => Err("must have `values`, a list of at most 256 strings".to_owned()),
        },
        _ => Err("must be `{\"mode\":\"partition\"}` or `{\"mode\":\"filter\",\"values\":[…]}`".to_owned()),
    }
}

fn optional_split(value: &Value) -> Result<Option<Split>, String> {
    match value {
        Value::Null => Ok(None),
        value => split(value).map(Some),
    }
}
