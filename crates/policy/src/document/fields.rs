//! Reading maps, those whose names are known among them.

use std::ops::RangeInclusive;

use super::place::Place;
use super::{Entry, Value, short};
use crate::problem::Code;

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

impl<'n> Place<'n> {
    /// A map whose names are all known.
    pub(crate) fn fields(&self, known: &'static [&'static str]) -> Option<Fields<'n>> {
        let entries = match self.value {
            Value::Map(entries) => entries.as_slice(),
            Value::Null => &[],
            _ => return self.unexpected("a map"),
        };
        for entry in entries.iter().filter(|entry| !known.contains(&entry.name.as_str())) {
            let advice = match self.nearest(&entry.name, known.iter().copied()) {
                Some(name) => format!("Did you mean `{name}`?"),
                None if known.is_empty() => "This takes no fields.".to_owned(),
                None => format!("The fields are {}.", listed(known)),
            };
            let path = self.child(&short(&entry.name), &entry.node).path().to_owned();
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
}

/// Names as they are said in advice.
pub(super) fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
