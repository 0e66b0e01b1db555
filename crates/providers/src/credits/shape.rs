//! The language in which allowed bodies are written down, and the walk that compares a body with it.

use std::borrow::Cow;

use super::Forbidden;
use super::facts::{Facts, Mark};
use crate::scan::{self, Cursor, Kind, Malformed, Name, Value};

/// A member that an object may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field {
    name: &'static str,
    shape: Shape,
    required: bool,
    mark: Option<Mark>,
}

/// What a value must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Whatever: it costs no more than the bytes that it is written with.
    Any,
    /// A string.
    Text,
    /// A string that is data itself and not where it lies; and why.
    Inline(&'static str),
    /// A number.
    Number,
    /// A whole number of 0 or more.
    Whole,
    /// Nothing but 1, and why.
    One(&'static str),
    /// True or false.
    Flag,
    /// Nothing but false, and what to do instead.
    False(&'static str),
    /// One of these strings, and why no other one.
    Words(&'static [&'static str], &'static str),
    /// Nothing; what to do instead.
    Nothing(&'static str),
    /// An object with these members and no others.
    Object(&'static [Field]),
    /// A list of such.
    List(&'static Shape),
    /// The one that fits the kind of value.
    Either(&'static [Shape]),
    /// Objects that their `type` tells apart.
    Kinds(&'static Kinds),
    /// A value that is noted once it was read.
    Noted(Mark, &'static Shape),
}

/// Objects that their `type` tells apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kinds {
    /// By type. Without members it may have any.
    pub(super) of: &'static [(&'static str, Option<&'static [Field]>)],
    /// Without a type.
    pub(super) untyped: Option<&'static [Field]>,
    /// Types that people will ask for, and why they are refused.
    pub(super) refused: &'static [(&'static str, &'static str)],
    /// What it must be.
    pub(super) rule: &'static str,
}

/// A member that may be left out, or be null.
pub(super) const fn field(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: false, mark: None }
}

impl Field {
    /// It must be there.
    pub(super) const fn required(self) -> Self {
        Self { required: true, mark: self.mark, shape: self.shape, name: self.name }
    }

    /// It is noted, even if it is null.
    pub(super) const fn noted(self, mark: Mark) -> Self {
        Self { mark: Some(mark), required: self.required, shape: self.shape, name: self.name }
    }
}

const UNKNOWN: &str =
    "must be left out: it is not known what it does or costs. Use a key of your own where it is needed";
const MISSING: &str = "must be there";
const TWICE: &str = "must stand there only once";

/// Compares the object here.
pub(super) fn object(cursor: &mut Cursor<'_>, fields: &[Field], facts: &mut Facts) -> Result<(), Forbidden> {
    // Which members were seen; no table is longer than this has bits, which a test tells.
    let mut seen = 0_u64;
    cursor.object(|cursor, name| {
        let Some(index) = fields.iter().position(|field| name.is(field.name)) else {
            return Err(Forbidden::field(&name.shown(), UNKNOWN));
        };
        let field = &fields[index];
        if seen & 1 << index != 0 {
            return Err(Forbidden::field(field.name, TWICE));
        }
        seen |= 1 << index;
        member(cursor, field, name, facts).map_err(|error| error.within(field.name))
    })?;
    facts.end_of_object();
    // Of two of one name, the first one counts.
    let is_hidden = |index: usize| fields[..index].iter().any(|before| before.name == fields[index].name);
    let is_missing = |index: &usize| fields[*index].required && seen & 1 << index == 0 && !is_hidden(*index);
    let missing = (0..fields.len()).find(is_missing);
    missing.map_or(Ok(()), |index| Err(Forbidden::field(fields[index].name, MISSING)))
}

fn member(
    cursor: &mut Cursor<'_>,
    field: &Field,
    name: Name<'_>,
    facts: &mut Facts,
) -> Result<(), Forbidden> {
    let value = if cursor.kind()? == Kind::Null {
        if field.required {
            return Err(Forbidden::field("", MISSING));
        }
        cursor.pass()?
    } else {
        value(cursor, &field.shape, facts)?
    };
    match field.mark {
        Some(mark) => facts.note(mark, &value, Some(name)),
        None => Ok(()),
    }
}

fn value<'a>(cursor: &mut Cursor<'a>, shape: &Shape, facts: &mut Facts) -> Result<Value<'a>, Forbidden> {
    let (kind, start) = (cursor.kind()?, cursor.clone());
    let expected = match shape {
        Shape::Any => None,
        Shape::Text => (kind != Kind::String).then_some("must be a string"),
        Shape::Number => (kind != Kind::Number).then_some("must be a number"),
        Shape::Whole => (kind != Kind::Number).then_some(WHOLE),
        Shape::One(rule) => (kind != Kind::Number).then_some(*rule),
        Shape::Flag => (!matches!(kind, Kind::True | Kind::False)).then_some("must be true or false"),
        Shape::False(rule) => (kind != Kind::False).then_some(*rule),
        Shape::Words(_, rule) | Shape::Inline(rule) => (kind != Kind::String).then_some(*rule),
        Shape::Nothing(rule) => Some(*rule),
        Shape::Object(_) | Shape::Kinds(_) => (kind != Kind::Object).then_some("must be an object"),
        Shape::List(_) => (kind != Kind::List).then_some("must be a list"),
        Shape::Either(shapes) => {
            let fits = shapes.iter().find(|shape| shape.is_for(kind));
            return fits.map_or(Err(Forbidden::field("", "has a type that is not allowed there")), |shape| {
                value(cursor, shape, facts)
            });
        }
        Shape::Noted(mark, inner) => {
            let passed = value(cursor, inner, facts)?;
            facts.note(*mark, &passed, None)?;
            return Ok(passed);
        }
    };
    if let Some(rule) = expected {
        return Err(Forbidden::field("", rule));
    }
    match shape {
        Shape::Object(fields) => object(cursor, fields, facts)?,
        Shape::Kinds(kinds) => kinds.object(cursor, facts)?,
        Shape::List(element) => cursor.list(|cursor, index| {
            value(cursor, element, facts).map(drop).map_err(|error| error.within(&format!("[{index}]")))
        })?,
        _ => _ = cursor.pass()?,
    }
    let passed = start.until(cursor, kind);
    match shape {
        Shape::Words(words, rule) => {
            let word = scan::unescaped(passed.bytes);
            let allowed = word.is_some_and(|word| words.contains(&word.as_ref()));
            if !allowed {
                return Err(Forbidden::field("", *rule));
            }
        }
        Shape::Whole => _ = whole(&passed)?,
        Shape::One(rule) if passed.bytes != b"1" => return Err(Forbidden::field("", *rule)),
        Shape::Inline(rule) if !passed.bytes.starts_with(b"\"data:") => {
            return Err(Forbidden::field("", *rule));
        }
        _ => {}
    }
    Ok(passed)
}

const WHOLE: &str = "must be a whole number of 0 or more";

/// A whole number, written without point or exponent: whether `1e3` is one, readers differ.
pub(super) fn whole(value: &Value<'_>) -> Result<u64, Forbidden> {
    let digits = str::from_utf8(value.bytes).ok().and_then(|digits| digits.parse().ok());
    digits.ok_or(Forbidden::field("", WHOLE))
}

/// A string, escapes resolved.
pub(super) fn text<'a>(value: &Value<'a>) -> Result<Cow<'a, str>, Forbidden> {
    scan::unescaped(value.bytes).ok_or(Forbidden::field("", "must be a string without broken escapes"))
}

impl Shape {
    /// Whether this is the one to compare a value of this kind with.
    fn is_for(&self, kind: Kind) -> bool {
        match self {
            Self::Any | Self::Nothing(_) => true,
            Self::Text | Self::Inline(_) | Self::Words(..) => kind == Kind::String,
            Self::Number | Self::Whole | Self::One(_) => kind == Kind::Number,
            Self::Flag | Self::False(_) => matches!(kind, Kind::True | Kind::False),
            Self::Object(_) | Self::Kinds(_) => kind == Kind::Object,
            Self::List(_) => kind == Kind::List,
            Self::Either(shapes) => shapes.iter().any(|shape| shape.is_for(kind)),
            Self::Noted(_, shape) => shape.is_for(kind),
        }
    }
}

impl Kinds {
    fn object(&self, cursor: &mut Cursor<'_>, facts: &mut Facts) -> Result<(), Forbidden> {
        let Some(kind) = kind_ahead(cursor)? else {
            let untyped = self.untyped.ok_or(Forbidden::field("type", self.rule))?;
            return object(cursor, untyped, facts);
        };
        if let Some((_, rule)) = self.refused.iter().find(|(refused, _)| *refused == kind) {
            return Err(Forbidden::field("type", *rule));
        }
        match self.of.iter().find(|(of, _)| *of == kind) {
            None => Err(Forbidden::field("type", self.rule)),
            Some((_, Some(fields))) => object(cursor, fields, facts),
            Some((_, None)) => any_of_one_type(cursor),
        }
    }
}

/// The `type` of the object here, without going on, and without reading further than it.
fn kind_ahead<'a>(cursor: &Cursor<'a>) -> Result<Option<Cow<'a, str>>, Forbidden> {
    let ahead = cursor.clone().object(|cursor, name| {
        let value = cursor.pass()?;
        if name.is("type") && value.kind != Kind::Null { Err(Ahead::Found(value)) } else { Ok(()) }
    });
    match ahead {
        Ok(()) => Ok(None),
        Err(Ahead::Malformed(malformed)) => Err(malformed.into()),
        Err(Ahead::Found(value)) if value.kind == Kind::String => {
            text(&value).map(Some).map_err(|error| error.within("type"))
        }
        Err(Ahead::Found(_)) => Err(Forbidden::field("type", "must be a string")),
    }
}

