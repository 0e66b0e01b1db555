//! The key that some callers send in the query, as Google's API lets them.

use http::request::Parts;
use http::uri::{PathAndQuery, Uri};
use model::Secret;
use providers::catalog::{self, Auth};
use providers::path::{native, undone};

use crate::stages::resolve::Below;

/// Moves a key from the query to the header in which its provider reads one, where it is what any other key is:
/// a token of ours is known by it, and a key of the caller's goes to no other provider, nor beside another key.
pub(crate) fn key_from_query(head: &mut Parts, below: &Below) {
    let (Below::Path(rest), Some(query)) = (below, head.uri.query()) else { return };
    let (slug, path) = rest.split_once('/').unwrap_or((rest, ""));
    let Ok(provider) = catalog::find(slug) else { return };
    if provider.auth != Auth::XGoogApiKey || !query.split('&').any(|pair| key(pair).is_some()) {
        return;
    }
    let auth = native(provider, path).auth;
    let kept: Vec<&str> = query.split('&').filter(|pair| key(pair).is_none()).collect();
    let target = match kept.as_slice() {
        [] => head.uri.path().to_owned(),
        kept => format!("{}?{}", head.uri.path(), kept.join("&")),
    };
    let keys: Vec<Secret> = query.split('&').filter_map(key).map(|key| Secret::new(&*undone(key))).collect();
    let mut parts = head.uri.clone().into_parts();
    // What stood in an address before stands in one without a part of it.
    let Ok(target) = PathAndQuery::try_from(target) else { return };
    parts.path_and_query = Some(target);
    let Ok(uri) = Uri::from_parts(parts) else { return };
    head.uri = uri;
    for value in keys.iter().filter(|key| !key.expose().is_empty()).filter_map(|key| auth.value(key).ok()) {
        head.headers.append(auth.header(), value);
    }
}

/// The key in a pair of a query, if that is what it is.
fn key(pair: &str) -> Option<&str> {
    let (name, value) = pair.split_once('=')?;
    matches!(&*undone(name), "key" | "$key").then_some(value)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn moved(rest: &str, query: &str) -> (String, Vec<String>) {
        let request = Request::builder().uri(format!("/v1/a/g/{rest}?{query}")).body(()).unwrap();
        let mut head = request.into_parts().0;
        key_from_query(&mut head, &Below::Path(rest.to_owned()));
        let said = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            format!("{name}: {}", value.to_str().unwrap())
        };
        (head.uri.query().unwrap_or_default().to_owned(), head.headers.iter().map(said).collect())
    }

    #[test]
    fn a_key_in_the_query_of_googles_api_is_as_one_in_its_header() {
        let generate = "google-ai-studio/v1beta/models/m:generateContent";
        let of = |query| moved(generate, query);
        assert_eq!(of("key=AIza"), (String::new(), vec!["x-goog-api-key: AIza".to_owned()]));
        assert_eq!(
            of("alt=sse&k%65y=AI%7Aa&a"),
            ("alt=sse&a".to_owned(), vec!["x-goog-api-key: AIza".to_owned()])
        );
        assert_eq!(of("alt=sse&keys=1&key"), ("alt=sse&keys=1&key".to_owned(), Vec::new()));
        assert_eq!(of("key="), (String::new(), Vec::new()));
        let chat = moved("google/v1beta/openai/chat/completions", "key=AIza");
        assert_eq!(chat, (String::new(), vec!["authorization: Bearer AIza".to_owned()]));
        let other = moved("openai/v1/chat/completions", "key=sk-1");
        assert_eq!(other, ("key=sk-1".to_owned(), Vec::new()));
    }
}
