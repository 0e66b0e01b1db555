//! A gateway and its settings: one typed document, kept as JSON, patched by the API, obeyed by the
//! proxy. Field names and bounds are Cloudflare's (`PUT /gateways/{id}`); ours stand at the end.

mod limits;
mod request;

use serde::{Deserialize, Serialize};

pub(crate) use limits::counter_id;
pub use limits::{
    Budget, DEFAULT_MAX_OUTPUT_TOKENS, Dimensions, LARGEST_LIMIT, Limit, LimitType, RateLimit, Source,
    SpendLimits, SpendRule, Split, TokenBudget, Unpriced,
};

use crate::time_zone::TimeZone;

/// The gateway that every account has: it is created with the account, and again at once, empty, when
/// it is deleted. Cloudflare creates it on the first authenticated request that names it, and again
/// after deletion; this looks the same to a caller and needs no proxy that writes configuration.
pub const DEFAULT_ID: &str = "default";

/// Everything that an account can say about one gateway.
///
/// A stored document may be older or newer than this type: what it lacks has the default that
/// means "as before", what it has beyond is kept out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct GatewaySettings {
    /// Kept, not obeyed yet: whether a change of settings empties the cache.
    #[schema(required = true)]
    pub cache_invalidate_on_update: bool,
    /// Kept, not obeyed yet: seconds that an answer may be served again; null or 0 for never.
    #[schema(required = true)]
    pub cache_ttl: Option<u64>,
    /// Whether requests are shown in the log. Usage is metered either way.
    #[schema(required = true)]
    pub collect_logs: bool,
    /// Seconds of the rate limit's window; null or 0 for no limit.
    #[schema(required = true)]
    pub rate_limiting_interval: Option<u64>,
    /// Requests per window; null or 0 for no limit.
    #[schema(required = true)]
    pub rate_limiting_limit: Option<u64>,
    /// How windows follow each other; `fixed` unless said.
    pub rate_limiting_technique: Option<Technique>,
    /// Whether callers must present a token.
    pub authentication: bool,
    /// Whether credits may never be spent here.
    pub byok_only: bool,
    /// Kept, not obeyed yet: data loss prevention.
    #[schema(value_type = Option<Object>)]
    pub dlp: Option<serde_json::Value>,
    /// Kept, not obeyed yet: content guardrails, `{prompt, response}`.
    #[schema(value_type = Option<Object>)]
    pub guardrails: Option<serde_json::Value>,
    /// Kept, not obeyed yet.
    pub log_classification: bool,
    /// Kept, not obeyed yet: how many logs are kept, 10,000 to 10,000,000.
    pub log_management: Option<u64>,
    /// Kept, not obeyed yet: what happens at that number.
    pub log_management_strategy: Option<LogManagementStrategy>,
    /// Kept, not obeyed yet.
    pub logpush: bool,
    /// Kept, not obeyed yet: 16 to 1024 characters.
    pub logpush_public_key: Option<String>,
    /// Kept, not obeyed yet: where traces go, `{url, headers, authorization?, content_type?}`.
    #[schema(value_type = Option<Vec<Object>>)]
    pub otel: Option<Vec<serde_json::Value>>,
    /// Kept, not obeyed yet: how the delay between tries grows.
    pub retry_backoff: Option<RetryBackoff>,
    /// Kept, not obeyed yet: milliseconds, at most 60,000.
    pub retry_delay: Option<u64>,
    /// Kept, not obeyed yet: tries in all, 1 to 5.
    pub retry_max_attempts: Option<u64>,
    /// Rules on spending, from credits and with own keys alike.
    pub spend_limits: Option<SpendLimits>,
    /// Kept, not obeyed yet: a Secrets Store's id.
    pub store_id: Option<String>,
    /// Kept, not obeyed yet: usage events to Stripe.
    #[schema(value_type = Option<Object>)]
    pub stripe: Option<serde_json::Value>,
    /// Kept, not obeyed yet.
    pub workers_ai_billing_mode: WorkersAiBillingMode,
    /// Whether requests on credits ask the provider to retain nothing. OpenAI and Anthropic can.
    pub zdr: bool,
    /// In whose shape our own errors are told. Tollgate's own setting.
    pub error_shape: ErrorShape,
    /// Who may use stored keys. Tollgate's own setting.
    pub stored_keys: StoredKeys,
    /// Whether callers' keys go before stored ones. Tollgate's own setting.
    pub key_precedence: KeyPrecedence,
    /// A bound on tokens. Tollgate's own setting.
    pub token_budget: Option<TokenBudget>,
    /// The output that a request on credits is held to if it names no bound itself; 16,384 unless said.
    /// Tollgate's own setting.
    pub max_output_tokens: Option<u32>,
    /// Where days, weeks and months begin: `UTC`, or a distance such as `+02:00`. Tollgate's own setting.
    #[schema(value_type = String)]
    pub time_zone: TimeZone,
}

