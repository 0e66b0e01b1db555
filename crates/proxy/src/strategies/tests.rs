//! Every expression that the reference names, on the catalogue as it is; and by chance, that nothing is chosen
//! which the gateway does not allow or the caller did not name.

use std::time::Duration;

use egress::{EgressConfig, TrustedHosts};
use policy::Facts;
use policy::facts::Randomness;
use proptest::prelude::*;
use time::OffsetDateTime;
use uuid::Uuid;

use super::models::{Choosing, choose};
use super::told::ModelSelection;
use super::*;
use crate::effects::standing::{ModelAt, Watched};
use crate::policies::Compiler;
use crate::upstream::Connector;

const ASKED: Asked<'static> = Asked { dialect: Dialect::OpenAi, operation: "chat/completions" };

const PROVIDERS: &str = "
      providers:
        - id: openai
          metadata: {region: {name: us}}
          models: [{id: gpt-4o, id_aliases: [best], metadata: {tier: {name: gold}}}, {id: gpt-4.1, disabled: true}]
        - {id: groq, disabled: true}
        - {id: mistral}
        - {id: local, base_url: 'https://llm.example.com', models: [{id: 'llama3.2:1b', author_id: meta, max_context_window: 8192, metadata: {free: true}}]}";

/// A policy with one strategy for models.
fn policy_with(restrictions: &str, strategies: &[&str]) -> Compiled {
    let strategies: Vec<String> = strategies.iter().map(|each| format!("          - {each:?}\n")).collect();
    let text = format!(
        "on_http_request:\n  - type: ai-gateway\n    config:{restrictions}{PROVIDERS}\n      model_selection:\n        strategy:\n{}",
        strategies.concat()
    );
    let gauge = prometheus::IntGauge::new("open", "open").unwrap();
    let connector = Connector::new(Duration::from_secs(1), gauge);
    let trusted = TrustedHosts::default();
    let compiler = Compiler::new(&trusted, &EgressConfig { allow: Vec::new() }, &connector);
    Compiled::new(&text, &compiler).unwrap_or_else(|unusable| panic!("{text}\n{unusable}"))
}

/// The names of whom a policy has tried, or why nobody is.
fn choice(
    compiled: &Compiled,
    names: &[&str],
    watching: Option<Watching<'_>>,
) -> (Result<Vec<String>, Why>, Vec<ModelSelection>) {
    let clients = names.iter().filter_map(|name| compiled.selection.resolve(name, ASKED).ok()).collect();
    let clients = (!names.is_empty()).then_some(clients);
    let random = Randomness::seeded(7);
    let facts = Facts::new(OffsetDateTime::UNIX_EPOCH, &random);
    let (picks, told) = choose(Choosing { compiled, asked: ASKED, clients, watching }, &facts);
    let called = |candidate: providers::models::Candidate<'_>| {
        format!("{}:{}", candidate.host.id(), candidate.upstream)
    };
    (picks.map(|picks| picks.candidates().map(called).collect()), told)
}

