//! What a traffic policy asks of the outside, done: requests are counted, key sets and other servers asked,
//! and circuits remembered.
//!
//! All of it is this proxy's own. Several proxies count and remember each for itself, as the vendor's servers
//! do; what a proxy knows of a gateway is gone when it ends. Nothing is shared between gateways, and no gateway
//! can take all of what there is: of everything that is kept or under way it has a share. What has
//! lain idle the longest is forgotten first, and begins anew when it is asked for again.

mod breakers;
mod calls;
mod counts;
mod hops;
mod key_sets;
mod metrics;
mod rooms;
mod shares;
pub mod standing;

use std::sync::Arc;
use std::time::Instant;

use egress::Egress;
use model::AccountId;
use model::id::GatewayInternalId;
use policy::actions::circuit_breaker::Breaker;
use policy::run::{Count, Counted, Effect, Outcome, Unavailable};
use prometheus::Registry;

use self::breakers::Breakers;
pub use self::breakers::Fared;
use self::counts::Counts;
pub use self::hops::{HOPS, Hops};
use self::key_sets::KeySets;
use self::metrics::EffectMetrics;
use self::rooms::Rooms;
use self::standing::Standing;
use crate::config::Policies;

/// What effects are done with.
#[derive(Debug)]
pub struct Effects {
    egress: Egress,
    rooms: Arc<Rooms>,
    counts: Counts,
    key_sets: KeySets,
    breakers: Breakers,
    standing: Standing,
    metrics: EffectMetrics,
}

/// For whom an effect is done.
#[derive(Debug, Clone, Copy)]
pub struct Whose {
    /// Who owns the gateway.
    pub account: AccountId,
    /// Whose policy asks.
    pub gateway: GatewayInternalId,
    /// How many policies stand behind the request, as it arrived.
    pub hops: Hops,
}

/// Whose counters, circuits and room something is.
type Owner = (AccountId, GatewayInternalId);

impl Effects {
    /// Effects within the operator's bounds, counted in `registry`.
    pub fn new(config: &Policies, registry: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            egress: Egress::new(&config.egress),
            rooms: Arc::new(Rooms::new(config.calls)),
            counts: Counts::new(config.buckets),
            key_sets: KeySets::new(config.key_bytes),
            breakers: Breakers::default(),
            standing: Standing::default(),
            metrics: EffectMetrics::new(registry)?,
        })
    }

    /// How models and keys have fared.
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// Says how the provider fared that was asked at `asked`, to the circuits that a run names. What was asked
    /// before a circuit opened or closed says nothing of how it is since.
    pub fn fared(&self, whose: Whose, breakers: &[Breaker], asked: Instant, fared: Fared) {
        for breaker in breakers {
            self.breakers.fared(whose.owner(), breaker, fared, asked, Instant::now());
        }
    }

    /// The same at another time than now.
    pub fn fared_at(&self, whose: Whose, breaker: &Breaker, asked: Instant, fared: Fared, now: Instant) {
        self.breakers.fared(whose.owner(), breaker, fared, asked, now);
    }

    /// Counts a request, here alone. Whoever counts for several proxies does it in this place.
    #[expect(clippy::unused_async, reason = "whoever counts elsewhere must wait for it")]
    async fn count(&self, whose: Whose, count: &Count, now: Instant) -> Result<Counted, Unavailable> {
        Ok(self.counts.count(whose.owner(), count, now))
    }
}

impl Whose {
    fn owner(self) -> Owner {
        (self.account, self.gateway)
    }
}

/// Does what a policy asks for, and says what came of it. Bodies are the request's and providers are
/// dispatch's: who asks for them here is told that there are none.
pub async fn outcome(effects: &Effects, whose: Whose, effect: Effect) -> Outcome {
    outcome_at(effects, whose, effect, Instant::now()).await
}

/// The same at another time than now, as far as something is remembered.
pub async fn outcome_at(effects: &Effects, whose: Whose, effect: Effect, now: Instant) -> Outcome {
    let outcome = match effect {
        Effect::Count(count) => Outcome::Count(effects.count(whose, &count, now).await),
        Effect::Keys(wanted) => {
            let Effects { key_sets, egress, rooms, .. } = effects;
            Outcome::Keys(key_sets.bring(whose.owner(), &wanted, egress, rooms, now).await)
        }
        Effect::Call(call) => {
            Outcome::Call(calls::called(&effects.egress, &effects.rooms, whose, call).await)
        }
        Effect::Breaker(breaker) => Outcome::Breaker(Ok(effects.breakers.ask(whose.owner(), &breaker, now))),
        Effect::RequestBody(_) | Effect::ResponseBody(_) => Outcome::Body(Err(Unavailable)),
        Effect::Dispatch(_) => Outcome::NotDispatched(policy::Value::Null),
    };
    effects.metrics.done(&outcome);
    outcome
}
