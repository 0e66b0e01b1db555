//! Running the steps of an expression, within bounds: of work, counted in steps and in what is read; of
//! memory, counted in what is made; and of depth, which the syntax has bounded before.

mod access;
mod compare;
mod loops;
mod operators;

use std::sync::Arc;

use super::error::{EvaluationError, Failure};
use super::functions::{Function, MOST_ARGUMENTS};
use super::node::{Node, Step};
use super::patterns::Pattern;
use super::scope::Scope;
use super::variables::Variable;
use crate::facts::{Facts, Randomness};
use crate::value::{DEEPEST, HEAVIEST, Key, List, Map, Text, Value};

/// How many steps an expression may take, each about a tenth of a microsecond at most; most expressions
/// take less than a hundred.
pub const MOST_STEPS: u32 = 100_000;
/// How many bytes an expression may make, whether or not they are still there.
pub const MOST_MEMORY: u32 = 8 << 20;

/// An expression under way.
pub(super) struct Evaluation<'a> {
    pub(super) facts: &'a Facts<'a>,
    pub(super) scope: Scope,
    locals: Vec<Value>,
    /// Variables that were read and may be again.
    read: Vec<(&'static Variable, Value)>,
    given: u32,
    steps: u32,
    memory: u32,
}

type Outcome = Result<Value, EvaluationError>;

/// What was done is taken from what the request may do, however the expression ended.
impl Drop for Evaluation<'_> {
    fn drop(&mut self) {
        if let Some(budget) = self.facts.budget {
            budget.spend(self.given - self.steps);
        }
    }
}

impl<'a> Evaluation<'a> {
    pub(super) fn new(facts: &'a Facts<'a>, scope: Scope) -> Self {
        let steps = facts.budget.map_or(MOST_STEPS, |budget| budget.left().min(MOST_STEPS));
        Self { facts, scope, locals: Vec::new(), read: Vec::new(), given: steps, steps, memory: MOST_MEMORY }
    }

    /// What the steps come to.
    pub(super) fn run(&mut self, node: &Node) -> Outcome {
        self.work(1).map_err(at(node))?;
        match &node.step {
            Step::Constant(value) => Ok(value.clone()),
            Step::Local(place) => Ok(self.locals.get(*place).cloned().unwrap_or(Value::Null)),
            Step::Variable(variable) => self.variable(variable).map_err(at(node)),
            Step::Group(group) => {
                self.work(200).map_err(at(node))?;
                let value = group.read(self.scope, self.facts).map_err(at(node))?;
                self.memory(value.weight() as usize).map_err(at(node))?;
                Ok(value)
            }
            Step::Header { side, name } => self.header(*side, name, node),
            Step::HeaderValue { side, name, place } => self.header_value(*side, name, *place, node),
            Step::Select { operand, fields } => {
                let operand = self.run(operand)?;
                self.select(operand, fields).map_err(at(node))
            }
            Step::Has { operand, field } => self.has(operand, field.as_ref(), node),
            Step::Index { operand, index } => {
                let operand = self.run(operand)?;
                let index = self.run(index)?;
                self.index(&operand, &index).map_err(at(node))
            }
            Step::List(items) => {
                let items = items.iter().map(|item| self.run(item)).collect::<Result<_, _>>()?;
                self.list(items).map_err(at(node))
            }
            Step::Map(entries) => self.literal_map(entries, node),
            Step::Not(operand) => Ok(Value::Bool(!self.condition(operand)?)),
            Step::Negate(operand) => {
                let operand = self.run(operand)?;
                operators::negate(&operand).map_err(at(node))
            }
            Step::And(both) => self.both(&both.0, &both.1, false),
            Step::Or(both) => self.both(&both.0, &both.1, true),
            Step::If(parts) => {
                let (test, yes, no) = &**parts;
                if self.condition(test)? { self.run(yes) } else { self.run(no) }
            }
            Step::Binary(operator, operands) => {
                let left = self.run(&operands.0)?;
                let right = self.run(&operands.1)?;
                self.binary(*operator, &left, &right).map_err(at(node))
            }
            Step::Loop(parts) => self.each(parts, node),
            Step::Call { function, arguments } => self.call(function, arguments, node),
            Step::Matches { text, pattern } => {
                let text = self.run(text)?;
                let text =
                    text.as_str().ok_or_else(|| Failure::wrong_type("string", &text)).map_err(at(node))?;
                self.matching(pattern, text).map(Value::Bool).map_err(at(node))
            }
            Step::InRanges { address, ranges } => {
                let address = self.run(address)?;
                self.work(ranges.len() / 8).map_err(at(node))?;
                super::network::inside(&address, ranges).map(Value::Bool).map_err(at(node))
            }
            Step::Steady { node, part } => {
                let Some(memory) = self.facts.choice.and_then(|choice| choice.memory(*part)) else {
                    return self.run(node);
                };
                match memory.get() {
                    Some(value) => Ok(value.clone()),
                    None => self.run(node).map(|value| memory.get_or_init(|| value).clone()),
                }
            }
        }
    }

    /// The same of a step that must be true or false.
    pub(super) fn condition(&mut self, node: &Node) -> Result<bool, EvaluationError> {
        match self.run(node)? {
            Value::Bool(value) => Ok(value),
            other => Err(at(node)(Failure::NotACondition(other.kind()))),
        }
    }

