//! The formats in which a provider's models can be asked, and where below its root.

use super::Auth;

/// The format of requests, answers, streams and errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI's.
    OpenAi,
    /// That of Anthropic's Messages API.
    Anthropic,
    /// That of Google's Gemini API.
    Google,
}

impl Dialect {
    /// Its word in policies: `openai`, `anthropic` or `google`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Google => "google",
        }
    }

    /// Reads what `as_str` wrote.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::OpenAi, Self::Anthropic, Self::Google].into_iter().find(|dialect| dialect.as_str() == word)
    }

    /// How a key is presented where this is spoken and nothing else is known.
    pub const fn usual_auth(self) -> Auth {
        match self {
            Self::OpenAi => Auth::Bearer,
            Self::Anthropic => Auth::XApiKey,
            Self::Google => Auth::XGoogApiKey,
        }
    }
}

/// A format that a provider serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// What is spoken.
    pub dialect: Dialect,
    /// What stands between the provider's root and the operation; `None` for its usual version.
    pub base: Option<&'static str>,
    /// How a credential is presented there.
    pub auth: Auth,
    /// The operations that it offers in this format, those below them included.
    pub operations: &'static [&'static str],
}

impl Format {
    /// OpenAI's chat completions.
    pub(crate) const OPENAI_CHAT: Self = Self::openai(&["chat/completions", "models"]);

    /// Operations of OpenAI's in the usual place.
    pub(crate) const fn openai(operations: &'static [&'static str]) -> Self {
        Self { dialect: Dialect::OpenAi, base: None, auth: Auth::Bearer, operations }
    }

    /// Anthropic's messages below a place of their own.
    pub(crate) const fn messages(base: Option<&'static str>, auth: Auth) -> Self {
        Self { dialect: Dialect::Anthropic, base, auth, operations: &["messages"] }
    }

    /// Google's own below one of its versions.
    pub(crate) const fn gemini(version: &'static str) -> Self {
        let operations = &["models", "tunedModels", "files", "cachedContents", "batches", "interactions"];
        Self { dialect: Dialect::Google, base: Some(version), auth: Auth::XGoogApiKey, operations }
    }

    /// Whether an operation, such as `chat/completions`, is among those offered.
    pub fn offers(&self, operation: &str) -> bool {
        let operation = operation.trim_end_matches('/');
        self.operations.iter().any(|offered| {
            let below = operation.strip_prefix(offered);
            below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_offered_with_what_is_below_it() {
        let format = Format::messages(None, Auth::XApiKey);
        assert!(["messages", "messages/", "messages/count_tokens"].iter().all(|path| format.offers(path)));
        assert!(["", "message", "messagesx", "models"].iter().all(|path| !format.offers(path)));
    }

    #[test]
    fn every_word_reads_back() {
        for dialect in [Dialect::OpenAi, Dialect::Anthropic, Dialect::Google] {
            assert_eq!(Dialect::from_word(dialect.as_str()), Some(dialect));
        }
        assert_eq!(Dialect::from_word("OpenAI"), None);
    }
}
