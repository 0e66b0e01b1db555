//! What every request needs, made once at the start.

use std::sync::Arc;

use meter::Meter;
use tokio_util::sync::CancellationToken;
use vault::Opener;

use crate::config::Bounds;
use crate::effects::Effects;
use crate::interests::Interests;
use crate::limits::local::LocalLimits;
use crate::metrics::Metrics;
use crate::operator_keys::OperatorKeys;
use crate::origins::Origins;
use crate::policies::Compiler;
use crate::relayed::Drains;
use crate::snapshot::SnapshotHandle;
use crate::spans::Spans;

/// The parts that requests share.
pub struct Deps {
    /// What is known of accounts and gateways.
    pub snapshot: Arc<SnapshotHandle>,
    /// Where accounts are asked for, if only those in use are known.
    pub interests: Option<Arc<Interests>>,
    /// Where usage goes.
    pub meter: Meter,
    /// What opens stored keys.
    pub opener: Opener,
    /// Where providers are.
    pub origins: Origins,
    /// What requests may cost us.
    pub bounds: Bounds,
    /// What makes traffic policies ready to be obeyed.
    pub compiler: Compiler,
    /// What traffic policies ask of the outside.
    pub effects: Effects,
    /// How the operator's keys fared.
    pub operator_keys: OperatorKeys,
    /// Providers that retain nothing of what they are asked with the operator's keys.
    pub zero_retention: Vec<String>,
    /// Limits for when Redis is away.
    pub local_limits: LocalLimits,
    /// Room for answers that are read to their end without a caller.
    pub drains: Drains,
    /// What is counted.
    pub metrics: Metrics,
    /// Where spans go, if anywhere.
    pub spans: Option<Spans>,
    /// Cancelled when the process has no more time for what still runs.
    pub ending: CancellationToken,
}