#[test]
fn every_expression_of_the_reference_works_on_the_catalogue() {
    let first = |strategy: &str| {
        let compiled = policy_with("", &[strategy]);
        let (chosen, told) = choice(&compiled, &[], None);
        let mut chosen = chosen.unwrap_or_else(|why| panic!("{strategy}: {why} {told:?}"));
        chosen.truncate(2);
        chosen.join(" ")
    };
    for (strategy, expected) in [
        (
            "ai.models.only(['gpt-4o-mini', 'claude-opus-4-6'])",
            "openai:gpt-4o-mini anthropic:claude-opus-4-6",
        ),
        ("ai.models.only(['best'])", "openai:gpt-4o"),
        ("ai.models.only(['openai:gpt-4o-mini'])", "openai:gpt-4o-mini"),
        ("ai.models.only(['local:llama3.2:1b'])", "local:llama3.2:1b"),
        ("ai.models.onlyProviders(['anthropic']).only(['claude-opus-4.1'])", "anthropic:claude-opus-4-1"),
        ("ai.models.onlyProviders(['gemini']).only(['gemini-2.5-flash'])", "google:gemini-2.5-flash"),
        (
            "ai.models.onlyProviders(['openai', 'mistral']).ignoreProviders(['openai']).only(['mistral-small-latest'])",
            "mistral:mistral-small-latest",
        ),
        ("ai.models.onlyAuthors(['anthropic']).only(['claude-haiku-4-5'])", "anthropic:claude-haiku-4-5"),
        (
            "ai.models.only(['gpt-4o', 'claude-opus-4-6']).ignoreAuthors(['openai'])",
            "anthropic:claude-opus-4-6",
        ),
        ("ai.models.only(['gpt-4o', 'gpt-4o-mini']).ignore(['gpt-4o'])", "openai:gpt-4o-mini"),
        ("ai.models.only(['gpt-4o', 'gpt-4o-mini']).underCost('text.input', 1)", "openai:gpt-4o-mini"),
        (
            "ai.models.only(['gpt-4o', 'gpt-4o-mini']).underCost('text.output_batch', 1.0)",
            "openai:gpt-4o-mini",
        ),
        (
            "ai.models.only(['gpt-4o', 'gpt-4o-mini']).underCost('text.input_cache_read', 0.1)",
            "openai:gpt-4o-mini",
        ),
        ("ai.models.only(['best', 'gpt-4o-mini']).sortBy('price')", "openai:gpt-4o-mini openai:gpt-4o"),
        (
            "ai.models.only(['best', 'gpt-4o-mini']).sortBy(m, -m.pricing.input)",
            "openai:gpt-4o openai:gpt-4o-mini",
        ),
        (
            "ai.models.only(['best']).filter(m, m.pricing.text.input == 2.5 && m.pricing.output == 10.0)",
            "openai:gpt-4o",
        ),
        (
            "ai.models.only(['best', 'gpt-4o-mini']).sortBy(m, m.metrics.global.latency.upstream_ms_avg)",
            "openai:gpt-4o openai:gpt-4o-mini",
        ),
        ("ai.models.only(['gpt-4o-mini']).random()", "openai:gpt-4o-mini"),
        ("ai.models.only(['gpt-4o-mini']).randomize()", "openai:gpt-4o-mini"),
        ("ai.models.only(['gpt-4o-mini'])[0]", "openai:gpt-4o-mini"),
        ("ai.models.get('openai', 'gpt-4o-mini')", "openai:gpt-4o-mini"),
        (
            "[ai.models.get('anthropic', 'claude-opus-4-6'), ai.models.get('openai', 'best')]",
            "anthropic:claude-opus-4-6 openai:gpt-4o",
        ),
        ("ai.providers.get('openai').getModel('gpt-4o-mini')", "openai:gpt-4o-mini"),
        ("ai.models.filter(m, ai.authors.get('meta').id == m.author_id)", "local:llama3.2:1b"),
        ("ai.models.filter(m, m.getMetadata('tier.name') == 'gold')", "openai:gpt-4o"),
        (
            "ai.models.filter(m, ai.providers.get(m.provider_id).getMetadata('region.name') == 'us').only(['gpt-4o-mini'])",
            "openai:gpt-4o-mini",
        ),
        ("ai.models.filter(m, m.custom && !m.known)", "local:llama3.2:1b"),
        ("ai.models.filter(m, m.max_context_window == 8192 && m.custom)", "local:llama3.2:1b"),
        ("ai.models.filter(m, has(m.metadata.free) && m.metadata.free)", "local:llama3.2:1b"),
        ("ai.models.filter(m, 'best' in m.id_aliases)", "openai:gpt-4o"),
        (
            "ai.models.only(['gpt-4o']).filter(m, 'vision' in m.supported_features && 'image' in m.input_modalities && 'text' in m.output_modalities)",
            "openai:gpt-4o",
        ),
        (
            "ai.models.only(['gpt-4o']).filter(m, m.quantization == null && m.parameter_count == null && m.data_retention_days == null)",
            "openai:gpt-4o",
        ),
        (
            "ai.models.filter(m, m.provider_id == 'anthropic' && m.id.contains('opus-4-6') && m.max_output_tokens >= 64000)",
            "anthropic:claude-opus-4-6",
        ),
        (
            "ai.models.inRegion('us-east-1').size() == 0 ? ai.models.get('openai', 'best') : []",
            "openai:gpt-4o",
        ),
        ("ai.models.inCountryCode('US') + ai.models.only(['best'])", "openai:gpt-4o"),
        ("ai.models.filter(m, !('key_1' in m.metrics.api_keys)).only(['best'])", "openai:gpt-4o"),
    ] {
        assert_eq!(first(strategy), expected, "{strategy}");
    }
}

