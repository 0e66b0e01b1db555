//! A client with a vendor's host is led to a gateway that has a certificate for it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use e2e::script;
use e2e::system::{System, Wish};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

const HOST: &str = "gateway.ai.cloudflare.com";

/// An authority that only the test's client trusts.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> anyhow::Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "The authority of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), pem })
    }

    /// Writes a certificate for the host, and returns when it runs out and a line of its key.
    fn certify(&self, directory: &Path, year: i32) -> anyhow::Result<(i64, String)> {
        let mut params = CertificateParams::new(vec![HOST.to_owned()])?;
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        params.use_authority_key_identifier_extension = true;
        let until = params.not_after.unix_timestamp();
        let key = KeyPair::generate()?;
        fs::write(directory.join("vendor.key"), key.serialize_pem())?;
        fs::set_permissions(directory.join("vendor.key"), fs::Permissions::from_mode(0o644))?;
        fs::write(directory.join("vendor.crt"), params.signed_by(&key, &self.issuer)?.pem())?;
        let secret = key.serialize_pem().lines().nth(1).unwrap_or_default().to_owned();
        Ok((until, secret))
    }
}

/// Waits until the proxy says that its certificate for the host runs out then.
async fn until_served(system: &System, until: i64) -> anyhow::Result<()> {
    let line =
        format!("tollgate_tls_certificate_expires_seconds{{host=\"{HOST}\",port=\"gateway\"}} {until}\n");
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let metrics = e2e::http::get(&format!("{}/metrics", system.proxies[0].metrics_url)).await?.text();
        if metrics.contains(&line) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "the certificate is not served in time: {metrics}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn the_python_client_finds_a_gateway_at_a_vendors_host() -> anyhow::Result<()> {
    let certificates = tempfile::tempdir()?;
    let authority = Authority::new()?;
    let (first, first_secret) = authority.certify(certificates.path(), 2040)?;
    let tls = ("TOLLGATE_GATEWAY_TLS_DIR", certificates.path().display().to_string());
    let system = System::start_with(Wish { environment: vec![tls], ..Wish::default() }).await?;
    let tenant = system.tenant("vendor").await?;
    tenant.store_key("demo", "sk-stored-0123456789abcdef", "default").await?;
    let (_, token) = tenant.api_token(&["AI Gateway Run"]).await?;

    let trusted = system.directory().join("authority.pem");
    fs::write(&trusted, &authority.pem)?;
    let base_url = tenant.provider_url(&format!("https://{HOST}"), "demo", "openai");
    let (trusted, address) = (trusted.display().to_string(), system.url().replace("http://", ""));
    let environment = [
        ("GATEWAY_BASE_URL", &*base_url),
        ("GATEWAY_ADDRESS", &*address),
        ("GATEWAY_AUTHORITY", &*trusted),
        ("GATEWAY_API_KEY", &*token),
    ];
    until_served(&system, first).await?;
    script::run("vendor_host.py", &environment).await?;

    let (renewed, renewed_secret) = authority.certify(certificates.path(), 2041)?;
    until_served(&system, renewed).await?;
    script::run("vendor_host.py", &environment).await?;

    let logs = system.logs();
    for told in [
        "Serving callers on https://",
        &format!("vendor.crt for {HOST} until 2040-01-01T00:00:00Z"),
        &format!("vendor.crt for {HOST} until 2041-01-01T00:00:00Z"),
        "vendor.key can be read by others than its owner",
    ] {
        assert!(logs.contains(told), "{told} is not in the logs");
    }
    assert!(!logs.contains(&first_secret) && !logs.contains(&renewed_secret));
    Ok(())
}
