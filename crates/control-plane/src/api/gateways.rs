//! Gateways of an account: create, list, get, replace, delete.

use axum::extract::State;
use model::document::Exact;
use model::gateway::{self, GatewaySettings};
use model::id::{GatewayId, GatewayInternalId};
use serde::{Deserialize, Serialize};
use store::accounts::Account;
use store::gateways::{self, ID_TAKEN};
use store::{Store, StoreError};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::ApiState;
use super::authorized::{AiGatewayRead, AiGatewayWrite, Authorized, Guarded, PathIds};
use super::body::{Body, Query};
use super::envelope::{ApiResult, Envelope, Paged, PagedResult};
use super::error::ApiError;
use super::page::{Page, PageParams};
use crate::exposure::{self, Warning};

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(show, replace, delete))
}

impl Guarded for gateways::Gateway {
    async fn find(
        store: &Store,
        account: model::AccountId,
        path: &PathIds,
    ) -> Result<Option<Self>, StoreError> {
        match path.id::<GatewayId>("gateway_id") {
            Some(id) => gateways::get(store, account, &id).await,
            None => Ok(None),
        }
    }
}

/// Create a gateway
///
/// All mistakes in the body are told together, each with its path. Fields whose description says
/// "not obeyed yet" are checked and kept, and change nothing so far.
#[utoipa::path(
    post,
    path = "/accounts/{account_id}/ai-gateway/gateways",
    tag = "Gateways",
    request_body = NewGateway,
    responses((status = 200, body = Envelope<Gateway>), (status = 409, description = "The id is taken")),
)]
async fn create(
    account: Authorized<Account, AiGatewayWrite>,
    State(state): State<ApiState>,
    Body(Exact(body)): Body<Exact>,
) -> ApiResult<Gateway> {
    let (id, mut settings) = GatewaySettings::of_new(&body)?;
    settings.name_spend_rules(rule_id);
    let internal_id = GatewayInternalId(Uuid::now_v7());
    let mut tx = state.store.config_tx().await?;
    let gateway = gateways::create(&mut tx, account.id, internal_id, &id, &settings).await.map_err(
        |error| match error.constraint() {
            Some(ID_TAKEN) => ApiError::Conflict("A gateway with this id exists already"),
            _ => error.into(),
        },
    )?;
    tx.commit().await?;
    let warnings = exposure::warnings_of_changed(&state, account.id, internal_id).await?;
    Ok(Envelope::of(Gateway::of(gateway, warnings)))
}

/// List an account's gateways
#[utoipa::path(
    get,
    path = "/accounts/{account_id}/ai-gateway/gateways",
    tag = "Gateways",
    params(PageParams, Search),
    responses((status = 200, body = Paged<Gateway>)),
)]
async fn list(
    account: Authorized<Account, AiGatewayRead>,
    page: Page,
    Query(Search { search }): Query<Search>,
    State(state): State<ApiState>,
) -> PagedResult<Gateway> {
    let search = search.unwrap_or_default();
    let (found, total) =
        gateways::list(&state.store, account.id, &search, page.limit(), page.offset()).await?;
    let ids: Vec<_> = found.iter().map(|gateway| gateway.internal_id).collect();
    let mut warnings = exposure::warnings_of_each(&state, account.id, &ids).await?;
    let shown = found.into_iter().map(|gateway| {
        let warnings = warnings.remove(&gateway.internal_id).unwrap_or_default();
        Gateway::of(gateway, warnings)
    });
    Ok(Paged::page(shown.collect(), page, total))
}

/// Show a gateway
#[utoipa::path(
    get,
    path = "/accounts/{account_id}/ai-gateway/gateways/{gateway_id}",
    tag = "Gateways",
    responses((status = 200, body = Envelope<Gateway>)),
)]
async fn show(
    gateway: Authorized<gateways::Gateway, AiGatewayRead>,
    State(state): State<ApiState>,
) -> ApiResult<Gateway> {
    let warnings = exposure::warnings(&state, gateway.account, gateway.internal_id).await?;
    Ok(Envelope::of(Gateway::of(gateways::Gateway::clone(&gateway), warnings)))
}

