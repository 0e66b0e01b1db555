//! The providers that this release serves, a file each, and the names of those that Cloudflare
//! knows besides.

mod anthropic;
mod auth;
mod cerebras;
pub mod custom;
mod deepseek;
mod fireworks;
mod format;
mod google;
mod groq;
mod hyperbolic;
mod inceptionlabs;
mod inference_net;
mod mistral;
mod moonshotai;
mod openai;
mod openrouter;
mod perplexity;
mod quota;
mod together;
mod xai;
mod z_ai;

use crate::credits::Credits;
use crate::endpoint::Endpoint;

pub use auth::{Auth, callers_key, without_bearer};
pub use format::{Dialect, Format};
pub use quota::{Quota, QuotaHeaders};

/// A provider: mostly data. Its models stand in the model catalogue, their prices in the price
/// catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Provider {
    /// Its one name in records, prices and stored keys, and its segment in a gateway URL.
    pub slug: &'static str,
    /// Its other names, in lower case: in gateway URLs, before the slash of a compat model, before the
    /// colon of a model, and in policies, where case does not matter.
    pub aliases: &'static [&'static str],
    /// What policies and the model catalogue call it: its slug, or one of its aliases.
    pub id: &'static str,
    /// What it calls itself.
    pub name: &'static str,
    /// Whose models it makes, as in `openai/gpt-4o`; empty if it serves only those of others.
    pub author: &'static str,
    /// Scheme and host, without a path: `https://api.openai.com`.
    pub root: &'static str,
    /// The version that is inserted when a caller leaves it out, without slashes at its ends: `v1`,
    /// `openai/v1`. Empty for none.
    pub prefix: &'static str,
    /// What counts as that version when a path begins with it, such as `openai/v1` and `v1`.
    pub prefix_spellings: &'static [&'static str],
    /// How a credential is presented to it on paths of its own.
    pub auth: Auth,
    /// What it speaks on paths of its own.
    pub dialect: Dialect,
    /// The formats in which its models can be asked, the first of which is preferred.
    pub formats: &'static [Format],
    /// Members of a body that it refuses, which a policy's routing takes out.
    pub unsupported_params: &'static [&'static str],
    /// Where its answers say what is left of a key's quota.
    pub quota: QuotaHeaders,
    /// Whether bytes of a body may be replaced at all; never on providers that sign requests.
    pub allows_splices: bool,
    /// Whether it tells the usage of every stream, and does not take the request for it.
    pub tells_usage: bool,
    /// What may be done on credits; `None` if nothing may.
    pub credits: Option<&'static Credits>,
    /// Whether a stream that we leave is billed for no more than what was produced until then. False
    /// unless that is known.
    pub stops_billing_on_cancel: bool,
    /// Whether a stream shows all output that is billed, of models that do not think out of sight.
    pub output_is_visible: bool,
}

/// What providers that speak as OpenAI does have in common; each says what is different about it.
const OPENAI_LIKE: Provider = Provider {
    slug: "",
    aliases: &[],
    id: "",
    name: "",
    author: "",
    root: "",
    prefix: "v1",
    prefix_spellings: &["v1"],
    auth: Auth::Bearer,
    dialect: Dialect::OpenAi,
    formats: &[Format::OPENAI_CHAT],
    unsupported_params: &[],
    quota: QuotaHeaders::OPENAI,
    allows_splices: true,
    tells_usage: false,
    credits: None,
    stops_billing_on_cancel: false,
    output_is_visible: false,
};

impl Provider {
    /// Whether it is called that, in any case.
    pub fn is_called(&self, name: &str) -> bool {
        self.names().any(|own| own.eq_ignore_ascii_case(name))
    }

