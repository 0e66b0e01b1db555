//! What is counted of effects. Labels are words of ours, never a tenant's.

use policy::run::{Counted, Outcome, Passage};
use prometheus::{IntCounterVec, Opts, Registry};

#[derive(Debug)]
pub(super) struct EffectMetrics(IntCounterVec);

impl EffectMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let effects = IntCounterVec::new(
            Opts::new(
                "tollgate_policy_effects_total",
                "What traffic policies asked of the outside, by result",
            ),
            &["effect", "result"],
        )?;
        registry.register(Box::new(effects.clone()))?;
        Ok(Self(effects))
    }

    pub(super) fn done(&self, outcome: &Outcome) {
        let labels = match outcome {
            Outcome::Count(Ok(Counted::Within)) => ["count", "within"],
            Outcome::Count(Ok(Counted::Exceeded { .. })) => ["count", "exceeded"],
            Outcome::Count(Err(_)) => ["count", "unavailable"],
            Outcome::Keys(Ok(_)) => ["keys", "brought"],
            Outcome::Keys(Err(_)) => ["keys", "unavailable"],
            Outcome::Call(Ok(_)) => ["call", "answered"],
            Outcome::Call(Err(_)) => ["call", "failed"],
            Outcome::Breaker(Ok(Passage::Allow)) => ["breaker", "allow"],
            Outcome::Breaker(Ok(Passage::AllowWhileOpen)) => ["breaker", "probe"],
            Outcome::Breaker(Ok(Passage::Block)) => ["breaker", "block"],
            Outcome::Breaker(Err(_)) => ["breaker", "unavailable"],
            Outcome::Body(_) | Outcome::NotDispatched(_) => return,
        };
        self.0.with_label_values(&labels).inc();
    }
}
