//! Functions on strings. Places are counted in characters, from zero.

use std::net::IpAddr;

use super::{Function, items, text, whole};
use crate::expression::codec::format;
use crate::expression::error::Failure;
use crate::expression::evaluate::Evaluation;
use crate::expression::patterns;
use crate::value::{Text, Value};

type Outcome = Result<Value, Failure>;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::either("matches", 2, 2, matches),
    Function::method("contains", 2, 2, |run, values| tested(run, values, |text, part| text.contains(part))),
    Function::method("startsWith", 2, 2, |run, values| {
        tested(run, values, |text, part| text.starts_with(part))
    }),
    Function::method("endsWith", 2, 2, |run, values| tested(run, values, |text, part| text.ends_with(part))),
    Function::method("charAt", 2, 2, char_at),
    Function::method("indexOf", 2, 3, index_of),
    Function::method("lastIndexOf", 2, 3, last_index_of),
    Function::method("substring", 2, 3, substring),
    Function::method("replace", 3, 4, replace),
    Function::method("split", 2, 3, split),
    Function::method("format", 2, 2, formatted),
    Function::method("trim", 1, 1, |run, values| mapped(run, values, |text| text.trim().to_owned())),
    Function::method("lower", 1, 1, |run, values| mapped(run, values, str::to_lowercase)),
    Function::method("upper", 1, 1, |run, values| mapped(run, values, str::to_uppercase)),
    Function::method("lowerAscii", 1, 1, |run, values| mapped(run, values, str::to_ascii_lowercase)),
    Function::method("upperAscii", 1, 1, |run, values| mapped(run, values, str::to_ascii_uppercase)),
    Function::method("reverse", 1, 1, reverse),
    Function::global("strings.quote", 1, 1, |run, values| mapped(run, values, quoted)),
    Function::method("isPrivateIp", 1, 1, is_private_ip),
];

fn tested(run: &mut Evaluation<'_>, values: &[Value], test: fn(&str, &str) -> bool) -> Outcome {
    let (text, part) = (text(&values[0])?, text(&values[1])?);
    run.reading(text.len() + part.len())?;
    Ok(Value::Bool(test(text.as_str(), part.as_str())))
}

fn mapped(run: &mut Evaluation<'_>, values: &[Value], map: fn(&str) -> String) -> Outcome {
    let text = text(&values[0])?;
    run.reading(text.len())?;
    run.text(map(text.as_str()), text.is_secret())
}

/// With a pattern that is computed; those that are known are compiled before.
fn matches(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let (text, pattern) = (text(&values[0])?, text(&values[1])?);
    // What compiling and forgetting a pattern costs at most is worth many steps.
    run.work(2_000 + pattern.len() * 8)?;
    let pattern = patterns::compile(pattern.as_str());
    let pattern = pattern.map_err(|_| Failure::BadArgument("this is no regular expression"))?;
    run.matching(&pattern, text.as_str()).map(Value::Bool)
}

fn char_at(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let text = text(&values[0])?;
    run.reading(text.len())?;
    let place = usize::try_from(whole(&values[1])?).map_err(|_| Failure::OutOfRange)?;
    match text.as_str().chars().nth(place) {
        Some(character) => run.text(character.to_string(), text.is_secret()),
        // Right behind the last one stands nothing.
        None if text.as_str().chars().count() == place => Ok(Value::text("")),
        None => Err(Failure::OutOfRange),
    }
}

/// The byte at which a character stands, or the end of the text.
fn byte(text: &str, place: i64) -> Result<usize, Failure> {
    let place = usize::try_from(place).map_err(|_| Failure::OutOfRange)?;
    let mut bytes = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    bytes.nth(place).ok_or(Failure::OutOfRange)
}

fn place(text: &str, byte: Option<usize>) -> Value {
    Value::Int(byte.map_or(-1, |byte| text[..byte].chars().count() as i64))
}

fn index_of(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let (text, part) = (text(&values[0])?.as_str(), text(&values[1])?.as_str());
    run.reading(2 * text.len() + part.len())?;
    let from = values.get(2).map_or(Ok(0), |from| byte(text, whole(from)?))?;
    Ok(place(text, text[from..].find(part).map(|at| from + at)))
}

