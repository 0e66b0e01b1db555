//! Operators with two sides.

use std::cmp::Ordering;

use time::{Duration, OffsetDateTime};

use super::{Evaluation, key_of};
use crate::expression::error::Failure;
use crate::expression::node::Operator;
use crate::value::Value;

impl Evaluation<'_> {
    pub(super) fn binary(
        &mut self,
        operator: Operator,
        left: &Value,
        right: &Value,
    ) -> Result<Value, Failure> {
        let ordered = |this: &mut Self, holds: fn(Ordering) -> bool| {
            let order = this.order(left, right).map_err(|failure| match failure {
                Failure::NoOperator { left, right, .. } => {
                    Failure::NoOperator { operator: operator.sign(), left, right }
                }
                other => other,
            })?;
            Ok(Value::Bool(order.is_some_and(holds)))
        };
        match operator {
            Operator::Equal => self.equal(left, right).map(Value::Bool),
            Operator::NotEqual => self.equal(left, right).map(|equal| Value::Bool(!equal)),
            Operator::Less => ordered(self, Ordering::is_lt),
            Operator::LessOrEqual => ordered(self, Ordering::is_le),
            Operator::Greater => ordered(self, Ordering::is_gt),
            Operator::GreaterOrEqual => ordered(self, Ordering::is_ge),
            Operator::In => self.is_in(left, right).map(Value::Bool),
            Operator::Add => self.add(left, right),
            _ => arithmetic(operator, left, right),
        }
    }

    fn is_in(&mut self, item: &Value, container: &Value) -> Result<bool, Failure> {
        match container {
            Value::List(list) => self.contains(list.items(), container.is_secret(), item),
            Value::Map(map) => Ok(map.get(&key_of(item)?).is_some()),
            // Written by people who come from other languages, and meant so.
            Value::Text(text) => {
                let part = item.as_str().ok_or(Failure::wrong_type("string", item))?;
                self.reading(text.len())?;
                Ok(text.as_str().contains(part))
            }
            other => Err(Failure::NoOperator { operator: "in", left: item.kind(), right: other.kind() }),
        }
    }

    fn add(&mut self, left: &Value, right: &Value) -> Result<Value, Failure> {
        match (left, right) {
            (Value::Text(one), Value::Text(other)) => {
                let length = one.len() + other.len();
                self.memory(length)?;
                let mut text = String::with_capacity(length);
                text.push_str(one.as_str());
                text.push_str(other.as_str());
                Ok(Value::Text(crate::value::Text::new(text, one.is_secret() || other.is_secret())))
            }
            (Value::Bytes(one), Value::Bytes(other)) => {
                self.memory(one.len() + other.len())?;
                Ok(Value::Bytes([&**one, &**other].concat().into()))
            }
            (Value::List(one), Value::List(other)) => {
                let length = one.items().len() + other.items().len();
                self.work(length / 8)?;
                if length > crate::value::HEAVIEST as usize / 16 {
                    return Err(Failure::TooLarge);
                }
                self.list([one.items(), other.items()].concat())
            }
            _ => arithmetic(Operator::Add, left, right),
        }
    }
}

fn arithmetic(operator: Operator, left: &Value, right: &Value) -> Result<Value, Failure> {
    match (left, right) {
        (Value::Int(one), Value::Int(other)) => ints(operator, *one, *other),
        (Value::Uint(one), Value::Uint(other)) => uints(operator, *one, *other),
        (Value::Double(one), Value::Double(other)) => doubles(operator, *one, *other, left, right),
        // Stricter languages refuse these; metrics are of all kinds, and nobody remembers of which.
        (Value::Double(one), Value::Int(other)) => doubles(operator, *one, *other as f64, left, right),
        (Value::Int(one), Value::Double(other)) => doubles(operator, *one as f64, *other, left, right),
        (Value::Double(one), Value::Uint(other)) => doubles(operator, *one, *other as f64, left, right),
        (Value::Uint(one), Value::Double(other)) => doubles(operator, *one as f64, *other, left, right),
        (Value::Int(one), Value::Uint(other)) => {
            ints(operator, *one, i64::try_from(*other).map_err(|_| Failure::Overflow)?)
        }
        (Value::Uint(one), Value::Int(other)) => {
            ints(operator, i64::try_from(*one).map_err(|_| Failure::Overflow)?, *other)
        }
        _ => times(operator, left, right),
    }
}

fn ints(operator: Operator, one: i64, other: i64) -> Result<Value, Failure> {
    let result = match operator {
        Operator::Add => one.checked_add(other),
        Operator::Subtract => one.checked_sub(other),
        Operator::Multiply => one.checked_mul(other),
        _ if other == 0 => return Err(Failure::DivisionByZero),
        Operator::Divide => one.checked_div(other),
        _ => one.checked_rem(other),
    };
    result.map(Value::Int).ok_or(Failure::Overflow)
}

fn uints(operator: Operator, one: u64, other: u64) -> Result<Value, Failure> {
    let result = match operator {
        Operator::Add => one.checked_add(other),
        Operator::Subtract => one.checked_sub(other),
        Operator::Multiply => one.checked_mul(other),
        _ if other == 0 => return Err(Failure::DivisionByZero),
        Operator::Divide => one.checked_div(other),
        _ => one.checked_rem(other),
    };
    result.map(Value::Uint).ok_or(Failure::Overflow)
}

fn doubles(operator: Operator, one: f64, other: f64, left: &Value, right: &Value) -> Result<Value, Failure> {
    Ok(Value::Double(match operator {
        Operator::Add => one + other,
        Operator::Subtract => one - other,
        Operator::Multiply => one * other,
        Operator::Divide => one / other,
        _ => {
            let (left, right) = (left.kind(), right.kind());
            return Err(Failure::NoOperator { operator: operator.sign(), left, right });
        }
    }))
}

/// Moments and lengths of time.
fn times(operator: Operator, left: &Value, right: &Value) -> Result<Value, Failure> {
    let moment = |at: Option<OffsetDateTime>| at.map(Value::Timestamp).ok_or(Failure::Overflow);
    let length = |length: Option<Duration>| length.map(Value::Duration).ok_or(Failure::Overflow);
    match (operator, left, right) {
        (Operator::Add, Value::Timestamp(at), Value::Duration(by))
        | (Operator::Add, Value::Duration(by), Value::Timestamp(at)) => moment(at.checked_add(*by)),
        (Operator::Subtract, Value::Timestamp(at), Value::Duration(by)) => moment(at.checked_sub(*by)),
        (Operator::Subtract, Value::Timestamp(one), Value::Timestamp(other)) => {
            Ok(Value::Duration(*one - *other))
        }
        (Operator::Add, Value::Duration(one), Value::Duration(other)) => length(one.checked_add(*other)),
        (Operator::Subtract, Value::Duration(one), Value::Duration(other)) => length(one.checked_sub(*other)),
        _ => {
            let (left, right) = (left.kind(), right.kind());
            Err(Failure::NoOperator { operator: operator.sign(), left, right })
        }
    }
}

pub(super) fn negate(operand: &Value) -> Result<Value, Failure> {
    match operand {
        Value::Int(number) => number.checked_neg().map(Value::Int).ok_or(Failure::Overflow),
        Value::Double(number) => Ok(Value::Double(-number)),
        Value::Duration(length) => {
            Duration::ZERO.checked_sub(*length).map(Value::Duration).ok_or(Failure::Overflow)
        }
        other => Err(Failure::wrong_type("number", other)),
    }
}
