//! Choosing models and keys.

use std::sync::Arc;

use model::Secret;
use policy::expression::StrategyError;
use policy::facts::{
    Choice, Datacenter, ErrorRates, KeyFacts, Latencies, Metrics, MetricsOf, ModelFacts, Quota, Remembered,
    Tokens,
};
use policy::value::Map;
use policy::{Expression, Scope, Value};

use crate::stage::Stage;

fn place(country_code: &str, region: &str) -> Datacenter {
    Datacenter { country_code: country_code.into(), region: region.into() }
}

fn metadata(json: serde_json::Value) -> Arc<Map> {
    let Value::Map(map) = Value::from_json(json) else { panic!("metadata is an object") };
    map
}

/// 0: gpt-4o, 1: gpt-4o-mini, 2: claude-sonnet, 3: llama at groq, 4: llama3.2:1b at home.
fn models() -> Vec<Arc<ModelFacts>> {
    let models = [
        ModelFacts {
            author_id: "openai".into(),
            known: true,
            supported_features: Arc::new(["tool-calling", "vision"].into_iter().collect()),
            input_modalities: Arc::new(["text", "image"].into_iter().collect()),
            max_context_window: Some(128_000),
            max_output_tokens: Some(16_384),
            prices: vec![("text.input", 2.5), ("text.output", 10.0)],
            datacenters: vec![place("US", "us-east-1"), place("DE", "eu-central-1")],
            ..ModelFacts::new("openai", "gpt-4o")
        },
        ModelFacts {
            author_id: "openai".into(),
            known: true,
            id_aliases: Arc::new(["4o-mini"].into_iter().collect()),
            max_context_window: Some(128_000),
            prices: vec![("text.input", 0.15), ("text.output", 0.6)],
            datacenters: vec![place("US", "us-east-1")],
            ..ModelFacts::new("openai", "gpt-4o-mini")
        },
        ModelFacts {
            author_id: "anthropic".into(),
            known: true,
            supported_features: Arc::new(["tool-calling", "coding"].into_iter().collect()),
            max_context_window: Some(200_000),
            prices: vec![("text.input", 3.0), ("tools.web_search.per_search_call", 0.01)],
            ..ModelFacts::new("anthropic", "claude-sonnet")
        },
        ModelFacts {
            author_id: "meta".into(),
            author_id_aliases: Arc::new(["facebook"].into_iter().collect()),
            known: true,
            prices: vec![("text.input", 0.05)],
            provider_id_aliases: Arc::new(["groqcloud"].into_iter().collect()),
            ..ModelFacts::new("groq", "llama-3.1-8b")
        },
        ModelFacts {
            custom: true,
            metadata: metadata(serde_json::json!({"tier": {"name": "free"}, "gpu": true})),
            provider_metadata: metadata(serde_json::json!({"place": "cellar"})),
            ..ModelFacts::new("home", "llama3.2:1b")
        },
    ];
    models.map(Arc::new).into()
}

fn metrics(model: usize, of: MetricsOf<'_>) -> Metrics {
    match of {
        MetricsOf::Everybody => Metrics {
            request_count: 10 * model as u64,
            latency: Latencies {
                upstream: ([900, 300, 500, 100, 700][model], 2_000),
                ..Latencies::default()
            },
            error_rate: ErrorRates { total: [0.0, 0.2, 0.0, 0.5, 0.0][model], ..ErrorRates::default() },
            ..Metrics::default()
        },
        MetricsOf::Key(_) => Metrics {
            quota: Some(Quota { remaining_requests: Some(5), ..Quota::default() }),
            token: Some(Tokens { provider_input: 77, ..Tokens::default() }),
            ..Metrics::default()
        },
        _ => Metrics { token: Some(Tokens::default()), ..Metrics::default() },
    }
}

fn choose(text: &str) -> Result<Vec<usize>, StrategyError> {
    let models = models();
    let metered = |model: usize| if model == 0 { vec!["key_1".into()] } else { Vec::new() };
    let choice = Choice { metrics: &metrics, metered_keys: &metered, ..Choice::of_models(&models) };
    let strategy =
        Expression::compile(text, Scope::ModelStrategy).unwrap_or_else(|error| panic!("{text}: {error}"));
    Stage::default().with(Some(&choice), |facts| strategy.choose(facts))
}

