//! A gateway's traffic policy, compiled once for as long as its text is the same.

mod selection;

use std::fmt;
use std::sync::{Arc, LazyLock, OnceLock};

use policy::{Operator, Phase, Policy, Problems};
use providers::catalog;
use providers::models::{InvalidSelection, Selection};
use tracing::error;

/// A policy, ready to be obeyed.
#[derive(Debug)]
pub struct Compiled {
    /// Its rules.
    pub policy: Arc<Policy>,
    /// Whom and what its `ai-gateway` action lets callers choose from; the whole catalogue if it has none.
    pub selection: Selection,
    /// Whether answers are to be shown to it.
    pub looks_at_answers: bool,
}

/// Why a policy cannot be obeyed.
#[derive(Debug)]
pub enum Unusable {
    /// It has mistakes.
    Problems(Problems),
    /// It names providers or models twice.
    Selection(InvalidSelection),
    /// It wants what is not done here.
    Unserved(Problems),
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Problems(problems) => write!(f, "the traffic policy has mistakes: {problems}"),
            Self::Selection(invalid) => write!(f, "the traffic policy cannot be used: {invalid}"),
            Self::Unserved(problems) => {
                write!(f, "the traffic policy wants what is not served: {problems}")
            }
        }
    }
}

impl Unusable {
    /// What is wrong, without a word of the policy's.
    fn kind(&self) -> &'static str {
        match self {
            Self::Problems(_) => "it has mistakes",
            Self::Selection(_) => "its providers or models contradict each other",
            Self::Unserved(_) => "it wants what this release does not do",
        }
    }
}

impl Compiled {
    /// Compiles a policy's text.
    pub fn new(text: &str) -> Result<Self, Unusable> {
        let policy = Policy::parse(text, &OPERATOR).map_err(Unusable::Problems)?;
        if let Some(unserved) = policy.unserved(text) {
            return Err(Unusable::Unserved(unserved));
        }
        let selection = selection::of(policy.ai_gateway()).map_err(Unusable::Selection)?;
        let looks_at_answers = !policy.rules(Phase::Response).is_empty();
        Ok(Self { policy: Arc::new(policy), selection, looks_at_answers })
    }
}

/// What policies may name here: the providers of the catalogue.
static OPERATOR: LazyLock<Operator> =
    LazyLock::new(|| Operator::of(catalog::all().iter().map(|provider| (provider.id, provider.names()))));

/// A gateway's policy, compiled when the first request asks for it.
#[derive(Debug)]
pub struct LivePolicy {
    text: Arc<str>,
    compiled: OnceLock<Result<Arc<Compiled>, Unusable>>,
}

impl LivePolicy {
    /// A policy with this text; the present one, if its text is the same.
    pub fn of(text: Option<&Arc<str>>, present: Option<Arc<Self>>) -> Option<Arc<Self>> {
        let text = text?;
        let same = present.filter(|present| *present.text == **text);
        Some(same.unwrap_or_else(|| Arc::new(Self { text: Arc::clone(text), compiled: OnceLock::new() })))
    }

    /// The policy. One that cannot be obeyed is logged once; what stands in it is not.
    pub fn compiled(&self) -> Result<&Arc<Compiled>, &Unusable> {
        let compile = || {
            let compiled = Compiled::new(&self.text).map(Arc::new);
            if let Err(unusable) = &compiled {
                error!(
                    "A traffic policy cannot be obeyed, so its gateway answers nothing: {}",
                    unusable.kind()
                );
            }
            compiled
        };
        self.compiled.get_or_init(compile).as_ref()
    }
}