    /// `&&` and `||`: whichever side decides does so, whatever becomes of the other.
    fn both(&mut self, one: &Node, other: &Node, decisive: bool) -> Outcome {
        let first = self.condition(one);
        match first {
            Ok(value) if value == decisive => return Ok(Value::Bool(decisive)),
            Err(error) if !error.failure.may_be_outvoted() => return Err(error),
            _ => {}
        }
        let second = self.condition(other)?;
        if second == decisive { Ok(Value::Bool(decisive)) } else { first.map(|_| Value::Bool(!decisive)) }
    }

    fn call(&mut self, function: &'static Function, arguments: &[Node], node: &Node) -> Outcome {
        // No function takes more, so that none needs a list of its own.
        let mut values = [const { Value::Null }; MOST_ARGUMENTS];
        for (value, argument) in values.iter_mut().zip(arguments) {
            *value = self.run(argument)?;
        }
        (function.run)(self, &values[..arguments.len().min(MOST_ARGUMENTS)]).map_err(at(node))
    }

    fn literal_map(&mut self, entries: &[(Node, Node)], node: &Node) -> Outcome {
        let mut map = Map::default();
        for (key, value) in entries {
            let key_value = self.run(key)?;
            let key = key_of(&key_value).map_err(at(key))?;
            map.insert(key, self.run(value)?);
        }
        self.map(map).map_err(at(node))
    }

    /// Counts work; none is left when an expression has done too much.
    pub(super) fn work(&mut self, steps: usize) -> Result<(), Failure> {
        let left = u32::try_from(steps).ok().and_then(|steps| self.steps.checked_sub(steps));
        self.steps = left.unwrap_or_default();
        left.map(drop).ok_or(Failure::TooMuchWork)
    }

    /// Counts reading a text of so many bytes.
    pub(super) fn reading(&mut self, bytes: usize) -> Result<(), Failure> {
        self.work(bytes / 16)
    }

    /// Whether a pattern is found in a text. At its worst that takes a time that grows with both.
    pub(super) fn matching(&mut self, pattern: &Pattern, text: &str) -> Result<bool, Failure> {
        self.work(text.len().saturating_mul(pattern.cost))?;
        Ok(pattern.regex.is_match(text))
    }

    /// Counts memory before it is taken.
    pub(super) fn memory(&mut self, bytes: usize) -> Result<(), Failure> {
        let left = u32::try_from(bytes).ok().and_then(|bytes| self.memory.checked_sub(bytes));
        self.memory = left.unwrap_or_default();
        left.map(drop).ok_or(Failure::TooLarge)?;
        self.work(bytes / 64)
    }

    fn variable(&mut self, variable: &'static Variable) -> Result<Value, Failure> {
        let known = self.read.iter().find(|(read, _)| std::ptr::eq(*read, variable));
        if let Some((_, value)) = known {
            return Ok(value.clone());
        }
        let value = (variable.read)(self.facts)?;
        if let Value::Text(text) = &value {
            self.reading(text.len())?;
        }
        // What is read is as long as requests may be, and read once: in loops all of it, elsewhere what
        // is made of many parts.
        if variable.open || !self.locals.is_empty() {
            self.read.push((variable, value.clone()));
        }
        Ok(value)
    }

    /// A string that was made.
    pub(super) fn text(&mut self, text: String, secret: bool) -> Result<Value, Failure> {
        self.memory(text.len())?;
        Ok(Value::Text(Text::new(text, secret)))
    }

    /// A list that was made.
    pub(super) fn list(&mut self, items: Vec<Value>) -> Result<Value, Failure> {
        self.memory(items.len().saturating_mul(size_of::<Value>()))?;
        self.work(items.len() / 8)?;
        fitting(Value::List(Arc::new(List::new(items))))
    }

    /// A map that was made.
    pub(super) fn map(&mut self, map: Map) -> Result<Value, Failure> {
        self.memory(map.len().saturating_mul(2 * size_of::<Value>()))?;
        self.work(map.len())?;
        fitting(Value::Map(Arc::new(map)))
    }

    /// Runs something with one more variable.
    fn with_local<T>(&mut self, value: Value, run: impl FnOnce(&mut Self) -> T) -> T {
        self.locals.push(value);
        let outcome = run(self);
        self.locals.pop();
        outcome
    }
}

/// A value, unless it is too large or too deep.
pub(super) fn fitting(value: Value) -> Result<Value, Failure> {
    if value.depth() > DEEPEST || value.weight() > HEAVIEST { Err(Failure::TooLarge) } else { Ok(value) }
}

/// The key that a value is.
pub(super) fn key_of(value: &Value) -> Result<Key, Failure> {
    Key::of(value).ok_or_else(|| match value {
        Value::Text(_) => Failure::BadArgument("a secret cannot be a key of a map"),
        other => Failure::wrong_type("string, int or bool as key", other),
    })
}

/// What steps come to that depend on nothing; `None` if they fail.
pub(super) fn constant(node: &Node) -> Option<Value> {
    let random = Randomness::seeded(0);
    let facts = Facts::new(time::OffsetDateTime::UNIX_EPOCH, &random);
    Evaluation::new(&facts, Scope::TcpConnect).run(node).ok()
}

/// Says where a failure happened.
fn at(node: &Node) -> impl Fn(Failure) -> EvaluationError {
    move |failure| EvaluationError { failure, range: node.range() }
}
