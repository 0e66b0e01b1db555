//! Who this proxy is: a private key and a certificate that the installation's own authority signed,
//! got once with a join token and kept in the proxy's directory.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use model::Secret;
use model::token::{self, Presented, TokenKind};
use pem::Pem;
use proto::enrolment_client::EnrolmentClient;
use proto::{EnrolRequest, EnrolResponse, RenewRequest};
use rcgen::{CertificateParams, KeyPair};
use serde::{Deserialize, Serialize};
use tonic::Code;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use crate::saved_snapshot::write_private;

const FILE: &str = "identity.json";

/// A key and a certificate for it. Neither is ever printed.
#[derive(Serialize, Deserialize)]
pub struct Identity {
    /// The id that the control plane gave this proxy.
    pub proxy_id: String,
    /// The join token that it was got with, without its secret.
    join_token_id: uuid::Uuid,
    private_key_pem: String,
    certificate_pem: String,
    authority_pem: String,
    obtained_at_ms: i64,
    expires_at_ms: i64,
}

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum NoIdentity {
    /// There is none on disk, and no join token to get one with.
    #[error(
        "this proxy has not joined: set TOLLGATE_JOIN_TOKEN to the output of `tollgate join-token create`"
    )]
    NoJoinToken,
    /// The text is not a join token with the authority's certificate behind it.
    #[error("TOLLGATE_JOIN_TOKEN is not a join token")]
    MalformedJoinToken,
    /// The file cannot be read or written.
    #[error("could not keep the identity in {path}")]
    File {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// No key could be made.
    #[error("could not make a key")]
    Key(#[from] rcgen::Error),
    /// The control plane cannot be reached.
    #[error("could not reach the control plane: {}", with_causes(.0))]
    Unreachable(#[from] tonic::transport::Error),
    /// The control plane said no.
    #[error("the control plane refused: {}", .0.message())]
    Refused(#[from] tonic::Status),
}

impl NoIdentity {
    /// Whether this identity is worth nothing at this control plane: it was revoked, or the control
    /// plane's authority is another one by now. Anything else may pass.
    pub fn is_final(&self) -> bool {
        match self {
            NoIdentity::Refused(status) => status.code() == Code::Unauthenticated,
            NoIdentity::Unreachable(error) => causes(error).any(|cause| {
                let io = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
                let tls = io.and_then(|inner| inner.downcast_ref::<rustls::Error>());
                matches!(tls, Some(rustls::Error::InvalidCertificate(_)))
            }),
            _ => false,
        }
    }
}

/// What `tollgate join-token create` prints: a token, and the certificate by which the proxy knows
/// the control plane before it trusts it.
#[derive(Clone)]
pub struct JoinToken {
    id: uuid::Uuid,
    token: Secret,
    authority_pem: String,
}

impl JoinToken {
    /// Reads `<token>.<base64url of the authority's certificate>`.
    pub fn read(text: &Secret) -> Result<Self, NoIdentity> {
        let malformed = || NoIdentity::MalformedJoinToken;
        let (token, authority) = text.expose().trim().split_once('.').ok_or_else(malformed)?;
        let Presented::Token(named) = token::read(token) else { return Err(malformed()) };
        if named.kind != TokenKind::Join {
            return Err(malformed());
        }
        let der = BASE64_URL_SAFE_NO_PAD.decode(authority).map_err(|_| malformed())?;
        let authority_pem = pem::encode(&Pem::new("CERTIFICATE", der));
        Ok(Self { id: named.id, token: Secret::new(token), authority_pem })
    }
}

impl Identity {
    /// Uses `join_token` up and keeps the identity that it gives.
    pub async fn join(
        endpoint: Endpoint,
        join_token: &JoinToken,
        name: &str,
        directory: &Path,
    ) -> Result<Self, NoIdentity> {
        let JoinToken { id, token, authority_pem } = join_token;
        let (private_key_pem, certificate_request_pem) = fresh_key()?;
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority_pem));
        let channel = endpoint.tls_config(tls)?.connect().await?;
        let request = EnrolRequest {
            join_token: token.expose().to_owned(),
            certificate_request_pem,
            name: name.to_owned(),
        };
        let response = EnrolmentClient::new(channel).enrol(request).await?.into_inner();
        Self::keep(response, *id, private_key_pem, directory)
    }

    /// Gets a certificate for a fresh key over a connection that this identity opened.
    pub async fn renewed(&self, channel: Channel, directory: &Path) -> Result<Self, NoIdentity> {
        let (private_key_pem, certificate_request_pem) = fresh_key()?;
        let request = RenewRequest { certificate_request_pem };
        let response = EnrolmentClient::new(channel).renew(request).await?.into_inner();
        Self::keep(response, self.join_token_id, private_key_pem, directory)
    }

    /// The identity in this directory, if there is one.
    pub fn load(directory: &Path) -> Result<Option<Self>, NoIdentity> {
        let path = directory.join(FILE);
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| NoIdentity::File { path, source: error.into() }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(NoIdentity::File { path, source }),
        }
    }

    /// Presents this identity, and trusts nobody but the authority that signed it.
    pub fn tls(&self) -> ClientTlsConfig {
        let identity = tonic::transport::Identity::from_pem(&self.certificate_pem, &self.private_key_pem);
        let authority = Certificate::from_pem(&self.authority_pem);
        ClientTlsConfig::new().ca_certificate(authority).identity(identity)
    }

    /// Whether the certificate is past two thirds of its life, or will be by then.
    pub fn is_due_for_renewal(&self, now: SystemTime) -> bool {
        let life = self.expires_at_ms - self.obtained_at_ms;
        milliseconds(now) >= self.obtained_at_ms + life / 3 * 2
    }

    /// Whether this identity was got with another token than this one, so that this one may get a
    /// new identity should this one be refused.
    pub fn predates(&self, join_token: &JoinToken) -> bool {
        self.join_token_id != join_token.id
    }

    fn keep(
        response: EnrolResponse,
        join_token_id: uuid::Uuid,
        private_key_pem: String,
        directory: &Path,
    ) -> Result<Self, NoIdentity> {
        let EnrolResponse { certificate_pem, authority_pem, proxy_id, expires_at_ms } = response;
        let obtained_at_ms = milliseconds(SystemTime::now());
        let identity = Self {
            proxy_id,
            join_token_id,
            private_key_pem,
            certificate_pem,
            authority_pem,
            obtained_at_ms,
            expires_at_ms,
        };
        let path = directory.join(FILE);
        serde_json::to_vec(&identity)
            .map_err(std::io::Error::from)
            .and_then(|bytes| write_private(&path, &bytes))
            .map_err(|source| NoIdentity::File { path, source })?;
        Ok(identity)
    }
}

