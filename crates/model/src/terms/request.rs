//! What a request may say of terms. What it leaves out stays as it is.

use std::ops::RangeInclusive;

use serde_json::Value;

use super::{AccountTerms, OperatorSettings, PPM, SpendingLimit};
use crate::document::{self, Document, Mistake, decimal, integer, nullable, one_of};
use crate::gateway::LARGEST_LIMIT;
use crate::money::Nanos;

/// A cent in nano-dollars.
const CENT: i64 = 10_000_000;
/// From giving everything away to a hundred times the cost.
const MARKUPS: RangeInclusive<i64> = -PPM..=100 * PPM;

impl OperatorSettings {
    /// The settings after a request to change them.
    pub fn changed(&self, body: &Value) -> Result<Self, Vec<Mistake>> {
        document::read(body, |document| {
            let markup = share(document, ["default_markup_percent", "default_markup_ppm"], MARKUPS);
            let fee = share(document, ["purchase_fee_percent", "purchase_fee_ppm"], 0..=PPM);
            let calls = document.optional("calls_a_minute", None, |value| {
                nullable(integer(1..=u64::from(u32::MAX)))(value).map(Some)
            });
            let minimum = amount(document, ["minimum_topup", "minimum_topup_usd"]);
            let maximum = amount(document, ["maximum_topup", "maximum_topup_usd"]);
            let (markup, calls) = (markup?, calls?);
            let changed = Self {
                terms: super::Terms {
                    default_markup_ppm: markup.unwrap_or(self.terms.default_markup_ppm),
                    calls_a_minute: match calls {
                        Some(calls) => calls.and_then(|calls| u32::try_from(calls).ok()),
                        None => self.terms.calls_a_minute,
                    },
                },
                purchase_fee_ppm: fee?.unwrap_or(self.purchase_fee_ppm),
                minimum_topup: minimum?.unwrap_or(self.minimum_topup),
                maximum_topup: maximum?.unwrap_or(self.maximum_topup),
            };
            if changed.minimum_topup > changed.maximum_topup {
                document.mistake("minimum_topup", "`minimum_topup` must not be above `maximum_topup`");
            }
            Some(changed)
        })
    }
}

impl AccountTerms {
    /// The terms after the operator's request to change them. Null takes the account's own markup away.
    pub fn changed(&self, body: &Value) -> Result<Self, Vec<Mistake>> {
        document::read(body, |document| {
            document.ignored(&["effective_markup_percent", "effective_markup_ppm", "spending_limit"]);
            let percent = document
                .optional("markup_percent", None, |value| nullable(percent(MARKUPS))(value).map(Some));
            let ppm = document.optional("markup_ppm", None, |value| nullable(ppm(MARKUPS))(value).map(Some));
            let markup = agreed(document, ["markup_percent", "markup_ppm"], percent?, ppm?)?;
            Some(Self { markup_ppm: markup.unwrap_or(self.markup_ppm), ..*self })
        })
    }
}

impl SpendingLimit {
    /// Reads an account's request: `amount` in cents or `amount_usd`, `duration`, `strategy`.
    pub fn of_request(body: &Value) -> Result<Self, Vec<Mistake>> {
        document::read(body, |document| {
            let amount = amount(document, ["amount", "amount_usd"]);
            if amount == Some(None) {
                document.mistake("amount", "`amount` is required");
            }
            let duration = document.required("duration", one_of("`daily`, `weekly` or `monthly`"));
            let strategy = document.required("strategy", one_of("`fixed` or `sliding`"));
            Some(Self { amount: amount??, duration: duration?, strategy: strategy? })
        })
    }
}

/// A share of something, in percent with up to four decimals or in millionths.
fn share(
    document: &mut Document<'_>,
    names: [&'static str; 2],
    bounds: RangeInclusive<i64>,
) -> Option<Option<i64>> {
    let read_percent = document.optional(names[0], None, |value| percent(bounds.clone())(value).map(Some));
    let read_ppm = document.optional(names[1], None, |value| ppm(bounds)(value).map(Some));
    agreed(document, names, read_percent?, read_ppm?)
}

fn percent(bounds: RangeInclusive<i64>) -> impl Fn(&Value) -> Result<i64, String> {
    move |value| {
        let (least, most) = (bounds.start() / 10_000, bounds.end() / 10_000);
        decimal(4, bounds.clone(), "a percentage with at most four decimals")(value)
            .map_err(|expected| format!("{expected}, from {least} to {most}"))
    }
}

fn ppm(bounds: RangeInclusive<i64>) -> impl Fn(&Value) -> Result<i64, String> {
    move |value| {
        value
            .as_i64()
            .filter(|number| bounds.contains(number))
            .ok_or_else(|| format!("must be an integer from {} to {}", bounds.start(), bounds.end()))
    }
}

/// An amount of at least a dollar, in cents or in dollars.
fn amount(document: &mut Document<'_>, names: [&'static str; 2]) -> Option<Option<Nanos>> {
    let bounds = 100 * CENT..=LARGEST_LIMIT;
    let in_cents = "a number of cents from 100 to 400,000,000, with at most seven decimals";
    let in_dollars = "a number of US dollars from 1 to 4,000,000, with at most nine decimals";
    let cents =
        document.optional(names[0], None, |value| decimal(7, bounds.clone(), in_cents)(value).map(Some));
    let dollars =
        document.optional(names[1], None, |value| decimal(9, bounds.clone(), in_dollars)(value).map(Some));
    Some(agreed(document, names, cents?, dollars?)?.map(Nanos))
}

