//! `jwt-validation`: tokens that an identity provider has signed.
//!
//! Every token that the configuration names must be there, once, and valid: signed by a key of the listed
//! sets with an allowed algorithm, from an allowed issuer, for an allowed audience, begun and not yet over.
//! Where keys cannot be brought, nobody comes in.

mod keys;
mod place;
mod seen;
mod verify;

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderValue, StatusCode, Uri, header};
use jsonwebtoken::Algorithm;
use serde::de::IgnoredAny;

pub use self::keys::{KeySet, NoKeySet};
use self::place::{Shown, TokenPlace, Unread};
use self::verify::{Expected, Invalid, verified};
use super::Next;
use crate::actions::texts::short_text;
use crate::document::place::Place;
use crate::problem::Code;
use crate::run::{Answer, Effect, Exchange, Failure, KeysWanted, Outcome, Refusal};
use crate::template::Template;
use crate::value::Value;

/// Which tokens must be there, and whose word is taken.
pub struct JwtValidation {
    issuers: Vec<Template>,
    audiences: Vec<Template>,
    tokens: Vec<TokenPlace>,
    algorithms: Vec<Algorithm>,
    key_urls: Vec<Template>,
}

/// The key sets that a run has been brought, by address.
#[derive(Default)]
pub(crate) struct Keyring(HashMap<String, Brought>);

struct Brought {
    keys: Arc<KeySet>,
    fresh: bool,
}

/// The algorithms that a public key can belong to.
const ALGORITHMS: [(&str, Algorithm); 9] = [
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];

impl JwtValidation {
    pub(crate) fn read(place: &Place<'_>) -> Option<Self> {
        let fields = place.fields(&["issuer", "audience", "http", "jws"])?;
        let issuers = fields.need("issuer", |place| allow_list(place, 1));
        let audiences = fields.or("audience", Vec::new(), |place| allow_list(place, 0));
        let tokens = fields.need("http", |place| {
            let fields = place.fields(&["tokens"])?;
            fields.need("tokens", |place| place.list(1..=10, TokenPlace::read))
        });
        let jws = fields.need("jws", jws);
        let (algorithms, key_urls) = jws?;
        Some(Self { issuers: issuers?, audiences: audiences?, tokens: tokens?, algorithms, key_urls })
    }

    pub(crate) fn act(
        &self,
        exchange: &mut Exchange,
        answered: Option<(Effect, Outcome)>,
    ) -> Result<Next, Failure> {
        match answered {
            Some((Effect::Keys(wanted), Outcome::Keys(outcome))) => {
                let keys = outcome.map_err(|_| {
                    Failure::unavailable("the keys that tokens are checked with cannot be brought")
                })?;
                exchange.keyring.0.insert(wanted.url, Brought { keys, fresh: wanted.fresh });
            }
            answered => exchange.keep_body(answered)?,
        }
        let mut shown = Vec::with_capacity(self.tokens.len());
        for token in &self.tokens {
            match token.read_from(exchange)? {
                Ok(token) => shown.push(token),
                Err(Unread::Ask(effect)) => return Ok(Next::Ask(*effect)),
                Err(Unread::Missing) => return Ok(refused(exchange, "a token is missing or malformed")),
            }
        }
        // No key is brought for what is obviously no token.
        let mut headers = Vec::with_capacity(shown.len());
        for token in &shown {
            match jsonwebtoken::decode_header(&token.text) {
                Ok(header) if self.algorithms.contains(&header.alg) && !demands(&token.text) => {
                    headers.push(header);
                }
                _ => {
                    return Ok(refused(
                        exchange,
                        "a token is malformed or signed in a way that is not allowed",
                    ));
                }
            }
        }
        let (issuers, audiences, urls) = exchange.look(|facts| {
            let texts = |templates: &[Template]| {
                templates
                    .iter()
                    .map(|template| Ok(short_text(template, facts, 2048)?.as_str().to_owned()))
                    .collect::<Result<Vec<String>, Failure>>()
            };
            Ok::<_, Failure>((texts(&self.issuers)?, texts(&self.audiences)?, texts(&self.key_urls)?))
        })?;
        let computed = self.key_urls.iter().zip(&urls).filter(|(template, _)| template.constant().is_none());
        if computed.into_iter().any(|(_, url)| !url.starts_with("https://")) {
            return Err(Failure::evaluation("the address of a key set that was computed is not one"));
        }
        if let Some(url) = urls.iter().find(|url| !exchange.keyring.0.contains_key(*url)) {
            return Ok(Next::Ask(Effect::Keys(KeysWanted { url: url.clone(), fresh: false })));
        }
        let sets: Vec<_> = urls.iter().filter_map(|url| exchange.keyring.0.get(url)).collect();
        // A key that nobody has may have been made since the copy was: once per request a fresh one is asked for.
        let unknown = headers.iter().any(|header| {
            header.kid.as_deref().is_some_and(|kid| !sets.iter().any(|brought| brought.keys.has(kid)))
        });
        if unknown && let Some(url) = urls.iter().find(|url| !exchange.keyring.0[*url].fresh) {
            return Ok(Next::Ask(Effect::Keys(KeysWanted { url: url.clone(), fresh: true })));
        }
        let expected = Expected { issuers: &issuers, audiences: &audiences, now: exchange.arrival.now };
        let mut told = Vec::with_capacity(shown.len());
        for ((token, header), place) in shown.iter().zip(&headers).zip(&self.tokens) {
            let keys = sets.iter().map(|brought| &*brought.keys);
            match verified(&token.text, header, place.kind, keys, &expected) {
                Ok(payload) => told.push(token.told(header, payload)),
                Err(Invalid(reason)) => return Ok(refused(exchange, reason)),
            }
        }
        exchange.consumed.extend(shown.iter().filter_map(Shown::header));
        exchange.found("jwt_validation", [("tokens", Value::list(told))]);
        Ok(Next::Go)
    }
}

