//! Where a caller's path leads: the version is inserted where it is missing and collapsed where it
//! is doubled, nothing leaves the provider's base, and every other byte stays as it came.

use std::collections::BTreeMap;

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};

use crate::catalog::{self, Provider};

/// The path and query to send upstream, for the path below the provider's slug.
///
/// `rest` is the raw text after `/{provider}/`; leading slashes do not matter. An empty or absent
/// query differ: `?` alone is kept.
pub fn upstream(
    provider: &Provider,
    base: &Base,
    rest: &str,
    query: Option<&str>,
) -> Result<PathAndQuery, InvalidPath> {
    let rest = rest.trim_start_matches('/');
    check(rest)?;
    let (version, operation) = versioned(provider, rest);
    // The default version is part of the base; another one replaces it.
    let (path, version) = match version {
        Some(version) if version != provider.prefix => (base.root_path(provider), version),
        _ => (base.path.as_str(), ""),
    };
    let mut target = String::with_capacity(path.len() + rest.len() + 2 + query.map_or(0, |q| q.len() + 1));
    target.push_str(path);
    for part in [version, operation] {
        if !part.is_empty() {
            target.push('/');
            target.push_str(part);
        }
    }
    if target.is_empty() {
        target.push('/');
    }
    if let Some(query) = query {
        target.push('?');
        target.push_str(query);
    }
    PathAndQuery::try_from(target).map_err(|_| InvalidPath::Characters)
}

/// The operation that a path names, without its version: `chat/completions`.
pub fn operation<'a>(provider: &Provider, rest: &'a str) -> &'a str {
    versioned(provider, rest.trim_start_matches('/')).1
}

/// Why a path is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPath {
    /// It climbs, plainly or encoded, and might leave the provider's base.
    #[error("The path has a `.` or `..` segment")]
    DotSegment,
    /// Two slashes in a row, which servers read differently.
    #[error("The path has an empty segment")]
    EmptySegment,
    /// Backslashes, control bytes, or what cannot stand in a URL.
    #[error("The path has characters that do not belong in a URL")]
    Characters,
}

/// The version that a path begins with, once however often it was said, and what follows it.
fn versioned<'a>(provider: &Provider, mut rest: &'a str) -> (Option<&'static str>, &'a str) {
    let mut found = None;
    loop {
        let begins = |segment: &&&str| {
            let after = rest.strip_prefix(**segment);
            after.is_some_and(|after| after.is_empty() || after.starts_with('/'))
        };
        let Some(segment) = provider.version_segments.iter().find(begins) else { return (found, rest) };
        if found.is_some_and(|found| found != *segment) {
            return (found, rest);
        }
        found = Some(*segment);
        rest = rest[segment.len()..].strip_prefix('/').unwrap_or_default();
    }
}

/// Refuses what a server between here and the provider's handler might read as another path. Percent
/// signs are undone as often as they were done, because we cannot know how often others undo them.
fn check(rest: &str) -> Result<(), InvalidPath> {
    let bytes = rest.as_bytes();
    let (mut at, mut segment) = (0, Segment::default());
    while at < bytes.len() {
        let (byte, length) = decoded(&bytes[at..]);
        at += length;
        match byte {
            b'/' if length == 1 && segment.length == 0 => return Err(InvalidPath::EmptySegment),
            b'/' => segment.end()?,
            b'\\' | b'?' | b'#' if length == 1 => return Err(InvalidPath::Characters),
            b'\\' => segment.end()?,
            byte if byte.is_ascii_control() => return Err(InvalidPath::Characters),
            byte => segment.push(byte),
        }
    }
    segment.end()
}

/// The first byte of a path as the most eager server would read it, and how many bytes it takes.
fn decoded(bytes: &[u8]) -> (u8, usize) {
    if bytes[0] != b'%' {
        return (bytes[0], 1);
    }
    let mut at = 1;
    while bytes[at..].starts_with(b"25") {
        at += 2;
    }
    let digits = bytes.get(at..at + 2).and_then(|digits| str::from_utf8(digits).ok());
    let plain = digits.filter(|digits| !digits.starts_with('+'));
    match plain.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
        Some(byte) => (byte, at + 2),
        None => (b'%', at),
    }
}

/// What is known of the path segment being read: whether it is dots only, up to a `;`, which some
/// servers cut off.
#[derive(Default)]
struct Segment {
    length: usize,
    dots: usize,
    parameters: bool,
}

impl Segment {
    fn push(&mut self, byte: u8) {
        self.parameters |= byte == b';';
        self.length += 1;
        if !self.parameters {
            self.dots =
                if byte == b'.' && self.dots + 1 == self.length { self.length } else { usize::MAX - 1 };
        }
    }

    fn end(&mut self) -> Result<(), InvalidPath> {
        let climbs = matches!(self.dots, 1 | 2);
        *self = Self::default();
        if climbs { Err(InvalidPath::DotSegment) } else { Ok(()) }
    }
}

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

    fn root_path(&self, provider: &Provider) -> &str {
        let root = self.path.strip_suffix(provider.prefix).and_then(|path| path.strip_suffix('/'));
        root.unwrap_or(&self.path)
    }
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

#[cfg(test)]
mod tests;
