//! Where a token stands in a request.

use http::{HeaderName, Method, header};
use jsonwebtoken::Header;

use super::verify::Kind;
use crate::actions::headers;
use crate::actions::texts::short_text;
use crate::document::place::Place;
use crate::run::{BodyOrEffect, BodyWanted, Effect, Exchange, Failure};
use crate::template::Template;
use crate::value::{Text, Value};

/// A token that must be there.
pub(super) struct TokenPlace {
    pub(super) kind: Kind,
    in_body: bool,
    name: Template,
    prefix: Option<Template>,
}

/// Why there is no token yet.
pub(super) enum Unread {
    Ask(Box<Effect>),
    Missing,
}

/// A token as it was found.
pub(super) struct Shown {
    pub(super) text: String,
    location: &'static str,
    property: String,
}

/// The longest token that is looked at.
const MOST_BYTES: usize = 16 * 1024;

impl TokenPlace {
    pub(super) fn read(place: &Place<'_>) -> Option<Self> {
        let fields = place.fields(&["type", "method", "name", "prefix"])?;
        let kinds = [
            ("id_token", Kind::Id),
            ("access_token", Kind::Access),
            ("at+jwt", Kind::Typed("at+jwt")),
            ("it+jwt", Kind::Typed("it+jwt")),
            ("plain", Kind::Plain),
            ("jwt", Kind::Plain),
        ];
        let kind = fields.need("type", |place| place.choice(&kinds));
        let in_body = fields.need("method", |place| place.choice(&[("header", false), ("body", true)]));
        let name = fields.need("name", |place| {
            let text = place.text_of(1..=256)?;
            if in_body == Some(false) && !text.contains("${") {
                headers::name(place, &text)?;
            }
            place.template()
        });
        let prefix = fields.maybe("prefix", Place::template);
        Some(Self { kind: kind?, in_body: in_body?, name: name?, prefix: prefix? })
    }

    /// The token, or why there is none. The same header twice is as good as none: another server might read
    /// the other one.
    pub(super) fn read_from(&self, exchange: &Exchange) -> Result<Result<Shown, Unread>, Failure> {
        let (name, prefix) = exchange.look(|facts| {
            let name = short_text(&self.name, facts, 256)?.as_str().to_owned();
            let prefix = match &self.prefix {
                Some(prefix) => short_text(prefix, facts, 256)?.as_str().to_owned(),
                None => String::new(),
            };
            Ok::<_, Failure>((name, prefix))
        })?;
        let value = if self.in_body {
            if ![Method::POST, Method::PUT, Method::PATCH].contains(&exchange.arrival.method) {
                return Ok(Err(Unread::Missing));
            }
            match exchange.body(BodyWanted::Plain) {
                BodyOrEffect::Effect(effect) => return Ok(Err(Unread::Ask(Box::new(effect)))),
                BodyOrEffect::Body(bytes) => from_body(exchange, &bytes, &name),
            }
        } else {
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| Failure::evaluation("the name of a header that was computed is not one"))?;
            let mut values = exchange.arrival.headers.get_all(name).iter();
            match (values.next(), values.next()) {
                (Some(value), None) => value.to_str().ok().map(str::to_owned),
                _ => None,
            }
        };
        let token = value.as_deref().and_then(|value| without(value, &prefix));
        Ok(match token {
            Some(text) if (1..=MOST_BYTES).contains(&text.len()) => Ok(Shown {
                text: text.to_owned(),
                location: if self.in_body { "body" } else { "header" },
                property: name,
            }),
            _ => Err(Unread::Missing),
        })
    }
}

/// What follows a prefix; schemes such as `Bearer` have no case.
fn without<'v>(value: &'v str, prefix: &str) -> Option<&'v str> {
    let (begins, rest) = value.split_at_checked(prefix.len())?;
    begins.eq_ignore_ascii_case(prefix).then(|| rest.trim())
}

/// A field of a JSON object or of a form; one that stands twice is none.
fn from_body(exchange: &Exchange, bytes: &[u8], name: &str) -> Option<String> {
    let kind = exchange.arrival.headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_ascii_lowercase();
    if kind.starts_with("application/x-www-form-urlencoded") {
        let mut values = form_urlencoded::parse(bytes).filter(|(key, _)| key == name).map(|(_, value)| value);
        let (value, None) = (values.next()?, values.next()) else { return None };
        return Some(value.into_owned());
    }
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(bytes).ok()?;
    Some(object.get(name)?.as_str()?.to_owned())
}

impl Shown {
    /// The header that it stood in, if it stood in one.
    pub(super) fn header(&self) -> Option<HeaderName> {
        if self.location == "header" { self.property.parse().ok() } else { None }
    }

    /// As an entry of `actions.ngrok.jwt_validation.tokens`.
    pub(super) fn told(&self, header: &Header, payload: serde_json::Value) -> Value {
        let header = serde_json::to_value(header).unwrap_or_default();
        let signature = self.text.rsplit('.').next().unwrap_or_default().to_owned();
        Value::map([
            ("header", Value::from_json(header)),
            ("payload", Value::from_json(payload)),
            ("signature", Value::Text(Text::new(signature, true))),
            ("location", self.location.into()),
            ("location_property", self.property.clone().into()),
            ("verified", true.into()),
        ])
    }
}
