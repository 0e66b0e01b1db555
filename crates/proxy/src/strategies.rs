//! Strategies of a traffic policy at work: which of the models that there are a request may go to, in which
//! order, and with which of the policy's keys.
//!
//! What there is to know of models is put together once for each policy and operation, and shared between
//! policies as far as they say nothing of it; a request evaluates expressions on that and nothing else.

mod facts;
pub mod keys;
pub mod models;
pub mod told;
mod unchosen;
mod universe;

use std::sync::{Arc, Mutex, PoisonError};

use model::AccountId;
use model::id::GatewayInternalId;
use policy::Expression;
use policy::actions::ai_gateway::AiGateway;
use providers::catalog::Dialect;
use providers::models::Asked;

pub use self::facts::model_at;
pub use self::unchosen::{Unchosen, Why};
use self::universe::Universe;
use crate::effects::standing::Standing;
use crate::policies::Compiled;

/// Operations whose models are kept in order, at most. There are about as many that take a model.
const MOST_UNIVERSES: usize = 16;

/// The strategies of a policy, and the models that they choose from.
#[derive(Debug, Default)]
pub struct Strategies {
    /// Whether there are any for models.
    pub models: bool,
    /// Whether there are any for keys.
    pub keys: bool,
    /// Whether any of them asks how models or keys have fared.
    pub watch: bool,
    universes: Mutex<Vec<Kept>>,
}

/// The models that can be asked in a format for an operation.
#[derive(Debug)]
struct Kept {
    dialect: Dialect,
    operation: Box<str>,
    universe: Arc<Universe>,
}

/// Where strategies learn how models and keys have fared, and for whom.
#[derive(Clone, Copy)]
pub struct Watching<'a> {
    /// How they have fared.
    pub standing: &'a Standing,
    /// Whose policy it is, and whose gateway.
    pub whose: (AccountId, GatewayInternalId),
    /// What time it is, in milliseconds since 1970.
    pub now_ms: u64,
}

impl Strategies {
    /// Those of an `ai-gateway` action.
    pub fn of(gateway: Option<&AiGateway>) -> Self {
        let Some(gateway) = gateway else { return Self::default() };
        let AiGateway { model_selection, api_key_selection, .. } = gateway;
        Self {
            models: !model_selection.is_empty(),
            keys: !api_key_selection.is_empty(),
            watch: model_selection.iter().chain(api_key_selection).any(Expression::reads_metrics),
            universes: Mutex::default(),
        }
    }

    /// The models that can be asked in a format for an operation.
    fn universe(&self, compiled: &Compiled, asked: Asked<'_>) -> Arc<Universe> {
        let Asked { dialect, operation } = asked;
        let mut universes = self.universes.lock().unwrap_or_else(PoisonError::into_inner);
        let known = universes.iter().find(|kept| kept.dialect == dialect && *kept.operation == *operation);
        if let Some(kept) = known {
            return Arc::clone(&kept.universe);
        }
        let universe = Arc::new(Universe::of(compiled, asked));
        if universes.len() < MOST_UNIVERSES {
            universes.push(Kept { dialect, operation: operation.into(), universe: Arc::clone(&universe) });
        }
        universe
    }
}

#[cfg(test)]
mod tests;
