//! Makes a version of the price catalogue from a price list: decimal dollars become integer
//! pico-dollars, or the list is refused.

mod corrections;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use self::corrections::{CORRECTIONS, PER_PIXEL, RECURRING};

/// What the errand is told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The price list: a JSON list of models with prices in dollars per million tokens.
    list: PathBuf,
    /// What usage records will name this catalogue by.
    #[arg(long)]
    version: String,
    /// From when on it holds, in seconds since 1970.
    #[arg(long)]
    effective_from: i64,
    /// The folder in which the list is written, as a file named by its version.
    #[arg(long, default_value = "crates/providers/data/prices")]
    output: PathBuf,
}

/// Writes the catalogue, or tells of all figures that are not exact.
pub(crate) fn prices(arguments: &Arguments) -> Result<()> {
    let list = std::fs::read(&arguments.list).with_context(|| arguments.list.display().to_string())?;
    let mut listed: Vec<Listed> =
        serde_json::from_slice(&list).context("the price list has another shape")?;
    for model in &mut listed {
        model.provider = slug(&model.provider).to_owned();
    }
    listed.sort_by(|a, b| (&a.provider, &a.model).cmp(&(&b.provider, &b.model)));
    let mut mistakes = Vec::new();
    for pair in listed.windows(2) {
        if (&pair[0].provider, &pair[0].model) == (&pair[1].provider, &pair[1].model) {
            mistakes.push(format!("{}/{} is listed twice", pair[0].provider, pair[0].model));
        }
    }
    let header = Header { version: &arguments.version, effective_from: arguments.effective_from };
    let mut catalogue = serde_json::to_string(&header)? + "\n";
    for model in &listed {
        catalogue += &serde_json::to_string(&Line::of(model, &mut mistakes))?;
        catalogue.push('\n');
    }
    if !mistakes.is_empty() {
        bail!("{} figures cannot be taken over:\n{}", mistakes.len(), mistakes.join("\n"));
    }
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    if arguments.version.is_empty() || !arguments.version.bytes().all(is_name) {
        bail!("a version has letters, digits, hyphens and points, such as 2026-10-01");
    }
    let file = arguments.output.join(format!("{}.jsonl", arguments.version));
    std::fs::write(&file, catalogue).with_context(|| file.display().to_string())?;
    println!("Wrote the prices of {} models to {}", listed.len(), file.display());
    println!("A version that is new stands in `LISTS` in crates/providers/src/prices.rs as well");
    Ok(())
}

/// What we call a provider that price lists call otherwise.
pub(crate) fn slug(listed: &str) -> &str {
    match listed {
        "moonshot" => "moonshotai",
        "zai" => "z-ai",
        listed => listed,
    }
}

/// A model in the price list.
#[derive(Deserialize)]
struct Listed {
    provider: String,
    model: String,
    mode: Option<String>,
    context_window: Option<u64>,
    max_output_tokens: Option<u64>,
    #[serde(default)]
    usd_per_million_tokens: BTreeMap<String, String>,
    #[serde(default)]
    usd_per_unit: BTreeMap<String, String>,
    #[serde(default)]
    variants: Vec<ListedVariant>,
    #[serde(default)]
    capabilities: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListedVariant {
    service_tier: String,
    above_input_tokens: u64,
    usd_per_million_tokens: BTreeMap<String, String>,
}

/// The catalogue's first line, as `providers::prices` reads it.
#[derive(Serialize)]
struct Header<'a> {
    version: &'a str,
    effective_from: i64,
}

/// A model in the catalogue.
#[derive(Serialize)]
struct Line<'a> {
    provider: &'a str,
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context_window: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    reasons: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tokens: BTreeMap<&'static str, i64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    variants: Vec<Variant<'a>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    units: BTreeMap<&'a str, i64>,
}

#[derive(Serialize)]
struct Variant<'a> {
    tier: &'a str,
    above_input_tokens: u64,
    tokens: BTreeMap<&'static str, i64>,
}

impl<'a> Line<'a> {
    fn of(listed: &'a Listed, mistakes: &mut Vec<String>) -> Self {
        let mut tell = |what: String| mistakes.push(format!("{}/{}: {what}", listed.provider, listed.model));
        let tokens = token_prices(&listed.usd_per_million_tokens, &mut tell);
        let variant = |variant: &'a ListedVariant| {
            let tier = variant.service_tier.as_str();
            if !matches!(tier, "standard" | "batch" | "flex" | "priority") {
                tell(format!("the service tier `{tier}` is not known"));
            }
            let tokens = token_prices(&variant.usd_per_million_tokens, &mut tell);
            Variant { tier, above_input_tokens: variant.above_input_tokens, tokens }
        };
        let mut variants: Vec<_> = listed.variants.iter().map(variant).collect();
        let mut units = BTreeMap::new();
        for (unit, dollars) in &listed.usd_per_unit {
            if PER_PIXEL.contains(&unit.as_str()) {
                continue;
            }
            let correction = RECURRING.iter().find(|(recurring, _)| recurring == dollars);
            match integer(correction.map_or(dollars.as_str(), |(_, nearest)| nearest), 12) {
                Some(picos) => _ = units.insert(unit.as_str(), picos),
                None => tell(format!("{dollars} dollars for `{unit}` is no whole number of pico-dollars")),
            }
        }
        variants.extend(ultrafast(&mut units));
        Self {
            provider: &listed.provider,
            model: &listed.model,
            mode: listed.mode.as_deref(),
            context_window: listed.context_window,
            max_output_tokens: listed.max_output_tokens,
            reasons: listed.capabilities.iter().any(|capability| capability == "reasoning"),
            tokens,
            variants,
            units,
        }
    }
}

