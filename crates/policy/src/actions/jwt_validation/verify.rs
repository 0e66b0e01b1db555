//! Whether a token is what it claims to be.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Header, Validation, decode};
use serde_json::Value as Json;
use time::OffsetDateTime;

use super::keys::KeySet;

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Tells a client who its user is.
    Id,
    /// Lets its bearer in.
    Access,
    /// Says in its header what it is, by RFC 9068 or in its manner.
    Typed(&'static str),
    /// Any token.
    Plain,
}

/// What a token must say.
pub(super) struct Expected<'e> {
    pub(super) issuers: &'e [String],
    pub(super) audiences: &'e [String],
    pub(super) now: OffsetDateTime,
}

/// A token that is not what it claims to be, and why.
pub(super) struct Invalid(pub(super) &'static str);

/// So many keys are tried on one token.
const MOST_TRIED: usize = 20;

/// Clocks may differ by so many seconds.
const LEEWAY: i64 = 60;

/// The claims of a token that is valid.
pub(super) fn verified<'k>(
    token: &str,
    header: &Header,
    kind: Kind,
    sets: impl Iterator<Item = &'k KeySet> + Clone,
    expected: &Expected<'_>,
) -> Result<Json, Invalid> {
    is_of_kind(header, kind)?;
    let claims = signed(token, header, sets).ok_or(Invalid("a token's signature is not valid"))?;
    let issuer = claims.get("iss").and_then(Json::as_str);
    if !issuer.is_some_and(|issuer| expected.issuers.iter().any(|allowed| allowed == issuer)) {
        return Err(Invalid("a token's issuer is not allowed"));
    }
    if !expected.audiences.is_empty() && !is_for(&claims, expected.audiences) {
        return Err(Invalid("a token is for another audience"));
    }
    is_current(&claims, expected.now.unix_timestamp())?;
    Ok(claims)
}

/// The claims of a token that one of the sets' keys has signed, if one has.
fn signed<'k>(
    token: &str,
    header: &Header,
    mut sets: impl Iterator<Item = &'k KeySet> + Clone,
) -> Option<Json> {
    if sets.clone().any(|set| set.seen().has(token)) {
        let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
        return serde_json::from_slice(&claims).ok();
    }
    // The claims are looked at by who asks, against the time of the request rather than the clock of this process.
    let mut validation = Validation::new(header.alg);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    let mut left = MOST_TRIED;
    sets.find_map(|set| {
        let mut keys = set.candidates(header).take(left).inspect(|_| left -= 1);
        let claims = keys.find_map(|key| decode::<Json>(token, key, &validation).ok())?.claims;
        set.seen().note(token);
        Some(claims)
    })
}

fn is_of_kind(header: &Header, kind: Kind) -> Result<(), Invalid> {
    let typ = header.typ.as_deref().unwrap_or_default().to_ascii_lowercase();
    let typ = typ.strip_prefix("application/").unwrap_or(&typ);
    let right = match kind {
        Kind::Typed(name) => typ == name,
        // An identity token must not pass for the other kind where they say what they are.
        Kind::Id => typ != "at+jwt",
        Kind::Access => typ != "it+jwt",
        Kind::Plain => true,
    };
    if right { Ok(()) } else { Err(Invalid("a token is of another type")) }
}

fn is_for(claims: &Json, audiences: &[String]) -> bool {
    let is_allowed = |audience: &Json| {
        audience.as_str().is_some_and(|audience| audiences.iter().any(|allowed| allowed == audience))
    };
    match claims.get("aud") {
        Some(Json::Array(named)) => named.iter().any(is_allowed),
        Some(named) => is_allowed(named),
        None => false,
    }
}

/// A token that never ends is not accepted: it could not be taken back.
fn is_current(claims: &Json, now: i64) -> Result<(), Invalid> {
    let moment = |name: &str| match claims.get(name) {
        None => Ok(None),
        Some(value) => match value.as_f64() {
            Some(seconds) if seconds.is_finite() => Ok(Some(seconds)),
            _ => Err(Invalid("a token's times are malformed")),
        },
    };
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are exact in a double for ages")]
    let (now, leeway) = (now as f64, LEEWAY as f64);
    match moment("exp")? {
        Some(end) if now < end + leeway => {}
        _ => return Err(Invalid("a token has expired, or does not say when it will")),
    }
    match moment("nbf")? {
        Some(begin) if now + leeway < begin => Err(Invalid("a token is not valid yet")),
        _ => Ok(()),
    }
}
