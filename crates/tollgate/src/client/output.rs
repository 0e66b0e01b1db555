//! How answers are shown: as a table for people, or as the API gave them for programs.

use std::io::{self, Write as _};

use clap::ValueEnum;
use serde::Serialize;
use serde_json::Value;

/// The longest text in a column; ids are shorter, and what people write may be cut.
const WIDEST: usize = 64;

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    Table,
    /// The API's objects
    Json,
}

/// The columns of a list: what is written above each, and where in an entry it stands (a JSON pointer).
pub(crate) type Columns = &'static [(&'static str, &'static str)];

impl Output {
    /// Shows a list that the API keeps under this key.
    pub(crate) fn list(self, answer: &Value, key: &str, columns: Columns) -> anyhow::Result<()> {
        match self {
            Self::Json => print_json(answer),
            Self::Table => {
                let none = Vec::new();
                let entries = answer[key].as_array().unwrap_or(&none);
                let cells = |entry: &Value| columns.iter().map(|(_, at)| cell(entry.pointer(at))).collect();
                let headings: Vec<_> = columns.iter().map(|(heading, _)| *heading).collect();
                print(&table(&headings, &entries.iter().map(cells).collect::<Vec<_>>()))?;
                if let (Some(_), Some(last)) = (answer["next_page_uri"].as_str(), entries.last()) {
                    eprintln!("There are more: --before-id {}", cell(last.get("id")));
                }
                Ok(())
            }
        }
    }

    /// Shows one thing with all that is said of it.
    pub(crate) fn one(self, answer: &Value) -> anyhow::Result<()> {
        match self {
            Self::Json => print_json(answer)?,
            Self::Table => print(&fields(answer))?,
        }
        warn(answer);
        Ok(())
    }

    /// Says that something is done, to people; programs see that by the exit code.
    pub(crate) fn done(self, sentence: &str) -> anyhow::Result<()> {
        match self {
            Self::Json => Ok(()),
            Self::Table => print(&format!("{sentence}\n")),
        }
    }
}

/// Repeats to people what an answer warns of, where programs do not read.
pub(crate) fn warn(answer: &Value) {
    for warning in answer["warnings"].as_array().into_iter().flatten() {
        eprintln!("warning: {}", harmless(&plain(warning)));
    }
}

/// Prints a document for programs.
pub(crate) fn print_json(document: &impl Serialize) -> anyhow::Result<()> {
    print(&format!("{}\n", serde_json::to_string_pretty(document)?))
}

/// Prints a text. Whoever reads it may have had enough of it, as `head` has, and that is no mishap.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut output = io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Rows under their headings, each column as wide as it must be.
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let headings = headings.iter().map(|&heading| heading.to_owned()).collect::<Vec<_>>();
    let widths: Vec<_> = (0..headings.len())
        .map(|at| {
            let cells = std::iter::once(&headings).chain(rows).filter_map(|row| row.get(at));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        })
        .collect();
    let mut written = String::new();
    for row in std::iter::once(&headings).chain(rows) {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
        written.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        written.push('\n');
    }
    written
}

/// A value in a column: one line, not too long.
pub(crate) fn cell(value: Option<&Value>) -> String {
    let text = plain(value.unwrap_or(&Value::Null));
    let line = harmless(text.lines().next().unwrap_or_default());
    match line.char_indices().nth(WIDEST) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

/// All fields that say something, the id first; texts of several lines are indented.
fn fields(answer: &Value) -> String {
    let Some(object) = answer.as_object() else { return format!("{}\n", harmless(&plain(answer))) };
    let first = ["id", "name", "url", "token"];
    // What an answer warns of is told apart.
    let is_told = |name: &&str| first.contains(name) || *name == "warnings";
    let rest = object.keys().map(String::as_str).filter(|name| !is_told(name));
    let told: Vec<(&str, String)> = first
        .into_iter()
        .chain(rest)
        .filter_map(|name| Some((name, plain(object.get(name)?))))
        .filter(|(_, text)| !text.is_empty())
        .collect();
    let width = told.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let mut written = String::new();
    for (name, text) in told {
        let lines = text.lines().map(harmless).collect::<Vec<_>>();
        let indent = format!("\n{:width$}  ", "");
        let line = format!("{name:width$}  {}", lines.join(&indent));
        written.push_str(line.trim_end());
        written.push('\n');
    }
    written
}

/// A value without its quotes; of something that stands elsewhere only its id, of nothing no text at all.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(object) => match object.get("id").and_then(Value::as_str) {
            Some(id) => id.to_owned(),
            None => value.to_string(),
        },
    }
}

/// What others wrote must not move the cursor or colour the screen.
fn harmless(line: &str) -> String {
    line.chars()
        .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_longest_text() {
        let rows =
            [vec!["vault_1".to_owned(), "openai".to_owned()], vec!["vault_22".to_owned(), "ü".to_owned()]];
        assert_eq!(table(&["ID", "NAME"], &rows), "ID        NAME\nvault_1   openai\nvault_22  ü\n");
        assert_eq!(table(&["ID", "NAME"], &[]), "ID  NAME\n");
    }

    #[test]
    fn a_thing_is_told_field_by_field() {
        let endpoint = json!({
            "bindings": ["public"], "description": "", "domain": null, "id": "ep_1", "port": 443,
            "traffic_policy": "a:\n  - b\n", "vault": {"id": "vault_1", "uri": "https://…"},
        });
        let told = "id              ep_1\nbindings        public\nport            443\ntraffic_policy  a:\n                  - b\nvault           vault_1\n";
        assert_eq!(fields(&endpoint), told);
    }

    #[test]
    fn what_others_wrote_cannot_steer_the_terminal() {
        assert_eq!(cell(Some(&json!("\u{1b}[2Jgone\u{7}"))), "\\u{1b}[2Jgone\\u{7}");
        assert!(!fields(&json!({"description": "a\r\u{9b}1mb"})).contains(['\r', '\u{9b}']));
        assert_eq!(cell(Some(&json!("x".repeat(65)))).chars().count(), 65);
        assert!(cell(Some(&json!("x".repeat(65)))).ends_with('…'));
    }
}
