//! Reads beside a stream, never in front of it: the model that serves, the usage, how it ended, and
//! the text that was produced, should nobody say how many tokens it was.

mod text;

use std::sync::LazyLock;

use bytes::Bytes;
use memchr::memmem::Finder;
use model::usage::Tokens;

use self::text::{Text, Walk};
use super::cut_off::Transcript;
use super::usage::{self, Answer};
use crate::endpoint::Endpoint;
use crate::scan::{self, Kind};
use crate::sse::{self, Boundaries};
use crate::tokens::Encoding;

/// Reads a stream's frames as they arrive. Most cost a few searches; only those that can say
/// something new are read as JSON.
#[derive(Debug)]
pub struct SseTap {
    endpoint: Endpoint,
    boundaries: Boundaries,
    /// The beginning of an event that chunks cut; bounded by [`LONGEST`].
    partial: Vec<u8>,
    /// The event under way is longer than that and will not be read.
    too_long: bool,
    events: u64,
    heard: Heard,
    produced: Produced,
    /// What is kept so that the stream can be ended before its end; only where it is paid as it comes.
    transcript: Option<Box<Transcript>>,
}

/// How much was produced, as far as it was counted.
#[derive(Debug, Clone, Copy, Default)]
struct Produced {
    /// Tokens counted.
    tokens: u64,
    /// The bytes of text that they are.
    bytes: u64,
    /// Calls and other items, whose beginnings are not all seen as text.
    items: u64,
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

static USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"usage\""));
static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"error\""));

