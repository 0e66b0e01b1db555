//! What expressions compute with. Values are cheap to clone, know how large and how deep they are, so
//! that nobody builds one that cannot be walked, and do not print what came from a secret.

mod json;
mod list;
mod map;
mod text;

use std::fmt;
use std::sync::Arc;

use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

pub use json::TooLarge;
pub use list::List;
pub use map::{Key, Map};
pub use text::Text;

pub(crate) use list::Absent;
pub(crate) use map::Keys;

/// How deep lists and maps may stand in each other.
pub const DEEPEST: u16 = 160;
/// How much a value may weigh: about its size in bytes if nothing in it were shared.
pub const HEAVIEST: u32 = 4 << 20;

/// A value of the expression language.
#[derive(Clone)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A whole number with a sign.
    Int(i64),
    /// A whole number without one, such as `1u`.
    Uint(u64),
    /// A number with a fraction.
    Double(f64),
    /// A string.
    Text(Text),
    /// Bytes, which need not be text.
    Bytes(Arc<[u8]>),
    /// A list.
    List(Arc<List>),
    /// A map, also where people say "object".
    Map(Arc<Map>),
    /// A moment.
    Timestamp(OffsetDateTime),
    /// A length of time.
    Duration(Duration),
    /// A model, provider, author or key of the list that the evaluation was given.
    Item(Item),
}

/// One of the things that a strategy chooses from, by its place in the list that the caller gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Item {
    /// `ai.models[i]`
    Model(u32),
    /// `ai.providers[i]`
    Provider(u32),
    /// `ai.authors[i]`
    Author(u32),
    /// `ai.keys[i]`
    Key(u32),
}

impl Value {
    /// A string that is no secret.
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Text(Text::plain(text))
    }

    /// A list of values.
    pub fn list(items: Vec<Value>) -> Self {
        Self::List(Arc::new(List::new(items)))
    }

    /// A map of named values.
    pub fn map<K: Into<Key>>(entries: impl IntoIterator<Item = (K, Value)>) -> Self {
        Self::Map(Arc::new(entries.into_iter().map(|(key, value)| (key.into(), value)).collect()))
    }

    /// What the value is called in messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint",
            Self::Double(_) => "double",
            Self::Text(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Timestamp(_) => "timestamp",
            Self::Duration(_) => "duration",
            Self::Item(Item::Model(_)) => "model",
            Self::Item(Item::Provider(_)) => "provider",
            Self::Item(Item::Author(_)) => "author",
            Self::Item(Item::Key(_)) => "key",
        }
    }

    /// Its text, if it is a string.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text.as_str()) } else { None }
    }

    /// Its items, if it is a list.
    pub fn items(&self) -> Option<&[Value]> {
        if let Self::List(list) = self { Some(list.items()) } else { None }
    }

    /// What a map has under a name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        if let Self::Map(map) = self { map.get(&Key::from(name)) } else { None }
    }

    /// About its size in bytes if nothing in it were shared.
    pub fn weight(&self) -> u32 {
        const SCALAR: u32 = 16;
        match self {
            Self::Text(text) => SCALAR.saturating_add(u32::try_from(text.len()).unwrap_or(u32::MAX)),
            Self::Bytes(bytes) => SCALAR.saturating_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX)),
            Self::List(list) => list.weight(),
            Self::Map(map) => map.weight(),
            _ => SCALAR,
        }
    }

    /// How deep lists and maps stand in each other.
    pub fn depth(&self) -> u16 {
        match self {
            Self::List(list) => list.depth(),
            Self::Map(map) => map.depth(),
            _ => 0,
        }
    }

    /// Whether it may be walked: neither too large nor too deep.
    pub fn fits(&self) -> bool {
        self.depth() <= DEEPEST && self.weight() <= HEAVIEST
    }

    /// Whether a secret went into it, or into something in it.
    pub fn is_secret(&self) -> bool {
        match self {
            Self::Text(text) => text.is_secret(),
            Self::List(list) => list.is_secret(),
            Self::Map(map) => map.is_secret(),
            _ => false,
        }
    }

    /// The same with `****` in the place of whatever came from a secret, for logs.
    pub fn redacted(&self) -> Self {
        if !self.is_secret() {
            return self.clone();
        }
        match self {
            Self::List(list) => Self::list(list.items().iter().map(Self::redacted).collect()),
            Self::Map(map) => Self::map(map.entries().map(|(key, value)| (key.clone(), value.redacted()))),
            _ => Self::text("****"),
        }
    }

    /// As it is written into a string: strings as they are, numbers and times in their usual form, bytes
    /// as UTF-8, lists and maps as JSON.
    pub fn to_text(&self) -> Result<Text, TooLarge> {
        Ok(match self {
            Self::Null => Text::plain("null"),
            Self::Bool(value) => Text::plain(if *value { "true" } else { "false" }),
            Self::Int(number) => Text::plain(number.to_string()),
            Self::Uint(number) => Text::plain(number.to_string()),
            Self::Double(number) => Text::plain(number.to_string()),
            Self::Text(text) => text.clone(),
            Self::Bytes(bytes) => Text::plain(String::from_utf8_lossy(bytes).as_ref()),
            Self::Timestamp(at) => Text::plain(timestamp(*at)),
            Self::Duration(length) => Text::plain(duration(*length)),
            Self::List(_) | Self::Map(_) => {
                Text::new(serde_json::to_string(&self.to_json()?).unwrap_or_default(), self.is_secret())
            }
            Self::Item(item) => Text::plain(format!("{item:?}")),
        })
    }
}

