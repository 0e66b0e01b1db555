//! Strategies: expressions that choose models, or keys, from those that there are.

use std::collections::HashSet;

use super::{EvaluationError, Expression, Scope};
use crate::facts::Facts;
use crate::value::{Item, Value};

/// A strategy that chose nothing that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StrategyError {
    /// It came to nothing.
    #[error(transparent)]
    Failed(#[from] EvaluationError),
    /// It came to something that is neither one of those to choose from nor a list of them.
    #[error("a strategy must come to a {expected} or a list of them, this one came to {found}")]
    WrongType {
        /// What it chooses from.
        expected: &'static str,
        /// What it came to.
        found: &'static str,
    },
}

impl Expression {
    /// The places in [`Facts::choice`] of what a strategy chooses, in the order in which it wants them
    /// tried, each once: models in [`Scope::ModelStrategy`], keys in [`Scope::KeyStrategy`]. None is an
    /// answer too.
    pub fn choose(&self, facts: &Facts<'_>) -> Result<Vec<usize>, StrategyError> {
        let chosen = self.evaluate(facts)?;
        let items = chosen.items().unwrap_or(std::slice::from_ref(&chosen));
        let mut places = Vec::with_capacity(items.len());
        let mut seen = HashSet::with_capacity(items.len());
        for item in items {
            let place = self.place(item)?;
            if seen.insert(place) {
                places.push(place);
            }
        }
        Ok(places)
    }

    fn place(&self, value: &Value) -> Result<usize, StrategyError> {
        let expected = if self.scope == Scope::KeyStrategy { "key" } else { "model" };
        match (self.scope, value) {
            (Scope::ModelStrategy, Value::Item(Item::Model(at))) => Ok(*at as usize),
            (Scope::KeyStrategy, Value::Item(Item::Key(at))) => Ok(*at as usize),
            (_, other) => Err(StrategyError::WrongType { expected, found: other.kind() }),
        }
    }
}
