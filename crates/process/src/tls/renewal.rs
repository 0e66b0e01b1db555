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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::path::Path;
    use std::sync::Mutex;

    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    /// What was logged.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Lines {
        /// How many lines say this, since this was asked last.
        fn saying(&self, told: &str) -> usize {
            let lines = std::mem::take(&mut *self.0.lock().unwrap());
            String::from_utf8(lines).unwrap().lines().filter(|line| line.contains(told)).count()
        }
    }

    fn write(directory: &Path, host: &str, until: i32) {
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        fs::write(directory.join("a.key"), key.serialize_pem()).unwrap();
        fs::write(directory.join("a.crt"), params.self_signed(&key).unwrap().pem()).unwrap();
    }

    #[test]
    fn what_is_wrong_is_told_once_for_each_change() {
        let lines = Lines::default();
        let written = lines.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || written.clone());
        let _guard = tracing::subscriber::set_default(subscriber.finish());
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        write(path, "a.test", 2050);
        let current = Arc::new(ArcSwap::from_pointee(Certificates::default()));
        let mut renewal = Renewal::begin(path.to_owned(), "told", Arc::clone(&current), Reading::of(path));
        assert_eq!(lines.saying("a.crt for a.test until 2050-01-01T00:00:00Z"), 1);

        fs::write(path.join("a.key"), "none").unwrap();
        (0..3).for_each(|_| renewal.look_again(false));
        assert_eq!(lines.saying("A certificate cannot be served; the last good one is served: "), 1);
        renewal.look_again(true);
        assert_eq!(lines.saying("a.key holds no private key that can be used"), 1);

        let away = path.with_extension("away");
        fs::rename(path, &away).unwrap();
        (0..3).for_each(|_| renewal.look_again(false));
        assert_eq!(lines.saying("cannot be listed"), 1);
        fs::rename(&away, path).unwrap();

        write(path, "a.test", 2020);
        (0..3).for_each(|_| renewal.look_again(false));
        assert_eq!(lines.saying("ran out at 2020-01-01T00:00:00Z"), 1);
        assert_eq!(current.load().pairs.len(), 1);
    }
}
