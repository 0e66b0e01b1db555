//! Reading texts, numbers and what is written as such.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::Value;
use super::fields::listed;
use super::place::Place;
use crate::problem::Code;

impl<'n> Place<'n> {
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
        let advice = match self.nearest(text, names.iter().copied()) {
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
