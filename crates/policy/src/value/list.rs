//! Lists, and what those of header values have where nothing was sent.

use super::Value;

/// A list that knows how large and deep it is.
#[derive(Debug, Clone)]
pub struct List {
    items: Vec<Value>,
    absent: Absent,
    weight: u32,
    depth: u16,
    secret: bool,
}

/// What stands at a place where a list has nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Absent {
    /// Asking is an error.
    #[default]
    Error,
    /// An empty string: header values and query parameters. A rule that compares the first value
    /// with something must not fall out of the policy because the caller did not send any.
    EmptyText,
    /// A cookie without name and value, for the same reason.
    EmptyCookie,
}

impl List {
    /// A list of these values.
    pub fn new(items: Vec<Value>) -> Self {
        Self::with_absent(items, Absent::Error)
    }

    pub(crate) fn with_absent(items: Vec<Value>, absent: Absent) -> Self {
        let weight = items.iter().fold(16, |sum: u32, item| sum.saturating_add(item.weight()));
        let depth = items.iter().map(Value::depth).max().unwrap_or_default().saturating_add(1);
        let secret = items.iter().any(Value::is_secret);
        Self { items, absent, weight, depth, secret }
    }

    /// What is in it.
    pub fn items(&self) -> &[Value] {
        &self.items
    }

    /// What stands at a place, or what stands for nothing there.
    pub(crate) fn at(&self, place: usize) -> Option<Value> {
        self.items.get(place).cloned().or_else(|| self.absent.value())
    }

    pub(super) fn weight(&self) -> u32 {
        self.weight
    }

    pub(super) fn depth(&self) -> u16 {
        self.depth
    }

    pub(super) fn is_secret(&self) -> bool {
        self.secret
    }
}

impl Default for List {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl Absent {
    pub(crate) fn value(self) -> Option<Value> {
        match self {
            Self::Error => None,
            Self::EmptyText => Some(Value::text("")),
            Self::EmptyCookie => Some(Value::map([("name", Value::text("")), ("value", Value::text(""))])),
        }
    }
}
