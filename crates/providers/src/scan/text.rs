//! JSON strings: comparing and reading them with their escapes resolved.

use std::borrow::Cow;

/// Whether a member's name, as it stands between its quotes, is `wanted`.
pub(crate) fn is_named(raw: &[u8], wanted: &str) -> bool {
    // Most names differ in their first letter already, unless that is written as an escape.
    if raw.len() < wanted.len() || raw.first() != wanted.as_bytes().first() && raw.first() != Some(&b'\\') {
        return false;
    }
    if !raw.contains(&b'\\') {
        return raw == wanted.as_bytes();
    }
    // The names we look for are ASCII, so comparing characters as they come is enough.
    let mut wanted = wanted.chars();
    Characters { raw }.all(|character| character.is_some() && character == wanted.next())
        && wanted.next().is_none()
}

/// The text of a JSON string, given with its quotes. `None` if an escape is broken, a surrogate
/// stands alone, or a control character is not escaped.
pub fn unescaped(string: &[u8]) -> Option<Cow<'_, str>> {
    let raw = string.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if raw.iter().any(|byte| *byte < 0x20) {
        return None;
    }
    if !raw.contains(&b'\\') {
        return str::from_utf8(raw).ok().map(Cow::Borrowed);
    }
    str::from_utf8(raw).ok()?;
    Characters { raw }.collect::<Option<String>>().map(Cow::Owned)
}

/// The characters of a JSON string's inside; `None` for what is not one.
struct Characters<'a> {
    raw: &'a [u8],
}

impl Iterator for Characters<'_> {
    type Item = Option<char>;

    fn next(&mut self) -> Option<Option<char>> {
        let (first, rest) = self.raw.split_first()?;
        if *first == b'\\' {
            return Some(self.escape());
        }
        if first.is_ascii() {
            self.raw = rest;
            return Some(Some(char::from(*first)));
        }
        let length = self.raw.iter().skip(1).take_while(|byte| **byte & 0xC0 == 0x80).count() + 1;
        let (character, rest) = self.raw.split_at(length);
        self.raw = rest;
        Some(str::from_utf8(character).ok().and_then(|text| text.chars().next()))
    }
}

impl Characters<'_> {
    fn escape(&mut self) -> Option<char> {
        let letter = self.raw.get(1).copied();
        self.raw = self.raw.get(2..).unwrap_or_default();
        match letter? {
            plain @ (b'"' | b'\\' | b'/') => Some(char::from(plain)),
            b'b' => Some('\u{8}'),
            b'f' => Some('\u{c}'),
            b'n' => Some('\n'),
            b'r' => Some('\r'),
            b't' => Some('\t'),
            b'u' => self.code_point(),
            _ => None,
        }
    }

    fn code_point(&mut self) -> Option<char> {
        let first = self.unit()?;
        if !(0xD800..0xDC00).contains(&first) {
            return char::from_u32(first);
        }
        self.raw = self.raw.strip_prefix(b"\\u")?;
        let second = self.unit()?;
        let low = second.checked_sub(0xDC00).filter(|low| *low < 0x400)?;
        char::from_u32(0x10000 + ((first - 0xD800) << 10) + low)
    }

    fn unit(&mut self) -> Option<u32> {
        let (digits, rest) = self.raw.split_at_checked(4)?;
        self.raw = rest;
        let digits = str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
        u32::from_str_radix(digits, 16).ok()
    }
}
