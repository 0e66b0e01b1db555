//! Traffic policies: what a document says, whether that makes sense, and what follows from it for a
//! request. Pure: whatever needs the outside is asked of the caller, who brings back the answer.
//!
//! [`Expression`] and [`Template`] are the language in which rules and values are written (CEL), and
//! [`Facts`] is what they are evaluated against.

pub mod expression;
pub mod facts;
pub mod template;
pub mod value;

pub use expression::{CompileError, EvaluationError, Expression, Scope, Uses};
pub use facts::Facts;
pub use template::Template;
pub use value::Value;
