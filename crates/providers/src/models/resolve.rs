//! What a caller's word for a model means: `gpt-4o`, `openai:gpt-4o`, `meta-llama/llama-4`, or nothing,
//! which leaves the choice to the gateway.

use super::suggestions::nearest;
use super::{Candidate, Selection};
use crate::catalog::{self, Dialect};

/// What is asked for, as far as it decides who can answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked<'a> {
    /// The format that the caller speaks.
    pub dialect: Dialect,
    /// The operation without its version: `chat/completions`.
    pub operation: &'a str,
}

/// Why there is nobody to ask.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoModel {
    /// Nobody is known to serve it.
    #[error("No matching models found: `{name}` is not known here{}", meant(.nearest))]
    Unknown {
        /// What was asked for.
        name: String,
        /// What may have been meant, the likeliest first.
        nearest: Vec<String>,
    },
    /// The gateway does not allow the provider.
    #[error("Provider '{provider}' is not allowed by gateway configuration")]
    ProviderNotAllowed {
        /// Which one.
        provider: String,
    },
    /// The gateway does not allow the model.
    #[error("Model '{model}' is not allowed by gateway configuration")]
    ModelNotAllowed {
        /// Which one.
        model: String,
    },
    /// Those who serve it speak another format.
    #[error("`{provider}` does not serve `{model}` in the format `{}`", .dialect.as_str())]
    OtherFormat {
        /// Which model.
        model: String,
        /// The first of those who serve it.
        provider: String,
        /// The format that was asked for.
        dialect: Dialect,
    },
}

fn meant(nearest: &[String]) -> String {
    match nearest {
        [] => String::new(),
        nearest => format!("; did you mean `{}`?", nearest.join("`, `")),
    }
}

/// Whether a caller leaves the choice to the gateway.
pub fn is_auto(name: &str) -> bool {
    name.is_empty() || name.eq_ignore_ascii_case("ngrok/auto")
}

/// Longer names are not looked for.
const LONGEST: usize = 512;

impl Selection {
    /// Who can be asked for what a caller calls a model, the first to be asked first. A name that
    /// [`is_auto`] means everything.
    ///
    /// What stands before the first colon names the provider, if it is the name of one; then whatever
    /// follows is its model, known or not. Any other name has to be known.
    pub fn resolve<'a>(&'a self, name: &'a str, asked: Asked<'_>) -> Result<Vec<Candidate<'a>>, NoModel> {
        if is_auto(name) {
            return Ok(self.everything(asked));
        }
        let explicit = name.split_once(':').filter(|(_, model)| !model.is_empty());
        let explicit = explicit.and_then(|(provider, model)| Some((self.host(provider)?, model)));
        let found = match explicit {
            _ if name.len() > LONGEST => Vec::new(),
            Some((host, model)) => vec![self.at(host, model)],
            None => self.anywhere(name),
        };
        let mut refused = None;
        let mut allowed: Vec<_> = found
            .into_iter()
            .filter(|candidate| match self.allows(candidate, asked) {
                Ok(()) => true,
                Err(refusal) => {
                    refused.get_or_insert(refusal);
                    false
                }
            })
            .collect();
        // What is known of operations is not complete, so it decides only where there is a choice.
        if allowed.iter().any(|candidate| candidate.takes(asked.operation)) {
            allowed.retain(|candidate| candidate.takes(asked.operation));
        }
        if !allowed.is_empty() {
            return Ok(allowed);
        }
        Err(refused.unwrap_or_else(|| self.unknown(name)))
    }

    fn unknown(&self, name: &str) -> NoModel {
        let own = self.providers().iter().flat_map(|provider| &provider.models);
        let own =
            own.flat_map(|model| std::iter::once(&model.id).chain(&model.id_aliases)).map(String::as_str);
        let mut meant = nearest(name, own.chain(self.catalogue().names.all()));
        // Callers of other gateways write a slash where a colon names the provider.
        if let Some((provider, model)) = name.split_once('/').filter(|(_, model)| !model.is_empty())
            && name.len() <= LONGEST
            && catalog::named(provider).is_some()
        {
            meant.insert(0, format!("{provider}:{model}"));
        }
        NoModel::Unknown { name: name.chars().take(LONGEST).collect(), nearest: meant }
    }
}
