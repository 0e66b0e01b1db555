//! Finding and replacing in bodies: `request-body-find-replace`, `response-body-find-replace`, and
//! `sse-find-replace` for the messages of a stream, each of them by itself.
//!
//! The streamed answers are `sse-find-replace`'s alone: to replace in them as a whole would mean to keep them
//! back until they end.

use bytes::Bytes;
use http::header;

use super::Next;
use super::rewriting::{Pattern, replaced_within};
use crate::document::place::Place;
use crate::phase::Phase;
use crate::run::{BodyOrEffect, BodyWanted, Effect, Exchange, Failure, Message, Outcome};
use crate::template::Template;
use crate::value::{Text, Value};

/// Replacements in a body, one after the other.
pub struct FindReplace {
    replacements: Vec<Replacement>,
}

struct Replacement {
    from: Pattern,
    to: Option<Template>,
    field: Field,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Data,
    Retry,
}

/// A body that has grown beyond this is not sent: a replacement may multiply what it matches.
const MOST_BYTES: usize = 64 << 20;

impl FindReplace {
    pub(crate) fn read(place: &Place<'_>) -> Option<Self> {
        let fields = place.fields(&["replacements"])?;
        let replacements = fields.need("replacements", |place| place.list(1..=50, Replacement::read))?;
        Some(Self { replacements })
    }

    /// How many replacements it makes.
    pub(crate) fn count(&self) -> usize {
        self.replacements.len()
    }

    pub(crate) fn act(
        &self,
        exchange: &mut Exchange,
        answered: Option<(Effect, Outcome)>,
    ) -> Result<Next, Failure> {
        if exchange.phase == Phase::Response && is_stream(exchange) {
            return Ok(Next::Go);
        }
        exchange.keep_body(answered)?;
        let bytes = match exchange.body(BodyWanted::Plain) {
            BodyOrEffect::Body(bytes) => bytes,
            BodyOrEffect::Effect(effect) => return Ok(Next::Ask(effect)),
        };
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| Failure::evaluation("the body is not text, so nothing in it can be replaced"))?;
        let (replaced, found) = self.replaced(exchange, Field::Data, text)?;
        if let Some(text) = replaced {
            exchange.replace_body(Bytes::from(text));
        }
        let name = match exchange.phase {
            Phase::Response => "response_body_find_replace",
            _ => "request_body_find_replace",
        };
        exchange.found(name, [("replacements", Value::list(found))]);
        Ok(Next::Go)
    }

    /// Replaces in a message of a stream.
    pub(crate) fn act_on_message(
        &self,
        exchange: &mut Exchange,
        message: &mut Message,
    ) -> Result<(), Failure> {
        let (data, mut found) = self.replaced(exchange, Field::Data, &message.data)?;
        if let Some(data) = data {
            message.data = data;
        }
        if let Some(retry) = &message.retry {
            let (retry, more) = self.replaced(exchange, Field::Retry, retry)?;
            found.extend(more);
            message.retry = retry.or_else(|| message.retry.take());
        }
        exchange.found("sse_find_replace", [("replacements", Value::list(found))]);
        Ok(())
    }

    /// The text with everything replaced, if anything was; and the first match of each replacement.
    fn replaced(
        &self,
        exchange: &mut Exchange,
        field: Field,
        text: &str,
    ) -> Result<(Option<String>, Vec<Value>), Failure> {
        let mut replaced: Option<String> = None;
        let mut found = Vec::new();
        for (index, replacement) in self.replacements.iter().enumerate() {
            if replacement.field != field {
                continue;
            }
            let now = replaced.as_deref().unwrap_or(text);
            if exchange.phase != Phase::Message {
                exchange.search(now.len())?;
            }
            let from = replacement.from.regex(exchange)?;
            let Some(first) = from.find(now) else { continue };
            // What is replaced is often what nobody may see; it is marked so that no log shows it.
            let matched = Value::Text(Text::new(first.as_str().to_owned(), true));
            let index = i64::try_from(index).unwrap_or(i64::MAX);
            found.push(Value::map([("replacement_index", index.into()), ("matched_content", matched)]));
            let to = match &replacement.to {
                Some(to) => exchange.look(|facts| to.render_text(facts))?,
                None => Text::plain(""),
            };
            let after = replaced_within(&from, now, to.as_str(), MOST_BYTES);
            replaced = Some(after.ok_or_else(|| Failure::evaluation("the body grows too large"))?);
        }
        Ok((replaced, found))
    }
}

impl Replacement {
    fn read(place: &Place<'_>) -> Option<Self> {
        let known: &[&str] =
            if place.phase() == Phase::Message { &["from", "to", "field"] } else { &["from", "to"] };
        let fields = place.fields(known)?;
        let from = fields.need("from", Pattern::read);
        let to = fields.maybe("to", Place::template);
        let choices = [("data", Field::Data), ("retry", Field::Retry)];
        let field = fields.or("field", Field::Data, |place| place.choice(&choices));
        Some(Self { from: from?, to: to?, field: field? })
    }
}

fn is_stream(exchange: &Exchange) -> bool {
    let kind = exchange.response.as_ref().and_then(|(_, headers)| headers.get(header::CONTENT_TYPE));
    kind.is_some_and(|kind| kind.as_bytes().to_ascii_lowercase().starts_with(b"text/event-stream"))
}
