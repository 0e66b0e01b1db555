//! What the ledger demands of the settings of its Redis, at the start and from then on.
//!
//! On a Redis that evicts, money would be lost without a word, so no desk is opened there, and eras that
//! are open are closed: proxies serve own keys, refuse credits and keep their records until it is put
//! right, and nothing is lost. A primary that goes on taking writes without its replicas is only warned
//! of: to refuse it would take records and common limits from those who bring their own keys, and proxies
//! are told of new eras, so that only those that reach neither the control plane nor the new primary
//! spend on the old one.

use std::fmt;

use meter::Position;
use meter::desk::{Desk, Guard, Place, Server, Settings, Standing};
use model::Shard;
use store::{Store, shards};
use tracing::{error, info, warn};

use super::{CHECK, LedgerError, metrics};

/// A lag of so many seconds is as long as a proxy spends what it has leased from a Redis that it does not
/// reach.
const LONGEST_LAG: u32 = 10;

/// Something in the settings that is not as it must, or ought to, be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    Evicts(String),
    Cluster,
    Replica,
    EvictionUnknown,
    ReplicasUnguarded(u32),
    LagTooLong(u32),
    GuardUnknown,
}

/// Whether money can be trusted to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Accepted,
    Refused,
}

/// What was said of Redis, so that it is said once.
#[derive(Debug, Default)]
pub(super) struct Demands {
    said: Vec<Fault>,
}

impl Fault {
    /// As metrics have them.
    pub(super) const WORDS: [&str; 7] = [
        "evicts",
        "cluster",
        "replica",
        "eviction_unknown",
        "replicas_unguarded",
        "lag_too_long",
        "guard_unknown",
    ];

    fn all(settings: &Settings) -> Vec<Self> {
        let Settings { eviction, is_cluster, is_replica, replicas, guard } = settings;
        let mut faults = Vec::new();
        match eviction.as_deref() {
            Some("noeviction") => {}
            Some(policy) => faults.push(Self::Evicts(policy.to_owned())),
            None => faults.push(Self::EvictionUnknown),
        }
        faults.extend(is_cluster.then_some(Self::Cluster));
        faults.extend(is_replica.then_some(Self::Replica));
        faults.extend(match guard {
            Guard::Off if *replicas > 0 => Some(Self::ReplicasUnguarded(*replicas)),
            Guard::On { max_lag: Some(lag) } if *lag > LONGEST_LAG => Some(Self::LagTooLong(*lag)),
            Guard::On { max_lag: None } | Guard::Unknown => Some(Self::GuardUnknown),
            Guard::Off | Guard::On { .. } => None,
        });
        faults
    }

    fn is_refused(&self) -> bool {
        matches!(self, Self::Evicts(_) | Self::Cluster | Self::Replica)
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Evicts(_) => "evicts",
            Self::Cluster => "cluster",
            Self::Replica => "replica",
            Self::EvictionUnknown => "eviction_unknown",
            Self::ReplicasUnguarded(_) => "replicas_unguarded",
            Self::LagTooLong(_) => "lag_too_long",
            Self::GuardUnknown => "guard_unknown",
        }
    }
}

/// For whoever runs Redis.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Evicts(policy) => write!(
                f,
                "Redis would evict money that is not in Postgres yet: its maxmemory-policy is {policy} and must be \
                 noeviction. No credits are spent, and usage waits in the proxies' spools, until it is; setting \
                 it is enough"
            ),
            Self::Cluster => f.write_str(
                "REDIS_URL names a node of a Redis Cluster, which money and limits cannot live on: they need one \
                 primary, with replicas if you like",
            ),
            Self::Replica => f.write_str("REDIS_URL leads to a replica, which cannot be written to"),
            Self::EvictionUnknown => f.write_str(
                "Redis does not tell its maxmemory-policy. If it is anything but noeviction, money can be lost",
            ),
            Self::ReplicasUnguarded(replicas) => write!(
                f,
                "Redis has {replicas} replicas and takes writes that none of them has. After a failover, proxies \
                 that reach neither this control plane nor the new primary can overspend on the old one: set \
                 min-replicas-to-write to 1 and min-replicas-max-lag to {LONGEST_LAG}"
            ),
            Self::LagTooLong(lag) => write!(
                f,
                "Redis takes writes for {lag} seconds after its replicas have gone. After a failover, proxies that \
                 reach neither this control plane nor the new primary can overspend for as long: set \
                 min-replicas-max-lag to {LONGEST_LAG}"
            ),
            Self::GuardUnknown => write!(
                f,
                "Redis does not tell how long it takes writes without its replicas; if it has any, \
                 min-replicas-to-write should be 1 and min-replicas-max-lag at most {LONGEST_LAG}"
            ),
        }
    }
}

