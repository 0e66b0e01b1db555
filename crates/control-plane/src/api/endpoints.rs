//! Endpoints: hosts that are bound to gateways. A host belongs to one account of the installation, and
//! what an account may claim is the operator's to say.

use std::str::FromStr as _;

use axum::extract::State;
use model::AccountId;
use model::document::Mistake;
use model::host::{EndpointUrl, Host};
use model::id::{EndpointId, GatewayId};
use serde::{Deserialize, Serialize};
use store::accounts::Account;
use store::endpoints::{self, Endpoint, HOST_TAKEN, Terms, WILDCARD_TAKEN};
use store::gateways::{self, Gateway};
use store::{Store, StoreError, Window, operators};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::authorized::{AiGatewayRead, AiGatewayWrite, Authorized, Guarded, PathIds};
use super::body::{Body, Query};
use super::caller::Caller;
use super::envelope::{ApiResult, Envelope, Paged, PagedResult};
use super::error::ApiError;
use super::page::{Page, PageParams};
use super::vaults::mistake;
use super::{ApiSettings, ApiState};
use crate::exposure::{self, Warning};

/// The one binding that there is: from anywhere.
const PUBLIC: &str = "public";

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(show, change, delete))
}

impl Guarded for Endpoint {
    async fn find(store: &Store, account: AccountId, path: &PathIds) -> Result<Option<Self>, StoreError> {
        match path.id("endpoint_id") {
            Some(id) => endpoints::get(store, account, id).await,
            None => Ok(None),
        }
    }
}

/// Why a host cannot be bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotBindable {
    /// It stands for all hosts.
    #[error("only the operator binds the default endpoint `*`")]
    OperatorsAlone,
    /// It is where the management API or the gateways themselves are reached.
    #[error("is an address of this installation itself")]
    Own,
    /// The operator does not give it away.
    #[error("is not within the domains that the operator of this installation gives away")]
    OutsideDomains,
    /// It is only reached from within some network.
    #[error("only `public` is offered: every endpoint is reached wherever the gateway is")]
    Binding,
}

/// Whether this address can be bound by who asks. That it is free is for the database to say.
pub(crate) fn check_host(
    settings: &ApiSettings,
    url: &EndpointUrl,
    is_operator: bool,
) -> Result<(), NotBindable> {
    let is_own = [&settings.public_api_url, &settings.public_gateway_url]
        .into_iter()
        .filter_map(|own| host_of(own))
        .any(|own| url.host == own);
    let domains = &settings.endpoint_domains;
    let is_given = domains.is_empty() || domains.iter().any(|domain| url.host.is_within(domain));
    match &url.host {
        Host::Default if is_operator => Ok(()),
        Host::Default => Err(NotBindable::OperatorsAlone),
        _ if is_own => Err(NotBindable::Own),
        _ if !is_operator && !is_given => Err(NotBindable::OutsideDomains),
        _ => Ok(()),
    }
}

/// The host of an address of ours; nothing if that is an IP address, which nobody can bind.
fn host_of(url: &str) -> Option<Host> {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = authority.split('/').next().unwrap_or(authority);
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    Host::from_str(host).ok()
}

/// Where an endpoint is reached from, if that is what is offered.
pub(crate) fn checked_bindings(bindings: Vec<String>) -> Result<Vec<String>, NotBindable> {
    match bindings.iter().all(|binding| binding == PUBLIC) {
        true => Ok(vec![PUBLIC.to_owned()]),
        false => Err(NotBindable::Binding),
    }
}

/// A host that is somebody's, in words.
pub(crate) fn taken(error: &StoreError) -> Option<&'static str> {
    match error.constraint() {
        Some(HOST_TAKEN) => Some("This host is bound already; a host has one endpoint"),
        Some(WILDCARD_TAKEN) => Some("Another account has bound this host, or a wildcard that covers it"),
        _ => None,
    }
}

fn refused(error: StoreError) -> ApiError {
    taken(&error).map_or_else(|| error.into(), ApiError::Conflict)
}

