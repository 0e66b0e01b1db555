//! What models, providers, authors and keys have. Only what is asked for is looked up: there are
//! hundreds of models, and each has many metrics.

mod metrics;

use std::sync::Arc;

use super::error::Failure;
use crate::facts::{Choice, Facts, KeyFacts, ModelFacts};
use crate::value::{Item, Key, Map, Text, Value};

/// What may be paid for.
pub(super) const PRICES: &[&str] = &[
    "text.input",
    "text.output",
    "text.input_cache_write",
    "text.input_cache_read",
    "text.input_batch",
    "text.output_batch",
    "tools.web_search.per_search_call",
    "tools.code_interpreter.per_execution_call",
    "tools.file_search.per_storage_gb",
    "tools.image_generation.per_image_generation",
];

const MODEL: &[&str] = &[
    "id",
    "id_aliases",
    "provider_id",
    "provider_id_aliases",
    "author_id",
    "author_id_aliases",
    "display_name",
    "description",
    "known",
    "custom",
    "metadata",
    "input_modalities",
    "output_modalities",
    "supported_features",
    "max_context_window",
    "max_output_tokens",
    "parameter_count",
    "quantization",
    "data_training_policy",
    "data_retention_days",
    "data_retention_policy",
    "pricing",
    "datacenters",
];

fn choice<'a>(facts: &Facts<'a>) -> Result<&'a Choice<'a>, Failure> {
    facts.choice.ok_or(Failure::NotKnown("ai"))
}

pub(super) fn model<'a>(at: u32, facts: &Facts<'a>) -> Result<&'a ModelFacts, Failure> {
    choice(facts)?.model(at as usize).ok_or(Failure::OutOfRange)
}

pub(super) fn key<'a>(at: u32, facts: &Facts<'a>) -> Result<&'a KeyFacts, Failure> {
    choice(facts)?.keys.get(at as usize).ok_or(Failure::OutOfRange)
}

/// A member by a path, and how many names of the path it took to find it.
pub(super) fn member(item: Item, path: &[Key], facts: &Facts<'_>) -> Result<(Value, usize), Failure> {
    let Some(Key::Text(name)) = path.first() else { return Err(Failure::NoSuchKey) };
    let nothing = || Failure::NoSuchMember(name.clone());
    match item {
        Item::Model(at) => {
            let model = model(at, facts)?;
            match &**name {
                "pricing" => Ok(price(model, &path[1..])),
                "metrics" => metrics::member(at, model, &path[1..], choice(facts)?),
                "metadata" => Ok(said(&model.metadata, &path[1..])),
                name => of_model(model, name).map(|value| (value, 1)).ok_or_else(nothing),
            }
        }
        Item::Provider(at) if **name == *"metadata" => {
            Ok(said(&model(at, facts)?.provider_metadata, &path[1..]))
        }
        Item::Provider(at) => {
            of_provider(model(at, facts)?, name).map(|value| (value, 1)).ok_or_else(nothing)
        }
        Item::Author(at) => of_author(model(at, facts)?, name).map(|value| (value, 1)).ok_or_else(nothing),
        Item::Key(at) => metrics::of_key(key(at, facts)?, path).ok_or_else(nothing),
    }
}

/// Whether there is such a member. A price that is not known is not there, though it reads as infinite.
pub(super) fn has(item: Item, name: &Key, facts: &Facts<'_>) -> Result<bool, Failure> {
    match member(item, std::slice::from_ref(name), facts) {
        Ok((value, _)) => Ok(!matches!(value, Value::Null)),
        Err(Failure::NoSuchMember(_)) => Ok(false),
        Err(failure) => Err(failure),
    }
}

fn shared(text: &Arc<str>) -> Value {
    Value::text(text.clone())
}

fn number(number: Option<u64>) -> Value {
    number.map_or(Value::Null, |number| i64::try_from(number).map_or(Value::Uint(number), Value::Int))
}

