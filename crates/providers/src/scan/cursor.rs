//! Walks through a JSON text value by value, in one pass and without allocating. Other than the scan
//! for a few members it reads everything strictly: where all of a body must be known, no reader may
//! find in it what another does not.

use std::ops::Range;

use super::{Kind, MAX_DEPTH, Malformed, Member, Reader, text};

/// A place in a JSON text, in front of a value.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    reader: Reader<'a>,
    depth: usize,
}

/// The name of a member, as it stands between its quotes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Name<'a> {
    raw: &'a [u8],
    start: usize,
}

impl<'a> Name<'a> {
    /// Whether it is this one, escapes resolved.
    pub(crate) fn is(self, wanted: &str) -> bool {
        text::is_named(self.raw, wanted)
    }

    /// To be shown.
    pub(crate) fn shown(self) -> String {
        const LONGEST: usize = 64;
        let text = String::from_utf8_lossy(self.raw);
        text.chars().take(LONGEST).collect()
    }

    /// The member of this name whose value stands there.
    pub(crate) fn member(self, value: Value<'a>) -> Member {
        Member { name_start: self.start, span: value.span, kind: value.kind }
    }
}

/// A value that was passed.
#[derive(Debug, Clone)]
pub(crate) struct Value<'a> {
    pub(crate) kind: Kind,
    /// Its bytes, quotes included.
    pub(crate) span: Range<usize>,
    pub(crate) bytes: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// In front of the body's only value.
    pub(crate) fn new(body: &'a [u8]) -> Result<Self, Malformed> {
        str::from_utf8(body).map_err(|_| Malformed::NotUtf8)?;
        let mut reader = Reader { body, at: 0 };
        reader.skip_space();
        Ok(Self { reader, depth: 0 })
    }

    /// What the value here is, by its first byte.
    pub(crate) fn kind(&self) -> Result<Kind, Malformed> {
        match self.reader.peek() {
            Some(b'"') => Ok(Kind::String),
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::List),
            Some(b't') => Ok(Kind::True),
            Some(b'f') => Ok(Kind::False),
            Some(b'n') => Ok(Kind::Null),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            _ => Err(Malformed::Broken(self.reader.at)),
        }
    }

    /// Passes the value here, whatever it is.
    pub(crate) fn pass(&mut self) -> Result<Value<'a>, Malformed> {
        let (kind, start) = (self.kind()?, self.reader.at);
        match kind {
            Kind::Object => self.object(|cursor, _| cursor.pass().map(drop))?,
            Kind::List => self.list(|cursor, _| cursor.pass().map(drop))?,
            Kind::String => _ = self.string()?,
            _ => _ = self.reader.value()?,
        }
        let span = start..self.reader.at;
        Ok(Value { kind, bytes: &self.reader.body[span.clone()], span })
    }

    /// What lies between here and where `end` stands, which is the value here.
    pub(crate) fn until(&self, end: &Self, kind: Kind) -> Value<'a> {
        let span = self.reader.at..end.reader.at;
        Value { kind, bytes: &self.reader.body[span.clone()], span }
    }

    /// Passes the object here. `member` is called in front of each member's value, and passes it.
    pub(crate) fn object<E: From<Malformed>>(
        &mut self,
        member: impl FnMut(&mut Self, Name<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.enter(b'{')?;
        self.members(member)?;
        self.depth -= 1;
        Ok(())
    }

    /// Passes the list here. `element` is called in front of each, and passes it.
    pub(crate) fn list<E: From<Malformed>>(
        &mut self,
        element: impl FnMut(&mut Self, usize) -> Result<(), E>,
    ) -> Result<(), E> {
        self.enter(b'[')?;
        self.elements(element)?;
        self.depth -= 1;
        Ok(())
    }

    fn members<E: From<Malformed>>(
        &mut self,
        mut member: impl FnMut(&mut Self, Name<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.reader.skip_space();
        if self.reader.take(b'}') {
            return Ok(());
        }
        loop {
            self.reader.skip_space();
            let start = self.reader.at;
            let name = self.string()?;
            self.reader.skip_space();
            self.reader.expect(b':')?;
            self.reader.skip_space();
            member(self, Name { raw: &self.reader.body[name], start })?;
            self.reader.skip_space();
            if self.reader.take(b'}') {
                return Ok(());
            }
            self.reader.expect(b',')?;
        }
    }

    fn elements<E: From<Malformed>>(
        &mut self,
        mut element: impl FnMut(&mut Self, usize) -> Result<(), E>,
    ) -> Result<(), E> {
        self.reader.skip_space();
        if self.reader.take(b']') {
            return Ok(());
        }
        let mut index = 0;
        loop {
            self.reader.skip_space();
            element(self, index)?;
            self.reader.skip_space();
            if self.reader.take(b']') {
                return Ok(());
            }
            self.reader.expect(b',')?;
            index += 1;
        }
    }

    /// Makes sure that nothing follows.
    pub(crate) fn end(self) -> Result<(), Malformed> {
        self.reader.end(())
    }

    fn enter(&mut self, bracket: u8) -> Result<(), Malformed> {
        self.reader.expect(bracket)?;
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(Malformed::TooDeep) } else { Ok(()) }
    }

    /// Passes a string, whose escapes must be JSON's and whose control characters must be escaped.
    fn string(&mut self) -> Result<Range<usize>, Malformed> {
        let start = self.reader.at;
        let inside = self.reader.string()?;
        let raw = &self.reader.body[inside.clone()];
        // Folded instead of searched, so that it is done in vectors.
        let controls = raw.iter().fold(false, |found, byte| found | (*byte < 0x20));
        let escapes = memchr::memchr(b'\\', raw).is_none_or(|first| has_valid_escapes(&raw[first..]));
        if controls || !escapes { Err(Malformed::Broken(start)) } else { Ok(inside) }
    }
}

