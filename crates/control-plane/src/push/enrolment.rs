//! Certificates for proxies: the first for a join token, the next for the present one.

use model::Secret;
use model::id::{JoinTokenId, ProxyId};
use model::token::{self, Presented, TokenKind};
use proto::enrolment_server::Enrolment;
use proto::{EnrolRequest, EnrolResponse, RenewRequest};
use sha2::{Digest as _, Sha256};
use store::{Store, StoreError, join_tokens, proxies};
use tonic::{Request, Response, Status};
use tracing::{error, info};
use uuid::Uuid;

use super::authority::{Authority, Issued};

/// The enrolment service.
pub(super) struct Enrolling {
    pub(super) store: Store,
    pub(super) authority: Authority,
}

#[tonic::async_trait]
impl Enrolment for Enrolling {
    async fn enrol(&self, request: Request<EnrolRequest>) -> Result<Response<EnrolResponse>, Status> {
        let EnrolRequest { join_token, certificate_request_pem, name } = request.into_inner();
        let token = self.valid_token(&Secret::new(join_token)).await?;
        let proxy = ProxyId(Uuid::now_v7());
        let issued = self.issue(proxy, &certificate_request_pem)?;
        let name = printable(&name);
        // Of two who come with the same token, one is too late here.
        if !proxies::enrol(&self.store, token, proxy, &name, issued.row).await.map_err(unavailable)? {
            return Err(no_such_token());
        }
        info!(proxy.id = %proxy, "Proxy `{name}` joined as `{proxy}`");
        Ok(self.response(proxy, issued))
    }

    async fn renew(&self, request: Request<RenewRequest>) -> Result<Response<EnrolResponse>, Status> {
        let proxy = authenticated(&self.store, &request).await?;
        let issued = self.issue(proxy, &request.into_inner().certificate_request_pem)?;
        proxies::add_certificate(&self.store, proxy, issued.row).await.map_err(unavailable)?;
        info!(proxy.id = %proxy, "Renewed the certificate of `{proxy}`");
        Ok(self.response(proxy, issued))
    }
}

impl Enrolling {
    async fn valid_token(&self, join_token: &Secret) -> Result<JoinTokenId, Status> {
        let Presented::Token(named) = token::read(join_token.expose()) else { return Err(no_such_token()) };
        if named.kind != TokenKind::Join {
            return Err(no_such_token());
        }
        let id = JoinTokenId(named.id);
        let digest = join_tokens::digest(&self.store, id).await.map_err(unavailable)?;
        digest.filter(|digest| digest.matches(join_token.expose())).map(|_| id).ok_or_else(no_such_token)
    }

    fn issue(&self, proxy: ProxyId, request_pem: &str) -> Result<Issued, Status> {
        self.authority.certify(proxy, request_pem).map_err(|error| {
            Status::invalid_argument(format!("the certificate request is not valid: {error}"))
        })
    }

    fn response(&self, proxy: ProxyId, issued: Issued) -> Response<EnrolResponse> {
        let Issued { pem, row } = issued;
        Response::new(EnrolResponse {
            certificate_pem: pem,
            authority_pem: self.authority.certificate_pem(),
            proxy_id: proxy.to_string(),
            expires_at_ms: row.expires_at.unix_timestamp() * 1000,
        })
    }
}

/// The proxy that the caller's certificate proves to be.
pub(super) async fn authenticated<T>(store: &Store, request: &Request<T>) -> Result<ProxyId, Status> {
    let certificates = request.peer_certs();
    let certificate = certificates.as_ref().and_then(|chain| chain.first());
    let certificate = certificate.ok_or_else(|| Status::unauthenticated("a client certificate is needed"))?;
    let digest = Sha256::digest(certificate).into();
    let proxy = proxies::by_certificate(store, digest).await.map_err(unavailable)?;
    proxy.ok_or_else(|| Status::unauthenticated("the client certificate is unknown or revoked"))
}

pub(super) fn unavailable(error: StoreError) -> Status {
    error!(error = &error as &dyn std::error::Error, "Postgres did not answer the push desk: {error}");
    Status::unavailable("the control plane cannot reach its database")
}

/// The same for every reason, so that nobody learns which tokens there are.
fn no_such_token() -> Status {
    Status::unauthenticated("the join token is unknown, used, revoked or too old")
}

/// A name for people, as far as a stranger may choose it.
fn printable(name: &str) -> String {
    let name: String = name.chars().filter(|c| !c.is_control()).take(128).collect();
    if name.is_empty() { "unnamed".to_owned() } else { name }
}
