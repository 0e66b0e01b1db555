//! A gateway's logs: list, show, annotate, hide.

mod annotation;
mod log;
mod query;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Map, Value, json};
use store::gateways::Gateway;
use store::logs::{self, Statistics};
use store::{Store, StoreError};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::ApiState;
use super::authorized::{AiGatewayRead, AiGatewayWrite, Authorized, Guarded, PathIds};
use super::body::Body;
use super::envelope::{ApiResult, Envelope, Paged, PagedResult};
use super::error::{ApiError, Failure};
use super::page::{Page, PageParams};
use log::Log;
use query::{HideParams, ListParams, LogRequest};

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list, hide))
        .routes(routes!(show, annotate))
        .routes(routes!(request_body))
        .routes(routes!(response_body))
}

/// A log with the gateway that the path names beside it.
#[derive(Debug)]
pub(crate) struct LogOfGateway {
    gateway: Gateway,
    log: logs::Log,
}

impl Guarded for LogOfGateway {
    async fn find(
        store: &Store,
        account: model::AccountId,
        path: &PathIds,
    ) -> Result<Option<Self>, StoreError> {
        let Some(id) = path.id::<Uuid>("log_id") else { return Ok(None) };
        let Some(gateway) = Gateway::find(store, account, path).await? else { return Ok(None) };
        let log = logs::get(store, gateway.internal_id, id).await?;
        Ok(log.map(|log| Self { gateway, log }))
    }
}

/// List a gateway's logs
///
/// The newest first unless ordered otherwise. `filters` may be given as the official clients do
/// (`filters.key=…&filters.operator=…&filters.value=…`, repeated), as one JSON array, or with brackets
/// (`filters[0][key]=…`). All filters must hold; of several values in one filter any does (`neq`: none).
/// `total_count` is counted up to 100,000 logs, and the statistics of `meta_info` are taken of the newest
/// 100,000.
#[utoipa::path(
    get,
    path = "/accounts/{account_id}/ai-gateway/gateways/{gateway_id}/logs",
    tag = "Logs",
    params(PageParams, ListParams),
    responses((status = 200, body = Paged<Log>)),
)]
async fn list(
    gateway: Authorized<Gateway, AiGatewayRead>,
    page: Page<50>,
    LogRequest { query, meta_info, limit: _ }: LogRequest,
    State(store): State<Store>,
) -> PagedResult<Log> {
    let id = gateway.internal_id;
    let found = logs::list(&store, id, &query, page.limit(), page.offset()).await?;
    let total = logs::count(&store, id, &query).await?;
    let result = Paged::page(found.into_iter().map(Log::listed).collect(), page, total);
    if !meta_info {
        return Ok(result);
    }
    Ok(result.with_more(statistics(logs::statistics(&store, id, &query).await?)))
}

/// Hide a gateway's logs
///
/// Hidden logs are gone from lists, details and statistics. The usage records behind them stay, because
/// they are evidence of charges. The answer has no envelope, as Cloudflare's.
#[utoipa::path(
    delete,
    path = "/accounts/{account_id}/ai-gateway/gateways/{gateway_id}/logs",
    tag = "Logs",
    params(HideParams),
    responses((status = 200, body = Hidden)),
)]
async fn hide(
    gateway: Authorized<Gateway, AiGatewayWrite>,
    LogRequest { query, meta_info: _, limit }: LogRequest,
    State(store): State<Store>,
) -> Result<Json<Hidden>, ApiError> {
    logs::hide(&store, gateway.internal_id, &query, limit).await?;
    Ok(Json(Hidden { success: true }))
}

/// Show a log
///
/// The id may be written with or without hyphens; it is what the answer to the request carried in
/// `cf-aig-log-id`.
#[utoipa::path(
    get,
    path = "/accounts/{account_id}/ai-gateway/gateways/{gateway_id}/logs/{log_id}",
    tag = "Logs",
    responses((status = 200, body = Envelope<Log>)),
)]
async fn show(log: Authorized<LogOfGateway, AiGatewayRead>) -> ApiResult<Log> {
    Ok(Envelope::of(Log::detailed(log.log.clone())))
}

/// Annotate a log
///
/// What is left out stays; null empties a field. Metadata replaces what the caller sent.
#[utoipa::path(
    patch,
    path = "/accounts/{account_id}/ai-gateway/gateways/{gateway_id}/logs/{log_id}",
    tag = "Logs",
    request_body = annotation::LogPatch,
    responses((status = 200, body = Envelope<Log>)),
)]
async fn annotate(
    log: Authorized<LogOfGateway, AiGatewayWrite>,
    State(store): State<Store>,
    Body(body): Body<Value>,
) -> ApiResult<Log> {
    let annotation = annotation::read(&body)?;
    let (gateway, id) = (log.gateway.internal_id, log.log.id);
    logs::annotate(&store, gateway, id, annotation).await?;
    let annotated = logs::get(&store, gateway, id).await?.ok_or(ApiError::NotFound)?;
    Ok(Envelope::of(Log::detailed(annotated)))
}

/// Show a log's request body
///
/// Bodies are not collected yet: always 404, whose message says so.
#[utoipa::path(
    get,
    path = "/accounts/{account_id}/ai-gateway/gateways/{gateway_id}/logs/{log_id}/request",
    tag = "Logs",
    responses((status = 404, description = "The body was not collected", body = Failure)),
)]
async fn request_body(_: Authorized<LogOfGateway, AiGatewayRead>) -> ApiError {
    ApiError::NotKept("The request body of this log was not collected")
}

/// Show a log's response body
///
/// Bodies are not collected yet: always 404, whose message says so.
#[utoipa::path(
    get,
    path = "/accounts/{account_id}/ai-gateway/gateways/{gateway_id}/logs/{log_id}/response",
    tag = "Logs",
    responses((status = 404, description = "The body was not collected", body = Failure)),
)]
async fn response_body(_: Authorized<LogOfGateway, AiGatewayRead>) -> ApiError {
    ApiError::NotKept("The response body of this log was not collected")
}

/// Logs were hidden.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Hidden {
    success: bool,
}

fn statistics(statistics: Statistics) -> Map<String, Value> {
    let Statistics {
        min_cost,
        max_cost,
        min_tokens_in,
        max_tokens_in,
        min_tokens_out,
        max_tokens_out,
        min_total_tokens,
        max_total_tokens,
        min_duration,
        max_duration,
        min_timestamp,
        max_timestamp,
    } = statistics;
    let time = |at: Option<OffsetDateTime>| at.and_then(|at| at.format(&Rfc3339).ok());
    let figures = json!({
        "min_cost": min_cost,
        "max_cost": max_cost,
        "min_tokens_in": min_tokens_in,
        "max_tokens_in": max_tokens_in,
        "min_tokens_out": min_tokens_out,
        "max_tokens_out": max_tokens_out,
        "min_total_tokens": min_total_tokens,
        "max_total_tokens": max_total_tokens,
        "min_duration": min_duration,
        "max_duration": max_duration,
        "min_timestamp": time(min_timestamp),
        "max_timestamp": time(max_timestamp),
    });
    match figures {
        Value::Object(figures) => figures,
        _ => Map::new(),
    }
}