/// The list has a price per token of this tier among the prices of other units.
fn ultrafast(units: &mut BTreeMap<&str, i64>) -> Option<Variant<'static>> {
    let classes = [("input", "input_per_token_ultrafast"), ("output", "output_per_token_ultrafast")];
    let prices = classes.into_iter().filter_map(|(class, unit)| Some((class, units.remove(unit)?)));
    let mut tokens: BTreeMap<_, _> = prices.collect();
    // What it says nothing about must not cost the regular price, which is a sixth of it.
    if let Some(input) = tokens.get("input").copied() {
        tokens.extend([("cached_input", input), ("cache_write", input)]);
    }
    (!tokens.is_empty()).then_some(Variant { tier: "ultrafast", above_input_tokens: 0, tokens })
}

/// A dollar per million tokens is a million pico-dollars per token.
fn token_prices(
    listed: &BTreeMap<String, String>,
    tell: &mut impl FnMut(String),
) -> BTreeMap<&'static str, i64> {
    let mut prices = BTreeMap::new();
    for (class, dollars) in listed {
        let correction = CORRECTIONS.iter().find(|(debris, _)| debris == dollars);
        let exact = correction.map_or(dollars.as_str(), |(_, exact)| exact);
        match (class_name(class), integer(exact, 6)) {
            (None, _) => tell(format!("the class of tokens `{class}` is not known")),
            (_, None) => {
                tell(format!("{dollars} dollars for `{class}` is no whole number of pico-dollars a token"))
            }
            (Some(class), Some(picos)) => _ = prices.insert(class, picos),
        }
    }
    prices
}

/// The catalogue's name for a class of tokens.
fn class_name(listed: &str) -> Option<&'static str> {
    Some(match listed {
        "input" => "input",
        "cached_input" => "cached_input",
        "cache_write_5m" => "cache_write",
        "cache_write_1h" => "cache_write_long",
        "output" => "output",
        "reasoning" => "reasoning",
        "audio_input" => "audio_input",
        "cached_audio_input" => "cached_audio_input",
        "audio_output" => "audio_output",
        "image_input" => "image_input",
        "cached_image_input" => "cached_image_input",
        "image_output" => "image_output",
        _ => return None,
    })
}

/// A decimal, moved by `places` to the left, if nothing is lost by it.
fn integer(decimal: &str, places: usize) -> Option<i64> {
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    let fraction = fraction.trim_end_matches('0');
    let digits = !whole.is_empty() && whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
    if !digits || fraction.len() > places {
        return None;
    }
    format!("{whole}{fraction:0<places$}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_decimals_become_integers() {
        assert_eq!(integer("2.5", 6), Some(2_500_000));
        assert_eq!(integer("0.0750000", 6), Some(75_000));
        assert_eq!(integer("0", 6), Some(0));
        for inexact in ["0.8900000000000001", "-1", "1e-6", "", ".5", "99999999999999"] {
            assert_eq!(integer(inexact, 6), None, "{inexact}");
        }
    }

    #[test]
    fn a_correction_is_next_to_what_it_corrects() {
        for (places, corrections) in [(6, CORRECTIONS), (12, RECURRING)] {
            for (debris, exact) in corrections {
                let [was, is]: [f64; 2] = [debris, exact].map(|text| text.parse().unwrap());
                assert!((was - is).abs() < 1e-12, "{debris}");
                assert!(integer(debris, places).is_none() && integer(exact, places).is_some(), "{debris}");
            }
        }
    }

    #[test]
    fn the_fastest_tier_is_a_tier() {
        let mut units = BTreeMap::from([("input_per_token_ultrafast", 6), ("input_per_second", 7)]);
        let variant = ultrafast(&mut units).unwrap();
        assert_eq!(
            (variant.tier, variant.tokens["input"], variant.tokens["cached_input"]),
            ("ultrafast", 6, 6)
        );
        assert_eq!(units, BTreeMap::from([("input_per_second", 7)]));
        assert!(ultrafast(&mut units).is_none());
    }

    #[test]
    fn what_is_not_known_is_told_and_not_left_out() {
        let listed = BTreeMap::from([("smell_input".to_owned(), "1".to_owned())]);
        let mut mistakes = Vec::new();
        assert!(token_prices(&listed, &mut |mistake| mistakes.push(mistake)).is_empty());
        assert_eq!(mistakes.len(), 1);
    }
}
