//! How many tokens an answer may have, as the request says; refused where OpenAI would refuse it.

use serde_json::Value;

use super::models;
use crate::answer::Refusal;

/// The least that responses may be limited to.
const LEAST_OF_A_RESPONSE: u64 = 16;

/// The limit that a request names, in whichever member.
pub(crate) fn named(document: &Value) -> Option<u64> {
    let members = ["max_completion_tokens", "max_output_tokens", "max_tokens"];
    members.iter().find_map(|member| document.get(member)?.as_u64())
}

/// A chat completion's limit, of what is thought and what is said together.
pub(super) fn of_chat(document: &Value, model: &str) -> Result<Option<u64>, Refusal> {
    let given = |member| document.get(member).filter(|value| !value.is_null());
    match (given("max_completion_tokens"), given("max_tokens")) {
        (Some(_), Some(_)) => Err(Refusal::parameter(
            "max_tokens",
            "invalid_parameter_combination",
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.".to_owned(),
        )),
        (Some(limit), None) => checked("max_completion_tokens", limit, 1, model).map(Some),
        (None, Some(_)) if models::reasons(model) => Err(Refusal::parameter(
            "max_tokens",
            "unsupported_parameter",
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
                .to_owned(),
        )),
        (None, Some(limit)) => checked("max_tokens", limit, 1, model).map(Some),
        (None, None) => Ok(None),
    }
}

/// A response's limit, of what is thought and what is said together.
pub(super) fn of_response(document: &Value, model: &str) -> Result<Option<u64>, Refusal> {
    let limit = document.get("max_output_tokens").filter(|value| !value.is_null());
    limit.map(|limit| checked("max_output_tokens", limit, LEAST_OF_A_RESPONSE, model)).transpose()
}

fn checked(member: &str, limit: &Value, least: u64, model: &str) -> Result<u64, Refusal> {
    let Some(number) = limit.as_i64() else {
        let message = format!("Invalid type for '{member}': expected an integer, but got {limit} instead.");
        return Err(Refusal::parameter(member, "invalid_type", message));
    };
    let most = models::most_output(model);
    match u64::try_from(number) {
        Ok(limit) if limit > most => {
            let message = format!(
                "{member} is too large: {limit}. This model supports at most {most} completion tokens, whereas you \
                 provided {limit}."
            );
            Err(Refusal::parameter(member, "invalid_value", message))
        }
        Ok(limit) if limit >= least => Ok(limit),
        _ => {
            let message = format!(
                "Invalid '{member}': integer below minimum value. Expected a value >= {least}, but got {number} instead."
            );
            Err(Refusal::parameter(member, "integer_below_min_value", message))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn limits_are_taken_where_openai_takes_them() {
        let chat = |document: Value, model| of_chat(&document, model).map_err(|refusal| refusal.error.code);
        assert_eq!(chat(json!({"max_tokens": 5}), "gpt-4o"), Ok(Some(5)));
        assert_eq!(chat(json!({"max_tokens": null}), "gpt-4o"), Ok(None));
        assert_eq!(chat(json!({"max_completion_tokens": 5}), "o4-mini"), Ok(Some(5)));
        assert_eq!(chat(json!({"max_tokens": 5}), "o4-mini"), Err(Some("unsupported_parameter")));
        assert_eq!(
            chat(json!({"max_tokens": 5, "max_completion_tokens": 5}), "gpt-4o"),
            Err(Some("invalid_parameter_combination"))
        );
        assert_eq!(chat(json!({"max_tokens": 0}), "gpt-4o"), Err(Some("integer_below_min_value")));
        assert_eq!(chat(json!({"max_tokens": 20_000}), "gpt-4o"), Err(Some("invalid_value")));
        assert_eq!(chat(json!({"max_tokens": "5"}), "gpt-4o"), Err(Some("invalid_type")));
        let response = |limit: u64| {
            of_response(&json!({"max_output_tokens": limit}), "gpt-5").map_err(|refusal| refusal.error.code)
        };
        assert_eq!(response(16), Ok(Some(16)));
        assert_eq!(response(15), Err(Some("integer_below_min_value")));
    }
}
