//! What policies may say and this release's proxies do not do yet. Such a policy is refused by name, where it
//! is stored and where it would be served, rather than obeyed in part.

use crate::actions::Action;
use crate::actions::ai_gateway::{AiGateway, OnError, Provider};
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

fn unserved(action: &Action) -> Vec<Unserved> {
    match action {
        Action::AiGateway(gateway) => of_gateway(gateway),
        _ => Vec::new(),
    }
}

fn of_gateway(gateway: &AiGateway) -> Vec<Unserved> {
    let field = |is_there: bool, name: &str| is_there.then(|| format!("config.{name}"));
    let first = |is: fn(&Provider) -> bool, name: &str| {
        let index = gateway.providers.iter().position(is)?;
        Some(format!("config.providers[{index}].{name}"))
    };
    let found = [
        (field(gateway.on_error == OnError::Continue, "on_error"), "`on_error: continue` of `ai-gateway`"),
        (field(!gateway.model_selection.is_empty(), "model_selection"), "`model_selection`"),
        (field(!gateway.api_key_selection.is_empty(), "api_key_selection"), "`api_key_selection`"),
        (field(gateway.max_input_tokens.is_some(), "max_input_tokens"), "`max_input_tokens`"),
        (field(gateway.max_output_tokens.is_some(), "max_output_tokens"), "`max_output_tokens`"),
        (
            first(
                |provider| provider.supported_api_surfaces.iter().any(|one| !one.supported_params.is_empty()),
                "supported_api_surfaces",
            ),
            "`supported_params`",
        ),
        (
            first(
                |provider| provider.models.iter().any(|model| !model.unsupported_params.is_empty()),
                "models",
            ),
            "`unsupported_params`",
        ),
    ];
    found.into_iter().filter_map(|(field, what)| Some((field?, what))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Operator;

    #[test]
    fn what_is_not_served_is_told_with_its_place() {
        let text = "on_http_request:\n  - actions:\n      - type: add-headers\n        config: {headers: {a: b}}\n      - type: ai-gateway\n        config:\n          on_error: continue\n  - type: deny\n";
        let policy = Policy::parse(text, &Operator::default()).unwrap();
        let found = policy.unserved(text).unwrap();
        let told: Vec<_> = found.iter().map(|problem| (problem.at.line, problem.path.as_str())).collect();
        assert_eq!(told, [(7, "on_http_request[0].actions[1].config.on_error")]);
    }
}
