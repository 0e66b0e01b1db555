//! The public price list: a row per model, in the shape of Cloudflare's `GET /costs`.

use model::prices::{Price, decimal, token_pricing};
use model::{AccountId, Picos};
use serde::Serialize;
use time::OffsetDateTime;

use super::Catalogue;

/// A model's regular prices.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Provider and model, as in `openai/gpt-4o`.
    pub id: String,
    /// The provider's slug.
    pub provider: String,
    /// What the provider calls the model.
    pub model: String,
    /// Rows name one model each: `equals`.
    pub model_rule: &'static str,
    /// What is priced: `tokens`.
    pub cost_type: &'static str,
    /// Dollars per token read; shown, never computed with.
    pub cost_in: f64,
    /// Dollars per token produced; shown, never computed with.
    pub cost_out: f64,
    /// A JSON object as a text: dollars per million tokens, and per piece for images.
    pub token_pricing: String,
    /// Prices of other units in dollars, such as `input_per_second`, as exact decimals.
    pub unit_pricing: Vec<(String, String)>,
    /// Prices of service tiers and of long inputs.
    pub variants: Vec<RowVariant>,
    /// Whether it holds.
    pub enable: bool,
    /// The list's version, or the rule's id.
    pub version: String,
    /// From when on the list holds, in seconds since 1970.
    pub effective_from: i64,
}

/// Prices that take the place of the regular ones.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RowVariant {
    /// `standard`, `batch`, `flex`, `priority` or `ultrafast`.
    pub service_tier: &'static str,
    /// For requests that read more tokens than this.
    pub above_input_tokens: u64,
    /// As in the row.
    pub token_pricing: String,
}

/// A page of rows, and how many there are in all.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The rows.
    pub rows: Vec<Row>,
    /// How many fit the search.
    pub total: usize,
}

/// The prices that hold for an account at a moment, in the list's order, of models whose id contains
/// `search`. Pages begin at 1.
pub fn page(
    catalogue: &Catalogue,
    account: AccountId,
    at: OffsetDateTime,
    search: &str,
    page: usize,
    per_page: usize,
) -> Page {
    let Some(list) = catalogue.at(at) else { return Page { rows: Vec::new(), total: 0 } };
    let search = search.to_ascii_lowercase();
    let fits = |(provider, model): &(&str, &str)| {
        let is_within = |name: &str| name.to_ascii_lowercase().contains(&search);
        search.is_empty() || is_within(model) || is_within(&format!("{provider}/{model}"))
    };
    let fitting: Vec<_> = list.all().filter(fits).collect();
    let skipped = page.saturating_sub(1).saturating_mul(per_page);
    let rows = fitting.iter().skip(skipped).take(per_page).filter_map(|(provider, model)| {
        let found = catalogue.price(account, provider, model, at)?;
        Some(Row::of(provider, model, found.price, found.version, list.effective_from()))
    });
    Page { rows: rows.collect(), total: fitting.len() }
}

impl Row {
    fn of(provider: &str, model: &str, price: &Price, version: &str, effective_from: i64) -> Self {
        let dollars = |price: Option<Picos>| price.map_or(0.0, |price| price.0 as f64 / 1e12);
        let variants = price.variants.iter().map(|variant| RowVariant {
            service_tier: variant.tier.as_str(),
            above_input_tokens: variant.above_input_tokens,
            token_pricing: token_pricing::write(&Price { tokens: variant.tokens, ..Price::default() }),
        });
        let units =
            price.units.iter().map(|(name, price)| (name.clone(), decimal::write(*price, decimal::EACH)));
        Self {
            id: format!("{provider}/{model}"),
            provider: provider.to_owned(),
            model: model.to_owned(),
            model_rule: "equals",
            cost_type: "tokens",
            cost_in: dollars(price.tokens.input),
            cost_out: dollars(price.tokens.output),
            token_pricing: token_pricing::write(price),
            unit_pricing: units.collect(),
            variants: variants.collect(),
            enable: true,
            version: version.to_owned(),
            effective_from,
        }
    }
}

#[cfg(test)]
mod tests {
    use model::AccountId;
    use uuid::Uuid;

    use super::*;

    const NOW: OffsetDateTime = time::macros::datetime!(2026-12-01 00:00 UTC);

    fn rows(search: &str, page: usize, per_page: usize) -> Page {
        super::page(Catalogue::current(), AccountId(Uuid::nil()), NOW, search, page, per_page)
    }

    #[test]
    fn a_row_has_prices_by_the_million() {
        let found = rows("openai/gpt-5.4", 1, 100);
        let row = found.rows.iter().find(|row| row.model == "gpt-5.4" && row.provider == "openai").unwrap();
        assert_eq!((row.cost_in, row.cost_out), (2.5e-6, 1.5e-5));
        assert_eq!(
            row.token_pricing,
            r#"{"input_tokens":2.5,"output_tokens":15,"input_cached_tokens":0.25}"#
        );
        assert!(row.variants.iter().any(|variant| variant.above_input_tokens == 272_000));
        assert_eq!(row.version, Catalogue::current().version());
    }

    #[test]
    fn pages_have_every_row_once() {
        let all = rows("GPT-4O", 1, 1000);
        assert!(all.total > 10 && all.rows.len() == all.total);
        let paged = (1..=all.total).flat_map(|page| rows("gpt-4o", page, 7).rows).collect::<Vec<_>>();
        assert_eq!(paged, all.rows);
        assert_eq!(rows("no such model", 1, 10), Page { rows: vec![], total: 0 });
    }

    #[test]
    fn what_is_priced_by_other_units_says_so() {
        let row = rows("openai/whisper-1", 1, 1).rows.remove(0);
        assert_eq!(row.unit_pricing[0], ("input_per_second".to_owned(), "0.0001".to_owned()));
    }
}
