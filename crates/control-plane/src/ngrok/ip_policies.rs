//! `/ip_policies`: ranges of addresses under one id, which `restrict-ips` of traffic policies can name. What
//! they come to stands in their rules.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::ip_policies::{self, IpPolicyId};
use store::vaults::lock_account;
use time::OffsetDateTime;
use uuid::Uuid;

use super::access::Access;
use super::body::{Fields, Notes};
use super::list::{Listed, Listing};
use super::reference::uri;
use super::refusal::Refusal;
use crate::api::ApiState;
use crate::api::authorized::{AiGatewayRead, AiGatewayWrite};
use crate::traffic_policies::{ip_policy_id, shown_id};

pub(super) const PATH: &str = "/ip_policies";
/// How many an account can have.
const MOST: i64 = 100;

pub(super) fn routes() -> Router<ApiState> {
    Router::new()
        .route(PATH, get(list).post(create))
        .route("/ip_policies/{id}", get(show).patch(change).delete(delete))
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct IpPolicy {
    /// Clients repeat it; the path says it.
    id: IgnoredAny,
    description: Option<String>,
    metadata: Option<String>,
}

#[derive(Serialize)]
struct Shown {
    id: String,
    uri: String,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    description: String,
    metadata: String,
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
    fn of(state: &ApiState, policy: ip_policies::IpPolicy) -> Self {
        let ip_policies::IpPolicy { id, notes, created_at } = policy;
        let ip_policies::Notes { description, metadata } = notes;
        let (shown, position) = (shown_id(id), id.0);
        Self { uri: uri(state, PATH, &shown), id: shown, created_at, description, metadata, position }
    }
}

async fn create(
    access: Access<AiGatewayWrite>,
    State(state): State<ApiState>,
    Fields(IpPolicy { description, metadata, id: _ }): Fields<IpPolicy>,
) -> Result<(StatusCode, Json<Shown>), Refusal> {
    let notes = checked(description, metadata, ip_policies::Notes::default())?;
    let mut tx = state.store.config_tx().await?;
    lock_account(&mut tx, access.account).await?;
    if ip_policies::count(&mut tx, access.account).await? >= MOST {
        return Err(Refusal::Conflict { message: "The account has 100 IP policies already", code: None });
    }
    let id = IpPolicyId(Uuid::now_v7());
    let created = ip_policies::create(&mut tx, access.account, id, &notes).await?.ok_or_else(no_such)?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(Shown::of(&state, created))))
}

async fn list(
    access: Access<AiGatewayRead>,
    State(state): State<ApiState>,
    listing: Listing,
) -> Result<Json<Value>, Refusal> {
    let shared = &state;
    let fetch = move |window| async move {
        let found = ip_policies::list(&shared.store, access.account, window).await?;
        Ok(found.into_iter().map(|policy| Shown::of(shared, policy)).collect())
    };
    listing.part(&state, PATH, "ip_policies", "ipp_", |_| true, fetch).await
}

async fn show(
    access: Access<AiGatewayRead>,
    State(state): State<ApiState>,
    Path(id): Path<String>,
) -> Result<Json<Shown>, Refusal> {
    let id = ip_policy_id(&id).ok_or_else(no_such)?;
    let found = ip_policies::find(&mut *state.store.pool.acquire().await?, access.account, id).await?;
    Ok(Json(Shown::of(&state, found.ok_or_else(no_such)?)))
}

async fn change(
    access: Access<AiGatewayWrite>,
    State(state): State<ApiState>,
    Path(id): Path<String>,
    Fields(IpPolicy { description, metadata, id: _ }): Fields<IpPolicy>,
) -> Result<Json<Shown>, Refusal> {
    let id = ip_policy_id(&id).ok_or_else(no_such)?;
    let mut tx = state.store.config_tx().await?;
    let before = ip_policies::find(&mut tx, access.account, id).await?.ok_or_else(no_such)?;
    let notes = checked(description, metadata, before.notes)?;
    let changed = ip_policies::set_notes(&mut tx, access.account, id, &notes).await?.ok_or_else(no_such)?;
    tx.commit().await?;
    Ok(Json(Shown::of(&state, changed)))
}

async fn delete(
    access: Access<AiGatewayWrite>,
    State(state): State<ApiState>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    let id = ip_policy_id(&id).ok_or_else(no_such)?;
    let mut tx = state.store.config_tx().await?;
    if !ip_policies::lock(&mut tx, access.account, id).await? {
        return Err(no_such());
    }
    if !ip_policies::named_by(&mut tx, access.account, id).await?.is_empty() {
        let message = "A traffic policy names this IP policy; take it out of there first";
        return Err(Refusal::Conflict { message, code: None });
    }
    ip_policies::delete(&mut tx, access.account, id).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What is written now.
pub(super) fn checked(
    description: Option<String>,
    metadata: Option<String>,
    before: ip_policies::Notes,
) -> Result<ip_policies::Notes, Refusal> {
    let written = Notes { description: before.description, metadata: before.metadata };
    let Notes { description, metadata } = Notes::of(description, metadata, written)?;
    Ok(ip_policies::Notes { description, metadata })
}

pub(super) fn no_such() -> Refusal {
    Refusal::no_such("IP policy")
}
