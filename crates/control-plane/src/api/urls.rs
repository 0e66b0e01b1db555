//! The address at which a gateway is reached.

use axum::extract::{Path, State};
use providers::catalog;
use store::gateways::Gateway;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::authorized::{AiGatewayRead, Authorized};
use super::envelope::{ApiResult, Envelope};
use super::error::ApiError;

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(show))
}

/// The URL of a provider at a gateway
///
/// What an SDK's base URL is set to. `compat` stands for the OpenAI-compatible endpoint that takes
/// the models of every provider.
#[utoipa::path(
    get,
    path = "/accounts/{account_id}/ai-gateway/gateways/{gateway_id}/url/{provider}",
    tag = "Gateways",
    responses((status = 200, body = Envelope<String>)),
)]
async fn show(
    gateway: Authorized<Gateway, AiGatewayRead>,
    path: Path<(String, String, String)>,
    State(state): State<ApiState>,
) -> ApiResult<String> {
    let Path((_, _, provider)) = path;
    if provider != "compat" && catalog::find(&provider).is_err() && !catalog::is_slug(&provider) {
        let path = vec!["path".to_owned(), "provider".to_owned()];
        return Err(ApiError::Invalid { path, message: "Invalid provider".to_owned() });
    }
    let base = &state.settings.public_gateway_url;
    Ok(Envelope::of(format!("{base}/v1/{}/{}/{provider}", gateway.account, gateway.id)))
}
