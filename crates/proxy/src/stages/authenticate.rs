//! Who is asking. A token of ours is recognised wherever it stands, and wherever it stands it goes
//! no further.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use memchr::memchr_iter;
use model::id::{ApiTokenId, GatewayTokenId};
use model::resource::GatewayToken;
use model::token::{self, OWN_PREFIX, Presented, TokenKind, TokenRef};
use providers::catalog::without_bearer;
use tokio_util::sync::CancellationToken;

use super::resolve::Place;
use crate::headers::{self, CF_AIG_AUTHORIZATION};
use crate::refusal::Refusal;
use crate::snapshot::LiveToken;

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
    /// The token, if it may spend no more than so much.
    pub bounded: Option<Arc<LiveToken<GatewayToken>>>,
}

impl Caller {
    /// The token that was accepted, if one was presented.
    pub fn token(&self) -> Option<&AcceptedToken> {
        self.token.as_ref()
    }
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
        if !bears_own_prefix(value.as_bytes()) && !hides_own_prefix(name, value) {
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
        if text.is_some_and(address_bears_own_prefix) {
            return Err(Refusal::TokenMisplaced { place: place.to_owned() });
        }
    }
    if accepted.is_none() && place.gateway.gateway.authentication {
        return Err(Refusal::Unauthorized("this gateway wants a token in `cf-aig-authorization`"));
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
            let here = token.gateway == place.gateway.gateway.internal_id;
            if !here || !token.digest.matches(text) || expired(token.expires_at_ms) {
                return Err(invalid());
            }
            let bounded = token.budget.map(|_| Arc::clone(live));
            Ok(AcceptedToken { id: id.to_string(), revoked: live.revoked.clone(), bounded })
        }
        TokenKind::Api => {
            let id = ApiTokenId(id);
            let live = place.account.api_token(id).ok_or_else(unknown)?;
            let token = &live.token;
            let early = token.not_before_ms.is_some_and(|at| u64::try_from(at).unwrap_or(0) > now_ms);
            if early || !token.digest.matches(text) || expired(token.expires_at_ms) {
                return Err(invalid());
            }
            Ok(AcceptedToken { id: id.to_string(), revoked: live.revoked.clone(), bounded: None })
        }
        // Ours, but made for the control plane.
        TokenKind::Join | TokenKind::Refresh | TokenKind::Invitation => Err(invalid()),
    }
}

/// Whether a token of ours begins anywhere in `bytes`: at the start, or after something that is no
/// part of a word, so that `batch_tg_x` is left alone. A whole token is found within a word too.
fn bears_own_prefix(bytes: &[u8]) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let before = OWN_PREFIX.len() - 1;
    memchr_iter(b'_', bytes).any(|at| {
        at >= before
            && bytes[at - before..=at] == *OWN_PREFIX.as_bytes()
            && (at == before || !word(bytes[at - before - 1]) || token::begins(&bytes[at - before..]))
    })
}

/// Whether padded or not: whoever reads it may not mind.
const BASIC: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Basic credentials are encoded.
fn hides_own_prefix(name: &HeaderName, value: &HeaderValue) -> bool {
    if name != AUTHORIZATION {
        return false;
    }
    let Some((scheme, encoded)) = value.as_bytes().split_at_checked(6) else { return false };
    scheme.eq_ignore_ascii_case(b"basic ")
        && BASIC.decode(encoded.trim_ascii()).is_ok_and(|plain| bears_own_prefix(&plain))
}

fn address_bears_own_prefix(text: &str) -> bool {
    let decoded = if text.contains('%') { percent_decoded(text) } else { Cow::Borrowed(text.as_bytes()) };
    bears_own_prefix(&decoded)
}

fn percent_decoded(text: &str) -> Cow<'_, [u8]> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).and_then(|digits| str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if bytes[at] == b'%' => {
                decoded.push(byte);
                at += 3;
            }
            _ => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    Cow::Owned(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_ours_is_seen_wherever_it_begins_and_nowhere_else() {
        for text in ["tg_gw_1", "Bearer tg_x", "a=tg_x", "(tg_x)", "cf-aig-authorization.tg_x", "x, tg_"] {
            assert!(bears_own_prefix(text.as_bytes()), "{text}");
        }
        for text in ["", "tg", "sk-abc_tg_x", "batch-tg_x", "atg_x", "TG_x", "t_g_"] {
            assert!(!bears_own_prefix(text.as_bytes()), "{text}");
        }
        assert!(address_bears_own_prefix("key=%74%67%5fgw"));
        assert!(!address_bears_own_prefix("key=%7"));
    }
}