/// What is said in one way, or in two that mean the same.
fn agreed<T: PartialEq>(
    document: &mut Document<'_>,
    names: [&'static str; 2],
    one: Option<T>,
    other: Option<T>,
) -> Option<Option<T>> {
    match (one, other) {
        (Some(one), Some(other)) if one != other => {
            let [name, same] = names;
            document.mistake(name, format!("`{name}` and `{same}` say different things"));
            None
        }
        (one, other) => Some(one.or(other)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::gateway::Technique;
    use crate::terms::LimitDuration;

    fn paths<T>(read: Result<T, Vec<Mistake>>) -> Vec<String> {
        read.err().unwrap_or_default().into_iter().map(|mistake| mistake.path.join(".")).collect()
    }

    #[test]
    fn a_change_leaves_what_it_does_not_name() {
        let before = OperatorSettings::default();
        let body = json!({"default_markup_percent": 2.5, "calls_a_minute": 200, "minimum_topup": 500});
        let after = before.changed(&body).unwrap();
        assert_eq!((after.terms.default_markup_ppm, after.terms.calls_a_minute), (25_000, Some(200)));
        assert_eq!((after.minimum_topup, after.maximum_topup), (Nanos(500 * CENT), before.maximum_topup));
        let after = after.changed(&json!({"calls_a_minute": null, "purchase_fee_ppm": 50_000})).unwrap();
        assert_eq!((after.terms.calls_a_minute, after.purchase_fee_ppm), (None, 50_000));
        assert_eq!(after.terms.default_markup_ppm, 25_000);
    }

    #[test]
    fn what_is_said_twice_must_be_the_same() {
        let settings = OperatorSettings::default();
        let same =
            json!({"purchase_fee_percent": "5", "purchase_fee_ppm": 50_000, "maximum_topup_usd": "20.5"});
        assert_eq!(settings.changed(&same).unwrap().maximum_topup, Nanos(20_500_000_000));
        let different = json!({"purchase_fee_percent": 5, "purchase_fee_ppm": 5});
        assert_eq!(paths(settings.changed(&different)), ["body.purchase_fee_percent"]);
        let upside_down = json!({"minimum_topup": 1000, "maximum_topup": 900});
        assert_eq!(paths(settings.changed(&upside_down)), ["body.minimum_topup"]);
        let bounds = json!({"default_markup_percent": -101, "purchase_fee_percent": 0.00001, "x": 1});
        let mistakes = ["body.default_markup_percent", "body.purchase_fee_percent", "body.x"];
        assert_eq!(paths(settings.changed(&bounds)), mistakes);
    }

    #[test]
    fn an_accounts_markup_is_set_and_taken_away() {
        let terms = AccountTerms::default().changed(&json!({"markup_percent": -12.5})).unwrap();
        assert_eq!(terms.markup_ppm, Some(-125_000));
        assert_eq!(terms.changed(&json!({})).unwrap(), terms);
        assert_eq!(terms.changed(&json!({"markup_ppm": null})).unwrap(), AccountTerms::default());
    }

    #[test]
    fn a_spending_limit_is_in_cents_or_in_dollars() {
        let body = json!({"amount": 12_345, "duration": "weekly", "strategy": "sliding"});
        let limit = SpendingLimit::of_request(&body).unwrap();
        assert_eq!((limit.amount, limit.duration), (Nanos(123_450_000_000), LimitDuration::Weekly));
        let body = json!({"amount_usd": "1.000000001", "duration": "daily", "strategy": "fixed"});
        let limit = SpendingLimit::of_request(&body).unwrap();
        assert_eq!((limit.amount, limit.strategy), (Nanos(1_000_000_001), Technique::Fixed));
        let mistakes = paths(SpendingLimit::of_request(&json!({"amount": 99, "strategy": "odd"})));
        assert_eq!(mistakes, ["body.amount", "body.duration", "body.strategy"]);
        let mistakes = paths(SpendingLimit::of_request(&json!({"duration": "daily", "strategy": "fixed"})));
        assert_eq!(mistakes, ["body.amount"]);
    }
}
