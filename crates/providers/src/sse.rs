//! Server-sent events: where they end, and what data they carry. Chunks may be cut anywhere, lines
//! may end in LF, CRLF or CR.

use std::borrow::Cow;

use memchr::memchr2;

/// Finds the ends of events in a stream of chunks.
#[derive(Debug, Clone, Copy)]
pub struct Boundaries {
    line_is_empty: bool,
    /// A CR was last; it ended a line that was empty, or not. An LF that follows belongs to it.
    after_cr: Option<bool>,
}

impl Default for Boundaries {
    fn default() -> Self {
        Self { line_is_empty: true, after_cr: None }
    }
}

impl Boundaries {
    /// The end of the event under way, as the number of bytes up to and with its blank line; `None`
    /// if it goes on after this chunk. An event whose blank line is a lone CR ends with the next byte,
    /// so the number can be 0.
    pub fn next_end(&mut self, chunk: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < chunk.len() {
            if let Some(was_empty) = self.after_cr.take() {
                at += usize::from(chunk[at] == b'\n');
                if was_empty {
                    return Some(at);
                }
                continue;
            }
            match chunk[at] {
                b'\n' => {
                    at += 1;
                    if std::mem::replace(&mut self.line_is_empty, true) {
                        return Some(at);
                    }
                }
                b'\r' => {
                    at += 1;
                    self.after_cr = Some(std::mem::replace(&mut self.line_is_empty, true));
                }
                _ => {
                    self.line_is_empty = false;
                    at += memchr2(b'\n', b'\r', &chunk[at..]).unwrap_or(chunk.len() - at);
                }
            }
        }
        None
    }
}

/// The data of an event, its lines joined by LF; `None` if it has none, as comments do.
pub fn data(event: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut found: Option<Cow<'_, [u8]>> = None;
    for line in lines(event) {
        let Some(value) = line.strip_prefix(b"data") else { continue };
        let value = match value {
            [b':', b' ', value @ ..] | [b':', value @ ..] => value,
            [] => value,
            _ => continue,
        };
        match &mut found {
            None => found = Some(Cow::Borrowed(value)),
            Some(data) => {
                let data = data.to_mut();
                data.push(b'\n');
                data.extend_from_slice(value);
            }
        }
    }
    found
}

/// A CRLF shows as two ends with an empty line between, which means nothing inside an event. A byte
/// order mark may stand before the first line of a stream.
fn lines(event: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = event.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(event);
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let line = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        Some(line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
        let (mut boundaries, mut events, mut partial) = (Boundaries::default(), vec![], vec![]);
        for mut chunk in chunks {
            while let Some(end) = boundaries.next_end(chunk) {
                partial.extend_from_slice(&chunk[..end]);
                events.push(std::mem::take(&mut partial));
                chunk = &chunk[end..];
            }
            partial.extend_from_slice(chunk);
        }
        events.push(partial);
        events
    }

    #[test]
    fn events_end_at_blank_lines_however_lines_end() {
        for end in ["\n", "\r\n", "\r"] {
            let stream = ": hi\n\ndata: a\nevent: x\ndata:b\n\ndata: c\n\n".replace('\n', end);
            let whole = events([stream.as_bytes()]);
            let data: Vec<_> = whole.iter().map(|event| data(event).map(Cow::into_owned)).collect();
            assert_eq!(data[..3], [None, Some(b"a\nb".to_vec()), Some(b"c".to_vec())][..], "{end:?}");
            assert_eq!(events(stream.as_bytes().chunks(1)), whole, "{end:?}");
            assert_eq!(whole.concat(), stream.as_bytes());
        }
    }

    #[test]
    fn fields_are_read_as_the_specification_says() {
        let read =
            |event: &str| data(event.as_bytes()).map(|data| String::from_utf8(data.into_owned()).unwrap());
        assert_eq!(read("\u{feff}data: x\n\n").as_deref(), Some("x"));
        assert_eq!(read("data:  x\n\n").as_deref(), Some(" x"));
        assert_eq!(read("data\n\n").as_deref(), Some(""));
        assert_eq!(read("database: x\n\n"), None);
    }
}
