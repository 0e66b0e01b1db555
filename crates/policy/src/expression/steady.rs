//! Parts of a strategy that come to the same for every request as long as there are the same models: they depend
//! on no metric, no chance, no clock and nothing that a caller sent. They are computed once.

use super::functions::Function;
use super::node::{Node, Step};
use super::scope::Namespace;
use crate::facts::MOST_REMEMBERED;
use crate::value::{Key, Value};

/// What a model has and does not keep.
const METRICS: &str = "metrics";

/// Functions that depend on nothing but their arguments, of those that strategies are likely to call on what
/// models have.
const PURE: &[&str] = &[
    "contains",
    "endsWith",
    "startsWith",
    "size",
    "lower",
    "upper",
    "lowerAscii",
    "upperAscii",
    "trim",
    "split",
    "join",
    "int",
    "double",
    "string",
    "distinct",
    "slice",
];

/// Marks the largest parts that are steady, outside of loops: what stands in them may depend on their variables.
pub(super) fn mark(node: &mut Node, next: &mut usize) {
    if *next >= MOST_REMEMBERED {
        return;
    }
    let is_work = matches!(node.step, Step::Variable(_) | Step::Call { .. } | Step::Loop(_));
    if is_work && is_steady(node) {
        let range = node.range;
        let inner = std::mem::replace(node, Node { step: Step::Constant(Value::Null), range });
        node.step = Step::Steady { node: Box::new(inner), part: *next };
        *next += 1;
        return;
    }
    match &mut node.step {
        Step::Select { operand, .. } | Step::Has { operand, .. } => mark(operand, next),
        Step::Not(operand) | Step::Negate(operand) => mark(operand, next),
        Step::Index { operand, index } => [operand, index].into_iter().for_each(|node| mark(node, next)),
        Step::List(items) => items.iter_mut().for_each(|item| mark(item, next)),
        Step::Call { arguments, .. } => arguments.iter_mut().for_each(|argument| mark(argument, next)),
        Step::And(both) | Step::Or(both) | Step::Binary(_, both) => {
            [&mut both.0, &mut both.1].into_iter().for_each(|node| mark(node, next));
        }
        Step::If(parts) => {
            [&mut parts.0, &mut parts.1, &mut parts.2].into_iter().for_each(|node| mark(node, next));
        }
        Step::Loop(parts) => mark(&mut parts.over, next),
        _ => {}
    }
}

fn is_steady(node: &Node) -> bool {
    let is_metrics = |key: &Key| matches!(key, Key::Text(name) if **name == *METRICS);
    match &node.step {
        Step::Constant(_) | Step::Local(_) => true,
        Step::Variable(variable) => variable.namespace == Namespace::Models,
        Step::Select { operand, fields } => is_steady(operand) && !fields.iter().any(is_metrics),
        Step::Has { operand, field } => is_steady(operand) && !field.as_ref().is_some_and(is_metrics),
        // A name that is computed may be that of the metrics.
        Step::Index { operand, index } => {
            is_steady(operand) && matches!(index.constant(), Some(Value::Int(_) | Value::Uint(_)))
        }
        Step::List(items) => items.iter().all(is_steady),
        Step::Not(operand) | Step::Negate(operand) => is_steady(operand),
        Step::And(both) | Step::Or(both) | Step::Binary(_, both) => is_steady(&both.0) && is_steady(&both.1),
        Step::If(parts) => is_steady(&parts.0) && is_steady(&parts.1) && is_steady(&parts.2),
        Step::Loop(parts) => is_steady(&parts.over) && parts.test.iter().chain(&parts.result).all(is_steady),
        Step::Call { function, arguments } => is_pure(function) && arguments.iter().all(is_steady),
        Step::Matches { text, .. } => is_steady(text),
        _ => false,
    }
}

fn is_pure(function: &Function) -> bool {
    function.namespace == Some(Namespace::Models) || PURE.contains(&function.name)
}
