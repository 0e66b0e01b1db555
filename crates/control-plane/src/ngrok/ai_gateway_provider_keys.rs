//! `/ai_gateway_provider_keys`: provider keys that belong to one gateway key. A value is taken and never
//! shown.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use model::AccountId;
use model::id::{BoundKeyId, GatewayTokenId};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::bound_keys::{self, BoundKey, Terms};
use store::{ConfigTx, Window};
use time::OffsetDateTime;
use uuid::Uuid;

use super::access::Access;
use super::ai_gateway_api_keys::{self as api_keys, key_id, shown_id};
use super::body::{Fields, Notes, said};
use super::list::{Listed, Listing, uuid};
use super::reference::{Reference, uri};
use super::refusal::Refusal;
use crate::api::ApiState;
use crate::api::authorized::{AiGatewayRead, AiGatewayWrite};
use crate::api::bound_keys::{self as rules, ProviderSecret};

const PATH: &str = "/ai_gateway_provider_keys";
const PREFIX: &str = "aigpk_";

pub(super) fn routes() -> Router<ApiState> {
    Router::new()
        .route(PATH, get(list).post(create))
        .route("/ai_gateway_provider_keys/{id}", get(show).patch(change).delete(delete))
}

/// A provider key to be attached, here or with a new gateway key.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct NewProviderKey {
    ai_gateway_api_key_id: Option<String>,
    provider_id: Option<String>,
    name: Option<String>,
    value: Option<model::Secret>,
    description: Option<String>,
    metadata: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ProviderKeyChange {
    /// Clients repeat it; the path says it.
    id: IgnoredAny,
    description: Option<String>,
    metadata: Option<String>,
}

/// A provider key as it is shown.
#[derive(Serialize)]
pub(super) struct Shown {
    id: String,
    uri: String,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    updated_at: OffsetDateTime,
    provider_id: String,
    name: String,
    description: String,
    metadata: String,
    created_by: Option<Reference>,
    last_updated_by: Option<Reference>,
    ai_gateway_api_key: Reference,
    display_name: String,
    /// Within a minute.
    #[serde(with = "time::serde::rfc3339::option")]
    last_used: Option<OffsetDateTime>,
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
    fn of(state: &ApiState, key: BoundKey) -> Self {
        let BoundKey {
            id,
            gateway_token,
            provider,
            terms: Terms { name, description, metadata },
            preview,
            created_by,
            last_updated_by,
            created_at,
            modified_at,
            last_used_at,
        } = key;
        Self {
            uri: uri(state, PATH, &id.to_string()),
            id: id.to_string(),
            created_at,
            updated_at: modified_at,
            provider_id: provider,
            name,
            description,
            metadata,
            created_by: Reference::to_actor(state, &created_by),
            last_updated_by: Reference::to_actor(state, &last_updated_by),
            ai_gateway_api_key: Reference::of(state, api_keys::PATH, shown_id(gateway_token)),
            display_name: preview,
            last_used: last_used_at,
            position: id.0,
        }
    }

    /// All of a gateway key's, the newest first.
    pub(super) async fn all(
        state: &ApiState,
        account: AccountId,
        token: GatewayTokenId,
    ) -> Result<Vec<Self>, Refusal> {
        // More than a key can have of all providers together.
        let window = Window::Before { id: None, limit: 1000 };
        let found = bound_keys::list(&state.store, account, Some(token), window).await?;
        Ok(found.into_iter().map(|key| Self::of(state, key)).collect())
    }
}

impl NewProviderKey {
    /// Attaches it to a gateway key.
    pub(super) async fn attach(
        self,
        state: &ApiState,
        tx: &mut ConfigTx,
        account: AccountId,
        token: GatewayTokenId,
        by: &str,
    ) -> Result<Shown, Refusal> {
        let Self { ai_gateway_api_key_id: _, provider_id, name, value, description, metadata } = self;
        let missing = |field: &str| unprocessable(format!("{field}: must be said"), 27510);
        let provider = said(provider_id).ok_or_else(|| missing("provider_id"))?;
        let provider = rules::provider_of(&provider).ok_or_else(|| {
            unprocessable("provider_id: is not the name of a provider, such as `openai`".to_owned(), 27508)
        })?;
        let value = value.ok_or_else(|| missing("value"))?;
        if !rules::is_value(&value) {
            return Err(unprocessable("value: must have 1 to 16384 bytes".to_owned(), 27507));
        }
        let name = name.unwrap_or_default();
        if name.len() > 255 {
            return Err(unprocessable("name: at most 255 bytes are kept".to_owned(), 27501));
        }
        let Notes { description, metadata } = notes(description, metadata, Notes::default())?;
        let terms = Terms { name, description, metadata };
        let new = ProviderSecret { provider: &provider, terms: &terms, value: &value };
        let created = rules::create_key(tx, &state.sealer, account, token, &new, by).await;
        Ok(Self::shown(state, created.map_err(refused)?))
    }