/// Bind a host to a gateway
///
/// Requests to this host go through the gateway and its traffic policy: `https://<host>/v1/chat/completions`
/// and the like. A host is exact, or a wildcard for one label (`*.example.com`). The operator may bind `*`,
/// for requests to hosts that are bound to nothing else.
#[utoipa::path(post, path = "/accounts/{account_id}/ai-gateway/endpoints", tag = "Endpoints",
    request_body(content = NewEndpoint, example = json!({"gateway_id": "demo", "url": "https://ai.example.com"})),
    responses(
        (status = 200, body = Envelope<EndpointShown>),
        (status = 409, description = "The host is bound, or covered by another account's wildcard"),
    ))]
async fn create(
    account: Authorized<Account, AiGatewayWrite>,
    State(state): State<ApiState>,
    Body(new): Body<NewEndpoint>,
) -> ApiResult<EndpointShown> {
    let NewEndpoint { gateway_id, url, description, metadata, bindings, pooling_enabled } = new;
    let url = checked_url(&state, &account.caller, &url).await?;
    let change = TermsChange { description, metadata, bindings, pooling_enabled };
    let terms = change.checked(Terms { bindings: vec![PUBLIC.to_owned()], ..Terms::default() })?;
    let gateway = gateway_called(&state.store, account.id, &gateway_id).await?;
    let id = EndpointId(Uuid::now_v7());
    let mut tx = state.store.config_tx().await?;
    let created = endpoints::create(&mut tx, account.id, gateway.internal_id, id, &url, &terms).await;
    let created = created.map_err(refused)?.ok_or(ApiError::NotFound)?;
    tx.commit().await?;
    let warnings = exposure::warnings_of_changed(&state, account.id, gateway.internal_id).await?;
    Ok(Envelope::of(EndpointShown::of(created, warnings)))
}

/// List an account's endpoints
#[utoipa::path(get, path = "/accounts/{account_id}/ai-gateway/endpoints", tag = "Endpoints",
    params(PageParams, OfGateway), responses((status = 200, body = Paged<EndpointShown>)))]
async fn list(
    account: Authorized<Account, AiGatewayRead>,
    page: Page,
    Query(OfGateway { gateway_id }): Query<OfGateway>,
    State(state): State<ApiState>,
) -> PagedResult<EndpointShown> {
    let gateway = match gateway_id {
        Some(id) => Some(gateway_called(&state.store, account.id, &id).await?.internal_id),
        None => None,
    };
    let window = Window::Page { limit: page.limit(), offset: page.offset() };
    let found = endpoints::list(&state.store, account.id, gateway, window).await?;
    let total = endpoints::count(&state.store, account.id, gateway).await?;
    let gateways: Vec<_> = found.iter().map(|endpoint| endpoint.gateway).collect();
    let warnings = exposure::warnings_of_each(&state, account.id, &gateways).await?;
    let shown = found.into_iter().map(|endpoint| {
        let warnings = warnings.get(&endpoint.gateway).cloned().unwrap_or_default();
        EndpointShown::of(endpoint, warnings)
    });
    Ok(Paged::page(shown.collect(), page, total))
}

/// Show an endpoint
#[utoipa::path(get, path = "/accounts/{account_id}/ai-gateway/endpoints/{endpoint_id}", tag = "Endpoints",
    responses((status = 200, body = Envelope<EndpointShown>)))]
async fn show(
    endpoint: Authorized<Endpoint, AiGatewayRead>,
    State(state): State<ApiState>,
) -> ApiResult<EndpointShown> {
    let warnings = exposure::warnings(&state, endpoint.account, endpoint.gateway).await?;
    Ok(Envelope::of(EndpointShown::of(Endpoint::clone(&endpoint), warnings)))
}

/// Change an endpoint
///
/// Its address, its gateway, or what is said about it; what the body leaves out stays.
#[utoipa::path(patch, path = "/accounts/{account_id}/ai-gateway/endpoints/{endpoint_id}", tag = "Endpoints",
    request_body = EndpointChange,
    responses(
        (status = 200, body = Envelope<EndpointShown>),
        (status = 409, description = "The host is bound, or covered by another account's wildcard"),
    ))]
