//! `/vaults`.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use model::id::VaultId;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::vault_secrets;
use store::vaults::{self, Terms};
use time::OffsetDateTime;
use uuid::Uuid;

use super::access::Access;
use super::body::{Fields, Notes, said};
use super::list::{Listed, Listing, uuid};
use super::reference::{actor_id, uri};
use super::refusal::Refusal;
use super::vault_secrets::Secret;
use crate::api::ApiState;
use crate::api::authorized::{AiGatewayRead, AiGatewayWrite};
use crate::api::vaults as rules;

pub(super) const PATH: &str = "/vaults";
const PREFIX: &str = "vault_";

pub(super) fn routes() -> Router<ApiState> {
    Router::new()
        .route(PATH, get(list).post(create))
        .route("/vaults/{id}", get(show).patch(change).delete(delete))
        .route("/vaults/{id}/secrets", get(list_secrets))
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Vault {
    /// Clients repeat it; the path says it.
    id: IgnoredAny,
    name: Option<String>,
    description: Option<String>,
    metadata: Option<String>,
}

#[derive(Serialize)]
struct Shown {
    id: String,
    uri: String,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    updated_at: OffsetDateTime,
    name: String,
    description: String,
    metadata: String,
    created_by: String,
    last_updated_by: String,
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
    fn of(state: &ApiState, vault: vaults::Vault) -> Self {
        let vaults::Vault { id, terms, created_by, last_updated_by, created_at, modified_at } = vault;
        let Terms { name, description, metadata } = terms;
        Self {
            uri: uri(state, PATH, &id.to_string()),
            id: id.to_string(),
            created_at,
            updated_at: modified_at,
            name,
            description,
            metadata,
            created_by: actor_id(&created_by),
            last_updated_by: actor_id(&last_updated_by),
            position: id.0,
        }
    }
}

async fn create(
    access: Access<AiGatewayWrite>,
    State(state): State<ApiState>,
    Fields(Vault { name, description, metadata, id: _ }): Fields<Vault>,
) -> Result<(StatusCode, Json<Shown>), Refusal> {
    let name = checked_name(said(name).unwrap_or_default())?;
    let Notes { description, metadata } = Notes::of(description, metadata, Notes::default())?;
    let terms = Terms { name, description, metadata };
    let mut tx = state.store.config_tx().await?;
    let created =
        rules::create_vault(&mut tx, access.account, &terms, &access.by()).await.map_err(refused)?;
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
        let found = vaults::list(&shared.store, access.account, window).await?;
        Ok(found.into_iter().map(|vault| Shown::of(shared, vault)).collect())
    };
    listing.part(&state, PATH, "vaults", PREFIX, |_| true, fetch).await
}

async fn show(
    access: Access<AiGatewayRead>,
    State(state): State<ApiState>,
    Path(id): Path<String>,
) -> Result<Json<Shown>, Refusal> {
    let id = vault_id(&id)?;
    let vault = vaults::get(&state.store, access.account, id).await?.ok_or_else(no_such)?;
    Ok(Json(Shown::of(&state, vault)))
}

async fn change(
    access: Access<AiGatewayWrite>,
    State(state): State<ApiState>,
    Path(id): Path<String>,
    Fields(Vault { name, description, metadata, id: _ }): Fields<Vault>,
) -> Result<Json<Shown>, Refusal> {
    let id = vault_id(&id)?;
    let mut tx = state.store.config_tx().await?;
    let before = vaults::find(&mut tx, access.account, id).await?.ok_or_else(no_such)?;
    let name = checked_name(said(name).unwrap_or(before.terms.name))?;
    let written = Notes { description: before.terms.description, metadata: before.terms.metadata };
    let Notes { description, metadata } = Notes::of(description, metadata, written)?;
    let terms = Terms { name, description, metadata };
    let changed =
        rules::update_vault(&mut tx, access.account, id, &terms, &access.by()).await.map_err(refused)?;
    tx.commit().await?;
    Ok(Json(Shown::of(&state, changed)))
}

async fn delete(
    access: Access<AiGatewayWrite>,
    State(state): State<ApiState>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    let id = vault_id(&id)?;
    let mut tx = state.store.config_tx().await?;
    rules::delete_vault(&mut tx, access.account, id).await.map_err(refused)?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn list_secrets(
    access: Access<AiGatewayRead>,
    State(state): State<ApiState>,
    Path(id): Path<String>,
    listing: Listing,
) -> Result<Json<Value>, Refusal> {
    let vault = vault_id(&id)?;
    vaults::get(&state.store, access.account, vault).await?.ok_or_else(no_such)?;
    let shared = &state;
    let fetch = move |window| async move {
        let found = vault_secrets::list(&shared.store, access.account, Some(vault), window).await?;
        Ok(found.into_iter().map(|secret| Secret::of(shared, secret)).collect())
    };
    let path = format!("{PATH}/{vault}/secrets");
    listing.part(&state, &path, "secrets", super::vault_secrets::PREFIX, |_| true, fetch).await
}

/// The id of a vault in a path or a body.
pub(super) fn vault_id(text: &str) -> Result<VaultId, Refusal> {
    uuid(text, PREFIX).map(VaultId).ok_or_else(no_such)
}

pub(super) fn no_such() -> Refusal {
    Refusal::NoSuch { noun: "vault", by: "id", code: Some(24006) }
}

fn checked_name(name: String) -> Result<String, Refusal> {
    match model::vault_secret::is_name(&name) {
        true => Ok(name),
        false => Err(Refusal::Invalid { message: format!("name: {}", rules::NAME), code: Some(23000) }),
    }
}

fn refused(refused: rules::Refused) -> Refusal {
    match refused {
        rules::Refused::NoSuch => no_such(),
        rules::Refused::NameTaken => {
            Refusal::Conflict { message: "There is a vault with this name already", code: Some(23004) }
        }
        rules::Refused::TooMany => {
            Refusal::Conflict { message: "The account has as many vaults as it can have", code: Some(23005) }
        }
        rules::Refused::NotEmpty => Refusal::Conflict {
            message: "There are secrets in this vault; delete them first",
            code: Some(23003),
        },
        rules::Refused::Store(error) => error.into(),
    }
}
