//! `/ai_gateway_api_keys`: gateway tokens in their second form, each for one endpoint. The token is in the
//! answer that creates it and in no other.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use model::id::GatewayTokenId;
use model::token;
use policy::Operator;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::endpoints::{self, Endpoint};
use store::gateway_tokens::of_endpoints::{self as tokens, EndpointToken, Terms};
use time::OffsetDateTime;
use uuid::Uuid;

use super::access::Access;
use super::ai_gateway_provider_keys::{NewProviderKey, Shown as ProviderKey};
use super::body::{Fields, Notes, said};
use super::endpoints::endpoint_id;
use super::list::{Listed, Listing, uuid};
use super::reference::{Reference, renamed, uri};
use super::refusal::Refusal;
use crate::api::ApiState;
use crate::api::authorized::{AiGatewayRead, AiGatewayWrite};
use crate::traffic_policies;

pub(super) const PATH: &str = "/ai_gateway_api_keys";
const PREFIX: &str = "aigk_";

pub(super) fn routes() -> Router<ApiState> {
    Router::new()
        .route(PATH, get(list).post(create))
        .route("/ai_gateway_api_keys/{id}", get(show).patch(change).delete(delete))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct NewKey {
    endpoint_id: Option<String>,
    description: Option<String>,
    metadata: Option<String>,
    provider_keys: Option<Vec<NewProviderKey>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct KeyChange {
    /// Clients repeat it; the path says it.
    id: IgnoredAny,
    endpoint_id: Option<String>,
    description: Option<String>,
    metadata: Option<String>,
}

/// A key as it is shown.
#[derive(Serialize)]
struct Shown {
    id: String,
    uri: String,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    updated_at: OffsetDateTime,
    description: String,
    metadata: String,
    created_by: Option<Reference>,
    last_updated_by: Option<Reference>,
    endpoint: Reference,
    display_name: String,
    /// Within a minute.
    #[serde(with = "time::serde::rfc3339::option")]
    last_used: Option<OffsetDateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// In the answers about a single key.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_keys: Option<Vec<ProviderKey>>,
    #[serde(skip)]
    position: Uuid,
}

impl Listed for Shown {
    fn id(&self) -> &str {
        &self.id
    }

    fn position(&self) -> Uuid {
        self.position
    }
}

impl Shown {
    fn of(state: &ApiState, key: EndpointToken) -> Self {
        let EndpointToken {
            id,
            endpoint,
            terms: Terms { description, metadata },
            created_by,
            last_updated_by,
            created_at,
            modified_at,
            last_used_at,
        } = key;
        let digits = id.0.simple().to_string();
        Self {
            uri: uri(state, PATH, &shown_id(id)),
            id: shown_id(id),
            created_at,
            updated_at: modified_at,
            description,
            metadata,
            created_by: Reference::to_actor(state, &created_by),
            last_updated_by: Reference::to_actor(state, &last_updated_by),
            endpoint: Reference::of(state, super::endpoints::PATH, endpoint),
            display_name: format!("ng-{}***", &digits[digits.len() - 8..]),
            last_used: last_used_at,
            token: None,
            provider_keys: None,
            position: id.0,
        }
    }
}

async fn create(
    access: Access<AiGatewayWrite>,
    State(state): State<ApiState>,
    Fields(new): Fields<NewKey>,
) -> Result<(StatusCode, Json<Shown>), Refusal> {
    let NewKey { endpoint_id, description, metadata, provider_keys } = new;
    let endpoint = said(endpoint_id).ok_or_else(|| Refusal::Unprocessable {
        message: "endpoint_id: must be said, a key is for one endpoint".to_owned(),
        code: 27006,
    })?;
    let endpoint = gateway_endpoint(&state, &access, &endpoint).await?;
    let Notes { description, metadata } = notes(description, metadata, Notes::default())?;
    let terms = Terms { description, metadata };
    let (id, by) = (GatewayTokenId(Uuid::now_v7()), access.by());
    let (value, digest) = token::mint_second_form(id.0, crate::api::random()?);
    let mut tx = state.store.config_tx().await?;
    let created = tokens::create(&mut tx, &endpoint, id, &digest, &name(&terms), &terms, &by).await?;
    let created = created.ok_or(NO_ENDPOINT)?;
    let mut attached = Vec::new();
    for key in provider_keys.unwrap_or_default() {
        attached.push(key.attach(&state, &mut tx, access.account, id, &by).await?);
    }
    tx.commit().await?;
    attached.reverse();
    let token = Some(value.expose().to_owned());
    let shown = Shown { token, provider_keys: Some(attached), ..Shown::of(&state, created) };
    Ok((StatusCode::CREATED, Json(shown)))
}

async fn list(
    access: Access<AiGatewayRead>,
    State(state): State<ApiState>,
    listing: Listing,
) -> Result<Json<Value>, Refusal> {
    let shared = &state;
    let fetch = move |window| async move {
        let found = tokens::list(&shared.store, access.account, window).await?;
        Ok(found.into_iter().map(|key| Shown::of(shared, key)).collect())
    };
    listing.part(&state, PATH, "ai_gateway_api_keys", PREFIX, |_| true, fetch).await
}

async fn show(
    access: Access<AiGatewayRead>,
    State(state): State<ApiState>,
    Path(id): Path<String>,
) -> Result<Json<Shown>, Refusal> {
    let id = key_id(&id).ok_or_else(no_such)?;
    let found = tokens::get(&state.store, access.account, id).await?.ok_or_else(no_such)?;
    whole(&state, &access, found).await
}

async fn change(
    access: Access<AiGatewayWrite>,
    State(state): State<ApiState>,
    Path(id): Path<String>,
    Fields(KeyChange { endpoint_id, description, metadata, id: _ }): Fields<KeyChange>,
) -> Result<Json<Shown>, Refusal> {
    let id = key_id(&id).ok_or_else(no_such)?;
    let before = tokens::get(&state.store, access.account, id).await?.ok_or_else(no_such)?;
    let endpoint = match said(endpoint_id) {
        Some(endpoint) => gateway_endpoint(&state, &access, &endpoint).await?,
        None => endpoints::get(&state.store, access.account, before.endpoint).await?.ok_or_else(no_such)?,
    };
    let written = Notes { description: before.terms.description, metadata: before.terms.metadata };
    let Notes { description, metadata } = notes(description, metadata, written)?;
    let terms = Terms { description, metadata };
    let mut tx = state.store.config_tx().await?;
    let changed = tokens::update(&mut tx, &endpoint, id, &terms, &access.by()).await?;
    tx.commit().await?;
    whole(&state, &access, changed.ok_or_else(no_such)?).await
}

async fn delete(
    access: Access<AiGatewayWrite>,
    State(state): State<ApiState>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    let id = key_id(&id).ok_or_else(no_such)?;
    let mut tx = state.store.config_tx().await?;
    if !tokens::delete(&mut tx, access.account, id).await? {
        return Err(no_such());
    }
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A key with what is attached to it.
async fn whole<P>(state: &ApiState, access: &Access<P>, key: EndpointToken) -> Result<Json<Shown>, Refusal> {
    let attached = ProviderKey::all(state, access.account, key.id).await?;
    Ok(Json(Shown { provider_keys: Some(attached), ..Shown::of(state, key) }))
}

/// An endpoint of the account's that answers as an AI gateway.
async fn gateway_endpoint<P>(state: &ApiState, access: &Access<P>, id: &str) -> Result<Endpoint, Refusal> {
    let id = endpoint_id(id).map_err(|_| NO_ENDPOINT)?;
    let endpoint = endpoints::get(&state.store, access.account, id).await?.ok_or(NO_ENDPOINT)?;
    // It was checked when it was kept; what it names need not be there any more.
    let operator = Operator { ip_policies: None, ..state.settings.policies.clone() };
    let check = |text| traffic_policies::check(text, &operator);
    let policy = endpoint.traffic_policy.as_deref().map(check);
    match policy {
        Some(Ok(policy)) if policy.ai_gateway().is_some() => Ok(endpoint),
        _ => Err(Refusal::Unprocessable {
            message: "The traffic policy of this endpoint has no `ai-gateway` action".to_owned(),
            code: 27003,
        }),
    }
}

/// What our own API calls it.
fn name(terms: &Terms) -> String {
    let name: String = terms.description.chars().take(120).collect();
    if name.trim().is_empty() { "gateway key".to_owned() } else { name }
}

/// The id of a key in a path or a body.
pub(super) fn key_id(text: &str) -> Option<GatewayTokenId> {
    uuid(text, PREFIX).map(GatewayTokenId)
}

/// The same as it is shown.
pub(super) fn shown_id(id: GatewayTokenId) -> String {
    renamed(id, "gwt_", PREFIX)
}

const NO_ENDPOINT: Refusal = Refusal::NoSuch { noun: "endpoint", by: "id", code: Some(27002) };

fn no_such() -> Refusal {
    Refusal::no_such("AI gateway API key")
}

fn notes(description: Option<String>, metadata: Option<String>, before: Notes) -> Result<Notes, Refusal> {
    Notes::with_codes(description, metadata, before, |message, is_description| Refusal::Unprocessable {
        message,
        code: if is_description { 27004 } else { 27005 },
    })
}