fn of_model(model: &ModelFacts, name: &str) -> Option<Value> {
    let optional = |text: &Option<Arc<str>>| text.as_ref().map_or(Value::Null, shared);
    Some(match name {
        "id" => shared(&model.id),
        "id_aliases" => Value::List(model.id_aliases.clone()),
        "provider_id" => shared(&model.provider_id),
        "provider_id_aliases" => Value::List(model.provider_id_aliases.clone()),
        "author_id" => shared(&model.author_id),
        "author_id_aliases" => Value::List(model.author_id_aliases.clone()),
        "display_name" => shared(&model.display_name),
        "description" => shared(&model.description),
        "known" => Value::Bool(model.known),
        "custom" => Value::Bool(model.custom),
        "metadata" => Value::Map(model.metadata.clone()),
        "input_modalities" => Value::List(model.input_modalities.clone()),
        "output_modalities" => Value::List(model.output_modalities.clone()),
        "supported_features" => Value::List(model.supported_features.clone()),
        // What has no bound that we know of is not known to hold much: comparisons say no.
        "max_context_window" => Value::Int(model.max_context_window.unwrap_or_default() as i64),
        "max_output_tokens" => Value::Int(model.max_output_tokens.unwrap_or_default() as i64),
        "parameter_count" => number(model.parameter_count),
        "quantization" => optional(&model.quantization),
        "data_training_policy" => optional(&model.data_training_policy),
        "data_retention_days" => number(model.data_retention_days),
        "data_retention_policy" => optional(&model.data_retention_policy),
        "pricing" => price(model, &[]).0,
        "datacenters" => Value::list(
            model
                .datacenters
                .iter()
                .map(|place| {
                    Value::map([
                        ("country_code", shared(&place.country_code)),
                        ("region", shared(&place.region)),
                    ])
                })
                .collect(),
        ),
        _ => return None,
    })
}

fn of_provider(model: &ModelFacts, name: &str) -> Option<Value> {
    Some(match name {
        "id" => shared(&model.provider_id),
        "id_aliases" => Value::List(model.provider_id_aliases.clone()),
        "metadata" => Value::Map(model.provider_metadata.clone()),
        _ => return None,
    })
}

fn of_author(model: &ModelFacts, name: &str) -> Option<Value> {
    Some(match name {
        "id" => shared(&model.author_id),
        "id_aliases" => Value::List(model.author_id_aliases.clone()),
        _ => return None,
    })
}

/// What the policy says of something, by the rest of a path; null if it says nothing. Policies say something of a
/// few models, and ask it of all.
fn said(metadata: &Arc<Map>, path: &[Key]) -> (Value, usize) {
    let mut value = Value::Map(metadata.clone());
    for (at, key) in path.iter().enumerate() {
        let Value::Map(map) = &value else { return (value, at + 1) };
        match map.get(key) {
            Some(member) => value = member.clone(),
            None => return (Value::Null, path.len() + 1),
        }
    }
    (value, path.len() + 1)
}

/// A price by the rest of a path, with or without `text` before it. One that is not known is infinite:
/// never the cheapest and below no bound.
fn price(model: &ModelFacts, path: &[Key]) -> (Value, usize) {
    let mut name = String::new();
    for (at, part) in path.iter().enumerate() {
        let Key::Text(part) = part else { break };
        if at > 0 {
            name.push('.');
        }
        name.push_str(part);
        let full = PRICES.iter().find(|price| **price == name || price.strip_prefix("text.") == Some(&name));
        if let Some(full) = full {
            return (Value::Double(model.price(full).unwrap_or(f64::INFINITY)), at + 2);
        }
    }
    let mut pricing = Map::default();
    let mut groups: std::collections::BTreeMap<&str, Map> = Default::default();
    for (name, dollars) in &model.prices {
        match name.strip_prefix("text.") {
            Some(short) => {
                pricing.insert(short, Value::Double(*dollars));
                groups.entry("text").or_default().insert(short, Value::Double(*dollars));
            }
            None => pricing.insert(*name, Value::Double(*dollars)),
        }
    }
    groups.into_iter().for_each(|(name, group)| pricing.insert(name, Value::Map(group.into())));
    (Value::Map(pricing.into()), 1)
}

/// The value with things in it written out, for JSON. A key is its id: what it opens is nobody's.
pub(super) fn plain(value: &Value, facts: &Facts<'_>) -> Result<Value, Failure> {
    let members = |names: &[&str], of: &dyn Fn(&str) -> Option<Value>| {
        Value::map(names.iter().filter_map(|name| Some((*name, of(name)?))))
    };
    Ok(match value {
        Value::Item(Item::Model(at)) => {
            let model = model(*at, facts)?;
            members(MODEL, &|name| of_model(model, name))
        }
        Value::Item(Item::Provider(at)) => {
            let model = model(*at, facts)?;
            members(&["id", "id_aliases", "metadata"], &|name| of_provider(model, name))
        }
        Value::Item(Item::Author(at)) => {
            let model = model(*at, facts)?;
            members(&["id", "id_aliases"], &|name| of_author(model, name))
        }
        Value::Item(Item::Key(at)) => Value::Text(Text::plain(key(*at, facts)?.id.clone())),
        Value::List(list) if list.items().iter().any(|item| matches!(item, Value::Item(_))) => {
            Value::list(list.items().iter().map(|item| plain(item, facts)).collect::<Result<_, _>>()?)
        }
        other => other.clone(),
    })
}
