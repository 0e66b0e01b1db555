//! How a provider is told how long an answer may be, so that it is no longer than a gateway allows.

use bytes::Bytes;

use super::InvalidBody;
use crate::catalog::Provider;
use crate::credits::Credits;
use crate::endpoint::Endpoint;
use crate::scan::{self, Kind, Member};
use crate::splice::Splices;

/// What a limit of output is called, where there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputLimit {
    /// The name that is read.
    name: &'static str,
    /// Another one by which callers may know it, and whether that is read as well.
    other: Option<(&'static str, bool)>,
    /// What holds if nobody names one.
    otherwise: Option<u64>,
}

const MAX_TOKENS: &str = "max_tokens";
const MAX_COMPLETION_TOKENS: &str = "max_completion_tokens";

impl OutputLimit {
    /// The limit of an operation at a provider; nothing for those that write no text.
    ///
    /// A conversation's is called `max_completion_tokens` at OpenAI, and wherever else that is known to be read
    /// (`is_azure` is OpenAI's service, too), and `max_tokens`, its older name, at all others: models that think
    /// take only the one, and several providers read only the other.
    pub fn of(endpoint: Endpoint, provider: &Provider, is_azure: bool, model: &str) -> Option<Self> {
        const NEWER: [&str; 4] = ["gpt-5", "o1", "o3", "o4"];
        let alone = |name| Some(Self { name, other: None, otherwise: None });
        let credits = provider.credits;
        let reads_newer = is_azure
            || credits.is_some_and(|credits| credits.limit() == MAX_COMPLETION_TOKENS)
            || NEWER.iter().any(|newer| model.starts_with(newer));
        match endpoint {
            Endpoint::ChatCompletions if reads_newer => {
                Some(Self { name: MAX_COMPLETION_TOKENS, other: Some((MAX_TOKENS, true)), otherwise: None })
            }
            Endpoint::ChatCompletions => {
                Some(Self { name: MAX_TOKENS, other: Some((MAX_COMPLETION_TOKENS, false)), otherwise: None })
            }
            Endpoint::Completions => {
                let otherwise = credits.and_then(Credits::completion_output);
                Some(Self { otherwise, ..alone(MAX_TOKENS)? })
            }
            Endpoint::Messages => alone(MAX_TOKENS),
            Endpoint::Responses => alone("max_output_tokens"),
            _ => None,
        }
    }

    /// A body whose answer has `most` tokens at most, and whether that is less than the caller let it have.
    /// What he named stays if it is no more, though perhaps by another name.
    pub fn set(&self, body: &Bytes, most: u64) -> Result<(Bytes, bool), InvalidBody> {
        let other = self.other.map_or(self.name, |(name, _)| name);
        let [named, other] = match self.other {
            Some(_) => scan::members(body, &[self.name, other])?,
            None => {
                let [named] = scan::members(body, &[self.name])?;
                [named, None]
            }
        };
        let (named, other) = (self.read(body, self.name, named)?, self.read_other(body, other)?);
        let (mut splices, mut is_lower) = (Splices::default(), false);
        let is_read = self.other.is_some_and(|(_, is_read)| is_read);
        match (&named, &other) {
            // What is known by another name only is told by the one that is read.
            (None, Some(limit)) if !is_read && limit.tokens.is_some() => {
                splices.rename(&limit.member, self.name, &limit.at_most(most).to_string());
                is_lower = limit.is_above(most);
            }
            _ => {
                let limits = [&named, &other];
                let said =
                    limits.iter().any(|limit| limit.as_ref().is_some_and(|limit| limit.tokens.is_some()));
                for limit in limits.into_iter().flatten() {
                    is_lower |= limit.is_above(most);
                    limit.lower(most, &mut splices);
                }
                let is_short = self.otherwise.is_some_and(|tokens| tokens <= most);
                if !said && !is_short {
                    is_lower = true;
                    match named {
                        Some(limit) => splices.replace(&limit.member, most.to_string()),
                        None => splices.insert(body, self.name, &most.to_string()),
                    }
                }
            }
        }
        Ok((splices.apply(body), is_lower))
    }

