//! TLS on a port, with certificates from a directory that are read again when their files change.

mod certificates;
mod files;
mod flaw;
mod pair;
mod reading;
mod renewal;
mod session;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::ring;
use thiserror::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_rustls::TlsAcceptor;

use certificates::{Certificates, Resolver};
pub use flaw::Flaw;
use reading::Reading;
use renewal::Renewal;
pub use session::TlsSession;

/// What a port needs to speak TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1 by the choice of its callers.
pub struct Tls {
    acceptor: TlsAcceptor,
    renewal: Renewal,
    hangups: Signal,
}

/// Why a port cannot speak TLS.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The directory is not as it should be: everything at once.
    #[error("the certificates in {directory} cannot be served:{}", listed(.flaws))]
    Flawed {
        /// The directory.
        directory: PathBuf,
        /// What is wrong in it.
        flaws: Vec<Flaw>,
    },
    /// There is no key for session tickets.
    #[error("no keys for session tickets could be made: {0}")]
    Tickets(rustls::Error),
    /// The cryptography that was built in does not offer what is needed.
    #[error("TLS cannot be set up: {0}")]
    Unsupported(rustls::Error),
    /// SIGHUP cannot be listened to.
    #[error("SIGHUP cannot be waited for: {0}")]
    Signals(std::io::Error),
}

impl Tls {
    /// Reads the certificates of a directory; `port` is what metrics and logs call who serves them.
    ///
    /// A certificate lies in `<name>.crt` or `<name>.pem` with its key in `<name>.key`, or in a
    /// sub-directory as `tls.crt` and `tls.key`. Its subject alternative names say which hosts it is
    /// for. The one called `default`, or the only one, answers whoever names no host or an unknown one.
    pub fn open(directory: &Path, port: &'static str) -> Result<Self, TlsError> {
        let reading = Reading::of(directory);
        if !reading.flaws.is_empty() {
            let flaws = reading.flaws.into_iter().map(|(_, flaw)| flaw).collect();
            return Err(TlsError::Flawed { directory: directory.to_owned(), flaws });
        }
        let current = Arc::new(ArcSwap::from_pointee(Certificates::default()));
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Unsupported)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Resolver(Arc::clone(&current))));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // Sessions are resumed by tickets alone, whose keys change every six hours.
        config.ticketer = ring::Ticketer::new().map_err(TlsError::Tickets)?;
        let hangups = signal(SignalKind::hangup()).map_err(TlsError::Signals)?;
        let renewal = Renewal::begin(directory.to_owned(), port, current, reading);
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), renewal, hangups })
    }

    /// What accepts connections, and what renews its certificates for as long as it is polled.
    pub(crate) fn start(self) -> (TlsAcceptor, impl Future<Output = ()> + Send + 'static) {
        (self.acceptor, self.renewal.run(self.hangups))
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("renewal", &self.renewal).finish_non_exhaustive()
    }
}

fn listed(flaws: &[Flaw]) -> String {
    flaws.iter().fold(String::new(), |mut text, flaw| {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n  - {flaw}");
        text
    })
}
