//! Reads beside a stream, never in front of it: the model that serves, the usage, how it ended, and
//! the text that was produced, should nobody say how many tokens it was. What its events mean, the
//! dialects know.

use bytes::Bytes;
use model::usage::Tokens;

use crate::answer::Answer;
use crate::catalog::Dialect;
use crate::endpoint::Endpoint;
use crate::list::Elements;
use crate::sse::{self, Boundaries};
use crate::tokens::Encoding;
use crate::{anthropic, google, openai, scan};

/// Reads a stream's frames as they arrive. Most cost a few searches; only those that can say
/// something new are read as JSON.
#[derive(Debug)]
pub struct SseTap {
    framing: Framing,
    /// The beginning of an event that chunks cut; bounded by [`LONGEST`].
    partial: Vec<u8>,
    /// The event under way is longer than that and will not be read.
    too_long: bool,
    gathered: Gathered,
    counted: Counted,
    reader: Reader,
}

/// How events follow each other.
#[derive(Debug)]
enum Framing {
    Sse(Boundaries),
    /// As the elements of one list.
    List(Elements),
}

impl Framing {
    fn next_end(&mut self, chunk: &[u8]) -> Option<usize> {
        match self {
            Self::Sse(boundaries) => boundaries.next_end(chunk),
            Self::List(elements) => elements.next_end(chunk),
        }
    }
}

/// What understands the events.
#[derive(Debug)]
enum Reader {
    OpenAi(openai::stream::Reader),
    Anthropic(anthropic::stream::Reader),
    Google(google::stream::Reader),
}

/// What a stream said, as far as it came.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub(crate) heard: Heard,
    /// Calls and other items, whose beginnings are not all seen as text.
    pub(crate) items: u64,
}

/// How much was produced, as far as it was counted.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    tokens: u64,
    /// The bytes of text that they are.
    bytes: u64,
}

/// What a stream said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Heard {
    /// Model, usage and service tier.
    pub answer: Answer,
    /// How it ended.
    pub ending: Ending,
    /// Why the model stopped, such as `stop` or `length`.
    pub finish_reason: Option<String>,
    /// The text produced, with tool calls' arguments; at most [`MOST_TEXT`] bytes. For counting, when
    /// there is no usage.
    pub text: String,
    /// How many bytes of text were produced in all.
    pub text_bytes: u64,
}

/// How a stream ended, in its own words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Ending {
    /// It said nothing; if it is over, it broke off.
    #[default]
    Open,
    /// It said that it was complete.
    Complete,
    /// It told of an error; its code or type.
    Failed(String),
}

/// What an item of output takes beside its text: its kind, its name, its end.
const TOKENS_PER_ITEM: u64 = 32;

/// The longest event that is read. Larger ones are images, whose usage stands in a smaller one.
pub const LONGEST: usize = 16 << 20;
/// How much text is kept for counting.
pub const MOST_TEXT: usize = 1 << 20;

impl SseTap {
    /// A tap for a stream that answers `endpoint`.
    pub fn new(endpoint: Endpoint) -> Self {
        Self::with(endpoint, false)
    }

    /// The same for one whose events are the elements of a list. `may_be_cut` if it is paid as it comes.
    pub fn of_list(endpoint: Endpoint, may_be_cut: bool) -> Self {
        Self { framing: Framing::List(Elements::default()), ..Self::with(endpoint, may_be_cut) }
    }

    /// A tap for a stream that is paid as it comes, and may have to be ended: see
    /// [`cut_off`](Self::cut_off).
    pub fn for_steps(endpoint: Endpoint) -> Self {
        Self::with(endpoint, true)
    }

    fn with(endpoint: Endpoint, may_be_cut: bool) -> Self {
        let reader = match endpoint.dialect() {
            Some(Dialect::Anthropic) => Reader::Anthropic(anthropic::stream::Reader::default()),
            Some(Dialect::Google) => Reader::Google(google::stream::Reader::default()),
            _ => Reader::OpenAi(openai::stream::Reader::new(endpoint, may_be_cut)),
        };
        Self {
            framing: Framing::Sse(Boundaries::default()),
            partial: Vec::new(),
            too_long: false,
            gathered: Gathered::default(),
            counted: Counted::default(),
            reader,
        }
    }

    /// The most tokens of visible output that were produced so far. No token is shorter than a byte, so
    /// it is far too high until [`count`](Self::count) has looked at the text.
    pub fn produced_at_most(&self) -> u64 {
        let uncounted = self.gathered.heard.text_bytes - self.counted.bytes;
        self.counted.tokens + uncounted + self.gathered.items * TOKENS_PER_ITEM
    }

