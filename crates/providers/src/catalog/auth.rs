//! How a credential is presented to a provider, and how a caller's is read.

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue};
use model::Secret;

static X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
static X_GOOG_API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");
static API_KEY: HeaderName = HeaderName::from_static("api-key");

/// How a credential is presented to a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer …`.
    Bearer,
    /// `x-api-key: …`, which is Anthropic's own.
    XApiKey,
    /// `x-goog-api-key: …`, which is Google's own.
    XGoogApiKey,
    /// `api-key: …`, which is Azure's own.
    ApiKey,
}

impl Auth {
    /// The one header in which this provider expects its credential.
    pub fn header(self) -> HeaderName {
        match self {
            Self::Bearer => AUTHORIZATION,
            Self::XApiKey => X_API_KEY.clone(),
            Self::XGoogApiKey => X_GOOG_API_KEY.clone(),
            Self::ApiKey => API_KEY.clone(),
        }
    }

    /// The headers in which callers of this provider send its credential, the usual one first.
    /// Anthropic's clients send theirs as a bearer token too, and OpenAI's do so wherever they are pointed.
    pub fn said_in(self) -> &'static [HeaderName] {
        static ANTHROPIC: [HeaderName; 2] = [HeaderName::from_static("x-api-key"), AUTHORIZATION];
        static GOOGLE: [HeaderName; 2] = [HeaderName::from_static("x-goog-api-key"), AUTHORIZATION];
        match self {
            Self::Bearer => &ANTHROPIC[1..],
            Self::XApiKey => &ANTHROPIC,
            Self::XGoogApiKey => &GOOGLE,
            Self::ApiKey => std::slice::from_ref(&API_KEY),
        }
    }

    /// The header's value for a key, marked so that it is never printed nor indexed by HTTP/2.
    pub fn value(self, key: &Secret) -> Result<HeaderValue, InvalidHeaderValue> {
        let mut value = match self {
            Self::Bearer => HeaderValue::try_from(format!("Bearer {}", key.expose())),
            Self::XApiKey | Self::XGoogApiKey | Self::ApiKey => HeaderValue::try_from(key.expose()),
        }?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// The key that a caller brought for this provider, and the header in which the provider reads it. Keys
    /// that `is_key` does not accept are passed over.
    pub fn brought(
        self,
        headers: &HeaderMap,
        is_key: impl Fn(&str) -> bool,
    ) -> Option<(HeaderName, HeaderValue)> {
        let names = self.said_in().iter();
        let mut said = names.flat_map(|name| headers.get_all(name).iter().map(move |value| (name, value)));
        let (name, value) = said.find(|(_, value)| self.key(value).is_some_and(&is_key))?;
        let key = self.key(value)?;
        // Those who signed in have access tokens, of Anthropic or of Google, which are no keys and stay where
        // they are.
        let stays = *name == self.header() || key.starts_with("sk-ant-oat") || key.starts_with("ya29.");
        let value = if stays { value.clone() } else { self.value(&Secret::new(key)).ok()? };
        Some((if stays { name.clone() } else { self.header() }, value))
    }

    /// The key in a header that a caller sent, or `None` if there is nothing in it.
    ///
    /// `Bearer` may be left out or written in any case. `undefined`, which clients without a key
    /// send, and the empty key are nothing.
    pub fn key(self, value: &HeaderValue) -> Option<&str> {
        key(value)
    }
}

/// The key that a caller sent in any of the places where clients put one, first in those of OpenAI's
/// and Anthropic's clients. Keys that `is_key` does not accept are passed over.
pub fn callers_key(headers: &HeaderMap, is_key: impl Fn(&str) -> bool) -> Option<&str> {
    let names = [&AUTHORIZATION, &X_API_KEY, &X_GOOG_API_KEY, &API_KEY];
    let mut said = names.into_iter().flat_map(|name| headers.get_all(name)).filter_map(key);
    said.find(|key| is_key(key))
}

fn key(value: &HeaderValue) -> Option<&str> {
    let key = without_bearer(value.to_str().ok()?);
    (!key.is_empty() && key != "undefined").then_some(key)
}

