//! Who calls the management API: a person with a session, or an API token.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use model::AccountId;
use model::account::Role;
use model::id::{ApiTokenId, SessionId};
use model::permission::Permissions;
use model::token::{self, Presented, TokenKind, TokenRef};
use store::api_tokens::{self, ApiToken};
use store::users::User;
use store::{Store, members, sessions};
use time::OffsetDateTime;

use super::ApiState;
use super::api_tokens::{Condition, is_good};
use super::error::{AUTHENTICATION_ERROR, ApiError};

/// Who calls, proven.
#[derive(Debug, Clone)]
pub enum Caller {
    /// A person with a session.
    Person {
        /// Who.
        user: User,
        /// By which login.
        session: SessionId,
    },
    /// An API token, active and used from where it may be.
    Token(Box<ApiToken>),
}

impl Caller {
    /// All that the caller may do in an account; nothing where he does not belong.
    pub async fn permissions(&self, store: &Store, account: AccountId) -> Result<Permissions, ApiError> {
        Ok(match self {
            Caller::Person { user, .. } => {
                members::role(store, account, user.id).await?.map(Role::permissions).unwrap_or_default()
            }
            Caller::Token(token) if token.account == account => token.terms.permissions.clone(),
            Caller::Token(_) => Permissions::new(),
        })
    }

    /// The person, where only a person will do.
    pub fn person(&self) -> Result<&User, ApiError> {
        match self {
            Caller::Person { user, .. } => Ok(user),
            Caller::Token(_) => Err(ApiError::Forbidden("Only a person can do this, not an API token")),
        }
    }

    /// Who it is, for the record: a person's email, or the id of a token.
    pub fn signature(&self) -> String {
        match self {
            Caller::Person { user, .. } => user.email.clone(),
            Caller::Token(token) => token.id.to_string(),
        }
    }

    /// The person's email, for the record.
    pub fn email(&self) -> Option<&str> {
        match self {
            Caller::Person { user, .. } => Some(&user.email),
            Caller::Token(_) => None,
        }
    }
}

impl FromRequestParts<ApiState> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        let bearer = bearer(parts)?;
        match token::read(bearer) {
            Presented::Token(TokenRef { kind: TokenKind::Api, .. }) => {
                let token = PresentedToken::of(bearer, state).await?.0;
                let allowed = |condition: Condition| condition.allows(peer(parts));
                if !is_good(&token.terms, OffsetDateTime::now_utc())
                    || !Condition::of(&token.terms).is_some_and(allowed)
                {
                    return Err(AUTHENTICATION_ERROR);
                }
                api_tokens::note_use(&state.store, token.id).await?;
                Ok(Caller::Token(Box::new(token)))
            }
            Presented::Token(_) | Presented::Malformed => Err(AUTHENTICATION_ERROR),
            Presented::Foreign => {
                let session = state.sessions.read(bearer).ok_or(AUTHENTICATION_ERROR)?;
                let user = sessions::user(&state.store, session).await?.ok_or(AUTHENTICATION_ERROR)?;
                Ok(Caller::Person { user, session })
            }
        }
    }
}

/// An API token whose value is right, whatever else may be wrong with it: what `verify` looks at.
pub struct PresentedToken(pub ApiToken);

impl PresentedToken {
    async fn of(bearer: &str, state: &ApiState) -> Result<Self, ApiError> {
        let Presented::Token(TokenRef { kind: TokenKind::Api, id }) = token::read(bearer) else {
            return Err(AUTHENTICATION_ERROR);
        };
        let found = api_tokens::find(&state.store, ApiTokenId(id)).await?;
        found.filter(|token| token.digest.matches(bearer)).map(Self).ok_or(AUTHENTICATION_ERROR)
    }
}

impl FromRequestParts<ApiState> for PresentedToken {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        Self::of(bearer(parts)?, state).await
    }
}

/// The address of whoever asks: who holds the connection, or if that is a proxy that the operator trusts, who
/// that says it was asked by.
pub(super) fn peer(parts: &Parts) -> Option<IpAddr> {
    parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip().to_canonical())
}

fn bearer(parts: &Parts) -> Result<&str, ApiError> {
    let Some(header) = parts.headers.get(AUTHORIZATION) else {
        let global_key = ["x-auth-key", "x-auth-email", "x-auth-user-service-key"];
        return Err(if global_key.iter().any(|name| parts.headers.contains_key(*name)) {
            ApiError::Unauthenticated(
                "Global API keys do not exist here; create an API token and send it as `Authorization: Bearer`",
            )
        } else {
            AUTHENTICATION_ERROR
        });
    };
    let text = header.to_str().map_err(|_| AUTHENTICATION_ERROR)?;
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        _ => Err(AUTHENTICATION_ERROR),
    }
}
