//! What is wrong with a policy: every problem at once, each with its place and a way out.

use std::fmt;

use serde::Serialize;

/// A problem is reported for each mistake, but a document that is wrong everywhere gets no endless answer.
pub(crate) const MOST_PROBLEMS: usize = 100;

/// The kinds of problem, under the numbers that the vendor's clients know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// 2200: an expression cannot be compiled.
    Expression,
    /// 2201: there is no action of this type, or it is not offered.
    UnknownAction,
    /// 2202: the action cannot stand in this phase.
    Phase,
    /// 2203: the configuration has the wrong shape.
    Shape,
    /// 2204: there is no such field.
    UnknownField,
    /// 2206: a rule does nothing.
    NoAction,
    /// 2207: nothing ever gets here.
    Unreachable,
    /// 2208: a header's name is not one.
    HeaderName,
    /// 2209: a header's value cannot be written.
    HeaderValue,
    /// 2215: a number is out of its range.
    Range,
    /// 2217: not a range of addresses.
    Cidr,
    /// 2221: too long.
    TooLong,
    /// 2222: not one of the values there are.
    Choice,
    /// 2223: empty where something must stand.
    Empty,
    /// 2224: an interpolated text cannot be compiled.
    Template,
    /// 2225: a duration is not one, or out of its range.
    Duration,
    /// 2226: not a URL that can be called.
    Url,
    /// 2231: the same thing twice.
    Duplicate,
    /// 2234: a required field is missing.
    Missing,
    /// 2235: a request may reach the end of the policy unanswered.
    Unhandled,
    /// 2236: the document cannot be read at all.
    Document,
    /// 2237: too short.
    TooShort,
    /// 2250: variables nested too deep.
    Nesting,
    /// 2252: a variable is not a map of one name to one value.
    Variable,
    /// 2255: too many elements.
    TooMany,
    /// 2257: a user name that basic authentication cannot carry.
    User,
    /// 2258: a password of the wrong length.
    Password,
    /// 2264: too many rules.
    TooManyRules,
    /// 2265: too many actions in a rule.
    TooManyActions,
    /// 2266: a second `ai-gateway` action.
    SecondGateway,
    /// 3901: not a regular expression.
    Pattern,
    /// 7168: `jwt-validation` cannot work as configured.
    Jwt,
}

impl Code {
    /// The number behind `ERR_NGROK_`.
    pub fn number(self) -> u16 {
        match self {
            Self::Expression => 2200,
            Self::UnknownAction => 2201,
            Self::Phase => 2202,
            Self::Shape => 2203,
            Self::UnknownField => 2204,
            Self::NoAction => 2206,
            Self::Unreachable => 2207,
            Self::HeaderName => 2208,
            Self::HeaderValue => 2209,
            Self::Range => 2215,
            Self::Cidr => 2217,
            Self::TooLong => 2221,
            Self::Choice => 2222,
            Self::Empty => 2223,
            Self::Template => 2224,
            Self::Duration => 2225,
            Self::Url => 2226,
            Self::Duplicate => 2231,
            Self::Missing => 2234,
            Self::Unhandled => 2235,
            Self::Document => 2236,
            Self::TooShort => 2237,
            Self::Nesting => 2250,
            Self::Variable => 2252,
            Self::TooMany => 2255,
            Self::User => 2257,
            Self::Password => 2258,
            Self::TooManyRules => 2264,
            Self::TooManyActions => 2265,
            Self::SecondGateway => 2266,
            Self::Pattern => 3901,
            Self::Jwt => 7168,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ERR_NGROK_{}", self.number())
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Where something stands in the text; both count from one, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The column in it.
    pub column: u32,
}

impl Position {
    /// The beginning of the text.
    pub const START: Self = Self { line: 1, column: 1 };
}

/// One mistake. Neither part quotes a value that may be a secret: field names, numbers, durations and choices
/// are quoted, whatever is a template is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Its kind.
    pub code: Code,
    /// Where it stands.
    #[serde(flatten)]
    pub at: Position,
    /// The field, as in `on_http_request[0].actions[1].config.rate`; empty for the document itself.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: ", self.at.line, self.at.column)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{}", self.message)?;
        if let Some(advice) = &self.advice {
            write!(f, " {advice}")?;
        }
        write!(f, " ({})", self.code)
    }
}

/// All that is wrong with a document, in the order of the text; never empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
#[serde(transparent)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// The one thing that is wrong.
    pub(crate) fn one(problem: Problem) -> Self {
        Self(vec![problem])
    }

    /// What was found, if anything was.
    pub(crate) fn found(mut problems: Vec<Problem>) -> Option<Self> {
        problems.sort_by_key(|problem| problem.at);
        problems.truncate(MOST_PROBLEMS);
        (!problems.is_empty()).then_some(Self(problems))
    }

    /// Each of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }
}

impl<'p> IntoIterator for &'p Problems {
    type Item = &'p Problem;
    type IntoIter = std::slice::Iter<'p, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The name nearest to what was written, if one is near enough to have been meant.
pub(crate) fn nearest<'n>(written: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    // A name that nobody could have meant is not compared: the work stays bounded by our own names.
    if written.len() > 64 {
        return None;
    }
    let simple = |text: &str| text.to_ascii_lowercase().replace(['-', '_', ' '], "");
    let written = simple(written);
    names
        .into_iter()
        .map(|name| (distance(&written, &simple(name)), name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 5)
        .min()
        .map(|(_, name)| name)
}

/// How many letters must be inserted, left out, replaced or swapped with their neighbour.
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let mut cost = (last[j] + usize::from(a != b)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                cost = cost.min(before[j - 1] + 1);
            }
            row.push(cost);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(from.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_the_name_that_was_meant() {
        let names = ["rate-limit", "restrict-ips", "redirect", "log", "deny"];
        assert_eq!(nearest("rate_limit", names), Some("rate-limit"));
        assert_eq!(nearest("ratelimt", names), Some("rate-limit"));
        assert_eq!(nearest("restrict-ip", names), Some("restrict-ips"));
        assert_eq!(nearest("dney", names), Some("deny"));
        assert_eq!(nearest("teleport", names), None);
        assert_eq!(nearest(&"x".repeat(10_000), names), None);
    }

    #[test]
    fn a_problem_says_where_what_and_how_to_mend_it() {
        let problem = Problem {
            code: Code::UnknownField,
            at: Position { line: 3, column: 7 },
            path: "on_http_request[0].config.cpacity".into(),
            message: "There is no such field.".into(),
            advice: Some("Did you mean `capacity`?".into()),
        };
        assert_eq!(
            problem.to_string(),
            "line 3, column 7: on_http_request[0].config.cpacity: There is no such field. Did you mean `capacity`? \
             (ERR_NGROK_2204)"
        );
    }
}