async fn change(
    endpoint: Authorized<Endpoint, AiGatewayWrite>,
    State(state): State<ApiState>,
    Body(change): Body<EndpointChange>,
) -> ApiResult<EndpointShown> {
    let EndpointChange { gateway_id, url, description, metadata, bindings, pooling_enabled } = change;
    let url = match url {
        Some(url) => Some(checked_url(&state, &endpoint.caller, &url).await?),
        None => None,
    };
    let gateway = match gateway_id {
        Some(id) => Some(gateway_called(&state.store, endpoint.account, &id).await?.internal_id),
        None => None,
    };
    let (account, id) = (endpoint.account, endpoint.id);
    let mut tx = state.store.config_tx().await?;
    let before = endpoints::find(&mut tx, account, id).await?.ok_or(ApiError::NotFound)?;
    let change = TermsChange { description, metadata, bindings, pooling_enabled };
    let terms = change.checked(before.terms)?;
    let (gateway, url) = (gateway.unwrap_or(before.gateway), url.unwrap_or(before.url));
    let changed = endpoints::update(&mut tx, account, id, gateway, &url, &terms).await;
    let changed = changed.map_err(refused)?.ok_or(ApiError::NotFound)?;
    tx.commit().await?;
    let warnings = exposure::warnings_of_changed(&state, account, gateway).await?;
    Ok(Envelope::of(EndpointShown::of(changed, warnings)))
}

/// Give a host back
///
/// Within a second requests to it are for nobody. Its gateway stays, unless it was made for this endpoint
/// by `POST /endpoints` of the second API.
#[utoipa::path(delete, path = "/accounts/{account_id}/ai-gateway/endpoints/{endpoint_id}", tag = "Endpoints",
    responses((status = 200, body = Envelope<EndpointShown>)))]
async fn delete(
    endpoint: Authorized<Endpoint, AiGatewayWrite>,
    State(store): State<Store>,
) -> ApiResult<EndpointShown> {
    let mut tx = store.config_tx().await?;
    if !endpoints::delete(&mut tx, endpoint.account, endpoint.id).await? {
        return Err(ApiError::NotFound);
    }
    tx.commit().await?;
    Ok(Envelope::of(EndpointShown::of(Endpoint::clone(&endpoint), Vec::new())))
}

async fn checked_url(state: &ApiState, caller: &Caller, text: &str) -> Result<EndpointUrl, ApiError> {
    let url: EndpointUrl =
        text.parse().map_err(|error: model::host::InvalidHost| ApiError::body("url", error.to_string()))?;
    let is_operator = match caller {
        Caller::Person { user, .. } => operators::is_operator(&state.store, user.id).await?,
        Caller::Token(_) => false,
    };
    check_host(&state.settings, &url, is_operator).map_err(|no| ApiError::body("url", no.to_string()))?;
    Ok(url)
}

async fn gateway_called(store: &Store, account: AccountId, id: &str) -> Result<Gateway, ApiError> {
    let found = match id.parse() {
        Ok(id) => gateways::get(store, account, &id).await?,
        Err(_) => None,
    };
    found.ok_or_else(|| ApiError::body("gateway_id", "is not the id of a gateway of this account"))
}

struct TermsChange {
    description: Option<String>,
    metadata: Option<String>,
    bindings: Option<Vec<String>>,
    pooling_enabled: Option<bool>,
}

impl TermsChange {
    fn checked(self, before: Terms) -> Result<Terms, Vec<Mistake>> {
        let Self { description, metadata, bindings, pooling_enabled } = self;
        let bindings = checked_bindings(bindings.unwrap_or(before.bindings));
        let mut mistakes = Vec::new();
        if let Err(no) = &bindings {
            mistakes.push(mistake("bindings", &no.to_string()));
        }
        let terms = Terms {
            description: description.unwrap_or(before.description),
            metadata: metadata.unwrap_or(before.metadata),
            bindings: bindings.unwrap_or_default(),
            pooling_enabled: pooling_enabled.unwrap_or(before.pooling_enabled),
        };
        if terms.description.len() > 255 {
            mistakes.push(mistake("description", "must have at most 255 bytes"));
        }
        if terms.metadata.len() > 4096 {
            mistakes.push(mistake("metadata", "must have at most 4096 bytes"));
        }
        if mistakes.is_empty() { Ok(terms) } else { Err(mistakes) }
    }
}

