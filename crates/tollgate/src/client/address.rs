//! Where a management API is.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use http::Uri;
use serde::{Deserialize, Serialize};

/// The address of a management API, without a path of its own: `https://api.example.com`, or with a folder
/// where something in front of it has put it into one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Address(String);

/// This is no address of an API.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an address such as `https://api.example.com` or `http://127.0.0.1:8081`")]
pub(crate) struct NoAddress;

impl Address {
    /// The address of a path under it.
    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// Whether a token would travel in the open to another machine.
    pub(crate) fn is_overheard(&self) -> bool {
        let Some(rest) = self.0.strip_prefix("http://") else { return false };
        let host = rest.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host != "localhost" && !host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl FromStr for Address {
    type Err = NoAddress;

    fn from_str(text: &str) -> Result<Self, NoAddress> {
        let uri: Uri = text.parse().map_err(|_| NoAddress)?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
        let (Some(scheme), Some(authority), None) = (uri.scheme_str(), authority, uri.query()) else {
            return Err(NoAddress);
        };
        if !matches!(scheme, "http" | "https") {
            return Err(NoAddress);
        }
        // People copy the address that other clients of the API want.
        let path = uri.path().trim_end_matches('/').trim_end_matches("/client/v4").trim_end_matches('/');
        Ok(Self(format!("{scheme}://{authority}{path}")))
    }
}

impl TryFrom<String> for Address {
    type Error = NoAddress;

    fn try_from(text: String) -> Result<Self, NoAddress> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, NoAddress> {
        text.parse().map(|address: Address| address.to_string())
    }

    #[test]
    fn an_address_is_read_as_people_copy_it() {
        for (text, address) in [
            ("https://api.example.com", "https://api.example.com"),
            ("http://127.0.0.1:8081/", "http://127.0.0.1:8081"),
            ("http://127.0.0.1:8081/client/v4", "http://127.0.0.1:8081"),
            ("http://127.0.0.1:8081/client/v4/", "http://127.0.0.1:8081"),
            ("https://example.com/tollgate/", "https://example.com/tollgate"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(address), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_of_an_api_is_refused() {
        for text in [
            "",
            "api.example.com",
            "/client/v4",
            "ftp://api.example.com",
            "https://user:password@api.example.com",
            "https://api.example.com/?token=x",
        ] {
            assert_eq!(read(text), Err(NoAddress), "{text}");
        }
    }

    #[test]
    fn plain_http_is_overheard_unless_it_stays_on_this_machine() {
        let is_overheard = |text: &str| text.parse::<Address>().unwrap().is_overheard();
        assert!(is_overheard("http://api.example.com"));
        assert!(is_overheard("http://10.0.0.1:8081"));
        assert!(!is_overheard("https://api.example.com"));
        assert!(!is_overheard("http://localhost:8081"));
        assert!(!is_overheard("http://127.0.0.1:8081"));
        assert!(!is_overheard("http://[::1]:8081"));
    }
}
