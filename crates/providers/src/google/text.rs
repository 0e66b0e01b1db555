//! What was produced, as far as it is text or can be read as text.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

use crate::scan::{Kind, Member};

/// One of the answers, or what comes of it in one event of a stream.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Candidate<'a> {
    #[serde(borrow)]
    content: Content<'a>,
    #[serde(borrow)]
    finish_reason: Option<Cow<'a, str>>,
    grounding_metadata: Option<Grounding>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Content<'a> {
    #[serde(borrow)]
    parts: Vec<Part<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Part<'a> {
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    function_call: Option<FunctionCall<'a>>,
    #[serde(borrow)]
    executable_code: Option<Code<'a>>,
}

#[derive(Debug, Deserialize)]
struct FunctionCall<'a> {
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(default)]
    args: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Code<'a> {
    #[serde(borrow, default)]
    code: Cow<'a, str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Grounding {
    web_search_queries: Vec<String>,
}

/// The candidates in a member; none if they cannot be read.
pub(super) fn candidates<'a>(data: &'a [u8], member: &Option<Member>) -> Vec<Candidate<'a>> {
    let list = member.as_ref().filter(|member| member.kind == Kind::List);
    list.and_then(|list| serde_json::from_slice(&data[list.span.clone()]).ok()).unwrap_or_default()
}

impl Candidate<'_> {
    /// Why it ended, if it did.
    pub(super) fn finish_reason(&self) -> Option<&str> {
        self.finish_reason.as_deref().filter(|reason| *reason != "FINISH_REASON_UNSPECIFIED")
    }

    /// How often the web was searched for it.
    pub(super) fn searches(&self) -> u64 {
        self.grounding_metadata.as_ref().map_or(0, |grounding| grounding.web_search_queries.len() as u64)
    }

    /// How many calls it has, whose beginnings and ends are not seen as text.
    pub(super) fn calls(&self) -> u64 {
        self.content.parts.iter().filter(|part| part.function_call.is_some()).count() as u64
    }

    /// Gives its texts in their order: words, thoughts that are shown, calls, and code that the provider runs.
    pub(super) fn texts(&self, text: &mut impl FnMut(&str)) {
        for part in &self.content.parts {
            if let Some(said) = &part.text {
                text(said);
            }
            if let Some(call) = &part.function_call {
                text(&call.name);
                if let Some(args) = &call.args {
                    text(&args.to_string());
                }
            }
            if let Some(code) = &part.executable_code {
                text(&code.code);
            }
        }
    }
}
