//! `basic-auth`: a user's name and password in the `authorization` header.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::Next;
use crate::actions::texts::short_text;
use crate::document::place::Place;
use crate::problem::Code;
use crate::run::{Answer, Exchange, Failure, Refusal};
use crate::template::Template;
use crate::value::Value;

/// Who may come, by name and password.
pub struct BasicAuth {
    credentials: Vec<Template>,
    challenge: HeaderValue,
    pub(super) enforce: bool,
}

impl BasicAuth {
    pub(crate) fn read(place: &Place<'_>) -> Option<Self> {
        let fields = place.fields(&["credentials", "realm", "enforce"])?;
        let credentials = fields.need("credentials", |place| place.list(1..=10, credential));
        let challenge = fields.or("realm", challenge("ngrok"), |place| {
            let realm = place.text_of(1..=128)?;
            match challenge(&realm) {
                Some(challenge) => Some(Some(challenge)),
                None => {
                    place.wrong(Code::HeaderValue, "A realm is made of visible ASCII characters and spaces.")
                }
            }
        });
        let enforce = fields.or("enforce", true, Place::boolean);
        Some(Self { credentials: credentials?, challenge: challenge??, enforce: enforce? })
    }

    pub(crate) fn act(&self, exchange: &mut Exchange) -> Result<Next, Failure> {
        let presented = presented(&exchange.arrival.headers);
        let authorized = exchange.look(|facts| {
            let mut found = Choice::from(0);
            for template in &self.credentials {
                let credential = short_text(template, facts, 1024)?;
                if check(credential.as_str()).is_err() {
                    return Err(Failure::evaluation("a credential that was computed is not `user:password`"));
                }
                // Digests are of one length, and all of them are compared: the time tells nothing.
                let expected = Sha256::digest(credential.as_str().as_bytes());
                let shown = Sha256::digest(presented.as_deref().unwrap_or_default().as_bytes());
                found |= expected.ct_eq(&shown);
            }
            Ok(bool::from(found) && presented.is_some())
        })?;
        let username =
            presented.as_deref().and_then(|shown| shown.split_once(':')).map_or("", |(user, _)| user);
        let credentials = Value::map([
            ("presented", Value::from(presented.is_some())),
            ("username", username.into()),
            ("authorized", authorized.into()),
        ]);
        exchange.found("basic_auth", [("credentials", credentials)]);
        if authorized {
            exchange.consumed.push(header::AUTHORIZATION);
        }
        if authorized || !self.enforce {
            return Ok(Next::Go);
        }
        let refusal =
            Refusal::new(StatusCode::UNAUTHORIZED, None, "Invalid or missing user name and password.")
                .with_header(header::WWW_AUTHENTICATE, self.challenge.clone());
        Ok(Next::End(Answer::Refused(refusal)))
    }
}

/// A credential, checked as far as it can be before secrets are known. Its text is in no problem.
fn credential(place: &Place<'_>) -> Option<Template> {
    let text = place.text()?;
    if !text.contains("${")
        && let Err((code, message)) = check(text)
    {
        return place.wrong(code, message);
    }
    place.template()
}

fn check(credential: &str) -> Result<(), (Code, &'static str)> {
    match credential.split_once(':') {
        None => Err((Code::User, "A credential is written `user:password`.")),
        Some(("", _)) => Err((Code::User, "The name of the user is empty.")),
        Some((_, password)) if !(8..=128).contains(&password.chars().count()) => {
            Err((Code::Password, "A password has 8 to 128 characters."))
        }
        Some(_) => Ok(()),
    }
}

fn challenge(realm: &str) -> Option<HeaderValue> {
    let visible = realm.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
    let realm = realm.replace('\\', "\\\\").replace('"', "\\\"");
    visible.then(|| HeaderValue::from_str(&format!("Basic realm=\"{realm}\"")).ok()).flatten()
}

/// What the caller showed as `user:password`; two headers show nothing.
fn presented(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let (scheme, encoded) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()
}
