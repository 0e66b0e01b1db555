//! What the events of OpenAI's streams say.

mod text;

use std::sync::LazyLock;

use bytes::Bytes;
use memchr::memmem::Finder;
use model::usage::Tokens;

use self::text::Walk;
use super::cut_off::Transcript;
use super::usage;
use crate::answer::{self, object};
use crate::endpoint::Endpoint;
use crate::scan::{self, Cursor, Kind, Malformed};
use crate::stream::{Ending, Gathered, kind};

/// Reads events. Most cost a few searches; only those that can say something new are read as JSON.
#[derive(Debug)]
pub(crate) struct Reader {
    endpoint: Endpoint,
    events: u64,
    /// What is kept so that the stream can be ended before its end; only where it is paid as it comes.
    transcript: Option<Box<Transcript>>,
}

static USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"usage\""));
static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"error\""));

impl Reader {
    pub(crate) fn new(endpoint: Endpoint, may_be_cut: bool) -> Self {
        let transcript = may_be_cut.then(|| Box::new(Transcript::new(endpoint)));
        Self { endpoint, events: 0, transcript }
    }

    pub(crate) fn cut_off(&self, answers: u64, usage: &Tokens, include_usage: bool) -> Option<Bytes> {
        self.transcript.as_ref()?.end(answers, usage, include_usage)
    }

    /// Takes an event's data.
    pub(crate) fn event(&mut self, data: &[u8], gathered: &mut Gathered) {
        if *data == *b"[DONE]" {
            gathered.end(Ending::Complete);
            return;
        }
        self.events += 1;
        let kind = kind(data);
        // The model stands in the first events or nowhere.
        let unnamed = gathered.heard.answer.model.is_none() && self.events <= 4;
        if unnamed || says(&USAGE, data) || says(&ERROR, data) || kind.is_some_and(is_last) {
            self.read(data, gathered);
        }
        match kind {
            Some(b"response.output_item.added") => gathered.items += 1,
            Some(b"image_generation.completed" | b"image_edit.completed") => {
                let images = &mut gathered.heard.answer.images;
                *images = Some(images.unwrap_or_default() + 1);
            }
            _ => {}
        }
        let finished = self.walk(data, gathered);
        if let Some(transcript) = &mut self.transcript {
            transcript.hear(data, kind, finished);
        }
    }

    /// Reads an event that can say something new.
    fn read(&self, data: &[u8], gathered: &mut Gathered) {
        const NAMES: [&str; 8] =
            ["model", "usage", "service_tier", "response", "error", "type", "x_groq", "choices"];
        let Ok([model, usage, service_tier, response, error, kind, x_groq, choices]) =
            scan::members_of_text(data, &NAMES)
        else {
            return;
        };
        let answer = &mut gathered.heard.answer;
        // Groq tells the usage of every stream in an object of its own, Moonshot in the last choice.
        if object(data, &usage).is_none() {
            let choice = choices.and_then(|choices| first(&data[choices.span]));
            for inner in [object(data, &x_groq), choice].into_iter().flatten() {
                if let Ok([usage]) = scan::members_of_text(inner, &["usage"]) {
                    answer.hear(usage::of(self.endpoint, inner, &[None, usage, None]));
                }
            }
        }
        answer.hear(usage::of(self.endpoint, data, &[model, usage, service_tier]));
        let mut failure = object(data, &error);
        if let Some(response) = object(data, &response) {
            let names = &["model", "usage", "service_tier", "error"];
            if let Ok([model, usage, service_tier, error]) = scan::members_of_text(response, names) {
                let members = [model, usage, service_tier];
                answer.hear(usage::of(self.endpoint, response, &members));
                failure = failure.or(object(response, &error));
            }
        }
        let kind = answer::text(data, &kind);
        match kind.as_deref() {
            Some("error") => failure = failure.or(Some(data)),
            Some("response.failed") => failure = failure.or(Some(b"{}")),
            Some(kind) if is_last(kind.as_bytes()) => gathered.end(Ending::Complete),
            _ => {}
        }
        if let Some(failure) = failure {
            let says = scan::members_of_text(failure, &["code", "type"]).unwrap_or_default();
            let [code, kind] = says.map(|member| answer::text(failure, &member));
            gathered.end(Ending::Failed(code.or(kind).unwrap_or_default()));
        }
    }

    /// Collects text and the reason to stop; whether there is such a reason.
    fn walk(&self, data: &[u8], gathered: &mut Gathered) -> bool {
        let mut finished = false;
        for (name, value) in Walk::new(self.endpoint, data) {
            match name {
                b"finish_reason" => {
                    gathered.heard.finish_reason = scan::unescaped(value).map(String::from);
                    finished = true;
                }
                name if text::is_produced(name) => {
                    gathered.items += u64::from(name == b"name");
                    gathered.produced(value);
                }
                _ => {}
            }
        }
        finished
    }
}

/// The first element of a list, if it is an object.
fn first(list: &[u8]) -> Option<&[u8]> {
    let mut found = None;
    let elements = Cursor::new(list).and_then(|mut cursor| {
        cursor.list(|cursor, index| {
            let element = cursor.pass()?;
            if index == 0 && element.kind == Kind::Object {
                found = Some(element.span);
            }
            Ok::<_, Malformed>(())
        })
    });
    elements.ok().and(found).map(|span| &list[span])
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

#[cfg(test)]
mod tests;
