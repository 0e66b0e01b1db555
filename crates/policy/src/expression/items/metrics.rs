//! `m.metrics`, and what keys have of the same.

use crate::expression::error::Failure;
use crate::facts::{Choice, ErrorRates, KeyFacts, Metrics, MetricsOf, ModelFacts, Quota};
use crate::value::{Key, Map, Text, Value};

/// A metric by the names that lead to it.
type Metric = (&'static str, &'static str, fn(&Metrics) -> Option<Value>);

const METRICS: &[Metric] = &[
    ("", "request_count", |m| whole(m.request_count)),
    ("", "start_time", |m| whole(m.start_time.into())),
    ("", "end_time", |m| whole(m.end_time.into())),
    ("latency", "gateway_ms_avg", |m| whole(m.latency.gateway.0.into())),
    ("latency", "gateway_ms_p95", |m| whole(m.latency.gateway.1.into())),
    ("latency", "upstream_ms_avg", |m| whole(m.latency.upstream.0.into())),
    ("latency", "upstream_ms_p95", |m| whole(m.latency.upstream.1.into())),
    ("latency", "time_to_first_token_ms_avg", |m| {
        nullable(m.latency.time_to_first_token.map(|t| t.0.into()))
    }),
    ("latency", "time_to_first_token_ms_p95", |m| {
        nullable(m.latency.time_to_first_token.map(|t| t.1.into()))
    }),
    ("latency", "time_per_output_token_ms_avg", |m| {
        nullable(m.latency.time_per_output_token.map(|t| t.0.into()))
    }),
    ("latency", "time_per_output_token_ms_p95", |m| {
        nullable(m.latency.time_per_output_token.map(|t| t.1.into()))
    }),
    ("error_rate", "total", |m| rate(&m.error_rate, "total")),
    ("error_rate", "timeout", |m| rate(&m.error_rate, "timeout")),
    ("error_rate", "rate_limit", |m| rate(&m.error_rate, "rate_limit")),
    ("error_rate", "client", |m| rate(&m.error_rate, "client")),
    ("error_rate", "server", |m| rate(&m.error_rate, "server")),
    ("token", "provider_input", |m| whole(m.token?.provider_input)),
    ("token", "provider_output", |m| whole(m.token?.provider_output)),
    ("token", "estimated_input", |m| whole(m.token?.estimated_input)),
    ("token", "estimated_output", |m| whole(m.token?.estimated_output)),
    ("quota", "remaining_requests", |m| left(&m.quota?, "remaining_requests")),
    ("quota", "remaining_tokens", |m| left(&m.quota?, "remaining_tokens")),
    ("quota", "limit_requests", |m| left(&m.quota?, "limit_requests")),
    ("quota", "limit_tokens", |m| left(&m.quota?, "limit_tokens")),
];

fn whole(number: u64) -> Option<Value> {
    Some(i64::try_from(number).map_or(Value::Uint(number), Value::Int))
}

fn nullable(number: Option<u64>) -> Option<Value> {
    Some(number.and_then(whole).unwrap_or(Value::Null))
}

fn rate(rates: &ErrorRates, name: &str) -> Option<Value> {
    let ErrorRates { total, timeout, rate_limit, client, server } = rates;
    Some(Value::Double(*match name {
        "total" => total,
        "timeout" => timeout,
        "rate_limit" => rate_limit,
        "client" => client,
        "server" => server,
        _ => return None,
    }))
}

fn left(quota: &Quota, name: &str) -> Option<Value> {
    let Quota { remaining_requests, remaining_tokens, limit_requests, limit_tokens } = quota;
    nullable(*match name {
        "remaining_requests" => remaining_requests,
        "remaining_tokens" => remaining_tokens,
        "limit_requests" => limit_requests,
        "limit_tokens" => limit_tokens,
        _ => return None,
    })
}

