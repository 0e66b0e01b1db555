//! A list of JSON values that comes in chunks, as a stream does whose events are its elements.

use memchr::memchr2;

/// Finds the ends of a list's elements, which are objects or lists. Chunks may be cut anywhere.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Elements {
    depth: usize,
    /// How deep brackets are when an element closes: less for what comes instead of a list.
    floor: usize,
    text: Text,
    is_closed: bool,
}

/// Whether a string is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Text {
    #[default]
    Closed,
    Open,
    /// After a backslash.
    Escaping,
}

impl Elements {
    /// The end of the element under way, as the number of bytes up to it; also that of the list. `None` if it
    /// goes on after this chunk. What comes instead of a list is taken for its only element.
    pub(crate) fn next_end(&mut self, chunk: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < chunk.len() {
            let byte = chunk[at];
            at += 1;
            match self.text {
                Text::Escaping => self.text = Text::Open,
                Text::Open if byte == b'"' => self.text = Text::Closed,
                Text::Open if byte == b'\\' => self.text = Text::Escaping,
                Text::Open => at += memchr2(b'"', b'\\', &chunk[at..]).unwrap_or(chunk.len() - at),
                Text::Closed => match byte {
                    b'"' => self.text = Text::Open,
                    b'{' | b'[' => {
                        if self.depth == 0 {
                            self.floor = usize::from(byte == b'[');
                        }
                        self.depth += 1;
                    }
                    b'}' | b']' => {
                        self.depth = self.depth.saturating_sub(1);
                        self.is_closed |= self.depth == 0;
                        if self.depth <= self.floor {
                            return Some(at);
                        }
                    }
                    _ => {}
                },
            }
        }
        None
    }

    /// Whether the list is over.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Whether another element may follow here.
    pub(crate) fn is_between(&self) -> bool {
        self.depth == 1 && self.floor == 1 && self.text == Text::Closed
    }

    /// The element in what was cut out of the list; `None` if there is none.
    pub(crate) fn data(cut: &[u8]) -> Option<&[u8]> {
        let begin = cut.iter().position(|byte| *byte == b'{')?;
        Some(&cut[begin..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(stream: &[u8], size: usize) -> (Vec<Vec<u8>>, Elements) {
        let (mut elements, mut partial, mut found) = (Elements::default(), Vec::new(), Vec::new());
        for mut chunk in stream.chunks(size) {
            while let Some(end) = elements.next_end(chunk) {
                partial.extend_from_slice(&chunk[..end]);
                found.extend(Elements::data(&std::mem::take(&mut partial)).map(<[u8]>::to_vec));
                chunk = &chunk[end..];
            }
            partial.extend_from_slice(chunk);
        }
        (found, elements)
    }

    #[test]
    fn elements_end_where_their_last_bracket_closes() {
        let stream = b"[{\"a\":\"]}\\\"{\",\"b\":[{}]}\n,\r\n{\"c\":{}}\n]\n";
        for size in 1..stream.len() {
            let (found, elements) = cut(stream, size);
            assert_eq!(found, [b"{\"a\":\"]}\\\"{\",\"b\":[{}]}".to_vec(), b"{\"c\":{}}".to_vec()]);
            assert!(elements.is_closed() && !elements.is_between());
        }
        let (found, elements) = cut(b"[{\"a\":1},\n", 3);
        assert!(found.len() == 1 && elements.is_between() && !elements.is_closed());
        let (found, elements) = cut(b"{\"error\":{}}", 4);
        assert!(found == [b"{\"error\":{}}".to_vec()] && elements.is_closed());
    }
}
