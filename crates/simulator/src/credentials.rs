//! Which keys are accepted: any but those that show a mistake of the gateway in front.

use crate::answer::Refusal;
use crate::question::{Dialect, Question};
use crate::{anthropic, google};

/// What the gateway's own tokens begin with. They are its callers' credentials there and must never arrive here.
const FOREIGN: &str = "tg_";

/// Accepts any key that is none of the gateway's own tokens and does not begin with `sk-invalid`: as a bearer token, and
/// where Anthropic's dialect is spoken in `x-api-key` too, where Google's is in `x-goog-api-key`. In the query it is not
/// looked for: a gateway in front has no need to send it there.
pub(crate) fn check(question: &Question) -> Result<(), Refusal> {
    match question.dialect() {
        Dialect::OpenAi => match bearer(question) {
            Some(key) if is_wrong(key) => Err(Refusal::wrong_key(key)),
            Some(_) => Ok(()),
            None => Err(Refusal::missing_key()),
        },
        Dialect::Google => match question.header("x-goog-api-key").or_else(|| bearer(question)) {
            Some(key) if is_wrong(key) => Err(google::wrong_key()),
            Some(_) => Ok(()),
            None => Err(google::missing_key()),
        },
        Dialect::Anthropic => {
            let key = question.header("x-api-key").filter(|key| !key.is_empty());
            match (key, bearer(question)) {
                (Some(key), _) if is_wrong(key) => Err(anthropic::wrong_key("invalid x-api-key")),
                (None, Some(key)) if is_wrong(key) => Err(anthropic::wrong_key("Invalid bearer token")),
                (None, None) => Err(anthropic::wrong_key("x-api-key header is required")),
                _ => Ok(()),
            }
        }
    }
}

/// Whether a header's value is, or carries, one of the gateway's own tokens.
pub(crate) fn is_leak(value: &str) -> bool {
    value.split([' ', ',', ';', '=']).any(is_foreign)
}

fn bearer(question: &Question) -> Option<&str> {
    let (scheme, key) = question.header("authorization")?.split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then_some(key)
}

fn is_wrong(key: &str) -> bool {
    is_foreign(key) || key.starts_with("sk-invalid")
}

/// The tokens' other written form is `ng-…-g1-…`.
fn is_foreign(word: &str) -> bool {
    word.starts_with(FOREIGN) || word.starts_with("ng-") && word.contains("-g1-")
}
