//! Configuration files of agents (`version: 3` with `endpoints`): in each endpoint stands its traffic policy,
//! as YAML of the same file or as a text. Only what endpoints are made of here is read; what belongs to agents
//! is passed over.

use std::mem::take;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput};

/// How many endpoints a file may have.
const MOST_ENDPOINTS: usize = 1000;

/// What a file says of an endpoint.
#[derive(Debug, Default)]
pub(crate) struct AgentEndpoint {
    /// What the file calls it.
    pub(crate) name: String,
    /// The line on which it begins.
    pub(crate) line: usize,
    /// Its address.
    pub(crate) url: Option<String>,
    /// A sentence for people.
    pub(crate) description: Option<String>,
    /// Whatever programs want to keep with it.
    pub(crate) metadata: Option<String>,
    /// Where it is bound.
    pub(crate) bindings: Option<Vec<String>>,
    /// Whether several endpoints may share the address.
    pub(crate) pooling_enabled: Option<bool>,
    /// Its traffic policy.
    pub(crate) policy: Option<InlinePolicy>,
}

impl AgentEndpoint {
    /// What people know it by.
    pub(crate) fn called(&self) -> String {
        if self.name.is_empty() { self.url.clone().unwrap_or_default() } else { self.name.clone() }
    }
}

/// A traffic policy within a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InlinePolicy {
    /// The policy as a document of its own.
    pub(crate) text: String,
    /// The same, moved to where it stands in the file: the places of its problems are those of the file.
    pub(crate) in_place: String,
}

/// What is wrong with a file, and where.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub(crate) struct Wrong {
    line: usize,
    column: usize,
    message: String,
}

/// The endpoints of a file, or nothing if this is no such file.
pub(crate) fn endpoints(text: &str) -> Result<Option<Vec<AgentEndpoint>>, Wrong> {
    let mut reader = Reader { parser: Parser::new_from_str(text), text, is_agents: false };
    match reader.file() {
        // Whoever reads it as something else says what is wrong with that.
        Err(_) if !reader.is_agents => Ok(None),
        read => read,
    }
}

type Read<'t> = (Event<'t>, Span);

struct Reader<'t> {
    parser: Parser<'t, StrInput<'t>>,
    text: &'t str,
    /// Whether it has endpoints, and so is the configuration of an agent.
    is_agents: bool,
}

impl<'t> Reader<'t> {
    fn file(&mut self) -> Result<Option<Vec<AgentEndpoint>>, Wrong> {
        loop {
            match self.next()? {
                (Event::MappingStart(..), _) => break,
                (Event::StreamStart | Event::DocumentStart(_) | Event::Nothing, _) => {}
                _ => return Ok(None),
            }
        }
        let mut found = None;
        while let Some(name) = self.name()? {
            if name == "endpoints" {
                self.is_agents = true;
                found = Some(self.list_of_endpoints()?);
            } else {
                self.pass_over()?;
            }
        }
        Ok(found)
    }

