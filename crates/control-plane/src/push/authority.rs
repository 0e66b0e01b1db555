//! The installation's own certificate authority. It signs what proxies prove themselves with, and
//! what the control plane proves itself with to them.

use std::time::Duration;

use anyhow::Context as _;
use model::id::ProxyId;
use pem::Pem;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use sha2::{Digest as _, Sha256};
use store::Store;
use store::certificate_authority::{self, KeptAuthority};
use store::proxies::CertificateRow;
use time::OffsetDateTime;
use tonic::transport::Identity;
use vault::{ContentsBox, Context};

/// What the authority's sealed key is bound to.
pub(crate) const KEY_CONTEXT: Context<'static> =
    Context { account: None, purpose: "certificate_authority", record: "" };

const DAY: Duration = Duration::from_secs(24 * 3600);
const AUTHORITY_LIFETIME: Duration = Duration::from_secs(20 * 365 * 24 * 3600);
const PROXY_LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);

/// The authority with its key.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate_der: Vec<u8>,
}

/// A certificate for a proxy.
pub(crate) struct Issued {
    pub(crate) pem: String,
    pub(crate) row: CertificateRow,
}

impl Authority {
    /// The installation's authority, made by whichever process comes first.
    pub(crate) async fn load_or_create(store: &Store, contents: &ContentsBox) -> anyhow::Result<Self> {
        let kept = match certificate_authority::get(store).await? {
            Some(kept) => kept,
            None => certificate_authority::get_or_keep(store, &fresh(contents)?).await?,
        };
        let KeptAuthority { certificate_der, sealed_key } = kept;
        let key = contents
            .open(KEY_CONTEXT, &sealed_key)
            .context("could not open the key of the certificate authority")?;
        let key = KeyPair::try_from(key.as_slice())?;
        let issuer = Issuer::from_ca_cert_der(&certificate_der.as_slice().into(), key)?;
        Ok(Self { issuer, certificate_der })
    }

    /// Seals the key anew under the first of the root keys.
    pub(crate) async fn rewrap(store: &Store, contents: &ContentsBox) -> anyhow::Result<()> {
        let Some(KeptAuthority { sealed_key, .. }) = certificate_authority::get(store).await? else {
            return Ok(());
        };
        if let Some(after) = contents.rewrapped(KEY_CONTEXT, &sealed_key)? {
            certificate_authority::rewrap(store, &sealed_key, &after).await?;
        }
        Ok(())
    }

    /// The authority's certificate, by which a proxy knows the control plane.
    pub(crate) fn certificate_der(&self) -> &[u8] {
        &self.certificate_der
    }

    /// The same as text.
    pub(crate) fn certificate_pem(&self) -> String {
        pem::encode(&Pem::new("CERTIFICATE", self.certificate_der.as_slice()))
    }

    /// A key and a certificate for this process, which are never written down.
    pub(crate) fn server_identity(&self, names: &[String]) -> anyhow::Result<Identity> {
        let loopback = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let names: Vec<String> = loopback.into_iter().chain(names.iter().cloned()).collect();
        let mut params =
            CertificateParams::new(names).context("TOLLGATE_GRPC_NAMES has a name that is none")?;
        params.distinguished_name.push(DnType::CommonName, "Tollgate control plane");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        // A process that runs for longer than this has other worries.
        valid_for(&mut params, AUTHORITY_LIFETIME);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Identity::from_pem(certificate.pem(), key.serialize_pem()))
    }

    /// A client certificate for the key in this request. Nothing else of the request counts.
    pub(crate) fn certify(&self, proxy: ProxyId, request_pem: &str) -> Result<Issued, rcgen::Error> {
        let request = CertificateSigningRequestParams::from_pem(request_pem)?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, proxy.to_string());
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let expires_at = valid_for(&mut params, PROXY_LIFETIME);
        let certificate = params.signed_by(&request.public_key, &self.issuer)?;
        let digest = Sha256::digest(certificate.der()).into();
        Ok(Issued { pem: certificate.pem(), row: CertificateRow { digest, expires_at } })
    }
}

fn fresh(contents: &ContentsBox) -> anyhow::Result<KeptAuthority> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Tollgate");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    valid_for(&mut params, AUTHORITY_LIFETIME);
    let key = KeyPair::generate()?;
    let certificate_der = params.self_signed(&key)?.der().to_vec();
    let sealed_key = contents.seal(KEY_CONTEXT, key.serialized_der())?;
    Ok(KeptAuthority { certificate_der, sealed_key })
}

/// Begins a day ago, for clocks that differ.
fn valid_for(params: &mut CertificateParams, lifetime: Duration) -> OffsetDateTime {
    let now = OffsetDateTime::now_utc();
    params.not_before = now - DAY;
    params.not_after = now + lifetime;
    params.not_after
}
