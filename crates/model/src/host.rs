//! Hosts that requests are sent to, and the addresses in which people write them.

use std::fmt;
use std::str::FromStr;

/// A host that can be bound to a gateway, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// This one: `gateway.example.com`.
    Exact(String),
    /// Every host with one label before this one, written `*.example.com`.
    Wildcard(String),
    /// Every host that is bound to nothing else, written `*`.
    Default,
}

/// Why a text is no host, or no address of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHost {
    /// It has a scheme that is not HTTP's.
    #[error("must begin with `https://` or `http://`, or be a host alone")]
    Scheme,
    /// It says a port.
    #[error("must not have a port: one address serves all hosts")]
    Port,
    /// There is something behind the host.
    #[error("must end with the host: a whole host is bound, not a path, a query or credentials on it")]
    MoreThanHost,
    /// It is an address, not a name.
    #[error("must be a name, not an IP address")]
    Address,
    /// Its wildcard stands elsewhere than in front, or for a part of a label.
    #[error("must have its `*` as the whole first label, such as `*.example.com`")]
    Wildcard,
    /// It is no name in the DNS.
    #[error("must be a host name of letters, digits and hyphens, such as `gateway.example.com`")]
    Name,
}

/// Where an endpoint is reached, as its owner wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointUrl {
    /// The protocol that he expects.
    pub scheme: Scheme,
    /// The host.
    pub host: Host,
}

/// The protocols of endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// As it stands before `://`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    /// Where it is served unless a port is said.
    pub const fn port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

impl Host {
    /// The name behind the wildcard, or the host itself; nothing for the default.
    pub fn domain(&self) -> Option<&str> {
        match self {
            Host::Exact(name) | Host::Wildcard(name) => Some(name),
            Host::Default => None,
        }
    }

    /// Whether it is the domain itself or below it.
    pub fn is_within(&self, domain: &str) -> bool {
        let Some(name) = self.domain() else { return false };
        name == domain || name.strip_suffix(domain).is_some_and(|before| before.ends_with('.'))
    }

    /// The wildcard that a host falls under.
    pub fn wildcard_over(name: &str) -> Option<String> {
        name.split_once('.').map(|(_, domain)| format!("*.{domain}"))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Exact(name) => f.write_str(name),
            Host::Wildcard(domain) => write!(f, "*.{domain}"),
            Host::Default => f.write_str("*"),
        }
    }
}

impl FromStr for Host {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        let text = text.to_ascii_lowercase();
        if text == "*" {
            return Ok(Host::Default);
        }
        match text.strip_prefix("*.") {
            Some(domain) => checked(domain).map(|()| Host::Wildcard(domain.to_owned())),
            None => checked(&text).map(|()| Host::Exact(text)),
        }
    }
}

fn checked(name: &str) -> Result<(), InvalidHost> {
    if name.contains('*') {
        return Err(InvalidHost::Wildcard);
    }
    let of_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    if name.starts_with('[') {
        return Err(InvalidHost::Address);
    }
    if name.len() > 253 || !name.split('.').all(of_label) {
        return Err(InvalidHost::Name);
    }
    // What browsers read as an address of four bytes, in any of its notations.
    let last = name.rsplit('.').next().unwrap_or(name);
    let is_number = last.bytes().all(|b| b.is_ascii_digit())
        || last.strip_prefix("0x").is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
    if is_number { Err(InvalidHost::Address) } else { Ok(()) }
}

impl FromStr for EndpointUrl {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (Scheme::Https, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (Scheme::Http, rest),
            Some(_) => return Err(InvalidHost::Scheme),
            None => (Scheme::Https, text),
        };
        let host = rest.strip_suffix('/').unwrap_or(rest);
        if host.contains(['/', '?', '#', '@', '\\']) {
            return Err(InvalidHost::MoreThanHost);
        }
        if host.starts_with('[') {
            return Err(InvalidHost::Address);
        }
        if host.contains(':') {
            return Err(InvalidHost::Port);
        }
        Ok(Self { scheme, host: host.parse()? })
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_in_any_of_its_forms() {
        let written = |text: &str| text.parse::<EndpointUrl>().map(|url| url.to_string());
        assert_eq!(written("https://AI.Example.com/"), Ok("https://ai.example.com".to_owned()));
        assert_eq!(written("http://ai.example.com"), Ok("http://ai.example.com".to_owned()));
        assert_eq!(written("*.example.com"), Ok("https://*.example.com".to_owned()));
        assert_eq!(written("https://*"), Ok("https://*".to_owned()));
    }

    #[test]
    fn what_is_no_host_is_refused_with_its_reason() {
        for (text, reason) in [
            ("tcp://example.com", InvalidHost::Scheme),
            ("https://example.com:8443", InvalidHost::Port),
            ("https://example.com/v1", InvalidHost::MoreThanHost),
            ("https://user@example.com", InvalidHost::MoreThanHost),
            ("https://127.0.0.1", InvalidHost::Address),
            ("https://[::1]", InvalidHost::Address),
            ("0x7f.1", InvalidHost::Address),
            ("a.0x7f", InvalidHost::Address),
            ("https://a.*.example.com", InvalidHost::Wildcard),
            ("*a.example.com", InvalidHost::Wildcard),
            ("", InvalidHost::Name),
            ("-a.example.com", InvalidHost::Name),
            ("a..example.com", InvalidHost::Name),
            ("example.com.", InvalidHost::Name),
            ("müsli.example", InvalidHost::Name),
        ] {
            assert_eq!(text.parse::<EndpointUrl>(), Err(reason), "{text}");
        }
        assert!(format!("{}.com", "a.".repeat(200)).parse::<Host>().is_err());
    }

    #[test]
    fn a_host_is_within_its_own_domain_and_those_above() {
        let host: Host = "a.b.example.com".parse().unwrap();
        assert!(host.is_within("example.com") && host.is_within("a.b.example.com"));
        assert!(!host.is_within("ample.com") && !Host::Default.is_within("example.com"));
        assert_eq!(Host::wildcard_over("a.b.example.com").as_deref(), Some("*.b.example.com"));
    }
}