    fn next(&mut self) -> Result<Read<'t>, Wrong> {
        match self.parser.next() {
            Some(Ok(read)) => Ok(read),
            Some(Err(error)) => Err(wrong(error.marker(), format!("this is not YAML: {}", error.info()))),
            None => Err(Wrong { line: 1, column: 1, message: "the file ends too early".to_owned() }),
        }
    }

    /// The next name of the map that is being read, or nothing at its end.
    fn name(&mut self) -> Result<Option<String>, Wrong> {
        match self.next()? {
            (Event::MappingEnd, _) => Ok(None),
            (Event::Scalar(text, ..), _) => Ok(Some(text.into_owned())),
            (_, span) => Err(wrong(&span.start, "the names of a map must be plain texts")),
        }
    }

    /// Reads past a value, however deep it is.
    fn pass_over(&mut self) -> Result<(), Wrong> {
        let first = self.next()?;
        self.pass_over_from(&first.0).map(drop)
    }

    /// The same when its beginning was read; where it ends.
    fn pass_over_from(&mut self, first: &Event<'_>) -> Result<Option<Marker>, Wrong> {
        let mut depth = usize::from(matches!(first, Event::MappingStart(..) | Event::SequenceStart(..)));
        let mut end = None;
        while depth > 0 {
            let (event, span) = self.next()?;
            match event {
                Event::MappingStart(..) | Event::SequenceStart(..) => depth += 1,
                Event::MappingEnd | Event::SequenceEnd => depth -= 1,
                _ => {}
            }
            end = Some(span.end);
        }
        Ok(end)
    }

    fn list_of_endpoints(&mut self) -> Result<Vec<AgentEndpoint>, Wrong> {
        match self.next()? {
            (Event::SequenceStart(..), _) => {}
            (_, span) => return Err(wrong(&span.start, "expected a list of endpoints")),
        }
        let mut endpoints = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(endpoints),
                (Event::MappingStart(..), span) if endpoints.len() < MOST_ENDPOINTS => {
                    endpoints.push(self.endpoint(span.start.line())?);
                }
                (Event::MappingStart(..), span) => {
                    return Err(wrong(&span.start, format!("more than {MOST_ENDPOINTS} endpoints")));
                }
                (_, span) => {
                    return Err(wrong(&span.start, "an endpoint is a map with `url` and `traffic_policy`"));
                }
            }
        }
    }

    fn endpoint(&mut self, line: usize) -> Result<AgentEndpoint, Wrong> {
        let mut endpoint = AgentEndpoint { line, ..AgentEndpoint::default() };
        while let Some(name) = self.name()? {
            match name.as_str() {
                "name" => endpoint.name = self.text()?,
                "url" => endpoint.url = Some(self.text()?),
                "description" => endpoint.description = Some(self.text()?),
                "metadata" => endpoint.metadata = Some(self.text()?),
                "bindings" => endpoint.bindings = Some(self.texts()?),
                "pooling_enabled" => endpoint.pooling_enabled = Some(self.boolean()?),
                "traffic_policy" => endpoint.policy = Some(self.policy()?),
                _ => self.pass_over()?,
            }
        }
        Ok(endpoint)
    }

    fn text(&mut self) -> Result<String, Wrong> {
        match self.next()? {
            (Event::Scalar(text, ..), _) => Ok(text.into_owned()),
            (_, span) => Err(wrong(&span.start, "expected a text")),
        }
    }

    fn texts(&mut self) -> Result<Vec<String>, Wrong> {
        match self.next()? {
            (Event::SequenceStart(..), _) => {}
            (_, span) => return Err(wrong(&span.start, "expected a list of texts")),
        }
        let mut texts = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(texts),
                (Event::Scalar(text, ..), _) => texts.push(text.into_owned()),
                (_, span) => return Err(wrong(&span.start, "expected a text")),
            }
        }
    }

    fn boolean(&mut self) -> Result<bool, Wrong> {
        match self.next()? {
            (Event::Scalar(text, ScalarStyle::Plain, ..), _) if text == "true" => Ok(true),
            (Event::Scalar(text, ScalarStyle::Plain, ..), _) if text == "false" => Ok(false),
            (_, span) => Err(wrong(&span.start, "expected `true` or `false`")),
        }
    }

    fn policy(&mut self) -> Result<InlinePolicy, Wrong> {
        let (event, Span { start, .. }) = self.next()?;
        match &event {
            Event::MappingStart(..) => {
                let end = self.pass_over_from(&event)?.unwrap_or(start);
                let length = end.index().saturating_sub(start.index());
                let slice: String = self.text.chars().skip(start.index()).take(length).collect();
                Ok(of_slice(&slice, &start))
            }
            Event::Scalar(text, ScalarStyle::Literal, ..) => Ok(self.of_literal(text, &start)),
            Event::Scalar(text, ..) => {
                let in_place = format!("{}{text}", "\n".repeat(start.line().saturating_sub(1)));
                Ok(InlinePolicy { text: text.to_string(), in_place })
            }
            _ => Err(wrong(&start, "a traffic policy is a map of phases, or a text that holds one")),
        }
    }

    /// A policy after `|`: its lines stand below that, all of them indented by the same.
    fn of_literal(&self, text: &str, start: &Marker) -> InlinePolicy {
        let spaces = |line: &str| line.len() - line.trim_start_matches(' ').len();
        let first = text.lines().enumerate().find(|(_, line)| !line.trim().is_empty());
        let in_file = first.and_then(|(at, line)| {
            let mut lines = self.text.lines().enumerate().skip(start.line().saturating_sub(1));
            let (there, source) = lines.find(|(_, source)| source.trim() == line.trim())?;
            Some((there.saturating_sub(at), spaces(source).saturating_sub(spaces(line))))
        });
        let (before, indent) = in_file.unwrap_or_default();
        let indented = text.lines().map(|line| format!("{:indent$}{line}\n", ""));
        let in_place = "\n".repeat(before) + &indented.collect::<String>();
        InlinePolicy { text: text.to_owned(), in_place }
    }
}

