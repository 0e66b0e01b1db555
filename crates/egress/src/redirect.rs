//! Where an answer points, if it may be followed there.

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, LOCATION};
use http::{Method, Request, Response, StatusCode, Uri};

/// The request with which an answer is followed; nothing if it points nowhere, or to another host. Whatever the
/// request carries was meant for its host: also another port of it is somebody else, and so is who listens
/// in on the way where TLS would be left.
pub(crate) fn next(request: Request<Bytes>, answer: &Response<Bytes>) -> Option<Request<Bytes>> {
    let status = answer.status();
    let without_body = match status {
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => request.method() == Method::POST,
        StatusCode::SEE_OTHER => request.method() != Method::HEAD,
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => false,
        _ => return None,
    };
    let uri = target(request.uri(), answer.headers().get(LOCATION)?.to_str().ok()?)?;
    let (mut head, mut body) = request.into_parts();
    head.uri = uri;
    if without_body {
        // As browsers do it.
        head.method = Method::GET;
        for name in [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE] {
            head.headers.remove(name);
        }
        body = Bytes::new();
    }
    Some(Request::from_parts(head, body))
}

/// What a location means, seen from an address; nothing if that is another host.
fn target(from: &Uri, location: &str) -> Option<Uri> {
    let (location, _fragment) = location.split_once('#').unwrap_or((location, ""));
    let (scheme, authority) = (from.scheme_str()?, from.authority()?);
    // Other parsers read a backslash as a slash; what they would see as a host must not pass for a path.
    if location.contains('\\') {
        return None;
    }
    let absolute = if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else if location.starts_with("https://") || location.starts_with("http://") {
        location.to_owned()
    } else if let Some(query) = location.strip_prefix('?') {
        format!("{scheme}://{authority}{}?{query}", from.path())
    } else if location.is_empty() || location.split('/').next()?.contains(':') {
        return None;
    } else {
        let (folder, _) = from.path().rsplit_once('/')?;
        format!("{scheme}://{authority}{folder}/{location}")
    };
    let uri: Uri = absolute.parse().ok()?;
    (place(&uri)? == place(from)? || is_upgrade(from, &uri)).then_some(uri)
}

/// The same host, with TLS from here on.
fn is_upgrade(from: &Uri, to: &Uri) -> bool {
    let (Some(before), Some(after)) = (place(from), place(to)) else { return false };
    before.1 == after.1 && (before.0, before.2, after.0, after.2) == ("http", 80, "https", 443)
}

fn place(uri: &Uri) -> Option<(&str, String, u16)> {
    let authority = uri.authority()?;
    if authority.as_str().contains('@') {
        return None;
    }
    let scheme = uri.scheme_str()?;
    let port = authority.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
    Some((scheme, authority.host().to_ascii_lowercase(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen_from(from: &'static str, location: &str) -> Option<String> {
        target(&Uri::from_static(from), location).map(|uri| uri.to_string())
    }

    #[test]
    fn a_location_is_read_as_seen_from_the_address_it_was_found_at() {
        let from = "https://example.com/a/b?c=d";
        for (location, expected) in [
            ("/x?y=z", "https://example.com/x?y=z"),
            ("x", "https://example.com/a/x"),
            ("../x", "https://example.com/a/../x"),
            ("?y", "https://example.com/a/b?y"),
            ("https://example.com:443/x#part", "https://example.com:443/x"),
            ("//EXAMPLE.com/x", "https://EXAMPLE.com/x"),
        ] {
            assert_eq!(seen_from(from, location).as_deref(), Some(expected), "{location}");
        }
        assert_eq!(seen_from("http://a.example/x", "https://a.example/y").unwrap(), "https://a.example/y");
    }

    #[test]
    fn whatever_is_another_host_is_not_followed() {
        for location in [
            "",
            "https://other.example/",
            "//other.example/x",
            "http://example.com/",
            "http://example.com:443/",
            "https://example.com:8443/",
            "https://user@example.com/",
            "https://example.com@other.example/",
            "https://example.com.other.example/",
            "\\\\other.example/x",
            "/\\other.example/x",
            "javascript:alert(1)",
            "file:///etc/passwd",
            "@other.example/",
            " /x",
        ] {
            let found = seen_from("https://example.com/a/b", location);
            assert!(
                found.as_ref().is_none_or(|uri| uri.starts_with("https://example.com/a/")),
                "{location}: {found:?}"
            );
        }
        assert_eq!(seen_from("http://a.example:8080/x", "https://a.example:8443/y"), None);
    }

    #[test]
    fn a_body_is_sent_again_only_where_the_answer_says_so() {
        for (method, status, expected) in [
            (Method::POST, 301, Method::GET),
            (Method::POST, 302, Method::GET),
            (Method::PUT, 302, Method::PUT),
            (Method::PUT, 303, Method::GET),
            (Method::POST, 307, Method::POST),
            (Method::POST, 308, Method::POST),
        ] {
            let request = Request::builder().method(&method).uri("https://a.example/").header("x-kept", "1");
            let request = request.header(CONTENT_TYPE, "text/plain").body(Bytes::from_static(b"b")).unwrap();
            let answer =
                Response::builder().status(status).header(LOCATION, "/x").body(Bytes::new()).unwrap();
            let next = next(request, &answer).unwrap();
            assert_eq!(next.method(), expected, "{method} {status}");
            assert_eq!(next.body().is_empty(), expected == Method::GET, "{method} {status}");
            assert_eq!(next.headers().contains_key(CONTENT_TYPE), expected != Method::GET);
            assert!(next.headers().contains_key("x-kept"));
        }
    }
}
