//! Reads a JSON document that a person or their client wrote, and reports every mistake in it at
//! once, each with its path, instead of the first one alone.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// One thing that is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where, such as `["body", "otel", "0", "url"]`.
    pub path: Vec<String>,
    /// What was expected there.
    pub message: String,
}

/// A document in which numbers are as they were written: one that a float would not keep is a text
/// instead.
#[derive(Debug, Clone, PartialEq)]
pub struct Exact(pub Value);

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        exact(raw.get(), DEEPEST).map(Self).map_err(serde::de::Error::custom)
    }
}

/// How deep objects and lists may lie in each other; serde_json bounds its own values likewise.
const DEEPEST: u8 = 127;

fn exact(text: &str, depth: u8) -> serde_json::Result<Value> {
    let deeper = || depth.checked_sub(1).ok_or_else(|| serde::de::Error::custom("the document is too deep"));
    Ok(match text.as_bytes().first() {
        Some(b'{') => {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(text)?;
            let depth = deeper()?;
            let members = members.into_iter().map(|(name, raw)| Ok((name, exact(raw.get(), depth)?)));
            Value::Object(members.collect::<serde_json::Result<_>>()?)
        }
        Some(b'[') => {
            let elements: Vec<&RawValue> = serde_json::from_str(text)?;
            let depth = deeper()?;
            let elements = elements.into_iter().map(|raw| exact(raw.get(), depth));
            Value::Array(elements.collect::<serde_json::Result<_>>()?)
        }
        _ => match serde_json::from_str(text)? {
            Value::Number(number) if number.to_string() != text => Value::String(text.to_owned()),
            value => value,
        },
    })
}

/// An object under reading: members are asked for by name, and what nobody asked for is a mistake.
#[derive(Debug)]
pub struct Document<'a> {
    object: &'a Map<String, Value>,
    path: Vec<String>,
    asked_for: Vec<&'static str>,
    mistakes: Vec<Mistake>,
}

