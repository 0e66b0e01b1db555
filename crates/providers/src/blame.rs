//! Refusals that providers tell as the caller's fault, in the words of a request that is wrong, although it is
//! the key with which they were asked that they do not serve.

use std::borrow::Cow;

use serde::Deserialize;

/// How messages begin that are about a key or what is paid for it. Only their beginnings are compared: further
/// on, a message may repeat what a caller wrote.
const OF_THE_KEY: [&str; 5] = [
    // Anthropic's.
    "your credit balance is too low",
    // Google's.
    "api key not valid",
    "api key expired",
    // xAI's, and OpenAI's.
    "incorrect api key provided",
    // Google's, in places where nothing is free.
    "gemini api free tier is not available",
];

/// Whether the body of a refusal is about the key, and not about what was asked with it.
pub fn is_of_the_key(refusal: &[u8]) -> bool {
    // Google's own may be the only element of a list.
    let told = serde_json::from_slice::<Told<'_>>(refusal).ok().or_else(|| {
        let list: Vec<Told<'_>> = serde_json::from_slice(refusal).ok()?;
        list.into_iter().next()
    });
    let Some(message) = told.and_then(Told::message) else { return false };
    let message = message.trim_start();
    OF_THE_KEY.iter().any(|beginning| {
        let begins = message.get(..beginning.len());
        begins.is_some_and(|begins| begins.eq_ignore_ascii_case(beginning))
    })
}

/// A refusal, as far as it is read.
#[derive(Deserialize)]
struct Told<'a> {
    #[serde(borrow)]
    error: ErrorTold<'a>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ErrorTold<'a> {
    Object {
        #[serde(borrow)]
        message: Cow<'a, str>,
    },
    Text(#[serde(borrow)] Cow<'a, str>),
}

impl<'a> Told<'a> {
    fn message(self) -> Option<Cow<'a, str>> {
        match self.error {
            ErrorTold::Object { message } | ErrorTold::Text(message) => Some(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_of_the_key;

    #[test]
    fn what_is_of_the_key_is_told_from_what_is_of_the_request() {
        for refusal in [
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits."}}"#,
            r#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}"#,
            r#"[{"error":{"code":400,"message":"API key expired. Please renew the API key.","status":"INVALID_ARGUMENT"}}]"#,
            r#"{"code":"Client specified an invalid argument","error":"Incorrect API key provided: xa***ey."}"#,
        ] {
            assert!(is_of_the_key(refusal.as_bytes()), "{refusal}");
        }
        for refusal in [
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"model: your credit balance is too low"}}"#,
            r#"{"error":{"message":"Invalid value: 'API key not valid'"}}"#,
            r#"{"error":{"message":"Your"}}"#,
            r#"{"error":{"message":"Ÿour credit balance is too lów"}}"#,
            r#"{"error":{}}"#,
            "[]",
            "<html>",
            "",
        ] {
            assert!(!is_of_the_key(refusal.as_bytes()), "{refusal}");
        }
    }
}
