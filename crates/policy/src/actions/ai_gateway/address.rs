//! Where a policy may send requests to.

use http::Uri;

use crate::document::place::Place;
use crate::problem::Code;

/// Where a provider is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    /// The address; for a name under `.internal`, the one that stands for it.
    pub url: String,
    /// Whether the operator has named the host, as one that may be called wherever it leads.
    pub is_operators: bool,
}

/// The base URL of a provider: TLS, unless the operator allows the host to be called without; names under
/// `.internal` stand for what the operator says.
pub(super) fn base_url(place: &Place<'_>) -> Option<BaseUrl> {
    let text = place.text_of(1..=2048)?;
    let example = "Write it as `https://api.example.com/v1`.";
    let Ok(uri) = text.parse::<Uri>() else {
        return place.wrong_so(Code::Url, "This is not a base URL.", example);
    };
    let (Some(scheme @ ("http" | "https")), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return place.wrong_so(Code::Url, "A base URL begins with `https://` and has a host.", example);
    };
    if authority.as_str().contains('@') || uri.query().is_some() || text.contains('#') {
        return place.wrong(Code::Url, "A base URL has no user, no query and no fragment.");
    }
    if uri.path().split('/').any(|part| part == ".." || part == ".") {
        return place.wrong(Code::Url, "A base URL does not lead back with `..`.");
    }
    if uri.path().contains(['%', ';', '\\']) {
        return place.wrong(Code::Url, "The path of a base URL has no `%`, no `;` and no backslash.");
    }
    let host = authority.host();
    if host.to_ascii_lowercase().ends_with(".internal") {
        return match place.operator().internal(host, &text) {
            Some(base) => {
                let url = format!("{}{}", base.trim_end_matches('/'), uri.path().trim_end_matches('/'));
                Some(BaseUrl { url, is_operators: true })
            }
            None => place.wrong_so(
                Code::Url,
                "Names under `.internal` exist only where the operator says what they stand for.",
                "Ask the operator to map this name to an address.",
            ),
        };
    }
    let port = authority.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
    let is_operators = place.operator().allows_plain(host, Some(port));
    if scheme == "http" && !is_operators {
        return place.wrong_so(
            Code::Url,
            "A provider is called with TLS.",
            "Write `https://`, or ask the operator to allow this host without it.",
        );
    }
    Some(BaseUrl { url: text, is_operators })
}
