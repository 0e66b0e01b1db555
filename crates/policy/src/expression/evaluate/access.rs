//! Members, places and headers.

use std::sync::Arc;

use http::HeaderMap;

use super::{Evaluation, Outcome, at, key_of};
use crate::expression::error::Failure;
use crate::expression::items;
use crate::expression::node::{HeaderKey, Node, Side};
use crate::expression::variables::missing;
use crate::value::{Key, Keys, List, Value};

impl<'a> Evaluation<'a> {
    fn headers(&self, side: Side) -> Result<&'a HeaderMap, Failure> {
        match side {
            Side::Request => self.facts.request.map(|request| request.headers).ok_or(missing::REQUEST),
            Side::Response => self.facts.response.map(|response| response.headers).ok_or(missing::RESPONSE),
        }
    }

    /// The values of a header, in order.
    fn header_texts(
        &mut self,
        side: Side,
        name: &HeaderKey,
        node: &Node,
    ) -> Result<impl Iterator<Item = &'a http::HeaderValue>, super::EvaluationError> {
        let headers = self.headers(side).map_err(at(node))?;
        let values = match name {
            HeaderKey::Known(name) => name.as_ref().map(|name| headers.get_all(name)),
            HeaderKey::Computed(name) => {
                let name = self.run(name)?;
                let name =
                    name.as_str().ok_or_else(|| Failure::wrong_type("string", &name)).map_err(at(node))?;
                self.reading(name.len()).map_err(at(node))?;
                http::HeaderName::from_bytes(name.as_bytes()).ok().map(|name| headers.get_all(name))
            }
        };
        Ok(values.into_iter().flatten())
    }

    pub(super) fn header(&mut self, side: Side, name: &HeaderKey, node: &Node) -> Outcome {
        let values = self.header_texts(side, name, node)?;
        let texts: Vec<Value> = values.map(readable).collect();
        let read = texts.iter().filter_map(Value::as_str).map(str::len).sum();
        self.memory(read).map_err(at(node))?;
        Ok(Value::List(Arc::new(List::with_absent(texts, Keys::Headers.absent()))))
    }

    pub(super) fn header_value(
        &mut self,
        side: Side,
        name: &HeaderKey,
        place: usize,
        node: &Node,
    ) -> Outcome {
        let value = self.header_texts(side, name, node)?.nth(place);
        self.memory(value.map_or(0, |value| value.len())).map_err(at(node))?;
        Ok(value.map_or_else(|| Value::text(""), readable))
    }

    pub(super) fn select(&mut self, mut value: Value, fields: &[Key]) -> Result<Value, Failure> {
        let mut fields = fields;
        while let Some((field, rest)) = fields.split_first() {
            self.work(1)?;
            value = match &value {
                Value::Map(map) => map.at(field).ok_or_else(|| nothing(field))?,
                Value::Item(item) => {
                    // Metrics and prices are looked up by the whole of the path.
                    let (member, used) = items::member(*item, fields, self.facts)?;
                    self.work(4 + member.weight() as usize / 64)?;
                    fields = &fields[used..];
                    value = member;
                    continue;
                }
                other => return Err(Failure::wrong_type("map", other)),
            };
            fields = rest;
        }
        Ok(value)
    }

    pub(super) fn has(&mut self, operand: &Node, field: Option<&Key>, node: &Node) -> Outcome {
        let value = self.run(operand)?;
        let there = match (&value, field) {
            (Value::Map(map), Some(field)) => map.get(field).is_some(),
            (Value::Item(item), Some(field)) => items::has(*item, field, self.facts).map_err(at(node))?,
            (other, Some(_)) => return Err(at(node)(Failure::wrong_type("map", other))),
            (Value::Text(text), None) => !text.is_empty(),
            (Value::Map(map), None) => !map.is_empty(),
            (Value::List(list), None) => !list.items().is_empty(),
            (value, None) => !matches!(value, Value::Null),
        };
        Ok(Value::Bool(there))
    }

    pub(super) fn index(&mut self, operand: &Value, index: &Value) -> Result<Value, Failure> {
        match operand {
            Value::List(list) => {
                let place = match index {
                    Value::Int(place) => usize::try_from(*place).ok(),
                    Value::Uint(place) => usize::try_from(*place).ok(),
                    Value::Double(place) if place.fract() == 0.0 && *place >= 0.0 => Some(*place as usize),
                    other => return Err(Failure::wrong_type("int as place in a list", other)),
                };
                place.and_then(|place| list.at(place)).ok_or(Failure::OutOfRange)
            }
            Value::Map(map) => {
                let key = key_of(index)?;
                map.at(&key).ok_or(Failure::NoSuchKey)
            }
            Value::Item(item) => {
                let key = key_of(index)?;
                Ok(items::member(*item, &[key], self.facts)?.0)
            }
            other => Err(Failure::wrong_type("list or map", other)),
        }
    }
}

/// What a map has not, by its name.
fn nothing(field: &Key) -> Failure {
    match field {
        Key::Text(name) => Failure::NoSuchMember(name.clone()),
        _ => Failure::NoSuchKey,
    }
}

fn readable(value: &http::HeaderValue) -> Value {
    match value.to_str() {
        Ok(text) => Value::text(text),
        Err(_) => Value::text(String::from_utf8_lossy(value.as_bytes()).as_ref()),
    }
}
