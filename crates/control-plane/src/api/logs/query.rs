//! What a list of logs is asked for, in all the ways in which clients ask.

mod filters;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde_json::Value;
use store::logs::{Direction, Filter, InvalidFilter, Key, LogQuery, Operator, OrderBy};
use utoipa::IntoParams;

use crate::api::error::ApiError;

/// The most that one call hides, as at Cloudflare.
const MOST_HIDDEN: i64 = 10_000;

/// A query for logs.
#[derive(Debug)]
pub(super) struct LogRequest {
    /// Which logs, in which order.
    pub(super) query: LogQuery,
    /// Whether statistics are asked for.
    pub(super) meta_info: bool,
    /// How many to hide.
    pub(super) limit: i64,
}

/// How a list is asked for, for the OpenAPI document.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `LogRequest` reads")]
pub(super) struct ListParams {
    /// A text somewhere in the metadata.
    search: Option<String>,
    /// `created_at`, `provider`, `model`, `model_type`, `success`, `cached`, `cost`, `tokens_in`,
    /// `tokens_out`, `duration` or `feedback`.
    order_by: Option<String>,
    /// `asc` or `desc` (the default).
    order_by_direction: Option<String>,
    /// The deprecated name of `order_by_direction`.
    direction: Option<String>,
    /// Conditions `{key, operator, value[]}`; operators are `eq`, `neq`, `contains`, `lt` and `gt`.
    #[param(value_type = Option<Vec<Object>>)]
    filters: Option<Vec<Value>>,
    /// Adds the least and the most of cost, tokens, duration and time to `result_info`.
    meta_info: Option<bool>,
    /// Deprecated: filter by `created_at`.
    start_date: Option<String>,
    /// Deprecated: filter by `created_at`.
    end_date: Option<String>,
    /// Deprecated: filter by `cost`.
    min_cost: Option<f64>,
    /// Deprecated: filter by `cost`.
    max_cost: Option<f64>,
    /// Deprecated: filter by `tokens_in`.
    min_tokens_in: Option<i64>,
    /// Deprecated: filter by `tokens_in`.
    max_tokens_in: Option<i64>,
    /// Deprecated: filter by `tokens_out`.
    min_tokens_out: Option<i64>,
    /// Deprecated: filter by `tokens_out`.
    max_tokens_out: Option<i64>,
    /// Deprecated: filter by `tokens`.
    min_total_tokens: Option<i64>,
    /// Deprecated: filter by `tokens`.
    max_total_tokens: Option<i64>,
    /// Deprecated: filter by `duration`.
    min_duration: Option<f64>,
    /// Deprecated: filter by `duration`.
    max_duration: Option<f64>,
    /// Deprecated: 1 for logs with positive feedback, 0 for the others that have any.
    feedback: Option<i32>,
    /// Deprecated: filter by `success`.
    success: Option<bool>,
    /// Deprecated: filter by `cached`.
    cached: Option<bool>,
    /// Deprecated: filter by `model`.
    model: Option<String>,
    /// Deprecated: filter by `model_type`.
    model_type: Option<String>,
    /// Deprecated: filter by `provider`.
    provider: Option<String>,
    /// Deprecated: filter by `request_content_type`.
    request_content_type: Option<String>,
    /// Deprecated: filter by `response_content_type`.
    response_content_type: Option<String>,
}

/// How logs to be hidden are named, for the OpenAPI document.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `LogRequest` reads")]
pub(super) struct HideParams {
    /// As for the list.
    #[param(value_type = Option<Vec<Object>>)]
    filters: Option<Vec<Value>>,
    /// How many at most.
    #[param(minimum = 1, maximum = 10_000, default = 10_000)]
    limit: Option<i64>,
    /// As for the list.
    order_by: Option<String>,
    /// As for the list.
    order_by_direction: Option<String>,
}

