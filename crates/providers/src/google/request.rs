//! What a request of the Gemini API says outside of its body, and the one thing in it that a price depends on.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::de::IgnoredAny;

use crate::endpoint::Endpoint;
use crate::path::undone;
use crate::scan::{self, Kind, Malformed};

/// What a path asks of a model, as `models/gemini-2.5-flash:generateContent` does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The model. One that was tuned keeps its collection, `tunedModels/…`, which has prices of its own.
    pub model: String,
    /// What is to be done with it.
    verb: String,
}

impl Call {
    /// Reads an operation, a path without its version. Percent signs are undone as the provider undoes them:
    /// a caller who writes one differently asks for the same.
    pub fn of(operation: &str) -> Option<Self> {
        let operation = undone(operation.trim_end_matches('/'));
        let (collection, rest) = operation.split_once('/')?;
        let (model, verb) = rest.rsplit_once(':')?;
        let model = match collection {
            "models" => model,
            "tunedModels" => &operation[..collection.len() + 1 + model.len()],
            _ => return None,
        };
        (!model.is_empty()).then(|| Self { model: model.to_owned(), verb: verb.to_owned() })
    }

    /// The operation.
    pub fn endpoint(&self) -> Endpoint {
        match &*self.verb {
            "generateContent" => Endpoint::GenerateContent,
            "streamGenerateContent" => Endpoint::StreamGenerateContent,
            "embedContent" => Endpoint::EmbedContent,
            "batchEmbedContents" => Endpoint::BatchEmbedContents,
            "countTokens" => Endpoint::CountContentTokens,
            "predict" => Endpoint::Predict,
            "batchGenerateContent" | "asyncBatchEmbedContent" => Endpoint::Batches,
            _ => Endpoint::Other,
        }
    }
}

/// A model's name without the collection that some callers write before it.
pub fn bare(model: &str) -> &str {
    model.strip_prefix("models/").unwrap_or(model)
}

/// The service tier that a body asks for. It is called in either of two ways, as all members are.
///
/// It rates a request and decides nothing, so what cannot be read of it is as if it were not there.
pub fn service_tier(body: &[u8]) -> Result<Option<Cow<'_, str>>, Malformed> {
    let found = match scan::members(body, &["serviceTier", "service_tier"]) {
        Err(Malformed::Twice(_)) => return Ok(None),
        found => found?,
    };
    let said = found.into_iter().flatten().find(|member| member.kind == Kind::String);
    Ok(said.and_then(|said| scan::unescaped(&body[said.span])).map(|tier| match tier.split_at_checked(13) {
        Some(("SERVICE_TIER_", tier)) => tier.to_ascii_lowercase().into(),
        _ => tier.to_ascii_lowercase().into(),
    }))
}

/// How many pictures a body asks for, which is four if it does not say.
pub(crate) fn pictures(body: &[u8]) -> u64 {
    let said = || {
        let [parameters] = scan::members_of_text(body, &["parameters"]).ok()?;
        let parameters = &body[parameters?.span];
        let [count] = scan::members_of_text(parameters, &["sampleCount"]).ok()?;
        str::from_utf8(&parameters[count?.span]).ok()?.parse().ok()
    };
    said().unwrap_or(4)
}

/// The member of a question for which nobody here knows a price: tools that search, of whose searches some are
/// free, depending on the day.
pub(crate) fn unpriced(question: &[u8]) -> Option<&'static str> {
    let Ok([Some(tools)]) = scan::members_of_text(question, &["tools"]) else { return None };
    let tools: Vec<BTreeMap<Cow<'_, str>, IgnoredAny>> =
        serde_json::from_slice(&question[tools.span]).unwrap_or_default();
    let searches = |name: &Cow<'_, str>| {
        let name = name.to_ascii_lowercase();
        ["search", "googlemaps", "google_maps"].iter().any(|part| name.contains(part))
    };
    tools.iter().flat_map(BTreeMap::keys).any(searches).then_some("tools")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches_have_no_price_here() {
        for (tools, named) in [
            (r#"[{"googleSearch":{}}]"#, Some("tools")),
            (r#"[{"functionDeclarations":[]},{"google_search_retrieval":{}}]"#, Some("tools")),
            (r#"[{"googleMaps":{}}]"#, Some("tools")),
            (
                r#"[{"functionDeclarations":[{"name":"search"}]},{"codeExecution":{}},{"urlContext":{}}]"#,
                None,
            ),
            ("null", None),
        ] {
            let body = format!(r#"{{"contents":[],"tools":{tools}}}"#);
            assert_eq!(unpriced(body.as_bytes()), named, "{tools}");
        }
    }

    #[test]
    fn a_path_names_a_model_and_what_is_done_with_it() {
        let call = |operation: &str| Call::of(operation).map(|call| (call.endpoint(), call.model));
        let expected = |endpoint, model: &str| Some((endpoint, model.to_owned()));
        let flash = |endpoint| expected(endpoint, "gemini-2.5-flash");
        assert_eq!(call("models/gemini-2.5-flash:generateContent"), flash(Endpoint::GenerateContent));
        assert_eq!(
            call("models/gemini-2.5-flash:streamGenerateContent/"),
            flash(Endpoint::StreamGenerateContent)
        );
        assert_eq!(call("models/gemini-2%2E5-flash%3Agenerate%43ontent"), flash(Endpoint::GenerateContent));
        assert_eq!(call("models/gemini-2.5-flash:predictLongRunning"), flash(Endpoint::Other));
        assert_eq!(
            call("tunedModels/mine:generateContent"),
            expected(Endpoint::GenerateContent, "tunedModels/mine")
        );
        for path in ["models/gemini-2.5-flash", "models", "files/a:generateContent", "models/:countTokens"] {
            assert_eq!(call(path), None, "{path}");
        }
    }

    #[test]
    fn a_tier_is_read_however_it_is_spelled() {
        let tier = |body: &'static str| service_tier(body.as_bytes()).map(|tier| tier.map(Cow::into_owned));
        for body in [
            r#"{"serviceTier":"flex"}"#,
            r#"{"service_tier":"FLEX"}"#,
            r#"{"serviceTier":"SERVICE_TIER_FLEX","contents":[]}"#,
        ] {
            assert_eq!(tier(body).unwrap().as_deref(), Some("flex"), "{body}");
        }
        for body in [r#"{"serviceTier":7}"#, "{}", r#"{"serviceTier":"flex","serviceTier":"priority"}"#] {
            assert_eq!(tier(body), Ok(None), "{body}");
        }
        assert!(tier("[]").is_err());
    }
}
