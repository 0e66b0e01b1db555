//! What an expression comes to, as far as that can be told without a request.

use super::node::{LoopKind, Node, Operator, Step};
use super::variables::Variable;
use crate::value::Value;

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

/// What a strategy comes to if that is certainly nothing that can be chosen, as one says it.
pub(super) fn never_a_choice(node: &Node) -> Option<String> {
    Kind::of(node, &mut Vec::new()).wrong()
}

/// What steps of a strategy come to, as far as that matters.
#[derive(Debug, Clone)]
enum Kind {
    /// One of those to choose from.
    One,
    /// A list of something.
    List(Box<Kind>),
    /// Nothing that can be chosen.
    Other(&'static str),
    /// Whatever it may be.
    Unknown,
}

impl Kind {
    fn list(of: Self) -> Self {
        Self::List(Box::new(of))
    }

    /// What is wrong with it as the result of a strategy.
    fn wrong(&self) -> Option<String> {
        match self {
            Self::Other(kind) => Some((*kind).to_owned()),
            Self::List(of) => match &**of {
                Self::Other(kind) => Some(format!("a list, with {kind} in it")),
                Self::List(_) => Some("a list of lists".to_owned()),
                Self::One | Self::Unknown => None,
            },
            Self::One | Self::Unknown => None,
        }
    }

    fn element(self) -> Self {
        if let Self::List(of) = self { *of } else { Self::Unknown }
    }

    fn of(node: &Node, locals: &mut Vec<Self>) -> Self {
        const TRUTH: Kind = Kind::Other("true or false");
        match &node.step {
            Step::Steady { node, .. } => Self::of(node, locals),
            Step::Constant(value) => Self::of_value(value),
            Step::Local(place) => locals.get(*place).cloned().unwrap_or(Self::Unknown),
            Step::Variable(Variable { name: "ai.models" | "ai.keys", .. }) => Self::list(Self::One),
            Step::Variable(Variable { name: "ai.providers", .. }) => Self::list(Self::Other("a provider")),
            Step::Variable(Variable { name: "ai.authors", .. }) => Self::list(Self::Other("an author")),
            Step::Variable(Variable { open: false, .. }) => Self::Other("a string or a number"),
            Step::Header { .. } => Self::list(Self::Other("a string")),
            Step::HeaderValue { .. } => Self::Other("a string"),
            Step::Group(_) | Step::Map(_) => Self::Other("a map"),
            Step::Has { .. } | Step::Not(_) | Step::And(_) | Step::Or(_) => TRUTH,
            Step::Matches { .. } | Step::InRanges { .. } => TRUTH,
            Step::Negate(_) => Self::Other("a number"),
            Step::Select { operand, .. } => match Self::of(operand, locals) {
                Self::One => Self::Other("a member of one of them"),
                _ => Self::Unknown,
            },
            Step::Index { operand, .. } => Self::of(operand, locals).element(),
            Step::List(items) => {
                let mut kinds = items.iter().map(|item| Self::of(item, locals));
                Self::list(kinds.find(|kind| !matches!(kind, Self::One)).unwrap_or(Self::One))
            }
            Step::If(parts) => {
                let (yes, no) = (Self::of(&parts.1, locals), Self::of(&parts.2, locals));
                if yes.wrong().is_some() && no.wrong().is_some() { yes } else { Self::Unknown }
            }
            Step::Binary(operator, _) => match operator {
                Operator::Add => Self::Unknown,
                Operator::Subtract | Operator::Multiply | Operator::Divide | Operator::Modulo => {
                    Self::Other("a number")
                }
                _ => TRUTH,
            },
            Step::Loop(parts) => match parts.kind {
                LoopKind::All | LoopKind::Exists | LoopKind::ExistsOne => TRUTH,
                LoopKind::Filter | LoopKind::SortBy => Self::of(&parts.over, locals),
                LoopKind::Map => {
                    let of = Self::of(&parts.over, locals).element();
                    locals.push(of);
                    let made = parts.result.as_ref().map_or(Self::Unknown, |made| Self::of(made, locals));
                    locals.pop();
                    Self::list(made)
                }
            },
            Step::Call { function, arguments } => {
                let mut first = || arguments.first().map_or(Self::Unknown, |first| Self::of(first, locals));
                match function.name {
                    "only" | "ignore" | "onlyProviders" | "ignoreProviders" | "onlyAuthors"
                    | "ignoreAuthors" | "inRegion" | "inCountryCode" | "underCost" | "sortBy"
                    | "randomize" | "slice" => first(),
                    "get" | "random" => first().element(),
                    "getModel" => Self::One,
                    "getMetadata" => Self::Other("what the policy says of one of them"),
                    "size" => Self::Other("a number"),
                    "contains" | "startsWith" | "endsWith" => TRUTH,
                    _ => Self::Unknown,
                }
            }
            Step::Variable(_) => Self::Unknown,
        }
    }

    fn of_value(value: &Value) -> Self {
        match value.items() {
            Some([]) => Self::list(Self::One),
            Some([first, ..]) => Self::list(Self::of_value(first)),
            None => Self::Other(match value.kind() {
                "string" => "a string",
                "bool" => "true or false",
                "null" => "null",
                "map" => "a map",
                "int" | "uint" | "double" => "a number",
                _ => "a constant",
            }),
        }
    }
}
