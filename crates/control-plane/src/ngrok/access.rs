//! Who calls: an API token, which decides the account, with the permission that the call needs.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use model::AccountId;
use store::api_tokens::ApiToken;

use super::rate_limit::RateLimit;
use super::refusal::Refusal;
use crate::api::ApiState;
use crate::api::authorized::Permit;
use crate::api::caller::Caller;

/// The proof that the caller may do `P` in this account. Whatever belongs to another account is looked
/// for in this one, and not found.
pub(super) struct Access<P> {
    pub(super) account: AccountId,
    pub(super) token: Box<ApiToken>,
    permit: PhantomData<fn() -> P>,
}

impl<P> Access<P> {
    /// Who it is, for the record.
    pub(super) fn by(&self) -> String {
        self.token.id.to_string()
    }
}

impl<P: Permit> FromRequestParts<ApiState> for Access<P> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Refusal> {
        if !parts.headers.contains_key(AUTHORIZATION) {
            return Err(Refusal::NoCredentials);
        }
        let token = match Caller::from_request_parts(parts, state).await? {
            Caller::Token(token) => token,
            Caller::Person { .. } => return Err(Refusal::Session),
        };
        if let Some(limit) = parts.extensions.get::<Arc<RateLimit>>() {
            count(limit, token.account)?;
        }
        if !token.terms.permissions.contains(&P::PERMISSION) {
            return Err(Refusal::NotPermitted(P::PERMISSION.as_str()));
        }
        Ok(Self { account: token.account, token, permit: PhantomData })
    }
}

fn count(limit: &RateLimit, account: AccountId) -> Result<(), Refusal> {
    limit
        .count(account, Instant::now())
        .map_err(|wait| Refusal::TooMany { retry_after_seconds: wait.as_secs().max(1) })
}