/// Replace a gateway's settings
///
/// What the body leaves out gets its default: nothing of the earlier settings stays.
#[utoipa::path(
    put,
    path = "/accounts/{account_id}/ai-gateway/gateways/{gateway_id}",
    tag = "Gateways",
    request_body = GatewaySettings,
    responses((status = 200, body = Envelope<Gateway>)),
)]
async fn replace(
    gateway: Authorized<gateways::Gateway, AiGatewayWrite>,
    State(state): State<ApiState>,
    Body(Exact(body)): Body<Exact>,
) -> ApiResult<Gateway> {
    let mut settings = GatewaySettings::of_replacement(&body, &gateway.id)?;
    settings.name_spend_rules(rule_id);
    let mut tx = state.store.config_tx().await?;
    let replaced = gateways::set_settings(&mut tx, gateway.account, gateway.internal_id, &settings).await?;
    let replaced = replaced.ok_or(ApiError::NotFound)?;
    tx.commit().await?;
    let warnings = exposure::warnings_of_changed(&state, gateway.account, gateway.internal_id).await?;
    Ok(Envelope::of(Gateway::of(replaced, warnings)))
}

/// Delete a gateway
///
/// Its tokens, provider keys and logs go with it. The gateway `default` stands again at once, empty
/// and with the settings it began with.
#[utoipa::path(
    delete,
    path = "/accounts/{account_id}/ai-gateway/gateways/{gateway_id}",
    tag = "Gateways",
    responses((status = 200, body = Envelope<Gateway>)),
)]
async fn delete(
    gateway: Authorized<gateways::Gateway, AiGatewayWrite>,
    State(store): State<Store>,
) -> ApiResult<Gateway> {
    let mut tx = store.config_tx().await?;
    if !gateways::delete(&mut tx, gateway.account, gateway.internal_id).await? {
        return Err(ApiError::NotFound);
    }
    if gateway.id.as_str() == gateway::DEFAULT_ID {
        gateways::create_default(&mut tx, gateway.account, GatewayInternalId(Uuid::now_v7())).await?;
    }
    tx.commit().await?;
    Ok(Envelope::of(Gateway::of(gateways::Gateway::clone(&gateway), Vec::new())))
}

/// Which gateways to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Search {
    /// A part of the id.
    search: Option<String>,
}

/// A gateway to be created.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `GatewaySettings::of_new` reads")]
pub struct NewGateway {
    /// What callers call it: 1 to 64 lower-case letters, digits, hyphens and underscores.
    id: String,
    #[schema(inline)]
    #[serde(flatten)]
    settings: GatewaySettings,
}

/// A gateway as it is shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct Gateway {
    /// What callers call it.
    #[schema(value_type = String)]
    id: GatewayId,
    #[serde(flatten)]
    settings: GatewaySettings,
    /// Whether it is the gateway that every account has.
    is_default: bool,
    /// Whether credits may be spent here.
    wholesale: bool,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    modified_at: OffsetDateTime,
    /// Whose it is.
    #[schema(value_type = String)]
    account_id: model::AccountId,
    /// The same, as older clients read it.
    #[schema(value_type = String)]
    account_tag: model::AccountId,
    /// The gateway for good: never used again, unlike its id.
    internal_id: Uuid,
    /// What its owner may not have meant: that strangers may use its keys, for one.
    warnings: Vec<Warning>,
}

impl Gateway {
    fn of(gateway: gateways::Gateway, warnings: Vec<Warning>) -> Self {
        let gateways::Gateway { internal_id, account, id, settings, created_at, modified_at } = gateway;
        Self {
            is_default: id.as_str() == gateway::DEFAULT_ID,
            id,
            wholesale: !settings.byok_only,
            settings,
            created_at,
            modified_at,
            account_id: account,
            account_tag: account,
            internal_id: internal_id.0,
            warnings,
        }
    }
}

/// The random end of a UUID: ids need only differ within one gateway.
fn rule_id() -> [u8; 4] {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&Uuid::now_v7().as_bytes()[12..]);
    bytes
}
