//! Who is asking. A token of ours is recognised wherever it stands, and wherever it stands it goes
//! no further.

mod bearing;
mod in_query;

use std::sync::Arc;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use model::id::{ApiTokenId, GatewayTokenId};
use model::resource::GatewayToken;
use model::token::{self, Presented, TokenKind, TokenRef};
use providers::catalog::without_bearer;
use tokio_util::sync::CancellationToken;

use super::resolve::Place;
use crate::headers::{self, CF_AIG_AUTHORIZATION};
use crate::refusal::Refusal;
use crate::snapshot::LiveToken;
use bearing::hides_token;
pub(crate) use bearing::{address_bears_token, bears_token};
pub(crate) use in_query::key_from_query;

/// Whoever asks, with or without a token.
#[derive(Debug, Clone)]
pub struct Caller {
    token: Option<AcceptedToken>,
}

/// A token that was valid when the request came.
#[derive(Debug, Clone)]
pub struct AcceptedToken {
    /// Its id in its written form.
    pub id: String,
    /// Cancelled when it is revoked.
    pub revoked: CancellationToken,
    /// Its id, if it is one of the gateway's.
    pub of_gateway: Option<GatewayTokenId>,
    /// The token, if it may spend no more than so much.
    pub bounded: Option<Arc<LiveToken<GatewayToken>>>,
}

impl Caller {
    /// The token that was accepted, if one was presented.
    pub fn token(&self) -> Option<&AcceptedToken> {
        self.token.as_ref()
    }
}

/// Whether a header bears a token of ours, as it is or encoded.
pub(crate) fn header_bears_token(name: &HeaderName, value: &HeaderValue) -> bool {
    bears_token(value.as_bytes()) || hides_token(name, value)
}

/// Checks every token of ours that the request bears, and that there is one where the gateway wants
/// one.
pub fn caller(
    place: &Place,
    headers: &HeaderMap,
    path: &str,
    query: Option<&str>,
    now_ms: u64,
) -> Result<Caller, Refusal> {
    let mut accepted = None;
    for (name, value) in headers {
        if !header_bears_token(name, value) {
            continue;
        }
        if !headers::is_credential(name) {
            return Err(Refusal::TokenMisplaced { place: format!("the header `{name}`") });
        }
        let token = accepted_token(place, value, now_ms)?;
        // What is sent to the gateway by name counts before what an SDK sends as its API key.
        if accepted.is_none() || name == CF_AIG_AUTHORIZATION {
            accepted = Some(token);
        }
    }
    for (place, text) in [("the path", Some(path)), ("the query", query)] {
        if text.is_some_and(address_bears_token) {
            return Err(Refusal::TokenMisplaced { place: place.to_owned() });
        }
    }
    if accepted.is_none() && place.gateway.gateway.authentication {
        return Err(Refusal::Unauthorized(
            "this gateway wants a token, in `cf-aig-authorization`, or in place of an API key",
        ));
    }
    Ok(Caller { token: accepted })
}

fn accepted_token(place: &Place, value: &HeaderValue, now_ms: u64) -> Result<AcceptedToken, Refusal> {
    // One sentence for all, so that nobody learns which tokens exist.
    let invalid = || Refusal::Unauthorized("the token is not valid here");
    let text = without_bearer(value.to_str().map_err(|_| invalid())?);
    let Presented::Token(TokenRef { kind, id }) = token::read(text) else { return Err(invalid()) };
    // Until the control plane has said all, an unknown token may be one that it has just made.
    let unknown = || if place.is_current { invalid() } else { Refusal::NotInSync };
    let expired = |at: Option<i64>| at.is_some_and(|at| u64::try_from(at).unwrap_or(0) <= now_ms);
    match kind {
        TokenKind::Gateway => {
            let id = GatewayTokenId(id);
            let live = place.account.gateway_token(id).ok_or_else(unknown)?;
            let token = &live.token;
            if !token.digest.matches(text) || expired(token.expires_at_ms) {
                return Err(invalid());
            }
            // Whoever has the whole token may know what it is for.
            if token.gateway != place.gateway.gateway.internal_id {
                return Err(Refusal::OtherGatewaysToken);
            }
            let bounded = token.budget.map(|_| Arc::clone(live));
            let revoked = live.revoked.clone();
            Ok(AcceptedToken { id: id.to_string(), revoked, of_gateway: Some(id), bounded })
        }
        TokenKind::Api => {
            let id = ApiTokenId(id);
            let live = place.account.api_token(id).ok_or_else(unknown)?;
            let token = &live.token;
            let early = token.not_before_ms.is_some_and(|at| u64::try_from(at).unwrap_or(0) > now_ms);
            if early || !token.digest.matches(text) || expired(token.expires_at_ms) {
                return Err(invalid());
            }
            let revoked = live.revoked.clone();
            Ok(AcceptedToken { id: id.to_string(), revoked, of_gateway: None, bounded: None })
        }
        // Ours, but made for the control plane.
        TokenKind::Join | TokenKind::Refresh | TokenKind::Invitation => Err(invalid()),
    }
}