/// What `m.metrics` and the names behind it say, and how many names of the path that took.
pub(super) fn member(
    at: u32,
    model: &ModelFacts,
    path: &[Key],
    choice: &Choice<'_>,
) -> Result<(Value, usize), Failure> {
    let names: Vec<&str> =
        path.iter().map_while(|key| if let Key::Text(name) = key { Some(&**name) } else { None }).collect();
    let of = |scope| (choice.metrics)(at as usize, scope);
    let (metrics, used) = match names[..] {
        [] => return Ok((everything(at, model, choice), 1)),
        ["api_keys"] => return Ok((of_keys(at, model, choice), 2)),
        ["api_keys", id, ..] => {
            let known = (choice.metered_keys)(at as usize).iter().any(|key| **key == *id);
            (known.then(|| of(MetricsOf::Key(id))).ok_or(Failure::NoSuchKey)?, 3)
        }
        [name, ..] => (of(scope(name).ok_or_else(|| Failure::NoSuchMember(name.into()))?), 2),
    };
    let rest = names.get(used - 1..).unwrap_or_default();
    let nothing = |name: &str| Failure::NoSuchMember(name.into());
    match *rest {
        [] => Ok((whole_map(&metrics, model), used)),
        ["provider", ..] => Ok((Value::text(model.provider_id.clone()), used + 1)),
        ["model", ..] => Ok((Value::text(model.id.clone()), used + 1)),
        [group] if let Some(map) = group_map(&metrics, group) => Ok((map, used + 1)),
        [name, ..] if let Some(value) = metric(&metrics, "", name) => Ok((value, used + 1)),
        [group, name, ..] => {
            metric(&metrics, group, name).map(|value| (value, used + 2)).ok_or_else(|| nothing(name))
        }
        [name] => Err(nothing(name)),
    }
}

fn scope(name: &str) -> Option<MetricsOf<'_>> {
    Some(match name {
        "global" => MetricsOf::Everybody,
        "region" => MetricsOf::Region,
        "account" => MetricsOf::Account,
        "endpoint" => MetricsOf::Endpoint,
        _ => return None,
    })
}

fn metric(metrics: &Metrics, group: &str, name: &str) -> Option<Value> {
    METRICS.iter().find(|(in_group, each, _)| *in_group == group && *each == name)?.2(metrics)
}

fn group_map(metrics: &Metrics, group: &str) -> Option<Value> {
    let members = METRICS.iter().filter(|(in_group, ..)| *in_group == group && !group.is_empty());
    let map: Map = members.filter_map(|(_, name, read)| Some((Key::from(*name), read(metrics)?))).collect();
    (!map.is_empty()).then(|| Value::Map(map.into()))
}

fn whole_map(metrics: &Metrics, model: &ModelFacts) -> Value {
    let mut map = Map::default();
    map.insert("provider", Value::text(model.provider_id.clone()));
    map.insert("model", Value::text(model.id.clone()));
    for (_, name, read) in METRICS.iter().filter(|(group, ..)| group.is_empty()) {
        map.insert(*name, read(metrics).unwrap_or(Value::Null));
    }
    for group in ["latency", "error_rate", "token", "quota"] {
        group_map(metrics, group).into_iter().for_each(|value| map.insert(group, value));
    }
    Value::Map(map.into())
}

fn of_keys(at: u32, model: &ModelFacts, choice: &Choice<'_>) -> Value {
    let keys = (choice.metered_keys)(at as usize);
    Value::map(keys.into_iter().map(|key| {
        let metrics = (choice.metrics)(at as usize, MetricsOf::Key(&key));
        (Key::Text(key), whole_map(&metrics, model))
    }))
}

fn everything(at: u32, model: &ModelFacts, choice: &Choice<'_>) -> Value {
    let scopes =
        ["global", "region", "account", "endpoint"].into_iter().filter_map(|name| Some((name, scope(name)?)));
    let maps = scopes.map(|(name, scope)| (name, whole_map(&(choice.metrics)(at as usize, scope), model)));
    Value::map(maps.chain([("api_keys", of_keys(at, model, choice))]))
}

/// What a key has by a path, and how many names of it that took.
pub(super) fn of_key(key: &KeyFacts, path: &[Key]) -> Option<(Value, usize)> {
    let metrics = Metrics { error_rate: key.error_rate, quota: Some(key.quota), ..Metrics::default() };
    let name = |at: usize| if let Some(Key::Text(name)) = path.get(at) { Some(&**name) } else { None };
    match (name(0)?, name(1)) {
        ("id", _) => Some((Value::text(key.id.clone()), 1)),
        ("value", _) => Some((Value::Text(Text::secret(key.value.clone())), 1)),
        (group @ ("quota" | "error_rate"), None) => Some((group_map(&metrics, group)?, 1)),
        (group @ ("quota" | "error_rate"), Some(name)) => Some((metric(&metrics, group, name)?, 2)),
        _ => None,
    }
}
