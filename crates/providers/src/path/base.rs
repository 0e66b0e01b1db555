//! Where providers are reached: scheme, host, and the path that everything goes below.

use std::collections::BTreeMap;

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};

use super::InvalidPath;
use super::check::check;
use crate::catalog::{self, Format, Provider};

/// Where a provider is reached: its own address, or the operator's for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// `https`, or `http` where the operator says so.
    pub scheme: Scheme,
    /// Host and port.
    pub authority: Authority,
    /// What every path begins with, its default version included, without a slash at the end: `/v1`.
    pub path: String,
}

impl Base {
    /// The provider's own address.
    ///
    /// # Panics
    /// If the catalogue's root is not a URL, which a test rules out.
    pub fn of(provider: &Provider) -> Self {
        let slash = if provider.prefix.is_empty() { "" } else { "/" };
        Self::parse(&format!("{}{slash}{}", provider.root, provider.prefix))
            .expect("catalogue roots are URLs")
    }

    /// Reads an address that contains its version already, such as `http://127.0.0.1:9000/v1`.
    pub fn parse(url: &str) -> Option<Self> {
        let parts = url.parse::<Uri>().ok()?.into_parts();
        let scheme = parts.scheme.filter(|scheme| *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS)?;
        let authority = parts.authority.filter(|authority| !authority.as_str().contains('@'))?;
        let path = parts.path_and_query.filter(|path| path.query().is_none())?;
        Some(Self { scheme, authority, path: path.path().trim_end_matches('/').to_owned() })
    }

    /// The whole address of a path and query that [`upstream`] made.
    pub fn uri(&self, path: PathAndQuery) -> Uri {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path);
        // All three parts are there, and a path that begins with a slash fits any authority.
        Uri::from_parts(parts).unwrap_or_default()
    }

    /// Reads the address of a provider that a gateway configures. One without a path gets `/v1`; any
    /// other path is taken as it is, but for slashes in a row.
    pub fn configured(url: &str) -> Result<Self, InvalidBase> {
        let mut base = Self::parse(url).ok_or(InvalidBase::NoUrl)?;
        let segments: Vec<_> = base.path.split('/').filter(|segment| !segment.is_empty()).collect();
        let joined = segments.join("/");
        check(&joined)?;
        base.path = if joined.is_empty() { "/v1".to_owned() } else { format!("/{joined}") };
        Ok(base)
    }

    /// Whether what is sent there can be read on its way.
    pub fn is_plain(&self) -> bool {
        self.scheme == Scheme::HTTP
    }

    /// The path of a place below the provider's root. A base that says it already is not given it twice.
    pub(super) fn rooted(&self, provider: &Provider, place: &str) -> String {
        let below = |place: &str| self.path.strip_suffix(place).and_then(|path| path.strip_suffix('/'));
        let places = provider.formats.iter().filter_map(|format| format.base);
        let known = std::iter::once(provider.prefix).chain(places).filter(|known| !known.is_empty());
        let longest = known.filter(|known| below(known).is_some()).max_by_key(|known| known.len());
        let root = longest.and_then(below).unwrap_or(&self.path);
        format!("{root}/{place}")
    }
}

/// Why an address cannot be a provider's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBase {
    /// Not an address, or one that has more than scheme, host and path.
    #[error("it is no http or https URL without credentials and query")]
    NoUrl,
    /// Its path might lead elsewhere.
    #[error(transparent)]
    Path(#[from] InvalidPath),
}

/// Where each served provider is reached, with the operator's overrides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrls(BTreeMap<&'static str, Base>);

/// Why overrides cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBaseUrls {
    /// An entry without `=`.
    #[error("`{0}` is not of the form `provider=url`")]
    NoUrl(String),
    /// An entry for a provider that is not served.
    #[error("`{0}` is no provider that this release serves")]
    UnknownProvider(String),
    /// A provider named twice.
    #[error("`{0}` is named twice")]
    Twice(String),
    /// An address that is not one.
    #[error("`{0}` is no http or https URL without credentials and query")]
    InvalidUrl(String),
}

impl BaseUrls {
    /// Reads `openai=http://127.0.0.1:9000/v1,…`; empty means the providers' own addresses. An
    /// override takes the place of root and version, so that `chat/completions` and
    /// `v1/chat/completions` both go below it.
    pub fn parse(text: &str) -> Result<Self, InvalidBaseUrls> {
        let mut overrides = BTreeMap::new();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let (slug, url) =
                entry.split_once('=').ok_or_else(|| InvalidBaseUrls::NoUrl(entry.to_owned()))?;
            let provider =
                catalog::find(slug.trim()).map_err(|_| InvalidBaseUrls::UnknownProvider(slug.to_owned()))?;
            let base =
                Base::parse(url.trim()).ok_or_else(|| InvalidBaseUrls::InvalidUrl(url.trim().to_owned()))?;
            if overrides.insert(provider.slug, base).is_some() {
                return Err(InvalidBaseUrls::Twice(slug.to_owned()));
            }
        }
        for provider in catalog::all() {
            overrides.entry(provider.slug).or_insert_with(|| Base::of(provider));
        }
        Ok(Self(overrides))
    }

    /// Where a provider is reached in a format of its own; what goes there is composed by
    /// [`below`](super::below).
    pub fn of_format(&self, provider: &Provider, format: &Format) -> Base {
        let base = self.of(provider);
        let path = format.base.map_or_else(|| base.path.clone(), |place| base.rooted(provider, place));
        Base { path, ..base.clone() }
    }

    /// Where a provider is reached.
    pub fn of(&self, provider: &Provider) -> &Base {
        &self.0[provider.slug]
    }
}

impl Default for BaseUrls {
    fn default() -> Self {
        Self(catalog::all().iter().map(|provider| (provider.slug, Base::of(provider))).collect())
    }
}
