//! Whether a token of ours stands anywhere in what a caller sent.

use std::borrow::Cow;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use memchr::memchr_iter;
use memchr::memmem::Finder;
use model::token::{self, OWN_PREFIX};

/// Whether a token of ours begins anywhere in `bytes`: at the start, or after something that is no
/// part of a word, so that `batch_tg_x` is left alone. A whole token is found within a word too.
pub(crate) fn bears_token(bytes: &[u8]) -> bool {
    let before = OWN_PREFIX.len() - 1;
    let mut underscores = memchr_iter(b'_', bytes);
    underscores.any(|at| {
        at >= before && bytes[at - before..=at] == *OWN_PREFIX.as_bytes() && begins_here(bytes, at - before)
    }) || bears_second_form(bytes)
}

fn begins_here(bytes: &[u8], at: usize) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    at == 0 || !word(bytes[at - 1]) || token::begins(&bytes[at..])
}

/// The same for the second form, which is told by its middle.
fn bears_second_form(bytes: &[u8]) -> bool {
    static MIDDLE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(token::SECOND_FORM.1));
    MIDDLE.find_iter(bytes).any(|middle| {
        let id = bytes[..middle].iter().rev().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let secret = bytes.get(middle + token::SECOND_FORM.1.len());
        let is_whole = id > 0 && secret.is_some_and(u8::is_ascii_alphanumeric);
        let begin = (middle - id).checked_sub(token::SECOND_FORM.0.len());
        is_whole
            && begin.is_some_and(|begin| {
                bytes[begin..].starts_with(token::SECOND_FORM.0.as_bytes()) && begins_here(bytes, begin)
            })
    })
}

/// Whether padded or not: whoever reads it may not mind.
const BASIC: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Basic credentials are encoded.
pub(super) fn hides_token(name: &HeaderName, value: &HeaderValue) -> bool {
    if name != AUTHORIZATION {
        return false;
    }
    let Some((scheme, encoded)) = value.as_bytes().split_at_checked(6) else { return false };
    scheme.eq_ignore_ascii_case(b"basic ")
        && BASIC.decode(encoded.trim_ascii()).is_ok_and(|plain| bears_token(&plain))
}

pub(crate) fn address_bears_token(text: &str) -> bool {
    let decoded = if text.contains('%') { percent_decoded(text) } else { Cow::Borrowed(text.as_bytes()) };
    bears_token(&decoded)
}

fn percent_decoded(text: &str) -> Cow<'_, [u8]> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).and_then(|digits| str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if bytes[at] == b'%' => {
                decoded.push(byte);
                at += 3;
            }
            _ => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    Cow::Owned(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_ours_is_seen_wherever_it_begins_and_nowhere_else() {
        for text in [
            "tg_gw_1",
            "Bearer tg_x",
            "a=tg_x",
            "(tg_x)",
            "cf-aig-authorization.tg_x",
            "x, tg_",
            "Bearer ng-a-g1-b",
            "k=ng-2x-g1-y&a",
        ] {
            assert!(bears_token(text.as_bytes()), "{text}");
        }
        for text in [
            "",
            "tg",
            "sk-abc_tg_x",
            "batch-tg_x",
            "atg_x",
            "TG_x",
            "t_g_",
            "ng-a-g1-",
            "ng--g1-b",
            "sk-ng-a-g1-b",
            "a-g1-b",
        ] {
            assert!(!bears_token(text.as_bytes()), "{text}");
        }
        assert!(address_bears_token("key=%74%67%5fgw"));
        assert!(!address_bears_token("key=%7"));
    }
}
