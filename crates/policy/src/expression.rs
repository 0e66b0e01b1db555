//! The language of conditions and values: CEL, with the variables and functions that policies have.
//!
//! The `cel` crate reads expressions; they are compiled to steps of our own and run here, because a
//! gateway runs expressions that its tenants write: work, memory and depth are bounded, a request
//! pays only for what the expression looks at, and no error says a value.
//!
//! Where policies written elsewhere would fail, or fail open, this is what happens here:
//! - The first value of a header, cookie or query parameter that was not sent is an empty string, so
//!   that `req.headers['authorization'][0] != '…'` refuses whoever sends none.
//! - What there is no data for, such as `conn.geo`, is refused when the policy is loaded.
//! - `&&` and `||` are decided by the side that can be evaluated, as CEL says; but an expression that
//!   is cut off because it does too much is an error, whatever its other side says.
//!
//! Comparing with something that comes from `secrets.get` takes a time that depends on the lengths
//! alone, for `==`, `!=` and `in` over lists. Other functions, `startsWith` and `matches` among them,
//! may tell by their time how much of a secret was guessed.

mod codec;
mod compile;
mod error;
mod evaluate;
mod functions;
mod items;
mod kinds;
pub(crate) mod literals;
mod network;
mod node;
mod patterns;
mod scope;
mod steady;
mod strategy;
mod suggest;
mod syntax;
mod uses;
mod variables;

use crate::facts::Facts;
use crate::value::{Text, Value};

pub use error::{CompileError, EvaluationError, Failure};
pub use evaluate::{MOST_MEMORY, MOST_STEPS};
pub use scope::{Namespace, Scope};
pub use strategy::StrategyError;
pub use syntax::LONGEST;
pub use uses::{SecretName, Uses};

/// An expression that is ready to be evaluated, any number of times and from any thread.
pub struct Expression {
    text: String,
    scope: Scope,
    root: node::Node,
    uses: Uses,
}

impl Expression {
    /// Reads an expression and resolves its names where it stands.
    pub fn compile(text: &str, scope: Scope) -> Result<Self, CompileError> {
        let (tree, source) = syntax::parse(text)?;
        let (root, uses) = compile::compile(&tree, &source, text.len(), scope)?;
        Ok(Self { text: text.to_owned(), scope, root, uses })
    }

    /// What the expression comes to.
    pub fn evaluate(&self, facts: &Facts<'_>) -> Result<Value, EvaluationError> {
        evaluate::Evaluation::new(facts, self.scope).run(&self.root)
    }

    /// The same of a condition. What is neither true nor false is an error.
    pub fn holds(&self, facts: &Facts<'_>) -> Result<bool, EvaluationError> {
        evaluate::Evaluation::new(facts, self.scope).condition(&self.root)
    }

    /// What the expression comes to, as it is written into a string.
    pub(crate) fn text_of(&self, facts: &Facts<'_>) -> Result<Text, EvaluationError> {
        let value = self.evaluate(facts)?;
        let located = |failure| EvaluationError { failure, range: self.root.range() };
        let value = items::plain(&value, facts).map_err(located)?;
        value.to_text().map_err(|failure| located(failure.into()))
    }

    /// What it comes to if that is certainly neither true nor false, as one says it: `a string`. Such an
    /// expression is a mistake where a condition is asked for.
    pub fn never_a_condition(&self) -> Option<&'static str> {
        kinds::never_a_condition(&self.root)
    }

    /// What a strategy comes to if that is certainly neither one of those to choose from nor a list of them, as
    /// one says it: `a list of strings`.
    pub fn never_a_choice(&self) -> Option<String> {
        kinds::never_a_choice(&self.root)
    }

    /// Whether the expression asks how models or keys have fared lately.
    pub fn reads_metrics(&self) -> bool {
        // No other member is called so, and a name that is put together of parts is nobody's habit.
        matches!(self.scope, Scope::ModelStrategy | Scope::KeyStrategy)
            && ["metrics", "quota", "error_rate"].iter().any(|name| self.text.contains(name))
    }

    /// What the expression speaks of.
    pub fn uses(&self) -> &Uses {
        &self.uses
    }

    /// The expression as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl std::fmt::Debug for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not its text: people write credentials into policies.
        f.debug_struct("Expression").field("scope", &self.scope).finish_non_exhaustive()
    }
}
