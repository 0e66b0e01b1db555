//! From text to syntax tree, by the `cel` crate, which is given nothing that would make a deep tree: it
//! walks them by recursion, and so do we.

use std::ops::Range;

use cel::common::ast::SourceInfo;
use cel::{Env, IdedExpr};

use super::error::CompileError;
use super::literals::{self, Broken};

/// How long an expression may be, in bytes.
pub const LONGEST: usize = 16 << 10;
/// How deep brackets may stand in each other.
const DEEPEST_BRACKETS: usize = 24;
/// How many steps may follow each other without a comma, `&&` or `||`, those of enclosing brackets
/// included: each makes the tree one deeper.
const LONGEST_CHAIN: usize = 100;

/// The tree of an expression, without any macros expanded.
pub(super) fn parse(text: &str) -> Result<(IdedExpr, SourceInfo), CompileError> {
    if text.len() > LONGEST {
        return Err(CompileError::new(format!("an expression may have {LONGEST} bytes"), 0..text.len()));
    }
    check(text)?;
    // Half as many more as brackets: `?:` and the arguments of calls count as well.
    let parser = Env::default().parser().max_recursion_depth(64).error_recovery_limit(1);
    parser.parse_with_source_info(text).map_err(|errors| {
        let first = errors.errors.into_iter().next();
        let (message, position) = first.map(|error| (error.msg, error.pos)).unwrap_or_default();
        CompileError::new(plain(&message), range(text, position))
    })
}

/// Refuses what would be too deep, and what the lexer would stumble over.
fn check(text: &str) -> Result<(), CompileError> {
    let bytes = text.as_bytes();
    let too_deep = |at| CompileError::new("the expression is nested too deeply", at..at + 1);
    // Steps at this level, and of the levels around it.
    let (mut steps, mut around) = (0, Vec::new());
    let (mut at, mut word) = (0, 0..0);
    while let Some(&byte) = bytes.get(at) {
        let before = std::mem::replace(&mut word, 0..0);
        let mut next = at + 1;
        match byte {
            b'"' | b'\'' => {
                next = literals::end(bytes, at, &bytes[before]).map_err(|b| broken(text, at, b))?
            }
            b'/' if bytes[at..].starts_with(b"//") => {
                next = bytes[at..].iter().position(|b| *b == b'\n').map_or(bytes.len(), |end| at + end);
            }
            b'(' | b'[' | b'{' => {
                around.push(steps + 1);
                steps += 1;
            }
            b')' | b']' | b'}' => steps = around.pop().unwrap_or_default(),
            b',' => steps = around.last().copied().unwrap_or_default(),
            b'&' | b'|' if bytes.get(next) == Some(&byte) => {
                steps = around.last().copied().unwrap_or_default() + 1;
                next += 1;
            }
            b'.' | b'+' | b'-' | b'*' | b'/' | b'%' | b'<' | b'>' | b'=' | b'!' | b'?' => steps += 1,
            b':' | b' ' | b'\t' | b'\r' | b'\n' | 0x0c => {}
            b'_' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => {
                let inside = |b: &u8| *b == b'_' || b.is_ascii_alphanumeric();
                next = bytes[at..].iter().position(|b| !inside(b)).map_or(bytes.len(), |end| at + end);
                word = at..next;
                // `in` is an operator, and two words beside each other are a mistake that must not
                // hide a chain.
                steps += usize::from(&bytes[at..next] == b"in");
            }
            _ => return Err(stray(text, at)),
        }
        if around.len() > DEEPEST_BRACKETS || steps > LONGEST_CHAIN {
            return Err(too_deep(at));
        }
        at = next;
    }
    Ok(())
}

fn stray(text: &str, at: usize) -> CompileError {
    let character = text[at..].chars().next().unwrap_or_default();
    CompileError::new(format!("`{character}` has no meaning here"), at..at + character.len_utf8())
}

fn broken(text: &str, quote: usize, broken: Broken) -> CompileError {
    match broken {
        Broken::Open => CompileError::new("the string does not end", quote..text.len()),
        Broken::Escape(at) => {
            let behind = text[at + 1..].chars().next().map_or(0, char::len_utf8);
            CompileError::new("a backslash with something behind it that means nothing", at..at + 1 + behind)
        }
    }
}

/// The parser's message without the grammar that it recites.
fn plain(message: &str) -> String {
    let message = message.strip_prefix("Syntax error: ").unwrap_or(message);
    let message = message.split_once(" expecting ").map_or(message, |(fault, _)| fault);
    match message {
        "mismatched input '<EOF>'" => "the expression ends too early".to_owned(),
        "" => "the expression cannot be read".to_owned(),
        _ if message.starts_with("missing") => message.replace(" at '<EOF>'", "").replace('\'', "`"),
        _ => message.replace('\'', "`").replace("mismatched input", "unexpected"),
    }
}

/// The byte at a line and column, both counted from one.
fn range(text: &str, (line, column): (isize, isize)) -> Range<usize> {
    let line = usize::try_from(line - 1).unwrap_or_default();
    let column = usize::try_from(column - 1).unwrap_or_default();
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let rest = text.get(start..).unwrap_or_default();
    let (at, width) =
        rest.char_indices().nth(column).map_or((rest.len(), 0), |(at, character)| (at, character.len_utf8()));
    start + at..start + at + width
}
