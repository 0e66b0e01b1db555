//! Rules, arranged so that asking them costs next to nothing where there are none, and little where
//! there are many.

use std::collections::{BTreeMap, HashMap};

use model::AccountId;
use model::prices::{ModelRule, PriceRule};
use time::OffsetDateTime;

use super::Found;

/// An operator's rules, or an account's.
///
/// Where several fit, the one for the account goes before the one for all; then `equals` before
/// `starts-with` before `contains`; then the longer one; then the later one.
#[derive(Debug, Default)]
pub struct Rules(HashMap<String, OfProvider>);

#[derive(Debug, Default)]
struct OfProvider {
    equal: HashMap<String, Vec<Rule>>,
    /// By the length of what a name must begin with, so that each length costs one look.
    beginnings: BTreeMap<usize, HashMap<String, Vec<Rule>>>,
    within: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    rule: PriceRule,
    version: String,
}

impl Rules {
    /// Arranges rules; those that are switched off are left out.
    pub fn new(rules: impl IntoIterator<Item = PriceRule>) -> Self {
        let mut arranged = Self::default();
        for rule in rules.into_iter().filter(|rule| rule.enable) {
            let of_provider = arranged.0.entry(rule.provider.clone()).or_default();
            let (model, version) = (rule.model.clone(), rule.id.to_string());
            let place = match rule.model_rule {
                ModelRule::Equals => of_provider.equal.entry(model).or_default(),
                ModelRule::StartsWith => {
                    of_provider.beginnings.entry(model.len()).or_default().entry(model).or_default()
                }
                ModelRule::Contains => &mut of_provider.within,
            };
            place.push(Rule { rule, version });
        }
        arranged
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The models of a provider that rules name letter by letter.
    pub fn names<'a>(&'a self, provider: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        self.0.get(provider).into_iter().flat_map(|of_provider| of_provider.equal.keys()).map(String::as_str)
    }

    /// The price of exactly this name for an account at a moment, if a rule sets one.
    pub fn find<'a>(
        &'a self,
        account: AccountId,
        provider: &str,
        model: &'a str,
        at: OffsetDateTime,
    ) -> Option<Found<'a>> {
        let of_provider = self.0.get(provider)?;
        let holds = |rule: &&Rule| {
            rule.rule.effective_from <= at && rule.rule.account.is_none_or(|only| only == account)
        };
        let best = of_provider.fitting(model).filter(holds).max_by_key(|Rule { rule, .. }| {
            (rule.account.is_some(), rule.model_rule, rule.model.len(), rule.effective_from, rule.id)
        })?;
        Some(Found { by_rule: true, ..Found::of(&best.rule.price, model, &best.version) })
    }
}

impl OfProvider {
    fn fitting<'a>(&'a self, model: &'a str) -> impl Iterator<Item = &'a Rule> {
        let beginning =
            |(length, rules): (&usize, &'a HashMap<String, Vec<Rule>>)| rules.get(model.get(..*length)?);
        let beginnings = self.beginnings.range(..=model.len()).filter_map(beginning);
        let within = self.within.iter().filter(|rule| model.contains(&rule.rule.model));
        self.equal.get(model).into_iter().chain(beginnings).flatten().chain(within)
    }
}

#[cfg(test)]
mod tests {
    use model::Picos;
    use model::id::PriceRuleId;
    use model::prices::{Price, TokenPrices};
    use time::Duration;
    use uuid::Uuid;

    use super::*;

    const MINE: AccountId = AccountId(Uuid::from_u128(1));
    const OTHER: AccountId = AccountId(Uuid::from_u128(2));
    const BEGIN: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn rule(number: i64, model: &str, model_rule: ModelRule) -> PriceRule {
        let tokens = TokenPrices { input: Some(Picos(number)), ..TokenPrices::default() };
        PriceRule {
            id: PriceRuleId(Uuid::from_u128(number.try_into().unwrap())),
            provider: "openai".to_owned(),
            model: model.to_owned(),
            model_rule,
            account: None,
            effective_from: BEGIN,
            enable: true,
            price: Price { tokens, ..Price::default() },
        }
    }

    fn found(rules: &Rules, account: AccountId, model: &str, at: OffsetDateTime) -> Option<i64> {
        let found = rules.find(account, "openai", model, at)?;
        Some(found.price.tokens.input.unwrap().0)
    }

    #[test]
    fn the_closest_rule_goes_first() {
        let rules = Rules::new([
            rule(1, "gpt", ModelRule::Contains),
            rule(2, "gpt-4", ModelRule::StartsWith),
            rule(3, "gpt-4o", ModelRule::StartsWith),
            rule(4, "gpt-4o-mini", ModelRule::Equals),
        ]);
        let found = |model| found(&rules, MINE, model, BEGIN);
        assert_eq!(
            ["my-gpt", "gpt-4.1", "gpt-4o-x", "gpt-4o-mini"].map(found),
            [Some(1), Some(2), Some(3), Some(4)]
        );
        assert_eq!((found("o3"), found("gp"), found("é")), (None, None, None));
        assert!(rules.find(MINE, "anthropic", "gpt-4o", BEGIN).is_none());
    }

    #[test]
    fn an_accounts_own_rule_goes_before_one_for_all() {
        let mine = PriceRule { account: Some(MINE), ..rule(1, "gpt", ModelRule::Contains) };
        let rules = Rules::new([mine, rule(2, "gpt-4o", ModelRule::Equals)]);
        assert_eq!(found(&rules, MINE, "gpt-4o", BEGIN), Some(1));
        assert_eq!(found(&rules, OTHER, "gpt-4o", BEGIN), Some(2));
    }

    #[test]
    fn a_rule_holds_from_its_moment_on() {
        let later =
            PriceRule { effective_from: BEGIN + Duration::DAY, ..rule(2, "gpt-4o", ModelRule::Equals) };
        let off = PriceRule { enable: false, ..rule(3, "gpt-4o", ModelRule::Equals) };
        let rules = Rules::new([rule(1, "gpt-4o", ModelRule::Equals), later, off]);
        let at = |at| found(&rules, MINE, "gpt-4o", at);
        assert_eq!(at(BEGIN - Duration::SECOND), None);
        assert_eq!((at(BEGIN), at(BEGIN + Duration::DAY)), (Some(1), Some(2)));
    }
}
