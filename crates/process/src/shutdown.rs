//! Leaving in good order: the first signal asks, the deadline insists.

use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;

/// How long a process takes to leave.
#[derive(Debug, Clone, Args)]
pub struct Shutdown {
    /// seconds that running requests get to finish once the process was asked to stop
    #[arg(long, env = "TOLLGATE_DRAIN_SECONDS", default_value = "30")]
    pub drain_seconds: u64,
}

impl Shutdown {
    /// The time between the signal and the end.
    pub fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }
}

/// A token that is cancelled by the first SIGTERM or SIGINT. A second signal ends the process at
/// once, for whoever does not want to wait.
pub fn shutdown_on_signal() -> std::io::Result<CancellationToken> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let token = CancellationToken::new();
    let shutdown = token.clone();
    tokio::spawn(async move {
        for signals in 1.. {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if signals > 1 {
                std::process::exit(130);
            }
            info!("Asked to stop: draining");
            shutdown.cancel();
        }
    });
    Ok(token)
}
