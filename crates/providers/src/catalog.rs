//! The providers that this release serves, a file each, and the names of those that Cloudflare
//! knows.

mod anthropic;
mod openai;

use http::header::{AUTHORIZATION, HeaderName, HeaderValue, InvalidHeaderValue};
use model::Secret;

use crate::credits::Credits;

/// A provider: mostly data. Its models and prices stand in the price catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Provider {
    /// Its segment in a gateway URL.
    pub slug: &'static str,
    /// Scheme and host, without a path: `https://api.openai.com`.
    pub root: &'static str,
    /// The version that is inserted when a caller leaves it out, without slashes: `v1`. Empty for none.
    pub prefix: &'static str,
    /// What counts as a version when a path begins with it; includes `prefix`.
    pub version_segments: &'static [&'static str],
    /// What stands before the slash in compat model names.
    pub compat_prefixes: &'static [&'static str],
    /// How a credential is presented to it.
    pub auth: Auth,
    /// The format that it speaks, of requests, answers, streams and errors.
    pub dialect: Dialect,
    /// Whether bytes of a body may be replaced at all; never on providers that sign requests.
    pub allows_splices: bool,
    /// What may be done on credits; `None` if nothing may.
    pub credits: Option<&'static Credits>,
    /// Whether a stream that we leave is billed for no more than what was produced until then. False
    /// unless that is known.
    pub stops_billing_on_cancel: bool,
    /// Whether a stream shows all output that is billed, of models that do not think out of sight.
    pub output_is_visible: bool,
}

/// Where Anthropic expects a credential.
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// How a credential is presented to a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer …`.
    Bearer,
    /// `x-api-key: …`, which is Anthropic's own.
    XApiKey,
}

/// The format that a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI's.
    OpenAi,
    /// That of Anthropic's Messages API.
    Anthropic,
}

impl Auth {
    /// The one header in which this provider expects its credential.
    pub fn header(self) -> HeaderName {
        match self {
            Self::Bearer => AUTHORIZATION,
            Self::XApiKey => X_API_KEY,
        }
    }

    /// The headers in which callers of this provider send its credential, the usual one first.
    /// Anthropic's clients send theirs as a bearer token too.
    pub fn said_in(self) -> &'static [HeaderName] {
        static HEADERS: [HeaderName; 2] = [X_API_KEY, AUTHORIZATION];
        match self {
            Self::Bearer => &HEADERS[1..],
            Self::XApiKey => &HEADERS,
        }
    }

    /// The header's value for a key, marked so that it is never printed nor indexed by HTTP/2.
    pub fn value(self, key: &Secret) -> Result<HeaderValue, InvalidHeaderValue> {
        let mut value = match self {
            Self::Bearer => HeaderValue::try_from(format!("Bearer {}", key.expose())),
            Self::XApiKey => HeaderValue::try_from(key.expose()),
        }?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// The key in a header that a caller sent, or `None` if there is nothing in it.
    ///
    /// `Bearer` may be left out or written in any case. `undefined`, which clients without a key
    /// send, and the empty key are nothing.
    pub fn key(self, value: &HeaderValue) -> Option<&str> {
        let key = without_bearer(value.to_str().ok()?);
        (!key.is_empty() && key != "undefined").then_some(key)
    }
}

/// The text of a credential without its scheme: `Bearer x`, `bearer  x` and `x` are the same.
pub fn without_bearer(text: &str) -> &str {
    let text = text.trim();
    match text.split_at_checked(6) {
        Some((scheme, rest))
            if scheme.eq_ignore_ascii_case("bearer") && (rest.is_empty() || rest.starts_with(' ')) =>
        {
            rest.trim_start()
        }
        _ => text,
    }
}

/// Why a slug cannot be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnknownProvider {
    /// Nobody is called that.
    #[error("Invalid provider")]
    Invalid,
    /// Cloudflare serves it, this release does not.
    #[error("Invalid provider: `{0}` is not served by this release")]
    NotServed(&'static str),
}

