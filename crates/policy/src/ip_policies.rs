//! IP policies: ranges of addresses that are kept elsewhere, which `restrict-ips` names by their ids. Proxies
//! are told the ranges in the place of the ids.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Number, Value as Json};

use crate::actions::Action;
use crate::document::policy::Policy;
use crate::document::{Node, Value, parse};
use crate::phase::Phase;

/// What the rules of an IP policy come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ranges {
    /// Whoever may come.
    pub allow: Vec<String>,
    /// Whoever may not.
    pub deny: Vec<String>,
}

/// A range in which no caller is: where nobody is let in, an empty list would let everybody in.
const NOBODY: &str = "0.0.0.0/32";

impl Policy {
    /// The ids of the IP policies that it names.
    pub fn ip_policies(&self) -> BTreeSet<&str> {
        let actions =
            Phase::ALL.into_iter().flat_map(|phase| self.rules(phase)).flat_map(|rule| &rule.actions);
        let named = actions.filter_map(|action| match action {
            Action::RestrictIps(action) => Some(action.ip_policies()),
            _ => None,
        });
        named.flatten().map(String::as_str).collect()
    }
}

/// The policy of this text with ranges in the place of the IP policies that it names, as JSON. Who names IP
/// policies lets in only whom one of them, or `allow`, lets in. Nothing if one of them is not among these.
pub fn with_ranges(text: &str, ranges: &BTreeMap<String, Ranges>) -> Option<String> {
    let mut document = json(&parse(text).ok()?)?;
    for rules in document.as_object_mut()?.values_mut() {
        for rule in rules.as_array_mut().into_iter().flatten() {
            match rule.get_mut("actions") {
                None => write_out(rule, ranges)?,
                Some(actions) => actions
                    .as_array_mut()
                    .into_iter()
                    .flatten()
                    .try_for_each(|action| write_out(action, ranges))?,
            }
        }
    }
    serde_json::to_string(&document).ok()
}

fn write_out(action: &mut Json, ranges: &BTreeMap<String, Ranges>) -> Option<()> {
    let is_meant = action.get("type").is_some_and(|kind| kind == "restrict-ips");
    let Some(config) = action.get_mut("config").filter(|_| is_meant).and_then(Json::as_object_mut) else {
        return Some(());
    };
    let Some(Json::Array(named)) = config.remove("ip_policies") else { return Some(()) };
    if named.is_empty() {
        return Some(());
    }
    let mut all = [Vec::new(), Vec::new()];
    for (list, name) in all.iter_mut().zip(["allow", "deny"]) {
        if let Some(Json::Array(written)) = config.remove(name) {
            *list = written;
        }
    }
    for id in named {
        let Ranges { allow, deny } = ranges.get(id.as_str()?)?;
        all[0].extend(allow.iter().cloned().map(Json::String));
        all[1].extend(deny.iter().cloned().map(Json::String));
    }
    let [mut allow, deny] = all;
    if allow.is_empty() {
        allow.push(NOBODY.into());
    }
    config.insert("allow".to_owned(), Json::Array(allow));
    config.insert("deny".to_owned(), Json::Array(deny));
    Some(())
}

/// The same as JSON; its depth is bounded since it was read.
fn json(node: &Node) -> Option<Json> {
    Some(match &node.value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Integer(number) => Json::Number((*number).into()),
        Value::Float(number) => Json::Number(Number::from_f64(*number)?),
        Value::Text(text) => Json::String(text.clone()),
        Value::List(nodes) => Json::Array(nodes.iter().map(json).collect::<Option<_>>()?),
        Value::Map(entries) => {
            let entries = entries.iter().map(|entry| Some((entry.name.clone(), json(&entry.node)?)));
            Json::Object(entries.collect::<Option<Map<_, _>>>()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Operator;

    const NAMING: &str = "
on_http_request:
  - type: restrict-ips
    config: {ip_policies: [ipp_1, ipp_2], allow: [10.0.0.0/8]}
  - name: again
    expressions: ['true']
    actions:
      - type: restrict-ips
        config: {enforce: false, ip_policies: [ipp_2]}
  - type: ai-gateway
    config: {body: {temperature: 0.5, nested: [1, null, 'ü']}}
";

    fn known(ids: &[&str]) -> Operator {
        let ip_policies = Some(ids.iter().map(|&id| id.to_owned()).collect());
        Operator { ip_policies, ..Operator::default() }
    }

    #[test]
    fn a_policy_names_only_ip_policies_that_there_are() {
        let policy = Policy::parse(NAMING, &known(&["ipp_1", "ipp_2"])).unwrap();
        assert_eq!(policy.ip_policies().into_iter().collect::<Vec<_>>(), ["ipp_1", "ipp_2"]);
        let problems = Policy::parse(NAMING, &known(&["ipp_1"])).unwrap_err();
        let told: Vec<_> = problems.iter().map(|problem| (problem.at.line, problem.path.as_str())).collect();
        let expected = [
            (4, "on_http_request[0].config.ip_policies[1]"),
            (9, "on_http_request[1].actions[0].config.ip_policies[0]"),
        ];
        assert_eq!(told, expected);
        assert!(Policy::parse(NAMING, &Operator { ip_policies: None, ..Operator::default() }).is_ok());
    }

    #[test]
    fn ranges_stand_in_the_place_of_ids_and_nobody_is_let_in_by_none() {
        let allow = Ranges { allow: vec!["203.0.113.0/24".into()], deny: vec!["203.0.113.7/32".into()] };
        let ranges = [("ipp_1".to_owned(), allow), ("ipp_2".to_owned(), Ranges::default())];
        let ranges: BTreeMap<_, _> = ranges.into_iter().collect();
        let written = with_ranges(NAMING, &ranges).unwrap();
        let policy = Policy::parse(&written, &Operator::default()).unwrap();
        assert!(policy.ip_policies().is_empty());
        let written: Json = serde_json::from_str(&written).unwrap();
        let rules = &written["on_http_request"];
        let first =
            serde_json::json!({"allow": ["10.0.0.0/8", "203.0.113.0/24"], "deny": ["203.0.113.7/32"]});
        assert_eq!(rules[0]["config"], first);
        let second = serde_json::json!({"enforce": false, "allow": [NOBODY], "deny": []});
        assert_eq!(rules[1]["actions"][0]["config"], second);
        assert_eq!(rules[2]["config"]["body"]["nested"], serde_json::json!([1, null, "ü"]));
        assert_eq!(with_ranges(NAMING, &BTreeMap::new()), None);
    }
}
