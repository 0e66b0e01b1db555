//! A list's file: JSON lines, the first of which names the version. A line is cut out by its names when
//! the list is loaded and read when its model is first asked for.

use std::borrow::Cow;

use serde::Deserialize;

use super::Price;
use crate::scan;

/// The first line.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Header {
    pub(super) version: String,
    pub(super) effective_from: i64,
}

/// Why a file of prices cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidDocument {
    /// A line is not what it should be.
    #[error("line {0} cannot be read")]
    Line(usize),
    /// Prices have another shape.
    #[error(transparent)]
    Price(#[from] serde_json::Error),
}

type Named<'a> = ((&'a str, &'a str), &'a str);

/// The header, and the lines with their names.
pub(super) fn lines(
    text: &str,
) -> Result<(Header, impl Iterator<Item = Result<Named<'_>, InvalidDocument>>), InvalidDocument> {
    let (header, rest) = text.split_once('\n').ok_or(InvalidDocument::Line(1))?;
    let lines = rest.lines().enumerate().map(|(index, line)| {
        let names = names(line).ok_or(InvalidDocument::Line(index + 2))?;
        Ok((names, line))
    });
    Ok((serde_json::from_str(header)?, lines))
}

/// The prices in a line.
pub(super) fn price(line: &str) -> Result<Price, InvalidDocument> {
    Ok(serde_json::from_str(line)?)
}

fn names(line: &str) -> Option<(&str, &str)> {
    let [provider, model] = scan::members_of_text(line.as_bytes(), &["provider", "model"]).ok()?;
    let text = |member: Option<scan::Member>| match scan::unescaped(&line.as_bytes()[member?.span])? {
        Cow::Borrowed(text) => Some(text),
        Cow::Owned(_) => None,
    };
    Some((text(provider)?, text(model)?))
}
