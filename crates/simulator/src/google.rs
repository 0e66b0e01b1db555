//! Google's Gemini API: which method of which model answers which path, and its refusals.

mod asked;
mod embed;
mod generate;
mod models;

use http::{Method, StatusCode};

use crate::answer::{Answer, Refusal};
use crate::behaviour::Behaviour;
use crate::error::ErrorObject;
use crate::question::{Dialect, Question};

/// Where its paths begin, beside `/v1/` which others have too.
pub(crate) const VERSION: &str = "/v1beta/";
/// Where OpenAI's words are understood.
pub(crate) const OPENAI: &str = "/v1beta/openai/";

/// Answers what Google would at this path.
pub(crate) fn answer(question: &Question, behaviour: &Behaviour) -> Result<Answer, Refusal> {
    let path = question.head.uri.path();
    let operation = path.strip_prefix(VERSION).or_else(|| path.strip_prefix("/v1/")).unwrap_or_default();
    let get = [Method::GET, Method::HEAD].contains(&question.head.method);
    if operation == "models" && get {
        return Ok(models::list());
    }
    let named = operation.strip_prefix("models/").map(|named| named.replace("%3A", ":"));
    let Some(named) = named else { return Err(nothing_there()) };
    let Some((model, verb)) = named.split_once(':') else {
        return if get { models::retrieve(&named) } else { Err(nothing_there()) };
    };
    if question.head.method != Method::POST {
        return Err(nothing_there());
    }
    if !question.json.is_object() {
        return Err(invalid("Invalid JSON payload received. Expected an object."));
    }
    models::known(model, verb)?;
    match verb {
        "generateContent" => generate::whole(question, model, behaviour),
        "streamGenerateContent" => generate::stream(question, model, behaviour),
        "countTokens" => Ok(generate::count(question, behaviour)),
        "embedContent" => embed::one(question, model),
        "batchEmbedContents" => embed::several(question, model),
        _ => Err(nothing_there()),
    }
}

/// The refusal that Google gives with `status`, for tests that ask for one.
pub(crate) fn refused(status: StatusCode) -> Refusal {
    let (kind, message) = match status.as_u16() {
        401 => ("UNAUTHENTICATED", "Request had invalid authentication credentials."),
        403 => ("PERMISSION_DENIED", "The caller does not have permission"),
        404 => ("NOT_FOUND", "Requested entity was not found."),
        429 => (
            "RESOURCE_EXHAUSTED",
            "You exceeded your current quota, please check your plan and billing details.",
        ),
        503 => ("UNAVAILABLE", "The model is overloaded. Please try again later."),
        504 => ("DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
        500.. => ("INTERNAL", "An internal error has occurred."),
        _ => ("INVALID_ARGUMENT", "Your request was refused, as you asked."),
    };
    refusal(status, kind, message)
}

/// A key that is missing.
pub(crate) fn missing_key() -> Refusal {
    let message = "Method doesn't allow unregistered callers (callers without established identity). Please use \
                   API Key or other form of API consumer identity to call this API.";
    refusal(StatusCode::FORBIDDEN, "PERMISSION_DENIED", message)
}

/// A key that is not accepted, which Google takes for a mistake in the request.
pub(crate) fn wrong_key() -> Refusal {
    invalid("API key not valid. Please pass a valid API key.")
}

fn nothing_there() -> Refusal {
    refusal(StatusCode::NOT_FOUND, "NOT_FOUND", "Requested entity was not found.")
}

fn invalid(message: impl Into<String>) -> Refusal {
    refusal(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", message)
}

fn refusal(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Refusal {
    let error = ErrorObject { message: message.into(), kind, param: None, code: None };
    Refusal { dialect: Dialect::Google, status, error, retry_after: None }
}
