//! JSON, with the place of every value.

use super::{Bounds, Entry, Node, Value, distinct, refused};
use crate::problem::{Position, Problems};

pub(super) fn parse(text: &str) -> Result<Node, Problems> {
    let mut reader = Reader { rest: text, at: Position::START, bounds: Bounds::new() };
    reader.blank();
    let node = reader.value(0)?;
    reader.blank();
    if reader.rest.is_empty() { Ok(node) } else { Err(reader.wrong("the end of the text")) }
}

struct Reader<'t> {
    rest: &'t str,
    at: Position,
    bounds: Bounds,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Result<Node, Problems> {
        let at = self.at;
        self.bounds.count(depth, at)?;
        let value = match self.rest.chars().next() {
            Some('{') => self.map(depth + 1)?,
            Some('[') => self.list(depth + 1)?,
            Some('"') => Value::Text(self.text()?),
            Some('-' | '0'..='9') => self.number()?,
            _ => self.word()?,
        };
        Ok(Node { at, value })
    }

    fn map(&mut self, depth: usize) -> Result<Value, Problems> {
        self.step(1);
        let mut entries = Vec::new();
        self.blank();
        if self.took('}') {
            return Ok(Value::Map(entries));
        }
        loop {
            self.blank();
            let at = self.at;
            self.bounds.count(depth, at)?;
            let name = self.text()?;
            self.blank();
            if !self.took(':') {
                return Err(self.wrong("`:`"));
            }
            self.blank();
            entries.push(Entry { at, name, node: self.value(depth)? });
            self.blank();
            if self.took('}') {
                return distinct(entries);
            }
            if !self.took(',') {
                return Err(self.wrong("`,` or `}`"));
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, Problems> {
        self.step(1);
        let mut nodes = Vec::new();
        self.blank();
        if self.took(']') {
            return Ok(Value::List(nodes));
        }
        loop {
            self.blank();
            nodes.push(self.value(depth)?);
            self.blank();
            if self.took(']') {
                return Ok(Value::List(nodes));
            }
            if !self.took(',') {
                return Err(self.wrong("`,` or `]`"));
            }
        }
    }

    /// A text in quotes; the standard library of JSON resolves its escapes.
    fn text(&mut self) -> Result<String, Problems> {
        if !self.rest.starts_with('"') {
            return Err(self.wrong("a text in double quotes"));
        }
        let mut escaped = false;
        let end = self.rest.char_indices().skip(1).find_map(|(index, letter)| {
            let ends = letter == '"' && !escaped;
            escaped = letter == '\\' && !escaped;
            ends.then_some(index + 1)
        });
        let Some(end) = end else { return Err(self.wrong("the end of this text")) };
        let text =
            serde_json::from_str(&self.rest[..end]).map_err(|_| self.wrong("a text with valid escapes"))?;
        self.step(end);
        Ok(text)
    }

    fn number(&mut self) -> Result<Value, Problems> {
        let end = self
            .rest
            .find(|c: char| !(c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E')))
            .unwrap_or(self.rest.len());
        let text = &self.rest[..end];
        let value = match (serde_json::from_str::<i64>(text), serde_json::from_str::<f64>(text)) {
            (Ok(integer), _) => Value::Integer(integer),
            (_, Ok(number)) => Value::Float(number),
            _ => return Err(self.wrong("a number")),
        };
        self.step(end);
        Ok(value)
    }

    fn word(&mut self) -> Result<Value, Problems> {
        for (word, value) in
            [("null", Value::Null), ("true", Value::Bool(true)), ("false", Value::Bool(false))]
        {
            if self.rest.starts_with(word) {
                self.step(word.len());
                return Ok(value);
            }
        }
        Err(self.wrong("a value"))
    }

    fn blank(&mut self) {
        let end = self.rest.find(|c| !matches!(c, ' ' | '\t' | '\n' | '\r')).unwrap_or(self.rest.len());
        self.step(end);
    }

    fn took(&mut self, letter: char) -> bool {
        let here = self.rest.starts_with(letter);
        if here {
            self.step(1);
        }
        here
    }

    /// Goes on by so many bytes, keeping count of lines and columns.
    fn step(&mut self, bytes: usize) {
        let (passed, rest) = self.rest.split_at(bytes);
        for letter in passed.chars() {
            if letter == '\n' {
                self.at = Position { line: self.at.line + 1, column: 1 };
            } else {
                self.at.column += 1;
            }
        }
        self.rest = rest;
    }

    fn wrong(&self, expected: &str) -> Problems {
        refused(self.at, format!("This is not JSON: {expected} was expected."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_read_with_its_places() {
        let node = parse("{\n\t\"a\": [1, 2.5, true, null],\n\t\"b\": \"\\ud83d\\ude00\\/\"}").unwrap();
        let Value::Map(entries) = node.value else { panic!("a map") };
        assert_eq!(entries[0].at, Position { line: 2, column: 2 });
        assert_eq!(entries[1].node.value, Value::Text("😀/".into()));
        let Value::List(items) = &entries[0].node.value else { panic!("a list") };
        assert_eq!(items[1], Node { at: Position { line: 2, column: 11 }, value: Value::Float(2.5) });
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in [
            "{",
            "{\"a\"}",
            "{\"a\":1,}",
            "{\"a\":01}",
            "[1 2]",
            "{\"a\":\"\\x\"}",
            "{} {}",
            "{\"a\":1,\"a\":2}",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&"[".repeat(100_000)).is_err());
    }
}
