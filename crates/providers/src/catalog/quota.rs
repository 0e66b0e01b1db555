//! What is left of a key's quota, as far as a provider's answers tell.

use http::HeaderMap;

/// The names of the headers that tell of a key's quota; empty where a provider tells nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaHeaders {
    /// How many requests are left.
    pub remaining_requests: &'static str,
    /// How many tokens are left.
    pub remaining_tokens: &'static str,
    /// How many requests there are in a period.
    pub limit_requests: &'static str,
    /// How many tokens there are in a period.
    pub limit_tokens: &'static str,
}

/// What is left of a key's quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quota {
    /// How many requests are left.
    pub remaining_requests: Option<u64>,
    /// How many tokens are left.
    pub remaining_tokens: Option<u64>,
    /// How many requests there are in a period.
    pub limit_requests: Option<u64>,
    /// How many tokens there are in a period.
    pub limit_tokens: Option<u64>,
}

impl QuotaHeaders {
    /// Those of OpenAI, and of most who speak its dialect.
    pub const OPENAI: Self = Self {
        remaining_requests: "x-ratelimit-remaining-requests",
        remaining_tokens: "x-ratelimit-remaining-tokens",
        limit_requests: "x-ratelimit-limit-requests",
        limit_tokens: "x-ratelimit-limit-tokens",
    };

    /// Those of Anthropic.
    pub const ANTHROPIC: Self = Self {
        remaining_requests: "anthropic-ratelimit-requests-remaining",
        remaining_tokens: "anthropic-ratelimit-tokens-remaining",
        limit_requests: "anthropic-ratelimit-requests-limit",
        limit_tokens: "anthropic-ratelimit-tokens-limit",
    };

    /// None at all.
    pub const NONE: Self =
        Self { remaining_requests: "", remaining_tokens: "", limit_requests: "", limit_tokens: "" };

    /// What an answer tells.
    pub fn read(&self, headers: &HeaderMap) -> Quota {
        let number = |name: &str| {
            let value = (!name.is_empty()).then(|| headers.get(name)).flatten()?;
            value.to_str().ok()?.trim().parse().ok()
        };
        Quota {
            remaining_requests: number(self.remaining_requests),
            remaining_tokens: number(self.remaining_tokens),
            limit_requests: number(self.limit_requests),
            limit_tokens: number(self.limit_tokens),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_quota_is_read_from_the_providers_own_headers() {
        let mut headers = HeaderMap::new();
        headers.insert("x-ratelimit-remaining-requests", HeaderValue::from_static("99"));
        headers.insert("x-ratelimit-limit-tokens", HeaderValue::from_static("many"));
        headers.insert("anthropic-ratelimit-tokens-remaining", HeaderValue::from_static(" 7"));
        let openai = Quota { remaining_requests: Some(99), ..Quota::default() };
        assert_eq!(QuotaHeaders::OPENAI.read(&headers), openai);
        let anthropic = Quota { remaining_tokens: Some(7), ..Quota::default() };
        assert_eq!(QuotaHeaders::ANTHROPIC.read(&headers), anthropic);
        assert_eq!(QuotaHeaders::NONE.read(&headers), Quota::default());
    }
}
