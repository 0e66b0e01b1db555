//! Finds a few top-level members of a JSON object in one pass over its bytes, without parsing the
//! rest and without allocating. Of what is nested, only strings and brackets are read: whether it
//! is valid otherwise is the provider's to say.

mod bytes;
mod cursor;
mod text;

use std::ops::Range;

pub(crate) use bytes::{next_structural, string_end};
pub(crate) use cursor::{Cursor, Name, Value};
pub(crate) use text::is_named;
pub use text::unescaped;

/// How deep objects and lists may be nested, the outermost included.
pub const MAX_DEPTH: usize = 128;

/// One member of the object: where its value stands, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Where the member's name begins, at its quote.
    pub name_start: usize,
    /// The bytes of the value, without the space around it; of a string, quotes included.
    pub span: Range<usize>,
    /// What the value is.
    pub kind: Kind,
}

/// What a JSON value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are JSON's own")]
pub enum Kind {
    String,
    Number,
    True,
    False,
    Null,
    Object,
    List,
}

/// Why bytes are not an object that can be scanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// JSON is UTF-8.
    #[error("The body is not valid UTF-8")]
    NotUtf8,
    /// A list, a number, nothing at all.
    #[error("The body is not a JSON object")]
    NotAnObject,
    /// The structure breaks at this byte.
    #[error("The body is not valid JSON (at byte {0})")]
    Broken(usize),
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("The body is nested too deeply")]
    TooDeep,
    /// A member that was asked for stands there twice, and readers differ in which one counts.
    #[error("The body has more than one member `{0}`")]
    Twice(&'static str),
}

/// The members called `names` of the object in `body`, in the order of `names`; `None` for those
/// that are not there. Escapes in names are resolved: `"mod\u0065l"` is `model`.
pub fn members<const N: usize>(
    body: &[u8],
    names: &[&'static str; N],
) -> Result<[Option<Member>; N], Malformed> {
    str::from_utf8(body).map_err(|_| Malformed::NotUtf8)?;
    members_of_text(body, names)
}

/// As [`members`], for bytes that are known to be UTF-8, or whose other bytes do not matter.
pub fn members_of_text<const N: usize>(
    body: &[u8],
    names: &[&'static str; N],
) -> Result<[Option<Member>; N], Malformed> {
    let mut found = [const { None }; N];
    each_member(body, |name, member| {
        let Some(index) = names.iter().position(|wanted| text::is_named(name, wanted)) else { return Ok(()) };
        match found[index].replace(member()) {
            None => Ok(()),
            Some(_) => Err(Malformed::Twice(names[index])),
        }
    })?;
    Ok(found)
}

/// The member of a name that is not known before; whoever looks for it says what it is called where it
/// stands there twice.
pub fn member(body: &[u8], name: &str, called: &'static str) -> Result<Option<Member>, Malformed> {
    str::from_utf8(body).map_err(|_| Malformed::NotUtf8)?;
    let mut found = None;
    each_member(body, |raw, member| {
        // Names that are not ASCII are compared as they are meant, too.
        let is_it = raw == name.as_bytes()
            || raw.contains(&b'\\') && unescaped(&quoted(raw)).is_some_and(|said| said == name);
        match is_it.then(|| found.replace(member())) {
            Some(Some(_)) => Err(Malformed::Twice(called)),
            _ => Ok(()),
        }
    })?;
    Ok(found)
}

fn quoted(raw: &[u8]) -> Vec<u8> {
    [b"\"", raw, b"\""].concat()
}

/// Shows every member with its name as it is written.
pub(crate) fn each_member(
    body: &[u8],
    mut see: impl FnMut(&[u8], &dyn Fn() -> Member) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut reader = Reader { body, at: 0 };
    reader.skip_space();
    if !reader.take(b'{') {
        return Err(Malformed::NotAnObject);
    }
    reader.skip_space();
    if reader.take(b'}') {
        return reader.end(());
    }
    loop {
        reader.skip_space();
        let name_start = reader.at;
        let name = reader.string()?;
        reader.skip_space();
        reader.expect(b':')?;
        reader.skip_space();
        let start = reader.at;
        let kind = reader.value()?;
        let end = reader.at;
        see(&body[name], &|| Member { name_start, span: start..end, kind })?;
        reader.skip_space();
        if reader.take(b'}') {
            return reader.end(());
        }
        reader.expect(b',')?;
    }
}

#[derive(Debug, Clone)]
struct Reader<'a> {
    body: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let here = self.peek() == Some(byte);
        self.at += usize::from(here);
        here
    }

    fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.take(byte) { Ok(()) } else { Err(Malformed::Broken(self.at)) }
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn end<T>(mut self, found: T) -> Result<T, Malformed> {
        self.skip_space();
        if self.at == self.body.len() { Ok(found) } else { Err(Malformed::Broken(self.at)) }
    }

    /// Skips a string and gives what stands between its quotes.
    fn string(&mut self) -> Result<Range<usize>, Malformed> {
        self.expect(b'"')?;
        let start = self.at;
        self.at = bytes::string_end(self.body, start).ok_or(Malformed::Broken(self.body.len()))? + 1;
        Ok(start..self.at - 1)
    }

    fn value(&mut self) -> Result<Kind, Malformed> {
        match self.peek() {
            Some(b'"') => self.string().map(|_| Kind::String),
            Some(b'{') => self.nested().map(|()| Kind::Object),
            Some(b'[') => self.nested().map(|()| Kind::List),
            Some(b't') => self.word(b"true", Kind::True),
            Some(b'f') => self.word(b"false", Kind::False),
            Some(b'n') => self.word(b"null", Kind::Null),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(Malformed::Broken(self.at)),
        }
    }

    fn word(&mut self, word: &[u8], kind: Kind) -> Result<Kind, Malformed> {
        if !self.body[self.at..].starts_with(word) {
            return Err(Malformed::Broken(self.at));
        }
        self.at += word.len();
        Ok(kind)
    }

    fn number(&mut self) -> Result<Kind, Malformed> {
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        Ok(Kind::Number)
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(Malformed::Broken(self.at)) }
    }

    /// Skips an object or a list. Which bracket is open at each level is a bit, so that nothing is
    /// allocated and a wrong closing bracket is noticed.
    fn nested(&mut self) -> Result<(), Malformed> {
        let (mut depth, mut objects) = (0, 0_u128);
        loop {
            let Some(at) = bytes::next_structural(self.body, self.at) else {
                return Err(Malformed::Broken(self.body.len()));
            };
            self.at = at;
            match self.body[at] {
                b'"' => {
                    self.string()?;
                    continue;
                }
                open @ (b'{' | b'[') => {
                    depth += 1;
                    if depth == MAX_DEPTH {
                        return Err(Malformed::TooDeep);
                    }
                    objects = objects << 1 | u128::from(open == b'{');
                }
                close => {
                    if (objects & 1 == 1) != (close == b'}') {
                        return Err(Malformed::Broken(at));
                    }
                    (depth, objects) = (depth - 1, objects >> 1);
                }
            }
            self.at += 1;
            if depth == 0 {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests;
