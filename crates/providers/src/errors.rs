//! Our own refusals, in the shape of the caller's SDK or in the gateway's. Both carry the code, the
//! cause and the request id.

use serde_json::{Value, json};

use crate::catalog::Dialect;

/// What a refusal says, apart from its shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The gateway's code, such as 2009.
    pub code: u32,
    /// A stable word for what went wrong, such as `provider_timeout`.
    pub cause: &'a str,
    /// The code by which clients of another product know it, such as `ERR_NGROK_3804`, to be shown in the
    /// cause's place.
    pub known_as: Option<&'a str>,
    /// The type of error that those clients know it by, where that does not follow from the status.
    pub kind: Option<&'a str>,
    /// What went wrong and what to do about it, for the caller.
    pub message: &'a str,
    /// The member of the body that is at fault, if one is.
    pub param: Option<&'a str>,
    /// The request's id.
    pub request_id: &'a str,
}

impl Refusal<'_> {
    /// The body that the provider's own SDK understands.
    pub fn provider_body(&self, dialect: Dialect) -> Vec<u8> {
        let body = match dialect {
            Dialect::OpenAi => json!({ "error": self.openai_error() }),
            Dialect::Anthropic => self.anthropic_error(),
            Dialect::Google => json!({ "error": self.google_error() }),
        };
        body.to_string().into_bytes()
    }

    /// The body that Cloudflare's clients understand, whose `error` is a list.
    pub fn gateway_body(&self) -> Vec<u8> {
        json!({
            "success": false,
            "result": [],
            "messages": [],
            "error": [{ "code": self.code, "message": self.message }],
            "name": "AiGatewayError",
            "httpCode": self.status,
            "internalCode": self.code,
            "message": self.message,
            "description": self.message,
            "cause": self.cause,
            "request_id": self.request_id,
        })
        .to_string()
        .into_bytes()
    }

    /// The frame that ends a stream which already began, in the dialect that it is in. It is what
    /// OpenAI itself sends, and what its SDKs raise as an error.
    pub fn stream_frame(&self, dialect: Dialect, responses: bool) -> Vec<u8> {
        if dialect == Dialect::Anthropic {
            return format!("event: error\ndata: {}\n\n", self.anthropic_error()).into_bytes();
        }
        if dialect == Dialect::Google {
            return format!("data: {}\r\n\r\n", json!({ "error": self.google_error() })).into_bytes();
        }
        if responses {
            let mut error = self.openai_error();
            error["type"] = Value::from("error");
            return format!("event: error\ndata: {error}\n\n").into_bytes();
        }
        format!("data: {}\n\n", json!({ "error": self.openai_error() })).into_bytes()
    }

    /// OpenAI's SDKs show `code` as a string and keep every other member.
    fn openai_error(&self) -> Value {
        json!({
            "message": self.message,
            "type": self.kind.unwrap_or(self.openai_type()),
            "param": self.param,
            "code": self.known_as.unwrap_or(self.cause),
            "internal_code": self.code,
            "cause": self.cause,
            "request_id": self.request_id,
        })
    }

    /// Anthropic's SDKs name the error by its status, show `details.error_code`, and keep every other
    /// member.
    fn anthropic_error(&self) -> Value {
        let error = json!({
            "type": self.anthropic_type(),
            "message": self.message,
            "details": { "error_code": self.known_as.unwrap_or(self.cause) },
            "param": self.param,
            "code": self.known_as.unwrap_or(self.cause),
            "internal_code": self.code,
        });
        json!({ "type": "error", "error": error, "request_id": self.request_id })
    }

    /// Google's SDKs show `code`, `status` and `message`, and keep the details, whose texts are all strings.
    fn google_error(&self) -> Value {
        let mut metadata = json!({
            "cause": self.cause,
            "internal_code": self.code.to_string(),
            "request_id": self.request_id,
        });
        if let Some(param) = self.param {
            metadata["param"] = param.into();
        }
        let details = json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": self.known_as.unwrap_or(self.cause).to_uppercase(),
            "domain": "tollgate",
            "metadata": metadata,
        });
        json!({
            "code": self.status,
            "message": self.message,
            "status": self.google_status(),
            "details": [details],
        })
    }

    fn google_status(&self) -> &'static str {
        match self.status {
            401 => "UNAUTHENTICATED",
            402 => "FAILED_PRECONDITION",
            403 => "PERMISSION_DENIED",
            404 => "NOT_FOUND",
            405 | 501 => "UNIMPLEMENTED",
            408 | 504 => "DEADLINE_EXCEEDED",
            409 => "ABORTED",
            429 => "RESOURCE_EXHAUSTED",
            502 | 503 => "UNAVAILABLE",
            500.. => "INTERNAL",
            _ => "INVALID_ARGUMENT",
        }
    }

    fn anthropic_type(&self) -> &'static str {
        match self.status {
            401 => "authentication_error",
            402 => "billing_error",
            403 => "permission_error",
            404 => "not_found_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            504 => "timeout_error",
            500.. => "api_error",
            _ => "invalid_request_error",
        }
    }

    fn openai_type(&self) -> &'static str {
        match self.status {
            401 => "authentication_error",
            402 => "insufficient_quota",
            403 => "permission_error",
            429 => "rate_limit_error",
            500.. => "server_error",
            _ => "invalid_request_error",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSAL: Refusal<'static> = Refusal {
        status: 401,
        code: 2009,
        cause: "token_missing",
        known_as: None,
        kind: None,
        message: "Unauthorized",
        param: None,
        request_id: "0193",
    };

    #[test]
    fn an_sdk_finds_its_error_object() {
        let body: Value = serde_json::from_slice(&REFUSAL.provider_body(Dialect::OpenAi)).unwrap();
        let error = json!({
            "message": "Unauthorized",
            "type": "authentication_error",
            "param": null,
            "code": "token_missing",
            "internal_code": 2009,
            "cause": "token_missing",
            "request_id": "0193",
        });
        assert_eq!(body, json!({ "error": error }));
    }

    #[test]
    fn anthropics_sdk_finds_its_error_object() {
        let body: Value = serde_json::from_slice(&REFUSAL.provider_body(Dialect::Anthropic)).unwrap();
        let error = json!({
            "type": "authentication_error",
            "message": "Unauthorized",
            "details": { "error_code": "token_missing" },
            "param": null,
            "code": "token_missing",
            "internal_code": 2009,
        });
        assert_eq!(body, json!({ "type": "error", "error": error, "request_id": "0193" }));
        let kind = |status| Refusal { status, ..REFUSAL }.anthropic_type();
        assert_eq!(
            [400, 402, 403, 404, 413, 422, 429, 500, 502, 503, 504].map(kind),
            [
                "invalid_request_error",
                "billing_error",
                "permission_error",
                "not_found_error",
                "request_too_large",
                "invalid_request_error",
                "rate_limit_error",
                "api_error",
                "api_error",
                "api_error",
                "timeout_error",
            ]
        );
    }

    #[test]
    fn googles_sdk_finds_its_error_object() {
        let refusal = Refusal { param: Some("model"), ..REFUSAL };
        let body: Value = serde_json::from_slice(&refusal.provider_body(Dialect::Google)).unwrap();
        let metadata = json!({
            "cause": "token_missing", "internal_code": "2009", "request_id": "0193", "param": "model",
        });
        let details = json!([{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "TOKEN_MISSING",
            "domain": "tollgate",
            "metadata": metadata,
        }]);
        let error = json!({
            "code": 401, "message": "Unauthorized", "status": "UNAUTHENTICATED", "details": details,
        });
        assert_eq!(body, json!({ "error": error }));
        let status = |status| Refusal { status, ..REFUSAL }.google_status();
        assert_eq!(
            [400, 402, 403, 404, 413, 429, 500, 502, 503, 504].map(status),
            [
                "INVALID_ARGUMENT",
                "FAILED_PRECONDITION",
                "PERMISSION_DENIED",
                "NOT_FOUND",
                "INVALID_ARGUMENT",
                "RESOURCE_EXHAUSTED",
                "INTERNAL",
                "UNAVAILABLE",
                "UNAVAILABLE",
                "DEADLINE_EXCEEDED",
            ]
        );
    }

    #[test]
    fn a_gateway_client_finds_its_list() {
        let body: Value = serde_json::from_slice(&REFUSAL.gateway_body()).unwrap();
        assert_eq!(body["error"], json!([{ "code": 2009, "message": "Unauthorized" }]));
        assert_eq!(
            (&body["success"], &body["result"], &body["messages"]),
            (&json!(false), &json!([]), &json!([]))
        );
        assert_eq!((&body["httpCode"], &body["internalCode"]), (&json!(401), &json!(2009)));
        assert_eq!((&body["cause"], &body["request_id"]), (&json!("token_missing"), &json!("0193")));
    }

    #[test]
    fn a_stream_is_ended_in_its_own_words() {
        let chat = String::from_utf8(REFUSAL.stream_frame(Dialect::OpenAi, false)).unwrap();
        assert!(chat.starts_with("data: {\"error\":{") && chat.ends_with("}\n\n"));
        let messages = String::from_utf8(REFUSAL.stream_frame(Dialect::Anthropic, false)).unwrap();
        assert!(messages.starts_with("event: error\ndata: {\"") && messages.contains("\"type\":\"error\""));
        let gemini = String::from_utf8(REFUSAL.stream_frame(Dialect::Google, false)).unwrap();
        assert!(gemini.starts_with("data: {\"error\":{") && gemini.ends_with("}\r\n\r\n"));
        let responses = String::from_utf8(REFUSAL.stream_frame(Dialect::OpenAi, true)).unwrap();
        assert!(responses.starts_with("event: error\ndata: {") && responses.contains("\"type\":\"error\""));
    }
}