    /// All its names, the slug first.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.slug).chain(self.aliases.iter().copied())
    }

    /// Where and how it is asked in a format, if it serves that: by preference where it offers the
    /// operation, such as `chat/completions`.
    pub fn format(&self, dialect: Dialect, operation: &str) -> Option<&'static Format> {
        let formats = || self.formats.iter().filter(|format| format.dialect == dialect);
        formats().find(|format| format.offers(operation)).or_else(|| formats().next())
    }

    /// How a credential is presented to it for an operation: as the operation's dialect wants it where it
    /// serves that one, else in its own way.
    pub fn auth_for(&self, endpoint: Endpoint) -> Auth {
        let format = endpoint.dialect().and_then(|dialect| self.format(dialect, ""));
        format.map_or(self.auth, |format| format.auth)
    }

    /// A model's name without the collection that callers of some providers write before it.
    pub fn bare<'a>(&self, model: &'a str) -> &'a str {
        if self.dialect == Dialect::Google { crate::google::request::bare(model) } else { model }
    }

    /// What is spoken in an operation at this provider.
    pub fn dialect_of(&self, endpoint: Endpoint) -> Dialect {
        endpoint.dialect().unwrap_or(self.dialect)
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

/// All providers that are served, by slug. A new one is a file, its line here, the line of its module, what it
/// sells in `credits/compatible`, and folders in `tests/golden_addresses` and `tests/golden_credits`.
pub fn all() -> &'static [&'static Provider] {
    &[
        &anthropic::ANTHROPIC,
        &cerebras::CEREBRAS,
        &deepseek::DEEPSEEK,
        &fireworks::FIREWORKS,
        &google::GOOGLE,
        &xai::XAI,
        &groq::GROQ,
        &hyperbolic::HYPERBOLIC,
        &inceptionlabs::INCEPTIONLABS,
        &inference_net::INFERENCE_NET,
        &mistral::MISTRAL,
        &moonshotai::MOONSHOTAI,
        &openai::OPENAI,
        &openrouter::OPENROUTER,
        &perplexity::PERPLEXITY,
        &together::TOGETHER,
        &z_ai::Z_AI,
    ]
}

/// The provider behind a segment of a gateway URL: its slug or an alias, in lower case.
pub fn find(slug: &str) -> Result<&'static Provider, UnknownProvider> {
    all()
        .iter()
        .copied()
        .find(|provider| provider.names().any(|own| own == slug))
        .ok_or_else(|| unknown(slug))
}

/// The provider that is called that, in any case: what stands before a model's colon, or in a policy.
pub fn named(name: &str) -> Option<&'static Provider> {
    all().iter().copied().find(|provider| provider.is_called(name))
}

/// The provider behind a compat model's prefix, such as `openai` in `openai/gpt-4o`.
pub fn compat_name(prefix: &str) -> Result<&'static Provider, UnknownProvider> {
    find(prefix)
}

/// Whether a stored key may name this provider: any slug that is served, or that Cloudflare has.
/// Aliases are not slugs: [`find`] says whose they are.
pub fn is_slug(slug: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    let custom = |name: &str| (1..=64).contains(&name.len()) && name.bytes().all(plain);
    all().iter().any(|provider| provider.slug == slug)
        || NOT_SERVED.contains(&slug)
        || slug.strip_prefix("custom-").is_some_and(custom)
}

/// The slug under which keys and prices of a provider are kept: its own for any of its names, in any case.
pub fn slug(name: &str) -> Option<&str> {
    let served = named(name).map(|provider| provider.slug);
    served.or_else(|| is_slug(name).then_some(name))
}

fn unknown(slug: &str) -> UnknownProvider {
    let known = NOT_SERVED.iter().find(|known| **known == slug);
    known.map_or(UnknownProvider::Invalid, |known| UnknownProvider::NotServed(known))
}

/// The slugs of Cloudflare's provider table that are not served, but for `custom-…`, which accounts
/// name themselves.
const NOT_SERVED: &[&str] = &[
    "google-vertex-ai",
    "azure-openai",
    "aws-bedrock",
    "workers-ai",
    "cohere",
    "huggingface",
    "replicate",
    "baseten",
    "parallel",
    "cartesia",
    "elevenlabs",
    "deepgram",
    "fal",
    "ideogram",
];

#[cfg(test)]
mod tests;
