//! A path as its server reads it.

use std::borrow::Cow;

/// A text without its percent signs, which are undone once, as servers do. What is no percent sign of a byte, or
/// becomes no text by it, stays as it is.
pub fn undone(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let (mut undone, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.filter(|_| bytes[at] == b'%').and_then(|digits| str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => (undone.push(byte), at += 3).0,
            None => (undone.push(bytes[at]), at += 1).0,
        }
    }
    String::from_utf8(undone).map_or(Cow::Borrowed(text), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::undone;

    #[test]
    fn percent_signs_are_undone_once() {
        for (text, expected) in [
            ("a:b", "a:b"),
            ("a%3Ab%3a", "a:b:"),
            ("%2541%", "%41%"),
            ("%4", "%4"),
            ("%+1", "%+1"),
            ("%ff", "%ff"),
        ] {
            assert_eq!(undone(text), expected);
        }
    }
}