fn has_valid_escapes(mut raw: &[u8]) -> bool {
    while let Some(at) = memchr::memchr(b'\\', raw) {
        let length = match raw.get(at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
            Some(b'u') => {
                let digits = raw.get(at + 2..at + 6).unwrap_or_default();
                if digits.len() < 4 || !digits.iter().all(u8::is_ascii_hexdigit) {
                    return false;
                }
                6
            }
            _ => return false,
        };
        raw = &raw[at + length..];
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value as Json;

    use super::*;

    fn passed(body: &[u8]) -> Result<(), Malformed> {
        let mut cursor = Cursor::new(body)?;
        cursor.pass()?;
        cursor.end()
    }

    #[test]
    fn what_a_cursor_passes_is_json() {
        for body in ["{}", " [1,{\"a\":\"\\u00e9\\\"\"},null] ", "\"x\"", "-0.5e+3", "[[],{}]"] {
            assert_eq!(passed(body.as_bytes()), Ok(()), "{body}");
        }
        let broken = [
            "",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "[1 2]",
            "{\"a\"}",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\n\"",
            "01",
            "nul",
            "[1]]",
            "{\"a\":[}",
            "NaN",
            "'a'",
            "/* */1",
        ];
        for body in broken {
            assert!(passed(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(passed(nested(MAX_DEPTH).as_bytes()), Ok(()));
        assert_eq!(passed(nested(MAX_DEPTH + 1).as_bytes()), Err(Malformed::TooDeep));
    }

    proptest! {
        #[test]
        fn nothing_passes_that_is_not_json(text in r#"[\[\]{}"\\:,0-9a\-.eEtruefalsn \n]{0,24}"#) {
            if passed(text.as_bytes()).is_ok() {
                let read = serde_json::from_str::<Json>(&text);
                // Lone surrogates and numbers beyond a float are the provider's to judge.
                prop_assert!(read.is_ok() || text.contains("\\u") || text.contains(['e', 'E']), "{}", text);
            }
        }

        #[test]
        fn json_passes(text in r#"[\[\]{}"\\:,0-9a\-.eEtruefalsn \n]{0,12}"#) {
            if serde_json::from_str::<Json>(&text).is_ok() {
                prop_assert_eq!(passed(text.as_bytes()), Ok(()));
            }
        }

        #[test]
        fn any_bytes_are_survived(body: Vec<u8>) {
            let _ = passed(&body);
        }
    }
}