fn chosen(table: &[(&str, &[usize])]) {
    let mut wrong = Vec::new();
    for (text, expected) in table {
        let found = choose(text);
        if found.as_deref() != Ok(expected) {
            wrong.push(format!("`{text}` chose {found:?}, expected {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn models_are_chosen_by_name() {
    chosen(&[
        ("ai.models", &[0, 1, 2, 3, 4]),
        ("ai.models.only(['gpt-4o', 'claude-sonnet'])", &[0, 2]),
        ("ai.models.only(['4o-mini'])", &[1]),
        ("ai.models.only(['openai:gpt-4o', 'groq:gpt-4o'])", &[0]),
        ("ai.models.only(['llama3.2:1b'])", &[4]),
        ("ai.models.only(['home:llama3.2:1b'])", &[4]),
        ("ai.models.ignore(['gpt-4o'])", &[1, 2, 3, 4]),
        ("ai.models.onlyProviders(['openai', 'GROQCLOUD'])", &[0, 1, 3]),
        ("ai.models.ignoreProviders(['openai'])", &[2, 3, 4]),
        ("ai.models.onlyAuthors(['facebook'])", &[3]),
        ("ai.models.ignoreAuthors(['openai', 'meta'])", &[2, 4]),
        ("ai.models.get('openai', 'gpt-4o-mini')", &[1]),
        ("[ai.models.get('anthropic', 'claude-sonnet'), ai.models.get('openai', 'gpt-4o')]", &[2, 0]),
        ("ai.providers.get('openai').getModel('gpt-4o-mini')", &[1]),
        ("ai.models[3]", &[3]),
        ("[ai.models[1], ai.models[1]]", &[1]),
        ("[]", &[]),
    ]);
}

#[test]
fn models_are_chosen_by_what_they_can_do() {
    chosen(&[
        ("ai.models.filter(m, m.provider_id == 'openai')", &[0, 1]),
        ("ai.models.filter(m, 'vision' in m.supported_features)", &[0]),
        ("ai.models.filter(m, 'image' in m.input_modalities && m.known && !m.custom)", &[0]),
        ("ai.models.filter(m, m.max_context_window >= 128000)", &[0, 1, 2]),
        ("ai.models.filter(m, m.max_output_tokens > 1000)", &[0]),
        ("ai.models.filter(m, m.id.contains('llama') && m.author_id in ['meta', ''])", &[3, 4]),
        ("ai.models.filter(m, has(m.metadata.gpu) && m.metadata.gpu)", &[4]),
        ("ai.models.filter(m, m.getMetadata('tier.name') == 'free')", &[4]),
        ("ai.models.filter(m, m.metadata.tier.name == 'free')", &[4]),
        ("ai.models.filter(m, m.metadata.gpu == null)", &[0, 1, 2, 3]),
        ("ai.models.filter(m, ai.providers.get(m.provider_id).metadata.place == 'cellar')", &[4]),
        ("ai.models.filter(m, m.datacenters.exists(d, d.country_code == 'DE'))", &[0]),
        ("ai.models.inRegion('us-east-1')", &[0, 1]),
        ("ai.models.inCountryCode('de')", &[0]),
        ("ai.models.filter(m, m.provider_id_aliases.exists(a, a == 'groqcloud'))", &[3]),
        ("ai.models.filter(m, m.quantization == null && m.display_name == 'gpt-4o')", &[0]),
        ("ai.models.filter(m, ai.providers.get(m.provider_id).getMetadata('place') == 'cellar')", &[4]),
        ("ai.models.filter(m, m.known).filter(m, m.author_id == 'meta')", &[3]),
    ]);
}

#[test]
fn models_are_chosen_by_price() {
    chosen(&[
        ("ai.models.sortBy('price')", &[3, 1, 0, 2, 4]),
        ("ai.models.underCost('text.input', 2.5)", &[1, 3]),
        ("ai.models.underCost('text.input', 1)", &[1, 3]),
        ("ai.models.underCost('tools.web_search.per_search_call', 1.0)", &[2]),
        ("ai.models.sortBy(m, m.pricing.input)", &[3, 1, 0, 2, 4]),
        ("ai.models.filter(m, m.pricing.text.output < 1.0)", &[1]),
        ("ai.models.filter(m, m.pricing.input < 3)", &[0, 1, 3]),
        ("ai.models.filter(m, has(m.pricing.input)).size() == 4 ? ai.models[0] : ai.models[1]", &[0]),
    ]);
}

#[test]
fn models_are_chosen_by_how_they_fare() {
    chosen(&[
        ("ai.models.sortBy(m, m.metrics.global.latency.upstream_ms_avg)", &[3, 1, 2, 4, 0]),
        ("ai.models.filter(m, m.metrics.global.error_rate.total < 0.1)", &[0, 2, 4]),
        ("ai.models.filter(m, m.metrics.global.request_count >= 20u)", &[2, 3, 4]),
        ("ai.models.filter(m, m.metrics.account.token.provider_input == 0)", &[0, 1, 2, 3, 4]),
        (
            "ai.models.filter(m, m.metrics.region.latency.time_to_first_token_ms_avg == null)",
            &[0, 1, 2, 3, 4],
        ),
        ("ai.models.filter(m, 'key_1' in m.metrics.api_keys)", &[0]),
        (
            "ai.models.filter(m, 'key_1' in m.metrics.api_keys && m.metrics.api_keys['key_1'].quota.remaining_requests > 4)",
            &[0],
        ),
        ("ai.models.filter(m, m.metrics.endpoint.provider == 'openai')", &[0, 1]),
        (
            "ai.models.filter(m, m.metrics.global['latency']['upstream_ms_p95'] == 2000).only(['gpt-4o'])",
            &[0],
        ),
    ]);
}

#[test]
fn models_are_chosen_by_what_is_asked_and_when() {
    chosen(&[
        ("req.headers['x-tag'][0] == 'one' ? ai.models.only(['gpt-4o']) : ai.models", &[0]),
        ("timestamp(time.now).getDayOfWeek() == 0 ? ai.models[2] : ai.models[0]", &[2]),
    ]);
}

#[test]
fn chance_chooses_among_all() {
    let mut seen = [0; 5];
    for _ in 0..200 {
        for place in choose("ai.models.random()").unwrap() {
            seen[place] += 1;
        }
    }
    // Each stage throws the same dice.
    assert_eq!(seen.iter().filter(|count| **count > 0).count(), 1);
    let mut all = choose("ai.models.randomize()").unwrap();
    assert_ne!(all, [0, 1, 2, 3, 4]);
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2, 3, 4]);
    assert_eq!(choose("ai.models.filter(m, false).random()"), Ok(vec![]));
}

#[test]
fn what_is_no_model_is_told_apart_from_what_fails() {
    for text in [
        "'gpt-4o'",
        "ai.models.map(m, m.id)",
        "ai.providers",
        "true",
        "ai.models.size()",
        "[ai.models]",
        "null",
    ] {
        assert!(matches!(choose(text), Err(StrategyError::WrongType { .. })), "{text}: {:?}", choose(text));
    }
    for text in [
        "ai.models.get('openai', 'none')",
        "ai.models[9]",
        "ai.models.filter(m, m.nothing)",
        "ai.models.filter(m, m.metadata.tier.name.first == 'f')",
        "ai.models.filter(m, m.metadata.cost > 1)",
        "ai.models.underCost('text.inputs', 1.0)",
        "ai.models.sortBy('name')",
        "ai.models.filter(m, m.metrics.api_keys['none'].request_count > 1)",
        "ai.models.filter(m, m.metrics.galaxy.request_count > 1)",
        "ai.models.filter(m, m.metrics.global.token.provider_input > 1)",
        "ai.models.filter(m, m.id)",
        "['a'].only(['a'])",
    ] {
        assert!(matches!(choose(text), Err(StrategyError::Failed(_))), "{text}: {:?}", choose(text));
    }
}

#[test]
fn keys_are_chosen_by_what_is_left_of_them() {
    let key = |id: &str, remaining: Option<u64>, timeout: f64| KeyFacts {
        id: id.into(),
        value: Arc::new(Secret::new(format!("sk-{id}-0123456789"))),
        quota: Quota { remaining_requests: remaining, limit_requests: Some(100), ..Quota::default() },
        error_rate: ErrorRates { timeout, ..ErrorRates::default() },
    };
    let keys = [key("a", Some(3), 0.0), key("b", None, 0.5), key("c", Some(90), 0.0)];
    let choose = |text: &str| {
        let strategy =
            Expression::compile(text, Scope::KeyStrategy).unwrap_or_else(|error| panic!("{text}: {error}"));
        Stage::default().with(Some(&Choice::of_keys(&keys)), |facts| strategy.choose(facts))
    };
    assert_eq!(choose("ai.keys"), Ok(vec![0, 1, 2]));
    assert_eq!(
        choose("ai.keys.filter(k, k.quota.remaining_requests != null && k.quota.remaining_requests > 10)"),
        Ok(vec![2])
    );
    assert_eq!(choose("ai.keys.filter(k, k.error_rate.timeout < 0.1)"), Ok(vec![0, 2]));
    assert_eq!(choose("ai.keys.filter(k, k.id == 'b')"), Ok(vec![1]));
    assert_eq!(choose("ai.keys.filter(k, k.value.endsWith('6789') && k.value.contains('-c-'))"), Ok(vec![2]));
    assert_eq!(choose("ai.keys.random()").map(|keys| keys.len()), Ok(1));
    assert!(matches!(
        choose("ai.keys.map(k, k.value)"),
        Err(StrategyError::WrongType { expected: "key", .. })
    ));
    let shown = Stage::default().with(Some(&Choice::of_keys(&keys)), |facts| {
        let value =
            Expression::compile("ai.keys.map(k, k.value)", Scope::KeyStrategy).unwrap().evaluate(facts);
        format!("{value:?}")
    });
    assert!(!shown.contains("0123"), "{shown}");
}

#[test]
fn models_can_be_written_as_json() {
    let text = "json.encode(ai.models.only(['gpt-4o-mini'])).contains('\"provider_id\":\"openai\"') ? ai.models : []";
    assert_eq!(choose(text), Ok(vec![0, 1, 2, 3, 4]));
}

#[test]
fn what_a_request_names_and_nobody_knows_can_be_chosen_too() {
    let (models, named) = (models(), [Arc::new(ModelFacts::new("openai", "gpt-9"))]);
    let choice = Choice { named: &named, ..Choice::of_models(&models) };
    let choose = |text: &str| {
        let strategy = Expression::compile(text, Scope::ModelStrategy).unwrap();
        Stage::default().with(Some(&choice), |facts| strategy.choose(facts))
    };
    assert_eq!(choose("ai.models.filter(m, !m.known)"), Ok(vec![4, 5]));
    assert_eq!(choose("ai.providers.get('openai').getModel('gpt-9')"), Ok(vec![5]));
    assert_eq!(choose("ai.models.onlyProviders(['openai'])"), Ok(vec![0, 1, 5]));
}

#[test]
fn what_depends_on_the_models_alone_is_computed_once() {
    let (models, named) = (models(), [Arc::new(ModelFacts::new("openai", "gpt-9"))]);
    let strategy = "ai.models.filter(m, m.known).filter(m, m.metrics.global.request_count < 20)";
    let strategy = Expression::compile(strategy, Scope::ModelStrategy).unwrap();
    let remembered = Remembered::default();
    let choose = |models: &[Arc<ModelFacts>], named: &[Arc<ModelFacts>], count: u64| {
        let counted = |_: usize, _: MetricsOf<'_>| Metrics { request_count: count, ..Metrics::default() };
        let choice =
            Choice { metrics: &counted, remembered: Some(&remembered), named, ..Choice::of_models(models) };
        Stage::default().with(Some(&choice), |facts| strategy.choose(facts)).unwrap()
    };
    assert_eq!(choose(&models, &[], 1), [0, 1, 2, 3]);
    assert!(choose(&models, &[], 100).is_empty());
    assert_eq!(choose(&models[..2], &named, 1), [0, 1]);
    // Whoever shows it other models has to bring another memory, which is how this can be seen.
    let unknown = ["a", "b", "c", "d"].map(|id| Arc::new(ModelFacts::new("p", id)));
    assert_eq!(choose(&unknown, &[], 1), [0, 1, 2, 3]);
}

#[test]
fn a_strategy_that_can_never_choose_is_known_before_there_is_a_request() {
    for (text, found) in [
        ("'gpt-4o'", Some("a string")),
        ("['gpt-4o']", Some("a list, with a string in it")),
        ("true", Some("true or false")),
        ("ai.providers", Some("a list, with a provider in it")),
        ("ai.providers.get('openai')", Some("a provider")),
        ("ai.authors.random()", Some("an author")),
        ("ai.models.map(m, m.id)", Some("a list, with a member of one of them in it")),
        ("ai.models.map(m, m)", None),
        ("[ai.models]", Some("a list of lists")),
        ("ai.models.size()", Some("a number")),
        ("ai.models.exists(m, m.known)", Some("true or false")),
        ("ai.models[0].pricing.input", Some("a member of one of them")),
        ("req.headers['x-model'][0]", Some("a string")),
        ("req.method == 'GET' ? 'gpt-4o' : ai.models.size()", Some("a string")),
        ("req.method == 'GET' ? ai.models : 'gpt-4o'", None),
        ("ai.models", None),
        ("[]", None),
        ("ai.models[0]", None),
        ("ai.models.random()", None),
        ("ai.models.filter(m, m.known).sortBy('price')[0]", None),
        ("ai.models.only(['a']) + ai.models.only(['b'])", None),
        ("[ai.models.get('openai', 'gpt-4o'), ai.models[1]]", None),
        ("ai.providers.get('openai').getModel('gpt-4o')", None),
        ("ai.providers.map(p, p.getModel('gpt-4o'))", None),
        ("vars.chosen", None),
    ] {
        let strategy = Expression::compile(text, Scope::ModelStrategy).unwrap();
        assert_eq!(strategy.never_a_choice().as_deref(), found, "{text}");
    }
    let keys = |text: &str| Expression::compile(text, Scope::KeyStrategy).unwrap().never_a_choice();
    assert!(keys("ai.keys.map(k, k.value)").is_some() && keys("ai.keys.map(k, k.id)").is_some());
    assert!(keys("ai.keys.filter(k, k.quota.remaining_requests > 1)").is_none());
}