/// A private key, and a request to certify it. What the certificate will say is for the control
/// plane to decide.
fn fresh_key() -> Result<(String, String), rcgen::Error> {
    let key = KeyPair::generate()?;
    let request = CertificateParams::default().serialize_request(&key)?.pem()?;
    Ok((key.serialize_pem(), request))
}

fn milliseconds(at: SystemTime) -> i64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// With everything that led to it: tonic's own message is "transport error".
fn with_causes(error: &tonic::transport::Error) -> String {
    causes(error).map(|cause| cause.to_string()).collect::<Vec<_>>().join(": ")
}

fn causes(error: &tonic::transport::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    let first: &(dyn Error + 'static) = error;
    std::iter::successors(Some(first), |&error| error.source())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_join_token_brings_the_authority_that_it_trusts() {
        let (token, _) = token::mint(TokenKind::Join, uuid::Uuid::from_u128(5), [1; 32]);
        let text = format!("{}.{}\n", token.expose(), BASE64_URL_SAFE_NO_PAD.encode([7; 100]));
        let join_token = JoinToken::read(&Secret::new(text)).unwrap();
        assert_eq!(join_token.id, uuid::Uuid::from_u128(5));
        assert!(join_token.authority_pem.replace('\r', "").starts_with("-----BEGIN CERTIFICATE-----\nBwcH"));
        assert!(JoinToken::read(&token).is_err());
        let (other_kind, _) = token::mint(TokenKind::Api, uuid::Uuid::from_u128(5), [1; 32]);
        assert!(JoinToken::read(&Secret::new(format!("{}.BwcH", other_kind.expose()))).is_err());
    }
}
