//! What strategies choose from: models with what is known of them, and the keys of a provider.

use std::sync::{Arc, OnceLock};

use model::Secret;

use crate::value::{List, Map, Value};

/// What a strategy chooses from. Models stand in the order in which they would be tried without one.
#[derive(Clone, Copy)]
pub struct Choice<'a> {
    /// The models of a model selection: `ai.models`.
    pub models: &'a [Arc<ModelFacts>],
    /// Those that the request names and nobody knows, which stand behind the others.
    pub named: &'a [Arc<ModelFacts>],
    /// Where parts of the strategy are kept that come to the same for every request. It belongs to one strategy
    /// and to these models; where the request names others besides, nothing of it is used.
    pub remembered: Option<&'a Remembered>,
    /// How models have fared lately; asked only about what an expression mentions.
    pub metrics: &'a (dyn Fn(usize, MetricsOf<'_>) -> Metrics + Sync),
    /// The ids that `m.metrics.api_keys` has of a model.
    pub metered_keys: &'a (dyn Fn(usize) -> Vec<Arc<str>> + Sync),
    /// The keys of a key selection: `ai.keys`.
    pub keys: &'a [KeyFacts],
}

impl<'a> Choice<'a> {
    /// A choice among models of which no metrics are kept: they read as zeros.
    pub fn of_models(models: &'a [Arc<ModelFacts>]) -> Self {
        Self {
            models,
            named: &[],
            remembered: None,
            metrics: &|_, _| Metrics::default(),
            metered_keys: &|_| Vec::new(),
            keys: &[],
        }
    }

    /// A choice among the keys of a provider.
    pub fn of_keys(keys: &'a [KeyFacts]) -> Self {
        Self { keys, ..Self::of_models(&[]) }
    }

    /// The model at a place.
    pub(crate) fn model(&self, at: usize) -> Option<&'a ModelFacts> {
        let model = self.models.get(at).or_else(|| self.named.get(at.checked_sub(self.models.len())?));
        model.map(|model| &**model)
    }

    /// All models, with their places.
    pub(crate) fn all_models(&self) -> impl Iterator<Item = (u32, &'a ModelFacts)> {
        let models: (&'a [_], &'a [_]) = (self.models, self.named);
        (0..).zip(models.0.iter().chain(models.1).map(|model: &'a Arc<ModelFacts>| &**model))
    }

    /// Where a part of the strategy is kept, if it may be.
    pub(crate) fn memory(&self, part: usize) -> Option<&'a OnceLock<Value>> {
        let remembered = self.remembered.filter(|_| self.named.is_empty())?;
        remembered.parts.get(part)
    }
}

/// So many parts of a strategy are kept.
pub(crate) const MOST_REMEMBERED: usize = 8;

/// What parts of a strategy come to that depend on nothing but the models there are: most strategies begin with
/// such a part, and there are hundreds of models.
#[derive(Debug, Default)]
pub struct Remembered {
    parts: [OnceLock<Value>; MOST_REMEMBERED],
}

/// Whose calls of a model are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsOf<'a> {
    /// Everybody's: `m.metrics.global`.
    Everybody,
    /// Everybody's in this region: `m.metrics.region`.
    Region,
    /// The account's: `m.metrics.account`.
    Account,
    /// The endpoint's: `m.metrics.endpoint`.
    Endpoint,
    /// Those with one key: `m.metrics.api_keys['…']`.
    Key(&'a str),
}

/// A model at a provider: the `m` of strategies. Made once and used for many requests.
#[derive(Debug, Clone)]
pub struct ModelFacts {
    /// What clients call it.
    pub id: Arc<str>,
    /// Other names of the model.
    pub id_aliases: Arc<List>,
    /// The provider.
    pub provider_id: Arc<str>,
    /// Other names of the provider.
    pub provider_id_aliases: Arc<List>,
    /// What the policy says of the provider.
    pub provider_metadata: Arc<Map>,
    /// Who made the model.
    pub author_id: Arc<str>,
    /// Other names of the author.
    pub author_id_aliases: Arc<List>,
    /// A name for people.
    pub display_name: Arc<str>,
    /// A sentence for people.
    pub description: Arc<str>,
    /// Whether it is in the catalogue.
    pub known: bool,
    /// Whether it is in the policy.
    pub custom: bool,
    /// What the policy says of the model.
    pub metadata: Arc<Map>,
    /// `text`, `image`, …
    pub input_modalities: Arc<List>,
    /// `text`, `image`, …
    pub output_modalities: Arc<List>,
    /// `tool-calling`, `vision`, …
    pub supported_features: Arc<List>,
    /// Tokens of a prompt and its completion.
    pub max_context_window: Option<u64>,
    /// Tokens of a completion.
    pub max_output_tokens: Option<u64>,
    /// How many parameters it has.
    pub parameter_count: Option<u64>,
    /// How it is quantised.
    pub quantization: Option<Arc<str>>,
    /// What the provider says about training on what it is sent.
    pub data_training_policy: Option<Arc<str>>,
    /// How long the provider keeps what it is sent.
    pub data_retention_days: Option<u64>,
    /// What the provider says about keeping it.
    pub data_retention_policy: Option<Arc<str>>,
    /// Prices by what is paid for, such as `text.input`, in dollars: per million tokens, or per call.
    pub prices: Vec<(&'static str, f64)>,
    /// Where the provider computes.
    pub datacenters: Vec<Datacenter>,
}

/// A place where a provider computes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datacenter {
    /// The country in two letters.
    pub country_code: Arc<str>,
    /// The region, such as `us-east-1`.
    pub region: Arc<str>,
}

