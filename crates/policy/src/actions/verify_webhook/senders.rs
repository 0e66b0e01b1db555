//! Who sends webhooks, and how each signs them: data for the few ways that there are.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use http::{HeaderMap, header};
use sha1::Sha1;
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// A signature that is older or younger than this was recorded by somebody else.
const TOLERANCE_SECONDS: i64 = 300;
/// So many signatures of one request are compared; senders write two while they change secrets.
const MOST_SIGNATURES: usize = 10;

/// A sender of webhooks.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) name: &'static str,
    scheme: Scheme,
}

/// How a request is signed.
#[derive(Debug)]
enum Scheme {
    /// The secret itself stands in the header.
    Token { header: &'static str },
    /// One header has the signature of the body.
    Body { header: &'static str, prefix: &'static str, digest: Digest, encoding: Encoding },
    /// One header has fields such as `t=1,v1=…`; `{t}.{body}` is signed.
    Fields { header: &'static str, time: &'static str, signature: &'static str },
    /// One header has the signature, another the time; `{version}:{time}:{body}` is signed.
    Timed { header: &'static str, time: &'static str, version: &'static str },
    /// Svix and whoever follows Standard Webhooks: `{id}.{time}.{body}`, the secret in Base64.
    Standard,
    /// One header has `v1=…` several times, each a signature of the body.
    Listed { header: &'static str, prefix: &'static str },
    /// The address, and the form's fields in the order of their names.
    Twilio,
}

#[derive(Debug, Clone, Copy)]
enum Digest {
    Sha1,
    Sha256,
}

#[derive(Debug, Clone, Copy)]
enum Encoding {
    Hex,
    Base64,
}

const fn body(
    name: &'static str,
    header: &'static str,
    prefix: &'static str,
    digest: Digest,
    encoding: Encoding,
) -> Sender {
    Sender { name, scheme: Scheme::Body { header, prefix, digest, encoding } }
}

/// Every sender that is known, by the vendor's name for it.
pub(super) const SENDERS: &[Sender] = &[
    body("bitbucket", "x-hub-signature", "sha256=", Digest::Sha256, Encoding::Hex),
    Sender {
        name: "calendly",
        scheme: Scheme::Fields { header: "calendly-webhook-signature", time: "t", signature: "v1" },
    },
    body("dropbox", "x-dropbox-signature", "", Digest::Sha256, Encoding::Hex),
    body("facebook_graph_api", "x-hub-signature-256", "sha256=", Digest::Sha256, Encoding::Hex),
    body("github", "x-hub-signature-256", "sha256=", Digest::Sha256, Encoding::Hex),
    Sender { name: "gitlab", scheme: Scheme::Token { header: "x-gitlab-token" } },
    body("heroku", "heroku-webhook-hmac-sha256", "", Digest::Sha256, Encoding::Base64),
    body("intercom", "x-hub-signature", "sha1=", Digest::Sha1, Encoding::Hex),
    body("launch_darkly", "x-ld-signature", "", Digest::Sha256, Encoding::Hex),
    body("linear", "linear-signature", "", Digest::Sha256, Encoding::Hex),
    Sender { name: "pagerduty", scheme: Scheme::Listed { header: "x-pagerduty-signature", prefix: "v1=" } },
    body("sentry", "sentry-hook-signature", "", Digest::Sha256, Encoding::Hex),
    body("shopify", "x-shopify-hmac-sha256", "", Digest::Sha256, Encoding::Base64),
    Sender {
        name: "slack",
        scheme: Scheme::Timed {
            header: "x-slack-signature",
            time: "x-slack-request-timestamp",
            version: "v0",
        },
    },
    Sender { name: "standard_webhooks", scheme: Scheme::Standard },
    Sender {
        name: "stripe",
        scheme: Scheme::Fields { header: "stripe-signature", time: "t", signature: "v1" },
    },
    Sender { name: "svix", scheme: Scheme::Standard },
    Sender { name: "twilio", scheme: Scheme::Twilio },
    body("typeform", "typeform-signature", "sha256=", Digest::Sha256, Encoding::Base64),
    body("xero", "x-xero-signature", "", Digest::Sha256, Encoding::Base64),
    Sender {
        name: "zoom",
        scheme: Scheme::Timed { header: "x-zm-signature", time: "x-zm-request-timestamp", version: "v0" },
    },
];

/// What may have been signed.
pub(super) struct Signed<'s> {
    pub(super) headers: &'s HeaderMap,
    pub(super) url: &'s str,
    pub(super) body: &'s [u8],
    pub(super) now: i64,
}

impl Signed<'_> {
    /// A header that stands there once.
    fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let (value, None) = (values.next()?, values.next()) else { return None };
        value.to_str().ok()
    }

    /// Whether a time in seconds is about now.
    fn is_recent(&self, seconds: &str) -> bool {
        seconds
            .parse::<i64>()
            .is_ok_and(|seconds| self.now.abs_diff(seconds) <= TOLERANCE_SECONDS.unsigned_abs())
    }
}

