//! Strings with expressions in them: `Bearer ${secrets.get('openai', 'api-key')}`.
//!
//! A string that is one expression and nothing else keeps the expression's type; in all others each is
//! written out, lists and maps as JSON. `$${` stands for `${` itself.

use std::fmt;
use std::sync::Arc;

use crate::expression::literals::{self, Broken};
use crate::expression::{CompileError, EvaluationError, Expression, Failure, Scope, Uses};
use crate::facts::Facts;
use crate::value::{HEAVIEST, Text, Value};

/// How long a string with expressions may be, in bytes.
const LONGEST: usize = 256 << 10;
/// How many expressions may stand in a string.
const MOST_EXPRESSIONS: usize = 64;

/// A string with expressions in it, ready to be written out.
pub struct Template {
    parts: Vec<Part>,
    uses: Uses,
}

enum Part {
    Text(Arc<str>),
    Expression(Box<Expression>),
}

impl Template {
    /// Reads a string. Ranges of errors are places in all of it.
    pub fn compile(text: &str, scope: Scope) -> Result<Self, CompileError> {
        if text.len() > LONGEST {
            let message = format!("a text with expressions may have {LONGEST} bytes");
            return Err(CompileError::new(message, 0..text.len()));
        }
        let (mut parts, mut uses, mut plain) = (Vec::new(), Uses::default(), String::new());
        let (mut rest, mut expressions) = (0, 0);
        while let Some(found) = text[rest..].find("${") {
            let start = rest + found;
            if text[rest..start].ends_with('$') {
                // `$${`: the first dollar says that the second means nothing.
                plain.push_str(&text[rest..start - 1]);
                plain.push_str("${");
                rest = start + 2;
                continue;
            }
            plain.push_str(&text[rest..start]);
            let end = end(text, start + 2)?;
            let expression = Expression::compile(&text[start + 2..end], scope);
            let expression = expression.map_err(|error| error.shifted(start + 2))?;
            expressions += 1;
            if expressions > MOST_EXPRESSIONS {
                let message = format!("a text may have {MOST_EXPRESSIONS} expressions");
                return Err(CompileError::new(message, start..end + 1));
            }
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain).into()));
            }
            uses.merge(expression.uses());
            parts.push(Part::Expression(Box::new(expression)));
            rest = end + 1;
        }
        plain.push_str(&text[rest..]);
        if !plain.is_empty() || parts.is_empty() {
            parts.push(Part::Text(plain.into()));
        }
        Ok(Self { parts, uses })
    }

    /// What the string comes to: a value of any kind if it is one expression, else a string.
    pub fn render(&self, facts: &Facts<'_>) -> Result<Value, EvaluationError> {
        match &self.parts[..] {
            [Part::Expression(expression)] => expression.evaluate(facts),
            _ => self.render_text(facts).map(Value::Text),
        }
    }

    /// The same, always as a string.
    pub fn render_text(&self, facts: &Facts<'_>) -> Result<Text, EvaluationError> {
        if let [Part::Text(text)] = &self.parts[..] {
            return Ok(Text::plain(text.clone()));
        }
        let mut texts = Vec::with_capacity(self.parts.len());
        let mut length = 0;
        for part in &self.parts {
            let text = match part {
                Part::Text(text) => Text::plain(text.clone()),
                Part::Expression(expression) => expression.text_of(facts)?,
            };
            length += text.len();
            if length > HEAVIEST as usize {
                return Err(EvaluationError { failure: Failure::TooLarge, range: 0..0 });
            }
            texts.push(text);
        }
        // Each expression was bounded by itself; what they come to together is work of the whole request.
        if facts.budget.is_some_and(|budget| !budget.take(length / 16)) {
            return Err(EvaluationError { failure: Failure::TooMuchWork, range: 0..0 });
        }
        if let [text] = &texts[..] {
            return Ok(text.clone());
        }
        let mut whole = String::with_capacity(length);
        texts.iter().for_each(|text| whole.push_str(text.as_str()));
        Ok(Text::new(whole, texts.iter().any(Text::is_secret)))
    }

    /// Whether it is the same for every request.
    pub fn constant(&self) -> Option<&str> {
        if let [Part::Text(text)] = &self.parts[..] { Some(text) } else { None }
    }

    /// What its expressions speak of.
    pub fn uses(&self) -> &Uses {
        &self.uses
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not its text: people write credentials into policies.
        f.debug_struct("Template").field("parts", &self.parts.len()).finish_non_exhaustive()
    }
}

/// The brace that ends an expression: not one in a string or a comment, nor that of a map.
fn end(text: &str, start: usize) -> Result<usize, CompileError> {
    let bytes = text.as_bytes();
    let (mut at, mut open, mut word) = (start, 0, start..start);
    while let Some(&byte) = bytes.get(at) {
        let before = std::mem::replace(&mut word, at..at);
        at = match byte {
            b'"' | b'\'' => match literals::end(bytes, at, &bytes[before]) {
                Ok(end) => end,
                Err(Broken::Escape(escape)) => {
                    let message = "a backslash with something behind it that means nothing";
                    return Err(CompileError::new(message, escape..escape + 1));
                }
                Err(Broken::Open) => {
                    return Err(CompileError::new("the string does not end", at..text.len()));
                }
            },
            b'/' if bytes[at..].starts_with(b"//") => {
                bytes[at..].iter().position(|b| *b == b'\n').map_or(bytes.len(), |end| at + end)
            }
            b'}' if open == 0 => return Ok(at),
            b'{' | b'}' => {
                if byte == b'{' {
                    open += 1
                } else {
                    open -= 1
                }
                at + 1
            }
            _ => {
                let inside = |b: &u8| *b == b'_' || b.is_ascii_alphanumeric();
                let length = bytes[at..].iter().take_while(|b| inside(b)).count();
                word = at..at + length;
                at + length.max(1)
            }
        };
    }
    Err(CompileError::new("`${` without `}`", start - 2..text.len()))
}
