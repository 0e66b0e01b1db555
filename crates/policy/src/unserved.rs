//! What policies may say and this release's proxies do not do yet. Such a policy is refused by name, where it
//! is stored and where it would be served, rather than obeyed in part.

use crate::actions::Action;
use crate::document::policy::Policy;
use crate::document::{Node, Value, parse};
use crate::phase::Phase;
use crate::problem::{Code, Position, Problem, Problems};

/// A field of an action, and what it wants.
type Unserved = (String, &'static str);

impl Policy {
    /// What of it is not done yet, each with its place in the text that was read; nothing for a policy that
    /// can be served.
    pub fn unserved(&self, text: &str) -> Option<Problems> {
        let mut found = Vec::new();
        for phase in Phase::ALL {
            for rule in self.rules(phase) {
                for (index, action) in rule.actions.iter().enumerate() {
                    found.extend(unserved(action).into_iter().map(|what| (rule.path(), index, what)));
                }
            }
        }
        if found.is_empty() {
            return None;
        }
        let document = parse(text).ok();
        let problem = |(rule, index, (field, what)): (&str, usize, Unserved)| {
            // An action may stand where a rule would.
            let is_bare =
                document.as_ref().is_some_and(|document| at(document, &format!("{rule}.type")).is_some());
            let action = if is_bare { rule.to_owned() } else { format!("{rule}.actions[{index}]") };
            let path = format!("{action}.{field}");
            let node =
                document.as_ref().and_then(|document| at(document, &path).or_else(|| at(document, &action)));
            Problem {
                code: Code::UnknownAction,
                at: node.map_or(Position::START, |node| node.at),
                path,
                message: format!("The proxies of this release do not serve {what} yet."),
                advice: Some("Leave it out.".to_owned()),
            }
        };
        Problems::found(found.into_iter().map(problem).collect())
    }
}

/// What stands at a path.
fn at<'n>(document: &'n Node, path: &str) -> Option<&'n Node> {
    path.split(['.', '[']).map(|step| step.trim_end_matches(']')).try_fold(document, |node, step| match &node
        .value
    {
        Value::List(nodes) => nodes.get(step.parse::<usize>().ok()?),
        Value::Map(entries) => entries.iter().find(|entry| entry.name == step).map(|entry| &entry.node),
        _ => None,
    })
}

fn unserved(_: &Action) -> Vec<Unserved> {
    Vec::new()
}
