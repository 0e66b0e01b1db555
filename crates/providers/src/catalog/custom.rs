//! Providers that a gateway configures: Ollama, vLLM, LM Studio, deployments of Azure OpenAI, and
//! whoever else speaks one of the formats.

use http::HeaderValue;
use http::uri::PathAndQuery;

use super::{Auth, Dialect, Format, OPENAI_LIKE, Provider};
use crate::path::{self, Base, InvalidBase, InvalidPath};

/// Whoever has an id that the catalogue does not know speaks as this does, and is called what the gateway says.
pub const SPEAKS_OPENAI: Provider = OPENAI_LIKE;

/// The same for those who speak nothing but Anthropic's format.
pub const SPEAKS_ANTHROPIC: Provider = Provider {
    auth: Auth::XApiKey,
    dialect: Dialect::Anthropic,
    formats: &[Format::messages(None, Auth::XApiKey)],
    ..OPENAI_LIKE
};

/// Where a provider that a gateway configures is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomBase {
    /// The address, with the path that everything goes below.
    pub base: Base,
    is_azure: bool,
}

impl CustomBase {
    /// Reads a `base_url`. Whether it may be plain HTTP is the operator's to say:
    /// [`Base::is_plain`] tells what it is.
    pub fn parse(base_url: &str) -> Result<Self, InvalidBase> {
        let base = Base::configured(base_url)?;
        let is_azure = base.authority.host().to_ascii_lowercase().ends_with(".openai.azure.com");
        Ok(Self { base, is_azure })
    }

    /// Whether it is one of Azure's.
    pub fn is_azure(&self) -> bool {
        self.is_azure
    }

    /// Whether this is where a provider of the catalogue is at home, in one of its regions perhaps:
    /// `eu.api.openai.com`.
    pub fn is_at(&self, provider: &Provider) -> bool {
        let (home, host) = (Base::of(provider), self.base.authority.host().to_ascii_lowercase());
        let region = host.strip_suffix(home.authority.host()).unwrap_or("-");
        let port = self.base.authority.port_u16().unwrap_or(443);
        !self.base.is_plain() && port == 443 && (region.is_empty() || region.ends_with('.'))
    }

    /// The second header in which a key is presented. Azure's deployments read a key of theirs in one header
    /// and a token of the directory in the other, and which of the two it is cannot be seen.
    pub fn second_auth(&self, dialect: Dialect) -> Option<Auth> {
        (self.is_azure && dialect == Dialect::OpenAi).then_some(Auth::ApiKey)
    }

    /// The path and query for what a caller asks below `/v1`. Azure wants its version in the query,
    /// where `api_version`, the header `api-version` of the request, is copied unless one is there.
    pub fn upstream(
        &self,
        path: &str,
        query: Option<&str>,
        api_version: Option<&HeaderValue>,
    ) -> Result<PathAndQuery, InvalidPath> {
        let missing = self.is_azure && !query.is_some_and(says_version);
        let Some(version) = api_version.filter(|_| missing).and_then(|version| plain(version)) else {
            return path::below(&self.base, path, query);
        };
        let query = match query.filter(|query| !query.is_empty()) {
            Some(query) => format!("{query}&api-version={version}"),
            None => format!("api-version={version}"),
        };
        path::below(&self.base, path, Some(&query))
    }
}

fn says_version(query: &str) -> bool {
    query.split('&').any(|pair| pair.split('=').next() == Some("api-version"))
}

/// A version such as `2024-10-21-preview`; nothing that would add to the query.
fn plain(version: &HeaderValue) -> Option<&str> {
    let version = version.to_str().ok()?.trim();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    (!version.is_empty() && version.bytes().all(plain)).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(base_url: &str, path: &str, query: Option<&str>, version: Option<&'static str>) -> String {
        let custom = CustomBase::parse(base_url).unwrap();
        let version = version.map(HeaderValue::from_static);
        custom.base.uri(custom.upstream(path, query, version.as_ref()).unwrap()).to_string()
    }

    #[test]
    fn an_address_without_a_path_gets_a_version_and_any_other_is_kept() {
        for (base_url, expected) in [
            ("https://ollama.internal", "https://ollama.internal/v1/chat/completions"),
            ("https://ollama.internal/", "https://ollama.internal/v1/chat/completions"),
            ("https://eu.api.openai.com", "https://eu.api.openai.com/v1/chat/completions"),
            ("http://localhost:11434", "http://localhost:11434/v1/chat/completions"),
            ("https://api.openai.com/v1/", "https://api.openai.com/v1/chat/completions"),
            ("https://api.groq.com/openai/v1", "https://api.groq.com/openai/v1/chat/completions"),
            ("https://a.com//v1beta//openai/", "https://a.com/v1beta/openai/chat/completions"),
            ("https://[::1]:8000/api/v3", "https://[::1]:8000/api/v3/chat/completions"),
        ] {
            for path in ["/v1/chat/completions", "/v1//chat/completions", "v1/v1/chat/completions"] {
                assert_eq!(to(base_url, path, None, None), expected, "{base_url} {path}");
            }
        }
    }

    #[test]
    fn an_azure_deployment_gets_its_version_in_the_query_and_its_key_in_both_headers() {
        let azure = "https://me.openai.azure.com/openai/deployments/gpt-4o";
        let at = |query, version| to(azure, "/v1/chat/completions", query, version);
        let plain = format!("{azure}/chat/completions");
        assert_eq!(at(None, Some("2024-10-21")), format!("{plain}?api-version=2024-10-21"));
        assert_eq!(at(Some("a=b"), Some("2024-10-21")), format!("{plain}?a=b&api-version=2024-10-21"));
        assert_eq!(at(Some("api-version=1"), Some("2")), format!("{plain}?api-version=1"));
        assert_eq!(at(None, Some("1&x=y")), plain);
        assert_eq!(at(None, None), plain);
        assert_eq!(to("https://a.com/v1", "/v1/x", None, Some("1")), "https://a.com/v1/x");
        let second = |url| CustomBase::parse(url).unwrap().second_auth(Dialect::OpenAi);
        assert_eq!(second(azure), Some(Auth::ApiKey));
        assert_eq!(second("https://ME.OpenAI.Azure.com"), Some(Auth::ApiKey));
        assert_eq!(second("https://openai.azure.com.evil.example"), None);
    }

    #[test]
    fn a_provider_is_at_home_in_its_regions_and_nowhere_else() {
        let openai = crate::catalog::find("openai").unwrap();
        let is_at = |url| CustomBase::parse(url).unwrap().is_at(openai);
        for home in
            ["https://api.openai.com/v1", "https://EU.api.openai.com", "https://us.api.openai.com:443/v1"]
        {
            assert!(is_at(home), "{home}");
        }
        for elsewhere in [
            "http://api.openai.com",
            "https://api.openai.com:8443",
            "https://evilapi.openai.com",
            "https://api.openai.com.evil.example",
            "https://openai.com",
        ] {
            assert!(!is_at(elsewhere), "{elsewhere}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for url in ["", "ollama.internal", "ftp://a", "https://u:p@a", "https://a?x=y", "/v1", "https://"] {
            assert_eq!(CustomBase::parse(url), Err(InvalidBase::NoUrl), "{url}");
        }
        assert_eq!(CustomBase::parse("https://a/b/../c"), Err(InvalidPath::DotSegment.into()));
        assert!(CustomBase::parse("http://a").unwrap().base.is_plain());
    }
}