#[test]
fn the_first_strategy_that_leaves_anything_counts_and_each_is_told() {
    let strategies = [
        "ai.models.filter(m, m.metadata.nothing > 1)",
        "ai.models.only(['gpt-4.1'])",
        "ai.models.only(['claude-opus-4-6', 'gpt-4o', 'llama3.2:1b'])",
        "ai.models",
    ];
    let compiled = policy_with("", &strategies);
    let (chosen, told) = choice(&compiled, &["local:llama3.2:1b", "gpt-4.1", "best"], None);
    assert_eq!(chosen, Ok(vec!["local:llama3.2:1b".to_owned(), "openai:gpt-4o".to_owned()]));
    let counts: Vec<_> = told
        .iter()
        .map(|selection| {
            let ModelSelection {
                candidates_returned,
                candidates_after_allowed_filter,
                candidates_after_client_filter,
                ..
            } = selection;
            (
                candidates_returned.count,
                candidates_after_allowed_filter.count,
                candidates_after_client_filter.count,
            )
        })
        .collect();
    assert_eq!(counts, [(0, 0, 0), (1, 0, 0), (3, 3, 2)]);
    assert!(told[0].error.as_deref().is_some_and(|error| error.contains("null")), "{told:?}");
    assert_eq!(told[2].strategy, strategies[2]);
    assert_eq!(*told[2].models_to_try.names[0], *"local:llama3.2:1b");
}

#[test]
fn a_model_that_nobody_knows_can_be_named_and_filtered() {
    let strategies = ["ai.models.filter(m, m.provider_id == 'openai' && !m.known)"];
    let compiled = policy_with("", &strategies);
    let (chosen, told) = choice(&compiled, &["openai:gpt-99", "gpt-4o"], None);
    assert_eq!(chosen, Ok(vec!["openai:gpt-99".to_owned()]));
    assert_eq!(*told[0].models_to_try.names[0], *"openai:gpt-99");
    // What one request named is not there for the next one.
    assert_eq!(choice(&compiled, &["gpt-4o"], None).0, Err(Why::NoModel));
}

#[test]
fn what_is_not_allowed_is_never_chosen() {
    let only = "\n      only_allow_configured_providers: true\n      only_allow_configured_models: true";
    let compiled = policy_with(only, &["ai.models"]);
    let (chosen, told) = choice(&compiled, &[], None);
    assert_eq!(chosen, Ok(vec!["openai:gpt-4o".to_owned(), "local:llama3.2:1b".to_owned()]));
    assert!(told[0].candidates_returned.count > 100 && told[0].candidates_returned.names.len() == 50);
}

