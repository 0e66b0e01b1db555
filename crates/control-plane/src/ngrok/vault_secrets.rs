//! `/vault_secrets`. A secret's value is taken and never shown.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use model::id::{VaultId, VaultSecretId};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::vault_secrets::{self, Terms};
use store::vaults;
use time::OffsetDateTime;
use uuid::Uuid;

use super::access::Access;
use super::body::{Fields, Notes, said};
use super::list::{Listed, Listing, uuid};
use super::reference::{Reference, uri};
use super::refusal::Refusal;
use super::vaults::vault_id;
use crate::api::ApiState;
use crate::api::authorized::{AiGatewayRead, AiGatewayWrite};
use crate::api::vault_secrets as rules;

const PATH: &str = "/vault_secrets";
pub(super) const PREFIX: &str = "secret_";

pub(super) fn routes() -> Router<ApiState> {
    Router::new()
        .route(PATH, get(list).post(create))
        .route("/vault_secrets/{id}", get(show).patch(change).delete(delete))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct NewSecret {
    name: Option<String>,
    value: Option<model::Secret>,
    description: Option<String>,
    metadata: Option<String>,
    vault_id: Option<String>,
    vault_name: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SecretChange {
    /// Clients repeat it; the path says it.
    id: IgnoredAny,
    name: Option<String>,
    value: Option<model::Secret>,
    description: Option<String>,
    metadata: Option<String>,
}

/// A secret as it is shown.
#[derive(Serialize)]
pub(super) struct Secret {
    id: String,
    uri: String,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    updated_at: OffsetDateTime,
    name: String,
    description: String,
    metadata: String,
    created_by: Option<Reference>,
    last_updated_by: Option<Reference>,
    vault: Reference,
    vault_name: String,
    #[serde(skip)]
    position: Uuid,
}

impl Listed for Secret {
    fn id(&self) -> &str {
        &self.id
    }

    fn position(&self) -> Uuid {
        self.position
    }
}

impl Secret {
    pub(super) fn of(state: &ApiState, secret: vault_secrets::VaultSecret) -> Self {
        let vault_secrets::VaultSecret {
            id,
            vault,
            vault_name,
            terms: Terms { name, description, metadata },
            created_by,
            last_updated_by,
            created_at,
            modified_at,
        } = secret;
        Self {
            uri: uri(state, PATH, &id.to_string()),
            id: id.to_string(),
            created_at,
            updated_at: modified_at,
            name,
            description,
            metadata,
            created_by: Reference::to_actor(state, &created_by),
            last_updated_by: Reference::to_actor(state, &last_updated_by),
            vault: Reference::of(state, super::vaults::PATH, vault),
            vault_name,
            position: id.0,
        }
    }
}

async fn create(
    access: Access<AiGatewayWrite>,
    State(state): State<ApiState>,
    Fields(new): Fields<NewSecret>,
) -> Result<(StatusCode, Json<Secret>), Refusal> {
    let NewSecret { name, value, description, metadata, vault_id, vault_name } = new;
    let name = checked_name(said(name).unwrap_or_default())?;
    let value = checked_value(value)?.ok_or_else(empty)?;
    let Notes { description, metadata } = Notes::of(description, metadata, Notes::default())?;
    let terms = Terms { name, description, metadata };
    let mut tx = state.store.config_tx().await?;
    let vault = place(&mut tx, &access, said(vault_id), said(vault_name)).await?;
    let (account, by) = (access.account, access.by());
    let created = rules::create_secret(&mut tx, &state.sealer, account, vault, &terms, &value, &by)
        .await
        .map_err(refused)?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(Secret::of(&state, created))))
}

/// The vault that a new secret goes to, by its id or by its name.
async fn place(
    tx: &mut store::ConfigTx,
    access: &Access<AiGatewayWrite>,
    id: Option<String>,
    name: Option<String>,
) -> Result<VaultId, Refusal> {
    match (id, name) {
        (Some(id), _) => vault_id(&id),
        (None, Some(name)) => {
            let no_such = Refusal::NoSuch { noun: "vault", by: "name", code: Some(24009) };
            vaults::named(tx, access.account, &name).await?.ok_or(no_such)
        }
        (None, None) => {
            let message = "Say in which vault, by `vault_id` or `vault_name`".to_owned();
            Err(Refusal::Invalid { message, code: Some(24008) })
        }
    }
}