/// A policy that is a map of the file, from its first name on.
fn of_slice(slice: &str, start: &Marker) -> InlinePolicy {
    let indent = start.col();
    let is_foreign = |line: &str| {
        let rest = line.trim_start_matches(' ');
        rest.is_empty() || (rest.starts_with('#') && line.len() - rest.len() < indent)
    };
    let mut lines: Vec<&str> = slice.lines().collect();
    // Comments that follow belong to what comes next in the file.
    while lines.len() > 1 && lines.last().is_some_and(|line| is_foreign(line)) {
        lines.pop();
    }
    let mut text = String::new();
    for line in &lines {
        let spaces = line.len() - line.trim_start_matches(' ').len();
        text.push_str(&line[spaces.min(indent)..]);
        text.push('\n');
    }
    // The first line lacks its indentation already, and begins with no space.
    let before = "\n".repeat(start.line().saturating_sub(1));
    let in_place = format!("{before}{:indent$}{}\n", "", take(&mut lines).join("\n"));
    InlinePolicy { text, in_place }
}

fn wrong(at: &Marker, message: impl Into<String>) -> Wrong {
    Wrong { line: at.line(), column: at.col() + 1, message: message.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
version: 3
agent:
  authtoken: 2abc
endpoints:
  - name: chat
    url: https://ai.example.com
    description: ours
    bindings: [public]
    pooling_enabled: true
    upstream: {url: 8080}
    traffic_policy:
      on_http_request:
        # everything
        - type: ai-gateway
          config: {}

  # the next one
  - name: other
    url: https://b.example.com
    traffic_policy: |
      on_http_request:
        - type: ai-gateway
";

    #[test]
    fn endpoints_are_read_and_what_is_the_agents_is_passed_over() {
        let read = endpoints(FILE).unwrap().unwrap();
        let [chat, other] = read.as_slice() else { panic!("two") };
        assert_eq!((chat.name.as_str(), chat.line), ("chat", 5));
        assert_eq!(chat.url.as_deref(), Some("https://ai.example.com"));
        assert_eq!(chat.bindings.as_deref(), Some(["public".to_owned()].as_slice()));
        assert_eq!((chat.pooling_enabled, chat.description.as_deref()), (Some(true), Some("ours")));
        let policy = chat.policy.as_ref().unwrap();
        assert_eq!(policy.text, "on_http_request:\n  # everything\n  - type: ai-gateway\n    config: {}\n");
        assert_eq!(other.policy.as_ref().unwrap().text, "on_http_request:\n  - type: ai-gateway\n");
    }

    #[test]
    fn a_policy_stands_where_it_stands_in_the_file() {
        let read = endpoints(FILE).unwrap().unwrap();
        for endpoint in &read {
            let in_place = &endpoint.policy.as_ref().unwrap().in_place;
            let told: Vec<_> = in_place.lines().enumerate().filter(|(_, line)| !line.is_empty()).collect();
            for (at, line) in told {
                assert_eq!(FILE.lines().nth(at), Some(line), "line {}", at + 1);
            }
        }
    }

    #[test]
    fn a_policy_may_be_written_in_braces() {
        let text = "endpoints:\n  - url: https://a.example\n    traffic_policy: {on_http_request: [\n      {type: ai-gateway}]}\n";
        let read = endpoints(text).unwrap().unwrap();
        let policy = read[0].policy.as_ref().unwrap();
        assert_eq!(policy.text, "{on_http_request: [\n{type: ai-gateway}]}\n");
        assert_eq!(
            policy.in_place,
            "\n\n                    {on_http_request: [\n      {type: ai-gateway}]}\n"
        );
    }

    #[test]
    fn a_bare_policy_is_no_such_file() {
        for text in
            ["on_http_request: []", "on_http_request: [", "{\"on_http_request\": []}", "", "- a", "text"]
        {
            assert!(endpoints(text).unwrap().is_none(), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, told) in [
            ("endpoints: 5", "1:12: expected a list of endpoints"),
            ("endpoints:\n  - 5", "2:5: an endpoint is a map with `url` and `traffic_policy`"),
            ("endpoints:\n  - url: [a]", "2:10: expected a text"),
            ("endpoints:\n  - pooling_enabled: yes", "2:22: expected `true` or `false`"),
            (
                "endpoints:\n  - traffic_policy: []",
                "2:21: a traffic policy is a map of phases, or a text that holds one",
            ),
        ] {
            assert_eq!(endpoints(text).unwrap_err().to_string(), told);
        }
        assert!(endpoints("endpoints: [").is_err());
        assert!(endpoints(&format!("endpoints: {}", "[".repeat(100_000))).is_err());
    }
}
