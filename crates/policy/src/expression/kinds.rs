//! What an expression comes to, as far as that can be told without a request.

use super::node::{LoopKind, Node, Operator, Step};
use super::variables::Variable;

/// What steps come to if it is certainly neither true nor false, as one says it.
pub(super) fn never_a_condition(node: &Node) -> Option<&'static str> {
    match &node.step {
        Step::Constant(value) => Some(value.kind()).filter(|kind| *kind != "bool"),
        Step::Header { .. } => Some("a list of values"),
        Step::HeaderValue { .. } => Some("a string"),
        Step::Group(_) | Step::Map(_) => Some("a map"),
        Step::Variable(Variable { name, .. }) if name.rsplit('.').next()?.starts_with("is_") => None,
        Step::Variable(Variable { open: false, .. }) => Some("a string or a number"),
        Step::Variable(_) => Some("a list or a map"),
        Step::List(_) => Some("a list"),
        Step::Negate(_) => Some("a number"),
        Step::Loop(parts) if matches!(parts.kind, LoopKind::Filter | LoopKind::Map | LoopKind::SortBy) => {
            Some("a list")
        }
        Step::If(parts) => never_a_condition(&parts.1).and(never_a_condition(&parts.2)),
        Step::Binary(operator, _) => matches!(
            operator,
            Operator::Add | Operator::Subtract | Operator::Multiply | Operator::Divide | Operator::Modulo
        )
        .then_some("the result of a calculation"),
        _ => None,
    }
}