/// Why looking ahead ended.
enum Ahead<'a> {
    Found(Value<'a>),
    Malformed(Malformed),
}

impl From<Malformed> for Ahead<'_> {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

/// Passes an object that may have any members, if it says its type once.
fn any_of_one_type(cursor: &mut Cursor<'_>) -> Result<(), Forbidden> {
    let mut seen = false;
    cursor.object(|cursor, name| {
        if name.is("type") && std::mem::replace(&mut seen, true) {
            return Err(Forbidden::field("type", TWICE));
        }
        cursor.pass()?;
        Ok(())
    })
}

#[cfg(test)]
impl Field {
    /// Every table below this one, for a test of their lengths.
    pub(super) fn tables(fields: &'static [Self], found: &mut Vec<usize>) {
        found.push(fields.len());
        fields.iter().for_each(|field| field.shape.tables(found));
    }
}

#[cfg(test)]
impl Shape {
    fn tables(&self, found: &mut Vec<usize>) {
        match self {
            Self::Object(fields) => Field::tables(fields, found),
            Self::List(shape) | Self::Noted(_, shape) => shape.tables(found),
            Self::Either(shapes) => shapes.iter().for_each(|shape| shape.tables(found)),
            Self::Kinds(kinds) => {
                let typed = kinds.of.iter().filter_map(|(_, fields)| *fields);
                typed.chain(kinds.untyped).for_each(|fields| Field::tables(fields, found));
            }
            _ => {}
        }
    }
}