/// The text of a credential without its scheme: `Bearer x`, `bearer  x` and `x` are the same.
pub fn without_bearer(text: &str) -> &str {
    let text = text.trim();
    match text.split_at_checked(6) {
        Some((scheme, rest))
            if scheme.eq_ignore_ascii_case("bearer") && (rest.is_empty() || rest.starts_with(' ')) =>
        {
            rest.trim_start()
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_key_is_found_however_it_is_written() {
        let key = |text| Auth::Bearer.key(&HeaderValue::from_static(text)).map(str::to_owned);
        assert_eq!(key("Bearer sk-1").as_deref(), Some("sk-1"));
        assert_eq!(key("bearer  sk-1 ").as_deref(), Some("sk-1"));
        assert_eq!(key("sk-1").as_deref(), Some("sk-1"));
        assert_eq!((key("Bearer"), key("Bearer undefined"), key("")), (None, None, None));
    }

    #[test]
    fn a_scheme_is_not_part_of_a_credential() {
        let credentials = ["x", "Bearer x", "bearer  x ", "Bearer", ""].map(without_bearer);
        assert_eq!(credentials, ["x", "x", "x", "", ""]);
    }

    #[test]
    fn a_callers_key_is_found_wherever_clients_put_one() {
        let found = |said: &[(&'static str, &'static str)]| {
            let said = said
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            callers_key(&said.collect(), |key| !key.starts_with("tg_")).map(str::to_owned)
        };
        assert_eq!(found(&[("x-api-key", "a"), ("authorization", "Bearer b")]).as_deref(), Some("b"));
        assert_eq!(found(&[("x-api-key", "a"), ("authorization", "Bearer tg_b")]).as_deref(), Some("a"));
        assert_eq!(found(&[("api-key", "a"), ("x-goog-api-key", "b")]).as_deref(), Some("b"));
        assert_eq!(found(&[("x-key", "a")]), None);
    }

    #[test]
    fn a_key_that_a_caller_brings_goes_where_the_provider_reads_it() {
        let brought = |auth: Auth, said: &[(&'static str, &'static str)]| {
            let said = said
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            let brought = auth.brought(&said.collect(), |key| !key.starts_with("tg_"));
            brought.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        };
        let anthropic = |said| brought(Auth::XApiKey, said);
        assert_eq!(anthropic(&[("x-api-key", "a")]).as_deref(), Some("x-api-key: a"));
        assert_eq!(anthropic(&[("authorization", "Bearer a")]).as_deref(), Some("x-api-key: a"));
        assert_eq!(
            anthropic(&[("authorization", "Bearer a"), ("x-api-key", "tg_b")]).as_deref(),
            Some("x-api-key: a")
        );
        let token = [("authorization", "Bearer sk-ant-oat01-a")];
        assert_eq!(anthropic(&token).as_deref(), Some("authorization: Bearer sk-ant-oat01-a"));
        assert_eq!(anthropic(&[("authorization", "Bearer tg_a"), ("x-api-key", "")]), None);
        assert_eq!(brought(Auth::Bearer, &[("x-api-key", "a")]), None);
        let google = |said| brought(Auth::XGoogApiKey, said);
        assert_eq!(google(&[("authorization", "Bearer a")]).as_deref(), Some("x-goog-api-key: a"));
        let token = [("authorization", "Bearer ya29.a")];
        assert_eq!(google(&token).as_deref(), Some("authorization: Bearer ya29.a"));
    }

    #[test]
    fn a_key_is_written_where_the_provider_reads_it() {
        let key = Secret::new("k");
        let written = [Auth::Bearer, Auth::XApiKey, Auth::XGoogApiKey, Auth::ApiKey]
            .map(|auth| format!("{}: {}", auth.header(), auth.value(&key).unwrap().to_str().unwrap()));
        assert_eq!(written, ["authorization: Bearer k", "x-api-key: k", "x-goog-api-key: k", "api-key: k"]);
    }
}