    fn shown(state: &ApiState, key: BoundKey) -> Shown {
        Shown::of(state, key)
    }
}

async fn create(
    access: Access<AiGatewayWrite>,
    State(state): State<ApiState>,
    Fields(new): Fields<NewProviderKey>,
) -> Result<(StatusCode, Json<Shown>), Refusal> {
    let key = said(new.ai_gateway_api_key_id.clone())
        .ok_or_else(|| unprocessable("ai_gateway_api_key_id: must be said".to_owned(), 27510))?;
    let token = key_id(&key).ok_or(NO_KEY)?;
    let mut tx = state.store.config_tx().await?;
    let created = new.attach(&state, &mut tx, access.account, token, &access.by()).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(created)))
}

async fn list(
    access: Access<AiGatewayRead>,
    State(state): State<ApiState>,
    listing: Listing,
) -> Result<Json<Value>, Refusal> {
    let token = listing.values("ai_gateway_api_key_id").next();
    let token = token.map(|id| key_id(id).ok_or(NO_KEY)).transpose()?;
    let shared = &state;
    let fetch = move |window| async move {
        let found = bound_keys::list(&shared.store, access.account, token, window).await?;
        Ok(found.into_iter().map(|key| Shown::of(shared, key)).collect())
    };
    listing.part(&state, PATH, "ai_gateway_provider_keys", PREFIX, |_| true, fetch).await
}

async fn show(
    access: Access<AiGatewayRead>,
    State(state): State<ApiState>,
    Path(id): Path<String>,
) -> Result<Json<Shown>, Refusal> {
    let found = bound_keys::get(&state.store, access.account, provider_key_id(&id)?).await?;
    Ok(Json(Shown::of(&state, found.ok_or_else(no_such)?)))
}

async fn change(
    access: Access<AiGatewayWrite>,
    State(state): State<ApiState>,
    Path(id): Path<String>,
    Fields(ProviderKeyChange { description, metadata, id: _ }): Fields<ProviderKeyChange>,
) -> Result<Json<Shown>, Refusal> {
    let id = provider_key_id(&id)?;
    let mut tx = state.store.config_tx().await?;
    let before = bound_keys::find(&mut tx, access.account, id).await?.ok_or_else(no_such)?;
    let written = Notes { description: before.terms.description, metadata: before.terms.metadata };
    let Notes { description, metadata } = notes(description, metadata, written)?;
    let terms = Terms { name: before.terms.name, description, metadata };
    let changed = bound_keys::update(&mut tx, access.account, id, &terms, &access.by()).await?;
    tx.commit().await?;
    Ok(Json(Shown::of(&state, changed.ok_or_else(no_such)?)))
}

async fn delete(
    access: Access<AiGatewayWrite>,
    State(state): State<ApiState>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    let id = provider_key_id(&id)?;
    let mut tx = state.store.config_tx().await?;
    if !bound_keys::delete(&mut tx, access.account, id).await? {
        return Err(no_such());
    }
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

fn provider_key_id(text: &str) -> Result<BoundKeyId, Refusal> {
    uuid(text, PREFIX).map(BoundKeyId).ok_or_else(no_such)
}

const NO_KEY: Refusal = Refusal::NoSuch { noun: "AI gateway API key", by: "id", code: Some(27509) };

fn no_such() -> Refusal {
    Refusal::no_such("provider key")
}

fn unprocessable(message: String, code: u16) -> Refusal {
    Refusal::Unprocessable { message, code }
}

fn notes(description: Option<String>, metadata: Option<String>, before: Notes) -> Result<Notes, Refusal> {
    Notes::with_codes(description, metadata, before, |message, is_description| {
        unprocessable(message, if is_description { 27502 } else { 27503 })
    })
}

fn refused(refused: rules::Refused) -> Refusal {
    match refused {
        rules::Refused::NoToken => NO_KEY,
        rules::Refused::TooMany => {
            unprocessable("The key has 15 provider keys of this provider already".to_owned(), 27506)
        }
        rules::Refused::Store(error) => error.into(),
        rules::Refused::Vault(error) => error.into(),
    }
}
