//! The filter of lists: a small part of CEL over `obj`, the thing as it is shown. Comparisons, `in`,
//! `&&`, `||`, `!`, `size()`, `timestamp()` and its `add` and `subtract`; nothing that could take long.

mod parse;

use serde_json::Value;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

/// The longest filter, in bytes.
const LONGEST: usize = 4096;

/// Which things are meant.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    expression: Expression,
    now: OffsetDateTime,
}

#[derive(Debug, Clone)]
enum Expression {
    Literal(Operand),
    /// A field of `obj`, by its names from outside in.
    Field(Vec<String>),
    Now,
    List(Vec<Expression>),
    Not(Box<Expression>),
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
    Compared(Comparison, Box<Expression>, Box<Expression>),
    Size(Box<Expression>),
    Timestamp(Box<Expression>),
    Shifted(Box<Expression>, Duration),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
}

/// What an expression comes to.
#[derive(Debug, Clone, PartialEq)]
enum Operand {
    Nothing,
    Truth(bool),
    Number(f64),
    Text(String),
    Moment(OffsetDateTime),
    List(Vec<Operand>),
}

impl Filter {
    /// Reads an expression, or says what it lacks.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("it is longer than {LONGEST} bytes"));
        }
        Ok(Self { expression: parse::expression(text)?, now: OffsetDateTime::now_utc() })
    }

    /// Whether this thing is meant. What cannot be compared does not fit.
    pub(super) fn fits(&self, object: &Value) -> bool {
        self.value(&self.expression, object) == Operand::Truth(true)
    }

    fn value(&self, expression: &Expression, object: &Value) -> Operand {
        let value = |expression: &Expression| self.value(expression, object);
        match expression {
            Expression::Literal(operand) => operand.clone(),
            Expression::Now => Operand::Text(self.now.format(&Rfc3339).unwrap_or_default()),
            Expression::Field(names) => {
                let field = names.iter().try_fold(object, |object, name| object.get(name));
                field.map_or(Operand::Nothing, operand)
            }
            Expression::List(entries) => Operand::List(entries.iter().map(value).collect()),
            Expression::Not(inner) => match value(inner) {
                Operand::Truth(truth) => Operand::Truth(!truth),
                _ => Operand::Nothing,
            },
            Expression::And(one, other) => {
                Operand::Truth(value(one) == Operand::Truth(true) && value(other) == Operand::Truth(true))
            }
            Expression::Or(one, other) => {
                Operand::Truth(value(one) == Operand::Truth(true) || value(other) == Operand::Truth(true))
            }
            Expression::Compared(comparison, one, other) => {
                comparison.holds(&value(one), &value(other)).map_or(Operand::Nothing, Operand::Truth)
            }
            Expression::Size(inner) => match value(inner) {
                Operand::Text(text) => Operand::Number(text.chars().count() as f64),
                Operand::List(entries) => Operand::Number(entries.len() as f64),
                _ => Operand::Nothing,
            },
            Expression::Timestamp(inner) => match value(inner) {
                Operand::Text(text) => {
                    OffsetDateTime::parse(&text, &Rfc3339).map_or(Operand::Nothing, Operand::Moment)
                }
                moment @ Operand::Moment(_) => moment,
                _ => Operand::Nothing,
            },
            Expression::Shifted(inner, by) => match value(inner) {
                Operand::Moment(at) => at.checked_add(*by).map_or(Operand::Nothing, Operand::Moment),
                _ => Operand::Nothing,
            },
        }
    }
}

impl Comparison {
    /// Nothing where the two cannot be compared.
    fn holds(self, one: &Operand, other: &Operand) -> Option<bool> {
        let order = match (one, other) {
            (Operand::Number(one), Operand::Number(other)) => one.partial_cmp(other),
            (Operand::Text(one), Operand::Text(other)) => Some(one.cmp(other)),
            (Operand::Moment(one), Operand::Moment(other)) => Some(one.cmp(other)),
            _ => None,
        };
        match self {
            Self::Equal => Some(one == other),
            Self::Unequal => Some(one != other),
            Self::Less => order.map(|order| order.is_lt()),
            Self::LessOrEqual => order.map(|order| order.is_le()),
            Self::Greater => order.map(|order| order.is_gt()),
            Self::GreaterOrEqual => order.map(|order| order.is_ge()),
            Self::In => match other {
                Operand::List(entries) => Some(entries.contains(one)),
                _ => None,
            },
        }
    }
}

fn operand(value: &Value) -> Operand {
    match value {
        Value::Null | Value::Object(_) => Operand::Nothing,
        Value::Bool(truth) => Operand::Truth(*truth),
        Value::Number(number) => number.as_f64().map_or(Operand::Nothing, Operand::Number),
        Value::String(text) => Operand::Text(text.clone()),
        Value::Array(entries) => Operand::List(entries.iter().map(operand).collect()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fits(filter: &str) -> bool {
        let created = OffsetDateTime::now_utc() - Duration::days(2);
        let object = json!({
            "id": "ep_1", "description": "it's \"mine\"", "pooling_enabled": false, "bindings": ["public"],
            "created_at": created.format(&Rfc3339).unwrap(), "vault": {"id": "vault_1"}, "count": 3,
        });
        Filter::parse(filter).unwrap().fits(&object)
    }

    #[test]
    fn a_filter_says_which_things_are_meant() {
        for filter in [
            "obj.id == 'ep_1'",
            "obj.id in ['ep_1', \"ep_2\"] && !obj.pooling_enabled",
            "obj.description == 'it\\'s \"mine\"'",
            "'public' in obj.bindings || obj.count > 100",
            "size(obj.bindings) == 1 && size(obj.id) >= 4",
            "obj.vault.id != 'vault_2' && (obj.count >= 3 && obj.count < 3.5)",
            "timestamp(obj.created_at) > timestamp(time.now).subtract('7d')",
            "timestamp(obj.created_at) <= timestamp(time.now).add(\"-36h\")",
            "timestamp(obj.created_at) > timestamp('2020-01-01T00:00:00Z')",
            "obj.missing == null",
        ] {
            assert!(fits(filter), "{filter}");
        }
        for filter in [
            "obj.id == 'ep_2'",
            "obj.id",
            "obj.id > 3",
            "!(obj.id > 3)",
            "obj.id in 'ep_1'",
            "timestamp(obj.created_at) > timestamp(time.now).subtract('1d')",
        ] {
            assert!(!fits(filter), "{filter}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let deep = format!("{}true{}", "(".repeat(1000), ")".repeat(1000));
        let negated = "!".repeat(2000) + "true";
        for filter in [
            "",
            "obj.",
            "other.id == 1",
            "obj.id ==",
            "obj.id == 'x",
            "obj.id = 'x'",
            "1 + 1 == 2",
            "obj.id.matches('x')",
            "obj[0]",
            "true ? true : false",
            "size()",
            "timestamp(time.now).add(7)",
            "timestamp(time.now).add('7y')",
            "true true",
            &deep,
            &negated,
            &"x".repeat(5000),
        ] {
            assert!(Filter::parse(filter).is_err(), "{filter}");
        }
    }
}
