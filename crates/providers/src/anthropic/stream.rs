//! What the events of a message's stream say. The first one tells what was read, and the last but one
//! what was produced: a stream that breaks off in between is counted by its text.

use bytes::Bytes;
use model::usage::Tokens;

use super::cut_off::Progress;
use super::usage::Usage;
use crate::answer::{self, object};
use crate::scan::{self, Kind, Member};
use crate::stream::{Ending, Gathered, kind};

/// Reads events.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    usage: Usage,
    progress: Progress,
}

impl Reader {
    pub(crate) fn cut_off(&self, usage: &Tokens) -> Option<Bytes> {
        self.progress.end(usage)
    }

    /// Takes an event's data.
    pub(crate) fn event(&mut self, data: &[u8], gathered: &mut Gathered) {
        let named;
        let kind = match kind(data) {
            Some(kind) => kind,
            // Whoever imitates the dialect may write the type behind other members.
            None => {
                let Ok([kind]) = scan::members_of_text(data, &["type"]) else { return };
                named = answer::text(data, &kind).unwrap_or_default();
                named.as_bytes()
            }
        };
        match kind {
            b"content_block_delta" => content_delta(data, gathered),
            b"content_block_start" => self.block_starts(data, gathered),
            b"content_block_stop" => {
                if let Some(index) = index(data) {
                    self.progress.block_stops(index);
                }
            }
            b"message_start" => self.starts(data, gathered),
            b"message_delta" => self.delta(data, gathered),
            b"message_stop" => gathered.end(Ending::Complete),
            b"error" => gathered.end(Ending::Failed(failure(data))),
            // `ping`, and what is added later.
            _ => {}
        }
    }

    fn starts(&mut self, data: &[u8], gathered: &mut Gathered) {
        self.progress.begins();
        let Ok([message]) = scan::members_of_text(data, &["message"]) else { return };
        let Some(message) = object(data, &message) else { return };
        let Ok([model, usage]) = scan::members_of_text(message, &["model", "usage"]) else { return };
        gathered.heard.answer.model = answer::text(message, &model);
        if let Some(usage) = object(message, &usage) {
            self.usage.hear(Usage::read(usage));
            let answer = &mut gathered.heard.answer;
            answer.hear(self.usage.said());
            answer.read = self.usage.read_tokens();
        }
    }

    fn delta(&mut self, data: &[u8], gathered: &mut Gathered) {
        let Ok([delta, usage]) = scan::members_of_text(data, &["delta", "usage"]) else { return };
        if let Some(delta) = object(data, &delta)
            && let Ok([stop_reason]) = scan::members_of_text(delta, &["stop_reason"])
            && let Some(stop_reason) = answer::text(delta, &stop_reason)
        {
            gathered.heard.finish_reason = Some(stop_reason);
            self.progress.stops();
        }
        if let Some(usage) = object(data, &usage) {
            self.usage.hear(Usage::read(usage));
            let answer = &mut gathered.heard.answer;
            answer.hear(self.usage.said());
            answer.tokens = self.usage.tokens();
        }
    }

    fn block_starts(&mut self, data: &[u8], gathered: &mut Gathered) {
        if let Some(index) = index(data) {
            self.progress.block_starts(index);
        }
        let Ok([block]) = scan::members_of_text(data, &["content_block"]) else { return };
        let Some(block) = object(data, &block) else { return };
        let Ok([name, text, thinking]) = scan::members_of_text(block, &["name", "text", "thinking"]) else {
            return;
        };
        gathered.items += 1;
        for member in [name, text, thinking] {
            produced(block, &member, gathered);
        }
    }
}

/// Text, thinking, or what a tool is called with.
fn content_delta(data: &[u8], gathered: &mut Gathered) {
    let Ok([delta]) = scan::members_of_text(data, &["delta"]) else { return };
    let Some(delta) = object(data, &delta) else { return };
    let Ok(members) = scan::members_of_text(delta, &["text", "thinking", "partial_json"]) else { return };
    for member in &members {
        produced(delta, member, gathered);
    }
}

fn produced(object: &[u8], member: &Option<Member>, gathered: &mut Gathered) {
    if let Some(member) = member.as_ref().filter(|member| member.kind == Kind::String) {
        gathered.produced(&object[member.span.clone()]);
    }
}

/// Which block of the message an event is about.
fn index(data: &[u8]) -> Option<u64> {
    let [index] = scan::members_of_text(data, &["index"]).ok()?;
    str::from_utf8(&data[index?.span]).ok()?.parse().ok()
}

/// The type of an error, such as `overloaded_error`.
fn failure(data: &[u8]) -> String {
    let said = || {
        let [error] = scan::members_of_text(data, &["error"]).ok()?;
        let error = object(data, &error)?;
        let [kind] = scan::members_of_text(error, &["type"]).ok()?;
        answer::text(error, &kind)
    };
    said().unwrap_or_default()
}

#[cfg(test)]
mod tests;