/// A moment as RFC 3339 writes it.
pub(crate) fn timestamp(at: OffsetDateTime) -> String {
    // Years beyond 9999 cannot be written, and are not let in anywhere.
    at.format(&Rfc3339).unwrap_or_default()
}

/// A length of time in seconds, such as `1.5s`.
pub(crate) fn duration(length: Duration) -> String {
    let nanos = length.whole_nanoseconds();
    let sign = if nanos < 0 { "-" } else { "" };
    let (seconds, rest) = (nanos.unsigned_abs() / 1_000_000_000, nanos.unsigned_abs() % 1_000_000_000);
    if rest == 0 {
        return format!("{sign}{seconds}s");
    }
    format!("{sign}{seconds}.{}s", format!("{rest:09}").trim_end_matches('0'))
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(number) => write!(f, "{number}"),
            Self::Uint(number) => write!(f, "{number}u"),
            Self::Double(number) => write!(f, "{number:?}"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Bytes(bytes) => write!(f, "bytes({})", bytes.len()),
            Self::List(list) => f.debug_list().entries(list.items()).finish(),
            Self::Map(map) => f.debug_map().entries(map.entries()).finish(),
            Self::Timestamp(at) => f.write_str(&timestamp(*at)),
            Self::Duration(length) => f.write_str(&duration(*length)),
            Self::Item(item) => write!(f, "{item:?}"),
        }
    }
}

/// Equal as `==` of the language is: numbers by what they count, whatever their kind. For tests and
/// for what no caller times; the language itself compares secrets in constant time.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::List(one), Self::List(other)) => one.items() == other.items(),
            (Self::Map(one), Self::Map(other)) => one.entries().eq(other.entries()),
            _ => self.same(other),
        }
    }
}

impl Value {
    /// Equality of all but lists and maps.
    pub(crate) fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(one), Self::Bool(other)) => one == other,
            (Self::Text(one), Self::Text(other)) => one.same(other),
            (Self::Bytes(one), Self::Bytes(other)) => one == other,
            (Self::Timestamp(one), Self::Timestamp(other)) => one == other,
            (Self::Duration(one), Self::Duration(other)) => one == other,
            (Self::Item(one), Self::Item(other)) => one == other,
            _ => self.order_of_numbers(other) == Some(std::cmp::Ordering::Equal),
        }
    }

    /// How two numbers compare, whatever their kinds; `None` if one is none, or NaN.
    pub(crate) fn order_of_numbers(&self, other: &Self) -> Option<std::cmp::Ordering> {
        match (self, other) {
            (Self::Double(one), Self::Double(other)) => one.partial_cmp(other),
            (Self::Double(one), _) => compare(*one, other.whole()?),
            (_, Self::Double(other)) => compare(*other, self.whole()?).map(std::cmp::Ordering::reverse),
            _ => Some(self.whole()?.cmp(&other.whole()?)),
        }
    }

    fn whole(&self) -> Option<i128> {
        match self {
            Self::Int(number) => Some(i128::from(*number)),
            Self::Uint(number) => Some(i128::from(*number)),
            _ => None,
        }
    }
}

/// Exactly, where a conversion of the whole number to a double would round it.
fn compare(fraction: f64, whole: i128) -> Option<std::cmp::Ordering> {
    if fraction.is_nan() {
        return None;
    }
    // Casting saturates, and no whole number of ours comes near the ends of `i128`.
    let below = fraction.floor();
    Some((below as i128).cmp(&whole).then(if fraction > below {
        std::cmp::Ordering::Greater
    } else {
        std::cmp::Ordering::Equal
    }))
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<Text> for Value {
    fn from(text: Text) -> Self {
        Self::Text(text)
    }
}