async fn list(
    access: Access<AiGatewayRead>,
    State(state): State<ApiState>,
    listing: Listing,
) -> Result<Json<Value>, Refusal> {
    let shared = &state;
    let fetch = move |window| async move {
        let found = vault_secrets::list(&shared.store, access.account, None, window).await?;
        Ok(found.into_iter().map(|secret| Secret::of(shared, secret)).collect())
    };
    listing.part(&state, PATH, "secrets", PREFIX, |_| true, fetch).await
}

async fn show(
    access: Access<AiGatewayRead>,
    State(state): State<ApiState>,
    Path(id): Path<String>,
) -> Result<Json<Secret>, Refusal> {
    let found = vault_secrets::get(&state.store, access.account, secret_id(&id)?).await?;
    Ok(Json(Secret::of(&state, found.ok_or_else(no_such)?)))
}

async fn change(
    access: Access<AiGatewayWrite>,
    State(state): State<ApiState>,
    Path(id): Path<String>,
    Fields(change): Fields<SecretChange>,
) -> Result<Json<Secret>, Refusal> {
    let SecretChange { name, value, description, metadata, id: _ } = change;
    let (id, value) = (secret_id(&id)?, checked_value(value)?);
    let mut tx = state.store.config_tx().await?;
    let before = vault_secrets::find(&mut tx, access.account, id).await?.ok_or_else(no_such)?;
    let name = checked_name(said(name).unwrap_or(before.terms.name))?;
    let written = Notes { description: before.terms.description, metadata: before.terms.metadata };
    let Notes { description, metadata } = Notes::of(description, metadata, written)?;
    let terms = Terms { name, description, metadata };
    let (account, by) = (access.account, access.by());
    let changed = rules::update_secret(&mut tx, &state.sealer, account, id, &terms, value.as_ref(), &by);
    let changed = changed.await.map_err(refused)?;
    tx.commit().await?;
    Ok(Json(Secret::of(&state, changed)))
}

async fn delete(
    access: Access<AiGatewayWrite>,
    State(state): State<ApiState>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    let id = secret_id(&id)?;
    let mut tx = state.store.config_tx().await?;
    if !vault_secrets::delete(&mut tx, access.account, id).await? {
        return Err(no_such());
    }
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

fn secret_id(text: &str) -> Result<VaultSecretId, Refusal> {
    uuid(text, PREFIX).map(VaultSecretId).ok_or_else(no_such)
}

fn no_such() -> Refusal {
    Refusal::no_such("secret")
}

fn checked_name(name: String) -> Result<String, Refusal> {
    match model::vault_secret::is_name(&name) {
        true => Ok(name),
        false => Err(Refusal::Invalid { message: format!("name: {}", rules::NAME), code: Some(24000) }),
    }
}

/// A new value, if one is said.
fn checked_value(value: Option<model::Secret>) -> Result<Option<model::Secret>, Refusal> {
    let value = value.filter(|value| !value.expose().is_empty());
    match &value {
        Some(value) if !rules::is_value(value) => Err(Refusal::invalid(format!("value: {}", rules::VALUE))),
        _ => Ok(value),
    }
}

fn empty() -> Refusal {
    Refusal::Invalid { message: "value: must not be empty".to_owned(), code: Some(24003) }
}

fn refused(refused: rules::Refused) -> Refusal {
    match refused {
        rules::Refused::NoSuch => no_such(),
        rules::Refused::NoSuchVault => super::vaults::no_such(),
        rules::Refused::NameTaken => Refusal::Conflict {
            message: "There is a secret with this name in the vault already",
            code: Some(24005),
        },
        rules::Refused::TooMany => {
            Refusal::Conflict { message: "The account has as many secrets as it can have", code: Some(24007) }
        }
        rules::Refused::Store(error) => error.into(),
        rules::Refused::Vault(error) => error.into(),
    }
}
