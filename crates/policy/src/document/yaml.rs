//! YAML 1.2 with the core schema.

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

use super::{Bounds, Entry, Node, Value, distinct, refused, refused_so};
use crate::problem::{Position, Problems};

/// A list or a map whose end has not come yet.
struct Open {
    at: Position,
    inside: Inside,
}

enum Inside {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, name: Option<(Position, String)> },
}

pub(super) fn parse(text: &str) -> Result<Node, Problems> {
    let mut bounds = Bounds::new();
    let mut open: Vec<Open> = Vec::new();
    let mut root: Option<Node> = None;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| unreadable(position(error.marker()), error.info()))?;
        let at = position(&span.start);
        let done = match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => continue,
            Event::DocumentStart(_) if root.is_some() => {
                return Err(refused(at, "A policy is one document; a second one begins here."));
            }
            Event::DocumentStart(_) => continue,
            Event::Alias(_) => {
                return Err(special(at, "Aliases (`*name`) are not read."));
            }
            Event::Scalar(_, _, anchor, _)
            | Event::SequenceStart(anchor, _)
            | Event::MappingStart(anchor, _)
                if anchor != 0 =>
            {
                return Err(special(at, "Anchors (`&name`) are not read."));
            }
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => {
                return Err(special(at, "Tags (`!name`) are not read."));
            }
            Event::SequenceStart(..) => {
                bounds.count(open.len() + 1, at)?;
                open.push(Open { at, inside: Inside::List(Vec::new()) });
                continue;
            }
            Event::MappingStart(..) => {
                bounds.count(open.len() + 1, at)?;
                open.push(Open { at, inside: Inside::Map { entries: Vec::new(), name: None } });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open { at, inside: Inside::List(nodes) }) => Node { at, value: Value::List(nodes) },
                Some(Open { at, inside: Inside::Map { entries, .. } }) => {
                    Node { at, value: distinct(entries)? }
                }
                None => return Err(refused(at, "Something ends here that did not begin.")),
            },
            Event::Scalar(text, style, _, _) => {
                bounds.count(open.len(), at)?;
                if let Some(Open { inside: Inside::Map { name: name @ None, .. }, .. }) = open.last_mut() {
                    if text == "<<" && style == ScalarStyle::Plain {
                        return Err(refused(at, "Merge keys (`<<`) are not read; write the fields out."));
                    }
                    *name = Some((at, text.into_owned()));
                    continue;
                }
                let value =
                    if style == ScalarStyle::Plain { plain(&text) } else { Value::Text(text.into_owned()) };
                Node { at, value }
            }
        };
        match open.last_mut().map(|open| &mut open.inside) {
            None => root = Some(done),
            Some(Inside::List(nodes)) => nodes.push(done),
            Some(Inside::Map { entries, name }) => match name.take() {
                Some((at, name)) => entries.push(Entry { at, name, node: done }),
                None => return Err(refused(done.at, "The names of a map must be plain texts.")),
            },
        }
    }
    Ok(root.unwrap_or(Node { at: Position::START, value: Value::Null }))
}

/// What a text without quotes means.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let integer = if let Some(digits) = text.strip_prefix("0x") {
        i64::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with(['+', '-']))
    } else if let Some(digits) = text.strip_prefix("0o") {
        i64::from_str_radix(digits, 8).ok().filter(|_| !digits.starts_with(['+', '-']))
    } else {
        text.parse().ok()
    };
    if let Some(integer) = integer {
        return Value::Integer(integer);
    }
    // Words such as `inf` and `nan` are numbers to Rust and texts to YAML.
    if text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'))
        && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'))
        && let Ok(number) = text.parse::<f64>()
        && number.is_finite()
    {
        return Value::Float(number);
    }
    Value::Text(text.to_owned())
}

fn position(marker: &Marker) -> Position {
    let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Position { line: small(marker.line()).max(1), column: small(marker.col()).saturating_add(1) }
}

/// The parser's own words, and what they come from most often.
fn unreadable(at: Position, words: &str) -> Problems {
    let advice =
        words.contains("flow").then_some("An expression with brackets or braces is written in quotes here.");
    refused_so(at, format!("This is not YAML: {words}."), advice)
}

/// What means something to YAML, and mostly was meant to be part of an expression.
fn special(at: Position, message: &str) -> Problems {
    let advice = "Write the value out; an expression that begins with `!`, `&` or `*` is written in quotes.";
    refused_so(at, message, Some(advice))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: u32, column: u32) -> Position {
        Position { line, column }
    }

    #[test]
    fn every_part_knows_its_line_and_column() {
        let node = parse("a: 1\nb:\n  - x\n  - {c: 'd'}\n").unwrap();
        let Value::Map(entries) = &node.value else { panic!("a map") };
        assert_eq!((entries[0].at, entries[0].node.at), (at(1, 1), at(1, 4)));
        let Value::List(items) = &entries[1].node.value else { panic!("a list") };
        assert_eq!((items[0].at, items[1].at), (at(3, 5), at(4, 5)));
    }

    #[test]
    fn plain_texts_are_read_by_the_core_schema() {
        for (text, value) in [
            ("12", Value::Integer(12)),
            ("0x1f", Value::Integer(31)),
            ("-1.5e2", Value::Float(-150.0)),
            ("1.2.3.4", Value::Text("1.2.3.4".into())),
            ("yes", Value::Text("yes".into())),
            ("inf", Value::Text("inf".into())),
            ("60s", Value::Text("60s".into())),
            ("'12'", Value::Text("12".into())),
            ("~", Value::Null),
            ("True", Value::Bool(true)),
        ] {
            assert_eq!(parse(text).unwrap().value, value, "{text}");
        }
    }

    #[test]
    fn what_unfolds_is_refused() {
        for text in ["a: &x [1]\nb: *x", "a: &x 1", "b: *x", "<<: {a: 1}", "a: !!set {b}", "--- 1\n--- 2"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_name_stands_once_and_is_a_text() {
        assert_eq!(parse("a: 1\na: 2").unwrap_err().iter().next().unwrap().at, at(2, 1));
        assert!(parse("? [a, b]\n: 1").is_err());
        assert!(parse("? {a: b}\n: 1").is_err());
    }

    #[test]
    fn depth_and_number_are_bounded() {
        assert!(parse(&"[".repeat(100_000)).is_err());
        assert!(parse(&"- ".repeat(100_000)).is_err());
        assert!(parse(&"? ".repeat(50_000)).is_err());
        assert!(parse(&"- a\n".repeat(60_000)).is_err());
        assert!(parse(&format!("{}1{}", "[".repeat(32), "]".repeat(32))).is_ok());
        assert!(parse(&format!("{}1{}", "[".repeat(33), "]".repeat(33))).is_err());
    }
}
