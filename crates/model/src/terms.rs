//! On what terms credits are bought and spent: what the operator says for the installation, and what
//! he and an account say for that account.

mod request;

use serde::{Deserialize, Serialize};

use crate::gateway::{Technique, counter_id};
use crate::limits::Counter;
use crate::money::Nanos;
use crate::usage::Measure;
use crate::{AccountId, decimal};

/// A millionth is the unit of markups and fees: a percent is 10,000 of them.
pub const PPM: i64 = 1_000_000;

/// What proxies are told of the operator's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Terms {
    /// What is charged above cost, in millionths of it, where an account has no markup of its own. A
    /// discount is below zero.
    pub default_markup_ppm: i64,
    /// How many requests a minute each gateway may send on credits; no bound where it is absent.
    pub calls_a_minute: Option<u32>,
}

/// All that the operator says about money, kept as one document.
///
/// A stored document may be older or newer than this type: what it lacks has its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OperatorSettings {
    /// What proxies are told.
    #[serde(flatten)]
    pub terms: Terms,
    /// What a top-up costs above the credits bought, in millionths of them.
    pub purchase_fee_ppm: i64,
    /// The least that can be bought at once.
    pub minimum_topup: Nanos,
    /// The most that can be bought at once.
    pub maximum_topup: Nanos,
}

impl Default for OperatorSettings {
    fn default() -> Self {
        Self {
            terms: Terms::default(),
            purchase_fee_ppm: 0,
            minimum_topup: Nanos(10_000_000_000),
            maximum_topup: Nanos(10_000_000_000_000),
        }
    }
}

/// What holds for one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AccountTerms {
    /// What is charged above cost, in millionths of it; the operator's default where it is absent.
    pub markup_ppm: Option<i64>,
    /// The most that all of the account's gateways may spend together.
    pub spending_limit: Option<SpendingLimit>,
}

impl AccountTerms {
    /// The markup that is charged.
    pub fn markup_ppm(&self, terms: &Terms) -> i64 {
        self.markup_ppm.unwrap_or(terms.default_markup_ppm)
    }
}

/// A bound on what an account spends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpendingLimit {
    /// How much.
    #[serde(with = "decimal::dollars")]
    pub amount: Nanos,
    /// In which time.
    pub duration: LimitDuration,
    /// How that time moves.
    pub strategy: Technique,
}

/// How long a spending limit's window is. A month has thirty days, as Cloudflare's has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LimitDuration {
    /// A day.
    Daily,
    /// Seven days.
    Weekly,
    /// Thirty days.
    Monthly,
}

impl LimitDuration {
    /// The window in seconds.
    pub fn seconds(self) -> u32 {
        const DAY: u32 = 86_400;
        match self {
            Self::Daily => DAY,
            Self::Weekly => 7 * DAY,
            Self::Monthly => 30 * DAY,
        }
    }
}

impl SpendingLimit {
    /// What all of the account's requests count in.
    pub fn counter(&self, account: AccountId) -> Counter {
        let Self { amount, duration, strategy } = *self;
        let window = strategy.window(duration.seconds());
        let id = counter_id(window, &["account", &account.to_string()]);
        Counter { id, measure: Measure::Spend, limit: amount.0, window }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_without_a_markup_has_the_operators() {
        let terms = Terms { default_markup_ppm: 50_000, calls_a_minute: None };
        assert_eq!(AccountTerms::default().markup_ppm(&terms), 50_000);
        let own = AccountTerms { markup_ppm: Some(-10_000), ..AccountTerms::default() };
        assert_eq!(own.markup_ppm(&terms), -10_000);
    }

    #[test]
    fn a_stored_document_may_be_older() {
        let settings: OperatorSettings = serde_json::from_str(r#"{"default_markup_ppm":1,"x":2}"#).unwrap();
        assert_eq!(settings.terms.default_markup_ppm, 1);
        assert_eq!(settings.minimum_topup, OperatorSettings::default().minimum_topup);
        let stored = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<OperatorSettings>(&stored).unwrap(), settings);
    }
}
