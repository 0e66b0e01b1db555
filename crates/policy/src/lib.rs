//! Traffic policies: what a document says, whether that makes sense, and what follows from it for a
//! request. Pure: whatever needs the outside is asked of the caller, who brings back the answer.
//!
//! [`Policy`] is a document that was read and checked, against what the [`Operator`] allows; [`Run`] is
//! one at work on a request. [`Expression`] and [`Template`] are the language in which conditions and
//! values are written (CEL), and [`Facts`] is what they are evaluated against.

pub mod actions;
pub mod document;
pub mod expression;
pub mod facts;
pub mod ip_policies;
pub mod operator;
pub mod phase;
pub mod problem;
pub mod run;
pub mod template;
pub mod value;

pub use document::policy::Policy;
pub use expression::{CompileError, EvaluationError, Expression, Scope, Uses};
pub use facts::Facts;
pub use operator::Operator;
pub use phase::Phase;
pub use problem::{Problem, Problems};
pub use run::Run;
pub use template::Template;
pub use value::Value;
