//! Base64, JSON, queries and addresses.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::{Function, items, text};
use crate::expression::codec::{query, url};
use crate::expression::error::Failure;
use crate::expression::evaluate::{Evaluation, fitting};
use crate::value::{Text, Value};

type Outcome = Result<Value, Failure>;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::global("base64.encode", 1, 1, base64_encode),
    Function::global("base64.decode", 1, 1, base64_decode_bytes),
    Function::method("encodeBase64", 1, 1, base64_encode),
    Function::method("decodeBase64", 1, 1, base64_decode),
    Function::global("basic_auth.encode", 2, 2, basic_auth),
    Function::global("json.encode", 1, 1, json_encode),
    Function::global("json.decode", 1, 1, json_decode),
    Function::method("encodeJson", 1, 1, json_encode),
    Function::method("decodeJson", 1, 1, json_decode),
    Function::method("isJson", 1, 1, is_json),
    Function::global("queryString.encode", 1, 1, query_encode),
    Function::global("queryString.decode", 1, 1, query_decode),
    Function::method("encodeQueryString", 1, 1, query_encode),
    Function::method("decodeQueryString", 1, 1, query_decode),
    Function::method("isQueryString", 1, 1, is_query),
    Function::global("url.escape", 1, 1, url_escape),
    Function::global("url.unescape", 1, 1, url_unescape),
    Function::global("url.parse", 1, 1, url_parse),
    Function::method("escapeUrl", 1, 1, url_escape),
    Function::method("unescapeUrl", 1, 1, url_unescape),
    Function::method("parseUrl", 1, 1, url_parse),
    Function::method("isURL", 1, 1, is_url),
];

/// Takes what was written with or without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

fn base64_encode(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let (bytes, secret) = match &values[0] {
        Value::Bytes(bytes) => (&**bytes, false),
        value => {
            let text = text(value)?;
            (text.as_str().as_bytes(), text.is_secret())
        }
    };
    run.memory(bytes.len() / 3 * 4 + 4)?;
    Ok(Value::Text(Text::new(STANDARD.encode(bytes), secret)))
}

fn decoded(run: &mut Evaluation<'_>, value: &Value) -> Result<Vec<u8>, Failure> {
    let text = text(value)?;
    run.memory(text.len())?;
    LENIENT.decode(text.as_str()).map_err(|_| Failure::BadArgument("this is not base64"))
}

fn base64_decode_bytes(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    if values[0].is_secret() {
        return Err(Failure::BadArgument(
            "a secret cannot be made bytes; `decodeBase64` makes a string of it",
        ));
    }
    Ok(Value::Bytes(decoded(run, &values[0])?.into()))
}

fn base64_decode(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let bytes = decoded(run, &values[0])?;
    let decoded = String::from_utf8(bytes).map_err(|_| Failure::BadArgument("the bytes are no text"))?;
    Ok(Value::Text(Text::new(decoded, values[0].is_secret())))
}

/// What stands in `Authorization` for a user with a password.
fn basic_auth(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let (user, password) = (text(&values[0])?, text(&values[1])?);
    let both = model::Secret::new(format!("{}:{}", user.as_str(), password.as_str()));
    let written = format!("Basic {}", STANDARD.encode(both.expose()));
    run.text(written, user.is_secret() || password.is_secret())
}

fn json_encode(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    // Models are written out for this, with all that they have.
    let models =
        values[0].items().unwrap_or(&values[..1]).iter().filter(|value| matches!(value, Value::Item(_)));
    run.work(models.count().saturating_mul(30))?;
    let value = crate::expression::items::plain(&values[0], run.facts)?;
    run.memory(value.weight() as usize)?;
    let written = serde_json::to_string(&value.to_json()?).map_err(|_| Failure::TooLarge)?;
    run.text(written, value.is_secret())
}

fn json_decode(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let text = text(&values[0])?;
    if text.is_secret() {
        // Its parts could not all be kept secret: numbers and names are not.
        return Err(Failure::BadArgument("a secret cannot be taken apart as JSON"));
    }
    // Each two bytes may be a value: `[1,1,1]`.
    run.memory(text.len().saturating_mul(8))?;
    let json = serde_json::from_str(text.as_str()).map_err(|_| Failure::BadArgument("this is not JSON"))?;
    fitting(Value::from_json(json))
}

fn is_json(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let text = text(&values[0])?;
    run.work(text.len() / 8)?;
    Ok(Value::Bool(serde_json::from_str::<serde::de::IgnoredAny>(text.as_str()).is_ok()))
}

/// A map of names to values or lists of them, as a query.
fn query_encode(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let Value::Map(map) = &values[0] else { return Err(Failure::wrong_type("map", &values[0])) };
    // A character may become `%F0%9F%A6%80`.
    run.memory((values[0].weight() as usize).saturating_mul(3))?;
    run.work(map.len())?;
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (key, value) in map.entries() {
        let name = key.to_value().to_text()?;
        for each in items(value).unwrap_or(std::slice::from_ref(value)) {
            query.append_pair(name.as_str(), each.to_text()?.as_str());
        }
    }
    Ok(Value::Text(Text::new(query.finish(), values[0].is_secret())))
}

fn query_decode(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let text = text(&values[0])?;
    if text.is_secret() {
        return Err(Failure::BadArgument("a secret cannot be taken apart as a query"));
    }
    run.memory(text.len().saturating_mul(16))?;
    fitting(query::parameters(text.as_str().trim_start_matches('?')))
}

/// Whether something is a query: names and values with nothing in them that would have to be escaped.
fn is_query(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let text = text(&values[0])?;
    run.reading(text.len())?;
    let text = text.as_str().trim_start_matches('?');
    let escape =
        |at: usize| text.get(at + 1..at + 3).is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
    let plain = text.char_indices().all(|(at, character)| match character {
        '%' => escape(at),
        '#' | ';' => false,
        _ => !character.is_whitespace() && !character.is_control(),
    });
    Ok(Value::Bool(plain && text.contains('=')))
}

fn url_escape(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let text = text(&values[0])?;
    run.memory(text.len().saturating_mul(3))?;
    Ok(Value::Text(Text::new(url::escaped(text.as_str()), text.is_secret())))
}

fn url_unescape(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let text = text(&values[0])?;
    run.memory(text.len())?;
    Ok(Value::Text(Text::new(url::unescaped(text.as_str(), url::Plus::Blank), text.is_secret())))
}

fn url_parse(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let text = text(&values[0])?;
    if text.is_secret() {
        return Err(Failure::BadArgument("a secret cannot be taken apart as an address"));
    }
    run.work(50)?;
    run.memory(text.len().saturating_mul(16))?;
    fitting(url::parse(text.as_str())?)
}

fn is_url(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let text = text(&values[0])?;
    run.reading(text.len())?;
    let uri = text.as_str().split('#').next().unwrap_or_default().parse::<http::Uri>();
    Ok(Value::Bool(uri.is_ok_and(|uri| uri.scheme().is_some() && uri.host().is_some_and(|h| !h.is_empty()))))
}
