//! Headers on credits: what is refused, and what goes to the provider.

use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};

use super::Forbidden;

/// Headers that choose whose account serves or pays, or switch on what is not priced. A provider's own
/// headers are refused by how they begin, so that new ones are too.
const REFUSED: &[(&str, &str)] = &[
    ("openai-organization", "must be left out: the operator's organisation serves and pays"),
    ("openai-project", "must be left out: the operator's project serves and pays"),
    ("openai-beta", "must be left out: what betas do and cost is not known here"),
    ("openai-", "must be left out: what it does and costs is not known here"),
    ("x-openai-", "must be left out: what it does and costs is not known here"),
    ("anthropic-", "must be left out: what it does and costs is not known here"),
    ("x-goog-", "must be left out: what it does and costs is not known here"),
];

/// What a header of a provider's own may say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// One of these, and what must be said.
    One(&'static [&'static str], &'static str),
    /// Some of these, with commas between them, and what must be said.
    Some(&'static [&'static str], &'static str),
    /// Whatever: it does not go to the provider.
    Anything,
}

/// Refuses the first header that must not be there, or must not say what it says. Of `allowed` ones every
/// line counts, because the provider reads them all.
pub(super) fn check(headers: &HeaderMap, allowed: &[(&str, Rule)]) -> Result<(), Forbidden> {
    for (name, value) in headers {
        if let Some((_, rule)) = allowed.iter().find(|(allowed, _)| name == allowed) {
            rule.check(name, value)?;
            continue;
        }
        let refused = REFUSED.iter().find(|(begin, _)| name.as_str().starts_with(begin));
        if let Some((_, rule)) = refused {
            return Err(Forbidden::Header { name: name.to_string(), rule });
        }
    }
    Ok(())
}

impl Rule {
    fn check(&self, name: &HeaderName, value: &HeaderValue) -> Result<(), Forbidden> {
        let (is_allowed, rule) = match self {
            Self::One(list, rule) => (list.iter().any(|one| value == one), *rule),
            Self::Some(list, rule) => {
                let mut said = value.to_str().unwrap_or("?").split(',').map(str::trim);
                (said.all(|one| one.is_empty() || list.contains(&one)), *rule)
            }
            Self::Anything => return Ok(()),
        };
        match is_allowed {
            true => Ok(()),
            false => Err(Forbidden::Header { name: name.to_string(), rule }),
        }
    }
}

/// Refuses a body that says it is something else than JSON in UTF-8: the provider would read it as what
/// it says.
pub(super) fn check_type(headers: &HeaderMap) -> Result<(), Forbidden> {
    let rule = "must be `application/json`";
    let refused = || Forbidden::Header { name: CONTENT_TYPE.to_string(), rule };
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let Some(said) = types.next() else { return Ok(()) };
    if types.next().is_some() {
        return Err(refused());
    }
    let said = said.to_str().map_err(|_| refused())?;
    let mut parts = said.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    let is_utf8 = |part: &str| {
        part.is_empty()
            || part.eq_ignore_ascii_case("charset=utf-8")
            || part.eq_ignore_ascii_case("charset=\"utf-8\"")
    };
    if is_json && parts.all(is_utf8) { Ok(()) } else { Err(refused()) }
}

/// Whether a header of the caller's goes to the provider on credits. Those that do not are left out
/// without a word: there is no telling what a provider would make of them.
pub fn passes(name: &HeaderName) -> bool {
    let name = name.as_str();
    matches!(
        name,
        "accept"
            | "accept-encoding"
            | "accept-language"
            | "content-type"
            | "user-agent"
            | "traceparent"
            | "tracestate"
            | "x-client-request-id"
            // Only where they were allowed.
            | "anthropic-version"
            | "anthropic-beta"
    ) || name.starts_with("x-stainless-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn headers_that_choose_an_account_or_a_beta_are_named() {
        for name in ["openai-organization", "openai-project", "openai-beta", "openai-new", "x-openai-host"] {
            let refused = check(&headers(&[("accept", "*/*"), (name, "x")]), &[]).unwrap_err();
            assert_eq!(refused.param(), Some(name));
        }
        assert_eq!(check(&headers(&[("x-mine", "1"), ("accept", "*/*")]), &[]), Ok(()));
    }

    #[test]
    fn what_a_provider_lists_may_say_what_it_lists() {
        let allowed = [
            ("anthropic-version", Rule::One(&["0", "1"], "must be 0 or 1")),
            ("anthropic-beta", Rule::Some(&["a", "b"], "must be a or b")),
            ("anthropic-other", Rule::Anything),
        ];
        let says = |name, value| check(&headers(&[(name, value)]), &allowed);
        for value in ["a", "a,b", " b , a,", ""] {
            assert_eq!(says("anthropic-beta", value), Ok(()), "{value}");
        }
        for value in ["c", "a,c", "a b", "A"] {
            assert_eq!(says("anthropic-beta", value).unwrap_err().param(), Some("anthropic-beta"), "{value}");
        }
        assert!(says("anthropic-version", "1").is_ok() && says("anthropic-version", "0,1").is_err());
        assert!(says("anthropic-other", "x").is_ok() && says("anthropic-workspace", "x").is_err());
        let mut twice = headers(&[("anthropic-beta", "a")]);
        twice.append("anthropic-beta", HeaderValue::from_static("c"));
        assert!(check(&twice, &allowed).is_err());
    }

    #[test]
    fn a_body_says_that_it_is_json() {
        for said in ["application/json", "Application/JSON; charset=UTF-8", "application/json;"] {
            assert_eq!(check_type(&headers(&[("content-type", said)])), Ok(()), "{said}");
        }
        assert_eq!(check_type(&HeaderMap::new()), Ok(()));
        for said in ["multipart/form-data", "application/json; charset=utf-16", "text/plain", ""] {
            assert!(check_type(&headers(&[("content-type", said)])).is_err(), "{said}");
        }
        let mut twice = headers(&[("content-type", "application/json")]);
        twice.append(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        assert!(check_type(&twice).is_err());
    }

    #[test]
    fn what_is_not_known_stays_here() {
        let passing = ["accept", "x-stainless-lang", "authorization", "cookie", "idempotency-key", "x-mine"];
        let passing = passing.map(|name| passes(&HeaderName::from_static(name)));
        assert_eq!(passing, [true, true, false, false, false, false]);
    }
}