impl Sender {
    /// Whether the sender has signed this. Whatever is missing or malformed makes it a no.
    pub(super) fn has_signed(&self, signed: &Signed<'_>, secret: &str) -> bool {
        self.signature_is_right(signed, secret).unwrap_or(false)
    }

    fn signature_is_right(&self, signed: &Signed<'_>, secret: &str) -> Option<bool> {
        let key = secret.as_bytes();
        match &self.scheme {
            Scheme::Token { header } => Some(signed.header(header)?.as_bytes().ct_eq(key).into()),
            Scheme::Body { header, prefix, digest, encoding } => {
                let signature = encoding.decode(signed.header(header)?.strip_prefix(prefix)?)?;
                digest.signs(key, &[signed.body], &signature)
            }
            Scheme::Fields { header, time, signature } => {
                let fields = || signed.header(header).into_iter().flat_map(|value| value.split(','));
                let field = |name: &'static str| {
                    fields().filter_map(move |field| field.trim().strip_prefix(name)?.strip_prefix('='))
                };
                let time = field(time).next().filter(|time| signed.is_recent(time))?;
                let parts = [time.as_bytes(), b".", signed.body];
                Some(any(field(signature), |text| {
                    Digest::Sha256.signs(key, &parts, &Encoding::Hex.decode(text)?)
                }))
            }
            Scheme::Timed { header, time, version } => {
                let time = signed.header(time).filter(|time| signed.is_recent(time))?;
                let signature = signed.header(header)?.strip_prefix(version)?.strip_prefix('=')?;
                let parts = [version.as_bytes(), b":", time.as_bytes(), b":", signed.body];
                Digest::Sha256.signs(key, &parts, &Encoding::Hex.decode(signature)?)
            }
            Scheme::Listed { header, prefix } => {
                let signatures =
                    signed.header(header)?.split(',').filter_map(|text| text.trim().strip_prefix(prefix));
                Some(any(signatures, |text| {
                    Digest::Sha256.signs(key, &[signed.body], &Encoding::Hex.decode(text)?)
                }))
            }
            Scheme::Standard => standard(signed, secret),
            Scheme::Twilio => twilio(signed, key),
        }
    }
}

/// Whether one of the first few signatures is right.
fn any<'t>(signatures: impl Iterator<Item = &'t str>, is_right: impl Fn(&str) -> Option<bool>) -> bool {
    signatures.take(MOST_SIGNATURES).any(|signature| is_right(signature) == Some(true))
}

fn standard(signed: &Signed<'_>, secret: &str) -> Option<bool> {
    let header = |name: &str| {
        signed.header(&format!("svix-{name}")).or_else(|| signed.header(&format!("webhook-{name}")))
    };
    let time = header("timestamp").filter(|time| signed.is_recent(time))?;
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap_or(secret)).ok()?;
    let parts = [header("id")?.as_bytes(), b".", time.as_bytes(), b".", signed.body];
    let signatures = header("signature")?.split(' ').filter_map(|text| text.strip_prefix("v1,"));
    Some(any(signatures, |text| Digest::Sha256.signs(&key, &parts, &STANDARD.decode(text).ok()?)))
}

/// Twilio signs the address with what the form says; of other bodies the address has the digest.
fn twilio(signed: &Signed<'_>, key: &[u8]) -> Option<bool> {
    let signature = STANDARD.decode(signed.header("x-twilio-signature")?).ok()?;
    let kind =
        signed.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let mut text = signed.url.to_owned();
    if kind.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded") {
        let mut fields: Vec<(String, String)> = form_urlencoded::parse(signed.body).into_owned().collect();
        fields.sort();
        for (name, value) in fields {
            text.push_str(&name);
            text.push_str(&value);
        }
    } else {
        let query = signed.url.split_once('?').map_or("", |(_, query)| query);
        let (_, told) = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "bodySHA256")?;
        let digest = <Sha256 as sha2::Digest>::digest(signed.body);
        if !bool::from(digest.as_slice().ct_eq(&hex::decode(told.as_bytes()).ok()?)) {
            return Some(false);
        }
    }
    Digest::Sha1.signs(key, &[text.as_bytes()], &signature)
}

impl Digest {
    /// Whether this is the signature of these parts; compared in constant time.
    fn signs(self, key: &[u8], parts: &[&[u8]], signature: &[u8]) -> Option<bool> {
        match self {
            Self::Sha1 => {
                let mut mac =
                    <hmac_of_sha1::Hmac<Sha1> as hmac_of_sha1::KeyInit>::new_from_slice(key).ok()?;
                parts.iter().for_each(|part| hmac_of_sha1::Mac::update(&mut mac, part));
                Some(hmac_of_sha1::Mac::verify_slice(mac, signature).is_ok())
            }
            Self::Sha256 => {
                let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
                parts.iter().for_each(|part| mac.update(part));
                Some(mac.verify_slice(signature).is_ok())
            }
        }
    }
}

impl Encoding {
    fn decode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Hex => hex::decode(text).ok(),
            Self::Base64 => STANDARD.decode(text).ok(),
        }
    }
}

#[cfg(test)]
mod tests;
