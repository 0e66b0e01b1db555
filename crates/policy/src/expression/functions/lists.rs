//! Functions on lists.

use super::{Function, items, text, whole};
use crate::expression::error::Failure;
use crate::expression::evaluate::Evaluation;
use crate::value::{Text, Value};

type Outcome = Result<Value, Failure>;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::method("join", 1, 2, join),
    Function::method("slice", 3, 3, slice),
    Function::method("flatten", 1, 2, flatten),
    Function::method("sort", 1, 1, sort),
    Function::method("distinct", 1, 1, distinct),
    Function::global("lists.range", 1, 1, range),
];

fn join(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let parts = items(&values[0])?.iter().map(text).collect::<Result<Vec<_>, _>>()?;
    let nothing = Text::plain("");
    let between = values.get(1).map_or(Ok(&nothing), text)?;
    let between_all = parts.len().saturating_sub(1).saturating_mul(between.len());
    run.memory(parts.iter().map(|part| part.len()).sum::<usize>().saturating_add(between_all))?;
    run.work(parts.len())?;
    let secret = between.is_secret() || parts.iter().any(|part| part.is_secret());
    let parts: Vec<&str> = parts.into_iter().map(Text::as_str).collect();
    Ok(Value::Text(Text::new(parts.join(between.as_str()), secret)))
}

fn slice(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let bound = |value| usize::try_from(whole(value)?).map_err(|_| Failure::OutOfRange);
    let part = items(&values[0])?.get(bound(&values[1])?..bound(&values[2])?).ok_or(Failure::OutOfRange)?;
    run.memory(std::mem::size_of_val(part))?;
    run.list(part.to_vec())
}

/// One level, or as many as are asked for.
fn flatten(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let levels = values.get(1).map_or(Ok(1), whole)?;
    if !(0..=16).contains(&levels) {
        return Err(Failure::BadArgument("lists are flattened by 0 to 16 levels"));
    }
    let mut flat = items(&values[0])?.to_vec();
    for _ in 0..levels {
        let mut next = Vec::new();
        for item in &flat {
            let inner = item.items().unwrap_or(std::slice::from_ref(item));
            run.memory(std::mem::size_of_val(inner))?;
            next.extend_from_slice(inner);
        }
        flat = next;
    }
    run.list(flat)
}

fn sort(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let keyed = items(&values[0])?.iter().map(|item| (item.clone(), item.clone())).collect();
    run.sorted(keyed)
}

fn distinct(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let mut seen: Vec<Value> = Vec::new();
    for item in items(&values[0])? {
        if !run.contains(&seen, values[0].is_secret(), item)? {
            seen.push(item.clone());
        }
    }
    run.list(seen)
}

fn range(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let count = whole(&values[0])?.max(0);
    run.memory(usize::try_from(count).unwrap_or(usize::MAX).saturating_mul(size_of::<Value>()))?;
    run.list((0..count).map(Value::Int).collect())
}
