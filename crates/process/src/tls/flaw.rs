//! What can be wrong with certificates.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// What is wrong with a file, or with a directory.
#[derive(Debug, Error)]
pub enum Flaw {
    /// The directory cannot be listed.
    #[error("{0} cannot be listed: {1}")]
    Unlisted(PathBuf, io::ErrorKind),
    /// The directory has nothing for us.
    #[error(
        "{0} holds no certificate: expected `<name>.crt` and `<name>.key`, or `<name>/tls.crt` and `<name>/tls.key`"
    )]
    Empty(PathBuf),
    /// A file cannot be read.
    #[error("{0} cannot be read: {1}")]
    Unreadable(PathBuf, io::Error),
    /// A file is not what it should be.
    #[error("{0} is no file of at most one MiB")]
    Strange(PathBuf),
    /// There is a certificate without a key.
    #[error("{chain} has no key: there is no {key}")]
    NoKey {
        /// The certificate.
        chain: PathBuf,
        /// Where its key should be.
        key: PathBuf,
    },
    /// There is a key without a certificate.
    #[error("{key} has no certificate: there is no {chain}")]
    NoChain {
        /// The key.
        key: PathBuf,
        /// Where its certificate should be.
        chain: PathBuf,
    },
    /// The file is not PEM, or not that of a certificate.
    #[error("{0} holds no certificate that can be read as PEM")]
    NotPem(PathBuf),
    /// The first certificate is damaged.
    #[error("{0} begins with a certificate that cannot be understood")]
    Damaged(PathBuf),
    /// The key is not PEM, asks for a password, or is of a kind that TLS does not know.
    #[error(
        "{0} holds no private key that can be used: expected PEM without a password, RSA, ECDSA or Ed25519"
    )]
    UnusableKey(PathBuf),
    /// The key belongs to another certificate.
    #[error("{key} does not fit the first certificate in {chain}")]
    Mismatch {
        /// The key.
        key: PathBuf,
        /// The certificate.
        chain: PathBuf,
    },
    /// Nobody can ask for the certificate.
    #[error("{0} names no host as a subject alternative name, and is not the default")]
    NoHost(PathBuf),
}
