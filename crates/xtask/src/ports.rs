//! Ports of the loopback interface: the usual one, or the next that is free.

use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// One errand at a time chooses ports and has them bound, so that two checkouts that start
/// together do not choose the same.
pub(crate) struct Turn {
    _lock: Option<File>,
    taken: Vec<u16>,
}

impl Turn {
    /// Waits for its turn. Somebody else's lock that cannot be had is no reason not to start.
    pub(crate) fn wait() -> Self {
        let path = std::env::temp_dir().join("tollgate-ports.lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(path).ok();
        let deadline = Instant::now() + Duration::from_secs(30);
        while let Some(lock) = &lock {
            if lock.try_lock().is_ok() || Instant::now() > deadline {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
        Self { _lock: lock, taken: Vec::new() }
    }

    /// `usual`, or the next port above it that nobody uses.
    pub(crate) fn free_port(&mut self, usual: u16) -> Result<u16> {
        let port = (usual..=u16::MAX)
            .find(|port| !self.taken.contains(port) && is_free(*port))
            .with_context(|| format!("no port from {usual} on is free"))?;
        self.taken.push(port);
        Ok(port)
    }
}

/// Also tried without an address, because somebody may hold it on the other loopback.
fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
        && TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_replaced_by_a_later_one() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let usual = taken.local_addr().unwrap().port();
        let mut turn = Turn { _lock: None, taken: Vec::new() };
        let first = turn.free_port(usual).unwrap();
        let second = turn.free_port(usual).unwrap();
        assert!(first > usual && second > first);
    }
}
