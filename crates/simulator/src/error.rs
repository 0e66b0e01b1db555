//! Refusals in OpenAI's words, and how those of either dialect are written.

use http::StatusCode;
use serde::Serialize;

use crate::answer::encoded;
use crate::identity;
use crate::question::{Dialect, Question};

/// A request that is refused, with the status and the four members of OpenAI's error object.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) dialect: Dialect,
    pub(crate) status: StatusCode,
    pub(crate) error: ErrorObject,
    /// Seconds after which to try again, for those who ask too often.
    pub(crate) retry_after: Option<String>,
}

/// The object under `error`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ErrorObject {
    pub(crate) message: String,
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) param: Option<String>,
    pub(crate) code: Option<&'static str>,
}

/// The body of a refusal. Of the error object Anthropic has the type and the message.
#[derive(Serialize)]
#[serde(untagged)]
enum ErrorBody<'a> {
    OpenAi {
        error: &'a ErrorObject,
    },
    Google {
        error: GoogleError<'a>,
    },
    Anthropic {
        #[serde(rename = "type")]
        kind: &'static str,
        error: AnthropicError<'a>,
        request_id: String,
    },
}

#[derive(Serialize)]
struct GoogleError<'a> {
    code: u16,
    message: &'a str,
    status: &'static str,
}

#[derive(Serialize)]
struct AnthropicError<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    message: &'a str,
}

impl Refusal {
    /// Its body.
    pub(crate) fn body(&self) -> Vec<u8> {
        let error = &self.error;
        encoded(&match self.dialect {
            Dialect::OpenAi => ErrorBody::OpenAi { error },
            Dialect::Google => ErrorBody::Google {
                error: GoogleError {
                    code: self.status.as_u16(),
                    message: &error.message,
                    status: error.kind,
                },
            },
            Dialect::Anthropic => ErrorBody::Anthropic {
                kind: "error",
                error: AnthropicError { kind: error.kind, message: &error.message },
                request_id: identity::fresh("req_011C", 20),
            },
        })
    }

    pub(crate) fn unreadable_json() -> Self {
        Self::request(
            None,
            "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your \
             HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON. \
             If you have trouble figuring out how to fix this, please contact us through our help center at \
             help.openai.com.)",
        )
    }

    pub(crate) fn missing(member: &str) -> Self {
        // The model is checked by another layer of OpenAI's, which words it differently.
        if member == "model" {
            return Self::request(None, "you must provide a model parameter");
        }
        let mut refusal = Self::request(Some(member), &format!("Missing required parameter: '{member}'."));
        refusal.error.code = Some("missing_required_parameter");
        refusal
    }

    pub(crate) fn invalid(member: &str, message: &str) -> Self {
        let mut refusal = Self::request(Some(member), message);
        refusal.error.code = Some("invalid_value");
        refusal
    }

    /// A parameter that cannot be obeyed.
    pub(crate) fn parameter(member: &str, code: &'static str, message: String) -> Self {
        let mut refusal = Self::request(Some(member), &message);
        refusal.error.code = Some(code);
        refusal
    }

    pub(crate) fn unknown_model(model: &str) -> Self {
        Self {
            dialect: Dialect::OpenAi,
            status: StatusCode::NOT_FOUND,
            error: ErrorObject {
                message: format!("The model `{model}` does not exist or you do not have access to it."),
                kind: "invalid_request_error",
                param: None,
                code: Some("model_not_found"),
            },
            retry_after: None,
        }
    }

    pub(crate) fn unknown_path(question: &Question) -> Self {
        let message = format!("Invalid URL ({} {})", question.head.method, question.head.uri.path());
        Self { status: StatusCode::NOT_FOUND, ..Self::request(None, &message) }
    }

    pub(crate) fn wrong_method(question: &Question) -> Self {
        let message = format!("Not allowed to {} on {}.", question.head.method, question.head.uri.path());
        let mut refusal = Self::request(None, &message);
        refusal.status = StatusCode::METHOD_NOT_ALLOWED;
        refusal.error.code = Some("method_not_supported");
        refusal
    }

    pub(crate) fn unknown(noun: &str, id: &str) -> Self {
        let mut refusal = Self::request(Some("id"), &format!("No such {noun} object: {id}"));
        refusal.status = StatusCode::NOT_FOUND;
        refusal
    }

    pub(crate) fn missing_key() -> Self {
        let message = "You didn't provide an API key. You need to provide your API key in an Authorization header \
                       using Bearer auth (i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank \
                       username) if you're accessing the API from your browser and are prompted for a username and \
                       password. You can obtain an API key from https://platform.openai.com/account/api-keys.";
        Self { status: StatusCode::UNAUTHORIZED, ..Self::request(None, message) }
    }

    pub(crate) fn wrong_key(key: &str) -> Self {
        let message = format!(
            "Incorrect API key provided: {}. You can find your API key at \
             https://platform.openai.com/account/api-keys.",
            obscured(key)
        );
        let mut refusal = Self::request(None, &message);
        refusal.status = StatusCode::UNAUTHORIZED;
        refusal.error.code = Some("invalid_api_key");
        refusal
    }

    /// The refusal that OpenAI gives with `status`, for tests that ask for one.
    pub(crate) fn of_status(status: StatusCode, model: &str) -> Self {
        let (message, kind, code) = match status.as_u16() {
            401 => return Self::wrong_key("sk-simulated"),
            403 => (
                "Country, region, or territory not supported".to_owned(),
                "request_forbidden",
                Some("unsupported_country_region_territory"),
            ),
            404 => return Self::unknown_model(model),
            429 => (
                format!(
                    "Rate limit reached for {model} in organization org-simulated on requests per min (RPM): Limit \
                     3, Used 3, Requested 1. Please try again in 20s. Visit \
                     https://platform.openai.com/account/rate-limits to learn more."
                ),
                "requests",
                Some("rate_limit_exceeded"),
            ),
            500 => (
                "The server had an error while processing your request. Sorry about that!".to_owned(),
                "server_error",
                None,
            ),
            503 => (
                "The engine is currently overloaded, please try again later".to_owned(),
                "service_unavailable",
                Some("service_unavailable"),
            ),
            other if other > 500 => {
                ("The server had an error processing your request.".to_owned(), "server_error", None)
            }
            _ => ("Your request was refused, as you asked.".to_owned(), "invalid_request_error", None),
        };
        let error = ErrorObject { message, kind, param: None, code };
        let retry_after = matches!(status.as_u16(), 429 | 503).then(|| "1".to_owned());
        Self { dialect: Dialect::OpenAi, status, error, retry_after }
    }

    fn request(param: Option<&str>, message: &str) -> Self {
        Self {
            dialect: Dialect::OpenAi,
            status: StatusCode::BAD_REQUEST,
            error: ErrorObject {
                message: message.to_owned(),
                kind: "invalid_request_error",
                param: param.map(str::to_owned),
                code: None,
            },
            retry_after: None,
        }
    }
}

/// A key as OpenAI repeats it: its first eight and last four characters.
fn obscured(key: &str) -> String {
    let characters: Vec<char> = key.chars().collect();
    if characters.len() <= 12 {
        return "*".repeat(characters.len());
    }
    let stars = characters.len() - 12;
    let head: String = characters[..8].iter().collect();
    let tail: String = characters[characters.len() - 4..].iter().collect();
    format!("{head}{}{tail}", "*".repeat(stars))
}
