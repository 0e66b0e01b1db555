//! Equality and order. Equality walks lists and maps to their end once a secret is in them: how long it
//! takes then tells how long they are, and nothing else.

use std::cmp::Ordering;

use super::Evaluation;
use crate::expression::error::Failure;
use crate::value::Value;

impl Evaluation<'_> {
    /// `==`, which never fails for what it compares: things of different kinds are different.
    pub(in crate::expression) fn equal(&mut self, one: &Value, other: &Value) -> Result<bool, Failure> {
        self.work(1)?;
        match (one, other) {
            (Value::Text(one), Value::Text(other)) => {
                self.reading(one.len().min(other.len()))?;
                Ok(one.same(other))
            }
            (Value::Bytes(one), Value::Bytes(other)) => {
                self.reading(one.len().min(other.len()))?;
                Ok(one == other)
            }
            (Value::List(list), Value::List(others)) => {
                let (items, others) = (list.items(), others.items());
                if items.len() != others.len() {
                    return Ok(false);
                }
                let to_the_end = one.is_secret() || other.is_secret();
                let mut equal = true;
                for (one, other) in items.iter().zip(others) {
                    equal &= self.equal(one, other)?;
                    if !equal && !to_the_end {
                        break;
                    }
                }
                Ok(equal)
            }
            (Value::Map(map), Value::Map(others)) => {
                if map.len() != others.len() {
                    return Ok(false);
                }
                let to_the_end = one.is_secret() || other.is_secret();
                let mut equal = true;
                for ((key, one), (other_key, other)) in map.entries().zip(others.entries()) {
                    equal &= key == other_key && self.equal(one, other)?;
                    if !equal && !to_the_end {
                        break;
                    }
                }
                Ok(equal)
            }
            _ => Ok(one.same(other)),
        }
    }

    /// Whether a list has an item. With a secret among what is compared, all of it is.
    pub(in crate::expression) fn contains(
        &mut self,
        items: &[Value],
        secrets: bool,
        item: &Value,
    ) -> Result<bool, Failure> {
        let to_the_end = secrets || item.is_secret();
        let mut found = false;
        for each in items {
            found |= self.equal(each, item)?;
            if found && !to_the_end {
                break;
            }
        }
        Ok(found)
    }

    /// How two values stand to each other, if they are of kinds that have an order; `None` for NaN.
    pub(in crate::expression) fn order(
        &mut self,
        one: &Value,
        other: &Value,
    ) -> Result<Option<Ordering>, Failure> {
        self.work(1)?;
        match (one, other) {
            (Value::Text(one), Value::Text(other)) => {
                self.reading(one.len().min(other.len()))?;
                Ok(Some(one.as_str().cmp(other.as_str())))
            }
            (Value::Bytes(one), Value::Bytes(other)) => {
                self.reading(one.len().min(other.len()))?;
                Ok(Some(one.cmp(other)))
            }
            (Value::Bool(one), Value::Bool(other)) => Ok(Some(one.cmp(other))),
            (Value::Timestamp(one), Value::Timestamp(other)) => Ok(Some(one.cmp(other))),
            (Value::Duration(one), Value::Duration(other)) => Ok(Some(one.cmp(other))),
            (
                Value::Int(_) | Value::Uint(_) | Value::Double(_),
                Value::Int(_) | Value::Uint(_) | Value::Double(_),
            ) => Ok(one.order_of_numbers(other)),
            _ => Err(Failure::NoOperator { operator: "<", left: one.kind(), right: other.kind() }),
        }
    }
}
