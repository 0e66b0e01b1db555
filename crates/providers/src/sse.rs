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
        let Some(value) = value(line, b"data") else { continue };
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

/// The time to wait before connecting again, as the last line of an event that names it says.
pub fn retry(event: &[u8]) -> Option<&[u8]> {
    lines(event).filter_map(|line| value(line, b"retry")).last()
}

/// The event with other data, if there is some, and another time to wait; its other lines stay as they
/// were. A field takes the place of its first line.
pub fn rewritten(event: &[u8], data: Option<&str>, retry: Option<&str>) -> Vec<u8> {
    let mut written = Vec::with_capacity(event.len() + data.map_or(0, str::len));
    let (mut data, mut retry) = ((data, false), (retry, false));
    let mut rest = event;
    if let Some(after) = rest.strip_prefix(MARK) {
        written.extend_from_slice(MARK);
        rest = after;
    }
    while !rest.is_empty() {
        let length = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let end = length + rest[length..].iter().take(2).take_while(|byte| is_end(**byte)).count();
        // A second line feed, or one before a carriage return, ends another line.
        let end = if rest[length..].starts_with(b"\r\n") { end } else { end.min(length + 1) };
        let (line, after) = (&rest[..length], &rest[end..]);
        let terminator = if end > length { &rest[length..end] } else { b"\n" };
        let field = if value(line, b"data").is_some() {
            Some(("data: ", &mut data))
        } else if value(line, b"retry").is_some() {
            Some(("retry: ", &mut retry))
        } else {
            None
        };
        match field {
            Some((name, (Some(text), was_written))) => {
                if !std::mem::replace(was_written, true) {
                    for part in text.replace("\r\n", "\n").split(['\n', '\r']) {
                        written.extend_from_slice(name.as_bytes());
                        written.extend_from_slice(part.as_bytes());
                        written.extend_from_slice(terminator);
                    }
                }
            }
            _ => written.extend_from_slice(&rest[..end]),
        }
        rest = after;
    }
    written
}

const MARK: &[u8] = b"\xEF\xBB\xBF";

fn is_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// What a line says, if it is this field's.
fn value<'l>(line: &'l [u8], field: &[u8]) -> Option<&'l [u8]> {
    match line.strip_prefix(field)? {
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        [] => Some(&[]),
        _ => None,
    }
}

/// A CRLF shows as two ends with an empty line between, which means nothing inside an event. A byte
/// order mark may stand before the first line of a stream.
fn lines(event: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = event.strip_prefix(MARK).unwrap_or(event);
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

    #[test]
    fn an_event_gets_other_data_and_keeps_the_rest() {
        let rewritten = |event: &str, data: Option<&str>, retry: Option<&str>| {
            String::from_utf8(super::rewritten(event.as_bytes(), data, retry)).unwrap()
        };
        for end in ["\n", "\r\n", "\r"] {
            let lines = |text: &str| text.replace('\n', end);
            let event = lines(": hi\nevent: x\ndata: a\nid: 1\ndata:b\nretry:5\n\n");
            let said = lines(": hi\nevent: x\ndata: c\nid: 1\nretry:5\n\n");
            assert_eq!(rewritten(&event, Some("c"), None), said, "{end:?}");
            let both = lines(": hi\nevent: x\ndata: c\ndata: d\nid: 1\nretry: 7\n\n");
            assert_eq!(rewritten(&event, Some("c\r\nd"), Some("7")), both, "{end:?}");
            assert_eq!(rewritten(&event, None, None), event, "{end:?}");
        }
        assert_eq!(rewritten("\u{feff}data: a", Some("b\nc"), None), "\u{feff}data: b\ndata: c\n");
        assert_eq!(rewritten("database: a\ndata\n\n", Some("b"), None), "database: a\ndata: b\n\n");
        assert_eq!(super::retry(b"data: a\nretry: 5\n\n"), Some(&b"5"[..]));
    }
}
