//! A request as the endpoints see it: its head, its whole body, and the body's JSON where it is JSON.

use bytes::Bytes;
use http::request::Parts;
use serde_json::Value;

use crate::answer::Refusal;
use crate::google;

/// What a caller speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    OpenAi,
    Anthropic,
    Google,
}

/// A request that has arrived whole.
pub(crate) struct Question {
    pub(crate) head: Parts,
    pub(crate) body: Bytes,
    /// The body as JSON; `Null` if it is not.
    pub(crate) json: Value,
}

impl Question {
    pub(crate) fn new(head: Parts, body: Bytes) -> Self {
        let is_form = content_type(&head).starts_with("multipart/");
        let json = if is_form || body.is_empty() { None } else { serde_json::from_slice(&body).ok() }
            .unwrap_or_default();
        Self { head, body, json }
    }

    /// What it is spoken in: the path says it, or the header that Anthropic wants in every call, where both providers
    /// have the path.
    pub(crate) fn dialect(&self) -> Dialect {
        let path = self.head.uri.path();
        if self.is_googles(path) {
            return Dialect::Google;
        }
        let operation = path.strip_prefix("/v1/").unwrap_or(path);
        let is_shared = operation.split('/').next().is_some_and(|first| matches!(first, "models" | "files"));
        let is_anthropics = self.header("anthropic-version").is_some() || self.header("x-api-key").is_some();
        if operation == "messages" || operation.starts_with("messages/") || is_shared && is_anthropics {
            Dialect::Anthropic
        } else {
            Dialect::OpenAi
        }
    }

    fn is_googles(&self, path: &str) -> bool {
        path.starts_with(google::VERSION) && !path.starts_with(google::OPENAI)
            || path.starts_with("/v1/models") && self.header("x-goog-api-key").is_some()
    }

    /// The JSON document, or the refusal that OpenAI gives to a body that is none.
    pub(crate) fn document(&self) -> Result<&Value, Refusal> {
        if self.json.is_object() { Ok(&self.json) } else { Err(Refusal::unreadable_json()) }
    }

    /// A top-level text member that the endpoint cannot do without.
    pub(crate) fn required(&self, member: &str) -> Result<&str, Refusal> {
        match self.document()?.get(member) {
            Some(Value::String(text)) if !text.is_empty() => Ok(text),
            Some(Value::Null) | None => Err(Refusal::missing(member)),
            Some(_) => Err(Refusal::invalid(
                member,
                &format!("Invalid type for '{member}': expected a string, but got something else instead."),
            )),
        }
    }

    /// The text of a header; nothing if it is missing or not text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }

    /// What stands after `[name:` and before `]` in one of the texts that the model reads. It is how a caller says
    /// something to us through those who let only the known members of a request pass.
    pub(crate) fn mark(&self, name: &str) -> Option<&str> {
        ["messages", "input", "instructions", "prompt", "system", "contents", "systemInstruction"]
            .iter()
            .find_map(|member| mark(self.json.get(member)?, &format!("[{name}:")))
    }

    pub(crate) fn is_form(&self) -> bool {
        content_type(&self.head).starts_with("multipart/form-data")
    }
}

fn mark<'a>(value: &'a Value, beginning: &str) -> Option<&'a str> {
    match value {
        Value::String(text) => {
            let (_, rest) = text.split_once(beginning)?;
            rest.split_once(']').map(|(marked, _)| marked.trim())
        }
        Value::Array(parts) => parts.iter().find_map(|part| mark(part, beginning)),
        Value::Object(members) => members.values().find_map(|member| mark(member, beginning)),
        _ => None,
    }
}

fn content_type(head: &Parts) -> &str {
    head.headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
