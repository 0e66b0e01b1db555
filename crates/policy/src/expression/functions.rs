//! The functions there are. Each is a line in a table and a few lines of its own.

mod ai;
mod codecs;
mod general;
mod hashes;
mod lists;
mod network;
mod requests;
mod strings;
mod times;

use super::error::Failure;
use super::evaluate::Evaluation;
use super::scope::Namespace;
use crate::value::{Text, Value};

/// A function of the language.
#[derive(Debug)]
pub(super) struct Function {
    /// As it is written, with the namespace if it has one.
    pub(super) name: &'static str,
    pub(super) style: Style,
    /// The fewest and the most values that it takes, the one before the dot included.
    pub(super) least: usize,
    pub(super) most: usize,
    /// What must be known where it is called.
    pub(super) namespace: Option<Namespace>,
    pub(super) run: Run,
}

/// The most values that any function takes.
pub(super) const MOST_ARGUMENTS: usize = 4;

pub(super) type Run = fn(&mut Evaluation<'_>, &[Value]) -> Result<Value, Failure>;

/// How a function is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `f(x)`
    Global,
    /// `x.f()`
    Method,
    /// Both.
    Either,
}

impl Style {
    pub(super) fn allows(self, style: Style) -> bool {
        self == style || self == Self::Either
    }
}

impl Function {
    const fn new(name: &'static str, style: Style, least: usize, most: usize, run: Run) -> Self {
        assert!(most <= MOST_ARGUMENTS, "more values than are ever given");
        Self { name, style, least, most, namespace: None, run }
    }

    const fn global(name: &'static str, least: usize, most: usize, run: Run) -> Self {
        Self::new(name, Style::Global, least, most, run)
    }

    const fn method(name: &'static str, least: usize, most: usize, run: Run) -> Self {
        Self::new(name, Style::Method, least, most, run)
    }

    const fn either(name: &'static str, least: usize, most: usize, run: Run) -> Self {
        Self::new(name, Style::Either, least, most, run)
    }

    const fn of(self, namespace: Namespace) -> Self {
        Self { namespace: Some(namespace), ..self }
    }

    pub(super) fn takes(&self, count: usize) -> bool {
        (self.least..=self.most).contains(&count)
    }

    pub(super) fn counts(&self) -> std::ops::RangeInclusive<usize> {
        self.least..=self.most
    }
}

static TABLES: &[&[Function]] = &[
    general::FUNCTIONS,
    strings::FUNCTIONS,
    lists::FUNCTIONS,
    codecs::FUNCTIONS,
    hashes::FUNCTIONS,
    network::FUNCTIONS,
    requests::FUNCTIONS,
    times::FUNCTIONS,
    ai::FUNCTIONS,
];

fn all() -> impl Iterator<Item = &'static Function> {
    TABLES.iter().flat_map(|table| table.iter())
}

/// The functions of a name, which may differ in how they are called.
pub(super) fn named(name: &str) -> impl Iterator<Item = &'static Function> {
    all().filter(move |function| function.name == name)
}

/// All names, for suggestions.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    all().map(|function| function.name)
}

/// Whether functions have a name before their dot.
pub(super) fn is_namespace(name: &str) -> bool {
    all().any(|function| function.name.split_once('.').is_some_and(|(namespace, _)| namespace == name))
}

/// The string that an argument is.
fn text(value: &Value) -> Result<&Text, Failure> {
    match value {
        Value::Text(text) => Ok(text),
        other => Err(Failure::wrong_type("string", other)),
    }
}

/// The string that an argument is, of which something is made that cannot be kept secret.
fn open_text(value: &Value) -> Result<&str, Failure> {
    let text = text(value)?;
    if text.is_secret() {
        return Err(Failure::BadArgument("a secret cannot be made anything but a string"));
    }
    Ok(text.as_str())
}

/// The list that an argument is.
fn items(value: &Value) -> Result<&[Value], Failure> {
    value.items().ok_or_else(|| Failure::wrong_type("list", value))
}

/// The whole number that an argument is.
fn whole(value: &Value) -> Result<i64, Failure> {
    match value {
        Value::Int(number) => Ok(*number),
        Value::Uint(number) => i64::try_from(*number).map_err(|_| Failure::Overflow),
        Value::Double(number) if number.fract() == 0.0 && number.abs() < 9.0e15 => Ok(*number as i64),
        other => Err(Failure::wrong_type("int", other)),
    }
}
