//! Maps, those of headers among them, whose names have no case.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use super::list::{Absent, List};
use super::{Text, Value};

/// A map in the order of its keys, that knows how large and deep it is.
#[derive(Debug, Clone, Default)]
pub struct Map {
    entries: BTreeMap<Key, Value>,
    keys: Keys,
    weight: u32,
    depth: u16,
    secret: bool,
}

/// What a value may stand under in a map. Secrets may not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// `true` or `false`
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number that only fits without a sign.
    Uint(u64),
    /// A string.
    Text(Arc<str>),
}

/// How a map's keys are looked up, and what stands under those that it has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Keys {
    /// As they are; asking for another is an error.
    #[default]
    Exact,
    /// Without case, each with a list of values, which is empty for those that were not sent.
    Headers,
    /// As they are, each with a list of values, which is empty for those that were not sent.
    Parameters,
    /// The same with cookies.
    Cookies,
}

impl Keys {
    /// What stands in the lists of such a map where they have nothing.
    pub(crate) fn absent(self) -> Absent {
        match self {
            Self::Exact => Absent::Error,
            Self::Headers | Self::Parameters => Absent::EmptyText,
            Self::Cookies => Absent::EmptyCookie,
        }
    }
}

impl Map {
    /// A map of nothing, for facts that have none.
    pub fn empty() -> &'static Arc<Map> {
        static EMPTY: LazyLock<Arc<Map>> = LazyLock::new(Arc::default);
        &EMPTY
    }

    /// A map that is looked up in a way of its own.
    pub(crate) fn with_keys(keys: Keys, entries: impl IntoIterator<Item = (Key, Value)>) -> Self {
        Self { keys, ..entries.into_iter().collect() }
    }

    /// Puts a value under a key, in the place of what stood there.
    pub fn insert(&mut self, key: impl Into<Key>, value: Value) {
        let key = key.into();
        let name = if let Key::Text(text) = &key { text.len() as u32 } else { 0 };
        // What stood there is still counted: these are bounds, and nobody overwrites for long.
        self.weight = self.weight.saturating_add(name).saturating_add(16).saturating_add(value.weight());
        self.depth = self.depth.max(value.depth().saturating_add(1));
        self.secret |= value.is_secret();
        self.entries.insert(key, value);
    }

    /// What stands under a key.
    pub fn get(&self, key: &Key) -> Option<&Value> {
        match key {
            Key::Text(name) if self.keys == Keys::Headers && name.bytes().any(|b| b.is_ascii_uppercase()) => {
                self.entries.get(&Key::from(name.to_ascii_lowercase()))
            }
            _ => self.entries.get(key),
        }
    }

    /// What stands under a key, or what stands for nothing there.
    pub(crate) fn at(&self, key: &Key) -> Option<Value> {
        let nothing = || match self.keys {
            Keys::Exact => None,
            keys => Some(Value::List(Arc::new(List::with_absent(Vec::new(), keys.absent())))),
        };
        self.get(key).cloned().or_else(nothing)
    }

    /// Keys and values, in order.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (&Key, &Value)> {
        self.entries.iter()
    }

    /// How many keys it has.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn weight(&self) -> u32 {
        self.weight.saturating_add(16)
    }

    pub(super) fn depth(&self) -> u16 {
        self.depth.max(1)
    }

    pub(super) fn is_secret(&self) -> bool {
        self.secret
    }
}

impl FromIterator<(Key, Value)> for Map {
    fn from_iter<I: IntoIterator<Item = (Key, Value)>>(entries: I) -> Self {
        let mut map = Self::default();
        entries.into_iter().for_each(|(key, value)| map.insert(key, value));
        map
    }
}

impl Key {
    /// The key that a value is, if it may be one.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Bool(value) => Self::Bool(*value),
            Value::Int(number) => Self::Int(*number),
            Value::Uint(number) => i64::try_from(*number).map_or(Self::Uint(*number), Self::Int),
            // Equal numbers are equal keys.
            Value::Double(number) if number.fract() == 0.0 && number.abs() < 9.0e15 => {
                Self::Int(*number as i64)
            }
            Value::Text(text) => Self::Text(text.shared()?.clone()),
            _ => return None,
        })
    }

    /// The value that the key is.
    pub(crate) fn to_value(&self) -> Value {
        match self {
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(number) => Value::Int(*number),
            Self::Uint(number) => Value::Uint(*number),
            Self::Text(text) => Value::Text(Text::plain(text.clone())),
        }
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Key {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}
