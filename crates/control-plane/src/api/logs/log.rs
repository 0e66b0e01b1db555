//! A log as it is shown: Cloudflare's fields, and after them what Tollgate knows beyond.

use model::Nanos;
use serde::Serialize;
use serde_json::{Value, json};
use store::logs;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// One attempt at one request.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Log {
    id: Uuid,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    provider: String,
    /// As the caller wrote it.
    model: String,
    model_type: String,
    path: String,
    /// Milliseconds.
    duration: i64,
    /// The provider's whole answer, with a status from 200 to 299.
    success: bool,
    /// Nothing is cached yet: always false.
    cached: bool,
    /// Null where nothing was counted.
    tokens_in: Option<i64>,
    /// Null where nothing was counted.
    tokens_out: Option<i64>,
    /// Dollars; null when the model has no price. `cost_usd` is exact.
    cost: Option<f64>,
    custom_cost: bool,
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
    /// The operation, such as `chat_completions`.
    request_type: String,
    request_content_type: Option<String>,
    response_content_type: Option<String>,
    /// What the caller was sent; 0 when he left first.
    status_code: i32,
    step: i32,
    /// The same for all attempts at one request.
    request_id: Uuid,
    event_id: String,
    feedback: Option<f64>,
    score: Option<f64>,
    /// Whether a valid token was presented.
    authentication: bool,
    /// Whether the provider's credential was the account's own.
    byok: bool,
    /// Whether credits paid.
    wholesale: bool,
    #[serde(rename = "compatibilityMode")]
    compatibility_mode: bool,
    user_agent: Option<String>,
    /// `answered`, `refused`, `failed`, `hung_up`, `abandoned` or `ended`.
    outcome: String,
    /// A stable word for what went wrong.
    cause: Option<String>,
    /// The cost in dollars as an exact decimal.
    cost_usd: Option<String>,
    timings: Timings,
    usage_metadata: UsageMetadata,
    #[serde(flatten)]
    detail: Option<Detail>,
}

/// What only one log shows, not a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Detail {
    /// Bytes of the caller's body.
    request_size: i64,
    /// Bytes of the answer's body.
    response_size: i64,
    /// Bodies are not collected yet: always null.
    request_head: Option<String>,
    /// Bodies are not collected yet: always null.
    response_head: Option<String>,
    request_head_complete: bool,
    response_head_complete: bool,
    method: String,
    streamed: bool,
    attempt: i32,
    /// As the provider named it in its answer.
    model_served: Option<String>,
    /// The code of our own refusal or failure.
    error_code: Option<i64>,
    /// `request`, `stored_key` or `credits`.
    key_source: Option<String>,
    /// The stored key's alias.
    key_alias: Option<String>,
    /// Which version of the price catalogue the cost is from.
    price_version: Option<String>,
    /// What was due from credits, in dollars, exact.
    charge_usd: String,
    /// What was taken from credits, in dollars, exact.
    paid_usd: String,
    /// The W3C trace id.
    trace_id: Option<String>,
    traffic_policy: TrafficPolicy,
}

/// What the gateway's traffic policy had to say.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TrafficPolicy {
    /// What its `log` actions left, in their order: each a map with `metadata`.
    #[schema(value_type = Vec<Object>)]
    logs: Vec<Value>,
}

impl TrafficPolicy {
    fn with(logs: Option<Value>) -> Self {
        let Some(Value::Array(logs)) = logs else { return Self { logs: Vec::new() } };
        Self { logs: logs.into_iter().map(|metadata| json!({ "metadata": metadata })).collect() }
    }
}

/// How long it took, in milliseconds.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Timings {
    /// From the request's head to its dispatch, without waiting for its body.
    queue: f64,
    /// From dispatch to the first byte of the provider's answer.
    upstream_first_byte: f64,
    /// From dispatch to the last byte of the provider's answer.
    upstream_last_byte: f64,
    /// From the request's head to the end.
    total: f64,
    /// What this gateway added to the time to the first byte.
    own: f64,
}