    fn read_other(&self, body: &[u8], member: Option<Member>) -> Result<Option<Named>, InvalidBody> {
        match self.other {
            Some((name, _)) => self.read(body, name, member),
            None => Ok(None),
        }
    }

    /// What is read leniently elsewhere, such as a number in a string, would go past the limit.
    fn read(
        &self,
        body: &[u8],
        field: &'static str,
        member: Option<Member>,
    ) -> Result<Option<Named>, InvalidBody> {
        let Some(member) = member else { return Ok(None) };
        if member.kind == Kind::Null {
            return Ok(Some(Named { member, tokens: None }));
        }
        let text = str::from_utf8(&body[member.span.clone()]).ok().filter(|_| member.kind == Kind::Number);
        let whole = text.and_then(|text| text.parse::<u64>().ok());
        let tokens = whole.or_else(|| {
            let number: f64 = text?.parse().ok()?;
            (number >= 1.0 && number.fract() == 0.0).then_some(number as u64)
        });
        match tokens.filter(|tokens| *tokens > 0) {
            Some(tokens) => Ok(Some(Named { member, tokens: Some(tokens) })),
            None => Err(InvalidBody::WrongType { field, expected: "a whole number above zero" }),
        }
    }
}

/// A limit as the caller named it.
struct Named {
    member: Member,
    /// `None` where it is null.
    tokens: Option<u64>,
}

impl Named {
    fn at_most(&self, most: u64) -> u64 {
        self.tokens.unwrap_or(most).min(most)
    }

    fn is_above(&self, most: u64) -> bool {
        self.tokens.is_some_and(|tokens| tokens > most)
    }