impl SseTap {
    /// A tap for a stream that answers `endpoint`.
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            boundaries: Boundaries::default(),
            partial: Vec::new(),
            too_long: false,
            events: 0,
            heard: Heard::default(),
            produced: Produced::default(),
            transcript: None,
        }
    }

    /// A tap for a stream that is paid as it comes, and may have to be ended: see
    /// [`cut_off`](Self::cut_off).
    pub fn for_steps(endpoint: Endpoint) -> Self {
        Self { transcript: Some(Box::new(Transcript::new(endpoint))), ..Self::new(endpoint) }
    }

    /// The most tokens of visible output that were produced so far. No token is shorter than a byte, so
    /// it is far too high until [`count`](Self::count) has looked at the text.
    pub fn produced_at_most(&self) -> u64 {
        let uncounted = self.heard.text_bytes - self.produced.bytes;
        self.produced.tokens + uncounted + self.produced.items * TOKENS_PER_ITEM
    }

    /// Counts what was produced since it was last counted: a few microseconds for a few hundred tokens,
    /// once the tokenizer is loaded. To be called when [`produced_at_most`](Self::produced_at_most)
    /// reaches a bound, and asked again.
    pub fn count(&mut self, encoding: Encoding) {
        // Of a text that is no longer kept whole, the rest stays bounded by its bytes.
        if self.heard.text.len() as u64 != self.heard.text_bytes {
            return;
        }
        let begin = self.produced.bytes as usize;
        let Some(text) = self.heard.text.get(begin..).filter(|text| !text.is_empty()) else { return };
        // A token that lies across the seam is counted as two.
        self.produced.tokens += encoding.count(text);
        self.produced.bytes = self.heard.text_bytes;
    }

    /// Whether everything that was pushed ended with an event, so that another may follow.
    pub fn is_between_events(&self) -> bool {
        self.partial.is_empty() && !self.too_long
    }

    /// The frames that end a stream of so many answers here, for want of money, as if the limit of output
    /// had been reached: in the stream's own dialect, with its usage as far as the dialect or the caller
    /// wants it. They may follow where the stream is [between events](Self::is_between_events). `None` if
    /// the stream has not begun, or is not paid as it comes.
    pub fn cut_off(&self, answers: u64, usage: &Tokens, include_usage: bool) -> Option<Bytes> {
        self.transcript.as_ref()?.end(answers, usage, include_usage)
    }

    /// What was heard so far.
    pub fn so_far(&self) -> &Heard {
        &self.heard
    }

    /// Takes the bytes that arrived, cut anywhere.
    pub fn push(&mut self, mut chunk: &[u8]) {
        while let Some(end) = self.boundaries.next_end(chunk) {
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
        self.heard
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
        let Some(data) = sse::data(event) else { return };
        if *data == *b"[DONE]" {
            self.end(Ending::Complete);
            return;
        }
        self.events += 1;
        let kind = kind(&data);
        // The model stands in the first events or nowhere.
        let unnamed = self.heard.answer.model.is_none() && self.events <= 4;
        if unnamed || says(&USAGE, &data) || says(&ERROR, &data) || kind.is_some_and(is_last) {
            self.read(&data);
        }
        match kind {
            Some(b"response.output_item.added") => self.produced.items += 1,
            Some(b"image_generation.completed" | b"image_edit.completed") => {
                let images = &mut self.heard.answer.images;
                *images = Some(images.unwrap_or_default() + 1);
            }
            _ => {}
        }
        let finished = self.walk(&data);
        if let Some(transcript) = &mut self.transcript {
            transcript.hear(&data, kind, finished);
        }
    }

    /// Reads an event that can say something new.
    fn read(&mut self, data: &[u8]) {
        let Ok([model, usage, service_tier, response, error, kind]) =
            scan::members_of_text(data, &["model", "usage", "service_tier", "response", "error", "type"])
        else {
            return;
        };
        self.heard.answer.hear(Answer::of(self.endpoint, data, &[model, usage, service_tier]));
        let mut failure = object(data, &error);
        if let Some(response) = object(data, &response) {
            let names = &["model", "usage", "service_tier", "error"];
            if let Ok([model, usage, service_tier, error]) = scan::members_of_text(response, names) {
                let members = [model, usage, service_tier];
                self.heard.answer.hear(Answer::of(self.endpoint, response, &members));
                failure = failure.or(object(response, &error));
            }
        }
        let kind = usage::text(data, &kind);
        match kind.as_deref() {
            Some("error") => failure = failure.or(Some(data)),
            Some("response.failed") => failure = failure.or(Some(b"{}")),
            Some(kind) if is_last(kind.as_bytes()) => self.end(Ending::Complete),
            _ => {}
        }
        if let Some(failure) = failure {
            let says = scan::members_of_text(failure, &["code", "type"]).unwrap_or_default();
            let [code, kind] = says.map(|member| usage::text(failure, &member));
            self.end(Ending::Failed(code.or(kind).unwrap_or_default()));
        }
    }

    /// Collects text and the reason to stop; whether there is such a reason.
    fn walk(&mut self, data: &[u8]) -> bool {
        let mut finished = false;
        let heard = &mut self.heard;
        let mut text = Text { kept: &mut heard.text, bytes: &mut heard.text_bytes };
        for (name, value) in Walk::new(self.endpoint, data) {
            match name {
                b"finish_reason" => {
                    heard.finish_reason = scan::unescaped(value).map(String::from);
                    finished = true;
                }
                name if text::is_produced(name) => {
                    self.produced.items += u64::from(name == b"name");
                    text.add(value);
                }
                _ => {}
            }
        }
        finished
    }

    /// The first ending stands: an error is often followed by `[DONE]`.
    fn end(&mut self, ending: Ending) {
        if self.heard.ending == Ending::Open {
            self.heard.ending = ending;
        }
    }
}

/// The event's `type`, where it stands first, as OpenAI writes it.
fn kind(data: &[u8]) -> Option<&[u8]> {
    let rest = data.strip_prefix(b"{\"type\":\"")?;
    rest.get(..memchr::memchr(b'"', rest)?)
}

/// Whether an event of this type is a stream's last.
fn is_last(kind: &[u8]) -> bool {
    matches!(
        kind,
        b"response.completed"
            | b"response.incomplete"
            | b"response.failed"
            | b"image_generation.completed"
            | b"image_edit.completed"
            | b"transcript.text.done"
            | b"speech.audio.done"
            | b"error"
    )
}

/// Whether a name stands there with a value other than `null`, or as a value itself.
fn says(name: &Finder<'_>, data: &[u8]) -> bool {
    let mut from = 0;
    while let Some(at) = name.find(&data[from..]) {
        from += at + name.needle().len();
        let mut after = data[from..].iter().filter(|byte| !byte.is_ascii_whitespace());
        if after.next() != Some(&b':') || after.next() != Some(&b'n') {
            return true;
        }
    }
    false
}

fn object<'a>(data: &'a [u8], member: &Option<scan::Member>) -> Option<&'a [u8]> {
    let member = member.as_ref().filter(|member| member.kind == Kind::Object)?;
    Some(&data[member.span.clone()])
}

#[cfg(test)]
mod tests;
