//! What only the operator of the installation may do. To everyone else it does not exist.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use store::operators;

use super::ApiState;
use super::caller::Caller;
use super::error::ApiError;

/// The proof that the operator asks, in person: no token of an account reaches beyond it.
#[derive(Debug, Clone)]
pub struct Operator {
    email: String,
}

impl Operator {
    /// Who it is, for the record.
    pub fn email(&self) -> &str {
        &self.email
    }
}

impl FromRequestParts<ApiState> for Operator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        match Caller::from_request_parts(parts, state).await? {
            Caller::Person { user, .. } if operators::is_operator(&state.store, user.id).await? => {
                Ok(Self { email: user.email })
            }
            Caller::Person { .. } | Caller::Token(_) => Err(ApiError::NotFound),
        }
    }
}
