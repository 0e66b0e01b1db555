//! Where a gateway is reached.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use providers::catalog;
use store::gateways::Gateway;

use super::ApiState;
use super::authorized::{AiGatewayRead, Authorized};
use super::envelope::{ApiResult, Envelope};
use super::error::ApiError;

/// The routes of this file.
pub fn routes() -> Router<ApiState> {
    Router::new()
        .route("/accounts/{account_id}/ai-gateway/gateways/{gateway_id}/url/{provider}", get(show))
}

/// The URL of a provider at a gateway
///
/// What an SDK's base URL is set to. `compat` stands for the OpenAI-compatible endpoint that takes
/// the models of every provider.
#[utoipa::path(
    get,
    path = "/accounts/{account_id}/ai-gateway/gateways/{gateway_id}/url/{provider}",
    tag = "Gateways",
    params(("account_id" = String, Path), ("gateway_id" = String, Path), ("provider" = String, Path)),
    responses((status = 200, body = Envelope<String>)),
)]
pub async fn show(
    gateway: Authorized<Gateway, AiGatewayRead>,
    Path((_, _, provider)): Path<(String, String, String)>,
    State(state): State<ApiState>,
) -> ApiResult<String> {
    if provider != "compat" && !catalog::is_slug(&provider) {
        let path = vec!["path".to_owned(), "provider".to_owned()];
        return Err(ApiError::Invalid { path, message: "Invalid provider".to_owned() });
    }
    let base = state.public_gateway_url.trim_end_matches('/');
    Ok(Envelope::of(format!("{base}/v1/{}/{}/{provider}", gateway.account, gateway.id)))
}
