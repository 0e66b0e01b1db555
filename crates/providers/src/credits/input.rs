//! The most tokens that a request can be read as.

use serde_json::Value;

use super::pictures::Read;
use super::{Facts, Forbidden};
use crate::endpoint::Endpoint;
use crate::prices::Found;
use crate::tokens::Encoding;

/// What Anthropic adds to a message, of which a few dozen tokens are documented, and to everything that it
/// explains to the model: a few hundred for that there are tools, up to 735 for one of its own.
const ADDED_TO_MESSAGE: u64 = 512;
const EXPLANATION: u64 = 2_048;

/// Tokens at most, by what they are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Input {
    pub(super) text: u64,
    pub(super) pictures: u64,
    pub(super) sound: u64,
}

impl Input {
    /// The least bound that is known. No token is shorter than a byte, so text has no more tokens than
    /// bytes; a conversation has no more tokens than the model's context, or the provider
    /// refuses it.
    pub(super) fn at_most(facts: &Facts, found: &Found<'_>) -> Result<Self, Forbidden> {
        let is_conversation =
            matches!(facts.endpoint, Endpoint::ChatCompletions | Endpoint::Responses | Endpoint::Messages);
        let context = found.context_window().filter(|_| is_conversation);
        let added = match facts.endpoint {
            Endpoint::Messages => ADDED_TO_MESSAGE,
            _ => facts.credits.added,
        };
        let retold = facts.retold_bytes.saturating_mul(facts.credits.retold);
        let added = facts.explained.saturating_mul(EXPLANATION).saturating_add(retold).saturating_add(added);
        let text = facts.counted.unwrap_or(u64::MAX).min(facts.text_bytes()).saturating_add(added);
        let unknown = |what: &str| {
            let rule = format!("must be a model whose {what} have a known bound, or the request have none");
            Forbidden::field("model", rule)
        };
        let read = facts.credits.pictures.iter().find(|read| facts.model.starts_with(read.model));
        let pictures = match read {
            Some(Read { low, other, .. }) => facts.pictures.low * low + facts.pictures.other * other,
            None if facts.pictures.low + facts.pictures.other == 0 => 0,
            // Each is an input by itself.
            None if facts.endpoint == Endpoint::Moderations => {
                let each = found.context_window().ok_or_else(|| unknown("pictures"))?;
                (facts.pictures.low + facts.pictures.other).saturating_mul(each)
            }
            None => context.ok_or_else(|| unknown("pictures"))?,
        };
        // How long sound is, and how many pages a file has, only the provider sees.
        let sound = if facts.sounds == 0 { 0 } else { context.ok_or_else(|| unknown("sounds"))? };
        let files = if facts.files == 0 { 0 } else { context.ok_or_else(|| unknown("files"))? };
        let all = Self { text: text.saturating_add(files), pictures, sound };
        Ok(context.map_or(all, |context| all.within(context)))
    }

    /// No more than a model's context. What is dearest is taken to have been read.
    fn within(self, context: u64) -> Self {
        let sound = self.sound.min(context);
        let pictures = self.pictures.min(context - sound);
        let text = self.text.min(context - sound - pictures);
        Self { text, pictures, sound }
    }

    pub(super) fn tokens(self) -> u64 {
        self.text.saturating_add(self.pictures).saturating_add(self.sound)
    }
}

impl Facts {
    /// Counts the text with the model's own tokenizer, so that it is bounded more closely than by its
    /// bytes; for a request that its bytes do not let through. It is work: call it off the async threads.
    /// Says whether it could be done: the tokenizers of the newest models are not known here.
    ///
    /// What is counted is the body itself, whose names and brackets make up for what the provider adds,
    /// and a sixteenth more.
    pub fn count(&mut self, body: &[u8]) -> bool {
        let encoding = Encoding::known(&self.model).filter(|_| self.credits.is_countable);
        let Some(encoding) = encoding else { return false };
        let mut text = Vec::with_capacity(body.len());
        let mut copied = 0;
        for data in &self.data {
            text.extend_from_slice(body.get(copied..data.start).unwrap_or_default());
            text.extend_from_slice(b"\"\"");
            copied = data.end;
        }
        text.extend_from_slice(body.get(copied..).unwrap_or_default());
        // Written anew, so that nothing is counted by its escapes.
        let Ok(value) = serde_json::from_slice::<Value>(&text) else { return false };
        let tokens = encoding.count(&value.to_string());
        self.counted = Some(tokens + tokens / 16);
        true
    }

    /// How many tokens the text has by an estimate, which is charged if a request is abandoned and nobody
    /// is left to count them: a token of most texts has three to five bytes.
    pub fn estimated(&self) -> u64 {
        self.counted.unwrap_or_else(|| self.text_bytes().div_ceil(3))
    }
}
