//! A certificate with its key.

use std::fmt;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error as RustlsError, InconsistentKeys};
use time::OffsetDateTime;
use x509_parser::prelude::{GeneralName, X509Certificate};

use super::files::Place;
use super::flaw::Flaw;

/// Far more than any chain or key needs; what is larger is not read.
const LARGEST: u64 = 1024 * 1024;

/// A certificate with its key, and what it says about itself.
pub(super) struct Pair {
    /// Where it was read from.
    pub(super) file: PathBuf,
    /// What a handshake needs.
    pub(super) certified: Arc<CertifiedKey>,
    /// Hosts in small letters, such as `*.example.com`.
    pub(super) hosts: Vec<String>,
    /// When it begins to count.
    pub(super) from: OffsetDateTime,
    /// When it ends to count.
    pub(super) until: OffsetDateTime,
    /// Where its key lies, if others than the owner may read that.
    pub(super) exposed_key: Option<PathBuf>,
}

impl Pair {
    /// Reads a certificate and its key.
    pub(super) fn read(place: &Place) -> Result<Self, Flaw> {
        let (chain_file, key_file) = (&place.chain.path, &place.key.path);
        match (place.chain.may_be_there(), place.key.may_be_there()) {
            (true, false) => {
                return Err(Flaw::NoKey { chain: chain_file.clone(), key: key_file.clone() });
            }
            (false, true) => {
                return Err(Flaw::NoChain { key: key_file.clone(), chain: chain_file.clone() });
            }
            _ => {}
        }
        let (chain, _) = read(chain_file)?;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&chain).collect();
        let chain = chain.ok().filter(|chain| !chain.is_empty());
        let chain = chain.ok_or_else(|| Flaw::NotPem(chain_file.clone()))?;
        let described = chain.first().and_then(|first| Described::of(first));
        let Described { hosts, from, until } = described.ok_or_else(|| Flaw::Damaged(chain_file.clone()))?;

        let (key, mode) = read(key_file)?;
        // What the readers of keys complain of might quote them.
        let key = PrivateKeyDer::from_pem_slice(&key).ok();
        let key = key.and_then(|key| ring::default_provider().key_provider.load_private_key(key).ok());
        let key = key.ok_or_else(|| Flaw::UnusableKey(key_file.clone()))?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) | Err(RustlsError::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(RustlsError::InconsistentKeys(_)) => {
                return Err(Flaw::Mismatch { key: key_file.clone(), chain: chain_file.clone() });
            }
            Err(_) => return Err(Flaw::Damaged(chain_file.clone())),
        }
        let exposed_key = (mode & 0o077 != 0).then(|| key_file.clone());
        Ok(Self { file: chain_file.clone(), certified: Arc::new(certified), hosts, from, until, exposed_key })
    }

    /// Whether it counts at a time.
    pub(super) fn counts_at(&self, now: OffsetDateTime) -> bool {
        (self.from..=self.until).contains(&now)
    }
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair").field("file", &self.file).field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

/// The bytes of a small file, wiped when they are dropped, and its permissions.
fn read(path: &Path) -> Result<(zeroize::Zeroizing<Vec<u8>>, u32), Flaw> {
    let unreadable = |error| Flaw::Unreadable(path.to_owned(), error);
    // Asked before it is opened: opening a pipe waits for somebody to write to it.
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() || metadata.len() > LARGEST {
        return Err(Flaw::Strange(path.to_owned()));
    }
    // With room for all, so that growing leaves no copies behind.
    let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(metadata.len() as usize + 1));
    let mut file = fs::File::open(path).map_err(unreadable)?.take(LARGEST);
    file.read_to_end(&mut bytes).map_err(unreadable)?;
    Ok((bytes, metadata.permissions().mode()))
}

/// What a certificate says.
struct Described {
    hosts: Vec<String>,
    from: OffsetDateTime,
    until: OffsetDateTime,
}

impl Described {
    fn of(der: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate): (_, X509Certificate<'_>) = x509_parser::parse_x509_certificate(der).ok()?;
        let names = certificate.subject_alternative_name().ok()?;
        let names = names.iter().flat_map(|extension| &extension.value.general_names);
        // A common name is no host to any client of today.
        let hosts = names.filter_map(|name| match name {
            GeneralName::DNSName(host) => Some(host.to_ascii_lowercase()),
            _ => None,
        });
        let mut hosts: Vec<_> = hosts.collect();
        hosts.sort();
        hosts.dedup();
        let validity = certificate.validity();
        Some(Self { hosts, from: validity.not_before.to_datetime(), until: validity.not_after.to_datetime() })
    }
}