/// Reads the object that `body` should be.
pub fn read<T>(
    body: &Value,
    members: impl FnOnce(&mut Document<'_>) -> Option<T>,
) -> Result<T, Vec<Mistake>> {
    let mut mistakes = Vec::new();
    match (object(body, &["body".to_owned()], &mut mistakes, members), mistakes.is_empty()) {
        (Some(read), true) => Ok(read),
        _ => Err(mistakes),
    }
}

fn object<T>(
    value: &Value,
    path: &[String],
    mistakes: &mut Vec<Mistake>,
    members: impl FnOnce(&mut Document<'_>) -> Option<T>,
) -> Option<T> {
    let Value::Object(object) = value else {
        mistakes.push(Mistake { path: path.to_vec(), message: "must be an object".to_owned() });
        return None;
    };
    let mut document =
        Document { object, path: path.to_vec(), asked_for: Vec::new(), mistakes: std::mem::take(mistakes) };
    let read = members(&mut document);
    for name in object.keys().filter(|name| !document.asked_for.contains(&name.as_str())) {
        document
            .mistakes
            .push(Mistake { path: below(path, name), message: format!("`{name}` is not a known field") });
    }
    *mistakes = document.mistakes;
    read
}

impl<'a> Document<'a> {
    /// A member that must be there.
    pub fn required<T>(
        &mut self,
        name: &'static str,
        value: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        match self.member(name) {
            Some(member) => self.understood(name, value(member)),
            None => {
                self.mistake(name, format!("`{name}` is required"));
                None
            }
        }
    }

    /// A member that has a default.
    pub fn optional<T>(
        &mut self,
        name: &'static str,
        default: T,
        value: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        match self.member(name) {
            Some(member) => self.understood(name, value(member)),
            None => Some(default),
        }
    }

    /// A member that is an object; absent and null are the same. It is kept as it is once its
    /// members have been read.
    pub fn kept_object(
        &mut self,
        name: &'static str,
        members: impl FnOnce(&mut Document<'_>),
    ) -> Option<Value> {
        let member = self.member(name).filter(|member| !member.is_null())?;
        object(member, &below(&self.path, name), &mut self.mistakes, |document| {
            members(document);
            Some(())
        })?;
        Some(member.clone())
    }

    /// A member that is a list of objects; absent and null are the same.
    pub fn kept_list(
        &mut self,
        name: &'static str,
        at_most: usize,
        mut members: impl FnMut(&mut Document<'_>),
    ) -> Option<Vec<Value>> {
        let member = self.member(name).filter(|member| !member.is_null())?;
        let Some(list) = member.as_array().filter(|list| list.len() <= at_most) else {
            self.mistake(name, format!("`{name}` must be a list of at most {at_most} objects"));
            return None;
        };
        let path = below(&self.path, name);
        for (index, element) in list.iter().enumerate() {
            object(element, &below(&path, &index.to_string()), &mut self.mistakes, |document| {
                members(document);
                Some(())
            });
        }
        Some(list.clone())
    }

    /// A member that is an object; absent and null are `None`.
    pub fn object<T>(
        &mut self,
        name: &'static str,
        members: impl FnOnce(&mut Document<'_>) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.member(name).filter(|member| !member.is_null()) {
            None => Some(None),
            Some(member) => object(member, &below(&self.path, name), &mut self.mistakes, members).map(Some),
        }
    }

    /// A member that is a list of objects; absent and null are empty.
    pub fn list<T>(
        &mut self,
        name: &'static str,
        at_most: usize,
        mut members: impl FnMut(&mut Document<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Some(member) = self.member(name).filter(|member| !member.is_null()) else {
            return Some(Vec::new());
        };
        let Some(list) = member.as_array().filter(|list| list.len() <= at_most) else {
            self.mistake(name, format!("`{name}` must be a list of at most {at_most} objects"));
            return None;
        };
        let path = below(&self.path, name);
        let read = list.iter().enumerate().map(|(index, element)| {
            object(element, &below(&path, &index.to_string()), &mut self.mistakes, &mut members)
        });
        // All are read before one that could not be ends the reading.
        read.collect::<Vec<Option<T>>>().into_iter().collect()
    }

    /// A member that is an object whose own members carry any name; absent and null are empty.
    pub fn values_of<T>(
        &mut self,
        name: &'static str,
        mut value: impl FnMut(&Value) -> Result<T, String>,
    ) -> BTreeMap<String, T> {
        let mut read = BTreeMap::new();
        let Some(Value::Object(map)) = self.member(name) else {
            self.each_of(name, |_| Ok(()));
            return read;
        };
        for (key, element) in map {
            match value(element) {
                Ok(value) => drop(read.insert(key.clone(), value)),
                Err(expected) => {
                    let path = below(&below(&self.path, name), key);
                    self.mistakes.push(Mistake { path, message: format!("`{key}` {expected}") });
                }
            }
        }
        read
    }

    /// A member that is an object whose own members carry any name.
    pub fn each_of(&mut self, name: &'static str, mut value: impl FnMut(&Value) -> Result<(), String>) {
        match self.member(name) {
            Some(Value::Object(map)) => {
                for (key, element) in map {
                    if let Err(expected) = value(element) {
                        let path = below(&below(&self.path, name), key);
                        self.mistakes.push(Mistake { path, message: format!("`{key}` {expected}") });
                    }
                }
            }
            Some(Value::Null) | None => {}
            Some(_) => self.mistake(name, format!("`{name}` must be an object")),
        }
    }

    /// Whether the member is there at all.
    pub fn has(&self, name: &str) -> bool {
        self.object.contains_key(name)
    }

    /// Members that an answer carries, so that an answer can be sent back; they decide nothing.
    pub fn ignored(&mut self, names: &[&'static str]) {
        self.asked_for.extend_from_slice(names);
    }

    /// Reports something beyond a member's own form.
    pub fn mistake(&mut self, name: &str, message: impl Into<String>) {
        self.mistakes.push(Mistake { path: below(&self.path, name), message: message.into() });
    }

    fn member(&mut self, name: &'static str) -> Option<&'a Value> {
        self.asked_for.push(name);
        self.object.get(name)
    }

    fn understood<T>(&mut self, name: &str, read: Result<T, String>) -> Option<T> {
        read.map_err(|expected| self.mistake(name, format!("`{name}` {expected}"))).ok()
    }
}

fn below(path: &[String], name: &str) -> Vec<String> {
    path.iter().cloned().chain([name.to_owned()]).collect()
}

/// A switch.
pub fn boolean(value: &Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| "must be true or false".to_owned())
}

/// A whole number within bounds.
pub fn integer(bounds: RangeInclusive<u64>) -> impl Fn(&Value) -> Result<u64, String> {
    move |value| {
        value
            .as_u64()
            .filter(|number| bounds.contains(number))
            .ok_or_else(|| format!("must be an integer from {} to {}", bounds.start(), bounds.end()))
    }
}

/// A decimal within bounds, read exactly into an integer of `10^-places`; a string is as good as a
/// number. `expected` says the bounds in words.
pub fn decimal(
    places: u32,
    bounds: RangeInclusive<i64>,
    expected: &'static str,
) -> impl Fn(&Value) -> Result<i64, String> {
    move |value| {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => String::new(),
        };
        crate::decimal::scaled(&text, places)
            .filter(|number| bounds.contains(number))
            .ok_or_else(|| format!("must be {expected}"))
    }
}

/// A text whose length in characters is within bounds.
pub fn text(length: RangeInclusive<usize>) -> impl Fn(&Value) -> Result<String, String> {
    move |value| {
        value
            .as_str()
            .filter(|text| length.contains(&text.chars().count()))
            .map(str::to_owned)
            .ok_or_else(|| format!("must be a string of {} to {} characters", length.start(), length.end()))
    }
}

/// A moment, as RFC 3339 writes it.
pub fn instant(value: &Value) -> Result<OffsetDateTime, String> {
    value
        .as_str()
        .and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok())
        .ok_or_else(|| "must be a time such as `2030-01-31T00:00:00Z`".to_owned())
}

/// A list of texts.
pub fn texts(at_most: usize) -> impl Fn(&Value) -> Result<Vec<String>, String> {
    move |value| {
        let one = text(1..=512);
        value
            .as_array()
            .filter(|list| list.len() <= at_most)
            .and_then(|list| list.iter().map(|element| one(element).ok()).collect())
            .ok_or_else(|| format!("must be a list of at most {at_most} strings"))
    }
}

/// Whatever the type itself reads; `expected` says it in words.
pub fn one_of<T: DeserializeOwned>(expected: &'static str) -> impl Fn(&Value) -> Result<T, String> {
    move |value| T::deserialize(value).map_err(|_| format!("must be {expected}"))
}

/// Null, or the value.
pub fn nullable<T>(
    value: impl FnOnce(&Value) -> Result<T, String>,
) -> impl FnOnce(&Value) -> Result<Option<T>, String> {
    move |given| match given {
        Value::Null => Ok(None),
        given => value(given).map(Some).map_err(|expected| format!("{expected}, or null")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_that_a_float_would_not_keep_stay_as_they_were_written() {
        let text = r#"{"a":[0.1,1e3,0.12345678901234567891],"b":{"c":18446744073709551616},"d":" 1.50 "}"#;
        let Exact(read) = serde_json::from_str(text).unwrap();
        let expected = json!({
            "a": [0.1, "1e3", "0.12345678901234567891"],
            "b": {"c": "18446744073709551616"},
            "d": " 1.50 ",
        });
        assert_eq!(read, expected);
    }

    #[test]
    fn a_document_of_any_depth_is_read_or_refused() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(serde_json::from_str::<Exact>(&nested(127)).is_ok());
        assert!(serde_json::from_str::<Exact>(&nested(400_000)).is_err());
        assert!(serde_json::from_str::<Exact>("{").is_err());
    }
}
