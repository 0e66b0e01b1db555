//! What the events of a Gemini stream say. Each is an answer of its own, with a piece of the text and the usage
//! so far; the last one says why it is.

use bytes::Bytes;
use model::usage::Tokens;

use super::cut_off;
use super::text;
use super::usage::{Usage, bare};
use crate::answer::{self, object};
use crate::scan;
use crate::stream::{Ending, Gathered};

/// Reads events.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    usage: Usage,
    has_begun: bool,
    is_finished: bool,
}

impl Reader {
    pub(crate) fn cut_off(&self, answers: u64, usage: &Tokens, model: Option<&str>) -> Option<String> {
        (self.has_begun && !self.is_finished).then(|| cut_off::event(answers, usage, model))
    }

    /// Takes an event's data.
    pub(crate) fn event(&mut self, data: &[u8], gathered: &mut Gathered) {
        const NAMES: [&str; 5] = ["candidates", "usageMetadata", "modelVersion", "promptFeedback", "error"];
        let Ok([candidates, usage, model, feedback, error]) = scan::members_of_text(data, &NAMES) else {
            return;
        };
        if let Some(error) = object(data, &error) {
            return gathered.end(Ending::Failed(member(error, "status").unwrap_or_default()));
        }
        self.has_begun = true;
        let answer = &mut gathered.heard.answer;
        answer.model = answer::text(data, &model).map(bare).or(answer.model.take());
        let mut searches = 0;
        for candidate in text::candidates(data, &candidates) {
            candidate.texts(&mut |text| gathered.text(text));
            gathered.items += candidate.calls();
            searches += candidate.searches();
            if let Some(reason) = candidate.finish_reason() {
                self.finishes(reason, gathered);
            }
        }
        if let Some(reason) = object(data, &feedback).and_then(|feedback| member(feedback, "blockReason")) {
            self.finishes(&reason, gathered);
        }
        if let Some(usage) = object(data, &usage) {
            self.usage.hear(Usage::read(usage));
        }
        let is_silent = gathered.heard.text_bytes == 0 && gathered.items == 0;
        let answer = &mut gathered.heard.answer;
        answer.hear(answer::Answer { searches, ..self.usage.said() });
        answer.read = self.usage.read_tokens();
        // Before it is said or all of it is there, what was produced is counted by its text.
        if self.is_finished || self.usage.says_output() {
            answer.tokens = self.usage.tokens(is_silent);
        }
    }

    fn finishes(&mut self, reason: &str, gathered: &mut Gathered) {
        self.is_finished = true;
        gathered.heard.finish_reason = Some(reason.chars().take(64).collect());
        gathered.end(Ending::Complete);
    }
}

fn member(data: &[u8], name: &'static str) -> Option<String> {
    let [found] = scan::members_of_text(data, &[name]).ok()?;
    answer::text(data, &found)
}

/// An event as it is sent among others.
pub(crate) fn as_event(data: &str) -> Bytes {
    format!("data: {data}\r\n\r\n").into()
}

#[cfg(test)]
mod tests;
