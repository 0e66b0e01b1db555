//! An expression that is ready to run: names are resolved, constants computed, patterns compiled.

use std::ops::Range;

use http::HeaderName;
use ipnet::IpNet;

use super::functions::Function;
use super::patterns::Pattern;
use super::variables::{Group, Variable};
use crate::value::{Key, Value};

/// A step of an expression, and the bytes of the text that it comes from.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) step: Step,
    pub(super) range: (u32, u32),
}

/// What a step does.
#[derive(Debug)]
pub(super) enum Step {
    Constant(Value),
    /// The variable of a loop, by its place.
    Local(usize),
    Variable(&'static Variable),
    /// Several variables as a map, such as all of `req.url`.
    Group(Group),
    /// The values of one header.
    Header {
        side: Side,
        name: HeaderKey,
    },
    /// One value of one header, empty if there is none: what most rules look at.
    HeaderValue {
        side: Side,
        name: HeaderKey,
        place: usize,
    },
    Select {
        operand: Box<Node>,
        fields: Box<[Key]>,
    },
    /// Whether a map has a key, or, without one, whether a value is not empty.
    Has {
        operand: Box<Node>,
        field: Option<Key>,
    },
    Index {
        operand: Box<Node>,
        index: Box<Node>,
    },
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Not(Box<Node>),
    Negate(Box<Node>),
    And(Box<(Node, Node)>),
    Or(Box<(Node, Node)>),
    If(Box<(Node, Node, Node)>),
    Binary(Operator, Box<(Node, Node)>),
    Loop(Box<Loop>),
    Call {
        function: &'static Function,
        arguments: Vec<Node>,
    },
    /// `matches` with a pattern that is known.
    Matches {
        text: Box<Node>,
        pattern: Box<Pattern>,
    },
    /// `inCidrRange(s)` with ranges that are known.
    InRanges {
        address: Box<Node>,
        ranges: Box<[IpNet]>,
    },
    /// What comes to the same as long as there are the same models, and is kept at this place.
    Steady {
        node: Box<Node>,
        part: usize,
    },
}

/// Whose headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Request,
    Response,
}

/// The name of a header.
#[derive(Debug)]
pub(super) enum HeaderKey {
    /// `None` is what no header can be called.
    Known(Option<HeaderName>),
    Computed(Box<Node>),
}

/// A loop over a list, or over the keys of a map.
#[derive(Debug)]
pub(super) struct Loop {
    pub(super) kind: LoopKind,
    pub(super) over: Node,
    /// The condition of `all`, `exists`, `exists_one`, `filter` and `map` with three arguments.
    pub(super) test: Option<Node>,
    /// What `map` makes and `sortBy` sorts by.
    pub(super) result: Option<Node>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoopKind {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
    SortBy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

impl Operator {
    /// As it is written.
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::In => "in",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
        }
    }
}

impl Node {
    pub(super) fn range(&self) -> Range<usize> {
        self.range.0 as usize..self.range.1 as usize
    }

    /// The value, if it does not depend on anything.
    pub(super) fn constant(&self) -> Option<&Value> {
        if let Step::Constant(value) = &self.step { Some(value) } else { None }
    }
}
