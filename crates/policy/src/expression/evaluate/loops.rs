//! `all`, `exists`, `exists_one`, `filter`, `map` and `sortBy`.

use std::cmp::Ordering;

use super::{Evaluation, EvaluationError, Outcome, at};
use crate::expression::error::Failure;
use crate::expression::node::{Loop, LoopKind, Node};
use crate::value::Value;

impl Evaluation<'_> {
    pub(super) fn each(&mut self, parts: &Loop, node: &Node) -> Outcome {
        let over = self.run(&parts.over)?;
        let keys;
        let items = match &over {
            Value::List(list) => list.items(),
            Value::Map(map) => {
                self.work(map.len()).map_err(at(node))?;
                keys = map.entries().map(|(key, _)| key.to_value()).collect::<Vec<_>>();
                &keys
            }
            other => return Err(at(&parts.over)(Failure::wrong_type("list or map", other))),
        };
        match parts.kind {
            LoopKind::All => self.decided(parts, items, false),
            LoopKind::Exists => self.decided(parts, items, true),
            LoopKind::ExistsOne => self.exists_one(parts, items),
            LoopKind::Filter => {
                let mut kept = Vec::new();
                for item in items {
                    if self.tested(parts, item)? {
                        kept.push(item.clone());
                    }
                }
                self.list(kept).map_err(at(node))
            }
            LoopKind::Map => {
                let mut made = Vec::new();
                for item in items {
                    if parts.test.is_none() || self.tested(parts, item)? {
                        // Counted one by one: what is made adds up before there is a list of it.
                        self.memory(size_of::<Value>()).map_err(at(node))?;
                        made.push(self.result(parts, item)?);
                    }
                }
                self.list(made).map_err(at(node))
            }
            LoopKind::SortBy => {
                let mut keyed = Vec::with_capacity(items.len());
                for item in items {
                    keyed.push((self.result(parts, item)?, item.clone()));
                }
                self.sorted(keyed).map_err(at(node))
            }
        }
    }

    /// `all` and `exists`: the first item that decides does so, whatever became of those before it.
    fn decided(&mut self, parts: &Loop, items: &[Value], decisive: bool) -> Outcome {
        let mut failed = None;
        for item in items {
            match self.tested(parts, item) {
                Ok(value) if value == decisive => return Ok(Value::Bool(decisive)),
                Err(error) if !error.failure.may_be_outvoted() => return Err(error),
                Err(error) => failed = failed.or(Some(error)),
                Ok(_) => {}
            }
        }
        failed.map_or(Ok(Value::Bool(!decisive)), Err)
    }

    fn exists_one(&mut self, parts: &Loop, items: &[Value]) -> Outcome {
        let mut found = 0;
        for item in items {
            found += usize::from(self.tested(parts, item)?);
        }
        Ok(Value::Bool(found == 1))
    }

    fn tested(&mut self, parts: &Loop, item: &Value) -> Result<bool, EvaluationError> {
        let Some(test) = &parts.test else { return Ok(true) };
        self.with_local(item.clone(), |this| this.condition(test))
    }

    fn result(&mut self, parts: &Loop, item: &Value) -> Outcome {
        let Some(result) = &parts.result else { return Ok(item.clone()) };
        self.with_local(item.clone(), |this| this.run(result))
    }

    /// Values in the order of their keys; equal ones stay in theirs. What cannot be compared with the
    /// first key cannot be sorted.
    pub(in crate::expression) fn sorted(&mut self, mut keyed: Vec<(Value, Value)>) -> Result<Value, Failure> {
        for at in 1..keyed.len() {
            let (before, after) = keyed.split_at(at);
            // NaN is in no order with anything, and comes last.
            self.order(&before[0].0, &after[0].0)?;
        }
        let comparisons = keyed.len() * (usize::BITS - keyed.len().leading_zeros()) as usize;
        self.work(comparisons)?;
        let longest = keyed.iter().map(|(key, _)| key.weight() as usize).max().unwrap_or_default();
        self.reading(comparisons.saturating_mul(longest))?;
        keyed.sort_by(|(one, _), (other, _)| order(one, other));
        self.list(keyed.into_iter().map(|(_, value)| value).collect())
    }
}

/// An order of everything that may be in one list of keys: a sort must not meet a contradiction.
fn order(one: &Value, other: &Value) -> Ordering {
    match (one, other) {
        (Value::Text(one), Value::Text(other)) => one.as_str().cmp(other.as_str()),
        (Value::Bytes(one), Value::Bytes(other)) => one.cmp(other),
        (Value::Bool(one), Value::Bool(other)) => one.cmp(other),
        (Value::Timestamp(one), Value::Timestamp(other)) => one.cmp(other),
        (Value::Duration(one), Value::Duration(other)) => one.cmp(other),
        _ => {
            let not_a_number = |value: &Value| matches!(value, Value::Double(number) if number.is_nan());
            one.order_of_numbers(other).unwrap_or_else(|| not_a_number(one).cmp(&not_a_number(other)))
        }
    }
}
