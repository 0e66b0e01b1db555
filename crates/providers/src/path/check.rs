//! What a path may not have in it, because a server on its way might read it as another path.

use super::InvalidPath;

/// Refuses what a server between here and the provider's handler might read as another path. Percent
/// signs are undone as often as they were done, because we cannot know how often others undo them.
pub(super) fn check(rest: &str) -> Result<(), InvalidPath> {
    let bytes = rest.as_bytes();
    let (mut at, mut segment) = (0, Segment::default());
    while at < bytes.len() {
        let (byte, length) = decoded(&bytes[at..]);
        at += length;
        match byte {
            b'/' if length == 1 && segment.length == 0 => return Err(InvalidPath::EmptySegment),
            b'/' => segment.end()?,
            b'\\' | b'?' | b'#' if length == 1 => return Err(InvalidPath::Characters),
            b'\\' => segment.end()?,
            byte if byte.is_ascii_control() => return Err(InvalidPath::Characters),
            byte => segment.push(byte),
        }
    }
    segment.end()
}

/// The first byte of a path as the most eager server would read it, and how many bytes it takes.
fn decoded(bytes: &[u8]) -> (u8, usize) {
    if bytes[0] != b'%' {
        return (bytes[0], 1);
    }
    let mut at = 1;
    while bytes[at..].starts_with(b"25") {
        at += 2;
    }
    let digits = bytes.get(at..at + 2).and_then(|digits| str::from_utf8(digits).ok());
    let plain = digits.filter(|digits| !digits.starts_with('+'));
    match plain.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
        Some(byte) => (byte, at + 2),
        None => (b'%', at),
    }
}

/// What is known of the path segment being read: whether it is dots only, up to a `;`, which some
/// servers cut off.
#[derive(Default)]
struct Segment {
    length: usize,
    dots: usize,
    parameters: bool,
}

impl Segment {
    fn push(&mut self, byte: u8) {
        self.parameters |= byte == b';';
        self.length += 1;
        if !self.parameters {
            self.dots =
                if byte == b'.' && self.dots + 1 == self.length { self.length } else { usize::MAX - 1 };
        }
    }

    fn end(&mut self) -> Result<(), InvalidPath> {
        let climbs = matches!(self.dots, 1 | 2);
        *self = Self::default();
        if climbs { Err(InvalidPath::DotSegment) } else { Ok(()) }
    }
}
