//! A gateway's traffic policy: rules that its requests and answers go through.

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use model::document::Mistake;
use serde::Serialize;
use store::gateways::{self, Gateway};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::authorized::{AiGatewayRead, AiGatewayWrite, Authorized};
use super::envelope::{ApiResult, Envelope};
use super::error::ApiError;
use crate::exposure::{self, Warning};
use crate::traffic_policies::{self, NotKept};

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(show, replace, delete))
}

/// A body that is a text, whatever the content type says.
pub struct Text(String);

impl<S: Send + Sync> FromRequest<S> for Text {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let wrong =
            |message: &str| ApiError::Invalid { path: vec!["body".to_owned()], message: message.to_owned() };
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| {
            match rejection.into_response().status() {
                StatusCode::PAYLOAD_TOO_LARGE => ApiError::TooLarge,
                _ => wrong("the body could not be read"),
            }
        })?;
        String::from_utf8(bytes.into()).map(Self).map_err(|_| wrong("a text in UTF-8 is expected"))
    }
}

/// Show a gateway's traffic policy
#[utoipa::path(get, path = "/accounts/{account_id}/ai-gateway/gateways/{gateway_id}/traffic_policy",
    tag = "Gateways", responses((status = 200, body = Envelope<TrafficPolicy>)))]
async fn show(
    gateway: Authorized<Gateway, AiGatewayRead>,
    State(state): State<ApiState>,
) -> ApiResult<TrafficPolicy> {
    let found = gateways::traffic_policy(&state.store, gateway.account, gateway.internal_id).await?;
    let traffic_policy = found.ok_or(ApiError::NotKept("This gateway has no traffic policy"))?;
    let warnings = exposure::warnings(&state, gateway.account, gateway.internal_id).await?;
    Ok(Envelope::of(TrafficPolicy { traffic_policy, warnings }))
}

/// Replace a gateway's traffic policy
///
/// The body is the policy itself, YAML or JSON, at most 131072 bytes, and is kept as it stands. All that is
/// wrong with it is told at once, each problem with its line, its field and a way out.
#[utoipa::path(put, path = "/accounts/{account_id}/ai-gateway/gateways/{gateway_id}/traffic_policy",
    tag = "Gateways", request_body(content = String, content_type = "text/yaml",
        example = "on_http_request:\n  - type: ai-gateway\n    config: {}\n"),
    responses((status = 200, body = Envelope<TrafficPolicy>)))]
async fn replace(
    gateway: Authorized<Gateway, AiGatewayWrite>,
    State(state): State<ApiState>,
    Text(traffic_policy): Text,
) -> ApiResult<TrafficPolicy> {
    let mut tx = state.store.config_tx().await?;
    let (account, id) = (gateway.account, gateway.internal_id);
    traffic_policies::keep(&mut tx, account, id, &traffic_policy, &state.settings.policies).await?;
    tx.commit().await?;
    let warnings = exposure::warnings_of_changed(&state, gateway.account, gateway.internal_id).await?;
    Ok(Envelope::of(TrafficPolicy { traffic_policy, warnings }))
}

/// Take a gateway's traffic policy away
///
/// Whatever the policy kept from the gateway's keys gets through from now on.
#[utoipa::path(delete, path = "/accounts/{account_id}/ai-gateway/gateways/{gateway_id}/traffic_policy",
    tag = "Gateways", responses((status = 200, body = Envelope<TrafficPolicy>)))]
async fn delete(
    gateway: Authorized<Gateway, AiGatewayWrite>,
    State(state): State<ApiState>,
) -> ApiResult<TrafficPolicy> {
    let found = gateways::traffic_policy(&state.store, gateway.account, gateway.internal_id).await?;
    let traffic_policy = found.ok_or(ApiError::NotKept("This gateway has no traffic policy"))?;
    let mut tx = state.store.config_tx().await?;
    if !gateways::set_traffic_policy(&mut tx, gateway.account, gateway.internal_id, None).await? {
        return Err(ApiError::NotFound);
    }
    tx.commit().await?;
    let warnings = exposure::warnings_of_changed(&state, gateway.account, gateway.internal_id).await?;
    Ok(Envelope::of(TrafficPolicy { traffic_policy, warnings }))
}

impl From<NotKept> for ApiError {
    fn from(not_kept: NotKept) -> Self {
        match not_kept {
            NotKept::Unusable(unusable) => Vec::<Mistake>::from(unusable).into(),
            NotKept::NoGateway => Self::NotFound,
            NotKept::Store(error) => error.into(),
        }
    }
}

/// A traffic policy as it is shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct TrafficPolicy {
    /// The text as it was given.
    traffic_policy: String,
    /// What its owner may not have meant of the gateway, as it is now.
    warnings: Vec<Warning>,
}
