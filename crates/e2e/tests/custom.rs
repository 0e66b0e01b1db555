//! Servers of a tenant's own behind a gateway: set up through the second face of the management API, asked by
//! OpenAI's own client, metered under the names that the policy gives them and paid by nobody.

use e2e::process::free_port;
use e2e::script;
use e2e::system::{System, Wish};

const EVERYTHING: &[&str] = &["AI Gateway Read", "AI Gateway Write", "Account API Tokens Write"];

#[tokio::test]
async fn servers_of_a_tenants_own_answer_openais_client_and_are_metered_without_a_charge()
-> anyhow::Result<()> {
    let (port, directory) = (free_port(), tempfile::tempdir()?);
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let file = |name: &str| directory.path().join(name).display().to_string();
    let (certificate, its_key) = (file("certificate.pem"), file("key.pem"));
    std::fs::write(&certificate, certified.cert.pem())?;
    std::fs::write(&its_key, certified.signing_key.serialize_pem())?;
    let environment = vec![
        ("SSL_CERT_FILE", certificate.clone()),
        ("TOLLGATE_EGRESS_ALLOW", "127.0.0.1/32".to_owned()),
        ("TOLLGATE_INTERNAL_HOSTS", format!("ollama.internal=http://127.0.0.1:{port}")),
        ("TOLLGATE_PLAIN_HOSTS", "127.0.0.1".to_owned()),
    ];
    let system = System::start_with(Wish { environment, ..Wish::default() }).await?;
    system.store_operator_key().await?;
    let tenant = system.tenant("custom").await?;
    system.grant(&tenant, 10_000_000_000).await?;
    let (_, token) = tenant.api_token(EVERYTHING).await?;
    let control = system.api().trim_end_matches("/client/v4");
    let (vllm, port) = (format!("{}/v1", system.simulator_url()), port.to_string());
    let environment = [
        ("TOLLGATE_CONTROL_URL", control),
        ("TOLLGATE_API_TOKEN", token.as_str()),
        ("TOLLGATE_GATEWAY_ADDRESS", system.url().trim_start_matches("http://")),
        ("VLLM_URL", &vllm),
        ("OLLAMA_PORT", &port),
        ("CERTIFICATE", &certificate),
        ("ITS_KEY", &its_key),
    ];
    script::run("custom.py", &environment).await?;

    let answered =
        |name: &str, record: &e2e::system::Record| record.provider == name && record.outcome == "answered";
    let records = system
        .records_when("what each of them answered", |records| {
            let count = |name| records.iter().filter(|record| answered(name, record)).count();
            count("ollama") >= 6 && count("vllm") >= 2 && count("encrypted") >= 1
        })
        .await?;
    for record in records {
        assert_eq!((record.cost, record.charge, record.paid), (None, 0, 0), "{record:?}");
        let source = if answered("vllm", &record) { "stored_key" } else { "" };
        assert!(record.outcome != "answered" || record.key_source == source, "{record:?}");
    }
    Ok(())
}
