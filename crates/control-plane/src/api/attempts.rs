//! How often somebody may try: per email and per address, in the memory of this process.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::error::ApiError;

const WINDOW: Duration = Duration::from_secs(15 * 60);
const PER_EMAIL: u32 = 10;
const PER_ADDRESS: u32 = 100;
/// What a flood of invented names can take of our memory is bounded: the oldest are forgotten.
const REMEMBERED: usize = 10_000;
const LONGEST_EMAIL: usize = 254;

/// Failed attempts to log in.
#[derive(Default)]
pub struct Attempts {
    by_email: Mutex<HashMap<String, Count>>,
    by_address: Mutex<HashMap<IpAddr, Count>>,
}

#[derive(Clone, Copy)]
struct Count {
    since: Instant,
    attempts: u32,
}

impl Attempts {
    /// Counts an attempt before it is looked at, so that many at once are no way around.
    pub fn count(&self, email: &str, address: Option<IpAddr>, now: Instant) -> Result<(), ApiError> {
        if let Some(address) = address {
            count(&self.by_address, network(address), PER_ADDRESS, now)?;
        }
        count(&self.by_email, bounded(email).to_owned(), PER_EMAIL, now)
    }

    /// Forgets the attempts of somebody who succeeded.
    pub fn forget(&self, email: &str, address: Option<IpAddr>) {
        lock(&self.by_email).remove(bounded(email));
        if let Some(address) = address
            && let Some(count) = lock(&self.by_address).get_mut(&network(address))
        {
            count.attempts = count.attempts.saturating_sub(1);
        }
    }
}

fn count<K: Eq + Hash + Clone>(
    counts: &Mutex<HashMap<K, Count>>,
    key: K,
    most: u32,
    now: Instant,
) -> Result<(), ApiError> {
    let mut counts = lock(counts);
    if counts.len() >= REMEMBERED && !counts.contains_key(&key) {
        counts.retain(|_, count| now.duration_since(count.since) < WINDOW);
        let oldest = counts.iter().min_by_key(|(_, count)| count.since).map(|(key, _)| key.clone());
        if let Some(oldest) = oldest.filter(|_| counts.len() >= REMEMBERED) {
            counts.remove(&oldest);
        }
    }
    let entry = counts.entry(key).or_insert(Count { since: now, attempts: 0 });
    if now.duration_since(entry.since) >= WINDOW {
        *entry = Count { since: now, attempts: 0 };
    }
    if entry.attempts >= most {
        let left = WINDOW.saturating_sub(now.duration_since(entry.since));
        return Err(ApiError::TooMany { retry_after_seconds: left.as_secs().max(1) });
    }
    entry.attempts += 1;
    Ok(())
}

/// What is remembered of an email. No user has a longer one, and anybody may send a megabyte.
fn bounded(email: &str) -> &str {
    &email[..email.floor_char_boundary(LONGEST_EMAIL)]
}

/// Whoever has an IPv6 address has the network around it too.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_attempts_a_quarter_of_an_hour() {
        let attempts = Attempts::default();
        let now = Instant::now();
        for _ in 0..PER_EMAIL {
            attempts.count("a@example.com", None, now).unwrap();
        }
        assert!(attempts.count("a@example.com", None, now).is_err());
        assert!(attempts.count("b@example.com", None, now).is_ok());
        assert!(attempts.count("a@example.com", None, now + WINDOW).is_ok());
    }

    #[test]
    fn an_address_that_tries_many_names_is_stopped() {
        let attempts = Attempts::default();
        let (now, address) = (Instant::now(), "192.0.2.1".parse().ok());
        for index in 0..PER_ADDRESS {
            attempts.count(&index.to_string(), address, now).unwrap();
        }
        assert!(attempts.count("another", address, now).is_err());
    }

    #[test]
    fn a_network_has_no_more_attempts_than_an_address() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let address = |host: u32| format!("2001:db8::{host:x}").parse().ok();
        for host in 0..PER_ADDRESS {
            attempts.count(&host.to_string(), address(host), now).unwrap();
        }
        assert!(attempts.count("another", address(PER_ADDRESS), now).is_err());
        assert!(attempts.count("another", "2001:db8:0:1::1".parse().ok(), now).is_ok());
    }

    #[test]
    fn a_name_of_any_length_takes_little_memory_and_is_forgotten() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let name = "é".repeat(500_000);
        for _ in 0..PER_EMAIL {
            attempts.count(&name, None, now).unwrap();
        }
        assert!(attempts.count(&name, None, now).is_err());
        assert!(lock(&attempts.by_email).keys().all(|name| name.len() <= LONGEST_EMAIL));
        attempts.forget(&name, None);
        assert!(attempts.count(&name, None, now).is_ok());
    }

    #[test]
    fn invented_names_do_not_fill_the_memory() {
        let attempts = Attempts::default();
        let now = Instant::now();
        for index in 0..REMEMBERED + 50 {
            attempts.count(&index.to_string(), None, now).unwrap();
        }
        assert_eq!(lock(&attempts.by_email).len(), REMEMBERED);
    }
}
