//! Certificates are read again when their files change, and when somebody asks with SIGHUP.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus::{IntGaugeVec, register_int_gauge_vec};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::signal::unix::Signal;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{error, info, warn};

use super::certificates::Certificates;
use super::files::{Sight, look};
use super::pair::Pair;
use super::reading::Reading;

/// How often the directory is looked at: a call to the system for each file.
const PERIOD: Duration = Duration::from_secs(2);

static EXPIRES: LazyLock<Option<IntGaugeVec>> = LazyLock::new(|| {
    let meaning = "When the certificate runs out that a port answers a host with, in Unix time";
    register_int_gauge_vec!("tollgate_tls_certificate_expires_seconds", meaning, &["port", "host"]).ok()
});

/// Keeps the certificates of a port as its directory has them.
#[derive(Debug)]
pub(super) struct Renewal {
    directory: PathBuf,
    port: &'static str,
    current: Arc<ArcSwap<Certificates>>,
    seen: Sight,
    hosts_shown: BTreeSet<String>,
}

impl Renewal {
    /// Serves what was read.
    pub(super) fn begin(
        directory: PathBuf,
        port: &'static str,
        current: Arc<ArcSwap<Certificates>>,
        reading: Reading,
    ) -> Self {
        let seen = Err(std::io::ErrorKind::NotFound);
        let mut renewal = Self { directory, port, current, seen, hosts_shown: BTreeSet::new() };
        renewal.take(reading);
        renewal.show();
        renewal
    }

    /// Renews until it is dropped.
    pub(super) async fn run(mut self, mut hangups: Signal) {
        let mut ticks = tokio::time::interval_at(Instant::now() + PERIOD, PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let asked = tokio::select! {
                _ = ticks.tick() => false,
                Some(()) = hangups.recv() => true,
            };
            // A file system may be far away and slow.
            let looked = tokio::task::spawn_blocking(move || {
                self.look_again(asked);
                self
            });
            match looked.await {
                Ok(renewal) => self = renewal,
                Err(error) if error.is_cancelled() => return,
                Err(error) => return error!(%error, "Certificates are not renewed any more: {error}"),
            }
        }
    }

    fn look_again(&mut self, asked: bool) {
        if asked || look(&self.directory) != self.seen {
            info!(port = self.port, "Reading the certificates of the port `{}` again", self.port);
            self.take(Reading::of(&self.directory));
        }
        self.show();
    }

    /// Serves what was read; where something is wrong, what was served before.
    fn take(&mut self, reading: Reading) {
        let Reading { sight, mut pairs, flaws } = reading;
        self.seen = sight;
        let before = self.current.load_full();
        for (stem, flaw) in &flaws {
            let kept = before.pairs.get(stem);
            let meanwhile = if kept.is_some() { "; the last good one is served" } else { "" };
            error!(port = self.port, error = %flaw, "A certificate cannot be served{meanwhile}: {flaw}");
            pairs.extend(kept.map(|pair| (stem.clone(), Arc::clone(pair))));
        }
        if pairs.is_empty() {
            let port = self.port;
            return error!(port, "The port `{port}` goes on with the certificates that it had");
        }
        let now = OffsetDateTime::now_utc();
        for (stem, pair) in &pairs {
            let same = |old: &Arc<Pair>| old.certified.cert == pair.certified.cert;
            if !before.pairs.get(stem).is_some_and(same) {
                self.tell(pair, now);
            }
        }
        for (_, gone) in before.pairs.iter().filter(|(stem, _)| !pairs.contains_key(*stem)) {
            let (file, hosts) = (gone.file.display(), gone.hosts.join(", "));
            info!(port = self.port, %file, hosts, "No longer serving {file} for {hosts}: it is gone");
        }
        self.current.store(Arc::new(Certificates::new(&self.directory, pairs)));
    }

    fn tell(&self, pair: &Pair, now: OffsetDateTime) {
        let (port, file, hosts) = (self.port, pair.file.display(), pair.hosts.join(", "));
        let until = pair.until.format(&Rfc3339).unwrap_or_default();
        let whom = if hosts.is_empty() { "whoever asks" } else { &hosts };
        info!(port, %file, hosts, until, "Serving {file} for {whom} until {until}");
        if pair.until < now {
            warn!(port, %file, hosts, until, "The certificate in {file} ran out at {until}: clients refuse it");
        } else if pair.from > now {
            let from = pair.from.format(&Rfc3339).unwrap_or_default();
            warn!(port, %file, hosts, from, "The certificate in {file} counts only from {from} on");
        }
        if let Some(key) = &pair.exposed_key {
            let key = key.display();
            warn!(port, file = %key, "The key {key} can be read by others than its owner");
        }
    }

    fn show(&mut self) {
        let Some(gauge) = &*EXPIRES else { return };
        let current = self.current.load();
        let expiries = current.expiries(OffsetDateTime::now_utc());
        for (host, expiry) in &expiries {
            gauge.with_label_values(&[self.port, host]).set(expiry.unix_timestamp());
        }
        let hosts: BTreeSet<String> = expiries.keys().map(|&host| host.to_owned()).collect();
        for gone in self.hosts_shown.difference(&hosts) {
            // It was set by us, so it is there.
            let _ = gauge.remove_label_values(&[self.port, gone]);
        }
        self.hosts_shown = hosts;
    }
}