    /// Counts what was produced since it was last counted: a few microseconds for a few hundred tokens,
    /// once the tokenizer is loaded. To be called when [`produced_at_most`](Self::produced_at_most)
    /// reaches a bound, and asked again. Nothing is counted where the tokenizer is only like the model's:
    /// the bound is then the bytes.
    pub fn count(&mut self, encoding: Encoding) {
        let heard = &self.gathered.heard;
        let is_guess = matches!(self.reader, Reader::Anthropic(_) | Reader::Google(_));
        // Of a text that is no longer kept whole, the rest stays bounded by its bytes.
        if is_guess || heard.text.len() as u64 != heard.text_bytes {
            return;
        }
        let begin = self.counted.bytes as usize;
        let Some(text) = heard.text.get(begin..).filter(|text| !text.is_empty()) else { return };
        // A token that lies across the seam is counted as two.
        self.counted.tokens += encoding.count(text);
        self.counted.bytes = heard.text_bytes;
    }

    /// Whether the events are the elements of a list.
    pub fn is_list(&self) -> bool {
        matches!(self.framing, Framing::List(_))
    }

    /// Whether everything that was pushed ended with an event, so that another may follow.
    pub fn is_between_events(&self) -> bool {
        match &self.framing {
            Framing::Sse(_) => self.partial.is_empty() && !self.too_long,
            Framing::List(elements) => elements.is_between(),
        }
    }

    /// The frames that end a stream of so many answers here, for want of money, as if the limit of output
    /// had been reached: in the stream's own dialect, with its usage as far as the dialect or the caller
    /// wants it. They may follow where the stream is [between events](Self::is_between_events). `None` if
    /// the stream has not begun, or is not paid as it comes.
    pub fn cut_off(&self, answers: u64, usage: &Tokens, include_usage: bool) -> Option<Bytes> {
        match &self.reader {
            Reader::OpenAi(reader) => reader.cut_off(answers, usage, include_usage),
            Reader::Anthropic(reader) => reader.cut_off(usage),
            Reader::Google(reader) => {
                let event = reader.cut_off(answers, usage, self.gathered.heard.answer.model.as_deref())?;
                Some(match self.framing {
                    Framing::Sse(_) => google::stream::as_event(&event),
                    Framing::List(_) => format!(",\r\n{event}\n]").into(),
                })
            }
        }
    }

    /// What was heard so far.
    pub fn so_far(&self) -> &Heard {
        &self.gathered.heard
    }

    /// Takes the bytes that arrived, cut anywhere.
    pub fn push(&mut self, mut chunk: &[u8]) {
        while let Some(end) = self.framing.next_end(chunk) {
            let (event, rest) = chunk.split_at(end);
            if self.partial.is_empty() && !self.too_long {
                self.event(event);
            } else {
                self.keep(event);
                let event = std::mem::take(&mut self.partial);
                self.event(&event);
                self.partial = event;
                self.partial.clear();
                self.too_long = false;
            }
            chunk = rest;
        }
        self.keep(chunk);
    }

    /// What was heard in all. An event without its blank line counts: streams break off there.
    pub fn finish(mut self) -> Heard {
        let event = std::mem::take(&mut self.partial);
        self.event(&event);
        self.gathered.heard
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.too_long |= self.partial.len() + bytes.len() > LONGEST;
        if self.too_long {
            self.partial = Vec::new();
        } else {
            self.partial.extend_from_slice(bytes);
        }
    }

    fn event(&mut self, event: &[u8]) {
        let data = match &self.framing {
            Framing::Sse(_) => sse::data(event),
            Framing::List(elements) => {
                if elements.is_closed() {
                    self.gathered.end(Ending::Complete);
                }
                Elements::data(event).map(Into::into)
            }
        };
        let Some(data) = data else { return };
        match &mut self.reader {
            Reader::OpenAi(reader) => reader.event(&data, &mut self.gathered),
            Reader::Anthropic(reader) => reader.event(&data, &mut self.gathered),
            Reader::Google(reader) => reader.event(&data, &mut self.gathered),
        }
    }
}

impl Gathered {
    /// Keeps a JSON string that was produced.
    pub(crate) fn produced(&mut self, string: &[u8]) {
        if let Some(text) = scan::unescaped(string) {
            self.text(&text);
        }
    }

    /// Keeps a text that was produced.
    pub(crate) fn text(&mut self, text: &str) {
        let heard = &mut self.heard;
        heard.text_bytes += text.len() as u64;
        if heard.text.len() + text.len() <= MOST_TEXT {
            heard.text.push_str(text);
        }
    }

    /// The first ending stands: an error is often followed by the usual end.
    pub(crate) fn end(&mut self, ending: Ending) {
        if self.heard.ending == Ending::Open {
            self.heard.ending = ending;
        }
    }
}

/// The event's `type`, where it stands first, as providers write it.
pub(crate) fn kind(data: &[u8]) -> Option<&[u8]> {
    let rest = data.strip_prefix(b"{\"type\":\"")?;
    rest.get(..memchr::memchr(b'"', rest)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded() {
        let mut tap = SseTap::new(Endpoint::ChatCompletions);
        tap.push(b"data: {\"choices\":[{\"delta\":{\"content\":\"");
        for _ in 0..20 {
            tap.push(&vec![b'a'; 1 << 20]);
        }
        assert!(tap.partial.capacity() <= 2 * LONGEST);
        tap.push(b"\"}}]}\n\n");
        tap.push(b"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}\n\n");
        assert_eq!(tap.finish().answer.tokens.unwrap().input, 9);
    }
}
