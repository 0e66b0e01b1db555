//! `/api_keys`: API tokens, with which this API is called. A new one may do what its creator may do.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use model::id::ApiTokenId;
use model::token::{self, TokenKind};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::api_tokens::notes::{self, Noted, Notes as TokenNotes};
use store::api_tokens::{self, Terms};
use time::OffsetDateTime;
use uuid::Uuid;

use super::access::Access;
use super::body::{Fields, Notes, said};
use super::list::{Listed, Listing, uuid};
use super::reference::{renamed, uri};
use super::refusal::Refusal;
use crate::api::ApiState;
use crate::api::authorized::{TokensRead, TokensWrite};

const PATH: &str = "/api_keys";
const PREFIX: &str = "ak_";

pub(super) fn routes() -> Router<ApiState> {
    Router::new()
        .route(PATH, get(list).post(create))
        .route("/api_keys/{id}", get(show).patch(change).delete(delete))
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Key {
    /// Clients repeat it; the path says it.
    id: IgnoredAny,
    description: Option<String>,
    metadata: Option<String>,
    owner_id: Option<String>,
}

#[derive(Serialize)]
struct Shown {
    id: String,
    uri: String,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    description: String,
    metadata: String,
    /// Keys belong to the account.
    owner_id: Option<String>,
    token: Option<String>,
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
    fn of(state: &ApiState, key: Noted) -> Self {
        let Noted { id, notes: TokenNotes { description, metadata }, created_at } = key;
        let shown = renamed(id, "tok_", PREFIX);
        Self {
            uri: uri(state, PATH, &shown),
            id: shown,
            created_at,
            description,
            metadata,
            owner_id: None,
            token: None,
            position: id.0,
        }
    }
}

async fn create(
    access: Access<TokensWrite>,
    State(state): State<ApiState>,
    Fields(key): Fields<Key>,
) -> Result<(StatusCode, Json<Shown>), Refusal> {
    let written = checked(key, TokenNotes::default())?;
    let id = ApiTokenId(Uuid::now_v7());
    let (value, digest) = token::mint(TokenKind::Api, id.0, crate::api::random()?);
    let name: String = written.description.chars().take(120).collect();
    // Whoever is held to a place or a time may not free himself by another key.
    let terms = Terms {
        name: if name.trim().is_empty() { "API key".to_owned() } else { name },
        disabled: false,
        ..access.token.terms.clone()
    };
    let mut tx = state.store.config_tx().await?;
    api_tokens::create(&mut tx, access.account, id, &digest, &terms, None).await?;
    let created = notes::set(&mut tx, access.account, id, &written).await?.ok_or_else(no_such)?;
    tx.commit().await?;
    let token = Some(value.expose().to_owned());
    Ok((StatusCode::CREATED, Json(Shown { token, ..Shown::of(&state, created) })))
}

async fn list(
    access: Access<TokensRead>,
    State(state): State<ApiState>,
    listing: Listing,
) -> Result<Json<Value>, Refusal> {
    let (shared, account) = (&state, access.account);
    let fetch = move |window| async move {
        let found = notes::list(&shared.store, account, window).await?;
        Ok(found.into_iter().map(|key| Shown::of(shared, key)).collect())
    };
    listing.part(&state, PATH, "keys", PREFIX, |_| true, fetch).await
}

async fn show(
    access: Access<TokensRead>,
    State(state): State<ApiState>,
    Path(id): Path<String>,
) -> Result<Json<Shown>, Refusal> {
    let id = key_id(&id)?;
    let found = notes::find(&mut *state.store.pool.acquire().await?, access.account, id).await?;
    Ok(Json(Shown::of(&state, found.ok_or_else(no_such)?)))
}

async fn change(
    access: Access<TokensWrite>,
    State(state): State<ApiState>,
    Path(id): Path<String>,
    Fields(key): Fields<Key>,
) -> Result<Json<Shown>, Refusal> {
    let id = key_id(&id)?;
    let mut connection = state.store.pool.acquire().await?;
    let before = notes::find(&mut connection, access.account, id).await?.ok_or_else(no_such)?;
    let written = checked(key, before.notes)?;
    let changed = notes::set(&mut connection, access.account, id, &written).await?;
    Ok(Json(Shown::of(&state, changed.ok_or_else(no_such)?)))
}

async fn delete(
    access: Access<TokensWrite>,
    State(state): State<ApiState>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    let id = key_id(&id)?;
    let mut tx = state.store.config_tx().await?;
    if !api_tokens::delete(&mut tx, access.account, id).await? {
        return Err(no_such());
    }
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

fn checked(key: Key, before: TokenNotes) -> Result<TokenNotes, Refusal> {
    let Key { description, metadata, owner_id, id: _ } = key;
    if said(owner_id).is_some() {
        return Err(Refusal::invalid("owner_id: API keys belong to the account, not to a person"));
    }
    let TokenNotes { description: described, metadata: kept } = before;
    let written = Notes { description: described, metadata: kept };
    let Notes { description, metadata } = Notes::of(description, metadata, written)?;
    Ok(TokenNotes { description, metadata })
}

fn key_id(text: &str) -> Result<ApiTokenId, Refusal> {
    uuid(text, PREFIX).map(ApiTokenId).ok_or_else(no_such)
}

fn no_such() -> Refusal {
    Refusal::no_such("API key")
}