/// Deprecated parameters, each a filter of its own.
const DEPRECATED: &[(&str, Key, Operator)] = &[
    ("start_date", Key::CreatedAt, Operator::AtLeast),
    ("end_date", Key::CreatedAt, Operator::AtMost),
    ("min_cost", Key::Cost, Operator::AtLeast),
    ("max_cost", Key::Cost, Operator::AtMost),
    ("min_tokens_in", Key::TokensIn, Operator::AtLeast),
    ("max_tokens_in", Key::TokensIn, Operator::AtMost),
    ("min_tokens_out", Key::TokensOut, Operator::AtLeast),
    ("max_tokens_out", Key::TokensOut, Operator::AtMost),
    ("min_total_tokens", Key::Tokens, Operator::AtLeast),
    ("max_total_tokens", Key::Tokens, Operator::AtMost),
    ("min_duration", Key::Duration, Operator::AtLeast),
    ("max_duration", Key::Duration, Operator::AtMost),
    ("success", Key::Success, Operator::Equal),
    ("cached", Key::Cached, Operator::Equal),
    ("model", Key::Model, Operator::Equal),
    ("model_type", Key::ModelType, Operator::Equal),
    ("provider", Key::Provider, Operator::Equal),
    ("request_content_type", Key::RequestContentType, Operator::Equal),
    ("response_content_type", Key::ResponseContentType, Operator::Equal),
];

impl<S: Send + Sync> FromRequestParts<S> for LogRequest {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Self::of_query(parts.uri.query().unwrap_or_default())
    }
}

impl LogRequest {
    /// Reads a query string. Parameters that are not ours are ignored, as clients add their own.
    pub(super) fn of_query(query: &str) -> Result<Self, ApiError> {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query)
            .map_err(|_| ApiError::query("filters", "the query string cannot be read"))?;
        let mut request = Self { query: LogQuery::default(), meta_info: false, limit: MOST_HIDDEN };
        request.query.filters = filters::of_pairs(&pairs)?;
        for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
            request.take(name, value)?;
        }
        Ok(request)
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), ApiError> {
        match name {
            "search" if value.contains('\0') => {
                return Err(ApiError::query(name, "expected a text without NUL"));
            }
            "search" => self.query.search = Some(value.to_owned()),
            "order_by" => {
                self.query.order_by = OrderBy::from_word(value).ok_or_else(|| {
                    ApiError::query(name, format!("expected one of {}", OrderBy::WORDS.join(", ")))
                })?;
            }
            "order_by_direction" | "direction" => {
                self.query.direction = match value {
                    "asc" => Direction::Ascending,
                    "desc" => Direction::Descending,
                    _ => return Err(ApiError::query(name, "expected asc or desc")),
                };
            }
            "meta_info" => {
                self.meta_info = match value {
                    "true" | "1" => true,
                    "false" | "0" => false,
                    _ => return Err(ApiError::query(name, "expected true or false")),
                };
            }
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=MOST_HIDDEN).contains(limit));
                let wanted = format!("expected a whole number from 1 to {MOST_HIDDEN}");
                self.limit = limit.ok_or_else(|| ApiError::query(name, wanted))?;
            }
            "feedback" => {
                let operator = if value == "1" { Operator::Greater } else { Operator::AtMost };
                self.add(name, Key::Feedback, operator, "0")?;
            }
            _ => {
                if let Some((_, key, operator)) = DEPRECATED.iter().find(|(known, ..)| *known == name) {
                    self.add(name, *key, *operator, value)?;
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, name: &str, key: Key, operator: Operator, value: &str) -> Result<(), ApiError> {
        let filter = Filter::of(key, operator, &[Value::String(value.to_owned())]);
        self.query.filters.push(filter.map_err(|error| ApiError::query(name, error.to_string()))?);
        Ok(())
    }
}

impl From<InvalidFilter> for ApiError {
    fn from(error: InvalidFilter) -> Self {
        ApiError::query("filters", error.to_string())
    }
}
