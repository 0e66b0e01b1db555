//! Where a caller's path leads: the version is inserted where it is missing and collapsed where it
//! is doubled, nothing leaves the provider's base, and every other byte stays as it came.

mod base;
mod check;
mod undone;

use http::uri::PathAndQuery;

pub use base::{Base, BaseUrls, InvalidBase, InvalidBaseUrls};

use crate::catalog::{Auth, Dialect, Format, Provider};
use check::check;
pub use undone::undone;

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
    let read = Read::of(provider, rest);
    match read.place {
        Place::Usual => target(&base.path, [read.operation], query),
        Place::OfFormat(_, place) => target(&base.rooted(provider, place), [read.operation], query),
    }
}

/// The path and query to send upstream, for a path that does not name the provider: what stands below
/// `/v1` goes below `base`, which is that of a format or of a provider that a gateway configures.
///
/// Slashes in a row count as one: they arise where clients join an address and a path.
pub fn below(base: &Base, path: &str, query: Option<&str>) -> Result<PathAndQuery, InvalidPath> {
    let segments = || path.split('/').filter(|segment| !segment.is_empty());
    for segment in segments() {
        check(segment)?;
    }
    // Text after a slash that is encoded belongs to its segment, and may make it climb.
    let versions = segments().take_while(|segment| *segment == "v1").count();
    let trailing = if path.ends_with('/') { Some("") } else { None };
    target(&base.path, segments().skip(versions).chain(trailing), query)
}

/// What is spoken on a path below a provider's slug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Native<'a> {
    /// The format.
    pub dialect: Dialect,
    /// How a credential is presented.
    pub auth: Auth,
    /// The operation, without its version: `chat/completions`.
    pub operation: &'a str,
}

/// What is spoken on the path below a provider's slug, and which operation it names.
pub fn native<'a>(provider: &Provider, rest: &'a str) -> Native<'a> {
    let Read { place, operation } = Read::of(provider, rest.trim_start_matches('/'));
    let format = match place {
        Place::OfFormat(format, _) => Some(format),
        Place::Usual => {
            provider.formats.iter().find(|format| format.base.is_none() && format.offers(operation))
        }
    };
    let spoken = format.map_or((provider.dialect, provider.auth), |format| (format.dialect, format.auth));
    Native { dialect: spoken.0, auth: spoken.1, operation }
}

/// The operation that a path names, without its version: `chat/completions`.
pub fn operation<'a>(provider: &Provider, rest: &'a str) -> &'a str {
    native(provider, rest).operation
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

/// A path below a provider's slug, cut apart.
struct Read<'a> {
    place: Place,
    operation: &'a str,
}

enum Place {
    /// Below the provider's base, whose version was said, spelled in another way, or left out.
    Usual,
    /// Below the provider's root, in the place of a format.
    OfFormat(&'static Format, &'static str),
}

impl<'a> Read<'a> {
    fn of(provider: &Provider, rest: &'a str) -> Self {
        for format in provider.formats {
            let Some(base) = format.base.filter(|base| after(rest, base).is_some()) else { continue };
            let operation = beyond(rest, &[base]);
            return Self { place: Place::OfFormat(format, base), operation };
        }
        let operation = beyond(rest, provider.prefix_spellings);
        Self { place: Place::Usual, operation }
    }
}

/// What follows any of `beginnings`, once however often it is said, and in whichever of its spellings.
fn beyond<'a>(mut path: &'a str, beginnings: &[&str]) -> &'a str {
    while let Some(rest) = beginnings.iter().find_map(|beginning| after(path, beginning)) {
        path = rest;
    }
    path
}

/// What follows `segments` at the beginning of a path, if it begins with them.
fn after<'a>(path: &'a str, segments: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(segments)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

/// A base's path with what goes below it.
fn target<'a>(
    base: &str,
    parts: impl IntoIterator<Item = &'a str>,
    query: Option<&str>,
) -> Result<PathAndQuery, InvalidPath> {
    let mut target = String::with_capacity(base.len() + 64 + query.map_or(0, |query| query.len() + 1));
    target.push_str(base);
    for (index, part) in parts.into_iter().enumerate() {
        if !part.is_empty() || index > 0 {
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

#[cfg(test)]
mod tests;
