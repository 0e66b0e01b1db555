//! Clients with a vendor's hosts are led to an installation that has a certificate for them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use e2e::script;
use e2e::system::{System, Wish};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

const HOSTS: [&str; 2] = ["api.cloudflare.com", "gateway.ai.cloudflare.com"];

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

    /// Writes a certificate for the hosts, and returns when it runs out and a line of its key.
    fn certify(&self, directory: &Path, year: i32) -> anyhow::Result<(i64, String)> {
        let mut params = CertificateParams::new(HOSTS.map(str::to_owned))?;
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

/// Waits until a port says that its certificate for its host runs out then.
async fn until_served(metrics_url: &str, host: &str, port: &str, until: i64) -> anyhow::Result<()> {
    let line =
        format!("tollgate_tls_certificate_expires_seconds{{host=\"{host}\",port=\"{port}\"}} {until}\n");
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let metrics = e2e::http::get(&format!("{metrics_url}/metrics")).await?.text();
        if metrics.contains(&line) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "the certificate is not served in time: {metrics}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn the_python_clients_find_an_installation_at_a_vendors_hosts() -> anyhow::Result<()> {
    let certificates = tempfile::tempdir()?;
    let directory = certificates.path().display().to_string();
    let authority = Authority::new()?;
    let (first, first_secret) = authority.certify(certificates.path(), 2040)?;
    let tls = ("TOLLGATE_GATEWAY_TLS_DIR", directory.clone());
    let mut system = System::start_with(Wish { environment: vec![tls], ..Wish::default() }).await?;
    let tenant = system.tenant("vendor").await?;
    tenant.store_key("demo", "sk-stored-0123456789abcdef", "default").await?;
    let (_, token) = tenant.api_token(&["AI Gateway Read", "AI Gateway Run"]).await?;
    // Only now: the tests' own calls to the API are plain.
    system.control_plane.recipe.environment.insert("TOLLGATE_API_TLS_DIR".to_owned(), directory);
    system.control_plane.restart().await?;

    let trusted = system.directory().join("authority.pem");
    fs::write(&trusted, &authority.pem)?;
    let variable = |name: &str| system.control_plane.recipe.environment[name].clone();
    let (trusted, api) = (trusted.display().to_string(), variable("TOLLGATE_API_ADDR"));
    let gateway = system.url().replace("http://", "");
    let environment = [
        ("TOLLGATE_GATEWAY_ADDRESS", &*gateway),
        ("TOLLGATE_API_ADDRESS", &*api),
        ("TOLLGATE_AUTHORITY", &*trusted),
        ("TOLLGATE_ACCOUNT_ID", &*tenant.account),
        ("TOLLGATE_API_TOKEN", &*token),
    ];
    script::run("vendor_host.py", &environment).await?;

    let (renewed, renewed_secret) = authority.certify(certificates.path(), 2041)?;
    assert!(first < renewed);
    let control_plane_metrics = format!("http://{}", variable("TOLLGATE_METRICS_ADDR"));
    until_served(&control_plane_metrics, HOSTS[0], "api", renewed).await?;
    until_served(&system.proxies[0].metrics_url, HOSTS[1], "gateway", renewed).await?;
    script::run("vendor_host.py", &environment).await?;

    let logs = system.logs();
    let hosts = HOSTS.join(", ");
    for told in [
        "Serving callers on https://",
        "Serving the management API on https://",
        &format!("vendor.crt for {hosts} until 2040-01-01T00:00:00Z"),
        &format!("vendor.crt for {hosts} until 2041-01-01T00:00:00Z"),
        "vendor.key can be read by others than its owner",
    ] {
        assert!(logs.contains(told), "{told} is not in the logs");
    }
    assert!(!logs.contains(&first_secret) && !logs.contains(&renewed_secret));
    Ok(())
}
