//! Which certificate answers whom.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::SignatureScheme;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use time::OffsetDateTime;

use super::pair::Pair;

/// The certificates that are served, by the hosts that they are for.
#[derive(Debug, Default)]
pub(super) struct Certificates {
    /// All of them, each under its path without an ending.
    pub(super) pairs: BTreeMap<PathBuf, Arc<Pair>>,
    by_host: HashMap<String, Vec<Arc<Pair>>>,
    fallback: Vec<Arc<Pair>>,
}

/// Whether a certificate is called the default.
pub(super) fn is_default(directory: &Path, stem: &Path) -> bool {
    stem.strip_prefix(directory).is_ok_and(|name| name == "default" || name == "default/tls")
}

impl Certificates {
    /// Sorts certificates by their hosts.
    pub(super) fn new(directory: &Path, pairs: BTreeMap<PathBuf, Arc<Pair>>) -> Self {
        let mut newest_first: Vec<_> = pairs.iter().collect();
        newest_first.sort_by_key(|(_, pair)| std::cmp::Reverse((pair.from, pair.until)));
        let (mut by_host, mut fallback) = (HashMap::<_, Vec<_>>::new(), Vec::new());
        for (stem, pair) in newest_first {
            if pairs.len() == 1 || is_default(directory, stem) {
                fallback.push(Arc::clone(pair));
            }
            for host in &pair.hosts {
                by_host.entry(host.clone()).or_default().push(Arc::clone(pair));
            }
        }
        Self { pairs, by_host, fallback }
    }

    /// The certificate for a client that names this host and can check these signatures: of several, the
    /// newest that counts now.
    pub(super) fn choice(
        &self,
        host: Option<&str>,
        schemes: &[SignatureScheme],
        now: OffsetDateTime,
    ) -> Option<&Arc<Pair>> {
        let for_host = host.and_then(|host| self.for_host(host)).unwrap_or(&self.fallback);
        let mut usable = for_host.iter().filter(|pair| pair.certified.key.choose_scheme(schemes).is_some());
        let newest = usable.clone().next();
        usable.find(|pair| pair.counts_at(now)).or(newest)
    }

    fn for_host(&self, host: &str) -> Option<&Vec<Arc<Pair>>> {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let wildcard = || self.by_host.get(&format!("*.{}", host.split_once('.')?.1));
        self.by_host.get(&host).or_else(wildcard)
    }

    /// When the first certificate runs out of those that answer for each host: one for each kind of key.
    pub(super) fn expiries(&self, now: OffsetDateTime) -> BTreeMap<&str, OffsetDateTime> {
        let expiry = |pairs: &Vec<Arc<Pair>>| {
            let kinds: BTreeSet<u8> = pairs.iter().map(|pair| kind(pair)).collect();
            let answering = kinds.into_iter().filter_map(|of_kind| {
                let alike = || pairs.iter().filter(|pair| kind(pair) == of_kind);
                alike().find(|pair| pair.counts_at(now)).or_else(|| alike().next())
            });
            answering.map(|pair| pair.until).min()
        };
        self.by_host.iter().filter_map(|(host, pairs)| Some((&**host, expiry(pairs)?))).collect()
    }
}

fn kind(pair: &Pair) -> u8 {
    pair.certified.key.algorithm().into()
}

/// Tells rustls which certificate to answer with.
#[derive(Debug)]
pub(super) struct Resolver(pub(super) Arc<ArcSwap<Certificates>>);

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let certificates = self.0.load();
        let now = OffsetDateTime::now_utc();
        let choice = certificates.choice(hello.server_name(), hello.signature_schemes(), now);
        choice.map(|pair| Arc::clone(&pair.certified))
    }
}
