//! What every Tollgate process does: read its environment, write logs, say whether it is well,
//! and leave in good order. It knows nothing of accounts or gateways.

mod configuration;
mod failpoint;
mod health;
mod logs;
mod port;
mod readiness;
mod shutdown;
mod tls;
mod traces;

pub use configuration::{Mistakes, from_environment};
pub use failpoint::{failpoint, failpoint_soon};
pub use health::serve_health;
pub use logs::{LogFormat, LogSettings, start_logs};
pub use port::{ForwardingHeader, Leaving, Peer, Port, TrustedProxies, bind};
pub use readiness::{Readiness, Unready};
pub use shutdown::{Shutdown, shutdown_on_signal};
pub use tls::{Flaw, Tls, TlsError, TlsSession};
pub use traces::{Traces, start_traces};