/// Whether a token's header demands that something be understood (`crit`), which we do not.
fn demands(token: &str) -> bool {
    let header = token.split('.').next().and_then(|header| URL_SAFE_NO_PAD.decode(header).ok());
    let header =
        header.and_then(|header| serde_json::from_slice::<HashMap<String, IgnoredAny>>(&header).ok());
    header.is_none_or(|header| header.contains_key("crit"))
}

fn refused(exchange: &mut Exchange, reason: &'static str) -> Next {
    let error = Value::map([("code", Value::from("invalid_token")), ("message", reason.into())]);
    exchange.found("jwt_validation", [("tokens", Value::list(Vec::new())), ("error", error)]);
    let refusal = Refusal::new(StatusCode::UNAUTHORIZED, None, "Invalid or missing authorization token")
        .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
        .because(format!("jwt-validation: {reason}"));
    Next::End(Answer::Refused(refusal))
}

/// `allow_list: [{value: …}]`
fn allow_list(place: &Place<'_>, least: usize) -> Option<Vec<Template>> {
    let fields = place.fields(&["allow_list"])?;
    fields.need("allow_list", |place| {
        place.list(least..=100, |place| {
            let fields = place.fields(&["value"])?;
            fields.need("value", |place| {
                place.text_of(1..=2048)?;
                place.template()
            })
        })
    })
}

/// How tokens are signed, and by whose keys. `keys` and `sources` are an object or a list of them: the vendor
/// documents both.
fn jws(place: &Place<'_>) -> Option<(Vec<Algorithm>, Vec<Template>)> {
    let fields = place.fields(&["allowed_algorithms", "keys"])?;
    let algorithms = fields.need("allowed_algorithms", |place| place.list(1..=ALGORITHMS.len(), algorithm));
    let urls = fields.need("keys", |place| {
        let keys = place.one_or_items(1..=10)?;
        crate::document::place::all(keys.iter().map(|place| {
            let fields = place.fields(&["sources", "identification"])?;
            let identification = fields.or("identification", (), identification);
            let urls = fields.need("sources", |place| {
                let sources = place.one_or_items(1..=10)?;
                crate::document::place::all(sources.iter().map(|place| {
                    let fields = place.fields(&["additional_jkus"])?;
                    fields.need("additional_jkus", |place| place.list(1..=100, key_url))
                }))
            });
            identification?;
            urls
        }))
    });
    let urls: Vec<Template> = urls?.into_iter().flatten().flatten().collect();
    if urls.len() > 100 {
        return place.wrong(Code::TooMany, "At most 100 key sets may be named.");
    }
    Some((algorithms?, urls))
}

fn algorithm(place: &Place<'_>) -> Option<Algorithm> {
    match place.text()? {
        "none" => {
            place.wrong(Code::Jwt, "A token without a signature proves nothing; `none` is not allowed.")
        }
        "HS256" | "HS384" | "HS512" => place.wrong_so(
            Code::Jwt,
            "This algorithm needs a shared secret, and key sets are public.",
            "Use one with a key pair, such as `RS256` or `ES256`.",
        ),
        "ES512" => place.wrong_so(Code::Jwt, "`ES512` is not offered.", "`ES256` and `ES384` are."),
        _ => place.choice(&ALGORITHMS),
    }
}

fn identification(place: &Place<'_>) -> Option<()> {
    let items = place.one_or_items(0..=10)?;
    let read = crate::document::place::all(items.iter().map(|place| {
        let fields = place.fields(&["token_claims"])?;
        fields
            .or("token_claims", (), |place| place.list(1..=1, |place| place.choice(&[("kid", ())])).map(drop))
    }));
    read.map(drop)
}

fn key_url(place: &Place<'_>) -> Option<Template> {
    let text = place.text_of(1..=2048)?;
    if !text.contains("${") {
        let uri = text.parse::<Uri>().ok();
        let place_of = uri.as_ref().and_then(|uri| Some((uri.scheme_str()?, uri.authority()?)));
        match place_of {
            Some(("https", _)) => {}
            Some(("http", at)) if place.operator().allows_plain(at.host(), at.port_u16()) => {}
            // Whoever answers there decides who comes in.
            _ => {
                return place.wrong_so(
                    Code::Url,
                    "Keys are brought with TLS only.",
                    "Begin with `https://`.",
                );
            }
        }
    }
    place.template()
}
