//! The person who calls: `/user`.

use axum::extract::State;
use model::Secret;
use model::id::UserId;
use serde::{Deserialize, Serialize};
use store::{Store, sessions, users};
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::body::Body;
use super::caller::Caller;
use super::envelope::{ApiResult, Envelope};
use super::error::ApiError;

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(get)).routes(routes!(change_password))
}

/// A person with a login.
#[derive(Debug, Serialize, ToSchema)]
pub struct User {
    #[schema(value_type = String)]
    id: UserId,
    email: String,
    #[serde(with = "time::serde::rfc3339")]
    created_on: OffsetDateTime,
    suspended: bool,
    two_factor_authentication_enabled: bool,
}

impl From<users::User> for User {
    fn from(user: users::User) -> Self {
        let users::User { id, email, created_at } = user;
        Self { id, email, created_on: created_at, suspended: false, two_factor_authentication_enabled: false }
    }
}

/// Get the person who calls
#[utoipa::path(get, path = "/user", tag = "User", responses((status = 200, body = Envelope<User>)))]
async fn get(caller: Caller) -> ApiResult<User> {
    Ok(Envelope::of(caller.person()?.clone().into()))
}

/// The password of now and the one to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordChange {
    #[schema(value_type = String)]
    current_password: Secret,
    /// 10 to 256 characters.
    #[schema(value_type = String)]
    new_password: Secret,
}

/// Change one's password
///
/// Every other session of this person ends.
#[utoipa::path(put, path = "/user/password", tag = "User", request_body = PasswordChange,
    responses((status = 200, body = Envelope<User>)))]
async fn change_password(
    caller: Caller,
    State(state): State<ApiState>,
    Body(PasswordChange { current_password, new_password }): Body<PasswordChange>,
) -> ApiResult<User> {
    let Caller::Person { user, session } = caller else {
        return Err(ApiError::Forbidden("Only a person has a password"));
    };
    state.attempts.count(&user.email, None, std::time::Instant::now())?;
    let store: &Store = &state.store;
    let hash = users::credentials(&store.pool, &user.email).await?.map(|(_, hash)| hash);
    if !state.passwords.matches(&current_password, hash).await? {
        return Err(ApiError::body("current_password", "this is not your password"));
    }
    state.attempts.forget(&user.email, None);
    let hash = state.passwords.hash(&new_password).await?;
    users::set_password(store, user.id, &hash).await?;
    sessions::revoke_others(store, user.id, session).await?;
    Ok(Envelope::of(user.into()))
}

/// An email as it is kept.
pub(super) fn normalised(email: &str) -> String {
    email.trim().to_ascii_lowercase()
}

/// An email as it is kept, if it can be one. Whether it reaches anybody is not ours to know.
pub(super) fn checked_email(email: &str) -> Result<String, ApiError> {
    let email = normalised(email);
    let (name, host) = email.split_once('@').unwrap_or_default();
    let plain = email.bytes().all(|b| b.is_ascii_graphic());
    if name.is_empty() || host.is_empty() || host.contains('@') || !plain || email.len() > 254 {
        return Err(ApiError::body("email", "expected an email address"));
    }
    Ok(email)
}
