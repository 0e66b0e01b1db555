//! Reading typed values out of a document: whoever asks for the wrong thing leaves a problem behind and gets
//! `None`, so that one reading finds every mistake.

use std::cell::{Cell, RefCell};
use std::ops::RangeInclusive;

use super::{Entry, Node, Value, short};
use crate::expression::Uses;
use crate::operator::Operator;
use crate::phase::Phase;
use crate::problem::{Code, MOST_PROBLEMS, Position, Problem, nearest};

/// What reading a document brings to light beside its values.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) problems: RefCell<Vec<Problem>>,
    pub(crate) uses: RefCell<Uses>,
    patterns: Cell<usize>,
}

/// How many regular expressions a document may have; each may take half a mebibyte, and milliseconds to
/// compile.
const MOST_PATTERNS: usize = 100;

impl Findings {
    /// Whether enough is wrong already, so that nothing dear is to be done for this document any more.
    fn is_lost(&self) -> bool {
        self.problems.borrow().len() >= MOST_PROBLEMS
    }

    /// Notes what an expression speaks of.
    pub(crate) fn note(&self, uses: &Uses) {
        self.uses.borrow_mut().merge(uses);
    }
}

/// A value, where it stands, and what it is called.
#[derive(Clone)]
pub(crate) struct Place<'n> {
    findings: &'n Findings,
    operator: &'n Operator,
    phase: Phase,
    pub(super) at: Position,
    pub(super) value: &'n Value,
    path: String,
}

impl<'n> Place<'n> {
    pub(crate) fn root(node: &'n Node, findings: &'n Findings, operator: &'n Operator) -> Self {
        Self {
            findings,
            operator,
            phase: Phase::Request,
            at: node.at,
            value: &node.value,
            path: String::new(),
        }
    }

    /// The same place, now that it is known which phase it belongs to.
    pub(crate) fn within(self, phase: Phase) -> Self {
        Self { phase, ..self }
    }

    /// The phase that it belongs to.
    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// Where whatever is found is noted.
    pub(crate) fn findings(&self) -> &'n Findings {
        self.findings
    }

    /// What the operator allows.
    pub(crate) fn operator(&self) -> &'n Operator {
        self.operator
    }

    pub(crate) fn value(&self) -> &'n Value {
        self.value
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Reports a mistake here. The result is always `None`, which reads well at the end of a reader.
    pub(crate) fn wrong<T>(&self, code: Code, message: impl Into<String>) -> Option<T> {
        self.report(self.at, self.path.clone(), code, message.into(), None)
    }

    /// Reports a mistake here and says what would be right.
    pub(crate) fn wrong_so<T>(
        &self,
        code: Code,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) -> Option<T> {
        self.report(self.at, self.path.clone(), code, message.into(), Some(advice.into()))
    }

    pub(super) fn report<T>(
        &self,
        at: Position,
        path: String,
        code: Code,
        message: String,
        advice: Option<String>,
    ) -> Option<T> {
        if self.findings.is_lost() {
            return None;
        }
        self.findings.problems.borrow_mut().push(Problem { code, at, path, message, advice });
        None
    }

    /// The name nearest to what was written; none is looked for once enough is wrong.
    pub(crate) fn nearest<'m>(
        &self,
        written: &str,
        names: impl IntoIterator<Item = &'m str>,
    ) -> Option<&'m str> {
        if self.findings.is_lost() { None } else { nearest(written, names) }
    }

    /// Whether something that is about to be compiled, with so many regular expressions in it, should be.
    pub(crate) fn may_compile(&self, patterns: usize) -> Option<()> {
        if self.findings.is_lost() {
            return None;
        }
        let all = self.findings.patterns.get() + patterns;
        self.findings.patterns.set(all);
        if all <= MOST_PATTERNS {
            return Some(());
        }
        self.wrong(Code::TooMany, format!("A policy may have {MOST_PATTERNS} regular expressions."))
    }

    pub(super) fn unexpected<T>(&self, expected: &str) -> Option<T> {
        self.wrong(Code::Shape, format!("Expected {expected}, found {}.", self.value.kind()))
    }

    /// The name of an entry, for what is wrong with the name.
    pub(crate) fn name_of(&self, entry: &'n Entry) -> Self {
        self.part(&short(&entry.name), entry.at, &entry.node.value)
    }

    /// A part of this that is not there, for readers that know what follows from that.
    pub(crate) fn absent(&self, name: &str) -> Self {
        self.part(name, self.at, &Value::Null)
    }

    pub(super) fn child(&self, step: &str, node: &'n Node) -> Self {
        self.part(step, node.at, &node.value)
    }

    fn part(&self, step: &str, at: Position, value: &'n Value) -> Self {
        let path = match (self.path.is_empty(), step.starts_with('[')) {
            (true, _) => step.to_owned(),
            (false, true) => format!("{}{step}", self.path),
            (false, false) => format!("{}.{step}", self.path),
        };
        Self { findings: self.findings, operator: self.operator, phase: self.phase, at, value, path }
    }

    /// A list.
    pub(crate) fn items(&self, number: RangeInclusive<usize>) -> Option<Vec<Place<'n>>> {
        let Value::List(nodes) = self.value else { return self.unexpected("a list") };
        self.counted(nodes.len(), number)?;
        Some(self.each(nodes))
    }

    /// A list, or the one thing that could have been in it.
    pub(crate) fn one_or_items(&self, number: RangeInclusive<usize>) -> Option<Vec<Place<'n>>> {
        match self.value {
            Value::List(_) => self.items(number),
            _ => Some(vec![self.clone()]),
        }
    }

    fn each(&self, nodes: &'n [Node]) -> Vec<Place<'n>> {
        nodes.iter().enumerate().map(|(index, node)| self.child(&format!("[{index}]"), node)).collect()
    }

    pub(super) fn counted(&self, found: usize, allowed: RangeInclusive<usize>) -> Option<()> {
        if found < *allowed.start() {
            return self.wrong(Code::Empty, format!("At least {} must stand here.", allowed.start()));
        }
        if found > *allowed.end() {
            return self
                .wrong(Code::TooMany, format!("At most {} may stand here, not {found}.", allowed.end()));
        }
        Some(())
    }

    /// Each item of a list, read; `None` if one of them is wrong, after all were looked at.
    pub(crate) fn list<T>(
        &self,
        number: RangeInclusive<usize>,
        read: impl Fn(&Place<'n>) -> Option<T>,
    ) -> Option<Vec<T>> {
        all(self.items(number)?.iter().map(read))
    }
}

/// All of them, after each was looked at; `None` if one was wrong.
pub(crate) fn all<T>(read: impl Iterator<Item = Option<T>>) -> Option<Vec<T>> {
    let mut right = true;
    let values: Vec<T> = read.inspect(|value| right &= value.is_some()).flatten().collect();
    right.then_some(values)
}