impl Demands {
    /// Asks Redis, and says what has changed since it was asked last.
    pub(super) async fn verdict(&mut self, server: &mut Server) -> Result<Verdict, LedgerError> {
        Ok(self.judge(&server.settings().await?))
    }

    fn judge(&mut self, settings: &Settings) -> Verdict {
        let faults = Fault::all(settings);
        for fault in faults.iter().filter(|fault| !self.said.contains(fault)) {
            match fault.is_refused() {
                true => error!(fault = fault.word(), "{fault}"),
                false => warn!(fault = fault.word(), "{fault}"),
            }
        }
        for fault in self.said.iter().filter(|fault| !faults.contains(fault)) {
            info!(fault = fault.word(), "Redis is no longer found to be so: {fault}");
        }
        for word in Fault::WORDS {
            metrics::fault(word, faults.iter().any(|fault| fault.word() == word));
        }
        let is_refused = faults.iter().any(Fault::is_refused);
        self.said = faults;
        if is_refused { Verdict::Refused } else { Verdict::Accepted }
    }

    /// Ends once Redis is no longer one to be trusted.
    pub(super) async fn watch(&mut self, server: &mut Server) -> Result<(), LedgerError> {
        loop {
            tokio::time::sleep(CHECK).await;
            if self.verdict(server).await? == Verdict::Refused {
                return Err(LedgerError::Refused);
            }
        }
    }

    /// Closes the eras that are open on a Redis that evicts, if any are. This desk has the lock, and shuts
    /// out those before it first.
    pub(super) async fn suspend(&self, store: &Store, redis: &mut Desk) -> Result<(), LedgerError> {
        let evicts = self.said.iter().any(|fault| matches!(fault, Fault::Evicts(_)));
        let is_primary = !self.said.iter().any(|fault| matches!(fault, Fault::Cluster | Fault::Replica));
        if !evicts || !is_primary {
            return Ok(());
        }
        let eras = shards::eras(store).await?;
        let place =
            |(shard, era): &(Shard, u64)| Place { shard: *shard, era: *era, position: Position::default() };
        let places: Vec<Place> = eras.iter().map(place).collect();
        let standing = redis.standing(&places).await?;
        if standing.iter().any(|standing| *standing != Standing::Over) {
            let (fence, _) = shards::take_over(store).await?;
            redis.set_fence(fence.number());
            redis.suspend(&eras).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Settings {
        Settings {
            eviction: Some("noeviction".to_owned()),
            is_cluster: false,
            is_replica: false,
            replicas: 0,
            guard: Guard::Off,
        }
    }

    fn words(settings: &Settings) -> Vec<&'static str> {
        Fault::all(settings).iter().map(Fault::word).collect()
    }

    #[test]
    fn what_would_lose_money_is_refused_and_the_rest_is_warned_of() {
        let evicts = Settings { eviction: Some("allkeys-lru".to_owned()), ..good() };
        let refused =
            [evicts, Settings { is_cluster: true, ..good() }, Settings { is_replica: true, ..good() }];
        for (settings, word) in refused.iter().zip(["evicts", "cluster", "replica"]) {
            assert_eq!(words(settings), [word]);
            assert_eq!(Demands::default().judge(settings), Verdict::Refused, "{word}");
        }
        let guard = |guard, replicas| Settings { guard, replicas, ..good() };
        let on = |lag| Guard::On { max_lag: Some(lag) };
        let doubtful = [
            (Settings { eviction: None, ..good() }, "eviction_unknown"),
            (guard(Guard::Off, 2), "replicas_unguarded"),
            (guard(on(11), 1), "lag_too_long"),
            (guard(Guard::On { max_lag: None }, 1), "guard_unknown"),
            (guard(Guard::Unknown, 0), "guard_unknown"),
        ];
        for (settings, word) in &doubtful {
            assert_eq!(words(settings), [*word]);
            assert_eq!(Demands::default().judge(settings), Verdict::Accepted, "{word}");
        }
        for settings in [good(), guard(on(10), 1), guard(on(1), 0)] {
            assert!(words(&settings).is_empty());
        }
    }

    #[test]
    fn every_fault_has_its_metric() {
        let faults = [
            Fault::Evicts(String::new()),
            Fault::Cluster,
            Fault::Replica,
            Fault::EvictionUnknown,
            Fault::ReplicasUnguarded(1),
            Fault::LagTooLong(20),
            Fault::GuardUnknown,
        ];
        assert_eq!(faults.map(|fault| fault.word()), Fault::WORDS);
    }
}