fn last_index_of(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let (text, part) = (text(&values[0])?.as_str(), text(&values[1])?.as_str());
    run.reading(2 * text.len() + part.len())?;
    let Some(from) = values.get(2) else { return Ok(place(text, text.rfind(part))) };
    // The last that begins there or before.
    let end = (byte(text, whole(from)?)? + part.len()).min(text.len());
    let end = (end..=text.len()).find(|end| text.is_char_boundary(*end)).unwrap_or(text.len());
    Ok(place(text, text[..end].rfind(part)))
}

fn substring(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let whole_text = text(&values[0])?;
    let text = whole_text.as_str();
    run.reading(2 * text.len())?;
    let start = byte(text, whole(&values[1])?)?;
    let end = values.get(2).map_or(Ok(text.len()), |end| byte(text, whole(end)?))?;
    let part = text.get(start..end).ok_or(Failure::OutOfRange)?;
    run.text(part.to_owned(), whole_text.is_secret())
}

fn replace(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let (text, from, to) = (text(&values[0])?, text(&values[1])?, text(&values[2])?);
    let most = match values.get(3).map(whole).transpose()? {
        Some(most @ 0..) => usize::try_from(most).unwrap_or(usize::MAX),
        _ => usize::MAX,
    };
    run.reading(2 * text.len() + from.len())?;
    let found = text.as_str().matches(from.as_str()).take(most).count();
    // Before it is made: a short text can be replaced by a very long one.
    run.memory(found.saturating_mul(to.len()).saturating_add(text.len()))?;
    let secret = [text, from, to].into_iter().any(Text::is_secret);
    let replaced = text.as_str().replacen(from.as_str(), to.as_str(), most);
    Ok(Value::Text(Text::new(replaced, secret)))
}

fn split(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let (text, separator) = (text(&values[0])?, text(&values[1])?);
    let secret = text.is_secret();
    let most = match values.get(2).map(whole).transpose()? {
        Some(0) => return run.list(Vec::new()),
        Some(most @ 1..) => usize::try_from(most).unwrap_or(usize::MAX),
        _ => usize::MAX,
    };
    let (text, separator) = (text.as_str(), separator.as_str());
    run.reading(2 * text.len())?;
    let pieces =
        if separator.is_empty() { text.chars().count() } else { text.matches(separator).count() + 1 };
    run.memory(pieces.min(most).saturating_mul(2 * size_of::<Value>()).saturating_add(text.len()))?;
    let value = |piece: &str| Value::Text(Text::new(piece.to_owned(), secret));
    let pieces: Vec<Value> = if separator.is_empty() {
        // A piece for each character, the rest in the last.
        let mut starts = text.char_indices().map(|(at, _)| at).take(most).collect::<Vec<_>>();
        starts.push(text.len());
        starts.windows(2).map(|ends| value(&text[ends[0]..ends[1]])).collect()
    } else {
        text.splitn(most, separator).map(value).collect()
    };
    run.list(pieces)
}

fn reverse(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    match &values[0] {
        Value::List(list) => {
            run.memory(size_of_val(list.items()))?;
            run.list(list.items().iter().rev().cloned().collect())
        }
        _ => mapped(run, values, |text| text.chars().rev().collect()),
    }
}

fn formatted(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let pattern = text(&values[0])?;
    let arguments = items(&values[1])?;
    let weight: usize = arguments.iter().map(|value| value.weight() as usize).sum();
    // Numbers are padded to so many places at most, and each argument stands once.
    let most = arguments.len().saturating_mul(format::MOST_PLACES + 340);
    run.memory(weight.saturating_mul(2).saturating_add(pattern.len()).saturating_add(most))?;
    let secret = pattern.is_secret() || arguments.iter().any(Value::is_secret);
    Ok(Value::Text(Text::new(format::format(pattern.as_str(), arguments)?, secret)))
}

/// The text as it would be written in an expression.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\u{b}' => out.push_str("\\v"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '"' | '\\' => out.extend(['\\', character]),
            _ => out.push(character),
        }
    }
    out.push('"');
    out
}

/// Whether the text is an address that is not routed on the Internet.
fn is_private_ip(_: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let text = text(&values[0])?;
    let private = match text.as_str().parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V4(address)) => address.is_private(),
        Ok(IpAddr::V6(address)) => address.is_unique_local(),
        Err(_) => false,
    };
    Ok(Value::Bool(private))
}