#[test]
fn how_models_fare_is_seen_for_the_model_and_the_gateway_that_it_is_about() {
    let standing = Standing::default();
    let whose = (AccountId(Uuid::from_u128(1)), GatewayInternalId(Uuid::from_u128(2)));
    let now_ms = 1_790_000_000_000;
    let mut watched = Watched::new(whose, Some(ModelAt::of("openai", "gpt-4o", true)), Some("key_1".into()));
    watched.refused(&crate::refusal::Refusal::ProviderBrokeOff { provider: "openai".into() });
    let record = model::samples::usage_record(Uuid::from_u128(3), whose.0);
    standing.ended(&watched, &record, Duration::from_millis(5), now_ms);
    for (strategy, expected) in [
        (
            "ai.models.only(['gpt-4o', 'gpt-4o-mini']).filter(m, m.metrics.global.error_rate.total == 0.0)",
            "openai:gpt-4o-mini",
        ),
        (
            "ai.models.only(['gpt-4o', 'gpt-4o-mini']).filter(m, m.metrics.account.request_count == 1)",
            "openai:gpt-4o",
        ),
        ("ai.models.filter(m, m.metrics.endpoint.error_rate.server > 0.9)", "openai:gpt-4o"),
        (
            "ai.models.filter(m, 'key_1' in m.metrics.api_keys && m.metrics.api_keys['key_1'].request_count == 1u)",
            "openai:gpt-4o",
        ),
        ("ai.models.filter(m, m.metrics.account.token.provider_output == 34)", "openai:gpt-4o"),
    ] {
        let compiled = policy_with("", &[strategy]);
        assert!(compiled.strategies.watch);
        let watching = Watching { standing: &standing, whose, now_ms };
        assert_eq!(choice(&compiled, &[], Some(watching)).0, Ok(vec![expected.to_owned()]), "{strategy}");
        let later = Watching { now_ms: now_ms + 600_000, ..watching };
        assert_ne!(choice(&compiled, &[], Some(later)).0, Ok(vec!["openai:gpt-4o".to_owned()]), "{strategy}");
    }
}

/// Strategies that mean something, most of them.
fn strategy() -> impl Strategy<Value = String> {
    let names = prop::sample::select(vec![
        "gpt-4o",
        "gpt-4.1",
        "best",
        "llama3.2:1b",
        "claude-opus-4-6",
        "openai",
        "groq",
        "mistral",
        "",
    ]);
    let step = (0usize..14, names).prop_map(|(which, name)| match which {
        0 => format!(".only(['{name}'])"),
        1 => format!(".ignore(['{name}'])"),
        2 => format!(".onlyProviders(['{name}'])"),
        3 => format!(".ignoreProviders(['{name}'])"),
        4 => format!(".filter(m, m.id != '{name}')"),
        5 => format!(".filter(m, m.provider_id.startsWith('{name}'))"),
        6 => ".sortBy('price')".to_owned(),
        7 => ".sortBy(m, m.metrics.global.request_count)".to_owned(),
        8 => ".randomize()".to_owned(),
        9 => ".random()".to_owned(),
        10 => ".underCost('text.input', 1.0)".to_owned(),
        11 => "[0]".to_owned(),
        12 => ".filter(m, m.metadata.free)".to_owned(),
        _ => " + ai.models".to_owned(),
    });
    prop::collection::vec(step, 0..5).prop_map(|steps| format!("ai.models{}", steps.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_strategy_adds_what_is_not_allowed_or_was_not_named(
        strategies in prop::collection::vec(strategy(), 1..4),
        named in prop::collection::vec(prop::sample::select(vec!["gpt-4o", "gpt-4.1", "local:llama3.2:1b", "groq:x", "openai:gpt-99", "claude-opus-4-6", "nonsense"]), 0..4),
        only_providers: bool,
        only_models: bool,
    ) {
        let restrictions = format!(
            "\n      only_allow_configured_providers: {only_providers}\n      only_allow_configured_models: {only_models}"
        );
        let strategies: Vec<&str> = strategies.iter().map(String::as_str).collect();
        let compiled = policy_with(&restrictions, &strategies);
        let may: Vec<String> = match named.is_empty() {
            true => compiled.selection.everything(ASKED),
            false => named.iter().filter_map(|name| compiled.selection.resolve(name, ASKED).ok()).flatten().collect(),
        }
        .into_iter()
        .map(|candidate| format!("{}:{}", candidate.host.id(), candidate.upstream))
        .collect();
        for _ in 0..2 {
            let (chosen, told) = choice(&compiled, &named, None);
            prop_assert!(told.len() <= strategies.len());
            for name in chosen.unwrap_or_default() {
                prop_assert!(may.contains(&name), "{name} by {strategies:?}");
            }
        }
    }
}
