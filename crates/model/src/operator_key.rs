//! The operator's own credentials at providers, with which requests on credits are sent.

use serde::{Deserialize, Serialize};

/// What a provider does with a request on credits whose caller has left, where the operator knows
/// better than the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Cancel {
    /// It goes on billing: its answer is read to the end.
    Drain,
    /// It stops billing: the request is cancelled.
    Stop,
}
