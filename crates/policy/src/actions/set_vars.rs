//! `set-vars`: names values for the rules that follow in the same phase.

use std::sync::Arc;

use super::Next;
use crate::document::compiled::Tree;
use crate::document::place::Place;
use crate::problem::Code;
use crate::run::{Exchange, Failure};
use crate::value::Value;

/// How deep a variable's lists and maps may be nested.
const MOST_DEPTH: u16 = 10;
/// How much the variables of a phase may weigh together.
const MOST_WEIGHT: u32 = 1 << 20;

/// Variables, in the order in which they are computed.
pub struct SetVars {
    vars: Vec<(String, Tree)>,
}

impl SetVars {
    pub(crate) fn read(place: &Place<'_>) -> Option<Self> {
        let fields = place.fields(&["vars"])?;
        let vars = fields.need("vars", |place| {
            place.list(1..=100, |place| {
                let entries = match place.value() {
                    crate::document::Value::Map(_) => place.entries(0..=usize::MAX)?,
                    _ => Vec::new(),
                };
                let [(name, value)] = entries.as_slice() else {
                    return place.wrong_so(
                        Code::Variable,
                        "A variable is a map of one name to one value.",
                        "Write `- name: value`, one for each variable.",
                    );
                };
                if !is_name(name) {
                    return value.wrong_so(
                        Code::Variable,
                        "This is not the name of a variable.",
                        "Use letters, digits and `_`, and begin with none of the digits.",
                    );
                }
                let tree = value.tree()?;
                if tree.depth() > MOST_DEPTH {
                    return value.wrong(Code::Nesting, format!("Variables may be nested {MOST_DEPTH} deep."));
                }
                Some((name.clone(), tree))
            })
        })?;
        Some(Self { vars })
    }

    pub(crate) fn act(&self, exchange: &mut Exchange) -> Result<Next, Failure> {
        for (name, tree) in &self.vars {
            let value = exchange.look(|facts| tree.render(facts))?;
            Arc::make_mut(&mut exchange.vars).insert(name.as_str(), value);
            if Value::Map(exchange.vars.clone()).weight() > MOST_WEIGHT {
                return Err(Failure::evaluation("the variables are too large"));
            }
        }
        Ok(Next::Go)
    }
}

/// Whether a text can follow `vars.`.
fn is_name(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !text.starts_with(|c: char| c.is_ascii_digit())
}
