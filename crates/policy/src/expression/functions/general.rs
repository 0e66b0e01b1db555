//! Functions on values of many kinds, conversions, secrets and dice.

use super::{Function, open_text, text, whole};
use crate::expression::error::Failure;
use crate::expression::evaluate::Evaluation;
use crate::value::{Text, Value};

type Outcome = Result<Value, Failure>;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::either("size", 1, 1, size),
    Function::global("bytes.size", 1, 1, size),
    Function::global("string", 1, 1, string),
    Function::global("int", 1, 1, int),
    Function::global("uint", 1, 1, uint),
    Function::global("double", 1, 1, double),
    Function::global("bool", 1, 1, boolean),
    Function::global("bytes", 1, 1, bytes),
    Function::global("dyn", 1, 1, |_, values| Ok(values[0].clone())),
    Function::global("type", 1, 1, |_, values| Ok(Value::text(values[0].kind()))),
    Function::global("rand.double", 0, 2, random_double),
    Function::global("rand.int", 0, 2, random_int),
    Function::global("secrets.get", 1, 2, secret),
];

fn size(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let size = match &values[0] {
        // Characters, as people count.
        Value::Text(text) => {
            run.reading(text.len())?;
            text.as_str().chars().count()
        }
        Value::Bytes(bytes) => bytes.len(),
        Value::List(list) => list.items().len(),
        Value::Map(map) => map.len(),
        other => return Err(Failure::wrong_type("string, bytes, list or map", other)),
    };
    i64::try_from(size).map(Value::Int).map_err(|_| Failure::Overflow)
}

fn string(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    match &values[0] {
        Value::Text(text) => Ok(Value::Text(text.clone())),
        Value::Bytes(bytes) => {
            let text =
                std::str::from_utf8(bytes).map_err(|_| Failure::BadArgument("the bytes are no text"))?;
            run.text(text.to_owned(), false)
        }
        value => {
            run.memory(value.weight() as usize)?;
            Ok(Value::Text(value.to_text()?))
        }
    }
}

fn int(_: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    match &values[0] {
        Value::Double(number) if number.abs() < 9.2e18 => Ok(Value::Int(*number as i64)),
        Value::Double(_) => Err(Failure::Overflow),
        value @ Value::Text(_) => number(open_text(value)?),
        Value::Timestamp(at) => Ok(Value::Int(at.unix_timestamp())),
        other => whole(other).map(Value::Int),
    }
}

fn number(text: &str) -> Outcome {
    text.parse().map(Value::Int).map_err(|_| Failure::BadArgument("this text is no whole number"))
}

fn uint(_: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    match &values[0] {
        Value::Uint(number) => Ok(Value::Uint(*number)),
        text @ Value::Text(_) => open_text(text)?
            .parse()
            .map(Value::Uint)
            .map_err(|_| Failure::BadArgument("this text is no whole number")),
        Value::Double(number) if (0.0..1.8e19).contains(number) => Ok(Value::Uint(*number as u64)),
        Value::Double(_) => Err(Failure::Overflow),
        other => u64::try_from(whole(other)?).map(Value::Uint).map_err(|_| Failure::Overflow),
    }
}

fn double(_: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    match &values[0] {
        Value::Double(number) => Ok(Value::Double(*number)),
        Value::Int(number) => Ok(Value::Double(*number as f64)),
        Value::Uint(number) => Ok(Value::Double(*number as f64)),
        text @ Value::Text(_) => open_text(text)?
            .parse()
            .map(Value::Double)
            .map_err(|_| Failure::BadArgument("this text is no number")),
        other => Err(Failure::wrong_type("number", other)),
    }
}

fn boolean(_: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    match &values[0] {
        Value::Bool(value) => Ok(Value::Bool(*value)),
        value => match open_text(value)? {
            "true" | "True" | "TRUE" | "t" | "1" => Ok(Value::Bool(true)),
            "false" | "False" | "FALSE" | "f" | "0" => Ok(Value::Bool(false)),
            _ => Err(Failure::BadArgument("this text is neither true nor false")),
        },
    }
}

fn bytes(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    match &values[0] {
        Value::Bytes(bytes) => Ok(Value::Bytes(bytes.clone())),
        value => {
            let text = open_text(value)?;
            run.memory(text.len())?;
            Ok(Value::Bytes(text.as_bytes().into()))
        }
    }
}

fn random_double(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let bound = |at: usize, default: f64| match values.get(at) {
        Some(Value::Double(number)) => Ok(*number),
        Some(value) => whole(value).map(|number| number as f64),
        None => Ok(default),
    };
    let (least, most) = (bound(0, 0.0)?, bound(1, 1.0)?);
    Ok(Value::Double(least + run.facts.random.fraction() * (most - least)))
}

/// A whole number from one bound to the other, both included.
fn random_int(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let least = values.first().map_or(Ok(0), whole)?;
    let most = values.get(1).map_or(Ok(1), whole)?;
    let width = u64::try_from(i128::from(most) - i128::from(least) + 1)
        .map_err(|_| Failure::BadArgument("the bounds are the wrong way round or too far apart"))?;
    if width == 0 {
        return Err(Failure::BadArgument("the bounds are the wrong way round"));
    }
    let drawn = i128::from(least) + i128::from(run.facts.random.below(width));
    i64::try_from(drawn).map(Value::Int).map_err(|_| Failure::Overflow)
}

fn secret(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let (vault, name) = match values {
        [name] => (None, text(name)?),
        [vault, name, ..] => (Some(text(vault)?), text(name)?),
        [] => return Err(Failure::BadArgument("no secret is named")),
    };
    let found = run.facts.secrets.find(vault.map(Text::as_str), name.as_str());
    // Names that were computed may be anything, a secret among them.
    let shown = |text: &Text| text.shared().cloned().unwrap_or_else(|| "****".into());
    let missing = || Failure::NoSuchSecret { vault: vault.map(shown), name: shown(name) };
    let secret = found.ok_or_else(missing)?;
    if secret.expose().is_empty() {
        // Whoever sends nothing would know it.
        return Err(Failure::EmptySecret { name: shown(name) });
    }
    Ok(Value::Text(Text::secret(secret)))
}