/// Tokens by class; each token stands in exactly one.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UsageMetadata {
    /// Who counted: `reported` by the provider, `counted` or `estimated` by us, or `none`.
    provenance: String,
    input: i64,
    cached_input: i64,
    cache_write: i64,
    output: i64,
    reasoning: i64,
    audio_input: i64,
    audio_output: i64,
    image_input: i64,
    image_output: i64,
    cache_write_long: i64,
    cached_audio_input: i64,
    cached_image_input: i64,
    /// Quantities that are not tokens, by name, such as `output_per_image`.
    units: Option<serde_json::Value>,
}

impl Log {
    /// As a list shows it.
    pub(super) fn listed(log: logs::Log) -> Self {
        Self { detail: None, ..Self::detailed(log) }
    }

    /// As it is shown alone.
    pub(super) fn detailed(log: logs::Log) -> Self {
        let logs::Log {
            id,
            request_id,
            created_at,
            provider,
            model,
            model_served,
            request_type,
            model_type,
            method,
            path,
            streamed,
            step,
            attempt,
            status_code,
            success,
            cached,
            outcome,
            error_code,
            cause,
            tokens_in,
            tokens_out,
            input_tokens,
            cached_input_tokens,
            cache_write_tokens,
            output_tokens,
            reasoning_tokens,
            audio_input_tokens,
            audio_output_tokens,
            image_input_tokens,
            image_output_tokens,
            cache_write_long_tokens,
            cached_audio_input_tokens,
            cached_image_input_tokens,
            units,
            provenance,
            price_version,
            cost_nanos,
            paid_nanos,
            charge_nanos,
            custom_cost,
            queue_time,
            upstream_first_byte_time,
            upstream_last_byte_time,
            total_time,
            own_time,
            request_bytes,
            response_bytes,
            request_content_type,
            response_content_type,
            user_agent,
            event_id,
            metadata,
            feedback,
            score,
            authentication,
            key_source,
            key_alias,
            byok,
            wholesale,
            compatibility_mode,
            trace_id,
            policy_logs,
        } = log;
        let cost = cost_nanos.map(Nanos);
        Self {
            id,
            created_at,
            provider,
            model,
            model_type,
            path,
            duration: (total_time + 500) / 1000,
            success,
            cached,
            tokens_in,
            tokens_out,
            cost: cost.map(Nanos::approximate_dollars),
            custom_cost,
            metadata,
            request_type,
            request_content_type: present(request_content_type),
            response_content_type: present(response_content_type),
            status_code,
            step,
            request_id,
            event_id,
            feedback,
            score,
            authentication,
            byok,
            wholesale,
            compatibility_mode,
            user_agent: present(user_agent),
            outcome,
            cause: present(cause),
            cost_usd: cost.map(|cost| cost.to_string()),
            timings: Timings {
                queue: milliseconds(queue_time),
                upstream_first_byte: milliseconds(upstream_first_byte_time),
                upstream_last_byte: milliseconds(upstream_last_byte_time),
                total: milliseconds(total_time),
                own: milliseconds(own_time),
            },
            usage_metadata: UsageMetadata {
                provenance,
                input: input_tokens,
                cached_input: cached_input_tokens,
                cache_write: cache_write_tokens,
                output: output_tokens,
                reasoning: reasoning_tokens,
                audio_input: audio_input_tokens,
                audio_output: audio_output_tokens,
                image_input: image_input_tokens,
                image_output: image_output_tokens,
                cache_write_long: cache_write_long_tokens,
                cached_audio_input: cached_audio_input_tokens,
                cached_image_input: cached_image_input_tokens,
                units,
            },
            detail: Some(Detail {
                request_size: request_bytes,
                response_size: response_bytes,
                request_head: None,
                response_head: None,
                request_head_complete: false,
                response_head_complete: false,
                method,
                streamed,
                attempt,
                model_served: present(model_served),
                error_code: (error_code != 0).then_some(error_code),
                key_source,
                key_alias: present(key_alias),
                price_version: present(price_version),
                charge_usd: Nanos(charge_nanos).to_string(),
                paid_usd: Nanos(paid_nanos).to_string(),
                trace_id: trace_id.map(hex::encode),
                traffic_policy: TrafficPolicy::with(policy_logs),
            }),
        }
    }
}

fn present(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn milliseconds(microseconds: i64) -> f64 {
    microseconds as f64 / 1000.0
}
