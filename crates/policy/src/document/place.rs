//! Reading typed values out of a document: whoever asks for the wrong thing leaves a problem behind and gets
//! `None`, so that one reading finds every mistake.

use std::cell::{Cell, RefCell};
use std::ops::RangeInclusive;
use std::time::Duration;

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
    at: Position,
    value: &'n Value,
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

    fn report<T>(
        &self,
        at: Position,
        path: String,
        code: Code,
        message: String,
        advice: Option<String>,
    ) -> Option<T> {
        self.findings.problems.borrow_mut().push(Problem { code, at, path, message, advice });
        None
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

    fn unexpected<T>(&self, expected: &str) -> Option<T> {
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

    fn child(&self, step: &str, node: &'n Node) -> Self {
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

    /// A map whose names are all known.
    pub(crate) fn fields(&self, known: &'static [&'static str]) -> Option<Fields<'n>> {
        let entries = match self.value {
            Value::Map(entries) => entries.as_slice(),
            Value::Null => &[],
            _ => return self.unexpected("a map"),
        };
        for entry in entries.iter().filter(|entry| !known.contains(&entry.name.as_str())) {
            let advice = match nearest(&entry.name, known.iter().copied()) {
                Some(name) => format!("Did you mean `{name}`?"),
                None if known.is_empty() => "This takes no fields.".to_owned(),
                None => format!("The fields are {}.", listed(known)),
            };
            let path = self.child(&short(&entry.name), &entry.node).path;
            let message = format!("There is no field `{}` here.", short(&entry.name));
            self.report::<()>(entry.at, path, Code::UnknownField, message, Some(advice));
        }
        Some(Fields { place: self.clone(), entries })
    }

    /// A map of any names.
    pub(crate) fn entries(&self, number: RangeInclusive<usize>) -> Option<Vec<(String, Place<'n>)>> {
        let Value::Map(entries) = self.value else { return self.unexpected("a map") };
        self.counted(entries.len(), number)?;
        Some(
            entries
                .iter()
                .map(|entry| (entry.name.clone(), self.child(&short(&entry.name), &entry.node)))
                .collect(),
        )
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

    fn counted(&self, found: usize, allowed: RangeInclusive<usize>) -> Option<()> {
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

    /// A text of any length.
    pub(crate) fn text(&self) -> Option<&'n str> {
        match self.value {
            Value::Text(text) => Some(text),
            _ => self.unexpected("a string"),
        }
    }

    /// A text of so many characters.
    pub(crate) fn text_of(&self, length: RangeInclusive<usize>) -> Option<String> {
        let text = self.text()?;
        let found = text.chars().count();
        if found < *length.start() {
            return if found == 0 {
                self.wrong(Code::Empty, "This may not be empty.")
            } else {
                self.wrong(Code::TooShort, format!("At least {} characters are needed.", length.start()))
            };
        }
        if found > *length.end() {
            return self.wrong(Code::TooLong, format!("At most {} characters are allowed.", length.end()));
        }
        Some(text.to_owned())
    }

    pub(crate) fn boolean(&self) -> Option<bool> {
        match self.value {
            Value::Bool(value) => Some(*value),
            Value::Text(_) => self.wrong_so(
                Code::Shape,
                "Expected a boolean, found a string.",
                "Write `true` or `false` without quotes.",
            ),
            _ => self.unexpected("a boolean"),
        }
    }

    pub(crate) fn integer(&self, range: RangeInclusive<i64>) -> Option<i64> {
        match self.value {
            Value::Integer(number) if range.contains(number) => Some(*number),
            Value::Integer(number) => self.wrong(
                Code::Range,
                format!("{number} is out of range; {} to {} are allowed.", range.start(), range.end()),
            ),
            _ => self.unexpected("an integer"),
        }
    }

    pub(crate) fn number(&self, range: RangeInclusive<f64>) -> Option<f64> {
        let number = match self.value {
            #[expect(clippy::cast_precision_loss, reason = "ranges of such numbers are small")]
            Value::Integer(number) => *number as f64,
            Value::Float(number) => *number,
            _ => return self.unexpected("a number"),
        };
        if range.contains(&number) {
            return Some(number);
        }
        self.wrong(
            Code::Range,
            format!("{number} is out of range; {} to {} are allowed.", range.start(), range.end()),
        )
    }

    /// One of the texts that there are.
    pub(crate) fn choice<T: Copy>(&self, choices: &[(&'static str, T)]) -> Option<T> {
        let text = self.text()?;
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == text) {
            return Some(*value);
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let advice = match nearest(text, names.iter().copied()) {
            Some(name) => format!("Did you mean `{name}`?"),
            None => format!("Write one of {}.", listed(&names)),
        };
        self.wrong_so(Code::Choice, "This value is not one of those there are.", advice)
    }

    /// A duration as Go writes them, within bounds.
    pub(crate) fn duration(&self, range: RangeInclusive<Duration>) -> Option<Duration> {
        let text = match &self.value {
            // A number without a unit is the likeliest mistake, and worth the same advice.
            Value::Integer(_) | Value::Float(_) => "",
            _ => self.text()?,
        };
        let Some(duration) = super::duration::parse(text) else {
            return self.wrong_so(
                Code::Duration,
                "This is not a duration.",
                "Write a number with its unit, such as `90s`, `2m` or `1m30s`.",
            );
        };
        if range.contains(&duration) {
            return Some(duration);
        }
        self.wrong(
            Code::Duration,
            format!("{:?} to {:?} are allowed, not {duration:?}.", range.start(), range.end()),
        )
    }
}

/// A map whose names are known.
pub(crate) struct Fields<'n> {
    place: Place<'n>,
    entries: &'n [Entry],
}

impl<'n> Fields<'n> {
    /// A field's value, if it is there; one without a value counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<Place<'n>> {
        let entry = self.entries.iter().find(|entry| entry.name == name)?;
        (entry.node.value != Value::Null).then(|| self.place.child(name, &entry.node))
    }

    /// A field that must be there.
    pub(crate) fn need<T>(&self, name: &str, read: impl FnOnce(&Place<'n>) -> Option<T>) -> Option<T> {
        match self.get(name) {
            Some(place) => read(&place),
            None => self.place.wrong(Code::Missing, format!("The field `{name}` is missing.")),
        }
    }

    /// A field with a default.
    pub(crate) fn or<T>(
        &self,
        name: &str,
        default: T,
        read: impl FnOnce(&Place<'n>) -> Option<T>,
    ) -> Option<T> {
        match self.get(name) {
            Some(place) => read(&place),
            None => Some(default),
        }
    }

    /// A field that may be absent.
    #[expect(
        clippy::option_option,
        reason = "the outer says whether it was right, the inner whether it is there"
    )]
    pub(crate) fn maybe<T>(
        &self,
        name: &str,
        read: impl FnOnce(&Place<'n>) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.get(name) {
            Some(place) => read(&place).map(Some),
            None => Some(None),
        }
    }
}

/// All of them, after each was looked at; `None` if one was wrong.
pub(crate) fn all<T>(read: impl Iterator<Item = Option<T>>) -> Option<Vec<T>> {
    let mut right = true;
    let values: Vec<T> = read.inspect(|value| right &= value.is_some()).flatten().collect();
    right.then_some(values)
}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
