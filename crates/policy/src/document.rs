//! A policy's text as a tree in which every part knows where it stands.
//!
//! YAML is read through a parser of events, so that depth, size and the number of nodes are bounded while
//! reading; aliases and anchors, with which a small text unfolds into a huge one, are refused. JSON has a
//! reader of its own, because not every JSON text is YAML (escapes outside the basic plane, tabs).

pub(crate) mod compiled;
mod duration;
pub(crate) mod fields;
mod json;
pub(crate) mod place;
pub mod policy;
mod scalars;
mod yaml;

use crate::problem::{Code, Position, Problem, Problems};

/// The longest text that is read.
pub const MOST_BYTES: usize = 256 * 1024;
/// How deep lists and maps may be nested.
const MOST_DEPTH: usize = 32;
/// How many values and names there may be.
const MOST_NODES: usize = 50_000;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) at: Position,
    pub(crate) value: Value,
}

/// What a document is made of.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A name in a map with its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) at: Position,
    pub(crate) name: String,
    pub(crate) node: Node,
}

impl Value {
    /// What it is called when something else was expected.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

/// Reads a document, YAML or JSON.
pub(crate) fn parse(text: &str) -> Result<Node, Problems> {
    if text.len() > MOST_BYTES {
        return Err(refused(
            Position::START,
            format!("A policy may have {MOST_BYTES} bytes, this has {}.", text.len()),
        ));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with('{')
        && let Ok(node) = json::parse(text)
    {
        return Ok(node);
    }
    // A text that begins like JSON may still be YAML; if it is neither, YAML's complaint is the one to read.
    yaml::parse(text)
}

fn refused(at: Position, message: impl Into<String>) -> Problems {
    refused_so(at, message, None)
}

fn refused_so(at: Position, message: impl Into<String>, advice: Option<&str>) -> Problems {
    Problems::one(Problem {
        code: Code::Document,
        at,
        path: String::new(),
        message: message.into(),
        advice: advice.map(str::to_owned),
    })
}

/// Counts what has been read, and says when it is too much.
struct Bounds {
    nodes: usize,
}

impl Bounds {
    fn new() -> Self {
        Self { nodes: 0 }
    }

    fn count(&mut self, depth: usize, at: Position) -> Result<(), Problems> {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return Err(refused(at, format!("A policy may have {MOST_NODES} values.")));
        }
        if depth > MOST_DEPTH {
            return Err(refused(at, format!("Lists and maps may be nested {MOST_DEPTH} deep.")));
        }
        Ok(())
    }
}

/// A map in which each name stands once.
fn distinct(entries: Vec<Entry>) -> Result<Value, Problems> {
    let mut seen = std::collections::HashSet::with_capacity(entries.len());
    for entry in &entries {
        if !seen.insert(entry.name.as_str()) {
            return Err(refused(entry.at, format!("`{}` stands twice in the same map.", short(&entry.name))));
        }
    }
    Ok(Value::Map(entries))
}

/// A name as it may be quoted.
pub(crate) fn short(name: &str) -> String {
    match name.char_indices().nth(40) {
        Some((at, _)) => format!("{}…", &name[..at]),
        None => name.to_owned(),
    }
}
