//! Hides the usage chunk of a stream whose caller did not ask for it.

use bytes::{Bytes, BytesMut};

use crate::scan::{self, Kind};
use crate::sse::{self, Boundaries};

/// Drops exactly the extra chunk that a spliced `include_usage` causes: the event without choices
/// that carries the usage. Everything else passes as it came, `"usage":null` members included.
///
/// An event that a chunk's end cuts off is held back only while it could still be that one.
#[derive(Debug, Default)]
pub struct HideUsageChunk {
    boundaries: Boundaries,
    /// The beginning of an event that could be the one; empty while another is passing.
    held: BytesMut,
    /// Whether the event under way is already known not to be the one.
    passing: bool,
}

/// How long an event may be held: the usage chunk has a few hundred bytes.
const LONGEST: usize = 16 * 1024;

impl HideUsageChunk {
    /// What the caller is to be sent for a chunk; possibly nothing.
    pub fn filter(&mut self, chunk: Bytes) -> Bytes {
        let mut cut = Cut { chunk: &chunk, taken: 0, out: None };
        // Where the event under way begins in this chunk.
        let mut from = 0;
        while let Some(length) = self.boundaries.next_end(&chunk[from..]) {
            let end = from + length;
            if self.held.is_empty() {
                if !self.passing && is_usage_chunk(&chunk[from..end]) {
                    cut.leave_out(from, end);
                }
            } else {
                self.held.extend_from_slice(&chunk[from..end]);
                let held = self.held.split();
                // Held bytes came with earlier chunks, and this chunk's part of them stands in `held`.
                if is_usage_chunk(&held) {
                    cut.leave_out(from, end)
                } else {
                    cut.put_before(from, end, &held)
                }
            }
            self.passing = false;
            from = end;
        }
        self.rest(from, &mut cut);
        cut.finish()
    }

    /// What was held when the stream ended.
    pub fn finish(&mut self) -> Bytes {
        let held = self.held.split().freeze();
        if is_usage_chunk(&held) { Bytes::new() } else { held }
    }

    /// Decides about the event that goes on after this chunk.
    fn rest(&mut self, from: usize, cut: &mut Cut<'_>) {
        let end = cut.chunk.len();
        if self.passing || from == end {
            return;
        }
        self.held.extend_from_slice(&cut.chunk[from..]);
        if could_be_usage_chunk(&self.held) {
            return cut.leave_out(from, end);
        }
        self.passing = true;
        let held = self.held.split();
        cut.put_before(from, end, &held);
    }
}

/// Builds what passes of a chunk. It is the chunk itself as long as nothing is left out or put in.
struct Cut<'a> {
    chunk: &'a Bytes,
    taken: usize,
    out: Option<BytesMut>,
}

impl Cut<'_> {
    fn leave_out(&mut self, from: usize, end: usize) {
        let out = self.out.get_or_insert_with(BytesMut::new);
        out.extend_from_slice(&self.chunk[self.taken..from]);
        self.taken = end;
    }

    /// Puts `instead` in the place of a range of the chunk.
    fn put_before(&mut self, from: usize, end: usize, instead: &[u8]) {
        if instead.len() == end - from {
            return; // Nothing was held from before, so the chunk has it all.
        }
        self.leave_out(from, end);
        if let Some(out) = &mut self.out {
            out.extend_from_slice(instead);
        }
    }

    fn finish(self) -> Bytes {
        match self.out {
            None => self.chunk.clone(),
            Some(out) if out.is_empty() => self.chunk.slice(self.taken..),
            Some(mut out) => {
                out.extend_from_slice(&self.chunk[self.taken..]);
                out.freeze()
            }
        }
    }
}

fn is_usage_chunk(event: &[u8]) -> bool {
    // Asked first because it is cheap, and so that no cut can make a difference.
    if !could_be_usage_chunk(event) {
        return false;
    }
    let Some(data) = sse::data(event) else { return false };
    let Ok([Some(choices), Some(usage)]) = scan::members_of_text(&data, &["choices", "usage"]) else {
        return false;
    };
    let no_choices = choices.kind == Kind::List && is_empty_list(&data[choices.span]);
    no_choices && usage.kind == Kind::Object
}

fn is_empty_list(list: &[u8]) -> bool {
    list[1..list.len() - 1].iter().all(u8::is_ascii_whitespace)
}

/// Whether the beginning of an event can go on to be the usage chunk: until it shows a choice, a
/// `null` for usage, or data that is no object.
fn could_be_usage_chunk(beginning: &[u8]) -> bool {
    if beginning.len() > LONGEST {
        return false;
    }
    let mut fields = beginning.split(|byte| matches!(byte, b'\n' | b'\r')).filter(|line| !line.is_empty());
    fields.all(|line| {
        let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        let Some(data) = line.strip_prefix(b"data:") else { return true };
        let first = data.iter().find(|byte| !byte.is_ascii_whitespace());
        first.is_none_or(|first| *first == b'{')
            && !shows(data, b"\"choices\"", b'[', b']')
            && !shows(data, b"\"usage\"", b'{', b'{')
    })
}

/// Whether a member stands there whose value does not begin with `open`, or goes on after it with
/// anything but `close`.
fn shows(data: &[u8], name: &[u8], open: u8, close: u8) -> bool {
    let Some(at) = memchr::memmem::find(data, name) else { return false };
    let mut after = data[at + name.len()..].iter().filter(|byte| !byte.is_ascii_whitespace());
    let colon = after.next().is_some_and(|byte| *byte == b':');
    if !colon {
        return false;
    }
    match after.next() {
        None => false,
        Some(first) if *first != open => true,
        Some(_) if open == close => false,
        Some(_) => after.next().is_some_and(|next| *next != close),
    }
}

#[cfg(test)]
mod tests;
