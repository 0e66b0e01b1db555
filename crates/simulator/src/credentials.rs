//! Which keys are accepted: any but those that show a mistake of the gateway in front.

use crate::answer::Refusal;
use crate::question::Question;

/// What the gateway's own tokens begin with. They are its callers' credentials there and must never arrive here.
const FOREIGN: &str = "tg_";

/// Accepts any bearer key that does not begin with `tg_` or `sk-invalid`.
pub(crate) fn check(question: &Question) -> Result<(), Refusal> {
    let Some(credential) = question.header("authorization") else {
        return Err(Refusal::missing_key());
    };
    let key = match credential.split_once(' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => key.trim(),
        _ => return Err(Refusal::missing_key()),
    };
    if key.is_empty() {
        Err(Refusal::missing_key())
    } else if key.starts_with(FOREIGN) || key.starts_with("sk-invalid") {
        Err(Refusal::wrong_key(key))
    } else {
        Ok(())
    }
}

/// Whether a header's value is, or carries, one of the gateway's own tokens.
pub(crate) fn is_leak(value: &str) -> bool {
    value.split([' ', ',', ';', '=']).any(|word| word.starts_with(FOREIGN))
}