    fn lower(&self, most: u64, splices: &mut Splices) {
        if self.is_above(most) {
            splices.replace(&self.member, most.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog;

    fn limited(limit: OutputLimit, body: &'static str) -> Result<String, InvalidBody> {
        let (limited, _) = limit.set(&Bytes::from_static(body.as_bytes()), 100)?;
        Ok(String::from_utf8(limited.to_vec()).unwrap())
    }

    fn at(slug: &str, endpoint: Endpoint, model: &str) -> Option<OutputLimit> {
        OutputLimit::of(endpoint, catalog::find(slug).unwrap(), false, model)
    }

    #[test]
    fn the_name_is_the_one_that_is_read() {
        let name = |slug, endpoint, model| at(slug, endpoint, model).map(|limit| limit.name);
        let chat = Endpoint::ChatCompletions;
        assert_eq!(name("openai", chat, "gpt-4o"), Some("max_completion_tokens"));
        assert_eq!(name("groq", chat, "llama-3"), Some("max_completion_tokens"));
        assert_eq!(name("mistral", chat, "mistral-large-latest"), Some("max_tokens"));
        assert_eq!(name("anthropic", Endpoint::Messages, "claude-haiku-4-5"), Some("max_tokens"));
        assert_eq!(name("openai", Endpoint::Responses, "gpt-4o"), Some("max_output_tokens"));
        assert_eq!(name("openai", Endpoint::Completions, "davinci-002"), Some("max_tokens"));
        assert_eq!(name("openai", Endpoint::Embeddings, "text-embedding-3-small"), None);
        let custom = |is_azure, model| {
            let provider = &catalog::custom::SPEAKS_OPENAI;
            OutputLimit::of(chat, provider, is_azure, model).map(|limit| limit.name)
        };
        assert_eq!(custom(false, "llama3.2:1b"), Some("max_tokens"));
        assert_eq!(custom(true, "my-deployment"), Some("max_completion_tokens"));
        assert_eq!(custom(false, "o3-mini"), Some("max_completion_tokens"));
    }

    #[test]
    fn what_is_longer_is_cut_and_what_is_shorter_stays() {
        let openai = at("openai", Endpoint::ChatCompletions, "gpt-4o").unwrap();
        let other = at("mistral", Endpoint::ChatCompletions, "llama").unwrap();
        let written = at("anthropic", Endpoint::Messages, "claude").unwrap();
        for (limit, body, expected) in [
            (openai, r#"{"x":1}"#, r#"{"max_completion_tokens":100,"x":1}"#),
            (openai, r#"{"max_tokens":101}"#, r#"{"max_tokens":100}"#),
            (openai, r#"{ "max_tokens" : 7 }"#, r#"{ "max_tokens" : 7 }"#),
            (openai, r#"{"max_tokens":null}"#, r#"{"max_completion_tokens":100,"max_tokens":null}"#),
            (openai, r#"{"max_completion_tokens":null}"#, r#"{"max_completion_tokens":100}"#),
            (
                openai,
                r#"{"max_completion_tokens":5,"max_tokens":1e9}"#,
                r#"{"max_completion_tokens":5,"max_tokens":100}"#,
            ),
            (other, r#"{"max_completion_tokens":5}"#, r#"{"max_tokens":5}"#),
            (other, r#"{"x":1, "max_completion_tokens":500}"#, r#"{"x":1, "max_tokens":100}"#),
            (
                other,
                r#"{"max_completion_tokens":500,"max_tokens":50}"#,
                r#"{"max_completion_tokens":100,"max_tokens":50}"#,
            ),
            (
                other,
                r#"{"max_completion_tokens":null}"#,
                r#"{"max_tokens":100,"max_completion_tokens":null}"#,
            ),
            (written, r#"{"max_tokens":1e2}"#, r#"{"max_tokens":1e2}"#),
            (written, r#"{"max_\u0074okens":99999999999999999999}"#, r#"{"max_\u0074okens":100}"#),
            (written, "{}", r#"{"max_tokens":100}"#),
        ] {
            assert_eq!(limited(limit, body).unwrap(), expected, "{body}");
        }
    }

    #[test]
    fn it_is_told_when_the_limit_is_not_the_callers() {
        let limit = at("mistral", Endpoint::ChatCompletions, "llama").unwrap();
        let is_lower = |body: &'static str| limit.set(&Bytes::from_static(body.as_bytes()), 100).unwrap().1;
        assert!(
            is_lower("{}")
                && is_lower(r#"{"max_tokens":101}"#)
                && is_lower(r#"{"max_completion_tokens":101}"#)
        );
        assert!(!is_lower(r#"{"max_tokens":100}"#) && !is_lower(r#"{"max_completion_tokens":5}"#));
    }

    #[test]
    fn a_limit_that_others_might_read_otherwise_is_refused() {
        let limit = at("mistral", Endpoint::ChatCompletions, "llama").unwrap();
        for body in [
            r#"{"max_tokens":"1000"}"#,
            r#"{"max_tokens":-1}"#,
            r#"{"max_tokens":0}"#,
            r#"{"max_tokens":1.5}"#,
            r#"{"max_tokens":[1]}"#,
            r#"{"max_tokens":5,"max_tokens":500}"#,
        ] {
            assert_eq!(limited(limit, body).unwrap_err().field(), Some("max_tokens"), "{body}");
        }
        limited(limit, r#"{"max_completion_tokens":true}"#).unwrap_err();
    }

    #[test]
    fn a_completion_is_not_made_longer() {
        let limit = at("openai", Endpoint::Completions, "davinci-002").unwrap();
        assert_eq!(limited(limit, r#"{"prompt":""}"#).unwrap(), r#"{"prompt":""}"#);
        let body = Bytes::from_static(br#"{"prompt":""}"#);
        assert_eq!(
            limit.set(&body, 8).unwrap(),
            (Bytes::from_static(br#"{"max_tokens":8,"prompt":""}"#), true)
        );
    }
}
