//! Where a request ends and what it wants, and no more of HTTP/1.1 than that.

use bytes::{Buf as _, BytesMut};
use memchr::memmem;

/// What a request wants.
#[derive(Debug, PartialEq)]
pub(super) enum Wanted {
    Count,
    Answer {
        kind: Kind,
        /// Its usage is zero.
        cheap: bool,
    },
}

#[derive(Debug, PartialEq)]
pub(super) enum Kind {
    Completion,
    Stream,
}

/// How a body ends whose answer costs nothing.
const CHEAP: &[u8] = b"\"user\":\"cheap\"}";

/// Takes one request out of the buffer, if it is there whole.
pub(super) fn taken_from(buffer: &mut BytesMut) -> Option<Wanted> {
    let head_length = memmem::find(buffer, b"\r\n\r\n")? + 4;
    let (head, rest) = buffer.split_at(head_length);
    let is_count = head.starts_with(b"GET ");
    let body_length = match length(head) {
        Some(length) => length,
        None if is_chunked(head) => chunked_length(rest)?,
        None => 0,
    };
    let body = rest.get(..body_length)?;
    let wanted = if is_count {
        Wanted::Count
    } else {
        let is_stream = memmem::find(body, b"\"stream\":true").is_some();
        let kind = if is_stream { Kind::Stream } else { Kind::Completion };
        Wanted::Answer { kind, cheap: body.ends_with(CHEAP) }
    };
    buffer.advance(head_length + body_length);
    Some(wanted)
}

fn length(head: &[u8]) -> Option<usize> {
    std::str::from_utf8(header(head, b"content-length")?).ok()?.trim().parse().ok()
}

fn is_chunked(head: &[u8]) -> bool {
    header(head, b"transfer-encoding").is_some()
}

fn header<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    memchr::memchr_iter(b'\n', head).find_map(|end| {
        let line = &head[end + 1..];
        let is_it = line.len() > name.len()
            && line[name.len()] == b':'
            && line[..name.len()].eq_ignore_ascii_case(name);
        let value = &line[..memchr::memchr(b'\r', line)?];
        is_it.then(|| &value[name.len() + 1..])
    })
}

/// How many bytes the chunks and their end take; nothing if they are not all there.
fn chunked_length(body: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let line = &body[at..];
        let digits = memmem::find(line, b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&line[..digits]).ok()?.trim(), 16).ok()?;
        at += digits + 2 + size + 2;
        if at > body.len() {
            return None;
        }
        if size == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_taken_once_it_is_whole() {
        let whole = b"POST / HTTP/1.1\r\nhost: a\r\nContent-Length: 15\r\n\r\n{\"stream\":true}";
        let mut buffer = BytesMut::new();
        for byte in whole {
            assert_eq!(taken_from(&mut buffer), None);
            buffer.extend([*byte]);
        }
        assert_eq!(taken_from(&mut buffer), Some(Wanted::Answer { kind: Kind::Stream, cheap: false }));
        assert!(buffer.is_empty());
    }

    #[test]
    fn a_body_says_at_its_end_that_it_is_free() {
        let body = r#"{"model":"gpt-4o-mini","user":"cheap"}"#;
        let request = format!("POST / HTTP/1.1\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let mut buffer = BytesMut::from(request.as_bytes());
        assert_eq!(taken_from(&mut buffer), Some(Wanted::Answer { kind: Kind::Completion, cheap: true }));
    }

    #[test]
    fn chunks_are_read_to_their_end() {
        let requests = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\nGET /count HTTP/1.1\r\n\r\n";
        let mut buffer = BytesMut::from(&requests[..]);
        assert_eq!(taken_from(&mut buffer), Some(Wanted::Answer { kind: Kind::Completion, cheap: false }));
        assert_eq!(taken_from(&mut buffer), Some(Wanted::Count));
    }
}