/// All providers that are served.
pub fn all() -> &'static [&'static Provider] {
    &[&openai::OPENAI, &anthropic::ANTHROPIC]
}

/// The provider behind a slug.
pub fn find(slug: &str) -> Result<&'static Provider, UnknownProvider> {
    all().iter().copied().find(|provider| provider.slug == slug).ok_or_else(|| unknown(slug))
}

/// The provider behind a compat model's prefix, such as `openai` in `openai/gpt-4o`.
pub fn compat_name(prefix: &str) -> Result<&'static Provider, UnknownProvider> {
    let served = all().iter().copied().find(|provider| provider.compat_prefixes.contains(&prefix));
    served.ok_or_else(|| unknown(prefix))
}

/// Whether a stored key may name this provider: any slug of Cloudflare's table, served here or not.
pub fn is_slug(slug: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    let custom = |name: &str| (1..=64).contains(&name.len()) && name.bytes().all(plain);
    SLUGS.contains(&slug) || slug.strip_prefix("custom-").is_some_and(custom)
}

fn unknown(slug: &str) -> UnknownProvider {
    let known = SLUGS.iter().find(|known| **known == slug);
    known.map_or(UnknownProvider::Invalid, |known| UnknownProvider::NotServed(known))
}

/// Every slug of Cloudflare's provider table, but for `custom-…`, which accounts name themselves.
pub const SLUGS: &[&str] = &[
    "openai",
    "anthropic",
    "google-ai-studio",
    "google-vertex-ai",
    "azure-openai",
    "aws-bedrock",
    "workers-ai",
    "groq",
    "grok",
    "mistral",
    "deepseek",
    "perplexity-ai",
    "cerebras",
    "cohere",
    "openrouter",
    "huggingface",
    "replicate",
    "baseten",
    "parallel",
    "cartesia",
    "elevenlabs",
    "deepgram",
    "fal",
    "ideogram",
    "fireworks",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_slug_that_is_not_served_says_so() {
        assert_eq!(find("openai").unwrap().root, "https://api.openai.com");
        assert_eq!(find("anthropic").unwrap().auth, Auth::XApiKey);
        assert_eq!(find("aws-bedrock"), Err(UnknownProvider::NotServed("aws-bedrock")));
        assert_eq!(find("opena1"), Err(UnknownProvider::Invalid));
        assert_eq!(compat_name("openai").unwrap().slug, "openai");
    }

    #[test]
    fn a_custom_slug_is_a_slug() {
        assert!(is_slug("openai") && is_slug("custom-my_provider-2"));
        let long = format!("custom-{}", "a".repeat(65));
        assert!(
            ["", "nobody", "custom-", "custom-a/b", "custom-a\0", &long].iter().all(|slug| !is_slug(slug))
        );
    }

    #[test]
    fn every_served_provider_is_in_the_table_and_knows_its_own_prefix() {
        for provider in all() {
            assert!(SLUGS.contains(&provider.slug));
            assert!(provider.prefix.is_empty() || provider.version_segments.contains(&provider.prefix));
        }
    }

    #[test]
    fn a_bearer_key_is_found_however_it_is_written() {
        let key = |text| Auth::Bearer.key(&HeaderValue::from_static(text)).map(str::to_owned);
        assert_eq!(key("Bearer sk-1").as_deref(), Some("sk-1"));
        assert_eq!(key("bearer  sk-1 ").as_deref(), Some("sk-1"));
        assert_eq!(key("sk-1").as_deref(), Some("sk-1"));
        assert_eq!((key("Bearer"), key("Bearer undefined"), key("")), (None, None, None));
    }

    #[test]
    fn a_scheme_is_not_part_of_a_credential() {
        let credentials = ["x", "Bearer x", "bearer  x ", "Bearer", ""].map(without_bearer);
        assert_eq!(credentials, ["x", "x", "x", "", ""]);
    }
}