impl Default for GatewaySettings {
    fn default() -> Self {
        Self {
            cache_invalidate_on_update: false,
            cache_ttl: None,
            collect_logs: true,
            rate_limiting_interval: None,
            rate_limiting_limit: None,
            rate_limiting_technique: None,
            authentication: false,
            byok_only: false,
            dlp: None,
            guardrails: None,
            log_classification: false,
            log_management: None,
            log_management_strategy: None,
            logpush: false,
            logpush_public_key: None,
            otel: None,
            retry_backoff: None,
            retry_delay: None,
            retry_max_attempts: None,
            spend_limits: None,
            store_id: None,
            stripe: None,
            workers_ai_billing_mode: WorkersAiBillingMode::Postpaid,
            zdr: false,
            error_shape: ErrorShape::ByCaller,
            stored_keys: StoredKeys::Authenticated,
            key_precedence: KeyPrecedence::Request,
            token_budget: None,
            max_output_tokens: None,
            time_zone: TimeZone::UTC,
        }
    }
}

impl GatewaySettings {
    /// What the gateway [`DEFAULT_ID`] begins with; other gateways are as open as their creator says.
    pub fn of_default_gateway() -> Self {
        Self { authentication: true, cache_ttl: Some(0), ..Self::default() }
    }

    /// The rate limit, if one is set.
    pub fn rate_limit(&self) -> Option<RateLimit> {
        let calls = self.rate_limiting_limit.filter(|calls| *calls > 0)?;
        let seconds = self.rate_limiting_interval.filter(|seconds| *seconds > 0)?;
        Some(RateLimit {
            calls: i64::try_from(calls).unwrap_or(LARGEST_LIMIT).min(LARGEST_LIMIT),
            seconds: u32::try_from(seconds).unwrap_or(u32::MAX),
            technique: self.rate_limiting_technique.unwrap_or(Technique::Fixed),
        })
    }

    /// The rules on spending that count.
    pub fn spend_rules(&self) -> impl Iterator<Item = &SpendRule> {
        let limits = self.spend_limits.iter().filter(|limits| limits.enabled);
        limits.flat_map(|limits| &limits.rules).filter(|rule| rule.enabled)
    }
}

/// How windows of a limit follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Technique {
    /// Windows are aligned to the epoch.
    Fixed,
    /// The window ends now.
    Sliding,
}

/// What happens when a gateway's log is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LogManagementStrategy {
    /// New logs are dropped.
    StopInserting,
    /// Old logs make room.
    DeleteOldest,
}

/// How the delay between tries grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RetryBackoff {
    /// Not at all.
    Constant,
    /// By the same amount each time.
    Linear,
    /// To its double each time.
    Exponential,
}

/// How Workers AI is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum WorkersAiBillingMode {
    /// By Workers AI itself.
    Postpaid,
    /// From credits.
    Unified,
}

/// In whose shape our own errors are told. Cloudflare's clients read `error` as a list, the
/// providers' SDKs as an object, so one body cannot serve both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorShape {
    /// The gateway's shape for callers that send `cf-aig-*` headers, else the provider's.
    ByCaller,
    /// Always the gateway's: `{"success":false,"error":[…]}`.
    Gateway,
    /// Always that of the provider's own SDK.
    Provider,
    /// That of the provider's own SDK with ngrok's codes, `ERR_NGROK_…`, in the message, in `code` and in
    /// the header `ngrok-error-code`.
    Ngrok,
}

/// Which key goes first where the caller brings one and one is stored, or the operator has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyPrecedence {
    /// The caller's.
    Request,
    /// The stored one; then callers can send anything in its place.
    Stored,
}

/// Who may use stored keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StoredKeys {
    /// Callers with a valid token, even when the gateway asks for none.
    Authenticated,
    /// Anyone who reaches the gateway.
    Open,
}
