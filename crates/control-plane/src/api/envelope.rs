//! The envelope that every answer travels in.

use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::error::ApiError;
use super::page::Page;

/// What handlers return: `Ok(Envelope::of(gateway))`, or an error that becomes an envelope itself.
pub type ApiResult<T> = Result<Envelope<T>, ApiError>;

/// What handlers of lists return: `Ok(Paged::page(gateways, page, total))`.
pub type PagedResult<T> = Result<Paged<T>, ApiError>;

/// One result.
#[derive(Debug, Serialize, ToSchema)]
pub struct Envelope<T> {
    success: bool,
    result: T,
    #[schema(value_type = Vec<Object>)]
    errors: [(); 0],
    messages: Vec<Message>,
}

impl<T> Envelope<T> {
    /// A result with nothing to add.
    pub fn of(result: T) -> Self {
        Self { success: true, result, errors: [], messages: Vec::new() }
    }

    /// A result with a word beside it.
    pub fn with_message(result: T, code: u32, message: impl Into<String>) -> Self {
        let message = Message { code, message: message.into() };
        Self { success: true, result, errors: [], messages: vec![message] }
    }
}

/// A word beside a result.
#[derive(Debug, Serialize, ToSchema)]
pub struct Message {
    /// A stable number.
    pub code: u32,
    /// For people.
    pub message: String,
}

/// One page of a list. Past the end it is empty, which is how Cloudflare's clients know to stop.
#[derive(Debug, Serialize, ToSchema)]
pub struct Paged<T> {
    success: bool,
    result: Vec<T>,
    #[schema(value_type = Vec<Object>)]
    errors: [(); 0],
    messages: Vec<Message>,
    result_info: ResultInfo,
}

/// Where a page stands in its list.
#[derive(Debug, Serialize, ToSchema)]
pub struct ResultInfo {
    /// Which page, from 1.
    pub page: u32,
    /// How many entries a page has at most.
    pub per_page: u32,
    /// How many this one has.
    pub count: usize,
    /// How many there are in all.
    pub total_count: i64,
    /// How many pages there are in all.
    pub total_pages: i64,
    /// What a list adds of its own.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub more: serde_json::Map<String, serde_json::Value>,
}

impl<T> Paged<T> {
    /// A page of a list of `total`.
    pub fn page<const MAX: u32>(result: Vec<T>, page: Page<MAX>, total: i64) -> Self {
        let per_page = i64::from(page.per_page);
        let result_info = ResultInfo {
            page: page.page,
            per_page: page.per_page,
            count: result.len(),
            total_count: total,
            total_pages: (total + per_page - 1) / per_page,
            more: serde_json::Map::new(),
        };
        Self { success: true, result, errors: [], messages: Vec::new(), result_info }
    }

    /// The same with more members in `result_info`.
    pub fn with_more(mut self, more: serde_json::Map<String, serde_json::Value>) -> Self {
        self.result_info.more = more;
        self
    }
}

impl<T: Serialize> IntoResponse for Envelope<T> {
    fn into_response(self) -> Response {
        axum::Json(self).into_response()
    }
}

impl<T: Serialize> IntoResponse for Paged<T> {
    fn into_response(self) -> Response {
        axum::Json(self).into_response()
    }
}
