//! Which headers stay here. Everything else passes in both directions as it came.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

macro_rules! names {
    ($($(#[$doc:meta])* $constant:ident = $name:literal;)*) => {
        $($(#[$doc])* pub static $constant: HeaderName = HeaderName::from_static($name);)*
    };
}

names! {
    /// The gateway's own credential.
    CF_AIG_AUTHORIZATION = "cf-aig-authorization";
    /// Which stored key to use.
    CF_AIG_BYOK_ALIAS = "cf-aig-byok-alias";
    /// Whether the log shows this request.
    CF_AIG_COLLECT_LOG = "cf-aig-collect-log";
    /// The caller's own prices.
    CF_AIG_CUSTOM_COST = "cf-aig-custom-cost";
    /// The caller's correlation id, and ours if there is none.
    CF_AIG_EVENT_ID = "cf-aig-event-id";
    /// The log's id.
    CF_AIG_LOG_ID = "cf-aig-log-id";
    /// The caller's labels.
    CF_AIG_METADATA = "cf-aig-metadata";
    /// Whether credits may not be spent on this request.
    CF_AIG_NO_WHOLESALE = "cf-aig-no-wholesale";
    /// Whether the provider is to retain nothing of a request on credits.
    CF_AIG_ZDR = "cf-aig-zdr";
    /// The request's id.
    CF_AIG_REQUEST_ID = "cf-aig-request-id";
    /// Milliseconds until the first byte of the provider's answer.
    CF_AIG_REQUEST_TIMEOUT = "cf-aig-request-timeout";
    /// The same, as LlamaIndex spells it.
    CF_AIG_REQUEST_TIMEOUT_MS = "cf-aig-request-timeout-ms";
    /// Which step of a universal request was answered.
    CF_AIG_STEP = "cf-aig-step";
    /// How many attempts were made.
    NGROK_AIG_ATTEMPTS = "ngrok-aig-attempts";
    /// Which model of which provider answered.
    NGROK_AIG_MODEL = "ngrok-aig-model";
    /// The request's id, for clients that look for it here.
    NGROK_AIG_REQUEST_ID = "ngrok-aig-request-id";
    /// Models that were not tried though they were asked for.
    NGROK_AIG_REJECTED_MODELS = "ngrok-aig-rejected-models";
    /// Members of the body that were not sent on.
    NGROK_AIG_REMOVED_PARAMS = "ngrok-aig-removed-params";
    /// Who is asked where neither the address nor the body says it.
    NGROK_AIG_PROVIDER = "ngrok-aig-provider";
    /// The code of a refusal, for clients that know ngrok's.
    NGROK_ERROR_CODE = "ngrok-error-code";
    /// The tightest limit on calls.
    RATELIMIT_LIMIT = "ratelimit-limit";
    /// How many calls are left of it.
    RATELIMIT_REMAINING = "ratelimit-remaining";
    /// Seconds until it begins anew.
    RATELIMIT_RESET = "ratelimit-reset";
    /// What we added, and what the provider took.
    SERVER_TIMING = "server-timing";
    /// What is left of the tightest limit on spending, in dollars.
    TOLLGATE_BUDGET_REMAINING = "tollgate-budget-remaining";
    /// What was free of the credits when they did not suffice, in dollars.
    TOLLGATE_CREDITS_FREE = "tollgate-credits-free";
    /// What of the credits a refused request would have needed, in dollars.
    TOLLGATE_CREDITS_NEEDED = "tollgate-credits-needed";
    /// The bound on output that we gave a request, for its credits or its gateway's policy.
    TOLLGATE_OUTPUT_LIMIT = "tollgate-output-limit";
    /// What is left of the token budget.
    TOLLGATE_TOKENS_REMAINING = "tollgate-tokens-remaining";
    /// The W3C trace that a request belongs to.
    TRACEPARENT = "traceparent";
}

/// Whether a header is where callers put credentials. What is in one of these goes to no provider,
/// but for the one that the provider expects.
pub fn is_credential(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "authorization" | "cf-aig-authorization" | "x-api-key" | "api-key" | "x-goog-api-key"
    )
}

/// Whether a header is an instruction to the gateway.
pub fn is_ours(name: &HeaderName) -> bool {
    let name = name.as_str();
    // One comparison decides for nearly all of them.
    match name.as_bytes()[0] {
        b'c' => {
            name.starts_with("cf-aig-")
                || name.starts_with("cf-access-")
                || matches!(name, "cf-skip-cache" | "cf-cache-ttl")
        }
        b't' => name.starts_with("tollgate-"),
        b'n' => name.starts_with("ngrok-aig-") || matches!(name, "ngrok-error-code"),
        _ => false,
    }
}

/// Removes from a request what no provider may see: hop-by-hop headers and those that `Connection`
/// names, what is meant for us, what tells of the hops before us, and every credential.
pub fn strip_request(headers: &mut HeaderMap) {
    let trailers_welcome = headers.get(header::TE).is_some_and(|te| te.as_bytes() == b"trailers");
    strip_named_by_connection(headers);
    let gone: Gone = headers.keys().filter(|name| stays_here(name)).cloned().collect();
    for name in gone {
        headers.remove(name);
    }
    if trailers_welcome {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
}

/// Removes from a request whatever is not known to be harmless.
pub fn keep(headers: &mut HeaderMap, is_kept: impl Fn(&HeaderName) -> bool) {
    let gone: Gone = headers.keys().filter(|name| !is_kept(name)).cloned().collect();
    for name in gone {
        headers.remove(name);
    }
}

/// Removes from an answer what is about the operator: what his organisation is called, and how much of
/// his quota is left.
pub fn strip_operators(headers: &mut HeaderMap) {
    keep(headers, |name| {
        let name = name.as_str();
        !(name.starts_with("openai-") && name != "openai-processing-ms" && name != "openai-version"
            || name.starts_with("anthropic-")
            || name.starts_with("x-ratelimit-")
            || name == "set-cookie")
    });
}

/// Removes from an answer what concerns only the connection to the provider, and what would be
/// mistaken for ours.
pub fn strip_answer(headers: &mut HeaderMap) {
    strip_named_by_connection(headers);
    let gone: Gone = headers.keys().filter(|name| is_hop_by_hop(name) || is_ours(name)).cloned().collect();
    for name in gone {
        headers.remove(name);
    }
}

/// What a header says that is either true or false; nothing if it says neither.
pub fn flag(headers: &HeaderMap, name: &HeaderName) -> Option<bool> {
    match headers.get(name).map(HeaderValue::as_bytes) {
        Some(b"true") => Some(true),
        Some(b"false") => Some(false),
        _ => None,
    }
}

type Gone = Vec<HeaderName>;

/// Whether a header of a request goes to no provider, whatever it says.
pub fn stays_here(name: &HeaderName) -> bool {
    is_hop_by_hop(name)
        || is_ours(name)
        || is_credential(name)
        || is_another_method(name)
        || matches!(name.as_str(), "host" | "expect" | "trailer" | "cookie" | "forwarded" | "x-real-ip")
        || name.as_str().starts_with("x-forwarded-")
}

/// Whether a header tells a server to take a request for one of another method, as Google's do. What is asked
/// would then not be what was metered.
fn is_another_method(name: &HeaderName) -> bool {
    matches!(name.as_str(), "x-http-method-override" | "x-http-method" | "x-method-override")
}

fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "transfer-encoding"
            | "upgrade"
    )
}

fn strip_named_by_connection(headers: &mut HeaderMap) {
    let mut said = headers.get_all(header::CONNECTION).iter().map(HeaderValue::as_bytes);
    let Some(first) = said.next() else { return };
    let plain = first.eq_ignore_ascii_case(b"keep-alive") || first.eq_ignore_ascii_case(b"close");
    if plain && said.next().is_none() {
        return;
    }
    let named: Gone = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        // Framing is not a matter that a caller can declare private to this hop.
        .filter(|name| *name != header::CONTENT_LENGTH)
        .collect();
    for name in named {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_sees_no_credential_no_hop_and_nothing_of_ours() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "gateway"),
            ("authorization", "Bearer x"),
            ("x-api-key", "x"),
            ("api-key", "x"),
            ("x-goog-api-key", "x"),
            ("proxy-authorization", "x"),
            ("cookie", "a=b"),
            ("cf-aig-metadata", "{}"),
            ("cf-access-token", "x"),
            ("tollgate-anything", "x"),
            ("connection", "keep-alive, x-private"),
            ("x-private", "x"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("expect", "100-continue"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-http-method-override", "POST"),
            ("content-type", "application/json"),
            ("openai-organization", "org"),
            ("te", "trailers"),
            ("user-agent", "test"),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        strip_request(&mut headers);
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-type", "openai-organization", "te", "user-agent"]);
    }

    #[test]
    fn connection_names_headers_in_each_of_its_lines() {
        let mut headers = HeaderMap::new();
        headers.append(header::CONNECTION, HeaderValue::from_static("keep-alive"));
        headers.append(header::CONNECTION, HeaderValue::from_static("x-private"));
        headers.insert("x-private", HeaderValue::from_static("x"));
        strip_request(&mut headers);
        assert!(headers.is_empty(), "{headers:?}");
    }

    #[test]
    fn an_answer_keeps_all_that_is_the_providers() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close"),
            ("transfer-encoding", "chunked"),
            ("cf-aig-step", "7"),
            ("cf-ray", "x"),
            ("trailer", "x-checksum"),
            ("x-request-id", "req_1"),
            ("set-cookie", "a=b"),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        strip_answer(&mut headers);
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["cf-ray", "set-cookie", "trailer", "x-request-id"]);
    }
}