/// How the calls of a model have fared lately. New ones read as zeros.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Metrics {
    /// How many calls there were.
    pub request_count: u64,
    /// When the time began that is looked at, in Unix seconds.
    pub start_time: u32,
    /// When it ended.
    pub end_time: u32,
    /// How long they took.
    pub latency: Latencies,
    /// How many of them failed, and why.
    pub error_rate: ErrorRates,
    /// What they used; not told of everybody's.
    pub token: Option<Tokens>,
    /// What is left; told of keys.
    pub quota: Option<Quota>,
}

/// Milliseconds: the mean and what 95 of 100 stay under. `None` where nothing was streamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Latencies {
    /// What the gateway took.
    pub gateway: (u32, u32),
    /// What the provider took.
    pub upstream: (u32, u32),
    /// Until the first token.
    pub time_to_first_token: Option<(u32, u32)>,
    /// From token to token.
    pub time_per_output_token: Option<(u32, u32)>,
}

/// Shares of one.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ErrorRates {
    /// Whatever was neither a success nor a redirect.
    pub total: f64,
    /// Those that took too long.
    pub timeout: f64,
    /// Those that were one too many.
    pub rate_limit: f64,
    /// Other mistakes of callers.
    pub client: f64,
    /// Failures of the provider.
    pub server: f64,
}

/// Tokens used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tokens {
    /// Of prompts, as the provider counts.
    pub provider_input: u64,
    /// Of completions, as the provider counts.
    pub provider_output: u64,
    /// Of prompts, as we estimate.
    pub estimated_input: u64,
    /// Of completions, as we estimate.
    pub estimated_output: u64,
}

/// What a provider last said of a key's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quota {
    /// Requests left.
    pub remaining_requests: Option<u64>,
    /// Tokens left.
    pub remaining_tokens: Option<u64>,
    /// Requests in all.
    pub limit_requests: Option<u64>,
    /// Tokens in all.
    pub limit_tokens: Option<u64>,
}

/// A key of a provider: the `k` of strategies.
#[derive(Debug, Clone)]
pub struct KeyFacts {
    /// What it is called in logs.
    pub id: Arc<str>,
    /// The key.
    pub value: Arc<Secret>,
    /// What the provider last said of its limits.
    pub quota: Quota,
    /// How many of its calls failed, and why.
    pub error_rate: ErrorRates,
}

impl ModelFacts {
    /// A model of which nothing else is known.
    pub fn new(provider_id: &str, id: &str) -> Self {
        let (nothing, none): (Arc<List>, Arc<Map>) = (Arc::default(), Arc::default());
        Self {
            id: id.into(),
            id_aliases: nothing.clone(),
            provider_id: provider_id.into(),
            provider_id_aliases: nothing.clone(),
            provider_metadata: none.clone(),
            author_id: "".into(),
            author_id_aliases: nothing.clone(),
            display_name: id.into(),
            description: "".into(),
            known: false,
            custom: false,
            metadata: none,
            input_modalities: nothing.clone(),
            output_modalities: nothing.clone(),
            supported_features: nothing,
            max_context_window: None,
            max_output_tokens: None,
            parameter_count: None,
            quantization: None,
            data_training_policy: None,
            data_retention_days: None,
            data_retention_policy: None,
            prices: Vec::new(),
            datacenters: Vec::new(),
        }
    }

    /// What is paid for something, such as `text.input`.
    pub(crate) fn price(&self, what: &str) -> Option<f64> {
        self.prices.iter().find(|(name, _)| *name == what).map(|(_, dollars)| *dollars)
    }
}

/// A list of names, for the fields above.
impl<'a> FromIterator<&'a str> for List {
    fn from_iter<I: IntoIterator<Item = &'a str>>(names: I) -> Self {
        Self::new(names.into_iter().map(Value::from).collect())
    }
}