/// Which endpoints to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OfGateway {
    /// Those of this gateway alone.
    gateway_id: Option<String>,
}

/// A host to be bound.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEndpoint {
    /// The gateway that its requests go through.
    gateway_id: String,
    /// `https://ai.example.com`, `http://…`, or the host alone. Without a port, and no IP address.
    url: String,
    /// For people, at most 255 bytes.
    description: Option<String>,
    /// For machines, at most 4096 bytes.
    metadata: Option<String>,
    /// From where it is reached: `public`, and nothing else.
    bindings: Option<Vec<String>>,
    /// Kept for clients that set it; a host has one endpoint all the same.
    pooling_enabled: Option<bool>,
}

/// What may be changed of an endpoint. What is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EndpointChange {
    /// The gateway that its requests go through.
    gateway_id: Option<String>,
    /// Its address.
    url: Option<String>,
    /// For people, at most 255 bytes.
    description: Option<String>,
    /// For machines, at most 4096 bytes.
    metadata: Option<String>,
    /// From where it is reached: `public`, and nothing else.
    bindings: Option<Vec<String>>,
    /// Kept for clients that set it.
    pooling_enabled: Option<bool>,
}

/// An endpoint as it is shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct EndpointShown {
    #[schema(value_type = String)]
    id: EndpointId,
    /// The gateway that its requests go through.
    #[schema(value_type = String)]
    gateway_id: GatewayId,
    /// Its address.
    url: String,
    /// The host in that address.
    host: String,
    description: String,
    metadata: String,
    bindings: Vec<String>,
    pooling_enabled: bool,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    modified_at: OffsetDateTime,
    /// What its owner may not have meant of its gateway: that strangers may use its keys, for one.
    warnings: Vec<Warning>,
}

impl EndpointShown {
    fn of(endpoint: Endpoint, warnings: Vec<Warning>) -> Self {
        let Endpoint {
            id,
            account: _,
            gateway: _,
            gateway_id,
            traffic_policy: _,
            url,
            terms: Terms { description, metadata, bindings, pooling_enabled },
            created_at,
            modified_at,
        } = endpoint;
        Self {
            id,
            gateway_id,
            url: url.to_string(),
            host: url.host.to_string(),
            description,
            metadata,
            bindings,
            pooling_enabled,
            created_at,
            modified_at,
            warnings,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(domains: &[&str], url: &str, is_operator: bool) -> Result<(), NotBindable> {
        let settings = ApiSettings {
            public_gateway_url: "https://Gateway.example.com/prefix".to_owned(),
            public_api_url: "http://api.example.com:8081".to_owned(),
            sign_up_open: false,
            endpoint_domains: domains.iter().map(|&domain| domain.to_owned()).collect(),
            policies: policy::Operator::default(),
        };
        check_host(&settings, &url.parse().unwrap(), is_operator)
    }

    #[test]
    fn a_tenant_binds_what_the_operator_gives_away_and_nobody_the_installations_own_address() {
        assert_eq!(checked(&[], "a.example.com", false), Ok(()));
        assert_eq!(checked(&["example.com"], "*.team.example.com", false), Ok(()));
        assert_eq!(checked(&["example.com"], "a.example.org", false), Err(NotBindable::OutsideDomains));
        assert_eq!(checked(&["example.com"], "a.example.org", true), Ok(()));
        assert_eq!(checked(&[], "https://api.example.com", true), Err(NotBindable::Own));
        assert_eq!(checked(&[], "http://gateway.example.com", false), Err(NotBindable::Own));
        assert_eq!(checked(&[], "*", false), Err(NotBindable::OperatorsAlone));
        assert_eq!(checked(&["example.com"], "*", true), Ok(()));
    }
}
