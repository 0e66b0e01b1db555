//! Addresses and how they are escaped.

use std::borrow::Cow;

use http::Uri;

use super::query;
use crate::expression::error::Failure;
use crate::value::Value;

/// What a plus sign stands for: for a blank in queries, for itself elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plus {
    Plus,
    Blank,
}

/// The host without a port, and without the brackets of IPv6.
pub(crate) fn host(authority: &str) -> &str {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.rsplit_once(':').map_or(host, |(host, _)| host),
    }
}

/// The port, or the one that the scheme implies.
pub(crate) fn port(authority: &str, scheme: &str) -> u16 {
    let behind = authority.rsplit_once(']').map_or(authority, |(_, behind)| behind);
    let written = behind.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    written.unwrap_or(if scheme == "http" { 80 } else { 443 })
}

/// `%2F` and such as what they stand for; what is no escape stays as it is.
pub(crate) fn unescaped(text: &str, plus: Plus) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let code = |range| bytes.get(range).and_then(|hex| std::str::from_utf8(hex).ok());
        let code = code(at + 1..at + 3).filter(|hex| hex.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match (byte, code.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(code)) => {
                out.push(code);
                at += 2;
            }
            (b'+', _) if plus == Plus::Blank => out.push(b' '),
            _ => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// As it may stand in a query.
pub(crate) fn escaped(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// The parts of an address, under the names that `req.url` has for them.
pub(crate) fn parse(text: &str) -> Result<Value, Failure> {
    let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
    let uri: Uri = text.parse().map_err(|_| Failure::BadArgument("this is no URL"))?;
    let scheme = uri.scheme_str().unwrap_or_default();
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let shown = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let port = if authority.is_empty() { 0 } else { port(authority, scheme) };
    let query = uri.query().unwrap_or_default();
    let text: Cow<'_, str> = uri.to_string().into();
    Ok(Value::map([
        ("authority", Value::text(shown)),
        ("fragment", Value::text(fragment)),
        ("host", Value::text(host(authority))),
        ("path", Value::text(unescaped(uri.path(), Plus::Plus))),
        ("port", Value::Int(port.into())),
        ("query", Value::text(query)),
        ("query_params", query::parameters(query)),
        ("raw", Value::text(text.into_owned())),
        ("raw_path", Value::text(uri.path())),
        ("scheme", Value::text(scheme)),
        ("uri", Value::text(uri.path_and_query().map_or("/", |target| target.as_str()))),
    ]))
}
